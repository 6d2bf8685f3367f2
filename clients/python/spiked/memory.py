# SPDX-License-Identifier: BSD-3-Clause
"""Arrays by this process's own memory (protocol/SPEC.md, 2.3): the daemon reads them where they lie."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict, List

import numpy as np

# Below this size a copy through the socket costs less than the system calls.
MIN_BYTES = 64 << 10

_PR_SET_PTRACER = 0x59616D61

# Arrays the daemon may still be using after a failed cancel: they live as long as the process.
abandoned: List[Any] = []

_cookie = np.frombuffer(os.urandom(16), np.uint8).copy()


def header() -> Dict[str, Any]:
    """The "memory" entry of a request header: who we are, and a proof that it is our memory that is read."""
    return {"pid": os.getpid(), "cookie_address": str(_cookie.ctypes.data), "cookie": _cookie.tobytes().hex()}


def allow(daemon_pid: int) -> None:
    """Lets that process read our memory where Yama restricts it. Elsewhere this does nothing."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PTRACER, ctypes.c_ulong(daemon_pid), 0, 0, 0)
    except (OSError, AttributeError):
        pass
