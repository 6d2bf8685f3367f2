# SPDX-License-Identifier: BSD-3-Clause
"""Many at once, and getting out: threads, forks, interrupts, cancels, deadlines, disconnects, fairness."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spiked
from conftest import FS, LONG, ROOT, WAIT_S, Raw, is_idle, is_running, long_request, wait_until
from spiked import errors, memory, wire

PYTHON = [sys.executable, "-c"]
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(ROOT / "clients" / "python"))


@pytest.fixture
def idle(client):
    """The daemon has nothing to do, before and after the test."""
    wait_until("the daemon is idle", lambda: is_idle(client))
    yield
    wait_until("the daemon is idle again", lambda: is_idle(client))


def test_eight_threads(client, nwb):
    rec = client.open(nwb.path)
    expected = rec.detect_peaks(detect_threshold=4)
    rng = np.random.default_rng(51)
    arrays = [rng.integers(-1000, 1000, (20000 + i, 3)).astype("<i2") for i in range(8)]

    def work(i):
        for _ in range(4):
            np.testing.assert_array_equal(client.reduce(arrays[i], "sum"), arrays[i].sum(axis=0))
            np.testing.assert_array_equal(rec.read(i * 100, i * 100 + 50), nwb.traces[i * 100 : i * 100 + 50])
            np.testing.assert_array_equal(rec.detect_peaks(detect_threshold=4), expected)
            assert client.ping() > 0
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8), timeout=2 * WAIT_S))


def test_many_requests_on_one_connection(daemon):
    """Replies come in any order and are matched by tag and id."""
    r = Raw(daemon.url)
    sizes = [7, 1, 30, 2, 12, 5]
    waiting = {}
    for tag, n in enumerate(sizes):
        x = np.full((1000 * n, 1), n, "<i4")
        request_id = os.urandom(16)
        parts = wire.encode(request_id, {"op": "reduce", "params": {"operations": ["sum"]}, "arrays": [wire.describe("traces", x)]}, [x])
        body = b"".join(bytes(p) for p in parts)
        r.connection.sock.sendall(b"\x01" + (4 + len(body)).to_bytes(8, "big") + (0x80000000 | 100 + tag).to_bytes(4, "big") + body)
        waiting[request_id] = (100 + tag, 1000 * n * n)
    while waiting:
        frame = r.connection._receive_frame()
        got, header, out = wire.decode(frame[4:])
        tag, total = waiting.pop(got)
        assert header["status"] == "OK" and int.from_bytes(bytes(frame[:4]), "big") == 0x80000000 | tag and out["sum"][0] == total
    r.close()


# --- Ctrl-C ---

INTERRUPTED = """
import sys, numpy as np, spiked
client = spiked.Client(sys.argv[1])
noise = dict(noise_levels=1.0, preprocess=[spiked.bandpass(300, 6000, order=8), spiked.common_reference("median")])
try:
    if sys.argv[2] == "file":
        client.open(sys.argv[3]).detect_peaks(**noise)
    else:
        client.detect_peaks(np.zeros((8_000_000, 256), "<i2"), 30000.0, **noise)
    print("finished")
except KeyboardInterrupt:
    print("interrupted", client.ping() > 0, client.reduce(np.arange(4.0), "sum"))
"""


@pytest.mark.parametrize("what", ["file", "array"])
def test_interrupt(client, daemon, endless, idle, what):
    child = subprocess.Popen([*PYTHON, INTERRUPTED, daemon.url, what, str(endless)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=ENVIRONMENT)
    try:
        wait_until("the child's request runs", lambda: is_running(client) or child.poll() is not None)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=WAIT_S)
    finally:
        child.kill()
    assert out.split() == ["interrupted", "True", "6.0"], (out, err)


def test_a_killed_client_is_let_go(client, daemon, endless, idle):
    child = subprocess.Popen([*PYTHON, INTERRUPTED, daemon.url, "array", str(endless)], stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    try:
        wait_until("the child's request runs", lambda: is_running(client) or child.poll() is not None)
    finally:
        child.kill()
        child.wait(WAIT_S)


# --- cancel, disconnect, deadline ---

def test_cancel_by_id(client, daemon, endless, idle):
    request_id, r = os.urandom(16), Raw(daemon.url)
    result = []
    thread = threading.Thread(target=lambda: result.append(r.send(long_request(endless), [np.ones(1)], request_id)))
    thread.start()
    wait_until("it runs", lambda: is_running(client))
    assert client.cancel(request_id.hex()) is True
    thread.join(WAIT_S)
    assert not thread.is_alive()
    error = errors.from_reply(result[0][0])
    assert isinstance(error, spiked.Cancelled) and "cancelled" in error.message
    assert client.cancel(request_id.hex()) is False
    assert r.send({"op": "ping"})[0]["status"] == "OK"
    r.close()


def test_cancel_of_nothing(client):
    assert client.cancel("00" * 16) is False


def test_disconnect_cancels(client, daemon, endless, idle):
    before = client.stats()["operations"]["detect"]["errors"]
    r = Raw(daemon.url)
    body = b"".join(bytes(p) for p in wire.encode(os.urandom(16), long_request(endless), [np.ones(1)]))
    r.connection.sock.sendall(b"\x01" + (4 + len(body)).to_bytes(8, "big") + b"\x80\x00\x00\x01" + body)
    wait_until("it runs", lambda: is_running(client))
    r.close()
    wait_until("it is given up", lambda: client.stats()["operations"]["detect"]["errors"] > before)


def test_deadline_while_running(client, endless, idle):
    rec = client.open(endless)
    with pytest.raises(spiked.DeadlineExceeded, match="the deadline of 300 ms passed"):
        rec.detect_peaks(**LONG, timeout=0.3)
    with pytest.raises(TimeoutError):
        rec.detect_peaks(**LONG, timeout=0.05)
    assert client.ping() > 0


def test_deadline_while_queued(client, daemon, endless, idle):
    with spiked.Client(daemon.url) as other, ThreadPoolExecutor(1) as pool:
        rec = other.open(endless)
        long = pool.submit(lambda: pytest.raises(spiked.DeadlineExceeded, rec.detect_peaks, **LONG, timeout=3.0))
        wait_until("it runs", lambda: is_running(client))
        with pytest.raises(spiked.DeadlineExceeded, match="the deadline of 1 ms"):
            client.open(endless).detect_peaks(**LONG, timeout=0.001)
        long.result(WAIT_S)


def test_client_default_timeout(daemon, endless, idle):
    with spiked.Client(daemon.url, timeout=0.2) as c:
        with pytest.raises(spiked.DeadlineExceeded):
            c.open(endless).detect_peaks(**LONG)


# --- fairness ---

def test_short_requests_pass_a_long_one(client, daemon, endless, idle):
    x = np.arange(30000, dtype="<i4").reshape(-1, 3)
    with spiked.Client(daemon.url) as other, ThreadPoolExecutor(1) as pool:
        rec = other.open(endless)
        long = pool.submit(lambda: pytest.raises(spiked.DeadlineExceeded, rec.detect_peaks, **LONG, timeout=4.0))
        wait_until("the long request runs", lambda: is_running(client))
        start = time.monotonic()
        for _ in range(5):
            assert client.ping() < 5
            np.testing.assert_array_equal(client.reduce(x, "sum", timeout=5), x.sum(axis=0))
        took = time.monotonic() - start
        overtook = not long.done()
        long.result(WAIT_S)
    assert overtook, f"five short rounds took {took:.1f} s and did not pass the long request"


# --- fork ---

FORKED = """
import os, sys, numpy as np, spiked
client = spiked.Client(sys.argv[1])
x = np.arange(400000, dtype="<i4").reshape(-1, 2)
assert (client.reduce(x, "sum") == x.sum(axis=0)).all()
pid = os.fork()
if pid == 0:
    x += 1   # the child's own copy: the parent's memory would give the wrong sum
    ok = (client.reduce(x, "sum") == x.sum(axis=0)).all() and client.ping() > 0
    client.close()
    os._exit(0 if ok else 1)
same = all((client.reduce(x, "sum") == x.sum(axis=0)).all() for _ in range(20))
_, status = os.waitpid(pid, 0)
print(same, os.waitstatus_to_exitcode(status), client.ping() > 0)
"""


def test_fork(daemon):
    done = subprocess.run([*PYTHON, FORKED, daemon.url], capture_output=True, text=True, env=ENVIRONMENT, timeout=WAIT_S)
    assert done.stdout.split() == ["True", "0", "True"], (done.stdout, done.stderr)


OWNER = """
import os, sys, spiked
client = spiked.launch(options={"compute.threads": 1})
pid = os.fork()
if pid == 0:
    client.close()
    os._exit(0)
os.waitpid(pid, 0)
print(client.ping() > 0)
client.close()
"""


def test_a_forked_child_does_not_stop_the_parents_daemon():
    done = subprocess.run([*PYTHON, OWNER], capture_output=True, text=True, env=ENVIRONMENT, timeout=WAIT_S)
    assert done.stdout.split() == ["True"], (done.stdout, done.stderr)


# --- results into the client's memory ---

def test_outputs(raw):
    x = np.random.default_rng(52).normal(0, 1, (30000, 3))
    out = np.full((30000, 3), np.nan)
    header = {"op": "reduce", "params": {"operations": ["cumsum"]}, "memory": memory.header(),
              "arrays": [wire.describe("traces", x, x.ctypes.data)], "outputs": [wire.describe("cumsum", out, out.ctypes.data)]}
    reply, inline = raw.send(header)
    assert reply["status"] == "OK" and not inline
    assert [(a["name"], a["via"]) for a in reply["arrays"]] == [("cumsum", "memory")]
    np.testing.assert_allclose(out, np.cumsum(x, axis=0), rtol=0, atol=1e-9)


@pytest.mark.parametrize("change", [lambda out: out[:-1], lambda out: out.astype("<f4")], ids=["size", "dtype"])
def test_outputs_that_do_not_fit(raw, change):
    x = np.zeros((1000, 3))
    out = np.ascontiguousarray(change(np.zeros((1000, 3))))
    e = raw.fail({"op": "reduce", "params": {"operations": ["cumsum"]}, "memory": memory.header(),
                  "arrays": [wire.describe("traces", x, x.ctypes.data)], "outputs": [wire.describe("cumsum", out, out.ctypes.data)]})
    assert isinstance(e, spiked.Invalid) and "cumsum" in e.message


def test_an_output_that_cannot_be_written(raw, client):
    x = np.zeros((1000, 3))
    e = raw.fail({"op": "reduce", "params": {"operations": ["cumsum"]}, "memory": memory.header(),
                  "arrays": [wire.describe("traces", x, x.ctypes.data)], "outputs": [wire.describe("cumsum", x, 4096)]})
    assert isinstance(e, spiked.Unreachable)
    assert client.detect_peaks(x, FS, noise_levels=1.0).size == 0
