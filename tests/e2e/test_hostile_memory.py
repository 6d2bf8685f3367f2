# SPDX-License-Identifier: BSD-3-Clause
"""Arrays by the client's own memory: wrong addresses, wrong proofs, processes that end or fork."""
import ctypes
import mmap
import os
import signal
import socket

import numpy as np
import pytest

from hostile import Daemon, Peer, Watch, by_memory, memory_key, until

X = np.arange(40000, dtype="<f8").reshape(10000, 4)
PAGE = mmap.PAGESIZE


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as d:
        yield d


@pytest.fixture(autouse=True)
def watched(daemon):
    with Watch(daemon):
        yield


@pytest.fixture
def peer(daemon):
    with Peer(daemon) as p:
        yield p


def reduce(peer, arrays, memory=None, outputs=None, operations=("sum",)):
    header = {"op": "reduce", "params": {"operations": list(operations)}, "arrays": arrays, "memory": memory_key() if memory is None else memory}
    if outputs:
        header["outputs"] = outputs
    peer.send_body(peer.request(header))
    _, _, got, data = peer.receive_reply()
    return dict(got, data=data)


def pages(n):
    """Private anonymous pages and their address."""
    area = mmap.mmap(-1, n * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return area, ctypes.addressof(ctypes.c_char.from_buffer(area))


libc = ctypes.CDLL(None, use_errno=True)
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def raw_pages(n):
    """Pages that this test may unmap itself."""
    return libc.mmap(None, n * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


def test_good(peer):
    for order in "CF":
        x = np.asarray(X, order=order)
        got = reduce(peer, [by_memory("traces", x)])
        assert got["status"] == "OK" and np.array_equal(got["data"]["sum"], X.sum(0))


@pytest.mark.parametrize("address", [0, 1, 4096, 0x7FFFFFFFF000, 1 << 47, 1 << 63, (1 << 64) - X.nbytes - 1])
@pytest.mark.parametrize("order", ["C", "F"])
def test_bad_address(peer, address, order):
    got = reduce(peer, [by_memory("traces", np.asarray(X, order=order), address)])
    assert got["status"] == "UNREACHABLE" and "inline" in got["error"]["hint"], got


def test_unmapped_hole(peer):
    """The kernel moves what lies before a hole and says so; a short count is a failure."""
    at = raw_pages(100)
    libc.munmap(at + 50 * PAGE, PAGE)
    x = np.zeros((100 * PAGE // 32, 4))
    for order in "CF":
        got = reduce(peer, [by_memory("traces", np.asarray(x, order=order), at)])
        assert got["status"] == "UNREACHABLE", got
    libc.munmap(at, 100 * PAGE)


def test_gigantic_array(peer):
    """2^60 bytes from a good address: refused when the memory ends, without an allocation of that size."""
    d = {"name": "traces", "dtype": "<f8", "shape": [1 << 55, 4], "nbytes": 1 << 60, "via": "memory", "address": str(X.ctypes.data)}
    for operations in (["sum"], ["cumsum"], ["mad"]):
        header = {"op": "reduce", "params": {"operations": operations, "sampling_frequency": 30000.0}, "arrays": [d], "memory": memory_key()}
        peer.send_body(peer.request(header))
        assert peer.receive_reply()[2]["status"] in ("UNREACHABLE", "TOO_LARGE", "NO_MEMORY")


@pytest.mark.parametrize("changes,status", [
    ({"cookie": "00" * 16}, "UNREACHABLE"), ({"cookie": "0" * 31}, "INVALID"), ({"cookie": 5}, "INVALID"), ({"cookie": "zz" * 16}, "INVALID"),
    ({"cookie_address": "0"}, "UNREACHABLE"), ({"cookie_address": str((1 << 64) - 1)}, "UNREACHABLE"), ({"cookie_address": "9" * 40}, "UNREACHABLE"),
    ({"cookie_address": 5}, "INVALID"), ({"pid": 1}, "UNREACHABLE"), ({"pid": -1}, "UNREACHABLE"), ({"pid": "1"}, "INVALID"), ({"pid": 1 << 40}, "UNREACHABLE"),
    ({"pid": (1 << 32) + os.getpid()}, "UNREACHABLE"),
])
def test_wrong_proof(peer, changes, status):
    got = reduce(peer, [by_memory("traces", X)], memory_key(**changes))
    assert got["status"] == status, got


@pytest.mark.parametrize("memory", [None, [], {}, "x"])
def test_no_proof(peer, memory):
    header = {"op": "reduce", "params": {"operations": ["sum"]}, "arrays": [by_memory("traces", X)], "memory": memory}
    peer.send_body(peer.request(header))
    assert peer.receive_reply()[2]["status"] == "INVALID"


def test_not_over_tcp(daemon):
    with Peer(daemon, "tcp") as peer:
        assert reduce(peer, [by_memory("traces", X)])["status"] == "UNREACHABLE"


def test_the_daemons_own_memory(peer):
    """A peer that names the daemon's pid must not make it read itself."""
    assert reduce(peer, [by_memory("traces", X)], memory_key(pid=peer.daemon.pid))["status"] == "UNREACHABLE"


# --- outputs ---

def test_output(peer):
    out = np.full(4, -1.0)
    got = reduce(peer, [by_memory("traces", X)], outputs=[by_memory("sum", out)])
    assert got["status"] == "OK" and got["arrays"][0]["via"] == "memory" and np.array_equal(out, X.sum(0))


def test_output_of_another_size(peer):
    out = np.full(5, -1.0)
    got = reduce(peer, [by_memory("traces", X)], outputs=[by_memory("sum", out)])
    assert got["status"] == "INVALID" and (out == -1).all()


def test_output_read_only(peer):
    at = raw_pages(1)
    libc.mprotect(at, PAGE, mmap.PROT_READ)
    got = reduce(peer, [by_memory("traces", X)], outputs=[by_memory("sum", np.zeros(4), at)])
    assert got["status"] == "UNREACHABLE"
    libc.munmap(at, PAGE)


def test_output_bad_address(peer):
    for address in (0, 8, 1 << 62):
        assert reduce(peer, [by_memory("traces", X)], outputs=[by_memory("sum", np.zeros(4), address)])["status"] == "UNREACHABLE"


def test_output_inline_is_refused(peer):
    d = {"name": "sum", "dtype": "<f8", "shape": [4], "nbytes": 32}
    assert reduce(peer, [by_memory("traces", X)], outputs=[d])["status"] == "INVALID"


# --- processes ---

def test_forked_child(daemon):
    """A child on an inherited connection: its pid differs, and its memory is not the peer's."""
    with Peer(daemon) as peer:
        child = os.fork()
        if child == 0:
            try:
                good = reduce(peer, [by_memory("traces", X)])["status"] == "UNREACHABLE"
            except BaseException:
                good = False
            os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert reduce(peer, [by_memory("traces", X)])["status"] == "OK"


def test_dead_process(daemon):
    """The connector ends and its child keeps the socket: there is no hang-up, but nobody's memory is read."""
    ours, theirs = socket.socketpair()
    connector = os.fork()
    if connector == 0:
        ours.close()
        peer = Peer(daemon)
        if os.fork() == 0:
            try:
                theirs.recv(1)  # the connector is gone
                request = {"op": "reduce", "params": {"operations": ["sum"]}, "arrays": [by_memory("traces", X)],
                           "memory": memory_key(pid=int(theirs.recv(32)))}
                peer.send_body(peer.request(request))
                theirs.sendall(peer.receive_reply()[2]["status"].encode())
            finally:
                os._exit(0)
        os._exit(0)
    theirs.close()
    os.waitpid(connector, 0)
    ours.settimeout(20)
    ours.sendall(b"g")
    ours.sendall(str(connector).encode())
    assert ours.recv(100) == b"UNREACHABLE"
    ours.close()


def test_killed_in_the_middle(daemon):
    """kill -9 of a client whose memory is being read: its request ends, nothing else happens."""
    from hostile import endless, wait_running
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        peer = Peer(daemon)
        peer.send_body(peer.request(endless()))
        os.write(done, b"x")
        signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(done)
    wait_running(daemon)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    until(lambda: daemon.stats()["running"] == 0, lambda: daemon.stats())


def test_memory_that_is_freed_in_the_middle(daemon):
    from hostile import endless, wait_running
    n = 65536 * 4
    at = raw_pages(n)
    header = endless()
    rows = n * PAGE // 256
    header["arrays"] = [{"name": "traces", "dtype": "<i2", "shape": [rows, 128], "nbytes": rows * 256, "via": "memory", "address": str(at)}]
    with Peer(daemon) as peer:
        peer.send_body(peer.request(header))
        wait_running(daemon)
        libc.munmap(at, n * PAGE)
        assert peer.receive_reply()[2]["status"] == "UNREACHABLE"
        assert peer.call("ping")["status"] == "OK"


def test_switched_off():
    with Daemon({"memory.enabled": "no"}) as d, Peer(d) as peer:
        assert peer.call("hello")["result"]["memory"] is False
        assert reduce(peer, [by_memory("traces", X)])["status"] == "UNREACHABLE"
