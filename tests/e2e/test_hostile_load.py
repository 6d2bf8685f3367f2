# SPDX-License-Identifier: BSD-3-Clause
"""Clients that ask too much, do not read, leave in the middle, repeat ids, or cancel each other."""
import os
import select
import socket
import threading
import time

import numpy as np
import pytest

from hostile import Daemon, Peer, Watch, check_quiet, check_serves, endless, is_sanitized, until, wait_running

X = np.arange(400000, dtype="<f8").reshape(100000, 4)


@pytest.fixture(scope="module")
def daemon():
    with Daemon({"limits.stall_timeout": "1s", "limits.queue": 12, "limits.client_requests": 8}) as d:
        yield d


@pytest.fixture(autouse=True)
def watched(daemon):
    with Watch(daemon):
        yield


def send_endless(peer, request_id=None, **more):
    request_id = request_id or os.urandom(16)
    peer.send_body(peer.request(endless(**more), request_id=request_id))
    return request_id


def cancel(peer, request_id):
    return peer.call("cancel", {"id": request_id.hex()})["result"]["found"]


# --- leaving ---

def test_disconnect_cancels_running_work(daemon):
    """One runs, the others of the same client wait; all are gone soon after the client is."""
    peer = Peer(daemon)
    for _ in range(5):
        send_endless(peer)
    wait_running(daemon, queued=4)
    peer.close()
    start = time.monotonic()
    until(lambda: daemon.stats()["running"] == daemon.stats()["queued"] == 0, lambda: daemon.stats())
    assert time.monotonic() - start < (10 if is_sanitized() else 2)


def test_disconnect_of_a_client_that_is_not_read(daemon):
    """At limits.client_requests the daemon does not read the connection; it sees the end of it all the same."""
    peer = Peer(daemon)
    for _ in range(8):
        send_endless(peer)
    wait_running(daemon, queued=7)
    peer.close()
    until(lambda: daemon.stats()["running"] == daemon.stats()["queued"] == 0, lambda: daemon.stats())


def test_detached_work_goes_on(daemon):
    request_id = os.urandom(16)
    peer = Peer(daemon)
    send_endless(peer, request_id, detach=True)
    wait_running(daemon)
    peer.close()
    until(lambda: daemon.stats()["clients"] == 1, "the client is gone")
    assert daemon.stats()["running"] == 1
    with Peer(daemon) as other:
        assert cancel(other, request_id) is True
    assert daemon.stats()["running"] == 0


def test_detached_result_is_kept(daemon):
    request_id = os.urandom(16)
    body = None
    with Peer(daemon) as peer:
        body = peer.request({"op": "reduce", "params": {"operations": ["sum"]}, "detach": True}, [("traces", X)], request_id)
        peer.send_body(body)
    with Peer(daemon) as peer:
        peer.send_body(body)
        _, got, header, data = peer.receive_reply()
        assert got == request_id and header["status"] == "OK" and np.array_equal(data["sum"], X.sum(0))


def test_leaving_before_the_reply_is_read(daemon):
    """Replies of 3 MB to nobody."""
    for _ in range(20):
        with Peer(daemon) as peer:
            peer.send("reduce", {"operations": ["cumsum"]}, [("traces", X)])


# --- not reading ---

def test_client_that_never_reads(daemon):
    """Its replies back up; others are served at once; then it is closed for not reading."""
    with Peer(daemon) as lazy:
        lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(5):
            lazy.send("reduce", {"operations": ["cumsum"]}, [("traces", X)])
        until(lambda: daemon.stats()["bytes_in_flight"] > 3 * X.nbytes, lambda: daemon.stats())
        start = time.monotonic()
        check_serves(daemon)
        assert time.monotonic() - start < 2
        until(lambda: daemon.stats()["clients"] == 1, lambda: daemon.stats())


def test_flood_of_small_requests_without_reading(daemon):
    """Tiny replies cost more memory than their bytes: the client is no longer read long before that matters."""
    before = daemon.rss()
    with Peer(daemon) as lazy:
        burst = lazy.frame(b"\x80\0\0\1" + lazy.request({"op": "ping"})) * 100
        lazy.sock.setblocking(False)
        end = time.monotonic() + 0.7
        sent = 0
        while time.monotonic() < end:
            try:
                if select.select([], [lazy.sock], [], 0.05)[1]:
                    sent += lazy.sock.send(burst)
            except ConnectionError:
                break
        assert sent < 8 << 20, "everything was taken"
        assert is_sanitized() or daemon.rss() < before + (8 << 20)
        check_serves(daemon)


def test_pipelined_requests_are_all_answered(daemon):
    """2000 requests on one connection, read only afterwards from another thread: held back, none lost, each answered once."""
    with Peer(daemon) as peer:
        got = []
        reader = threading.Thread(target=lambda: got.extend(peer.receive_reply() for _ in range(2000)))
        reader.start()
        sent = [peer.send("ping") for _ in range(2000)]
        reader.join(30)
        assert sorted(t for t, *_ in got) == sorted(sent) and all(h["status"] == "OK" for _, _, h, _ in got)


# --- too much ---

def test_full_queue_is_busy(daemon):
    """limits.queue is for all clients together; what comes above is refused at once, with a time to come back. Service calls still work."""
    peers = [Peer(daemon) for _ in range(3)]
    try:
        ids = [send_endless(peer) for peer in peers[:2] for _ in range(6)]
        wait_running(daemon, queued=11)
        send_endless(peers[2])
        got = peers[2].receive_reply()[2]
        assert got["status"] == "BUSY" and got["error"]["retry_after_ms"] > 0
        with Peer(daemon) as other:
            assert other.call("ping")["status"] == "OK" and cancel(other, ids[-1])
        send_endless(peers[2])
        wait_running(daemon, queued=11)
    finally:
        for peer in peers:
            peer.close()


def test_total_bytes_is_busy():
    with Daemon({"limits.total_bytes": "4MiB", "limits.client_bytes": "2MiB", "limits.message_bytes": "2MiB", "limits.stall_timeout": "2s"}) as d:
        holders = [Peer(d) for _ in range(2)]
        for p in holders:  # each announces 1.9 MB and sends a part
            p.sock.sendall(p.frame(b"\x80\0\0\1" + bytes(1900000))[:100000])
        with Peer(d) as peer:
            until(lambda: peer.call("stats")["result"]["bytes_in_flight"] > 3800000, "both are announced")
            got = peer.call("reduce", {"operations": ["sum"]}, [("traces", np.zeros(100000))])
            assert got["status"] == "BUSY" and got["error"]["retry_after_ms"] > 0
            assert peer.call("ping")["status"] == "OK"
            for p in holders:
                assert p.closed()
            until(lambda: peer.call("reduce", {"operations": ["sum"]}, [("traces", np.zeros(100000))])["status"] == "OK", "there is room again")


def test_replies_stay_in_total_bytes():
    """Small requests with large results that nobody reads: above limits.total_bytes they are refused, not piled up."""
    options = {"limits.total_bytes": "16MiB", "limits.client_bytes": "16MiB", "limits.message_bytes": "4MiB", "limits.stall_timeout": "3s"}
    with Daemon(options) as d:
        holder, lazy = Peer(d), [Peer(d) for _ in range(6)]
        holder.send_body(holder.request(endless(**{"class": "live"})))  # all wait behind it, so that all are admitted
        wait_running(d)
        for peer in lazy:
            for _ in range(10):
                peer.send("reduce", {"operations": ["cumsum"]}, [("traces", np.zeros(100000, "|i1"))])
        wait_running(d, queued=60)
        holder.close()
        most = 0
        while (s := d.stats())["operations"]["reduce"]["count"] < 60:
            most = max(most, s["bytes_in_flight"])
        assert most < 17 << 20
        statuses = [peer.receive_reply()[2]["status"] for peer in lazy for _ in range(10)]
        assert statuses.count("OK") >= 10 and statuses.count("BUSY") >= 10 and len(set(statuses)) == 2
        for peer in lazy:
            peer.close()
        check_quiet(d)


# --- ids ---

def test_same_id_attaches(daemon):
    """The same bytes on two connections while the request runs: it runs once, both get the reply (here: that it was cancelled)."""
    request_id = os.urandom(16)
    before = daemon.stats()["operations"]["detect"]["count"]
    with Peer(daemon) as a, Peer(daemon) as b, Peer(daemon) as c:
        body = a.request(endless(), request_id=request_id)
        a.send_body(body)
        wait_running(daemon)
        tags = b.send_body(body, b"\0\0\0\5\x80\0\0\7")
        b.send_body(body, b"\x80\0\0\x08")
        until(lambda: daemon.stats()["operations"]["detect"]["count"] == before, "still running")
        assert b.call("ping", request_id=request_id)["error"]["field"] == "id"  # this id is taken; b's earlier messages were read before
        assert cancel(c, request_id) is True
        got = [a.receive_reply(), b.receive_reply(), b.receive_reply()]
        assert {g[2]["status"] for g in got} == {"CANCELLED"} and {g[1] for g in got} == {request_id}
        assert {got[1][0], got[2][0]} == {tags, b"\x80\0\0\x08"}
    assert daemon.stats()["operations"]["detect"]["count"] == before + 1


def test_attached_request_outlives_the_first_client(daemon):
    request_id = os.urandom(16)
    with Peer(daemon) as b:
        a = Peer(daemon)
        body = a.request(endless(), request_id=request_id)
        a.send_body(body)
        wait_running(daemon)
        b.send_body(body)
        assert b.call("ping", request_id=request_id)["error"]["field"] == "id"
        a.close()
        until(lambda: daemon.stats()["clients"] == 2, "the first client is gone")
        assert daemon.stats()["running"] == 1
        with Peer(daemon) as c:
            assert cancel(c, request_id) is True
        assert b.receive_reply()[2]["status"] == "CANCELLED"


def test_repeat_after_a_lost_connection_runs_again(daemon):
    """REQ reconnects and resends at once: it must not get the cancellation that its own disconnect caused."""
    request_id = os.urandom(16)
    a = Peer(daemon)
    body = a.request(endless(), request_id=request_id)
    a.send_body(body)
    with Peer(daemon) as b, Peer(daemon) as c:
        wait_running(daemon)
        a.close()
        b.send_body(body)
        wait_running(daemon)
        assert cancel(c, request_id) is True
        assert b.receive_reply()[2]["status"] == "CANCELLED"


def test_kept_result(daemon):
    request_id = os.urandom(16)
    with Peer(daemon) as a, Peer(daemon) as b:
        body = a.request({"op": "reduce", "params": {"operations": ["sum", "mean"]}}, [("traces", X[:100])], request_id)
        a.send_body(body)
        first = a.receive_reply()
        count = daemon.stats()["operations"]["reduce"]["count"]
        b.send_body(body)
        again = b.receive_reply()
        assert again[1] == request_id and again[2] == first[2] and np.array_equal(again[3]["sum"], first[3]["sum"])
        assert daemon.stats()["operations"]["reduce"]["count"] == count
        other = b.request({"op": "reduce", "params": {"operations": ["sum", "max"]}}, [("traces", X[:100])], request_id)
        b.send_body(other)
        got = b.receive_reply()[2]
        assert got["status"] == "INVALID" and got["error"]["field"] == "id"


# --- cancel ---

def test_cancel_of_what_is_not_there(daemon):
    with Peer(daemon) as peer:
        assert cancel(peer, os.urandom(16)) is False
        own = os.urandom(16)
        assert peer.call("cancel", {"id": own.hex()}, request_id=own)["result"]["found"] is False  # itself


def test_cancel_of_queued_and_running(daemon):
    with Peer(daemon) as owner, Peer(daemon) as other:
        running, queued = send_endless(owner), None
        wait_running(daemon)
        queued = send_endless(owner)
        wait_running(daemon, queued=1)
        assert cancel(other, queued) is True
        assert owner.receive_reply()[1:3][0] == queued
        assert cancel(other, running) is True
        _, got, header, _ = owner.receive_reply()
        assert got == running and header["status"] == "CANCELLED"
        assert cancel(other, running) is False


def test_cancel_from_several_at_once(daemon):
    """All wait for the same request; one leaves; the others get their answer when it has let go."""
    with Peer(daemon) as owner:
        request_id = send_endless(owner)
        wait_running(daemon)
        peers = [Peer(daemon) for _ in range(4)]
        for peer in peers:
            peer.send("cancel", {"id": request_id.hex()})
        peers[0].close()
        for peer in peers[1:]:
            header = peer.receive_reply()[2]
            assert header["status"] == "OK"
            peer.close()
        assert owner.receive_reply()[2]["status"] == "CANCELLED"


def test_deadline(daemon):
    """Of a running and of a queued request."""
    with Peer(daemon) as peer:
        send_endless(peer, deadline_ms=300)
        send_endless(peer, deadline_ms=200)
        start = time.monotonic()
        assert [peer.receive_reply()[2]["status"] for _ in range(2)] == ["DEADLINE"] * 2
        assert time.monotonic() - start < (10 if is_sanitized() else 2)


# --- stopping, growth ---

def test_stop_with_everything_going_on():
    """SIGTERM while one request runs, others wait, a message is half sent and a client does not read: it ends in time, with code 0."""
    with Daemon({"service.shutdown_timeout": "300ms"}) as d:
        peers = [Peer(d, t) for t in ("ipc", "ipc", "tcp", "ipc")]
        for _ in range(3):
            send_endless(peers[0])
        peers[1].sock.sendall(peers[1].frame(b"\x80\0\0\1" + bytes(100000))[:5000])
        for _ in range(5):
            peers[3].send("reduce", {"operations": ["cumsum"]}, [("traces", X)])
        peers[0].send("cancel", {"id": "0" * 32})
        wait_running(d)
        start = time.monotonic()
        d.stop()
        assert time.monotonic() - start < 10
        for peer in peers:
            peer.close()


def test_memory_does_not_grow(daemon):
    """Cancelled, abandoned and unread work in rounds: the last takes no more memory than the second."""
    after = []
    for _ in range(4):
        for _ in range(3):
            peer, lazy = Peer(daemon), Peer(daemon)
            for _ in range(3):
                send_endless(peer)
                lazy.send("reduce", {"operations": ["cumsum"]}, [("traces", X)])
            wait_running(daemon)
            peer.close()
            lazy.close()
            until(lambda: daemon.stats()["clients"] == 1 and daemon.stats()["running"] == 0, lambda: daemon.stats())
        after.append(daemon.rss())
    print("RSS KiB:", [n >> 10 for n in after])
    assert after[-1] <= after[1] + ((128 << 20) if is_sanitized() else (8 << 20)), [n >> 10 for n in after]
