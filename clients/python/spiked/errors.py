# SPDX-License-Identifier: BSD-3-Clause
"""Exceptions: one class for each status of protocol/SPEC.md, section 3."""

from __future__ import annotations

from typing import Any, Dict, Optional, Type


class SpikedError(Exception):
    """A request that failed.

    Attributes
    ----------
    status : str
        The status name, ``"INVALID"``.
    hint : str
        What to do about it, or ``""``.
    field : str
        The parameter that was wrong, or ``""``.
    details : dict
        Everything the daemon said of the error (``limit``, ``retry_after_ms``, ``incident``, ...).
    """

    status = "INTERNAL"

    def __init__(self, message: str, hint: str = "", field: str = "", details: Optional[Dict[str, Any]] = None):
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message = message
        self.hint = hint
        self.field = field
        self.details = details or {}


class Invalid(SpikedError, ValueError):
    status = "INVALID"


class NotFound(SpikedError, FileNotFoundError):
    status = "NOT_FOUND"


class Denied(SpikedError, PermissionError):
    status = "DENIED"


class Unsupported(SpikedError, NotImplementedError):
    status = "UNSUPPORTED"


class TooLarge(SpikedError):
    status = "TOO_LARGE"


class Busy(SpikedError):
    status = "BUSY"


class DeadlineExceeded(SpikedError, TimeoutError):
    status = "DEADLINE"


class Cancelled(SpikedError):
    status = "CANCELLED"


class Unavailable(SpikedError):
    status = "UNAVAILABLE"


class Corrupt(SpikedError):
    status = "CORRUPT"


class FileError(SpikedError, OSError):
    status = "IO"


class OutOfMemory(SpikedError, MemoryError):
    status = "NO_MEMORY"


class Unreachable(SpikedError):
    status = "UNREACHABLE"


class ProtocolError(SpikedError):
    status = "PROTOCOL"


class InternalError(SpikedError):
    status = "INTERNAL"


class ConnectionLost(SpikedError, ConnectionError):
    """The daemon went away before it answered."""

    status = "CONNECTION"


class NoDaemon(SpikedError, ConnectionError):
    """Nobody listens there."""

    status = "NO_DAEMON"


class DaemonStartError(SpikedError):
    """A daemon that was launched did not become ready."""

    status = "START"


_BY_STATUS: Dict[str, Type[SpikedError]] = {
    c.status: c
    for c in (Invalid, NotFound, Denied, Unsupported, TooLarge, Busy, DeadlineExceeded, Cancelled, Unavailable, Corrupt, FileError, OutOfMemory,
              Unreachable, ProtocolError, InternalError)
}


def from_reply(header: Dict[str, Any]) -> SpikedError:
    """The exception of a reply header whose status is not OK."""
    error = header.get("error") or {}
    kind = _BY_STATUS.get(header.get("status", ""), InternalError)
    return kind(error.get("message", header.get("status", "?")), error.get("hint", ""), error.get("field", ""), error)
