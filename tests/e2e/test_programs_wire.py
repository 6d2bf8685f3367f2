# SPDX-License-Identifier: BSD-3-Clause
"""Programs over the wire (SPEC.md 4.8 to 4.12), written by hand: naming, types, memory, errors, single flight, pausing, caches, kernel_dir."""
import os
import threading
import time

import numpy as np
import pytest

from hostile import Daemon, Peer, Watch, by_memory, memory_key, until

X = np.arange(50.0)
SOURCE = """
def count(x, t):
    n = 0
    for v in x:
        if v > t:
            n += 1
    return n

def add_one(x):
    for i in range(len(x)):
        x[i] += 1

def shift(x, y):
    for i in range(len(x)):
        y[i] = x[i] + 1

def same(x):
    return x

def tail(x):
    return x[1:]

def pair(x, k):
    return x * k, k

def fails_late(x):
    for i in range(len(x) + 1):
        x[i] = 7

def divide(a, b):
    return a // b

def endless(n):
    i = 0
    while True:
        i += n
    return i

def large(n):
    return np.zeros(n)
"""
CACHE_KEYS = ("programs", "bytes", "limit", "hits", "misses", "evicted")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def daemon(folder):
    options = {"compute.threads": 2, "compute.lanes": 1, "compiler.cache_dir": folder / "cache", "compiler.call_bytes": "64MiB",
               "limits.result_bytes": "16MiB"}
    with Daemon(options) as d:
        yield d


@pytest.fixture(autouse=True)
def watched(request):
    if "daemon" not in request.fixturenames:
        yield
        return
    with Watch(request.getfixturevalue("daemon")):
        yield


@pytest.fixture
def peer(daemon):
    with Peer(daemon) as p:
        yield p


def inline(*arrays):
    """Arguments a0, a1, ... inline."""
    return [(f"a{k}", np.asarray(a)) for k, a in enumerate(arrays)]


def there(*arrays):
    """The same by memory, as keys of the header."""
    return {"arrays": [by_memory(f"a{k}", a) for k, a in enumerate(arrays)], "memory": memory_key()}


def ask(peer, op, params, **header):
    """A request whose descriptors are written by hand; the reply's header with the inline arrays under "data"."""
    peer.send_body(peer.request({"op": op, "params": params, **header}))
    _, _, reply, data = peer.receive_reply()
    return dict(reply, data=data)


def good(reply):
    assert reply["status"] == "OK", reply
    return reply


def refused(reply, status, words=""):
    assert reply["status"] == status, reply
    assert words in reply["error"]["message"] + " " + reply["error"].get("hint", ""), reply
    return reply["error"]


def evaluate(peer, expression, *arrays, names="abcdef", **more):
    params = {"expression": expression, "names": list(names[:len(arrays)]), **more.pop("params", {})}
    return peer.call("evaluate", params, inline(*arrays), **more)


def call(peer, kernel, *arrays, **params):
    return peer.call("call", {"source": SOURCE, "kernel": kernel, **params}, inline(*arrays))


def cache(peer):
    return good(peer.call("kernels"))["result"]["cache"]


# --- naming a program ---

def test_evaluate(peer):
    got = good(evaluate(peer, "2*a + b", X, X[::-1].copy()))
    assert np.array_equal(got["data"]["r0"], 2 * X + X[::-1]) and got["result"]["results"] == [{"array": "r0"}]
    assert good(evaluate(peer, "2*a + b", X, X))["result"]["id"] == got["result"]["id"]
    again = good(evaluate(peer, "2*a + b", X, X))
    assert again["result"]["provenance"] == "memory"


def test_ways_to_name(peer):
    first = good(call(peer, "count", X, 3.5, weak=[1], register="my count"))
    assert first["data"]["r0"] == 46 and first["data"]["r0"].shape == () and first["data"]["r0"].dtype == np.int64
    by_name = good(peer.call("call", {"kernel": "my count", "weak": [1]}, inline(X, 3.5)))
    by_id = good(peer.call("call", {"id": first["result"]["id"]}, inline(X, 10.5)))
    assert by_name["result"]["id"] == by_id["result"]["id"] == first["result"]["id"]
    assert by_name["data"]["r0"] == 46 and by_id["data"]["r0"] == 39
    refused(peer.call("call", {"kernel": "nobody"}, inline(X)), "NOT_FOUND", "nobody")
    refused(peer.call("call", {"id": "0" * 32}, inline(X)), "NOT_FOUND", "compile it again")
    refused(peer.call("call", {"id": "xyz"}, inline(X)), "INVALID", "32 hex digits")
    refused(peer.call("call", {"id": "0" * 32, "kernel": "count"}, inline(X)), "INVALID")
    refused(peer.call("call", {}, inline(X)), "INVALID", "name an expression")
    refused(peer.call("call", {"source": SOURCE}, inline(X)), "INVALID")
    refused(peer.call("call", {"source": SOURCE, "kernel": "none"}, inline(X)), "NOT_FOUND", "none")


def test_id_wants_its_types(peer):
    program = good(evaluate(peer, "a + b", X, X))["result"]["id"]
    assert np.array_equal(good(peer.call("call", {"id": program}, inline(X, X)))["data"]["r0"], 2 * X)
    for wrong in ((X,), (X, X, X), (X.astype("f4"), X), (X, 1.0), (X, X[:10])):
        refused(peer.call("call", {"id": program}, inline(*wrong)), "INVALID")
    grid = X.reshape(5, 10)
    assert np.array_equal(good(peer.call("call", {"id": program}, inline(grid, grid)))["data"]["r0"], 2 * grid)


def test_compile_then_call(peer):
    args = [{"dtype": "<f8", "ndim": 1}, {"dtype": "<f8", "ndim": 0, "weak": True}]
    got = good(peer.call("compile", {"source": SOURCE, "kernel": "count", "args": args,
                                     "texts": ["report4", "ir", "llvm", "llvm_optimized", "assembly"]}))["result"]
    assert got["results"] == [{"dtype": "<i8", "ndim": 0}] and got["form"] == "one" and got["writes"] == [] and got["name"] == "count"
    assert got["loops"][0]["line"] == 4 and "line 4" in got["report"] and all(got[k] for k in ("ir", "llvm", "llvm_optimized", "assembly"))
    assert good(call(peer, "count", X, 3.5, weak=[1]))["result"]["id"] == got["id"]
    assert good(peer.call("compile", {"source": SOURCE, "kernel": "count", "args": args}))["result"]["provenance"] == "memory"
    two = [{"dtype": "<f8", "ndim": 2, "shape_class": 7}] * 2
    assert good(peer.call("compile", {"expression": "a+b", "names": ["a", "b"], "args": two}))["result"]["elementwise"] is True
    refused(peer.call("compile", {"source": SOURCE, "kernel": "count", "args": args, "texts": ["poem"]}), "INVALID", "poem")
    refused(peer.call("compile", {"source": SOURCE, "kernel": "count", "args": [{"dtype": "<f9"}]}), "INVALID", "dtype")
    refused(peer.call("compile", {"source": SOURCE, "kernel": "count", "args": [{"dtype": "<f8", "ndims": 1}]}), "INVALID", "args[0].ndims")


def test_globals(peer):
    source = "def f(x):\n    return (x + K) * w[0] + root(x)\n"
    listed = [{"name": "K", "constant": {"dtype": "<f8", "weak": True, "value": 2}}, {"name": "w", "argument": True},
              {"name": "root", "library": "numpy.sqrt"}]
    got = good(peer.call("call", {"source": source, "kernel": "f", "globals": listed}, inline(X, np.array([3.0]))))
    assert np.allclose(got["data"]["r0"], (X + 2) * 3 + np.sqrt(X))
    for value, dtype in (("nan", "<f8"), ("-inf", "<f4"), ([1, -2], "<c16"), ("18446744073709551615", "<u8"), (True, "|b1"), (-128, "|i1")):
        listed = [{"name": "K", "constant": {"dtype": dtype, "value": value}}]
        got = good(peer.call("call", {"source": "def f():\n    return K\n", "kernel": "f", "globals": listed}))["data"]["r0"]
        wanted = complex(*value) if isinstance(value, list) else np.array(value).astype(dtype)
        assert got.dtype == dtype and np.array_equal(got, wanted, equal_nan=dtype == "<f8"), (value, got)
    for constant in ({"dtype": "|i1", "value": 128}, {"dtype": "<u8", "value": -1}, {"dtype": "<f8", "value": "1e5x"}, {"dtype": "<f8"}, 3):
        refused(peer.call("call", {"source": "def f():\n    return K\n", "kernel": "f", "globals": [{"name": "K", "constant": constant}]}), "INVALID")


# --- types, order, shape ---

@pytest.mark.parametrize("dtype", ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8", "<c8", "<c16"])
def test_scalars_of_each_dtype(peer, dtype):
    value = np.array(-3 if np.dtype(dtype).kind in "ifc" else 1).astype(dtype)
    got = good(call(peer, "same", value))["data"]["r0"]
    assert got.dtype == dtype and got == value


def test_half_precision(peer):
    got = good(evaluate(peer, "a * b", X.astype("<f2"), np.float16(0.5)))["data"]["r0"]
    assert np.allclose(got, X / 2)


def test_orders(peer):
    c = np.arange(24.0).reshape(2, 3, 4)
    f = np.asfortranarray(c)
    for a, order, fortran in ((c, "K", False), (f, "K", True), (f, "C", False), (c, "F", True), (f, "A", True), (f, "F", True)):
        got = good(evaluate(peer, "a * 2 + 1", a, params={"order": order}))
        assert (got["arrays"][0]["order"] == "F") == fortran and np.array_equal(got["data"]["r0"], c * 2 + 1)
    assert np.array_equal(good(evaluate(peer, "a + b", c, f))["data"]["r0"], 2 * c)
    assert np.array_equal(good(evaluate(peer, "a + b", f, f[:, :1].copy(order="F")))["data"]["r0"], c + c[:, :1])
    assert good(evaluate(peer, "sum(a)", f))["data"]["r0"] == c.sum()
    assert good(evaluate(peer, "argmax(a)", f))["data"]["r0"] == c.argmax()
    assert np.array_equal(good(evaluate(peer, "sum(a, axis=1)", f))["data"]["r0"], c.sum(1))


def test_one_program_for_all_shapes(peer):
    ids = {good(evaluate(peer, "a * b - 1", a, a))["result"]["id"] for a in (X, X.reshape(5, 10), np.asfortranarray(X.reshape(5, 2, 5)), X[:0])}
    assert len(ids) == 1


def test_empty_and_zero_rank(peer):
    assert good(evaluate(peer, "a + 1", np.zeros((0, 3))))["data"]["r0"].shape == (0, 3)
    assert good(evaluate(peer, "a + 1", 41.0))["data"]["r0"] == 42
    assert good(evaluate(peer, "1 + 2"))["data"]["r0"] == 3


def test_tuple_and_views(peer):
    got = good(call(peer, "pair", X, 3.0))
    assert got["result"]["form"] == "tuple" and np.array_equal(got["data"]["r0"], 3 * X) and got["data"]["r1"] == 3
    assert good(call(peer, "same", X))["result"]["results"] == [{"argument": 0}]
    got = good(call(peer, "tail", X))
    assert got["result"]["results"] == [{"array": "r0"}] and np.array_equal(got["data"]["r0"], X[1:])
    assert good(call(peer, "add_one", X))["result"]["form"] == "none"


# --- writing, memory ---

def test_written_inline(peer):
    got = good(call(peer, "add_one", X))
    assert got["result"]["results"] == [] and np.array_equal(got["data"]["a0"], X + 1)
    grid = np.asfortranarray(np.zeros((3, 4)))
    got = good(peer.call("call", {"source": "def f(x):\n    x[1, 2] = 5\n", "kernel": "f"}, inline(grid)))
    grid[1, 2] = 5
    assert got["arrays"][0]["order"] == "F" and np.array_equal(got["data"]["a0"], grid)


def test_written_by_memory(peer):
    x = X.copy()
    got = good(ask(peer, "call", {"source": SOURCE, "kernel": "add_one"}, **there(x)))
    assert np.array_equal(x, X + 1) and got.get("arrays", []) == []
    error = refused(ask(peer, "call", {"source": SOURCE, "kernel": "fails_late"}, **there(x)), "INVALID", "out of bounds")
    assert "line 28" in error["message"] and (x == 7).all()
    refused(ask(peer, "call", {"source": SOURCE, "kernel": "add_one", "read_only": [0]}, **there(x)), "INVALID", "read-only")


def test_overlap_by_memory(peer):
    x = X.copy()
    good(ask(peer, "call", {"source": SOURCE, "kernel": "shift"}, **there(x[:-1], x[1:])))
    wanted = X.copy()
    for i in range(len(X) - 1):
        wanted[i + 1] = wanted[i] + 1
    assert np.array_equal(x, wanted)
    apart = good(ask(peer, "call", {"source": SOURCE, "kernel": "shift"}, **there(X, x)))["result"]["id"]
    assert np.array_equal(x, X + 1)
    refused(ask(peer, "call", {"id": apart}, **there(x[:-1], x[1:])), "INVALID", "overlap")
    odd = np.zeros(401, np.uint8)
    crossed = {"arrays": [by_memory("a0", X, odd.ctypes.data + 1), by_memory("a1", X, odd.ctypes.data)], "memory": memory_key()}
    crossed["arrays"] = [dict(d, shape=[49], nbytes=392) for d in crossed["arrays"]]
    refused(ask(peer, "call", {"source": SOURCE, "kernel": "shift"}, **crossed), "INVALID", "aligned")


def test_unaligned_alone(peer):
    raw = np.zeros(8 * 50 + 1, np.uint8)
    raw[1:].view(np.uint8)[:] = X.view(np.uint8)
    header = {"arrays": [by_memory("a0", X, raw.ctypes.data + 1)], "memory": memory_key()}
    got = ask(peer, "evaluate", {"expression": "a + 1", "names": ["a"]}, **header)
    assert np.array_equal(good(got)["data"]["r0"], X + 1)


def test_large_by_memory(peer):
    x = np.random.default_rng(3).random(1_500_000)
    out = np.zeros_like(x)
    got = good(ask(peer, "evaluate", {"expression": "2*a + 1", "names": ["a"]}, outputs=[by_memory("r0", out)], **there(x)))
    assert np.array_equal(out, 2 * x + 1) and got["arrays"][0]["via"] == "memory" and got["result"]["results"] == [{"array": "r0"}]


def test_output(peer):
    def into(expression, out, *arrays, **params):
        names = list("abc"[:len(arrays)])
        return ask(peer, "evaluate", {"expression": expression, "names": names, **params}, outputs=[by_memory("r0", out)], **there(*arrays))

    x = X.copy()
    good(into("a + b", x[1:], x[:-1], x[1:]))
    assert np.array_equal(x[1:], X[:-1] + X[1:])
    grid, out = np.arange(12.0).reshape(3, 4), np.zeros((3, 4), order="F")
    good(into("a * 2", out, grid))
    assert np.array_equal(out, grid * 2)
    wide = np.zeros((5, 50))
    good(into("a * 2", wide, X))
    assert np.array_equal(wide, np.tile(X * 2, (5, 1)))
    narrow = np.zeros(50, "f4")
    refused(into("a * 2", narrow, X), "INVALID", "cast")
    good(into("a * 2", narrow, X, casting="same_kind"))
    assert np.array_equal(narrow, (X * 2).astype("f4"))
    refused(into("a * 2", np.zeros(49), X), "INVALID")
    refused(ask(peer, "evaluate", {"expression": "a", "names": ["a"]}, outputs=[by_memory("r1", wide)], **there(X)), "INVALID", "r0")


def test_output_of_a_kernel(peer):
    out = np.zeros(50)
    got = good(ask(peer, "call", {"source": SOURCE, "kernel": "pair"}, outputs=[by_memory("r0", out)], **there(X, np.array(2.0))))
    assert np.array_equal(out, X * 2) and got["data"]["r1"] == 2


def test_memory_that_is_not_there(peer):
    header = {"arrays": [by_memory("a0", X, 4096)], "memory": memory_key()}
    refused(ask(peer, "call", {"source": SOURCE, "kernel": "add_one"}, **header), "UNREACHABLE")
    header = {"arrays": [by_memory("a0", X, (1 << 64) - 8)], "memory": memory_key()}
    assert ask(peer, "call", {"source": SOURCE, "kernel": "add_one"}, **header)["status"] in ("INVALID", "UNREACHABLE")


# --- errors ---

@pytest.mark.parametrize("params, words", [
    ({"expression": "a +", "names": ["a"]}, ""),
    ({"expression": "a + c", "names": ["a"]}, "c"),
    ({"expression": "a", "names": []}, "names"),
    ({"expression": "a", "names": [3]}, "names"),
    ({"expression": "a", "names": "a"}, "names"),
    ({"expression": 3, "names": ["a"]}, "expression"),
    ({"names": ["a"]}, ""),
    ({"expression": "a", "names": ["a"], "options": {"speed": 11}}, "options.speed"),
    ({"expression": "a", "names": ["a"], "options": {"accuracy": "best"}}, "accuracy"),
    ({"expression": "a", "names": ["a"], "options": []}, "options"),
    ({"expression": "a", "names": ["a"], "weak": [1]}, "weak"),
    ({"expression": "a", "names": ["a"], "weak": [0]}, "weak"),
    ({"expression": "a", "names": ["a"], "read_only": [-1]}, "read_only"),
    ({"expression": "a", "names": ["a"], "order": "Z"}, "order"),
    ({"expression": "a", "names": ["a"], "casting": "magic"}, "casting"),
    ({"expression": "a", "names": ["a"], "kernel": "f"}, "expression"),
])
def test_wrong_evaluate(peer, params, words):
    assert words in refused(peer.call("evaluate", params, inline(X)), "INVALID")["message"]


@pytest.mark.parametrize("source, kernel, words", [
    ("def f(x:\n    return 1\n", "f", "line 2"),
    ("def f(x):\n    return undefined\n", "f", "undefined"),
    ("class A:\n    pass\n", "A", ""),
    ("", "f", "f"),
    ("x = [\n" * 200, "f", ""),
])
def test_wrong_source(peer, source, kernel, words):
    got = peer.call("call", {"source": source, "kernel": kernel}, inline(X))
    assert got["status"] in ("INVALID", "UNSUPPORTED", "NOT_FOUND", "TOO_LARGE") and words in got["error"]["message"], got


def test_wrong_arrays(peer):
    params = {"expression": "a", "names": ["a"]}
    refused(peer.call("evaluate", params, [("b0", X)]), "INVALID", "a0")
    refused(peer.call("evaluate", params, [("a0", X), ("a2", X)]), "INVALID")
    peaks = np.zeros(3, [("sample_index", "<i8"), ("channel_index", "<i8"), ("amplitude", "<f8"), ("segment_index", "<i8")])
    refused(peer.call("evaluate", params, [("a0", peaks)]), "INVALID")
    many = [(f"a{k}", np.float64(1)) for k in range(256)]
    refused(peer.call("evaluate", {"expression": "1", "names": []}, many), "INVALID", "255")


def test_line_numbers(peer):
    got = peer.call("call", {"source": "def f(x):\n    return x[100]\n", "kernel": "f", "file": "mine.py", "line": 70}, inline(X))
    assert "mine.py:71" in refused(got, "INVALID")["message"]


def test_budgets(peer):
    assert len(good(call(peer, "large", 1000))["data"]["r0"]) == 1000
    refused(call(peer, "large", 1 << 40), "TOO_LARGE", "compiler.call_bytes")
    refused(call(peer, "large", 3 << 20), "TOO_LARGE", "limits.result_bytes")
    refused(call(peer, "large", -1), "INVALID", "-1")
    huge = np.zeros(9 << 20)
    # Met element by element it is never copied whole; otherwise the copy counts.
    assert good(ask(peer, "evaluate", {"expression": "sum(a)", "names": ["a"]}, **there(huge)))["data"]["r0"] == 0
    refused(ask(peer, "evaluate", {"expression": "sum(a) + a[0]", "names": ["a"]}, **there(huge)), "TOO_LARGE", "compiler.call_bytes")
    refused(peer.call("evaluate", {"expression": "1" + "+1" * 20000, "names": []}), "TOO_LARGE")


def test_division(peer):
    refused(call(peer, "divide", 1, 0), "INVALID", "zero")
    got = good(call(peer, "divide", 1, 0, options={"error_model": "numpy"}))
    assert got["data"]["r0"] == 0 and "zero" in got["warnings"][0]


def test_interpreted(peer):
    got = good(call(peer, "count", X, 3.5, options={"interpret": True}))
    assert got["result"]["provenance"] == "interpreted" and got["data"]["r0"] == 46


# --- pausing, cancelling ---

def spin(peer, request_id=None, interpret=False, **more):
    params = {"source": SOURCE, "kernel": "endless", "options": {"interpret": interpret}}
    peer.send("call", params, inline(np.int64(1)), request_id, **more)


@pytest.mark.parametrize("interpret", [False, True])
def test_others_are_served_meanwhile(daemon, peer, interpret):
    """One lane, and a kernel that never ends."""
    with Peer(daemon) as other:
        good(evaluate(other, "a + 1", X))
        spin(peer, interpret=interpret, deadline_ms=4000)
        until(lambda: daemon.stats()["running"] == 1, "the kernel runs")
        start = time.monotonic()
        for _ in range(20):
            good(other.call("ping"))
            good(evaluate(other, "a + 1", X))
        assert time.monotonic() - start < 2.0
        assert np.array_equal(good(evaluate(other, "a * 3 + 1", X))["data"]["r0"], X * 3 + 1)
        refused(peer.receive_reply()[2], "DEADLINE")


def test_two_endless_ones_share_the_lane(daemon, peer):
    with Peer(daemon) as other, Peer(daemon) as third:
        spin(peer, deadline_ms=1500)
        spin(other, deadline_ms=1500)
        good(evaluate(third, "a + 1", X))
        for p in (peer, other):
            header = p.receive_reply()[2]
            refused(header, "DEADLINE")
            assert header["timings"]["compute"] > 0.2e9


def test_a_less_urgent_one_waits(daemon, peer):
    with Peer(daemon) as other:
        spin(peer, deadline_ms=800)
        until(lambda: daemon.stats()["running"] == 1, "the kernel runs")
        start = time.monotonic()
        good(evaluate(other, "a + 1", X, **{"class": "batch"}))
        assert time.monotonic() - start > 0.3
        refused(peer.receive_reply()[2], "DEADLINE")


@pytest.mark.parametrize("paused", [False, True])
def test_cancel(daemon, peer, paused):
    request_id = os.urandom(16)
    with Peer(daemon) as other, Peer(daemon) as third:
        spin(peer, request_id)
        until(lambda: daemon.stats()["running"] == 1, "the kernel runs")
        if paused:
            spin(third, deadline_ms=3000)
            until(lambda: daemon.stats()["queued"] == 1, "one of them waits")
        start = time.monotonic()
        assert good(other.call("cancel", {"id": request_id.hex()}))["result"]["found"]
        refused(peer.receive_reply()[2], "CANCELLED")
        assert time.monotonic() - start < 1.0


def test_disconnect(daemon):
    for _ in range(3):
        with Peer(daemon) as gone:
            spin(gone)
            until(lambda: daemon.stats()["running"] == 1, "the kernel runs")
        until(lambda: daemon.stats()["running"] == 0, "the kernel has ended")


def test_stop_while_kernels_run():
    """SIGTERM: after service.shutdown_timeout they are ended, running or paused."""
    with Daemon({"compute.lanes": 1, "service.shutdown_timeout": "300ms", "compiler.cache_dir": "off"}) as d:
        with Peer(d) as one, Peer(d) as two:
            spin(one)
            spin(two)
            until(lambda: d.stats()["queued"] == 1, "both are there")
            d.stop()


def test_cancelled_writes_nothing(daemon, peer):
    x = np.zeros(10)
    source = "def f(x):\n    x[0] = 1\n    while True:\n        x[1] += 1\n"
    refused(ask(peer, "call", {"source": source, "kernel": "f"}, deadline_ms=300, **there(x)), "DEADLINE")
    assert (x == 0).all()


# --- caches ---

def test_single_flight(daemon, peer):
    """20 clients at once: one compiles."""
    before = cache(peer)
    expression = "sin(a)*cos(a) + " + "+".join(f"a**{k}" for k in range(2, 30))
    peers = [Peer(daemon) for _ in range(20)]
    for p in peers:
        p.send("evaluate", {"expression": expression, "names": ["a"]}, inline(X))
    replies = [p.receive_reply()[2:] for p in peers]
    for p in peers:
        p.close()
    assert len({good(header)["result"]["id"] for header, _ in replies}) == 1
    assert sum(header["result"]["provenance"] == "compiled" for header, _ in replies) == 1
    assert all(np.array_equal(data["r0"], replies[0][1]["r0"]) for _, data in replies)
    after = cache(peer)
    assert after["misses"] == before["misses"] + 1 and after["hits"] >= before["hits"] + 19


def test_single_flight_of_an_error(daemon):
    peers = [Peer(daemon) for _ in range(10)]
    for p in peers:
        p.send("evaluate", {"expression": "a + nobody", "names": ["a"]}, inline(X))
    assert all("nobody" in refused(p.receive_reply()[2], "INVALID")["message"] for p in peers)
    for p in peers:
        p.close()


def test_the_compiler_is_cancelled(daemon, peer):
    """The one that would compile goes while it waits for the lane: the next does it."""
    with Peer(daemon) as busy, Peer(daemon) as first, Peer(daemon) as second:
        spin(busy, deadline_ms=700, **{"class": "live"})
        until(lambda: daemon.stats()["running"] == 1, "the kernel runs")
        request_id = os.urandom(16)
        first.send("evaluate", {"expression": "a + 123", "names": ["a"]}, inline(X), request_id)
        second.send("evaluate", {"expression": "a + 123", "names": ["a"]}, inline(X))
        until(lambda: daemon.stats()["programs"]["programs"] > 0 and daemon.stats()["queued"] == 1, "one waits for the lane")
        assert good(peer.call("cancel", {"id": request_id.hex()}))["result"]["found"]
        refused(first.receive_reply()[2], "CANCELLED")
        good(second.receive_reply()[2])
        refused(busy.receive_reply()[2], "DEADLINE")


def test_kernels_and_forget(peer):
    program = good(call(peer, "count", X, 3.5, weak=[1], register="count"))["result"]["id"]
    listed = {k["id"]: k for k in good(peer.call("kernels"))["result"]["kernels"] if "id" in k}
    mine = listed[program]
    assert mine["name"] == "count" and mine["signature"] == "(float64[::1], float64)" and mine["registered"] and not mine["running"]
    assert set(CACHE_KEYS) <= set(cache(peer)) and {"hits", "misses", "stored", "damaged", "evicted", "bytes"} <= set(cache(peer)["disk"])
    good(peer.call("kernels", {"forget": program}))
    refused(peer.call("call", {"id": program}, inline(X, 3.5)), "NOT_FOUND")
    assert "count" in [k["name"] for k in good(peer.call("kernels"))["result"]["kernels"]]
    good(peer.call("kernels", {"forget": "count"}))
    refused(peer.call("call", {"kernel": "count"}, inline(X, 3.5)), "NOT_FOUND")
    refused(peer.call("kernels", {"forget": "count"}), "NOT_FOUND")


def test_forget_what_runs(daemon, peer):
    with Peer(daemon) as other:
        spin(peer, deadline_ms=1000)
        until(lambda: daemon.stats()["running"] == 1, "the kernel runs")
        good(other.call("kernels", {"forget": "endless"}))
        assert "endless" not in [k["name"] for k in good(other.call("kernels"))["result"]["kernels"]]
        refused(peer.receive_reply()[2], "DEADLINE")


def test_eviction(folder):
    with Daemon({"compiler.cache_dir": "off", "compiler.programs": 3}) as d, Peer(d) as peer:
        ids = [good(evaluate(peer, f"a + {k}", X))["result"]["id"] for k in range(6)]
        got = cache(peer)
        assert got["programs"] <= 3 and got["evicted"] >= 3
        gone = [k for k in range(6) if peer.call("call", {"id": ids[k]}, inline(X))["status"] == "NOT_FOUND"]
        assert len(gone) >= 3 and 5 not in gone
        assert good(evaluate(peer, f"a + {gone[0]}", X))["result"]["provenance"] == "compiled"


def test_restart_finds_objects(folder):
    options = {"compiler.cache_dir": folder / "kept"}
    with Daemon(options) as d, Peer(d) as peer:
        first = good(call(peer, "count", X, 3.5))
        assert first["result"]["provenance"] == "compiled"
    with Daemon(options) as d, Peer(d) as peer:
        second = good(call(peer, "count", X, 3.5))
        assert second["result"]["provenance"] == "disk" and second["data"]["r0"] == 46 and second["result"]["id"] == first["result"]["id"]
        assert cache(peer)["disk"]["hits"] == 1


def test_poisoned_files(folder):
    options = {"compiler.cache_dir": folder / "poisoned"}
    with Daemon(options) as d, Peer(d) as peer:
        good(call(peer, "count", X, 3.5))
    for path in (folder / "poisoned").iterdir():
        data = bytearray(path.read_bytes())
        data[-100] ^= 0x40
        path.write_bytes(data)
    with Daemon(options) as d, Peer(d) as peer:
        got = good(call(peer, "count", X, 3.5))
        assert got["result"]["provenance"] == "compiled" and got["data"]["r0"] == 46 and cache(peer)["disk"]["damaged"] == 1


def test_directory_that_cannot_be_trusted(folder):
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    with Daemon({"compiler.cache_dir": folder / "open"}) as d, Peer(d) as peer:
        assert good(call(peer, "count", X, 3.5))["data"]["r0"] == 46 and cache(peer)["disk"]["stored"] == 0
        assert "msg=compiler" in d.log() or 'msg="compiler"' in d.log()
    assert list((folder / "open").iterdir()) == []


# --- compiler.kernel_dir ---

def test_kernel_dir(tmp_path):
    (tmp_path / "a.py").write_text("""import numpy as np
from math import sqrt as root
from numba import njit, prange

LIMIT = 3

@njit(["float64(float64[:], float64)",
       "float64(float32[:], float64)"], parallel=True)
def norm(x, scale):
    s = 0.0
    for i in prange(len(x)):
        s += x[i] * x[i]
    return root(s) * scale

@njit
def plain(x):
    return np.abs(x).max() > LIMIT
""")
    (tmp_path / "b.py").write_text("def norm(x):\n    return x\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "c.py").write_text("@njit('int64(text)')\ndef other(x):\n    return x\n")
    (tmp_path / "open.py").write_text("def evil(x):\n    return x\n")
    (tmp_path / "open.py").chmod(0o666)
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    (tmp_path / "a.py").rename(tmp_path / "z.py")
    with Daemon({"compiler.kernel_dir": tmp_path, "compiler.cache_dir": "off"}) as d, Peer(d) as peer:
        listed = good(peer.call("kernels"))["result"]["kernels"]
        assert sorted(k["signature"] for k in listed if k.get("id")) == ["(float32[::1], float64)", "(float64[::1], float64)"]
        assert {k["name"] for k in listed} == {"norm", "plain", "other"}
        got = good(peer.call("call", {"kernel": "norm", "options": {"parallel": True}}, inline(X, 2.0)))
        assert got["result"]["provenance"] == "memory" and np.isclose(got["data"]["r0"], 2 * np.linalg.norm(X))
        assert good(peer.call("call", {"kernel": "plain"}, inline(X)))["data"]["r0"] == True  # noqa: E712
        log = d.log()
        assert all(name in log for name in ("broken.py", "open.py", "link.py", "registered_twice", "c.py")) and 'kernels=4' in log


def test_kernel_dir_that_is_not_there(tmp_path):
    with Daemon({"compiler.kernel_dir": tmp_path / "none", "compiler.cache_dir": "off"}) as d, Peer(d) as peer:
        good(evaluate(peer, "a + 1", X))
        assert "kernel_dir" in d.log()


# --- hostile ---

def test_hostile_params(peer):
    junk = [None, True, -1, 1 << 40, "", "x" * 1000, [], [[]], {}, {"a": []}, [None] * 300, "\u0001\u2028\U0001f600"]
    keys = ["expression", "names", "source", "kernel", "id", "register", "file", "line", "globals", "options", "weak", "read_only", "casting", "order",
            "args", "texts", "forget"]
    base = {"evaluate": {"expression": "a", "names": ["a"]}, "call": {"source": SOURCE, "kernel": "count"},
            "compile": {"source": SOURCE, "kernel": "same", "args": [{"dtype": "<f8", "ndim": 1}]}, "kernels": {}}
    for op, params in base.items():
        for key in keys:
            for value in junk:
                got = peer.call(op, {**params, key: value}, inline(X) if op in ("evaluate", "call") else ())
                assert got["status"] != "INTERNAL", (op, key, value, got)
    assert peer.call("ping")["status"] == "OK"


def test_hostile_shapes(peer):
    for shape in ([0, 1 << 61], [0, 1 << 59, 1 << 59, 1 << 59], [1 << 61, 0]):
        for order in "CF":
            d = {"name": "a0", "dtype": "<f8", "shape": shape, "nbytes": 0, "order": order}
            got = ask(peer, "evaluate", {"expression": "a + 1", "names": ["a"]}, arrays=[d])
            assert got["status"] in ("OK", "INVALID", "TOO_LARGE"), got


def test_many_threads(daemon):
    """Clients that compile and call at once."""
    failures = []

    def work(seed):
        try:
            with Peer(daemon) as p:
                for k in range(15):
                    got = good(evaluate(p, f"a * {(seed + k) % 7} + b", X, X))
                    assert np.array_equal(got["data"]["r0"], X * ((seed + k) % 7) + X)
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
