# SPDX-License-Identifier: BSD-3-Clause
"""The compiler without a daemon: compiles expressions and kernels and runs them on NumPy arrays, as machine code or by the interpreter."""

from __future__ import annotations

import ctypes
import os
from typing import Any, List, Optional, Sequence

import numpy as np

_NAMES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
DTYPES = [np.dtype(n) for n in _NAMES]
MAX_RANK = 8
EXPRESSION, OUT, PARALLEL, STRICT, FASTMATH, ACCURATE, NUMPY_ERRORS, INTERPRET = 1, 2, 4, 8, 16, 32, 64, 128
CASTING = ["no", "equiv", "safe", "same_kind", "unsafe"]


class Failure(Exception):
    """An error of the compiler or of a call: status number, message, hint."""

    def __init__(self, text: str):
        status, self.message, self.hint = text.split("|", 2)
        self.status = int(status)
        super().__init__(self.message + (f" ({self.hint})" if self.hint else ""))


class _Argument(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int32) for n in ("dtype", "rank", "weak", "contiguous", "read_only", "shape_class", "alias_class")]


class _Array(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("shape", ctypes.c_int64 * MAX_RANK), ("stride", ctypes.c_int64 * MAX_RANK), ("capacity", ctypes.c_int64)]


_library: Optional[ctypes.CDLL] = None


def _load() -> ctypes.CDLL:
    global _library
    if _library is None:
        lib = ctypes.CDLL(os.path.join(os.environ.get("SPIKED_BUILD", "build"), "harness.so"))
        for name in ("harness_compiler", "harness_compile", "harness_context", "harness_call", "harness_text"):
            getattr(lib, name).restype = ctypes.c_void_p
        _library = lib
    return _library


def dtype_index(dtype: Any) -> int:
    dtype = np.dtype(dtype)
    return DTYPES.index(dtype)


def _scalar_bytes(value: Any, index: int) -> bytes:
    dtype = DTYPES[index]
    if index == 0:
        raw = np.int64(bool(value)).tobytes()
    elif dtype.kind in "iu":
        raw = np.asarray(value).astype("<i8" if dtype.kind == "i" else "<u8").tobytes()
    elif index == 9:
        raw = np.float32(value).tobytes()
    else:
        raw = np.asarray(value).astype(dtype).tobytes()
    return raw.ljust(16, b"\0")


def _weak_index(value: Any) -> Optional[int]:
    if type(value) is int:
        return 7
    if type(value) is float:
        return 11
    return 13 if type(value) is complex else None


class Compiler:
    def __init__(self, cache_dir: Optional[str] = None, interpret: bool = False):
        self.lib = _load()
        self.handle = ctypes.c_void_p(self.lib.harness_compiler(cache_dir.encode() if cache_dir else None, int(interpret)))

    def compile(self, text: str, args: Sequence[Any], *, kernel: str = "f", names: Optional[Sequence[str]] = None, flags: int = 0,
                casting: str = "safe") -> "Program":
        """args: arrays and scalars like those of the calls to come. names: an expression over them."""
        described = (_Argument * max(1, len(args)))()
        for k, a in enumerate(args):
            weak = None if isinstance(a, (np.ndarray, np.generic)) else _weak_index(a)
            array = isinstance(a, np.ndarray) and a.ndim > 0
            index = weak if weak is not None else dtype_index(np.asarray(a).dtype)
            shape_class = 0
            if array:
                shape_class = 1 + min(j for j, b in enumerate(args) if isinstance(b, np.ndarray) and b.shape == a.shape)
            alias = 0
            if array:
                alias = 1 + min(j for j, b in enumerate(args) if j == k or (isinstance(b, np.ndarray) and b.ndim and np.may_share_memory(a, b)))
            described[k] = _Argument(index, a.ndim if array else 0, int(weak is not None and names is not None),
                int(array and a.flags.c_contiguous), 0, shape_class, alias)
        message = ctypes.create_string_buffer(1024)
        c_names = None
        if names is not None:
            flags |= EXPRESSION
            c_names = (ctypes.c_char_p * max(1, len(args)))(*[n.encode() for n in names])
        handle = self.lib.harness_compile(self.handle, text.encode(), kernel.encode(), c_names, described, ctypes.c_uint32(len(args)),
            ctypes.c_uint32(flags),
                                          CASTING.index(casting), message, ctypes.c_size_t(1024))
        if not handle:
            raise Failure(message.value.decode())
        return Program(self, handle)


class Program:
    def __init__(self, compiler: Compiler, handle: int):
        self.compiler, self.handle = compiler, ctypes.c_void_p(handle)
        out = (ctypes.c_int32 * 1024)()
        compiler.lib.harness_describe(self.handle, out)
        self.form, nparams, nresults = out[0], out[1], out[2]
        self.times = dict(zip(("front", "analysis", "codegen", "link"), out[3:7]))
        slots = [tuple(out[7 + 3 * k:10 + 3 * k]) for k in range(nparams + nresults)]
        self.params, self.results = slots[:nparams], slots[nparams:]

    @property
    def streams(self) -> int:
        """Bit k: argument k may stay in the client's memory."""
        self.compiler.lib.harness_streams.restype = ctypes.c_uint64
        return int(self.compiler.lib.harness_streams(self.handle))

    def text(self, what: int) -> str:
        """0: IR, 1-4: report, 5: LLVM, 6: optimised, 7: assembly."""
        pointer = self.compiler.lib.harness_text(self.handle, what)
        return ctypes.string_at(pointer).decode() if pointer else ""

    def __call__(self, *args: Any, threads: int = 1, interpret: bool = False, remote: bool = False) -> Any:
        slots = self.params + self.results
        arrays = (_Array * (len(slots) + 1))()
        scalars = ctypes.create_string_buffer(16 * (len(slots) + 1))
        narrays = nscalars = 0
        for (is_array, dtype, rank), a in zip(self.params, args):
            if is_array:
                strides = np.empty(a.shape, np.uint8).strides if a.flags.c_contiguous else ()   # NumPy's own may be odd where a length is 1
                strides = [s * a.itemsize for s in strides] or a.strides
                arrays[narrays] = _Array(a.ctypes.data, (ctypes.c_int64 * MAX_RANK)(*a.shape), (ctypes.c_int64 * MAX_RANK)(*strides), 0)
                narrays += 1
            else:
                scalars[16 * nscalars:16 * nscalars + 16] = _scalar_bytes(a, dtype)
                nscalars += 1
        lib, message = self.compiler.lib, ctypes.create_string_buffer(1024)
        context, call = ctypes.c_void_p(lib.harness_context()), ctypes.c_void_p(lib.harness_call())
        try:
            if lib.harness_run(self.handle, threads, int(interpret), int(remote), arrays, scalars, context, call, message, ctypes.c_size_t(1024)):
                raise Failure(message.value.decode())
            results: List[Any] = []
            for is_array, dtype, rank in self.results:
                if is_array:
                    results.append(_read(arrays[narrays], DTYPES[dtype], rank))
                    narrays += 1
                else:
                    raw = scalars[16 * nscalars:16 * nscalars + 16]
                    results.append(np.frombuffer(raw, DTYPES[dtype] if dtype else np.dtype("?"), 1)[0])
                    nscalars += 1
        finally:
            lib.harness_free(context, call)
        return None if self.form == 0 else tuple(results) if self.form == 2 else results[0]


def _read(a: _Array, dtype: np.dtype, rank: int) -> np.ndarray:
    shape, strides = tuple(a.shape[:rank]), tuple(a.stride[:rank])
    if 0 in shape:
        return np.zeros(shape, dtype)
    low = sum(min(0, (n - 1) * s) for n, s in zip(shape, strides))
    high = sum(max(0, (n - 1) * s) for n, s in zip(shape, strides)) + dtype.itemsize
    raw = ctypes.string_at(a.data + low, high - low)
    return np.ndarray(shape, dtype, raw, -low, strides).copy()
