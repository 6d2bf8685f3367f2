# SPDX-License-Identifier: BSD-3-Clause
"""Numba's surface against plain Python: every kernel is run compiled and, through py_func, as it is."""

import inspect
import math
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import spiked
from conftest import ROOT
from spiked import jit, njit, prange

SMALL, LARGE = 60, 30_000  # through the socket, and by memory


@pytest.fixture(scope="module", autouse=True)
def session(daemon):
    with spiked.Client(daemon.url) as client:
        spiked.use(client)
        yield client
        spiked.use(None)


def rng(seed=0):
    return np.random.default_rng(seed)


def line_of(kernel, text):
    """The number of the line of this file where `text` stands in the kernel."""
    lines, first = inspect.getsourcelines(kernel.py_func)
    return next(first + k for k, line in enumerate(lines) if text in line)


def check(kernel, *args):
    """Compiled and plain: equal results, equal arrays afterwards."""
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    want, got = kernel.py_func(*copies), kernel(*args)
    np.testing.assert_equal(got, want)
    for a, b in zip(args, copies):
        np.testing.assert_equal(a, b)
    return got


# --- the kernels of the notebook ---

@njit
def count_spikes(x, threshold):
    count = 0
    for i in range(len(x)):
        if x[i] > threshold:
            count += 1
    return count


@njit
def weighted_sum(x, threshold):
    total = 0.0
    for i in range(len(x)):
        if x[i] > threshold:
            total += x[i]
        else:
            total -= x[i]
    return total


@njit(parallel=True)
def sum_par(x):
    total = 0.0
    for i in prange(len(x)):
        total += x[i]
    return total


@njit(parallel=True)
def dependent_loop(x):
    for i in prange(1, len(x)):
        x[i] = x[i] + x[i - 1]
    return x


@pytest.mark.parametrize("n", [0, 1, SMALL, LARGE])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2"])
def test_loops(n, dtype):
    x = (rng(1).random(n) * 100).astype(dtype)
    check(count_spikes, x, 50)
    check(count_spikes, x, 50.5)
    np.testing.assert_allclose(weighted_sum(x, 50), np.where(x > 50, x, -x).sum(dtype=float), rtol=1e-12)
    np.testing.assert_allclose(sum_par(x), x.sum(dtype=float), rtol=1e-12)


@pytest.mark.parametrize("n", [1, SMALL, 500_000])
def test_a_loop_that_depends_on_itself(n):
    x = rng(2).random(n)
    want = np.cumsum(x)
    assert dependent_loop(x) is x
    np.testing.assert_array_equal(x, want)
    (loop,) = dependent_loop.verdicts()
    assert "scan" in loop["verdict"] and {a["line"] for a in loop["accesses"]} == {line_of(dependent_loop, "x[i] = x[i]")}


def test_prange_in_plain_python():
    assert list(prange(3)) == [0, 1, 2] and list(prange(1, 9, 3)) == [1, 4, 7]


# --- arguments ---

@njit
def scale(x, factor=2.0, shift=0.0):
    for i in range(len(x)):
        x[i] = x[i] * factor + shift


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_in_place(n):
    x = rng(3).random(n)
    want = x * 2 + 1
    assert scale(x, shift=1.0) is None
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("view", [np.s_[::2], np.s_[::-1], np.s_[5:-5:3]])
def test_views_in_place(n, view):
    x = rng(4).random(n)
    want = x.copy()
    want[view] = want[view] * 3
    scale(x[view], 3.0)
    np.testing.assert_array_equal(x, want)


@pytest.mark.parametrize("call", [lambda x: scale(x), lambda x: scale(x=x), lambda x: scale(x, 2.0, 0.0), lambda x: scale(shift=0.0, x=x)])
def test_keywords_and_defaults(call):
    x = np.arange(5.0)
    call(x)
    np.testing.assert_array_equal(x, np.arange(5.0) * 2)


WRONG = [(lambda x: scale(), "missing"), (lambda x: scale(x, 1.0, 2.0, 3.0), "too many"), (lambda x: scale(x, 1.0, x=x), "multiple"),
         (lambda x: scale(x, wrong=1), "wrong"), (lambda x: scale([1.0]), "argument x is of type list"), (lambda x: scale(x, None), "NoneType"),
         (lambda x: scale("x"), "str"), (lambda x: scale(x.astype(">f8")), "big-endian")]


@pytest.mark.parametrize("call, message", WRONG, ids=[w[1] for w in WRONG])
def test_wrong_arguments(call, message):
    with pytest.raises(TypeError, match=message):
        call(np.arange(3.0))


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_memory_maps(tmp_path, n):
    x = np.memmap(tmp_path / "x", "f8", "w+", shape=(n,))
    x[:] = 2.0
    scale(x)
    assert (x == 4.0).all() and (np.fromfile(tmp_path / "x") == 4.0).all()


@njit
def matrix(x, w):
    out = np.zeros(x.shape[0])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i] += x[i, j] * w[j]
    return out


@pytest.mark.parametrize("n", [7, 300])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_orders(n, order):
    x = rng(5).random((n, n))
    x = x[::2, ::-1] if order == "strided" else np.array(x, order=order)
    check(matrix, x, rng(6).random(x.shape[1]))


@njit
def transposed_in_place(x):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = 10 * i + j


@pytest.mark.parametrize("n", [4, 200])
def test_fortran_arrays_in_place(n):
    check(transposed_in_place, np.zeros((n, n + 1), order="F"))


@njit
def peek(x):
    return x[0]


def test_read_only_arrays():
    x = np.arange(4.0)
    x.flags.writeable = False
    assert peek(x) == 0.0
    with pytest.raises(TypeError, match="x|read"):
        scale(x)
    np.testing.assert_array_equal(x, np.arange(4.0))


@njit
def both(x, y):
    for i in range(len(x)):
        x[i] = x[i] + 1
        y[i] = y[i] * 2
    return x[0], y[0]


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_arguments_that_overlap(n):
    for cut in (lambda x: (x, x), lambda x: (x[:-1], x[1:]), lambda x: (x[3:], x[:-3]), lambda x: (x[: n // 2], x[n // 2:])):
        a, b = rng(7).random(n), rng(7).random(n)
        got, want = both(*cut(a)), both.py_func(*cut(b))
        np.testing.assert_array_equal(a, b)
        assert got == want


def test_arguments_that_interleave(session):
    x = rng(8).random(SMALL)
    y = x.copy()
    both(x[::2], x[1::2])
    both.py_func(y[::2], y[1::2])
    np.testing.assert_array_equal(x, y)
    with pytest.raises(ValueError, match="shares memory"):
        both(x[:30], x[::2])
    np.testing.assert_array_equal(x, y)


def test_without_memory_transfer(session):
    session._memory = False
    try:
        x = rng(9).random(LARGE)
        y = x.copy()
        scale(x)
        np.testing.assert_array_equal(x, y * 2)
        with pytest.raises(ValueError, match="x is written and shares memory|y is written and shares memory"):
            both(x[1:], x[:-1])
    finally:
        session._memory = True


# --- results ---

@njit
def results(x, k):
    if k < 0:
        return x, k, 0.5, x[0] > 0, x + 1, 1j
    return x, k, 1.5, x[0] < 0, x + 2, 2j


def test_results_of_a_tuple():
    x = np.arange(3, dtype="f4")
    a, k, f, b, y, c = results(x, 3)
    assert a is x and (k, f, b, c) == (3, 1.5, False, 2j)
    assert [type(v) for v in (k, f, b, c)] == [int, float, bool, complex]
    np.testing.assert_array_equal(y, x + 2)
    assert y.dtype == "f4" and y.flags.writeable
    assert type(peek(x)) is np.float32 and type(peek(x.astype("i4"))) is int


@njit
def nothing(x):
    x[0] = 1


def test_none():
    assert nothing(np.zeros(2)) is None


@njit
def spikes(x, threshold):
    found = []
    for i in range(1, len(x)):
        if x[i - 1] <= threshold < x[i]:
            found.append(i)
    return found


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_lists_become_arrays(n):
    x = rng(10).random(n)
    np.testing.assert_array_equal(spikes(x, 0.8), spikes.py_func(x, 0.8))


@pytest.mark.parametrize("value", [True, 7, -1.5, 2 + 1j, np.int8(-3), np.uint16(9), np.float32(0.1), np.complex64(1j), np.array(4.0)])
def test_kinds_of_numbers(value):
    @njit
    def same(v):
        return v

    assert same(value) == value


# --- what a kernel takes from around it ---

THRESHOLD = 0.5
TABLE = np.arange(10.0)
BIG = 2**63 + 5
NAN, INF = float("nan"), -np.inf
SINGLE = np.float32(0.1)


@njit
def above(x):
    n = 0
    for v in x:
        if v > THRESHOLD:
            n += 1
    return n


def test_a_global_that_changes(monkeypatch):
    x = rng(11).random(100)
    check(above, x)
    monkeypatch.setitem(globals(), "THRESHOLD", 0.9)
    check(above, x)
    monkeypatch.setitem(globals(), "THRESHOLD", 0)
    assert check(above, x) == 100


@njit
def look(i):
    return TABLE[i] + BIG % 7, NAN, INF, SINGLE


def test_arrays_and_numbers_from_around():
    np.testing.assert_equal(look(3)[0], TABLE[3] + BIG % 7)
    assert math.isnan(look(3)[1]) and look(3)[2] == -math.inf and look(3)[3] == SINGLE
    TABLE[3] = 50
    assert look(3)[0] == 50 + BIG % 7
    TABLE[3] = 3


@njit
def spoil(i):
    TABLE[i] = 0


def test_arrays_from_around_are_not_written():
    with pytest.raises(TypeError):
        spoil(1)
    assert TABLE[1] == 1


def test_closures():
    def make(step, other):
        @njit
        def add(x):
            return other(x) + step
        return add

    @njit
    def double(x):
        return 2 * x

    @njit
    def triple(x):
        return 3 * x

    kernels = [make(1, double), make(2.5, triple), make(True, double)]
    assert [k(10) for k in kernels] == [21, 32.5, 21]


def test_a_closure_that_changes():
    level = 1

    @njit
    def get(x):
        return x + level

    assert get(1) == 2
    level = 2
    assert get(1) == 3


from math import floor as down  # noqa: E402
from numpy import sqrt as root, pi  # noqa: E402


@njit
def library(x):
    return down(root(x) * pi) + math.cos(0.0) + np.float32(1) + abs(-x)


def test_modules_and_functions():
    check(library, 3.7)


@njit
def clamp(v, low, high):
    return min(max(v, low), high)


renamed = clamp


@njit
def clamp_all(x):
    for i in range(len(x)):
        x[i] = renamed(x[i], 0.25, THRESHOLD) + helper_below(x[i])
    return x


@njit
def helper_below(v):
    return clamp(v, 0.0, 1.0) + THRESHOLD


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_kernels_that_call_kernels(n):
    x = rng(12).random(n)
    want = np.clip(x, 0.25, 0.5)
    want = want + x + 0.5
    assert clamp_all(x) is x
    np.testing.assert_array_equal(x, want)


def test_two_kernels_of_one_name(tmp_path, monkeypatch):
    (tmp_path / "other_module.py").write_text(textwrap.dedent("""
        from spiked import njit
        THRESHOLD = 40

        @njit
        def clamp(v):
            return v + THRESHOLD

        @njit
        def fails(x):
            a = 0
            return x[7]
    """))
    monkeypatch.syspath_prepend(str(tmp_path))
    import other_module

    @njit
    def together(v):
        return clamp(v, 0.0, 1.0) + other_module_clamp(v) + THRESHOLD

    other_module_clamp = other_module.clamp
    assert together(0.5) == 0.5 + 40.5 + 0.5
    other_fails = other_module.fails

    @njit
    def outer(x):
        return other_fails(x)

    with pytest.raises(IndexError, match=r"other_module.py:12") as e:
        outer(np.zeros(3))
    assert "index 7 is out of bounds for an axis of length 3" in str(e.value)


@njit
def ping(n):
    return pong(n) if n > 0 else 0


@njit
def pong(n):
    return ping(n - 1)


def test_circles():
    with pytest.raises(TypeError, match="ping -> pong -> ping"):
        ping(3)


words = "text"
table = {1: 2}


def plain(x):
    return x


def test_what_cannot_be_taken():
    @njit
    def text(x):
        return words

    @njit
    def mapping(x):
        return table[x]

    @njit
    def function(x):
        return plain(x)

    @njit
    def module(x):
        return sys.maxsize

    @njit
    def unknown(x):
        return no_such_name + x  # noqa: F821

    for kernel, message in ((text, "'words' is of type str"), (mapping, "'table' is of type dict"), (function, "decorate plain with @njit"),
                            (module, "name = sys.name"), (unknown, "no_such_name")):
        with pytest.raises(TypeError, match=message) as e:
            kernel(1)
        assert isinstance(e.value, spiked.SpikedError)
        assert f":{line_of(kernel, 'return')}" in str(e.value)


def test_functions_without_source():
    world = {"njit": njit}
    exec("@njit\ndef f(x):\n    return x + 1\n", world)
    with pytest.raises(TypeError, match="source text cannot be found"):
        world["f"](1)
    world["f"].py_func.__spiked_source__ = "@njit\ndef f(x):\n    return x + 1\n"
    assert world["f"](1) == 2
    with pytest.raises(TypeError, match="lambda"):
        njit(lambda x: x)(1)
    with pytest.raises(TypeError, match="signature"):
        njit(3)
    with pytest.raises(TypeError, match="function"):
        njit(len)


@njit(
    fastmath=True,
)
def with_text(x):
    """A docstring that stands
further left than the code."""
    def inside(v):
        return v * 2
    return inside(x)


def test_sources_of_all_kinds():
    assert with_text(4) == 8

    class Holder:
        @staticmethod
        @njit
        def static(x):
            return x + 1

    assert Holder.static(1) == 2


# --- errors ---

@njit
def past_the_end(x):
    total = 0.0
    for i in range(len(x) + 1):
        total += x[i]
    return total


@njit
def divides(a, b):
    return a // b


@njit
def asserts(x):
    assert x > 0
    return x


@njit
def adds(x, y):
    return x + y


@njit
def unset(x):
    if x > 0:
        y = 1
    return y


@njit
def whole(x):
    return int(x)


@njit
def wrong_types(x):
    y = x
    for i in range(3):
        y = x[0]
    return y


@njit
def refuses(x):
    return [v for v in x]


FAILURES = [
    (past_the_end, (np.zeros(3),), IndexError, "total += x[i]", "index 3 is out of bounds for an axis of length 3"),
    (divides, (1, 0), ZeroDivisionError, "return a // b", "division or modulo by zero"),
    (asserts, (-1,), AssertionError, "assert x", "assertion"),
    (adds, (np.zeros(3), np.zeros(4)), ValueError, "return x + y", "shapes do not match"),
    (unset, (-1,), UnboundLocalError, "return y", "no value"),
    (whole, (math.nan,), ValueError, "return int", "cannot become an integer"),
    (wrong_types, (np.zeros(3),), TypeError, "y = x[0]", "'y'"),
    (refuses, (np.zeros(3),), NotImplementedError, "return [v", ""),
    (count_spikes, (3, 1), TypeError, "range(len(x))", "len"),
]


@pytest.mark.parametrize("kernel, args, kind, text, message", FAILURES, ids=[f[0].__name__ for f in FAILURES])
def test_errors_have_the_line_of_this_file(kernel, args, kind, text, message):
    with pytest.raises(kind, match=message) as e:
        kernel(*args)
    assert isinstance(e.value, spiked.SpikedError)
    assert f"{kernel.__name__} (test_njit.py:{line_of(kernel, text)}" in str(e.value)


@njit
def calls_past_the_end(x):
    return past_the_end(x) + 1


def test_errors_in_a_kernel_that_is_called():
    with pytest.raises(IndexError, match=f"test_njit.py:{line_of(past_the_end, 'total += x')}"):
        calls_past_the_end(np.zeros(3))


def test_error_model():
    kernel = njit(error_model="numpy")(divides.py_func)
    with pytest.warns(RuntimeWarning, match="divided by zero") as seen:
        assert kernel(1, 0) == 0
    assert seen[0].filename == __file__


def test_memory_of_a_call():
    @njit
    def much(n):
        return np.zeros(n).sum()

    with pytest.raises((MemoryError, spiked.TooLarge)):
        much(2**45)


def test_strict():
    @njit(parallel=True, strict=True)
    def histogram(x, out):
        for i in prange(len(x)):
            out[x[i] % 3] = i

    with pytest.raises((TypeError, spiked.SpikedError), match="parallel|order|prange"):
        histogram(np.arange(9), np.zeros(3, "i8"))


# --- decorators, signatures ---

def test_options():
    @jit(nopython=True, nogil=True, cache=True, parallel=True, fastmath={"reassoc"}, error_model="python",
         boundscheck=False, inline="never", accuracy="high")
    def f(x):
        return x.sum()

    assert f(np.ones(5)) == 5
    for options, kind in (({"no_such": 1}, TypeError), ({"forceobj": True}, TypeError), ({"error_model": "c"}, ValueError),
                          ({"accuracy": "some"}, ValueError)):
        with pytest.raises(kind):
            njit(**options)(f.py_func)
    with pytest.warns(RuntimeWarning, match="locals"):
        njit(locals={"x": float})(f.py_func)


def test_signatures():
    @njit(["float64(float64[:], int64)", "f4(f4[::1], i8)"])
    def power_sum(x, p):
        s = x[0] * 0
        for v in x:
            s += v ** p
        return s

    assert len(power_sum.signatures) == 2 and power_sum.stats.cache_misses == 2
    x = np.arange(4.0)
    assert power_sum(x, 2) == 14.0 and power_sum(x, np.int8(2)) == 14.0
    got = power_sum(x.astype("f4"), 2)
    assert got == 14.0 and type(got) is np.float32
    for wrong in ((x.astype("i8"), 2), (x, 2.5), (x.reshape(2, 2), 2), (1.0, 2), (x.astype("f4")[::2], 2)):
        with pytest.raises(TypeError, match="no matching definition"):
            power_sum(*wrong)

    @njit("int32(int32)")
    def half(v):
        return v / 2

    assert half(5) == 2
    with pytest.raises(OverflowError):
        half(2**40)
    for wrong in ("float64[:]", "float64(float99)", "f8(f8[:,x])", 3):
        with pytest.raises(TypeError):
            njit(wrong)(half.py_func)


def test_a_signature_that_does_not_fit_fails_at_once():
    with pytest.raises(TypeError, match="len"):
        njit("float64(float64)")(lambda_free)


def lambda_free(x):
    return len(x)


# --- what it says of itself ---

def test_introspection(capsys):
    @njit(parallel=True)
    def squares(x):
        total = 0.0
        for i in prange(len(x)):
            total += x[i] * x[i]
        return total

    assert squares.signatures == [] and squares.__name__ == "squares" and squares.__wrapped__ is squares.py_func
    x = rng(13).random(1000)
    squares(x)
    squares(x[:500])
    squares(x.astype("f4"))
    assert squares.signatures == [("array(float64, 1d, C)",), ("array(float32, 1d, C)",)]
    assert squares.nopython_signatures[0] == "(array(float64, 1d, C),) -> float64"
    assert squares.stats.cache_misses == 2 and squares.stats.cache_hits >= 1
    assert "define" in squares.inspect_llvm()[squares.signatures[0]] and "define" in squares.inspect_llvm("(float64[:],)")
    assert "ret" in squares.inspect_asm(squares.signatures[1])
    with pytest.raises(KeyError):
        squares.inspect_asm("(int8[:],)")
    squares.inspect_types()
    assert "total += x[i] * x[i]" in capsys.readouterr().out
    for level in (1, 2, 3, 4):
        assert squares.parallel_diagnostics(level=level) is None
    assert "reduction" in capsys.readouterr().out
    with pytest.raises(ValueError):
        squares.parallel_diagnostics(level=5)
    (loop,) = squares.verdicts()
    assert loop["wanted"] and "reduction" in loop["verdict"] and loop["line"] == line_of(squares, "prange")
    assert squares.get_metadata(squares.signatures[0])["id"]
    squares.recompile()
    assert len(squares.signatures) == 2
    np.testing.assert_allclose(squares(x), (x * x).sum(), rtol=1e-12)


def test_a_program_that_the_daemon_has_forgotten(session):
    x = np.arange(5.0)
    assert above(x) == 4
    for entry in session.kernels()["kernels"]:
        session.kernels(forget=entry["id"])
    assert above(x) == 4


# --- threads and processes ---

def test_eight_threads():
    wrong = []

    def work(seed):
        for k in range(30):
            x = rng(seed).random((50, 20_000)[k % 10 == 0])
            want = np.cumsum(x)
            if not np.array_equal(dependent_loop(x), want) or above(x) != above.py_func(x):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_pickling_by_source():
    step = 2.5

    @njit
    def local(x, k=3):
        return clamp(x, 0.0, step) * k + math.floor(1.5)

    data = pickle.dumps([above, local])
    same, copy = pickle.loads(data)
    assert same is above and copy is not local
    assert copy(9.0) == local(9.0) == 8.5 and copy(1.0, 2) == 3.0


PROCESSES = """
import multiprocessing, sys
import numpy as np
from spiked import njit

@njit
def total(x):
    s = 0.0
    for v in x:
        s += v
    return s

def make(step):
    @njit
    def shifted(x):
        return total(x) + step
    return shifted

def apply(job):
    kernel, x = job
    return kernel(x)

if __name__ == "__main__":
    jobs = [(k, np.full(n, 2.0)) for n in (10, 20000) for k in (total, make(1), make(0.5))]
    want = [total(np.ones(2))] and [k(x) for k, x in jobs]
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(apply, jobs) == want, method
    print(want)
"""


def test_multiprocessing(daemon, tmp_path):
    (tmp_path / "script.py").write_text(PROCESSES)
    env = {"SPIKED_URL": daemon.url, "PYTHONPATH": str(ROOT / "clients" / "python"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[20.0, 21.0, 20.5, 40000.0, 40001.0, 40000.5]"


def test_interrupt(session):
    import os
    import signal
    import time

    @njit
    def forever(x):
        n = 0
        while x[0] < 1.0:
            n += 1
        return n

    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        forever(np.zeros(LARGE))
    assert time.monotonic() - start < 20
    assert above(np.ones(3)) == 3
