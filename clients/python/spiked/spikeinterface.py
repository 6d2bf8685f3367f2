# SPDX-License-Identifier: BSD-3-Clause
"""SpikeInterface's peak detection, done by the daemon: the same call, the same rows. Needs spikeinterface, imported when a function is called.

>>> from spiked.spikeinterface import detect_peaks        # was: from spikeinterface.sortingcomponents.peak_detection import detect_peaks
>>> peaks = detect_peaks(recording, method="locally_exclusive", method_kwargs=dict(detect_threshold=5))    # doctest: +SKIP

Where the recording is a file that the daemon reads, and its preprocessing are steps that it knows, the file's path and the steps are sent and no
samples travel; else an array, else traces chunk by chunk. `explain` says which and why; so does a line of the logger ``spiked.spikeinterface``.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any, Dict, Optional

import numpy as np

from . import session
from .client import Client
from .errors import Invalid, TooLarge, Unsupported
from .spikeinterface_chain import Plan, plan

_log = logging.getLogger(__name__)

_THEIRS = "spikeinterface.sortingcomponents.peak_detection.detect_peaks"
_METHODS = {"by_channel": {}, "locally_exclusive": {"radius_um": 50}}
_OPTIONS = {"peak_sign": "neg", "detect_threshold": 5, "exclude_sweep_ms": 1.0}
_SLICES = {"method": "full_random", "num_chunks_per_segment": 20, "chunk_duration": "500ms", "chunk_size": None, "margin_frames": 0}
_MAX_CHUNK_FRAMES = 1 << 24
# Thresholds that stand for "never" and for 0, which the daemon does not take.
_NEVER, _TINY = 1e30, 1e-30


def _planned(recording: Any, compat: Optional[str], client: Client) -> Plan:
    if compat not in ("spikeinterface", None):
        raise Invalid(f"compat: 'spikeinterface' or None, not {compat!r}", field="compat")
    return plan(client, recording, compat is not None)


def explain(recording: Any, *, compat: Optional[str] = "spikeinterface", client: Optional[Client] = None) -> Plan:
    """Which way the samples of a recording would get to the daemon, and why.

    Returns
    -------
    Plan
        ``.way`` is ``"file"``, ``"array"``, ``"traces"`` or ``"spikeinterface"``, ``.reason`` why not a faster one; as text a sentence.
    """
    return _planned(recording, compat, client or session.current())


# --- noise levels ---

def _seed(slices: Dict[str, Any]) -> Dict[str, Any]:
    """With a seed: SpikeInterface draws other chunks at each call, if it has none."""
    return {**slices, "seed": 0 if slices.get("seed") is None else slices["seed"]}


def _by_daemon(way: Plan, method: str, slices: Dict[str, Any], compat: Optional[str], client: Client) -> Optional[np.ndarray]:
    """In the unit of the traces, of the recording's channels; None if the daemon does not measure these."""
    usual = all(slices.get(k, v) == v for k, v in _SLICES.items()) and set(slices) <= {*_SLICES, "seed"}
    seed = slices["seed"]
    if not usual or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 1 << 63 or way.way in ("traces", "spikeinterface"):
        return None
    options = {"detect_threshold": _NEVER, "preprocess": way.stages, "seed": int(seed), "noise_method": method, "compat": compat}
    try:
        if len(way.files) == 1:
            return client._noise(way.files[0]._params(0, 0, 1), {}, **options)[way.channels]
        if way.way == "array" and way.raw.get_num_segments() == 1:
            source = {"sampling_frequency": way.raw.get_sampling_frequency()}
            return client._noise(source, {"traces": way.raw.get_traces()}, **options)[way.channels]
    except (TooLarge, Unsupported) as e:
        _log.info("noise levels by SpikeInterface: %s", e.message)
    return None


def _theirs(recording: Any, **how: Any) -> np.ndarray:
    from spikeinterface.core import get_noise_levels as theirs

    return theirs(recording, **how)


def _raw_levels(recording: Any, method: str, slices: Dict[str, Any], way: Plan, compat: Optional[str], client: Client, job_kwargs: Dict[str, Any]
                ) -> np.ndarray:
    """Measured anew, in the unit of the traces, and kept as the recording's property, as SpikeInterface does."""
    slices = _seed(slices)
    levels = _by_daemon(way, method, slices, compat, client)
    if levels is None:
        # A chunk length of the job is not the noise's.
        jobs = {k: v for k, v in job_kwargs.items() if k != "chunk_size"}
        return _theirs(recording, return_in_uV=False, method=method, force_recompute=True, random_slices_kwargs=slices, **jobs)
    if recording.get_dtype() == np.float32 and compat is not None:
        levels = levels.astype(np.float32)
    recording.set_property(f"noise_level_{method}_raw", levels)
    return levels


def get_noise_levels(recording: Any, return_in_uV: bool = True, method: str = "mad", force_recompute: bool = False,
                     random_slices_kwargs: Dict[str, Any] = {}, *, compat: Optional[str] = "spikeinterface", client: Optional[Client] = None,
                     **job_kwargs: Any) -> np.ndarray:
    """`spikeinterface.core.get_noise_levels`, measured by the daemon where it can.

    Levels are kept as the recording's property and taken from there, as SpikeInterface does. Different: without a seed it is 0, so that the
    levels are the same each time. Microvolts are the raw levels times the gain, which is what SpikeInterface computes up to the rounding of
    float32. `method` ``"rms"`` is SpikeInterface's own, and so is everything with other `random_slices_kwargs` than ``seed``.

    Returns
    -------
    array (channels,)
    """
    key = f"noise_level_{method}_{'scaled' if return_in_uV else 'raw'}"
    if key in recording.get_property_keys() and not force_recompute:
        return recording.get_property(key)
    if method not in ("mad", "std"):
        return _theirs(recording, return_in_uV=return_in_uV, method=method, force_recompute=True, random_slices_kwargs=_seed(random_slices_kwargs),
                       **job_kwargs)
    client = client or session.current()
    levels = _raw_levels(recording, method, dict(random_slices_kwargs), _planned(recording, compat, client), compat, client, job_kwargs)
    if return_in_uV:
        if not recording.has_scaleable_traces():
            raise ValueError("this recording has no gains and offsets: call with return_in_uV=False")
        levels = levels * np.abs(recording.get_channel_gains())
        recording.set_property(key, levels)
    return levels


# --- peaks ---

def _split(method: Optional[str], method_kwargs: Optional[Dict[str, Any]]) -> Any:
    """The method, its options, noise levels or None, and how to sample the noise."""
    given = dict(method_kwargs or {})
    if "method" in given:
        if method is not None:
            raise Invalid("method: given twice, also in method_kwargs", field="method")
        method = given.pop("method")
    if method is None:
        warnings.warn("detect_peaks() method should be explicitly given, 'locally_exclusive' is used by default", stacklevel=3)
        method = "locally_exclusive"
    if method not in _METHODS:
        raise Unsupported(f"method: the daemon does not know {method!r}", f"one of {', '.join(_METHODS)}; or call {_THEIRS}", "method")
    levels, slices = given.pop("noise_levels", None), given.pop("random_slices_kwargs", {})
    given.pop("return_output", None)
    options = {**_OPTIONS, **_METHODS[method]}
    unknown = sorted(set(given) - set(options))
    if unknown:
        raise Invalid(f"method_kwargs: {method} has no option {unknown[0]!r}", f"it has {', '.join(options)}, noise_levels, random_slices_kwargs",
                      unknown[0])
    options.update(given)
    return method, options, levels, slices


def _thresholds(recording: Any, levels: Any, factor: Any) -> np.ndarray:
    """In the unit of the traces, by SpikeInterface's arithmetic."""
    out = np.array(np.asarray(levels) * factor)
    if out.dtype != np.float32 or recording.get_dtype().kind in "iu":
        out = out.astype(float)
    if out.shape not in ((), (1,), (recording.get_num_channels(),)):
        raise Invalid(f"noise_levels: {out.shape} for {recording.get_num_channels()} channels", "give one for each channel", "noise_levels")
    out = np.broadcast_to(out.reshape(-1), recording.get_num_channels()).copy()
    out[out == 0] = _TINY
    return out


def _chunk_frames(recording: Any, job_kwargs: Dict[str, Any]) -> int:
    from spikeinterface.core import ensure_chunk_size

    longest = max(recording.get_num_samples(s) for s in range(recording.get_num_segments()))
    return max(1, min(ensure_chunk_size(recording, **job_kwargs), longest))


def _whole(way: Plan, recording: Any, thresholds: np.ndarray, method: str, options: Dict[str, Any], client: Client) -> np.ndarray:
    """Peaks of files or arrays; in the channels of the recording."""
    n = way.files[0].num_channels if way.files else way.raw.get_num_channels()
    levels = np.full(n, _NEVER, thresholds.dtype)
    levels[way.channels] = thresholds
    how = {"method": method, "detect_threshold": 1.0, "noise_levels": levels, "preprocess": way.stages, **options}
    if method == "locally_exclusive":
        places = recording.get_channel_locations()
        how["channel_locations"] = np.zeros((n, places.shape[1]))
        how["channel_locations"][way.channels] = places
    if way.way == "file":
        parts = [f.detect_peaks(**how) for f in way.files]
    else:
        fs = recording.get_sampling_frequency()
        parts = [client.detect_peaks(way.raw.get_traces(segment_index=s), fs, **how) for s in range(way.raw.get_num_segments())]
    for segment, part in enumerate(parts):
        if len(parts) > 1:
            part["segment_index"] = segment
    return _of_channels(np.concatenate(parts), way.channels, n)


def _of_channels(peaks: np.ndarray, channels: np.ndarray, n: int) -> np.ndarray:
    """Numbered as in the recording, and in its order."""
    if np.array_equal(channels, np.arange(n)):
        return peaks
    number = np.full(n, -1)
    number[channels] = np.arange(len(channels))
    peaks = peaks[number[peaks["channel_index"]] >= 0]
    peaks["channel_index"] = number[peaks["channel_index"]]
    return peaks[np.lexsort((peaks["channel_index"], peaks["sample_index"], peaks["segment_index"]))]


def _by_chunks(recording: Any, thresholds: np.ndarray, method: str, options: Dict[str, Any], client: Client, pipeline_kwargs: Dict[str, Any],
               job_kwargs: Dict[str, Any], verbose: bool) -> Any:
    from spikeinterface.core.node_pipeline import run_node_pipeline

    from .spikeinterface_node import SpikedPeakDetector

    node = SpikedPeakDetector(recording, method, thresholds, client=client, **options)
    return run_node_pipeline(recording, [node], job_kwargs, job_name=f"detect peaks ({method})", verbose=verbose,
                             **{"squeeze_output": True, **pipeline_kwargs})


def detect_peaks(recording: Any, method: Optional[str] = None, method_kwargs: Optional[Dict[str, Any]] = None,
                 pipeline_kwargs: Optional[Dict[str, Any]] = None, verbose: bool = False, job_kwargs: Optional[Dict[str, Any]] = None, *,
                 compat: Optional[str] = "spikeinterface", client: Optional[Client] = None) -> Any:
    """SpikeInterface's ``detect_peaks`` of release 0.105, done by the daemon.

    Parameters
    ----------
    recording : SpikeInterface recording
        Of any kind; `explain` says how its samples travel.
    method : {"by_channel", "locally_exclusive"}
        May also stand in `method_kwargs`. For the others call SpikeInterface's own.
    method_kwargs : dict
        peak_sign, detect_threshold, exclude_sweep_ms, radius_um, noise_levels, random_slices_kwargs, as there.
    pipeline_kwargs : dict
        As there (``slices``, ``gather_mode``, ...). With any of them SpikeInterface's pipeline reads the traces.
    job_kwargs : dict
        The chunk length counts as there, since the filters depend on it; ``n_jobs`` and ``progress_bar`` where SpikeInterface reads the traces.
    compat : {"spikeinterface", None}
        ``"spikeinterface"``: its rows. None: the daemon's own filters, whose peaks do not depend on chunks; faster, and for samples of all types.
    client : Client, optional
        Default: that of the process (`spiked.use`).

    Returns
    -------
    array of `PEAK_DTYPE`
        The same rows in the same order. Different on purpose: noise is sampled with seed 0 if none is given; ``exclude_sweep_ms`` below one
        frame means threshold only (there ``"by_channel"`` then finds nothing); -32768 of int16 does not wrap around.
    """
    from spikeinterface.core import fix_job_kwargs

    client = client or session.current()
    method, options, levels, slices = _split(method, method_kwargs)
    jobs = fix_job_kwargs(job_kwargs or {})
    way = _planned(recording, compat, client)
    if pipeline_kwargs and way.way != "spikeinterface":
        way = Plan("traces", "pipeline_kwargs are SpikeInterface's")
    chunk = _chunk_frames(recording, jobs)
    if way.stages and compat and chunk > _MAX_CHUNK_FRAMES:
        way = Plan("traces", f"chunks of {chunk} frames; the daemon takes {_MAX_CHUNK_FRAMES}")
    _log.info("%s", way)
    if levels is None:
        key = "noise_level_mad_raw"
        levels = recording.get_property(key) if key in recording.get_property_keys() else _raw_levels(recording, "mad", slices, way, compat, client, jobs)
    if way.way == "spikeinterface":
        from spikeinterface.sortingcomponents.peak_detection import detect_peaks as theirs

        return theirs(recording, method=method, method_kwargs={**options, "noise_levels": levels}, pipeline_kwargs=pipeline_kwargs, verbose=verbose,
                      job_kwargs=job_kwargs)
    thresholds = _thresholds(recording, levels, options.pop("detect_threshold"))
    if way.way != "traces":
        exact = {"compat": compat, "chunk_frames": chunk} if compat and way.stages else {}
        try:
            return _whole(way, recording, thresholds, method, {**options, **exact}, client)
        except (TooLarge, Unsupported) as e:
            _log.info("by traces after all: %s", e.message)
    return _by_chunks(recording, thresholds, method, options, client, pipeline_kwargs or {}, jobs, verbose)


def to_numpy_sorting(peaks: np.ndarray, recording: Any) -> Any:
    """A ``NumpySorting`` of the recording's segments, with a unit for each channel, called as the channel; the recording is registered."""
    from spikeinterface.core import NumpySorting
    from spikeinterface.core.numpyextractors import SpikeVectorSortingSegment

    sorting = NumpySorting.from_peaks(peaks, recording.get_sampling_frequency(), recording.channel_ids)
    # It ends with the last segment that has a peak.
    for segment in range(sorting.get_num_segments(), recording.get_num_segments()):
        sorting.add_sorting_segment(SpikeVectorSortingSegment(sorting.to_spike_vector(), segment, recording.channel_ids))
    sorting.register_recording(recording)
    return sorting
