# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the hostile-client tests: a daemon of one's own that is watched, and peers that write bytes by hand."""
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients" / "python"))

from spiked import wire  # noqa: E402

BUILD = Path(os.environ.get("SPIKED_BUILD", ROOT / "build"))
BINARY = os.environ.get("SPIKED_BINARY", str(BUILD / "spiked"))
SEED = int(os.environ.get("SPIKED_SEED", "20240506"))
PATIENCE = 20.0  # s: no wait in these tests is longer
REQ = bytes.fromhex("0053500000300000")
REP = bytes.fromhex("0053500000310000")
TRANSPORTS = ("ipc", "tcp")


def is_sanitized(binary=BINARY):
    """Whether the daemon is built with AddressSanitizer (its memory figures are then its own)."""
    return b"__asan_init" in Path(binary).read_bytes()


def until(condition, what, patience=PATIENCE):
    """Polls a condition that no descriptor announces; returns its value, fails with `what` in the end."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {patience:g} s: {what()}" if callable(what) else f"not within {patience:g} s: {what}"
        time.sleep(0.005)


class Daemon:
    """A daemon in a directory of its own. `nofile` is its RLIMIT_NOFILE."""

    def __init__(self, options=None, nofile=None):
        self.dir = Path(tempfile.mkdtemp(prefix="spiked-e2e-"))
        self.run = self.dir / "run"
        self.log_file = self.dir / "log"
        command = [BINARY, "--set", f"listen.runtime_dir={self.run}"]
        for key, value in (options or {}).items():
            command += ["--set", f"{key}={value}"]
        if nofile:
            command = ["prlimit", f"--nofile={nofile}:{nofile}", "--", *command]
        self.process = None
        try:
            self._start(command)
        except BaseException:
            self.kill()
            raise

    def _start(self, command):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.log_file, "ab") as log:
            notify.bind(str(self.dir / "notify"))
            env = dict(os.environ, NOTIFY_SOCKET=str(self.dir / "notify"))
            env.setdefault("ASAN_OPTIONS", "detect_leaks=1:allocator_may_return_null=1")
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True)
            end = time.monotonic() + PATIENCE
            while not (select.select([notify], [], [], 0.02)[0] and b"READY=1" in notify.recv(4096)):
                assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}"
                assert time.monotonic() < end, f"not ready:\n{self.log()}"
        endpoint = json.loads((self.run / "endpoint.json").read_text())
        self.pid = self.process.pid
        self.token = endpoint["token"]
        self.fds_start = self.fds()  # nobody is connected yet
        self.urls = {"ipc": endpoint.get("ipc"), "tcp": endpoint.get("tcp")}

    def log(self):
        return self.log_file.read_bytes().decode(errors="replace")

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss(self):
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu(self):
        """Seconds of CPU used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stats(self, transport="ipc"):
        with Peer(self, transport) as peer:
            return peer.call("stats")["result"]

    def stop(self):
        """SIGTERM; the daemon must end with code 0 and without a sanitizer's report."""
        if self.process is None:
            return
        process, self.process = self.process, None
        alive = process.poll() is None
        if alive:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = "killed: it did not stop on SIGTERM"
        log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert alive and code == 0, f"seed {SEED}: the daemon ended with {code}:\n{log[-8000:]}"
        report = re.search(r"(ERROR: \w+Sanitizer|runtime error:)[\s\S]{0,6000}", log)
        assert not report, f"seed {SEED}: {report.group(0)}"
        assert "handles are left open" not in log

    def kill(self):
        process, self.process = self.process, None
        if process:
            process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            sys.stderr.write(f"seed {SEED}; the daemon's log:\n{self.log()[-4000:]}\n")
            self.kill()


def message(header, arrays=(), request_id=None, kind=1):
    """A body (SPEC.md 2). `header` is an object or the bytes of the JSON text; `arrays` are inline ones whose descriptors are added."""
    if isinstance(header, dict):
        if arrays:
            header = dict(header, arrays=[wire.describe(name, a) for name, a in arrays])
        header = json.dumps(header, separators=(",", ":")).encode()
    body = struct.pack("<4sHH16sII", b"SPKD", 1, kind, request_id or os.urandom(16), len(header), 0) + header
    for _, a in arrays:
        body += bytes(-len(body) % 64) + np.asarray(a).tobytes("A")
    return body


class Peer:
    """A socket to the daemon that sends what it is told."""

    def __init__(self, daemon, transport="ipc", handshake=True):
        self.daemon, self.transport = daemon, transport
        url = daemon.urls[transport]
        if transport == "ipc":
            self.sock = socket.socket(socket.AF_UNIX)
            target = url[len("ipc://"):]
        else:
            self.sock = socket.socket(socket.AF_INET)
            host, _, port = url[len("tcp://"):].rpartition(":")
            target = (host, int(port))
        self.sock.connect(target)  # blocking: a full backlog makes it wait, where a timeout would make it fail
        self.sock.settimeout(PATIENCE)
        if transport == "tcp":
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tag = 0
        if handshake:
            self.sock.sendall(REQ)
            assert self.receive(8) == REP

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    close = __exit__

    def frame(self, payload):
        return (b"\x01" if self.transport == "ipc" else b"") + struct.pack(">Q", len(payload)) + payload

    def request(self, header, arrays=(), request_id=None):
        """The body of a request, with the token where it is needed."""
        if self.transport == "tcp" and "token" not in header:
            header = dict(header, token=self.daemon.token)
        return message(header, arrays, request_id)

    def send_body(self, body, tags=None):
        """One SP message; returns its tags."""
        self.tag += 1
        tags = tags or struct.pack(">I", 0x80000000 | self.tag)
        self.sock.sendall(self.frame(tags + body))
        return tags

    def send(self, op, params=None, arrays=(), request_id=None, **more):
        header = {"op": op, **({"params": params} if params else {}), **more}
        return self.send_body(self.request(header, arrays, request_id))

    def receive(self, n):
        data = b""
        while len(data) < n:
            got = self.sock.recv(n - len(data))
            if not got:
                raise ConnectionError(f"closed after {len(data)} of {n} bytes")
            data += got
        return data

    def receive_frame(self):
        head = self.receive(9 if self.transport == "ipc" else 8)
        assert self.transport == "tcp" or head[0] == 1
        return self.receive(struct.unpack(">Q", head[-8:])[0])

    def receive_reply(self):
        """(tags, id, header, arrays) of the next reply."""
        payload = self.receive_frame()
        at = 0
        while not payload[at] & 0x80:
            at += 4
        request_id, header, arrays = wire.decode(memoryview(payload)[at + 4:])
        return payload[:at + 4], request_id, header, arrays

    def call(self, op, params=None, arrays=(), request_id=None, **more):
        """The reply's header, with the arrays under "data"."""
        tags = self.send(op, params, arrays, request_id, **more)
        got, _, header, data = self.receive_reply()
        assert got == tags
        return dict(header, data=data)

    def closed(self):
        """Waits for the daemon to close this connection (a reset counts); replies before that are dropped."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionError:
            pass
        return True


def check_serves(daemon):
    """A fresh client on each transport gets a correct answer."""
    x = np.arange(60, dtype="<f8").reshape(20, 3)
    for transport in TRANSPORTS:
        if daemon.urls[transport]:
            with Peer(daemon, transport) as peer:
                got = peer.call("reduce", {"operations": ["sum", "max"]}, [("traces", x)])
                assert got["status"] == "OK", got
                assert np.array_equal(got["data"]["sum"], x.sum(0)) and np.array_equal(got["data"]["max"], x.max(0))


def check_quiet(daemon):
    """All that the group used is given back: connections, bytes, running work, descriptors."""
    def quiet():
        try:
            s = daemon.stats()
        except ConnectionError:  # limits.clients may still be used up
            return False
        return s["clients"] == 1 and s["queued"] == s["running"] == 0 and s["bytes_in_flight"] < 4096 and daemon.fds() <= daemon.fds_start
    until(quiet, lambda: f"seed {SEED}: {daemon.stats()}, {daemon.fds()} descriptors, at the start {daemon.fds_start}")


class Watch:
    """`with Watch(daemon):` around a group of attacks; afterwards all must be as before."""

    def __init__(self, daemon):
        self.daemon = daemon

    def __enter__(self):
        check_serves(self.daemon)

    def __exit__(self, kind, *_):
        if kind is None:
            check_serves(self.daemon)
            check_quiet(self.daemon)


# --- arrays by memory, and work that takes long ---

COOKIE = np.frombuffer(os.urandom(16), np.uint8).copy()


def memory_key(**changes):
    """The header's key "memory" of this process."""
    key = {"pid": os.getpid(), "cookie_address": str(COOKIE.ctypes.data), "cookie": COOKIE.tobytes().hex()}
    return {**key, **changes}


def by_memory(name, a, address=None):
    """Descriptor of an array where it lies."""
    return wire.describe(name, a, a.ctypes.data if address is None else address)


# 2 GiB that nobody has written to: the kernel's one zero page. Hours of work for a daemon that filters it.
ENDLESS = np.zeros((8 << 20, 128), "<i2")


def endless(**more):
    """Header of a request that runs until it is cancelled."""
    stage = {"stage": "bandpass", "order": 8}
    params = {"sampling_frequency": 30000.0, "preprocess": [stage] * 4, "peak_sign": "both"}
    return {"op": "detect", "params": params, "arrays": [by_memory("traces", ENDLESS)], "memory": memory_key(), **more}


def wait_running(daemon, running=1, **at_least):
    """Until so many requests run and the other figures of stats have at least these values."""
    def there():
        s = daemon.stats()
        return s["running"] == running and all(s[k] >= v for k, v in at_least.items())
    until(there, lambda: daemon.stats())
