# SPDX-License-Identifier: BSD-3-Clause
"""The client: requests, and the connections they use."""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import memory, wire
from .daemon import Daemon, find_url
from .errors import Busy, ConnectionLost, NoDaemon, SpikedError, TooLarge, Unreachable, from_reply
from .params import (detection_params, locations_array, noise_array, peaks_and_extras, prototype_array, reduction_params, snippet_params,
                     stage_arrays)
from .stages import Stage

if TYPE_CHECKING:
    from .recording import Recording

_CANCEL_TIMEOUT_S = 5.0
_BUSY_TRIES = 8

Reply = Tuple[Dict[str, Any], Dict[str, np.ndarray]]


def _as_sendable(name: str, value: Any) -> np.ndarray:
    """Contiguous, little-endian; copies only if it must."""
    a = np.asarray(value)
    if a.dtype.byteorder == ">" or (a.dtype.byteorder == "=" and not np.little_endian):
        a = a.astype(a.dtype.newbyteorder("<"))
    if not (a.flags.c_contiguous or a.flags.f_contiguous):
        a = np.ascontiguousarray(a)
    try:
        wire.dtype_name(a.dtype)
    except ValueError as e:
        raise TypeError(f"{name}: {e}") from None
    return a


class Client:
    """A connection to a spiked daemon. Thread-safe: each call that runs uses a socket of its own.

    Made by `connect` and `launch`. Use it in a ``with`` block, or call `close`.

    Attributes
    ----------
    url : str
    daemon : Daemon or None
        The private daemon this client owns.
    """

    def __init__(self, url: str, token: Optional[str] = None, daemon: Optional[Daemon] = None, timeout: Optional[float] = None):
        self.url = url
        self.daemon = daemon
        self.timeout = timeout
        self._token = token
        self._lock = threading.Lock()
        self._idle: List[wire.Connection] = []
        self._memory = False
        self._closed = False
        self._limits: Dict[str, int] = {}
        self._daemon_pid = 0
        self._hello()
        _clients.add(self)

    def _hello(self) -> None:
        connection = self._take()
        daemon_pid = connection.peer_pid if connection.is_ipc else 0
        self._give(connection)
        result = self._call("hello", {"client": "python"})[0]["result"]
        self._limits = result["limits"]
        self.pid: int = result["pid"]
        self.version: str = result["version"]
        self._memory = bool(result["memory"]) and daemon_pid > 0
        self._daemon_pid = daemon_pid
        if self._memory:
            memory.allow(daemon_pid)

    def _after_fork(self) -> None:
        """In the child: the sockets belong to the parent, its threads are gone, and the permission to read our memory is not inherited."""
        self._lock = threading.Lock()
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        if self._memory:
            memory.allow(self._daemon_pid)
        if self.daemon is not None:
            self.daemon.close()
            self.daemon = None

    # --- connections ---

    def _take(self) -> wire.Connection:
        with self._lock:
            if self._closed:
                raise NoDaemon("this client is closed")
            if self._idle:
                return self._idle.pop()
        try:
            return wire.Connection(self.url)
        except OSError as e:
            if isinstance(e, SpikedError):
                raise
            raise NoDaemon(f"no daemon answers at {self.url}: {e}", "start one with `spiked`, or use spiked.launch()") from e

    def _give(self, connection: wire.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Closes all connections and stops the daemon if this client launched it."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        if self.daemon is not None:
            self.daemon.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<spiked.Client {self.url}>"

    # --- requests ---

    def _exchange(self, request_id: bytes, parts: List[memoryview], keep: Any) -> Reply:
        connection = self._take()
        try:
            got_id, header, arrays = wire.decode(connection.exchange(parts))
        except (KeyboardInterrupt, SystemExit):
            # Someone wants out: the request must not go on reading and writing our arrays.
            connection.close()
            if not self._try_cancel(request_id):
                memory.abandoned.append(keep)
            raise
        except BaseException:
            connection.close()
            raise
        self._give(connection)
        if got_id != request_id:
            raise ConnectionLost("the reply belongs to another request")
        return header, arrays

    def _try_cancel(self, request_id: bytes) -> bool:
        """Over a connection of its own; True once the daemon has let go."""
        try:
            connection = wire.Connection(self.url, timeout=_CANCEL_TIMEOUT_S)
        except (OSError, SpikedError):
            return False
        try:
            connection.sock.settimeout(_CANCEL_TIMEOUT_S)
            header: Dict[str, Any] = {"op": "cancel", "params": {"id": request_id.hex()}}
            self._add_token(header)
            connection.exchange(wire.encode(os.urandom(16), header))
            return True
        except (OSError, SpikedError):
            return False
        finally:
            connection.close()

    def _add_token(self, header: Dict[str, Any]) -> None:
        if self._token and not self.url.startswith("ipc://"):
            header["token"] = self._token

    def _request(self, op: str, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray], options: Mapping[str, Any], by_memory: bool
                 ) -> Tuple[bytes, List[Any]]:
        """Header and inline arrays."""
        header: Dict[str, Any] = {"op": op, **options}
        if params:
            header["params"] = dict(params)
        self._add_token(header)
        inline, descriptors = [], []
        for name, a in arrays.items():
            use_memory = by_memory and a.nbytes >= memory.MIN_BYTES
            descriptors.append(wire.describe(name, a, a.ctypes.data if use_memory else None))
            if not use_memory:
                inline.append(a)
        if descriptors:
            header["arrays"] = descriptors
        if any(d.get("via") == "memory" for d in descriptors):
            header["memory"] = memory.header()
        return wire.json_text(header), inline

    def _options(self, timeout: Optional[float] = None) -> Dict[str, Any]:
        timeout = self.timeout if timeout is None else timeout
        return {} if timeout is None else {"deadline_ms": max(1, int(timeout * 1000))}

    def _submit(self, make: Callable[[bool], Tuple[bytes, List[Any]]], keep: Any,
                to_error: Callable[[Dict[str, Any]], SpikedError] = from_reply) -> Reply:
        """Sends what `make(by_memory)` makes, a header and the inline arrays, until it is answered with OK or an error that stays.

        keep: what must live until the daemon has let go of it.
        """
        for attempt in range(_BUSY_TRIES):
            text, inline = make(self._memory)
            limit = self._limits.get("message_bytes")
            nbytes = sum(len(a) if isinstance(a, bytes) else a.nbytes for a in inline)
            if limit and nbytes > limit:
                raise TooLarge(f"{nbytes} bytes of arrays do not fit in one message of at most {limit} bytes",
                               "connect over the unix socket as the daemon's user, or raise limits.message_bytes")
            request_id = os.urandom(16)
            header, out = self._exchange(request_id, wire.encode_text(request_id, text, inline), keep)
            if header["status"] == "OK":
                return header, out
            error = to_error(header)
            if isinstance(error, Unreachable) and self._memory:
                # A container or a hardened kernel: from now on through the socket, which always works.
                self._memory = False
            elif isinstance(error, Busy) and attempt + 1 < _BUSY_TRIES:
                time.sleep(error.details.get("retry_after_ms", 100) / 1000.0 * (attempt + 1))
            else:
                break
        raise error

    def _call(self, op: str, params: Optional[Mapping[str, Any]] = None, arrays: Optional[Mapping[str, Any]] = None,
              timeout: Optional[float] = None, job_class: Optional[str] = None) -> Reply:
        sendable = {name: _as_sendable(name, a) for name, a in (arrays or {}).items()}
        options = self._options(timeout)
        if job_class is not None:
            options["class"] = job_class
        header, out = self._submit(lambda by_memory: self._request(op, params or {}, sendable, options, by_memory), sendable)
        for text in header.get("warnings", ()):
            warnings.warn(text, stacklevel=3)
        return header, out

    # --- service ---

    def ping(self) -> float:
        """Round trip in seconds."""
        start = time.perf_counter()
        self._call("ping")
        return time.perf_counter() - start

    def info(self) -> Dict[str, Any]:
        """Version, threads, endpoints, options that differ from their default."""
        return self._call("info")[0]["result"]

    def stats(self) -> Dict[str, Any]:
        """Cumulative counts and nanoseconds for each operation and stage."""
        return self._call("stats")[0]["result"]

    def cancel(self, request_id: str) -> bool:
        """Cancels a request by its id (32 hex digits); True if it was in flight. Returns when the daemon has let go of it."""
        return bool(self._call("cancel", {"id": request_id})[0]["result"]["found"])

    def kernels(self, forget: Optional[str] = None) -> Dict[str, Any]:
        """The programs that the daemon has compiled: ``kernels`` (list) and ``cache`` (counts); protocol/SPEC.md, 4.12.

        Parameters
        ----------
        forget : str, optional
            Name or id of one to drop first.
        """
        return self._call("kernels", {} if forget is None else {"forget": forget})[0]["result"]

    # --- recordings and arrays ---

    def open(self, file: Union[str, os.PathLike], recording: Optional[str] = None, *, dataset: Optional[str] = None,
             sampling_frequency: Optional[float] = None, time_axis: int = 0, gain_uV: float = 1.0, offset_uV: float = 0.0) -> "Recording":
        """Open a recording.

        Parameters
        ----------
        file : path
            On the daemon's machine: HDF5, SpikeGLX (the ``.bin`` or the ``.meta``) or Open Ephys (``structure.oebin`` or ``continuous.dat``).
        recording : str, optional
            Path or name of the stream in the file, when it holds several.
        dataset, sampling_frequency, time_axis, gain_uV, offset_uV
            For a plain 2-D dataset in an HDF5 file: its path, frames per second, which axis is time (0 or 1), microvolts = value * gain_uV + offset_uV.

        Returns
        -------
        Recording

        Raises
        ------
        NotFound, Denied, Corrupt, Unsupported, Invalid
        """
        from .recording import Recording

        name: Dict[str, Any] = {"file": os.path.abspath(os.fspath(file))}
        if recording is not None:
            name["recording"] = recording
        if dataset is not None:
            name.update(dataset=dataset, time_axis=time_axis, gain_uV=gain_uV, offset_uV=offset_uV)
        if sampling_frequency is not None:
            name["sampling_frequency"] = float(sampling_frequency)
        header, arrays = self._call("open", name)
        return Recording(self, name, header["result"], arrays)

    def detect_peaks(self, traces: Any, sampling_frequency: float, *, channel_locations: Any = None, method: str = "by_channel", peak_sign: str = "neg",
                     detect_threshold: float = 5.0, exclude_sweep_ms: float = 1.0, radius_um: float = 50.0, noise_levels: Any = None,
                     preprocess: Sequence[Stage] = (), prototype: Any = None, waveforms: Optional[Mapping[str, Any]] = None,
                     features: Sequence[str] = (), feature_window: Optional[Mapping[str, Any]] = None, seed: int = 0, timeout: Optional[float] = None, **options: Any
                     ) -> Union[np.ndarray, Tuple[np.ndarray, Dict[str, np.ndarray]]]:
        """Detect spikes in an array.

        Parameters
        ----------
        traces : array (frames, channels) or (frames,)
            Integers, float32 or float64; in memory, C or Fortran order.
        sampling_frequency : float
            Hz.
        channel_locations : array (channels, 2 or 3), optional
            Micrometres; ``"locally_exclusive"``, ``radius_um`` of `waveforms`, ``"center_of_mass"`` and
            ``"matched_filtering"`` need them.
        method, peak_sign, detect_threshold, exclude_sweep_ms, radius_um, noise_levels, preprocess, prototype, waveforms, features, feature_window, seed,
        **options
            As in `Recording.detect_peaks`, also the result. Microvolts need the option ``gain_uV`` (and ``offset_uV``): microvolts = value * gain_uV +
            offset_uV, for all channels.

        Returns
        -------
        array of `PEAK_DTYPE`; with `waveforms`, `features` or ``"matched_filtering"`` a tuple of it and a dict of arrays
        """
        params = detection_params(method, peak_sign, detect_threshold, exclude_sweep_ms, radius_um, preprocess, seed, **options)
        params.update(snippet_params(waveforms, features, feature_window), sampling_frequency=float(sampling_frequency))
        arrays = {"traces": traces, **stage_arrays(preprocess), **noise_array(noise_levels), **locations_array(channel_locations),
                  **prototype_array(prototype)}
        return peaks_and_extras(params, self._call("detect", params, arrays, timeout)[1])

    def _noise(self, source: Mapping[str, Any], arrays: Mapping[str, Any], **options: Any) -> np.ndarray:
        """The noise levels that a detection measures; `options` as of `detect_peaks`."""
        params = {**source, **{k: v for k, v in options.items() if v is not None}}
        return self._call("detect", params, arrays)[1]["noise_levels"]

    def reduce(self, array: Any, operations: Union[str, Sequence[str]], *, threshold: Optional[float] = None, preprocess: Sequence[Stage] = (),
               sampling_frequency: Optional[float] = None, seed: int = 0, bin_ms: Optional[float] = None, timeout: Optional[float] = None) -> Any:
        """Reduce an array over time (its first axis).

        Parameters
        ----------
        array : array (frames, channels) or (frames,)
        operations : str or sequence of str
            ``count_above sum sum_of_squares weighted_sum mean std rms min max mad cumsum``, and in bins ``binned_power`` (mean of |x|)
            and ``binned_rate`` (crossings of `threshold` a second).
        threshold : float
            For ``count_above`` (x > threshold) and ``weighted_sum`` (+x above, -x otherwise).
        sampling_frequency : float
            Hz; needed for ``mad``, bins and `preprocess`.
        bin_ms : float
            Length of a bin.

        Returns
        -------
        dict of name to array (channels,); for a 1-D array to scalars (``cumsum``: an array of the input's shape). A single name gives its
        value alone. In bins: arrays (bins, channels).
        """
        a = np.asarray(array)
        params = reduction_params(operations, threshold, preprocess, seed, bin_ms)
        if sampling_frequency is not None:
            params["sampling_frequency"] = float(sampling_frequency)
        out = self._call("reduce", params, {"traces": a, **stage_arrays(preprocess)}, timeout)[1]
        if a.ndim == 1:
            out = {k: v if k == "cumsum" else v[:, 0] if v.ndim == 2 else v[0] for k, v in out.items()}
        return out[operations] if isinstance(operations, str) else out

    def map(self, array: Any, kernel: Callable[..., Any], *args: Any, preprocess: Sequence[Stage] = (), sampling_frequency: Optional[float] = None,
            timeout: Optional[float] = None) -> Any:
        """Call a kernel for each channel of an array: `Recording.map` for samples in memory.

        Parameters
        ----------
        array : array (frames, channels) or (frames,)
            One dimension is one channel.
        kernel, args, preprocess
            As in `Recording.map`, also the result.
        sampling_frequency : float
            Hz; needed for `preprocess`.
        """
        from . import mapping

        source = {} if sampling_frequency is None else {"sampling_frequency": float(sampling_frequency)}
        return mapping.run(self, source, {"traces": _as_sendable("array", array)}, kernel, args, preprocess, False, timeout)


def _after_fork() -> None:
    for client in list(_clients):
        client._after_fork()


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()
os.register_at_fork(after_in_child=_after_fork)


def connect(url: Optional[str] = None, token: Optional[str] = None, timeout: Optional[float] = None) -> Client:
    """Connect to a daemon.

    Parameters
    ----------
    url : str, optional
        ``ipc:///path`` or ``tcp://host:port``. Default: ``$SPIKED_URL``, else this user's running daemon, else one is launched for this process
        and stopped when it ends.
    token : str, optional
        For TCP; default ``$SPIKED_TOKEN``, else the one in endpoint.json.
    timeout : float, optional
        Seconds each request may take; default: the daemon's ``limits.deadline``.
    """
    try:
        found, found_token = find_url(url, token)
        return Client(found, found_token, timeout=timeout)
    except NoDaemon:
        if url or os.environ.get("SPIKED_URL"):
            raise
    client = launch()
    client.timeout = timeout
    return client


def launch(config: Optional[os.PathLike] = None, *, options: Optional[Mapping[str, Any]] = None, binary: Optional[str] = None,
           timeout: float = 30.0) -> Client:
    """Start a private daemon and connect to it.

    Parameters
    ----------
    config : path, optional
        Configuration file. Its ``listen.runtime_dir`` does not count: a private daemon has a directory of its own, unless `options` names one.
    options : mapping, optional
        Options on top, ``{"compute.threads": 2}``.
    binary : str, optional
        The program; default: ``$SPIKED_BINARY``, the build tree, ``PATH``.
    timeout : float
        Seconds to become ready.

    Returns
    -------
    Client
        Owns the daemon: closing it (or leaving its ``with`` block) stops the daemon.

    Raises
    ------
    DaemonStartError
        With the end of the daemon's log.
    """
    daemon = Daemon(config, options, binary, timeout)
    try:
        return Client(daemon.url, daemon.token, daemon=daemon)
    except BaseException:
        daemon.close()
        raise
