# SPDX-License-Identifier: BSD-3-Clause
"""Other implementations of SP as clients: nngcat and libnanomsg; and what REQ/REP allows that our own clients do not use."""
import json
import os
import shutil
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hostile import PATIENCE, ROOT, TRANSPORTS, Daemon, Peer, Watch, endless, message, until, wait_running, wire

MIB = 1 << 20


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as d:
        yield d


@pytest.fixture(autouse=True)
def watched(daemon):
    with Watch(daemon):
        yield


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


def body_of(daemon, op="ping", params=None, arrays=(), request_id=None):
    return message({"op": op, "params": params or {}, "token": daemon.token}, arrays, request_id)


def body_of_size(daemon, n):
    """A valid request of exactly n bytes: one array of bytes at its end."""
    arrays, pad = [("traces", np.zeros(1, "|u1"))], n
    for _ in range(3):
        a = np.arange(pad, dtype="u1") if pad < 256 else np.resize(np.arange(251, dtype="u1"), pad)
        arrays = [("traces", a)]
        pad -= len(body_of(daemon, "reduce", {"operations": ["sum", "max"]}, arrays)) - n
    body = body_of(daemon, "reduce", {"operations": ["sum", "max"]}, arrays)
    assert len(body) == n
    return body, arrays[0][1]


# --- nngcat ---

@pytest.fixture
def nngcat():
    program = shutil.which("nngcat")
    if not program:
        pytest.skip("nngcat (nng-utils) is not installed")

    def run(url, file):
        done = subprocess.run([program, "--req0", "--connect", url, "--file", str(file), "--raw", "--recv-timeout", "10", "--send-timeout", "10"],
                              capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


def test_nngcat(daemon, transport, nngcat, tmp_path):
    x = np.arange(3000, dtype="<f4").reshape(1000, 3)
    request_id = os.urandom(16)
    (tmp_path / "body").write_bytes(body_of(daemon, "reduce", {"operations": ["sum"]}, [("traces", x)], request_id))
    got, header, arrays = wire.decode(memoryview(nngcat(daemon.urls[transport], tmp_path / "body")))
    assert got == request_id and header["status"] == "OK" and np.array_equal(arrays["sum"], x.sum(0, dtype="f8"))


def test_nngcat_nonsense(daemon, transport, nngcat, tmp_path):
    (tmp_path / "body").write_bytes(b"hello")
    assert wire.decode(memoryview(nngcat(daemon.urls[transport], tmp_path / "body")))[1]["status"] == "PROTOCOL"


# --- libnanomsg ---

@pytest.fixture(scope="module")
def nn_req(tmp_path_factory):
    """run(url, resend_ms, bodies) gives the bodies of the replies."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    program = tmp_path_factory.mktemp("nn") / "nn_req"
    subprocess.run(["gcc", "-O1", "-Wall", "-o", program, str(ROOT / "tests/e2e/nn_req.c"), "-lnanomsg"], check=True, timeout=60)

    def run(url, bodies, resend_ms=0):
        directory = tmp_path_factory.mktemp("bodies")
        for i, body in enumerate(bodies):
            (directory / f"body{i}").write_bytes(body)
        files = [str(directory / f"body{i}") for i in range(len(bodies))]
        done = subprocess.run([program, url, str(directory / "reply"), str(resend_ms), *files], capture_output=True, timeout=PATIENCE + 10)
        assert done.returncode == 0, done.stderr
        return [(directory / f"reply.{i}").read_bytes() for i in range(len(bodies))]
    return run


def test_libnanomsg_bodies(daemon, transport, nn_req):
    """0 bytes, 1 byte, 1 MiB and a byte less and more, all on one socket."""
    large = [body_of_size(daemon, MIB + more) for more in (-1, 0, 1)]
    replies = nn_req(daemon.urls[transport], [b"", b"x", *[body for body, _ in large], body_of(daemon)])
    headers = [wire.decode(memoryview(r)) for r in replies]
    assert [h["status"] for _, h, _ in headers] == ["PROTOCOL", "PROTOCOL", "OK", "OK", "OK", "OK"]
    for (_, x), (_, _, arrays) in zip(large, headers[2:5]):
        assert arrays["sum"][0] == x.sum(dtype="f8") and arrays["max"][0] == x.max()


def test_libnanomsg_several_arrays(daemon, transport, nn_req):
    rng = np.random.default_rng(7)
    x = rng.normal(0, 10, (30000, 4)).astype("<f4")
    body = body_of(daemon, "detect", {"sampling_frequency": 30000.0, "peak_sign": "both"}, [("traces", x), ("noise_levels", np.full(4, 10.0))])
    _, header, arrays = wire.decode(memoryview(nn_req(daemon.urls[transport], [body])[0]))
    assert header["status"] == "OK" and header["result"]["num_peaks"] == len(arrays["peaks"]) and np.array_equal(arrays["noise_levels"], np.full(4, 10.0))


def test_libnanomsg_large_reply(daemon, transport, nn_req):
    x = np.arange(400000, dtype="<f4")
    _, header, arrays = wire.decode(memoryview(nn_req(daemon.urls[transport], [body_of(daemon, "reduce", {"operations": ["cumsum"]}, [("traces", x)])])[0]))
    assert header["status"] == "OK" and np.array_equal(arrays["cumsum"], np.cumsum(x, dtype="f8"))


def test_libnanomsg_resend_runs_once(daemon, nn_req):
    """REQ repeats a request that waits in the queue; it runs once, and the answer is right. (A small message: libnanomsg 1.1.5 may abort when
    it repeats one that it has not yet sent whole.)"""
    x = np.ones((100, 4))
    body = body_of(daemon, "reduce", {"operations": ["sum"]}, [("traces", x)])
    before = daemon.stats()
    with Peer(daemon) as owner, ThreadPoolExecutor() as pool:
        owner.send_body(owner.request(endless()))  # keeps the only lane busy
        wait_running(daemon)
        reply = pool.submit(nn_req, daemon.urls["ipc"], [body], 50)
        until(lambda: daemon.stats()["bytes_received"] - before["bytes_received"] > 4 * len(body) + 5000, "the request was sent several times")
        owner.close()
        _, header, arrays = wire.decode(memoryview(reply.result(PATIENCE)[0]))
    assert header["status"] == "OK" and np.array_equal(arrays["sum"], x.sum(0))
    assert daemon.stats()["operations"]["reduce"]["count"] == before["operations"]["reduce"]["count"] + 1


# --- what REQ/REP allows ---

def test_two_requests_in_flight(daemon, transport):
    """Answered in the order in which they are done, told apart by tag and id."""
    with Peer(daemon, transport) as peer:
        slow, fast = os.urandom(16), os.urandom(16)
        x = np.zeros((20000, 32), "<i2")
        stages = {"sampling_frequency": 30000.0, "preprocess": [{"stage": "bandpass", "order": 8}] * 4}
        slow_tag = peer.send("detect", stages, [("traces", x)], slow)
        fast_tag = peer.send("ping", request_id=fast)
        got = {reply[1]: reply for reply in (peer.receive_reply(), peer.receive_reply())}
        assert got[slow][0] == slow_tag and got[fast][0] == fast_tag
        assert got[slow][2]["status"] == got[fast][2]["status"] == "OK"


def test_tag_stack(daemon, transport):
    """As devices in between make it: up to 8 hops, repeated byte for byte."""
    with Peer(daemon, transport) as peer:
        for hops in range(9):
            tags = b"".join(struct.pack(">I", 0x7FFFFFFF - i) for i in range(hops)) + struct.pack(">I", 0x80000000 + hops)
            peer.send_body(peer.request({"op": "ping"}), tags)
            assert peer.receive_reply()[0] == tags


def test_same_message_twice_at_once(daemon):
    """Two copies in one write: one run, two answers."""
    with Peer(daemon) as peer:
        x = np.ones((1000, 2))
        frame = peer.frame(b"\x80\0\0\x09" + peer.request({"op": "reduce", "params": {"operations": ["sum"]}}, [("traces", x)]))
        before = daemon.stats()["operations"]["reduce"]["count"]
        peer.sock.sendall(frame * 2)
        first, second = peer.receive_reply(), peer.receive_reply()
        assert first[:2] == second[:2] and first[2] == second[2]
        assert daemon.stats()["operations"]["reduce"]["count"] == before + 1


def test_golden_vector(daemon):
    """SPEC.md 1, byte by byte, with a body that is no message: the frame around the answer."""
    with Peer(daemon, handshake=False) as peer:
        peer.sock.sendall(bytes.fromhex("0053500000300000"))
        assert peer.receive(8) == bytes.fromhex("0053500000310000")
        peer.sock.sendall(bytes.fromhex("01 0000000000000009 80000001 68656c6c6f"))
        head = peer.receive(13)
        assert head[0] == 1 and head[9:] == bytes.fromhex("80000001")
        body = peer.receive(struct.unpack(">Q", head[1:9])[0] - 4)
        assert body[:8] == b"SPKD\1\0\2\0" and json.loads(body[32:])["status"] == "PROTOCOL"
