# SPDX-License-Identifier: BSD-3-Clause
"""NumExpr's functions about threads and versions. The threads are the daemon's (``compute.threads``), shared by all its clients."""

from __future__ import annotations

import os
from typing import Optional

import numpy as np

from . import session

_threads: Optional[int] = None


def detect_number_of_cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_threads() -> int:
    """What `set_num_threads` was last called with; before, the number of cores."""
    return detect_number_of_cores() if _threads is None else _threads


def set_num_threads(nthreads: int) -> int:
    """Remembers the number and returns the one before, as NumExpr; the daemon's own threads compute, and its ``compute.threads`` counts.

    Raises
    ------
    ValueError
        Below 1.
    """
    global _threads
    if nthreads < 1:
        raise ValueError("the number of threads must be positive")
    before = get_num_threads()
    _threads = int(nthreads)
    return before


def print_versions() -> None:
    """Versions of the client, of Python and NumPy, and of the daemon."""
    import platform

    from . import __version__

    client = session.current()
    info = client.info()
    print("-=" * 38)
    for name, value in (("spiked", __version__), ("NumPy", np.__version__), ("Python", platform.python_version()), ("Platform", platform.platform()),
                        ("Daemon", f"{info['version']} at {client.url}"), ("Threads", info["threads"]), ("Instructions", info["isa"])):
        print(f"{name + ':':<15}{value}")
    print("-=" * 38)
