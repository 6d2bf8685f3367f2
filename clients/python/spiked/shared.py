# SPDX-License-Identifier: BSD-3-Clause
"""NumPy arrays in memory that can be shared with the daemon: sealed memory files, kept for reuse by size."""

from __future__ import annotations

import bisect
import collections
import ctypes
import fcntl
import math
import mmap
import os
import threading
import weakref
from typing import Any, Deque, Dict, List, Optional, Tuple, Union

import numpy as np

from .errors import OutOfMemory

_POOL_BYTES = 1 << 30  # of memory that nobody uses at the moment

_F_ADD_SEALS, _F_SEAL_SHRINK, _F_SEAL_GROW = 1033, 2, 4

_PUNCH_HOLE, _KEEP_SIZE = 2, 1
_libc = ctypes.CDLL(None)

Shape = Union[int, Tuple[int, ...], List[int]]


class Segment:
    """A memory file, mapped. `address`: where it begins in this process."""

    def __init__(self, nbytes: int):
        self.nbytes = nbytes
        self.fd = os.memfd_create("spiked", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, nbytes)
            # The daemon maps it: it must never end in the middle of what is mapped.
            fcntl.fcntl(self.fd, _F_ADD_SEALS, _F_SEAL_SHRINK | _F_SEAL_GROW)
            self.inode = os.fstat(self.fd).st_ino
            self.map = mmap.mmap(self.fd, nbytes)
        except BaseException as e:
            os.close(self.fd)
            if isinstance(e, OSError):
                raise OutOfMemory(f"no shared memory of {nbytes} bytes: {e}") from e
            raise
        self.address: int = np.frombuffer(self.map, np.uint8).__array_interface__["data"][0]

    def close(self) -> None:
        # The daemon may still have it mapped: the pages go now, not when it lets go.
        try:
            _libc.fallocate(self.fd, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(self.nbytes))
        except (OSError, AttributeError):
            pass
        self.map.close()
        os.close(self.fd)


class _Lease:
    """What an array and all its views hold on to; the segment is free again when it goes."""

    def __init__(self, segment: Segment):
        self._map = segment.map
        self.__array_interface__ = {"version": 3, "shape": (segment.nbytes,), "typestr": "|u1", "data": (segment.address, False)}


class Pool:
    """Segments in use and at rest. `find` is O(log n); arrays may be freed at any moment, also inside of these functions."""

    def __init__(self, limit: int = _POOL_BYTES):
        self._lock = threading.Lock()
        self._limit = limit
        self._addresses: List[int] = []
        self._segments: List[Segment] = []
        self._rest: Dict[int, List[Segment]] = {}
        self._rest_bytes = 0
        self._returned: Deque[Tuple[Segment, int]] = collections.deque()
        self._generation = 0

    def take(self, nbytes: int) -> Tuple[Segment, bool]:
        """(a segment of at least so many bytes, is it all zeros)."""
        size = _size_class(nbytes)
        with self._lock:
            self._collect()
            rest = self._rest.get(size)
            if rest:
                self._rest_bytes -= size
                return rest.pop(), False
            segment = Segment(size)
            i = bisect.bisect(self._addresses, segment.address)
            self._addresses.insert(i, segment.address)
            self._segments.insert(i, segment)
            return segment, True

    def lease(self, segment: Segment) -> np.ndarray:
        """All of a segment as bytes; it is free again when the array and its views are gone."""
        lease = _Lease(segment)
        weakref.finalize(lease, self._give, segment, self._generation).atexit = False
        return np.asarray(lease)

    @property
    def used(self) -> bool:
        return bool(self._addresses)

    def find(self, address: int, nbytes: int) -> Optional[Tuple[Segment, int]]:
        """(segment, offset in it) of memory that lies in one, or None."""
        with self._lock:
            i = bisect.bisect(self._addresses, address) - 1
            if i < 0:
                return None
            segment = self._segments[i]
        offset = address - segment.address
        return (segment, offset) if offset + nbytes <= segment.nbytes else None

    def _give(self, segment: Segment, generation: int) -> None:
        # Runs wherever an array dies, perhaps in a thread that holds the lock: then whoever has it collects later.
        self._returned.append((segment, generation))
        if self._lock.acquire(blocking=False):
            try:
                self._collect()
            finally:
                self._lock.release()

    def _collect(self) -> None:
        while self._returned:
            segment, generation = self._returned.popleft()
            # After a fork the other process may still see it: never to be used for something else.
            if generation == self._generation and self._rest_bytes + segment.nbytes <= self._limit:
                self._rest.setdefault(segment.nbytes, []).append(segment)
                self._rest_bytes += segment.nbytes
            else:
                self._drop(segment)

    def _drop(self, segment: Segment) -> None:
        i = bisect.bisect(self._addresses, segment.address) - 1
        del self._addresses[i], self._segments[i]
        segment.close()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork(self) -> None:
        """Parent and child see the same memory from here on: what exists is not used again for other arrays."""
        self._generation += 1
        rest, self._rest, self._rest_bytes = self._rest, {}, 0
        for segments in rest.values():
            for segment in segments:
                self._drop(segment)
        self._lock.release()


def _size_class(nbytes: int) -> int:
    """Whole pages; from 64 KiB on four sizes to each power of two, so that arrays of nearly one size share."""
    step = max(mmap.PAGESIZE, 1 << max(0, (max(nbytes, 1) - 1).bit_length() - 3))
    return -(-max(nbytes, 1) // step) * step


pool = Pool()
os.register_at_fork(before=pool.before_fork, after_in_child=pool.after_fork, after_in_parent=pool.after_fork)


def locate(array: np.ndarray) -> Optional[Tuple[int, int]]:
    """(file descriptor, offset) of a contiguous array, or of a view, in shared memory; None if it lies elsewhere."""
    found = memory_file(array.__array_interface__["data"][0], array.nbytes)
    return None if found is None else (found[0], found[2])


def memory_file(address: int, nbytes: int) -> Optional[Tuple[int, int, int]]:
    """(file descriptor, inode, offset) of memory that lies in a shared segment, or None."""
    found = pool.find(address, nbytes) if pool.used else None
    return None if found is None else (found[0].fd, found[0].inode, found[1])


def _allocate(shape: Shape, dtype: Any, order: str) -> Tuple[np.ndarray, bool]:
    dtype = np.dtype(dtype)
    if dtype.hasobject or dtype.itemsize == 0:
        raise TypeError(f"an array of dtype {dtype} cannot be shared")
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F', not {order!r}")
    dims = tuple(int(n) for n in np.atleast_1d(shape)) if not isinstance(shape, tuple) else tuple(int(n) for n in shape)
    if any(n < 0 for n in dims):
        raise ValueError("negative dimensions are not allowed")
    segment, zero = pool.take(math.prod(dims) * dtype.itemsize)
    return np.ndarray(dims, dtype, pool.lease(segment), order=order), zero


def empty(shape: Shape, dtype: Any = float, order: str = "C") -> np.ndarray:
    """As `numpy.empty`, in memory that can be shared with the daemon.

    Views keep the memory alive. After a fork parent and child share the array.

    Raises
    ------
    TypeError, ValueError, OutOfMemory
    """
    return _allocate(shape, dtype, order)[0]


def zeros(shape: Shape, dtype: Any = float, order: str = "C") -> np.ndarray:
    """As `numpy.zeros`, in memory that can be shared with the daemon (see `empty`)."""
    a, zero = _allocate(shape, dtype, order)
    if not zero:
        a.fill(0)
    return a


def asarray(a: Any, dtype: Any = None, order: str = "C") -> np.ndarray:
    """`a` in memory that can be shared with the daemon (see `empty`): itself if it lies there, has this dtype and is contiguous, else a copy."""
    a = np.asarray(a, dtype)
    if (a.flags.c_contiguous if order == "C" else a.flags.f_contiguous) and locate(a) is not None:
        return a
    out = empty(a.shape, a.dtype, order)
    out[...] = a
    return out
