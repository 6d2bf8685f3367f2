# SPDX-License-Identifier: BSD-3-Clause
"""The bytes: SP framing and messages, written from protocol/SPEC.md sections 1 and 2."""

from __future__ import annotations

import json
import math
import socket
import struct
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from .errors import ConnectionLost, ProtocolError

PEAK_DTYPE = np.dtype([("sample_index", "<i8"), ("channel_index", "<i8"), ("amplitude", "<f8"), ("segment_index", "<i8")])

_MAGIC = b"SPKD"
_VERSION = 1
_REQUEST, _REPLY = 1, 2
_PREFIX = struct.Struct("<4sHH16sII")
_SIZE = struct.Struct(">Q")
_JSON = json.JSONDecoder()
_ALIGN = 64
_JOIN_BYTES = 64 << 10
_BUFFER_BYTES = 64 << 10
_HELLO_REQ = bytes.fromhex("0053500000300000")
_HELLO_REP = bytes.fromhex("0053500000310000")
_DTYPES = {"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16"}


def padding(n: int) -> int:
    """Zero bytes from n to the next multiple of 64."""
    return -n % _ALIGN


def dtype_name(dtype: np.dtype) -> str:
    """Wire name of a dtype; ValueError if it cannot travel."""
    if dtype == PEAK_DTYPE:
        return "peak"
    if dtype.str not in _DTYPES:
        raise ValueError(f"arrays of dtype {dtype} cannot be sent; use little-endian numbers")
    return dtype.str


def describe(name: str, array: np.ndarray, address: Optional[int] = None) -> Dict[str, Any]:
    """Descriptor (SPEC.md 2.2) of a contiguous array; with an address, by the client's memory."""
    order = "C" if array.flags.c_contiguous else "F"
    d: Dict[str, Any] = {"name": name, "dtype": dtype_name(array.dtype), "shape": list(array.shape), "order": order, "nbytes": array.nbytes}
    if address is not None:
        d["via"] = "memory"
        d["address"] = str(address)
    return d


def encode(request_id: bytes, header: Dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> List[memoryview]:
    """The body of a request as a list of buffers; `arrays` are the inline ones, in the order of their descriptors."""
    return encode_text(request_id, json_text(header), arrays)


def json_text(header: Dict[str, Any]) -> bytes:
    return json.dumps(header, separators=(",", ":"), allow_nan=False).encode()


def encode_text(request_id: bytes, text: bytes, arrays: Sequence[Union[np.ndarray, bytes]] = ()) -> List[memoryview]:
    """As `encode`, for a header that is JSON already. `arrays` may be the bytes of them."""
    parts = [memoryview(_PREFIX.pack(_MAGIC, _VERSION, _REQUEST, request_id, len(text), 0) + text)]
    end = len(parts[0])
    for a in arrays:
        if padding(end):
            parts.append(memoryview(bytes(padding(end))))
        end += padding(end)
        nbytes = len(a) if isinstance(a, bytes) else a.nbytes
        if nbytes:
            parts.append(memoryview(a if isinstance(a, bytes) else _flat(a)))
        end += nbytes
    if len(parts) > 1 and end < _JOIN_BYTES:
        return [memoryview(b"".join(parts))]
    return parts


def _flat(a: np.ndarray) -> np.ndarray:
    """The bytes of a contiguous array in the order of memory."""
    return (a if a.flags.c_contiguous else a.T).reshape(-1).view(np.uint8)


def _array(d: Dict[str, Any], body: memoryview, offset: int) -> np.ndarray:
    dtype = PEAK_DTYPE if d["dtype"] == "peak" else np.dtype(d["dtype"])
    shape = tuple(int(n) for n in d["shape"])
    nbytes = int(d["nbytes"])
    if math.prod(shape) * dtype.itemsize != nbytes or offset + nbytes > len(body):
        raise ProtocolError(f"the reply's array {d.get('name')} does not fit its bytes")
    return np.frombuffer(body[offset : offset + nbytes], dtype=dtype).reshape(shape, order=d.get("order", "C"))


def decode(body: memoryview) -> Tuple[bytes, Dict[str, Any], Dict[str, np.ndarray]]:
    """(request id, header, inline arrays) of a reply's body. The arrays share its memory."""
    if len(body) < _PREFIX.size:
        raise ProtocolError("the reply is shorter than its prefix")
    magic, version, kind, request_id, nheader, flags = _PREFIX.unpack_from(body)
    if magic != _MAGIC or version != _VERSION or kind != _REPLY or flags or _PREFIX.size + nheader > len(body):
        raise ProtocolError("the reply is not a message of this protocol", "use a client and a daemon of the same release")
    header = _JSON.raw_decode(str(body[_PREFIX.size : _PREFIX.size + nheader], "utf-8"))[0]
    end = _PREFIX.size + nheader
    arrays: Dict[str, np.ndarray] = {}
    for d in header.get("arrays", ()):
        if d.get("via", "inline") != "inline":
            continue
        end += padding(end)
        arrays[d["name"]] = _array(d, body, end)
        end += int(d["nbytes"])
    return request_id, header, arrays


class Connection:
    """One SP REQ connection: a socket, one request at a time. Not thread-safe.

    A frame that was begun is finished or the socket is closed, so an interrupted connection is never used again.
    """

    def __init__(self, url: str, timeout: float = 10.0):
        self.is_ipc = url.startswith("ipc://")
        if self.is_ipc:
            self.sock = socket.socket(socket.AF_UNIX)
            target: Any = url[len("ipc://") :]
        elif url.startswith("tcp://"):
            host, _, port = url[len("tcp://") :].rpartition(":")
            self.sock = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            target = (host.strip("[]"), int(port))
        else:
            raise ValueError(f"{url}: expected ipc:///path or tcp://host:port")
        self._tag = 0
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._have = 0
        try:
            self.sock.settimeout(timeout)
            self.sock.connect(target)
            self.sock.sendall(_HELLO_REQ)
            if bytes(self._receive(8)) != _HELLO_REP:
                raise ProtocolError(f"{url} is not an SP REP endpoint")
            self.sock.settimeout(None)
        except BaseException:
            self.sock.close()
            raise

    @property
    def peer_pid(self) -> int:
        """Pid of the daemon, as the kernel knows it (unix socket only)."""
        return struct.unpack("3i", self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def close(self) -> None:
        self.sock.close()

    def _receive(self, n: int) -> memoryview:
        view = memoryview(np.empty(n, np.uint8)).cast("B")
        done = 0
        while done < n:
            got = self.sock.recv_into(view[done:])
            if got == 0:
                raise ConnectionLost("the daemon closed the connection", "see the daemon's log; messages that are not understood are dropped")
            done += got
        return view

    def _send(self, parts: List[memoryview]) -> None:
        """sendmsg until everything is out: no join of large arrays."""
        while parts:
            sent = self.sock.sendmsg(parts[:64])
            while parts and sent >= len(parts[0]):
                sent -= len(parts[0])
                parts.pop(0)
            if sent:
                parts[0] = parts[0][sent:]

    def exchange(self, parts: List[memoryview]) -> memoryview:
        """Sends a body, waits for the reply to it, and returns its body."""
        self._tag = (self._tag + 1) & 0x7FFFFFFF
        tag = struct.pack(">I", 0x80000000 | self._tag)
        size = 4 + sum(len(p) for p in parts)
        head = (b"\x01" if self.is_ipc else b"") + _SIZE.pack(size) + tag
        try:
            self._send([memoryview(head), *parts])
            while True:
                frame = self._receive_frame()
                if frame[:4] == tag:
                    return frame[4:]
        except OSError as e:
            if isinstance(e, ConnectionLost):
                raise
            raise ConnectionLost(f"the connection to the daemon broke: {e}") from e

    def _fill(self, n: int) -> None:
        """At least n bytes in the buffer; what comes along is kept. A small reply is one system call."""
        while self._have < n:
            got = self.sock.recv_into(self._buffer[self._have :])
            if got == 0:
                raise ConnectionLost("the daemon closed the connection", "see the daemon's log; messages that are not understood are dropped")
            self._have += got

    def _receive_frame(self) -> memoryview:
        """The next frame: tag and body. Its memory is its own; the body is aligned for any dtype."""
        nhead = 9 if self.is_ipc else 8
        self._fill(nhead)
        if self.is_ipc and self._buffer[0] != 1:
            raise ProtocolError("the daemon sent a wrong frame type")
        size = _SIZE.unpack_from(self._buffer, nhead - 8)[0]
        if size < 4 or size > 1 << 40:
            raise ProtocolError(f"the daemon sent a message of {size} bytes")
        frame = memoryview(np.empty(size + 12, np.uint8)).cast("B")[12:]
        if nhead + size <= _BUFFER_BYTES:
            self._fill(nhead + size)
        done = min(self._have - nhead, size)
        frame[:done] = self._buffer[nhead : nhead + done]
        rest = self._have - nhead - done
        if rest:
            self._buffer[:rest] = bytes(self._buffer[nhead + done : self._have])
        self._have = rest
        while done < size:
            got = self.sock.recv_into(frame[done:])
            if got == 0:
                raise ConnectionLost("the daemon closed the connection in the middle of a reply")
            done += got
        return frame
