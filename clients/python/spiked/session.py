# SPDX-License-Identifier: BSD-3-Clause
"""The client that `evaluate`, `njit` and the others use: one for the process, made when it is first needed."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Optional

from .client import Client, connect

_lock = threading.Lock()
_client: Optional[Client] = None
_ours = False


def use(client: Optional[Client]) -> Optional[Client]:
    """Sets the client of this process and returns the one it had (None: there was none yet).

    None goes back to the default, which is found at the next use: ``$SPIKED_URL``, else this user's running daemon, else a private one that
    ends with the process. A client that was made by the default is closed.
    """
    global _client, _ours
    with _lock:
        before, was_ours = _client, _ours
        _client, _ours = client, False
    if was_ours and before is not None and before is not client:
        before.close()
        return None
    return before


def current() -> Client:
    """The client of this process.

    Raises
    ------
    NoDaemon, DaemonStartError
    """
    global _client, _ours
    client = _client
    if client is not None:
        return client
    with _lock:
        if _client is None:
            _client, _ours = connect(), True
        return _client


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


@atexit.register
def _close() -> None:
    if _ours and _client is not None:
        _client.close()


os.register_at_fork(after_in_child=_after_fork)
