# SPDX-License-Identifier: BSD-3-Clause
"""Messages that are SP but wrong inside: mutated, oversized, deep, not UTF-8, with wrong tokens."""
import json
import os
import random
import struct

import numpy as np
import pytest

from hostile import SEED, TRANSPORTS, Daemon, Peer, Watch, is_sanitized, message, until

TRACES = np.arange(400, dtype="<i2").reshape(100, 4)


@pytest.fixture(scope="module")
def daemon():
    with Daemon({"limits.message_bytes": "1MiB"}) as d:
        yield d


@pytest.fixture(autouse=True)
def watched(daemon):
    with Watch(daemon):
        yield


@pytest.fixture
def peer(daemon):
    with Peer(daemon) as p:
        yield p


def answer(peer, body):
    peer.send_body(body)
    return peer.receive_reply()[2]


def refusal(peer, body, status, field=None):
    """The body is refused like this, and the connection still answers."""
    got = answer(peer, body)
    assert got["status"] == status, got
    assert field is None or got["error"]["field"] == field, got
    assert got["error"]["message"]
    assert peer.call("ping")["status"] == "OK"


# --- mutations ---

def valid_bodies():
    detection = {"op": "detect", "params": {"sampling_frequency": 30000.0, "preprocess": [{"stage": "common_reference"}]}}
    return [
        message({"op": "ping"}), message({"op": "stats"}), message({"op": "hello", "params": {"client": "x"}}),
        message({"op": "cancel", "params": {"id": "0" * 32}}), message({"op": "open", "params": {"file": "/nowhere/file.nwb"}}),
        message({"op": "reduce", "params": {"operations": ["mean", "std"], "axis": 0}}, [("traces", TRACES)]),
        message({"op": "reduce", "params": {"operations": ["cumsum"]}}, [("traces", np.asfortranarray(TRACES.astype("<f4")))]),
        message(detection, [("traces", TRACES), ("noise_levels", np.ones(4))]),
        message(dict(detection, outputs=[{"name": "peaks", "dtype": "peak", "shape": [1], "nbytes": 32, "via": "memory", "address": "4096"}],
                     memory={"pid": 1, "cookie_address": "4096", "cookie": "00" * 16}), [("traces", TRACES)]),
    ]


def mutate(rng, body):
    """Flips bits, changes numbers in the JSON, cuts, repeats or inserts pieces."""
    data = bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data)) if data else 0
        kind = rng.randrange(7)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at] = rng.randrange(256)
        elif kind == 2:
            del data[at:at + rng.randrange(1, 40)]
        elif kind == 3:
            data[at:at] = data[at:at + rng.randrange(1, 40)]
        elif kind == 4:
            data[at:at] = rng.randbytes(rng.randrange(1, 16))
        elif kind == 5:
            digits = [i for i, b in enumerate(data[:2000]) if 48 <= b < 58]
            if digits:
                data[rng.choice(digits)] = rng.choice(b"0123456789-e.")
        else:
            data[24:28] = struct.pack("<I", rng.choice((0, 1, 2, len(data), 1 << 20, 0xFFFFFFFF)))
    return bytes(data)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_mutated_messages(daemon, transport):
    """Each of thousands gets an answer, on a connection that goes on."""
    rng = random.Random(SEED + TRANSPORTS.index(transport))
    bodies = valid_bodies()
    statuses = {}
    with Peer(daemon, transport) as peer:
        if transport == "tcp":
            bodies += [peer.request({"op": "ping"}), peer.request({"op": "reduce", "params": {"operations": ["mean"]}}, [("traces", TRACES)])]
        for i in range(3000):
            body = mutate(rng, rng.choice(bodies))
            if b"shutdown" in body:
                continue
            try:
                status = answer(peer, body)["status"]
            except Exception as e:
                raise AssertionError(f"seed {SEED}, message {i}: {body!r}") from e
            statuses[status] = statuses.get(status, 0) + 1
    assert "INTERNAL" not in statuses, f"seed {SEED}: {statuses}"
    assert len(statuses) >= 3, statuses


def test_every_cut_of_a_message(peer):
    body = message({"op": "reduce", "params": {"operations": ["mean"]}}, [("traces", TRACES[:4])])
    for n in range(len(body)):
        assert answer(peer, body[:n])["status"] in ("PROTOCOL", "INVALID")
    assert answer(peer, body)["status"] == "OK"
    refusal(peer, body + b"\0", "PROTOCOL")


# --- JSON ---

def test_deep_json(peer):
    deep = b"[" * 200000 + b"]" * 200000
    for n in (33, 1000, 100000):
        text = b'{"op":"ping","x_deep":' + b"[" * n + b"]" * n + b"}"
        refusal(peer, message(text), "TOO_LARGE", "header")
    refusal(peer, message(b'{"op":"ping","x_deep":' + deep), "TOO_LARGE", "header")
    assert answer(peer, message(b'{"op":"ping","x_deep":' + b"[" * 30 + b"]" * 30 + b"}"))["status"] == "OK"


def test_huge_json(peer):
    refusal(peer, message({"op": "ping", "x_long": "." * 300000}), "TOO_LARGE", "header")
    refusal(peer, message({"op": "ping", "x_many": [0] * 70000}), "TOO_LARGE", "header")
    for fine in ({str(i): i for i in range(16000)}, "." * 200000):
        assert answer(peer, message({"op": "ping", "x_much": fine}))["status"] == "OK"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"1", b"null", b'{"op":"ping"}x', b'{"op":"ping","op":"stats"}', b'{"op":"pi\xffng"}', b'{"op":"\xc0\x80"}',
                                  b'{"op":"pi\\u0000ng"}', b'{"op":"ping","x_n":NaN}', b'{"op":"ping","x_n":1e999}', b'{"op":"ping","x_n":123456789012345678901}',
                                  b'{"op":"\\ud800"}', b"\xef\xbb\xbf{}", b'{"op":"ping"}\0'])
def test_bad_json(peer, text):
    refusal(peer, message(text), "PROTOCOL")


@pytest.mark.parametrize("header,status,field", [
    ({}, "INVALID", "op"), ({"op": 1}, "INVALID", "op"), ({"op": "pin"}, "NOT_FOUND", "op"), ({"op": "x" * 5000}, "NOT_FOUND", "op"),
    ({"op": "\u00e9" * 63}, "NOT_FOUND", "op"), ({"op": "ping", "unknown": 1}, "INVALID", "unknown"), ({"op": "ping", "\u00e9" * 100: 1}, "INVALID", None),
    ({"op": "ping", "params": []}, "INVALID", "params"), ({"op": "ping", "params": {"a": 1}}, "INVALID", "a"),
    ({"op": "ping", "class": "urgent"}, "INVALID", "class"), ({"op": "ping", "deadline_ms": 0}, "INVALID", "deadline_ms"),
    ({"op": "ping", "deadline_ms": 1e300}, "INVALID", "deadline_ms"), ({"op": "ping", "detach": 1}, "INVALID", "detach"),
    ({"op": "ping", "max_reply": -1}, "INVALID", "max_reply"), ({"op": "cancel"}, "INVALID", "id"), ({"op": "cancel", "params": {"id": "xyz"}}, "INVALID", "id"),
    ({"op": "open", "params": {"file": "/etc/passwd"}}, "UNSUPPORTED", None), ({"op": "open", "params": {"file": "/dev/zero"}}, None, None),
    ({"op": "open", "params": {"file": "relative"}}, None, None), ({"op": "open", "params": {"file": "/" + "a/" * 3000}}, None, None),
])
def test_wrong_headers(peer, header, status, field):
    got = answer(peer, message(header))
    assert got["status"] not in ("OK", "INTERNAL") and (status is None or got["status"] in (status, "CORRUPT")), got
    assert field is None or got["error"]["field"].endswith(field), got


def test_unknown_keys_of_ones_own(peer):
    assert answer(peer, message({"op": "ping", "x_mine": {"a": [1]}}))["status"] == "OK"


# --- arrays ---

def descriptor(**changes):
    return {"name": "traces", "dtype": "<i2", "shape": [100, 4], "nbytes": 800, **changes}


@pytest.mark.parametrize("changes", [
    {"nbytes": 799}, {"nbytes": -1}, {"nbytes": 1e3}, {"nbytes": "800x"}, {"shape": [100, 5]}, {"shape": [-100, -4]}, {"shape": 400}, {"shape": [1] * 9},
    {"shape": [1 << 62, 4], "nbytes": 0}, {"shape": [1 << 32, 1 << 32], "nbytes": 0}, {"shape": [0, 1 << 62, 1 << 62], "nbytes": 0},
    {"shape": [1 << 53, 4], "nbytes": 1 << 56}, {"dtype": ">i2"}, {"dtype": "<i3"}, {"dtype": "object"}, {"dtype": None}, {"name": ""}, {"name": "n" * 64},
    {"name": None}, {"order": "K"}, {"order": 1}, {"via": "pigeon"}, {"via": 1}, {"offset": 0}, {"offset": 1 << 60}, {"via": "memory"},
    {"via": "memory", "address": "-1"}, {"via": "memory", "address": str((1 << 64) - 1)}, {"via": "memory", "address": "9" * 30},
])
def test_wrong_descriptors(peer, changes):
    body = message({"op": "reduce", "params": {"operations": ["mean"]}, "arrays": [descriptor(**changes)]})
    refusal(peer, body + bytes(-len(body) % 64) + TRACES.tobytes(), "INVALID")


@pytest.mark.parametrize("arrays", [1, {}, [1], [None], [[]], [descriptor()] * 2, [descriptor(name=f"a{i}", shape=[0], nbytes=0) for i in range(100)]])
def test_wrong_array_lists(peer, arrays):
    got = answer(peer, message({"op": "ping", "arrays": arrays}))
    assert got["status"] in ("INVALID", "PROTOCOL"), got


@pytest.mark.parametrize("shape", [[0, 4], [4, 0], [0], [], [1 << 40, 0], [0, 65537], [1, 1, 1]])
@pytest.mark.parametrize("op", ["reduce", "detect"])
def test_empty_and_odd_shapes(peer, op, shape):
    a = np.zeros(shape, "<i2")
    params = {"operations": ["mean", "cumsum"]} if op == "reduce" else {"sampling_frequency": 1000.0}
    got = answer(peer, message({"op": op, "params": params}, [("traces", a)]))
    assert got["status"] in ("OK", "INVALID"), got


def test_oversized_messages(daemon, peer):
    """Above limits.message_bytes: read, thrown away, answered; memory does not grow, the connection lives."""
    before = daemon.rss()
    body = message({"op": "ping"}, request_id=b"0123456789abcdef") + bytes(64 << 20)
    peer.send_body(body)
    _, request_id, header, _ = peer.receive_reply()
    assert header["status"] == "TOO_LARGE" and header["error"]["limit"] == 1 << 20 and request_id == b"0123456789abcdef"
    assert peer.call("ping")["status"] == "OK"
    assert is_sanitized() or daemon.rss() < before + (4 << 20)


def test_reply_above_max_reply(peer):
    x = np.zeros((1000, 8))
    got = peer.call("reduce", {"operations": ["cumsum"]}, [("traces", x)], max_reply=1024)
    assert got["status"] == "TOO_LARGE" and got["error"]["limit"] == 1024


# --- tokens ---

@pytest.mark.parametrize("token", [None, "", "0" * 63, "0" * 64, "0" * 65, "x" * 100000, "\u00e9" * 32, 1, [], True])
def test_wrong_token(daemon, token):
    header = {"op": "stats"} if token is None else {"op": "stats", "token": token}
    with Peer(daemon, "tcp") as peer:
        got = answer(peer, message(header))
        assert got["status"] == "DENIED" and got["error"]["field"] == "token", got
        assert daemon.token not in json.dumps(got)
        got = answer(peer, message(dict(header, op="no such thing")))
        assert got["status"] == "DENIED"  # a stranger does not learn which operations there are
        assert peer.call("ping")["status"] == "OK"
        assert answer(peer, message(header))["status"] == "DENIED"  # one good request does not open the connection


def test_admin_needs_more_than_the_token(daemon):
    with Peer(daemon, "tcp") as peer:
        assert peer.call("shutdown")["status"] == "DENIED"


# --- growth ---

def test_memory_does_not_grow(daemon):
    """The same attacks three times: the third round takes no more memory than the second."""
    rng = random.Random(SEED)
    bodies = [mutate(rng, b) for b in valid_bodies() * 60]
    after = []
    for _ in range(4):
        with Peer(daemon) as peer:
            for body in bodies:
                if b"shutdown" not in body:
                    answer(peer, body)
            answer(peer, message({"op": "ping"}) + bytes(8 << 20))
        until(lambda: daemon.stats()["clients"] == 1, "the client is gone")
        after.append(daemon.rss())
    limit = (64 << 20) if is_sanitized() else (2 << 20)
    assert after[-1] <= after[1] + limit, [n >> 10 for n in after]
    print("RSS KiB:", [n >> 10 for n in after])


def test_kept_results_stay_in_budget():
    """A flood of small requests with new ids: what is kept for repeats is bounded by its real size."""
    with Daemon({"results.total_bytes": "1MiB", "results.keep": "1h"}) as d:
        x = message({"op": "reduce", "params": {"operations": ["nonsense"]}}, [("traces", TRACES[:4])])
        with Peer(d) as peer:
            sizes = []
            for _ in range(3):
                for _ in range(4000):
                    answer(peer, x[:8] + os.urandom(16) + x[24:])
                sizes.append(d.rss())
    assert is_sanitized() or sizes[-1] - sizes[0] < 1 << 20, sizes
