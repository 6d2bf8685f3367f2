# SPDX-License-Identifier: BSD-3-Clause
"""Finding a running daemon, and starting a private one.

What only a private daemon needs is imported where it is used: a client of a running daemon has its first answer sooner.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from .errors import DaemonStartError, NoDaemon


def runtime_dir() -> Path:
    """Where this user's daemon keeps endpoint.json."""
    if os.environ.get("SPIKED_RUNTIME_DIR"):
        return Path(os.environ["SPIKED_RUNTIME_DIR"])
    if os.environ.get("XDG_RUNTIME_DIR"):
        return Path(os.environ["XDG_RUNTIME_DIR"]) / "spiked"
    return Path(f"/tmp/spiked-{os.geteuid()}")


def read_endpoint(directory: Path) -> Dict[str, Any]:
    """endpoint.json of a runtime directory; {} if there is none of this user's."""
    try:
        with open(directory / "endpoint.json") as f:
            if os.fstat(f.fileno()).st_uid != os.geteuid():
                return {}
            return dict(json.load(f))
    except (OSError, ValueError):
        return {}


def find_url(url: Optional[str], token: Optional[str]) -> Tuple[str, Optional[str]]:
    """(url, token) from the arguments, the environment, or endpoint.json."""
    endpoint = read_endpoint(runtime_dir())
    url = url or os.environ.get("SPIKED_URL") or endpoint.get("ipc") or endpoint.get("tcp")
    if not url:
        raise NoDaemon(f"no daemon found: there is no {runtime_dir() / 'endpoint.json'}", "start one with `spiked`, or use spiked.launch()")
    return url, token or os.environ.get("SPIKED_TOKEN") or endpoint.get("token")


def find_binary() -> str:
    """The program to launch: $SPIKED_BINARY, the build tree this package lies in, or PATH."""
    given = os.environ.get("SPIKED_BINARY")
    if given:
        return given
    built = Path(__file__).resolve().parents[3] / "build" / "spiked"
    if built.is_file():
        return str(built)
    import shutil

    found = shutil.which("spiked")
    if found:
        return found
    raise DaemonStartError("the program spiked was not found", "install it, build it with make, or set SPIKED_BINARY")


class Daemon:
    """A private daemon that lives as long as this object (or the process, however it ends).

    Attributes
    ----------
    url : str
        ``ipc://`` address of its socket.
    tcp_url, token : str
        For clients that have only TCP.
    pid : int
    log : pathlib.Path
        Its log file.
    """

    def __init__(self, config: Optional[os.PathLike] = None, options: Optional[Mapping[str, Any]] = None, binary: Optional[str] = None,
                 timeout: float = 30.0):
        import tempfile

        self._dir = Path(tempfile.mkdtemp(prefix="spiked-"))
        self.log = self._dir / "log"
        self._process: Optional["subprocess.Popen"] = None
        self._owner = os.getpid()
        try:
            self._start(config, dict(options or {}), binary or find_binary(), timeout)
        except BaseException:
            self.close()
            raise
        atexit.register(self.close)

    def _start(self, config: Optional[os.PathLike], options: Dict[str, Any], binary: str, timeout: float) -> None:
        options.setdefault("listen.runtime_dir", str(self._dir / "run"))
        # The daemon ends when our end of the pipe closes, even if this process is killed.
        options["service.stop_on_stdin_eof"] = "yes"
        command = [binary] + ([os.fspath(config)] if config else [])
        for key, value in options.items():
            text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
            command += ["--set", f"{key}={text}"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.log, "wb") as log:
            notify.bind(str(self._dir / "notify"))
            env = dict(os.environ, NOTIFY_SOCKET=str(self._dir / "notify"))
            try:
                # A session of its own: Ctrl-C in the terminal is for us, not for the daemon.
                import subprocess

                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=env, start_new_session=True)
            except OSError as e:
                raise DaemonStartError(f"cannot start {binary}: {e}") from e
            self._wait(notify, timeout)
        endpoint = read_endpoint(Path(options["listen.runtime_dir"]))
        self.url = endpoint.get("ipc") or endpoint["tcp"]
        self.tcp_url = endpoint.get("tcp")
        self.token = endpoint.get("token")
        self.pid = self._process.pid

    def _wait(self, notify: socket.socket, timeout: float) -> None:
        assert self._process is not None
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if select.select([notify], [], [], 0.02)[0] and b"READY=1" in notify.recv(4096):
                return
            if self._process.poll() is not None:
                raise DaemonStartError(f"the daemon ended with code {self._process.returncode} before it was ready:\n{self.log_tail()}")
        raise DaemonStartError(f"the daemon was not ready within {timeout:g} s:\n{self.log_tail()}")

    def log_tail(self, nbytes: int = 2000) -> str:
        """The end of its log."""
        try:
            return self.log.read_bytes()[-nbytes:].decode(errors="replace")
        except OSError:
            return ""

    def close(self) -> None:
        """Stops it and removes its directory. May be called twice; in a process that was forked off it only lets go."""
        atexit.unregister(self.close)
        process, self._process = self._process, None
        if process is not None:
            if process.stdin:
                process.stdin.close()
            if self._owner != os.getpid():
                return
            import subprocess

            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._owner == os.getpid():
            import shutil

            shutil.rmtree(self._dir, ignore_errors=True)
