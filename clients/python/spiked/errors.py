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
        shown = f"{message}\nhint: {hint}" if "\n" in message else f"{message} ({hint})"
        super().__init__(shown if hint else message)
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


class OutOfBounds(SpikedError, IndexError):
    """A kernel's index outside an array."""

    status = "INVALID"


class DivisionByZero(SpikedError, ZeroDivisionError):
    """A kernel's integer division or modulo by zero."""

    status = "INVALID"


class AssertionFailed(SpikedError, AssertionError):
    """An assert statement of a kernel."""

    status = "INVALID"


class VariableUnset(SpikedError, UnboundLocalError):
    """A kernel's variable that has no value yet."""

    status = "INVALID"


class TypingError(SpikedError, TypeError):
    """A program that does not go together with these types."""

    status = "INVALID"


class InvalidSyntax(SpikedError, SyntaxError):
    """A text that is not of the language."""

    status = "INVALID"


class UnknownName(SpikedError, KeyError):
    """A name of an expression that the caller does not have."""

    status = "INVALID"

    __str__ = Exception.__str__


_BY_STATUS: Dict[str, Type[SpikedError]] = {
    c.status: c
    for c in (Invalid, NotFound, Denied, Unsupported, TooLarge, Busy, DeadlineExceeded, Cancelled, Unavailable, Corrupt, FileError, OutOfMemory,
              Unreachable, ProtocolError, InternalError)
}


# How a call of a program fails: a part of the message (kernels/compiler/runtime.h), and its class. The rest of them are values: ValueError.
_RUN_TIME: Dict[str, Type[SpikedError]] = {
    "is out of bounds for an axis": OutOfBounds,
    "division or modulo by zero": DivisionByZero,
    "the assertion is false": AssertionFailed,
    "a variable is used that has no value yet": VariableUnset,
    "the arrays of this call need more than": OutOfMemory,
    "to a negative power": Invalid,
    "NaN, infinite or too large cannot become": Invalid,
    "shapes do not match": Invalid,
    "cannot have the length": Invalid,
    "no value for an empty array": Invalid,
    "step of range must not be zero": Invalid,
    "outside what the function accepts": Invalid,
}


def of_program(header: Dict[str, Any]) -> SpikedError:
    """As `from_reply`, for compile, call and evaluate: what is wrong with the text or its types is a TypeError, and calls fail as in Python."""
    error = header.get("error") or {}
    message = error.get("message", "").split("\n")[0]
    for part, kind in _RUN_TIME.items():
        if part in message:
            return from_reply(header, kind)
    wrong_text = header.get("status") == "INVALID" and error.get("field") in ("source", "expression")
    return from_reply(header, TypingError if wrong_text else None)


def from_reply(header: Dict[str, Any], kind: Optional[Type[SpikedError]] = None) -> SpikedError:
    """The exception of a reply header whose status is not OK; of this class, or of the status's."""
    error = header.get("error") or {}
    kind = kind or _BY_STATUS.get(header.get("status", ""), InternalError)
    return kind(error.get("message", header.get("status", "?")), error.get("hint", ""), error.get("field", ""), error)
