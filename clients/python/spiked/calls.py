# SPDX-License-Identifier: BSD-3-Clause
"""Calls of programs (protocol/SPEC.md 4.8 to 4.11): what is sent of a value, and request headers that are kept for the next call like it."""

from __future__ import annotations

import math
import os
import struct
import threading
from types import MappingProxyType
from typing import AbstractSet, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import memory, wire
from .client import Client, Reply
from .errors import of_program
from .shared import memory_file

_TEMPLATES = 256  # kept for each program

# Stands for an address in the text of a header; nobody else can write it.
_MARK = "@" + os.urandom(12).hex()

_LITTLE_DTYPES = {np.dtype(name) for name in ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16")}
_NAMES = {d: d.str for d in _LITTLE_DTYPES}
_SIZES = {d.str: d.itemsize for d in _LITTLE_DTYPES}


class Kind(NamedTuple):
    """What a request says of an argument, but for its address. Of one kind: one compiled program, one header."""

    dtype: str
    shape: Tuple[int, ...]
    order: str = "C"
    weak: bool = False
    read_only: bool = False

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * _SIZES[self.dtype]


Payload = Union[np.ndarray, bytes]

_BOOL, _INT, _FLOAT, _COMPLEX = Kind("|b1", ()), Kind("<i8", (), weak=True), Kind("<f8", (), weak=True), Kind("<c16", (), weak=True)
_UINT = Kind("<u8", ())
_pack_float, _pack_int = struct.Struct("<d").pack, struct.Struct("<q").pack


def unsendable(name: str, dtype: np.dtype) -> TypeError:
    """The error for a dtype that does not travel, with what to do."""
    if dtype.kind in "biufc" and not dtype.isnative:
        what = f"convert it with {name}.astype({name}.dtype.newbyteorder('='))"
    elif dtype.kind in "fc":
        what = f"convert it with {name}.astype({'float' if dtype.kind == 'f' else 'complex'}), which rounds"
    else:
        what = "numbers and bools are possible: int8 to int64, uint8 to uint64, float16 to float64, complex64, complex128"
    return TypeError(f"{name} has dtype {dtype.name}{' in big-endian byte order' if not dtype.isnative else ''}, which cannot be sent; {what}")


def scalar(name: str, value: Any) -> Tuple[Kind, bytes]:
    """Kind and bytes of a number. Python's own are weak.

    Raises
    ------
    TypeError, OverflowError
    """
    t = type(value)
    if t is float:
        return _FLOAT, _pack_float(value)
    if t is bool:
        return _BOOL, b"\1" if value else b"\0"
    if isinstance(value, np.generic):
        return _numpy_scalar(name, value)
    if isinstance(value, int):
        try:
            return _INT, _pack_int(value)
        except struct.error:
            if 0 <= value < 1 << 64:
                return _UINT, struct.pack("<Q", value)
            raise OverflowError(f"{name} is {value}, which no 64-bit integer can hold; make it a float") from None
    if isinstance(value, float):
        return _FLOAT, _pack_float(value)
    if isinstance(value, complex):
        return _COMPLEX, struct.pack("<dd", value.real, value.imag)
    raise TypeError(f"{name} is of type {type(value).__name__}; numbers and NumPy arrays are possible")


def _numpy_scalar(name: str, value: Any) -> Tuple[Kind, bytes]:
    text = _NAMES.get(value.dtype)
    if text is None:
        raise unsendable(name, value.dtype)
    return Kind(text, ()), value.tobytes()


def array(name: str, value: np.ndarray) -> Tuple[Kind, np.ndarray]:
    """Kind of an array, and the array, contiguous: itself, or a copy. Of a subclass: its plain array, in the same memory."""
    if type(value) is not np.ndarray:
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array, and the mask would be lost; use {name}.filled(...) or {name}.compressed()")
        value = np.asarray(value)
    text = _NAMES.get(value.dtype)
    if text is None or not value.dtype.isnative:
        raise unsendable(name, value.dtype)
    if value.ndim > 8:
        raise TypeError(f"{name} has {value.ndim} dimensions; at most 8 are possible")
    flags = value.flags
    if flags.c_contiguous:
        return Kind(text, value.shape), value
    if flags.f_contiguous:
        return Kind(text, value.shape, "F"), value
    return Kind(text, value.shape), np.ascontiguousarray(value)


def address(a: np.ndarray) -> int:
    return a.__array_interface__["data"][0]


def place(a: np.ndarray) -> bytes:
    """Where the daemon finds the array (SPEC.md 2.2): its address, and its memory file if it lies in one."""
    at = address(a)
    found = memory_file(at, a.nbytes)
    return b'"%d"' % at if found is None else b'"%d","shared":{"fd":%d,"inode":%d,"at":%d}' % (at, *found)


def overlapping(arrays: Sequence[Tuple[int, np.ndarray]]) -> Dict[int, int]:
    """{number: class} of those contiguous arrays that share memory with another one."""
    if len(arrays) < 2:
        return {}
    spans = sorted((address(a), address(a) + a.nbytes, k) for k, a in arrays if a.nbytes)
    classes: Dict[int, int] = {}
    end, last, group = -1, -1, 0
    for start, stop, k in spans:
        if start >= end:
            group += 1
        else:
            classes[last] = classes[k] = group
        if stop > end:
            end, last = stop, k
    return classes


class Call:
    """One operation with fixed parameters, and the headers of the calls it has made."""

    def __init__(self, op: str, params: Dict[str, Any]):
        self.op = op
        self.params = params
        self._templates: Dict[Any, Tuple[List[bytes], List[int], List[int]]] = {}
        self._lock = threading.Lock()

    def __call__(self, client: Client, kinds: Sequence[Kind], payload: Sequence[Payload], out: Optional[np.ndarray] = None,
                 shared: AbstractSet[int] = frozenset()) -> Reply:
        """Sends it. payload[k]: the contiguous array, or the bytes of the scalar, of kinds[k].

        out: receives result r0, if the daemon can write it: then the reply has no r0. Contiguous. shared: arguments that overlap others; they go by
        memory, where that is possible.

        Raises
        ------
        SpikedError
        """
        def make(by_memory: bool) -> Tuple[bytes, List[Payload]]:
            key = (tuple(kinds), by_memory, shared, None if out is None or not by_memory else (out.dtype.str, out.shape, out.flags.c_contiguous),
                   client.timeout, os.getpid(), client.url)
            template = self._templates.get(key)
            if template is None:
                template = self._template(key, client, kinds, by_memory, shared, out)
            pieces, inline, mapped = template
            text = pieces[0]
            if len(pieces) > 1:
                where = [place(payload[k]) for k in mapped]  # type: ignore[arg-type]
                if len(where) < len(pieces) - 1:
                    where.append(place(out))  # type: ignore[arg-type]
                text = pieces[0] + b"".join([x for at, piece in zip(where, pieces[1:]) for x in (at, piece)])
            return text, [payload[k] for k in inline]

        return client._submit(make, (payload, out), of_program)

    def _template(self, key: Any, client: Client, kinds: Sequence[Kind], by_memory: bool, shared: AbstractSet[int], out: Optional[np.ndarray]
                  ) -> Tuple[List[bytes], List[int], List[int]]:
        mapped = [k for k, kind in enumerate(kinds) if by_memory and kind.shape and (kind.nbytes >= memory.MIN_BYTES or k in shared)]
        header: Dict[str, Any] = {"op": self.op, **client._options(), "params": dict(self.params)}
        for name in ("weak", "read_only"):
            numbers = [k for k, kind in enumerate(kinds) if getattr(kind, name)]
            if numbers:
                header["params"][name] = numbers
        client._add_token(header)
        header["arrays"] = [_descriptor(f"a{k}", kind, k in mapped) for k, kind in enumerate(kinds)]
        if out is not None and by_memory:
            header["outputs"] = [_descriptor("r0", Kind(out.dtype.str, out.shape, "C" if out.flags.c_contiguous else "F"), True)]
        if mapped or "outputs" in header:
            header["memory"] = memory.header()
        pieces = wire.json_text(header).split(b'"' + _MARK.encode() + b'"')
        template = (pieces, [k for k in range(len(kinds)) if k not in mapped], mapped)
        with self._lock:
            if len(self._templates) >= _TEMPLATES:
                self._templates.clear()
            self._templates[key] = template
        return template


def _descriptor(name: str, kind: Kind, by_memory: bool) -> Dict[str, Any]:
    d: Dict[str, Any] = {"name": name, "dtype": kind.dtype, "shape": list(kind.shape), "order": kind.order, "nbytes": kind.nbytes}
    if by_memory:
        d.update(via="memory", address=_MARK)
    return d


def described(kinds: Sequence[Kind], shared: Mapping[int, int] = MappingProxyType({})) -> List[Dict[str, Any]]:
    """The list "args" of compile (SPEC.md 4.9)."""
    out = []
    classes: Dict[Tuple[int, ...], int] = {}
    for k, kind in enumerate(kinds):
        d: Dict[str, Any] = {"dtype": kind.dtype, "ndim": len(kind.shape)}
        if kind.weak:
            d["weak"] = True
        if kind.shape:
            d.update(order=kind.order, shape_class=classes.setdefault(kind.shape, len(classes) + 1))
            if k in shared:
                d["alias_class"] = shared[k]
            if kind.read_only:
                d["read_only"] = True
        out.append(d)
    return out


def compile_program(client: Client, params: Dict[str, Any], args: List[Dict[str, Any]], texts: Sequence[str] = ()) -> Dict[str, Any]:
    """The description of a program (SPEC.md 4.10)."""
    header: Dict[str, Any] = {"op": "compile", **client._options(), "params": {**params, "args": args}}
    if texts:
        header["params"]["texts"] = list(texts)
    client._add_token(header)
    return client._submit(lambda by_memory: (wire.json_text(header), []), None, of_program)[0]["result"]
