# SPDX-License-Identifier: BSD-3-Clause
"""NumExpr's surface against NumPy: the module's functions with one client for the process."""

import gc
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import spiked
import spiked as ne
from conftest import ROOT

SMALL, LARGE = 50, 40_000  # through the socket, and by memory


@pytest.fixture(scope="module", autouse=True)
def session(daemon):
    with spiked.Client(daemon.url) as client:
        spiked.use(client)
        yield client
        spiked.use(None)


def ulp(a, b):
    """Largest difference in units of the last place; NaN and infinity must stand at the same places."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, b.dtype, a.shape, b.shape)
    odd = ~np.isfinite(b)
    np.testing.assert_array_equal(a[odd], b[odd])
    d = np.abs(a[~odd] - b[~odd]) / np.spacing(np.maximum(np.abs(b[~odd]), np.finfo(b.dtype).tiny))
    return d.max() if d.size else 0.0


# --- the language ---

EXACT = ["x + y", "x - y", "x * y", "x / y", "-x", "x * 2 + 3", "3 * x ** 2 + 2 * x + 1", "x // y", "x % y", "x > y", "x <= 0.5",
         "(x > 0.2) & (y < 0.7)", "(x > 0.2) | ~(y < 0.7)",
         "where(x > y, x, -y)", "abs(-x)", "sqrt(x)", "floor(x * 9)", "ceil(x * 9)", "maximum(x, y)",
         "minimum(x, y)", "x == x"]


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("text", EXACT)
def test_operators(text, n):
    rng = np.random.default_rng(1)
    x, y = rng.random(n), rng.random(n) + 0.1
    names = {"x": x, "y": y, "where": np.where, "abs": np.abs, "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "maximum": np.maximum,
             "minimum": np.minimum}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = ne.evaluate(text)
    want = eval(text, names)
    assert got.dtype == want.dtype and got.flags.writeable
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", ["sin", "cos", "tan", "arcsin", "arctan", "sinh", "cosh", "tanh", "exp", "expm1", "log", "log1p", "log2",
                                  "log10", "cbrt"])
def test_functions(name, dtype):
    x = np.random.default_rng(2).random(5000).astype(dtype)
    assert ulp(ne.evaluate(f"{name}(x)"), getattr(np, name)(x)) <= 8  # 4 of ours, 4 of NumPy's
    assert ulp(ne.evaluate(f"{name}(x)", accuracy="high"), getattr(np, name)(x)) <= 6


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("n", [7, 70_000])
def test_dtypes(dtype, n):
    x = np.random.default_rng(3).integers(0, 2 if dtype == "?" else 100, n).astype(dtype)
    got = ne.evaluate("x * x")
    np.testing.assert_array_equal(got, x * x)
    assert got.dtype == x.dtype


def test_float16_is_read_as_float32():
    x = np.arange(9, dtype="f2")
    np.testing.assert_array_equal(ne.evaluate("x / 4"), (x / 4).astype("f4"))


@pytest.mark.parametrize("value, dtype", [(2, "f4"), (2.0, "f4"), (True, "f4"), (2j, "c8"), (np.float64(2), "f8"), (np.int64(2), "f8"),
                                          (np.float32(2), "f4")])
def test_numbers_of_python_are_weak(value, dtype):
    x = np.ones(3, "f4")
    got = ne.evaluate("x * value")
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, [value] * 3)


def test_integers_beyond_int64():
    x = np.array([1], "u8")
    big = 2**64 - 2
    assert ne.evaluate("x + big")[0] == 2**64 - 1
    big = 2**64
    with pytest.raises(OverflowError, match="big"):
        ne.evaluate("x + big")


@pytest.mark.parametrize("text", ["sum(x)", "prod(x)", "min(x)", "max(x)", "sum(sqrt(x)) / 2", "mean(x * x)"])
@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_reductions(text, n):
    x = 1 + np.random.default_rng(4).random(n) * 1e-3
    got = ne.evaluate(text)
    assert isinstance(got, np.ndarray) and got.shape == ()
    names = {"x": x, "sum": np.sum, "prod": np.prod, "min": np.min, "max": np.max, "sqrt": np.sqrt, "mean": np.mean}
    np.testing.assert_allclose(got, eval(text, names), rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_reductions_along_an_axis(axis):
    x = np.random.default_rng(5).random((300, 200))
    np.testing.assert_allclose(ne.evaluate(f"sum(x, axis={axis})"), x.sum(axis), rtol=1e-12)


def test_constants_only():
    assert ne.evaluate("2 + 3 * 4") == 14 and ne.evaluate("2.5").shape == ()


# --- shapes and layouts ---

@pytest.mark.parametrize("shapes", [((300, 1), (1, 400)), ((5,), (7, 5)), ((4, 1, 3), (2, 1)), ((0, 3), (3,)), ((0, 1), (1, 4)), ((), (3,)), ((), ()),
                                    ((0,), ()), ((1,), (100_000,)), ((100_000,), ())])
def test_broadcasting(shapes):
    rng = np.random.default_rng(6)
    a, b = (np.asarray(rng.random(s)) for s in shapes)
    got = ne.evaluate("a + 2 * b")
    np.testing.assert_array_equal(got, a + 2 * b)
    assert got.shape == (a + b).shape


def test_reduction_of_a_larger_array_has_its_own_shape():
    a, b = np.random.default_rng(7).random((2, 60_000)), np.random.default_rng(8).random(60_000)
    c = np.random.default_rng(9).random((3, 1, 60_000))
    np.testing.assert_allclose(ne.evaluate("b / sum(a)"), b / a.sum(), rtol=1e-12)
    np.testing.assert_allclose(ne.evaluate("b / sum(c)"), b / c.sum(), rtol=1e-12)


def test_shapes_that_do_not_match():
    a, b = np.ones(3), np.ones(4)
    with pytest.raises(ValueError, match="shapes do not match"):
        ne.evaluate("a + b")
    a, b = np.ones(30_000), np.ones(40_000)
    with pytest.raises(ValueError, match="shapes do not match"):
        ne.evaluate("a + b")


@pytest.mark.parametrize("view", [np.s_[::2], np.s_[::-1], np.s_[:, ::3], np.s_[::-2, 1:-1]])
@pytest.mark.parametrize("n", [20, 400])
def test_strided_arguments(view, n):
    x = np.random.default_rng(10).random((n, n))[view]
    np.testing.assert_array_equal(ne.evaluate("x * 3 - 1"), x * 3 - 1)
    np.testing.assert_array_equal(ne.evaluate("y * 3", {"y": x.T}), x.T * 3)


@pytest.mark.parametrize("n", [9, 300])
@pytest.mark.parametrize("order, given, fortran", [("K", "C", False), ("K", "F", True), ("A", "F", True), ("C", "F", False), ("F", "C", True)])
def test_order_of_a_new_result(n, order, given, fortran):
    x = np.array(np.random.default_rng(11).random((n, n + 1)), order=given)
    y = ne.evaluate("x * 2", order=order)
    np.testing.assert_array_equal(y, x * 2)
    assert y.flags.f_contiguous == fortran and y.flags.c_contiguous != fortran


# --- out ---

@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_out(n):
    x = np.random.default_rng(12).random(n)
    out = np.empty(n)
    assert ne.evaluate("x * 2", out=out) is out
    np.testing.assert_array_equal(out, x * 2)
    wide = np.empty((3, n))
    ne.evaluate("x * 2", out=wide)
    np.testing.assert_array_equal(wide, np.broadcast_to(x * 2, (3, n)))
    strided = np.zeros((n, 2))
    ne.evaluate("x * 2", out=strided[:, 1])
    np.testing.assert_array_equal(strided, np.column_stack([np.zeros(n), x * 2]))
    backward = np.empty(n)[::-1]
    ne.evaluate("x * 2", out=backward)
    np.testing.assert_array_equal(backward, x * 2)
    big_endian = np.empty(n, ">f8")
    ne.evaluate("x * 2", out=big_endian)
    np.testing.assert_array_equal(big_endian, x * 2)


@pytest.mark.parametrize("n", [1000, 20_001, 1_000_001])
def test_out_that_overlaps_the_arguments(n):
    x = np.random.default_rng(13).random(n)
    a = x.copy()
    ne.evaluate("a * 2 + 1", {"a": a[:-1]}, out=a[1:])
    np.testing.assert_array_equal(a[1:], x[:-1] * 2 + 1)
    a = x.copy()
    ne.evaluate("a * 2 + b", {"a": a[1:], "b": a[:-1]}, out=a[:-1])
    np.testing.assert_array_equal(a[:-1], x[1:] * 2 + x[:-1])
    a = x.copy()
    ne.evaluate("a * 2 + 1", out=a)
    np.testing.assert_array_equal(a, x * 2 + 1)
    a = x.copy()
    ne.evaluate("a * 2 + 1", {"a": a[::-1]}, out=a)
    np.testing.assert_array_equal(a, x[::-1] * 2 + 1)


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_casting(n):
    x = np.random.default_rng(14).random(n) * 100
    out = np.empty(n, "f4")
    with pytest.raises(TypeError, match="cannot cast"):
        ne.evaluate("x * 2", out=out)
    ne.evaluate("x * 2", out=out, casting="same_kind")
    np.testing.assert_array_equal(out, (x * 2).astype("f4"))
    whole = np.empty(n, "i8")
    with pytest.raises(TypeError, match="cannot cast"):
        ne.evaluate("x * 2", out=whole, casting="same_kind")
    ne.evaluate("x * 2", out=whole, casting="unsafe")
    np.testing.assert_array_equal(whole, (x * 2).astype("i8"))
    x[3] = np.nan
    with pytest.raises(ValueError, match="cannot become an integer"):
        ne.evaluate("x * 2", out=whole, casting="unsafe")


def test_out_that_cannot_be():
    x = np.ones(4)
    frozen = np.ones(4)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ne.evaluate("x + 1", out=frozen)
    with pytest.raises(TypeError, match="NumPy array"):
        ne.evaluate("x + 1", out=[0] * 4)
    with pytest.raises(ValueError, match="shapes do not match"):
        ne.evaluate("x + 1", out=np.empty(5))


# --- names ---

factor = 3.0


def test_names_local_then_global():
    x = np.arange(4.0)
    np.testing.assert_array_equal(ne.evaluate("x * factor"), x * 3)
    np.testing.assert_array_equal(ne.evaluate("x * factor", {"x": x, "factor": 5}), x * 5)
    np.testing.assert_array_equal(ne.evaluate("x * factor", {"x": x}), x * 3)
    np.testing.assert_array_equal(ne.evaluate("x * factor", {"x": x}, {"factor": 7}), x * 7)
    np.testing.assert_array_equal(ne.evaluate("np.sqrt(x)"), np.sqrt(x))
    with pytest.raises(KeyError, match="nowhere"):
        ne.evaluate("x * nowhere")
    with pytest.raises(KeyError, match="factor"):
        ne.evaluate("x * factor", {"x": x}, {})


def test_the_frame_of_a_wrapper():
    def wrapper(text):
        x = "not this one"
        assert x
        return ne.evaluate(text, _frame_depth=4)

    x = np.arange(3.0)
    np.testing.assert_array_equal(wrapper("x + 1"), x + 1)


def test_arrays_are_not_kept_alive():
    class Noted(np.ndarray):
        pass

    def evaluate():
        x = np.ones(3).view(Noted)
        mine = locals() if keep else None
        ne.evaluate("x + 1")
        count = sys.getrefcount(x)
        assert not keep or mine["x"] is x
        return count

    keep = False
    alone = evaluate()
    keep = True
    assert evaluate() == alone + 1  # locals() of the caller is left alone
    gc.collect()


def test_the_names_of_a_class_body():
    class Body:
        x = np.arange(3.0)
        y = ne.evaluate("x + 1")

    np.testing.assert_array_equal(Body.y, Body.x + 1)


def test_lists_and_subclasses():
    x = [1, 2, 3]
    np.testing.assert_array_equal(ne.evaluate("x * 2"), [2, 4, 6])
    x = np.array([1.0, 2.0]).view(np.recarray)
    got = ne.evaluate("x * x")
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, [1.0, 4.0])
    x = np.ma.masked_array([1.0, 2.0], [True, False])
    with pytest.raises(TypeError, match="masked"):
        ne.evaluate("x * 2")


# --- NumExpr's other functions ---

def test_re_evaluate():
    x = np.arange(5.0)
    ne.evaluate("x * 2")
    x = x + 1
    np.testing.assert_array_equal(ne.re_evaluate(), x * 2)
    np.testing.assert_array_equal(ne.re_evaluate({"x": np.ones(2)}), [2, 2])
    failed = []

    def other():
        try:
            ne.re_evaluate()
        except RuntimeError:
            failed.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert failed == [True]


def test_validate():
    x = np.arange(5.0)
    assert ne.validate("x * 3") is None
    np.testing.assert_array_equal(ne.re_evaluate(), x * 3)
    assert isinstance(ne.validate("x * nowhere"), KeyError)
    assert isinstance(ne.validate("x +"), SyntaxError)
    assert isinstance(ne.validate("x * 3", out=np.empty(5, "i4")), TypeError)


def test_compiled_expression():
    f = ne.NumExpr("b * 2 + a")
    a, b = np.arange(5.0), np.ones(5)
    assert f.input_names == ("a", "b") and f.signature == "dd"
    for got in (f(a, b), f(a=a, b=b), f(a, b=b), f.run(a, b), f(a.astype(int), b)):
        np.testing.assert_array_equal(got, b * 2 + a)
    out = np.empty(5)
    assert f(a, b, out=out) is out
    for wrong in (lambda: f(a), lambda: f(a, b, b), lambda: f(a, a=b), lambda: f(a, b, c=a)):
        with pytest.raises(ValueError, match="number of inputs"):
            wrong()
    g = ne.NumExpr("b - a", signature=[("b", float), ("a", np.int32)])
    np.testing.assert_array_equal(g(b, np.arange(5, dtype="i4")), b - a)
    assert g.input_names == ("b", "a") and g.signature == "di"
    with pytest.raises(TypeError, match="cannot cast a"):
        g(b, a)
    with pytest.raises(SyntaxError):
        ne.NumExpr("b - ")
    assert "f64" in ne.disassemble(f)


def test_options():
    x = np.arange(3)
    np.testing.assert_array_equal(ne.evaluate("x / 2", truediv=False, optimization="none", sanitize=True), x / 2)
    for options in ({"no_such": 1}, {"optimization": "most"}, {"order": "Q"}, {"casting": "bold"}, {"accuracy": "exact"}):
        with pytest.raises(ValueError):
            ne.evaluate("x / 2", **options)
    with pytest.raises(ValueError, match="string"):
        ne.evaluate(x)


def test_threads(capsys):
    before = ne.set_num_threads(3)
    assert before >= 1 and ne.set_num_threads(before) == 3 and ne.get_num_threads() == before and ne.detect_number_of_cores() >= 1
    ne.print_versions()
    assert "Daemon" in capsys.readouterr().out


# --- errors ---

ERRORS = [("x +", SyntaxError, "found the end"), ("x and x", TypeError, "and"), ("0 < x < 2", TypeError, "chained"), ("foo(x)", TypeError, "foo"),
          ("__import__('os')", (TypeError, NotImplementedError), ""), ("x if True else y", Exception, ""), ("[x for x in y]", Exception, ""),
          ("x.__class__", Exception, ""), ("lambda: x", Exception, "")]


@pytest.mark.parametrize("text, kind, message", ERRORS, ids=[e[0] for e in ERRORS])
def test_errors(text, kind, message):
    x = y = np.ones(3)
    assert x is y
    with pytest.raises(kind, match=message) as e:
        ne.evaluate(text)
    assert isinstance(e.value, spiked.SpikedError)


@pytest.mark.parametrize("array, message", [(np.ones(3, ">f8"), "big-endian"), (np.ones(3, "g"), "astype"), (np.array(["a"]), "str"),
                                            (np.array([None]), "object"), (np.zeros(2, "M8[s]"), "datetime")])
def test_dtypes_that_do_not_travel(array, message):
    with pytest.raises(TypeError, match=message):
        ne.evaluate("array + 1")


def test_integer_division_by_zero_warns():
    x = np.arange(3)
    with pytest.warns(RuntimeWarning, match="divided by zero") as seen:
        np.testing.assert_array_equal(ne.evaluate("x // 0"), [0, 0, 0])
    assert seen[0].filename == __file__


def test_many_terms_and_names():
    names = {f"v{k}": np.full(3, float(k)) for k in range(100)}
    np.testing.assert_array_equal(ne.evaluate(" + ".join(names), names), [4950.0] * 3)
    x = np.ones(3)
    np.testing.assert_array_equal(ne.evaluate(" + ".join(["x"] * 4000)), [4000.0] * 3)


# --- processes and threads ---

def test_eight_threads():
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for k in range(40):
            x = rng.random((50, 30_000)[k % 8 == 0])
            if not np.array_equal(ne.evaluate("x * 2 + 1"), x * 2 + 1):
                wrong.append((seed, k))

    threads = [threading.Thread(target=work, args=(s,)) for s in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_fork():
    x = np.random.default_rng(15).random(LARGE)
    want = x * 2 + 1
    np.testing.assert_array_equal(ne.evaluate("x * 2 + 1"), want)
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                y = x + 1
                code = 0 if np.array_equal(ne.evaluate("x * 2 + 1"), want) and np.array_equal(ne.evaluate("y * 2"), y * 2) else 2
            finally:
                os._exit(code)
        np.testing.assert_array_equal(ne.evaluate("x * 2 + 1"), want)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


ALONE = """
import os, sys, numpy as np, spiked as ne
x = np.arange(5.0)
assert "spiked.plot" not in sys.modules and "matplotlib" not in sys.modules
assert (ne.evaluate("x * 2") == x * 2).all()
if os.fork() == 0:
    assert (ne.evaluate("x * 3") == x * 3).all()
    sys.exit(0)  # with its exit handlers: the daemon is the parent's
assert os.wait()[1] == 0
assert (ne.evaluate("x * 4") == x * 4).all()
print(ne.use(None))
"""


def test_a_private_daemon_is_launched_when_there_is_none(tmp_path):
    env = dict(os.environ, SPIKED_RUNTIME_DIR=str(tmp_path), PYTHONPATH=str(ROOT / "clients" / "python"), TMPDIR=str(tmp_path))
    env.pop("SPIKED_URL", None)
    done = subprocess.run([sys.executable, "-c", ALONE], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.strip() == "None", done.stderr
    assert not list(tmp_path.iterdir())


def test_without_memory_transfer(session):
    x = np.random.default_rng(16).random(LARGE)
    session._memory = False
    try:
        np.testing.assert_array_equal(ne.evaluate("x * 2"), x * 2)
        a = x.copy()
        ne.evaluate("a * 2 + 1", {"a": a[:-1]}, out=a[1:])
        np.testing.assert_array_equal(a[1:], x[:-1] * 2 + 1)
    finally:
        session._memory = True


# --- memory that can be shared ---

def test_shared_arrays():
    from spiked import shared

    a = ne.zeros((300, 200), "f4")
    assert a.shape == (300, 200) and a.dtype == "f4" and not a.any() and a.flags.c_contiguous and a.flags.writeable
    fd, offset = shared.locate(a)
    assert offset == 0 and shared.locate(a[3:, 5:].T) is not None and shared.locate(a[3]) == (fd, 3 * 200 * 4)
    assert shared.locate(np.zeros(3)) is None
    a[:] = np.random.default_rng(17).random(a.shape)
    assert os.pread(fd, 4, 4 * 201) == a[1, 1].tobytes()
    np.testing.assert_array_equal(ne.evaluate("a * 2"), a * 2)
    with pytest.raises(OSError):
        os.ftruncate(fd, 10)
    b = ne.asarray(np.asfortranarray(a))
    assert ne.asarray(b) is b and b.base is not None
    np.testing.assert_array_equal(b, a)
    peaks = ne.zeros(5, spiked.PEAK_DTYPE)
    assert peaks.dtype == spiked.PEAK_DTYPE and ne.empty((2, 3), order="F").flags.f_contiguous and ne.empty(0).size == 0
    with pytest.raises(TypeError):
        ne.empty(3, object)


def test_shared_memory_is_used_again_when_all_views_are_gone():
    a = ne.empty(50_000)
    where = a.__array_interface__["data"][0]
    a[:] = 7
    view = a[100:200]
    del a
    b = ne.zeros(50_000)
    assert b.__array_interface__["data"][0] != where and (view == 7).all()
    del view
    c = ne.zeros(50_000)
    assert c.__array_interface__["data"][0] == where and not c.any()


def test_shared_arrays_after_a_fork():
    from spiked import shared

    a = ne.zeros(50_000)
    pid = os.fork()
    if pid == 0:
        a[:] = 5
        os._exit(0)
    os.waitpid(pid, 0)
    assert (a == 5).all()
    fd = shared.locate(a)[0]
    del a
    with pytest.raises(OSError):
        os.fstat(fd)  # the other process may still have it: not kept for other arrays
