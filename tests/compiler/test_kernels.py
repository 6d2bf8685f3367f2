# SPDX-License-Identifier: BSD-3-Clause
"""One kernel or more for each part of LANGUAGE.md: as machine code on 1, 2 and 5 threads,
by the interpreter, with arguments far away, and by Python."""

import numpy as np
import pytest
from harness import PARALLEL, Failure
from oracle import python

I16, I64, F32, F64 = np.int16, np.int64, np.float32, np.float64
X = np.round(np.random.default_rng(3).standard_normal(23) * 5, 2)
M = np.round(np.random.default_rng(4).standard_normal((5, 7)) * 5, 2)
K = np.random.default_rng(5).integers(-9, 9, 23)
CUBE, FOUR = np.arange(60.0).reshape(3, 4, 5), np.arange(120.0).reshape(2, 3, 4, 5)


def kernel(parameters, *lines):
    return f"def f({parameters}):\n" + "".join(f"    {text}\n" for text in lines)


def runs(compiler, source, args):
    """(results, arguments after the call) of Python, then of every way to run the compiled kernel."""
    ways = [dict(threads=1), dict(threads=2), dict(threads=5), dict(interpret=True), dict(remote=True, threads=2)]
    program = compiler.compile(source, args, flags=PARALLEL)
    for way in [None] + ways:
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        with np.errstate(all="ignore"):
            result = python(source)[0](*copies) if way is None else program(*copies, **way)
        yield [result] if not isinstance(result, tuple) else list(result), [a for a in copies if isinstance(a, np.ndarray)]


def check(compiler, source, args, rtol=0.0):
    results = runs(compiler, source, args)
    expected, changed = next(results)
    for got, arrays in results:
        for a, b in zip(got + arrays, expected + changed):
            assert (a is None) == (b is None)
            if b is not None:
                np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=rtol, err_msg=source)
                assert np.asarray(b).ndim == 0 or a.dtype == b.dtype, f"{a.dtype}, NumPy {b.dtype}\n{source}"


STATEMENTS = [
    ("x", ["a, b = 1, 2", "a, b = b, a + b", "return a, b"]),
    ("x", ["a = b = 3", "a += 1", "return a, b"]),
    ("x", ["n: int = 4", "n -= 1; n *= 5; n //= 2; n **= 2; n %= 30; n <<= 2; n >>= 1; n |= 1; n ^= 7; n &= 60", "return n"]),
    ("x", ["x[1] += 2.0; x[-1] *= 3; x[2] -= 1; x[3] /= 4; x[4] //= 0.5; x[5] %= 0.3"]),
    ("x", ["x[1:5] += x[2:6]", "x *= 2", "x[::2] -= 1", "x[::-1][:3] = 7"]),
    ("x", ["x[1:] = x[:-1] * 2"]), ("x", ["x[:-1] = x[1:] + 1"]), ("x", ["x[:] = x[::-1]"]),
    ("x", ["if x[0] > 0: return 1", "return 2"]),
    ("x", ["s = 0.0", "for v in x:", "    if v < 0: continue", "    if v > 8: break", "    s += v", "return s"]),
    ("x", ["i = 0", "while i < 10 and x[i] < 6:", "    i += 1", "return i"]),
    ("x", ["i = 0", "while True:", "    i += 3", "    if i > 20: break", "return i"]),
    ("x", ["s = 0.0", "for i, v in enumerate(x, 2): s += i * v", "for u, v in zip(x, x[1:]): s -= u * v", "return s"]),
    ("x", ["s = 0", "for i in range(10, 0, -3): s = s * 10 + i", "for i in range(5, 5): s = -1", "return s, i"]),
    ("x", ["out = []", "for i in range(len(x)):", "    if x[i] > 0: out.append(i * i)", "return np.array(out), len(out), sum(out)"]),
    ("x", ['"""Text."""', "pass", "assert len(x) > 3, 'short'", "return len(x)"]),
    ("x", ["def g(u, v=2.0):", "    return u * v + k", "k = 5", "return g(1.0), g(2.0, 3.0), g(v=4.0, u=1.0)"]),
    ("x", ["def g(u):", "    if u > 0: return u, 1", "    return -u, 0", "a, b = g(-3.0)", "c, d = g(4.0)", "return a + c, b + d"]),
    ("x", ["s = 0", "s += 0.5", "return s"]), ("x", ["n = 3", "n = np.zeros(n)", "return n"]),
    ("x", ["k = 1 if x[0] > x[1] else 2", "return k, x[0] if k == 1 else 0.0"]),
    ("x", ["s = 0.0", "for i in range(3):", "    for j in range(i):", "        s += x[i] * x[j]", "return s"]),
    ("m", ["for row in m: row[0] = 1", "n, k = m.shape", "return n * k, m.size, m.ndim"]),
    ("x", ["l = []", "for i in range(40): l.append(x[i % 5] > 0)", "return np.array(l)"]),
]
ARRAYS = [
    ("m", ["return m[1, 2], m[-1, -2], m[0], m[:, 1], m.T, m[1:3, ::2], m[::-1, -3:], m[..., 0]"]),
    ("m", ["return m + m[0], m * m[:, :1], m[:, np.newaxis, 0] - m[0, :5], np.maximum(m, 0), m.T @ m"]),
    ("c", ["return c[1, 2, 3], c[-1], c[:, 1], c[0, :, ::2], c.sum(axis=0), c.sum(axis=(0, 2)), c.max(axis=-1)"]),
    ("d", ["d[1, 2, 3, 4] += 5", "d[-1, :, 0] = 3", "return d[0, 1, 2, 3], d[1, -1], d[:, :, 1:3, -1], np.sum(d, axis=3)"]),
    ("m",
        ["return m.sum(axis=0), m.mean(axis=1), m.min(axis=1), m.argmax(axis=0), m.any(axis=1), np.all(m > -90), np.prod(m[:2], axis=1, keepdims=True)"]),
    ("x", ["return np.sum(x), np.mean(x), np.var(x), np.std(x, ddof=1), np.argmin(x), np.count_nonzero(x > 1), np.median(x), np.percentile(x, 30)"]),
    ("x",
        ["return np.zeros(3), np.ones((2, 3)), np.full(2, 1.5), np.zeros_like(x), np.arange(5), np.arange(1.0, 2.0, 0.25), np.linspace(0, 1, 5), x.copy()"]),
    ("x", ["return np.cumsum(x), np.cumprod(x[:5]), np.diff(x), np.sort(x), np.argsort(x), np.searchsorted(np.sort(x), 1.0), np.dot(x, x)"]),
    ("m", ["v = m[1:, 1:]", "v[0, 0] = 99", "w = v.T", "w[1, 1] += 1", "t = m.copy()", "t[:] = 0", "return m.ravel(), v.flatten()"]),
    ("m", ["m[1:] = m[:-1] + 1", "m[:, 1:] += m[:, :-1]", "m[0] = m[:, 0].sum()"]),
    ("x", ["y = np.where(x > 0, x, -x)", "z = np.clip(y, 1, 3)",
        "return y, z, np.sign(x), np.floor(x), np.rint(x), np.fmax(x, 0), x.astype(np.int64)"]),
]
INTEGERS = [
    ("h", ["return h[0] * h[1], h[2] * 300, h * 3, h + h, h // 7, h % -5, abs(h), -h, ~h, h << 2, h >> 1"]),
    ("h", ["s = 0", "for v in h: s += v * v", "return s, np.sum(h), np.prod(h[:3]), h.max(), np.mean(h)"]),
    ("h", ["h[0] = 300 * h[2]", "h += 1", "h *= 300", "h[1:] = h[:-1]", "h[2] = int(3.9)"]),
    ("h", ["return h / 3, np.sqrt(h), h.astype(np.float32) * 0.1, h & 3, h | 1, h ^ 5, np.minimum(h, 5), h == 3, h > 0"]),
    ("h", ["a, b = divmod(h[0], 7)", "return a, b, -7 // 2, -7 % 3, 7 // -2, 2 ** 10, min(h[0], h[1]), max(3, h[2]), round(2.5), int(-3.7)"]),
]
PRANGE = [
    ("x", ["y = np.empty_like(x)", "for i in prange(len(x)): y[i] = x[i] * 2 + i", "return y"]),
    ("k", ["s = 0; n = 0", "for i in prange(len(k)):", "    s += k[i]", "    if k[i] > 2: n += 1", "return s, n"]),
    ("x", ["m = x[0]; at = 0", "for i in prange(len(x)):", "    if x[i] > m:", "        m = x[i]; at = i", "return m, at"]),
    ("x", ["t = 0.0", "for i in prange(len(x)): t = x[i] * 2", "return t"]),
    ("x", ["for i in prange(len(x)):", "    b = np.zeros(3)", "    b[i % 3] = x[i]", "    x[i] = b.sum() + b[0]"]),
    ("x", ["for i in prange(1, len(x)): x[i] = 0.5 * x[i - 1] + x[i]"]),
    ("m", ["for i in prange(m.shape[0]):", "    for j in range(1, m.shape[1]): m[i, j] += m[i, j - 1]"]),
    ("k", ["h = np.zeros(20, np.int64)", "for i in prange(len(k)): h[k[i] + 9] += 1", "return h"]),
]
CASES = [(p, body, args) for group, table in ((STATEMENTS, {"x": X, "m": M}), (ARRAYS, {"x": X, "m": M, "c": CUBE, "d": FOUR}),
                                              (INTEGERS, {"h": I16([100, -321, 30000, 7, 3])}), (PRANGE, {"x": X, "m": M, "k": K}))
         for p, body in group for args in [[table[p]]]]


@pytest.mark.parametrize("parameters,body,args", CASES, ids=[c[1][0][:40] for c in CASES])
def test_as_python(compiler, parameters, body, args):
    check(compiler, kernel(parameters, *body), args, rtol=1e-13)


FLOATS = ["sqrt", "exp", "log", "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "arcsinh", "expm1", "log1p", "log2", "log10", "exp2", "cbrt",
    "floor", "ceil", "trunc",
          "rint", "abs", "absolute", "square", "sign", "negative", "isnan", "isinf", "isfinite", "deg2rad", "rad2deg", "signbit", "reciprocal"]


@pytest.mark.parametrize("dtype", [F64, F32, np.int32, I64])
def test_functions(compiler, dtype):
    x = np.arange(1, 20).astype(dtype)
    for name in FLOATS:
        if name == "negative" or (name in ("floor", "ceil", "trunc", "rint", "reciprocal") and dtype not in (F64, F32)):
            continue
        check(compiler, kernel("x", f"return np.{name}(x), np.{name}(x[3])"), [x], rtol=1e-6 if dtype == F32 else 1e-14)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin", "arctan2", "hypot", "copysign", "fmod", "power", "add", "subtract",
    "multiply", "divide",
                                  "floor_divide", "remainder", "less", "greater_equal", "equal", "not_equal", "logical_and", "logical_or",
                                      "logical_xor"])
def test_functions_of_two(compiler, name):
    check(compiler, kernel("x, y", f"return np.{name}(x, y), np.{name}(x, 2.0)"), [np.abs(X) + 0.5, X[::-1].copy() + 0.25], rtol=1e-13)


@pytest.mark.parametrize("body,args,message", [
    (["return x[5]"], [np.zeros(3)], "f: line 2: index 5 is out of bounds for an axis of length 3.*'x'"),
    (["return x[-4]"], [np.zeros(3)], "index -4 is out of bounds"),
    (["for i in prange(len(x)):", "    x[i + 1] = 0"], [np.zeros(9)], "line 3: index 9"),
    (["return 7 // int(x[0])"], [np.zeros(3)], "line 2: integer division or modulo by zero"),
    (["return int(x[0] / 0.0)"], [np.ones(3)], "cannot become an integer"),
    (["k = np.zeros(3, np.int64)", "k[0] = x[0]", "return k"], [np.full(3, np.nan)], "line 3: .*cannot become an integer"),
    (["if x[0] > 0: t = 1", "return t"], [np.zeros(3)], "line 3: .*no value yet"),
    (["return x[1:] + x[:-2]"], [np.zeros(5)], "shapes do not match"),
    (["return np.max(x)"], [np.zeros(0)], "empty"),
    (["assert x[0] > 0", "return 1"], [np.zeros(3)], "line 2: the assertion is false"),
    (["return np.zeros(int(x[0]))"], [np.full(1, -2.0)], "cannot have the length -2"),
    (["for i in range(0, 5, int(x[0])): pass"], [np.zeros(1)], "step of range"),
    (["return 2 ** int(x[0])"], [np.full(1, -1.0)], "negative power"),
    (["return x[int(x[0])] if np.where(x[0] > 0, 1.0, x[7]) > 0 else 0.0"], [np.zeros(3)], "index 7"),
])
def test_errors(compiler, body, args, message):
    program = compiler.compile(kernel("x", *body), args, flags=PARALLEL)
    for way in (dict(), dict(threads=5), dict(interpret=True)):
        with pytest.raises(Failure, match=message):
            program(*[a.copy() for a in args], **way)


@pytest.mark.parametrize("body,message", [
    (["t = 1; t = x; t = 2; return [i for i in x]"], "line 2"), (["return {}"], "line 2"), (["lambda: 1"], "line 2"), (["return f(x)"], "recursion"),
    (["for i in range(3): y += x", "return y"], "used before it has a value"), (["def g(): return 1", "return g, 1"], "cannot be returned"),
    (["return x.nothing"], "nothing"), (["return unknown"], "no name 'unknown'"), (["x.shape = 3"], "line 2"), (["return x[0](1)"],
        "cannot be called"),
    (["try: pass", "except: pass"], "line 2"), (["global x"], "line 2"), (["return x[x > 0]"], "line 2"),
        (["return 9 ** 9 ** x, 99999999999999999999"], "64 bits"),
])
def test_not_the_language(compiler, body, message):
    with pytest.raises(Failure, match=message):
        compiler.compile(kernel("x", *body), [X], flags=PARALLEL)


def test_types_of_variables(compiler):
    """What is found out late of one variable must not widen another."""
    late = kernel("x, h", "out = []", "for v in h: out.append(v)", "s = 0", "for i in range(len(out)): s += out[i]", "x[s % 3] += 1",
        "return s & 7, out[s % 3]")
    check(compiler, late, [X, I16(range(40))])
    carried = kernel("g", "s = g[0]", "for i in range(4):", "    if i > 0: s = last", "    last = g[i]", "return s * s")
    check(compiler, carried, [F32([0.1, 0.2, 0.3, 0.4])])


def test_lists_of_small_integers(compiler):
    for dtype in (np.int8, I16, np.int32, np.bool_):
        source = kernel("h", "out = []", "for i in range(100): out.append(h[i % 3])", "return np.array(out)")
        result = compiler.compile(source, [np.zeros(3, dtype)])(np.array([1, 0, 1], dtype))
        assert result.dtype == dtype and result.tolist() == [1, 0, 1] * 33 + [1]


def test_shared_arguments(compiler):
    """x and y are parts of one array: iterations meet."""
    source = kernel("x, y", "for i in prange(len(x)): y[i] = x[i] + 1")
    base = np.arange(20001.0)
    for x, y in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
        a, b = base.copy(), base.copy()
        program = compiler.compile(source, [a[x], a[y]], flags=PARALLEL)
        program(a[x], a[y], threads=5)
        python(source)[0](b[x], b[y])
        assert np.array_equal(a, b)


def test_calls_that_multiply_meet_a_limit(compiler):
    source = "def g0(x):\n    return x + 1\n" + "".join(f"def g{k}(x):\n    return g{k - 1}(x) + g{k - 1}(x + 1)\n" for k in range(1, 40))
    with pytest.raises(Failure, match="64 calls inside each other, or 2000"):
        compiler.compile(source + "def f(x):\n    return g39(x)\n", [1.0])


def test_large_functions(compiler):
    """Beyond what LLVM optimises in reasonable time other passes are taken: the values are the same."""
    lines = "".join(f"        x[i + {k}] = x[i - {k}] * c + {k}\n" for k in range(1, 300))
    source = f"def f(x, c):\n    for i in range(301, len(x) - 300):\n{lines}    s = np.sum(np.sqrt(np.abs(x)))\n    return s\n"
    x = np.random.default_rng(0).random(2000)
    expected = x.copy()
    namespace = {"np": np}
    exec(source, namespace)
    total = namespace["f"](expected, 0.5)
    program = compiler.compile(source, [x, 0.5])
    assert program(x, 0.5, threads=2) == pytest.approx(total, rel=1e-13)
    assert np.array_equal(x, expected)
