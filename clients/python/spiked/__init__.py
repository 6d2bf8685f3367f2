# SPDX-License-Identifier: BSD-3-Clause
"""Client of the spiked daemon: spike detection and reductions of neural recordings, array expressions, compiled loops.

>>> import spiked
>>> with spiked.launch() as sp:                      # or spiked.connect() for the daemon that runs already
...     rec = sp.open("session.nwb")
...     peaks = rec.detect_peaks(preprocess=[spiked.bandpass(300, 6000), spiked.common_reference("median")])

In place of NumExpr and of Numba:

>>> import spiked as ne
>>> y = ne.evaluate("3*x**2 + 2*x + 1")
>>> from spiked import njit, prange
"""

import importlib
from typing import TYPE_CHECKING, Any, List

from .client import Client, connect, launch
from .daemon import Daemon
from .errors import (
    AssertionFailed,
    Busy,
    Cancelled,
    ConnectionLost,
    Corrupt,
    DaemonStartError,
    DeadlineExceeded,
    Denied,
    DivisionByZero,
    FileError,
    InternalError,
    Invalid,
    InvalidSyntax,
    NoDaemon,
    NotFound,
    OutOfBounds,
    OutOfMemory,
    ProtocolError,
    SpikedError,
    TooLarge,
    TypingError,
    Unavailable,
    UnknownName,
    Unreachable,
    Unsupported,
    VariableUnset,
)
from .kernels import jit, njit, prange
from .session import use
from .shared import asarray, empty, zeros
from .stages import (
    bandpass,
    bandstop,
    blank,
    blank_saturation,
    center,
    common_reference,
    highpass,
    interpolate,
    lowpass,
    neo,
    notch,
    phase_shift,
    scale,
    silence,
    whiten,
    zscore,
)
from .wire import PEAK_DTYPE

if TYPE_CHECKING:
    from .expressions import NumExpr, disassemble, evaluate, re_evaluate, validate
    from .recording import Recording, Segment
    from .threads import detect_number_of_cores, get_num_threads, print_versions, set_num_threads

# Imported when they are used: a process that only wants a kernel's answer has it some milliseconds sooner.
_LATER = {
    "NumExpr": "expressions", "disassemble": "expressions", "evaluate": "expressions", "re_evaluate": "expressions", "validate": "expressions",
    "Recording": "recording", "Segment": "recording", "detect_number_of_cores": "threads", "get_num_threads": "threads", "print_versions": "threads",
    "set_num_threads": "threads",
}

__version__ = "0.2.0"

__all__ = [
    "AssertionFailed", "Busy", "Cancelled", "Client", "ConnectionLost", "Corrupt", "Daemon", "DaemonStartError", "DeadlineExceeded", "Denied",
    "DivisionByZero", "FileError", "InternalError", "Invalid", "InvalidSyntax", "NoDaemon", "NotFound", "NumExpr", "OutOfBounds", "OutOfMemory",
    "PEAK_DTYPE", "ProtocolError", "Recording", "Segment", "SpikedError", "TooLarge", "TypingError", "Unavailable", "UnknownName", "Unreachable",
    "Unsupported", "VariableUnset", "asarray", "bandpass", "bandstop", "blank", "blank_saturation", "center", "common_reference", "connect",
    "detect_number_of_cores", "disassemble", "empty", "evaluate", "get_num_threads", "highpass", "interpolate", "jit", "launch", "lowpass", "neo",
    "njit", "notch", "phase_shift", "prange", "print_versions", "re_evaluate", "scale", "set_num_threads", "silence", "use", "validate", "whiten", "zeros",
    "zscore",
]


def __getattr__(name: str) -> Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module 'spiked' has no attribute {name!r}")
    value = getattr(importlib.import_module("." + module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted(set(globals()) | set(__all__))
