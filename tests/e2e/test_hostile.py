# SPDX-License-Identifier: BSD-3-Clause
"""Peers that do not speak SP, or not properly: what ended or blocked a libnanomsg listener must cost this daemon one connection."""
import os
import random
import signal
import socket
import struct
import subprocess
import time

import pytest

from hostile import BINARY, PATIENCE, REP, REQ, SEED, TRANSPORTS, Daemon, Peer, Watch, check_quiet, check_serves, is_sanitized, message, until

HTTP = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n", b"POST / HTTP/1.0\r\nContent-Length: 400\r\n\r\n" + b"x" * 400)
TLS = bytes.fromhex("16030100c8010000c40303") + bytes(range(189))


@pytest.fixture(scope="module")
def daemon():
    with Daemon({"limits.handshake_timeout": "300ms", "limits.stall_timeout": "500ms"}) as d:
        yield d


@pytest.fixture(autouse=True)
def watched(daemon):
    with Watch(daemon):
        yield


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


@pytest.fixture
def crowd(daemon):
    """crowd(transports) makes many peers at once; all are closed at the end, however the test ends."""
    peers = []

    def make(transports):
        peers.extend(Peer(daemon, transport) for transport in transports)
        return peers[-len(transports):]

    yield make
    for peer in peers:
        peer.close()


def errors(daemon):
    return daemon.stats()["connections"]["protocol_errors"]


def refused(daemon, transport, data, handshake=True):
    """The daemon closes the connection at these bytes and counts it."""
    before = errors(daemon)
    with Peer(daemon, transport, handshake) as peer:
        try:
            peer.sock.sendall(data)
        except ConnectionError:
            pass
        assert peer.closed()
    assert errors(daemon) == before + 1


@pytest.mark.parametrize("kind", [0, 2, 3, 0x80, 0xFF])
def test_wrong_type_byte(daemon, kind):
    refused(daemon, "ipc", bytes([kind]) + struct.pack(">Q", 8) + b"\x80\0\0\1abcd")


def test_wrong_type_byte_after_a_good_message(daemon):
    """A length desync, as an interrupted and reused client makes it."""
    with Peer(daemon) as peer:
        assert peer.call("ping")["status"] == "OK"
        peer.sock.sendall(b"lost in the stream")
        assert peer.closed()


@pytest.mark.parametrize("size", [0, 1, 2, 3, (1 << 40) + 1, 1 << 62, 1 << 63, (1 << 64) - 1])
def test_declared_size(daemon, transport, size):
    refused(daemon, transport, (b"\x01" if transport == "ipc" else b"") + struct.pack(">Q", size) + b"\x80\0\0\1")


def test_declared_size_takes_no_memory(daemon, transport, crowd):
    """64 MiB and 2^40 bytes are announced on 20 connections; nothing but the announcement arrives."""
    before = daemon.rss()
    for size in (64 << 20, 1 << 40):
        peers = crowd([transport] * 20)
        for peer in peers:
            peer.sock.sendall((b"\x01" if transport == "ipc" else b"") + struct.pack(">Q", size) + b"\x80\0\0\1" + b"SPKD")
        check_serves(daemon)
        for peer in peers:
            peer.close()
    assert is_sanitized() or daemon.rss() < before + (16 << 20)


@pytest.mark.parametrize("data", [*HTTP, TLS, b"\0", b"\0SP", bytes.fromhex("0053500100300000"), bytes.fromhex("0053500000300001"), bytes(8), b"\xff" * 8])
def test_other_protocols(daemon, transport, data):
    """HTTP, TLS, other versions, reserved bytes; a beginning that goes no further ends at the handshake's time limit."""
    refused(daemon, transport, data, handshake=False)


@pytest.mark.parametrize("kind", [0x10, 0x20, 0x21, 0x31, 0x50, 0x51, 0x62, 0x63, 0x70])
def test_wrong_socket_type(daemon, transport, kind):
    """PUB, SUB, REP and the others, with the message that ended a libnanomsg publisher."""
    refused(daemon, transport, struct.pack(">4sHH", b"\0SP\0", kind, 0) + b"\x01" + struct.pack(">Q", 5) + b"topic", handshake=False)


def test_no_handshake_in_time(daemon, transport):
    before = errors(daemon)
    with Peer(daemon, transport, handshake=False) as peer:
        assert peer.receive(8) == REP
        start = time.monotonic()
        assert peer.closed()
        assert time.monotonic() - start < 5
    assert errors(daemon) == before + 1


def test_paused_daemon_does_not_punish(daemon, transport):
    """A daemon that was stopped longer than its limits reads what has come in the meantime before it looks at the clock."""
    with Peer(daemon, transport, handshake=False) as peer:
        assert peer.receive(8) == REP
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            peer.sock.sendall(REQ)
            time.sleep(0.6)  # the pause, longer than both limits
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert peer.call("ping")["status"] == "OK"


def drip(peer, data, pause, longest):
    """Sends single bytes until the daemon closes; seconds that took. The pause is the attack, not synchronisation."""
    start = time.monotonic()
    peer.sock.settimeout(pause)
    for byte in data:
        try:
            peer.sock.sendall(bytes([byte]))
            while peer.sock.recv(4096):
                pass
            return time.monotonic() - start
        except socket.timeout:
            pass
        except ConnectionError:
            return time.monotonic() - start
        assert time.monotonic() - start < longest, f"still open after {longest} s"
    raise AssertionError("everything was taken")


def test_slow_loris_handshake(daemon, transport):
    """The limit is for the whole handshake, not from byte to byte."""
    with Peer(daemon, transport, handshake=False) as peer:
        assert drip(peer, REQ, 0.2, 5) < 1.4


@pytest.mark.parametrize("where", ["head", "tags", "body"])
def test_slow_loris_message(daemon, transport, where):
    """A message that comes byte by byte is a stalled one, though each byte is progress."""
    with Peer(daemon, transport) as peer:
        data = peer.frame(bytes(4 * 8) + b"\x80\0\0\1" + bytes(4 << 20))
        at = {"head": 0, "tags": 10, "body": 9 + 36 + 100}[where]
        peer.sock.sendall(data[:at])
        drip(peer, data[at:at + 400], 0.05, 10)


def test_slow_upload_is_served(daemon, transport):
    """An honest slow link: far above the least rate, and longer than the stall limit."""
    with Peer(daemon, transport) as peer:
        body = peer.request({"op": "hello", "x_filling": "." * 200000})
        data = peer.frame(b"\x80\0\0\1" + body)
        for at in range(0, len(data), 16384):
            peer.sock.sendall(data[at:at + 16384])
            time.sleep(0.07)  # the slowness is what is tested
        assert peer.receive_reply()[2]["status"] == "OK"


def test_too_many_tags(daemon, transport):
    with Peer(daemon, transport) as peer:
        body = peer.request({"op": "ping"})
        for hops in (1, 7, 8):
            tags = b"".join(struct.pack(">I", 100 + i) for i in range(hops)) + b"\xff\xff\xff\xff"
            assert peer.send_body(body, tags) == peer.receive_reply()[0]
    refused(daemon, transport, peer.frame(bytes(4 * 9) + b"\x80\0\0\1" + body))
    for short in (bytes(4), bytes(4) + b"\x80\0"):  # ends inside the tags
        with Peer(daemon, transport) as peer:
            peer.sock.sendall(peer.frame(short))
            assert peer.closed()


def test_half_messages(daemon, transport):
    """Disconnects at every point of handshake, frame, tags, prefix and header."""
    with Peer(daemon, transport) as peer:
        data = REQ + peer.frame(b"\0\0\0\7\x80\0\0\1" + peer.request({"op": "ping"}))
    for at in range(len(data)):
        with Peer(daemon, transport, handshake=False) as peer:
            peer.sock.sendall(data[:at])


def test_every_split_point(daemon, transport):
    """The same bytes in two pieces are the same message."""
    with Peer(daemon, transport) as peer:
        for at in range(1, 200):
            data = peer.frame(b"\0\0\0\7\x80\0\0\1" + peer.request({"op": "ping"}))
            if at >= len(data):
                break
            peer.sock.sendall(data[:at])
            peer.sock.sendall(data[at:])
            assert peer.receive_reply()[2]["status"] == "OK"


def test_random_bytes(daemon, transport):
    rng = random.Random(SEED)
    for i in range(150):
        with Peer(daemon, transport, handshake=False) as peer:
            try:
                peer.sock.sendall((REQ if i % 2 else b"") + rng.randbytes(rng.randrange(1, 400)))
            except ConnectionError:
                pass


def test_resets(daemon):
    """RST at once and after a request; 200 times."""
    for i in range(200):
        with Peer(daemon, "tcp", handshake=i % 2 == 0) as peer:
            if i % 2 == 0:
                peer.send("stats")
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_idle_connections(daemon, crowd):
    """200 idle peers (those on TCP have shown their token) cost little and do not hold up the others."""
    before = daemon.rss()
    peers = []
    for transport in TRANSPORTS * 100:
        peers += crowd([transport])
        assert peers[-1].call("ping")["status"] == "OK"
    assert daemon.stats()["clients"] == 201
    check_serves(daemon)
    assert is_sanitized() or daemon.rss() < before + (8 << 20)
    cpu = daemon.cpu()
    time.sleep(1)  # the measured interval
    assert daemon.cpu() - cpu < 0.5
    assert all(peer.call("ping")["status"] == "OK" for peer in peers)


def test_garbage_is_answered_not_closed(daemon, transport):
    """Bytes that are SP but no message: an error reply, and the connection lives."""
    with Peer(daemon, transport) as peer:
        for body in (b"", b"x", b"SPKD", bytes(31), bytes(32), bytes(1000), message({"op": "ping"}, kind=2), message({"op": "ping"}, kind=7)):
            peer.send_body(body)
            assert peer.receive_reply()[2]["status"] == "PROTOCOL"
        assert peer.call("ping")["status"] == "OK"


# --- daemons of their own ---

def test_clients_limit():
    with Daemon({"limits.clients": 10}) as d:
        peers = [Peer(d) for _ in range(10)]
        for _ in range(5):
            with Peer(d, handshake=False) as extra:
                assert extra.closed()
        assert peers[0].call("stats")["result"]["connections"]["rejected"] == 5
        for peer in peers:
            peer.close()
        check_quiet(d)


def test_strangers_leave_room():
    """Without the token nobody can take all connections or the whole budget of bytes by TCP; the owner is always served."""
    with Daemon({"limits.clients": 20, "limits.total_bytes": "64MiB", "limits.message_bytes": "32MiB", "limits.client_bytes": "64MiB", "limits.stall_timeout": "500ms"}) as d:
        peers = [Peer(d, "tcp", handshake=False) for _ in range(40)]
        for peer in peers:
            try:
                peer.sock.sendall(REQ + struct.pack(">Q", 16 << 20) + b"\x80\0\0\1" + b"SPKD")
            except ConnectionError:
                pass
        with Peer(d) as owner:
            body = owner.request({"op": "hello", "x_filling": "." * 100000})
            owner.send_body(body)
            assert owner.receive_reply()[2]["status"] == "OK"
        for peer in peers:
            assert peer.closed()  # they stall, or show no token in time
            peer.close()
        check_serves(d)
        check_quiet(d)


def test_out_of_descriptors():
    """EMFILE: some are refused, the loop does not spin, and all is well when descriptors are free again."""
    with Daemon(nofile=40) as d:
        peers = []
        for i in range(60):
            peer = Peer(d, TRANSPORTS[i % 2], handshake=False)
            peer.sock.settimeout(0.05)
            peers.append(peer)
        cpu = d.cpu()
        time.sleep(1)  # the measured interval
        assert d.cpu() - cpu < 0.3
        for peer in peers:
            peer.close()
        until(lambda: d.fds() <= d.fds_start, "descriptors are free")
        check_serves(d)
        check_quiet(d)


@pytest.mark.parametrize("length,code", [(100, 0), (107, 0), (108, 1), (109, 1), (200, 1)])
def test_socket_path_length(tmp_path_factory, length, code):
    """sun_path has 108 bytes; a longer path is refused with its option named, not truncated."""
    import tempfile
    with tempfile.TemporaryDirectory(prefix="spk") as directory:
        path = directory + "/" + "s" * (length - len(directory) - 1)
        if code == 0:
            with Daemon({"listen.ipc": path}) as d:
                assert d.urls["ipc"] == "ipc://" + path
                check_serves(d)
        else:
            done = subprocess.run([BINARY, "--set", f"listen.runtime_dir={directory}/run", "--set", f"listen.ipc={path}"], capture_output=True,
                                  timeout=PATIENCE, text=True)
            assert done.returncode == code and "listen.ipc" in done.stderr and "runtime error" not in done.stderr
            assert "Sanitizer" not in done.stderr, done.stderr
