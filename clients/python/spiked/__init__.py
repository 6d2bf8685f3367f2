# SPDX-License-Identifier: BSD-3-Clause
"""Client of the spiked daemon: spike detection and reductions of neural recordings.

>>> import spiked
>>> with spiked.launch() as sp:                      # or spiked.connect() for the daemon that runs already
...     rec = sp.open("session.nwb")
...     peaks = rec.detect_peaks(preprocess=[spiked.bandpass(300, 6000), spiked.common_reference("median")])
"""

from .client import Client, connect, launch
from .daemon import Daemon
from .errors import (
    Busy,
    Cancelled,
    ConnectionLost,
    Corrupt,
    DaemonStartError,
    DeadlineExceeded,
    Denied,
    FileError,
    InternalError,
    Invalid,
    NoDaemon,
    NotFound,
    OutOfMemory,
    ProtocolError,
    SpikedError,
    TooLarge,
    Unavailable,
    Unreachable,
    Unsupported,
)
from .recording import Recording, Segment
from .stages import bandpass, common_reference, highpass
from .wire import PEAK_DTYPE

__version__ = "0.1.0"

__all__ = [
    "Busy", "Cancelled", "Client", "ConnectionLost", "Corrupt", "Daemon", "DaemonStartError", "DeadlineExceeded", "Denied", "FileError",
    "InternalError", "Invalid", "NoDaemon", "NotFound", "OutOfMemory", "PEAK_DTYPE", "ProtocolError", "Recording", "Segment", "SpikedError",
    "TooLarge", "Unavailable", "Unreachable", "Unsupported", "bandpass", "common_reference", "connect", "highpass", "launch",
]
