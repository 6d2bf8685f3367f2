# SPDX-License-Identifier: BSD-3-Clause
"""Answers that NumExpr and Numba get wrong: each must be NumPy's here, or an error that says so."""

import numpy as np
import pytest
from harness import EXPRESSION, OUT, PARALLEL, Failure

I32, I64, U64, F32, F64 = np.int32, np.int64, np.uint64, np.float32, np.float64


def evaluate(compiler, text, **variables):
    names = list(variables)
    values = list(variables.values())
    program = compiler.compile(text, values, names=names)
    result = program(*values)
    assert np.array_equal(result, program(*values, threads=3), equal_nan=True)
    assert np.allclose(result, program(*values, interpret=True), rtol=1e-14, equal_nan=True)
    return result


@pytest.mark.parametrize("text,a,expected", [
    ("min(a)", I32([5, 7, 9]), I32(5)),
    ("max(a)", I32([-5, -7, -9]), I32(-5)),
    ("max(a)", I64([2**53 + 1, 2**53]), I64(2**53 + 1)),
    ("maximum(a, 0)", I64([2**53 + 1]), I64([2**53 + 1])),
    ("sum(a)", np.full(10, 2**30, I32), I64(10737418240)),
    ("prod(a)", np.full(4, 2**10, I32), I64(2**40)),
    ("sum(a)", np.ones(2**25, F32), F32(33554432)),
    ("min(a)", F64([1, np.nan, 3]), F64(np.nan)),
    ("max(a)", F64([1, np.nan, 3]), F64(np.nan)),
    ("sum(a)", np.zeros((0, 3)), F64(0)),
    ("a + 0", U64([2**63 + 5]), U64([2**63 + 5])),
    ("a > 0", U64([2**63 + 5]), np.array([True])),
    ("a // -1", I32([-2**31]), I32([-2**31])),
    ("a % -1", I32([-2**31]), I32([0])),
    ("a % -1", I64([-2**63]), I64([0])),
    ("a % 2147483647", I32([2147483646]), I32([2147483646])),
    ("a % 3", F64([1e17]), F64([1e17 % 3])),
    ("a % 0.1", F64([1.0]), F64([0.09999999999999995])),
    ("a // 0.1", F64([1.0]), F64([9.0])),
    ("a ** 21", I32([3]), I32([1870418611])),
    ("a ** 40", I64([3]), I64([-6289078614652622815])),
    ("a << 40", I32([1]), I32([0])),
    ("a * 2", np.arange(0), np.arange(0)),
    ("a + 0.0", F64(-0.0), F64(0.0)),
    ("7.0 // a", F64([2.0]), F64([3.0])),
    ("1 & a", I64([3]), I64([1])),
    ("-sum(a)", F64([1, 2]), F64(-3)),
    ("sum(a) * 2", F64([1, 2]), F64(6)),
    ("abs(a)", I64([-2**53 - 1]), I64([2**53 + 1])),
    ("abs(a)", np.array([3 + 4j]), F64([5.0])),
    ("conj(a)", F64([2.0]), F64([2.0])),
])
def test_like_numpy(compiler, text, a, expected):
    result = evaluate(compiler, text, a=a)
    assert np.asarray(result).dtype == np.asarray(expected).dtype
    assert np.array_equal(result, expected, equal_nan=True)


def test_modulo_infinity(compiler):
    assert evaluate(compiler, "a % b", a=F64([5.0]), b=F64([np.inf]))[0] == 5


def test_empty_shapes(compiler):
    assert evaluate(compiler, "a + b", a=np.zeros((0, 1)), b=np.zeros((1, 4))).shape == (0, 4)
    with pytest.raises(Failure, match="empty"):
        evaluate(compiler, "min(a)", a=np.zeros(0))


def test_division_is_division(compiler):
    x = np.random.default_rng(0).random(10000)
    assert np.array_equal(evaluate(compiler, "x / 3.0", x=x), x / 3.0)


def test_int32_times_float32(compiler):
    result = evaluate(compiler, "a * b", a=I32([16777217]), b=F32([1]))
    assert result.dtype == F64 and result[0] == 16777217


def test_power_within_ulp(compiler):
    x = np.random.default_rng(0).random(10000)
    result, exact = evaluate(compiler, "x ** 7", x=x), x.astype(np.longdouble) ** 7
    assert np.all(np.abs(result - exact) <= 4 * np.spacing(result))


def test_uint64_comparison_is_exact(compiler):
    a, b = I64([2**53, -1, 5]), U64([2**53 + 1, 2**64 - 1, 5])
    assert evaluate(compiler, "a < b", a=a, b=b).tolist() == [True, True, False]
    assert evaluate(compiler, "a == b", a=a, b=b).tolist() == [False, False, True]
    assert evaluate(compiler, "b > a", a=a, b=b).tolist() == [True, True, False]


@pytest.mark.parametrize("text", ["a is b", "a if True else b", "a and b", "not a", "a < b < a", "a.__class__", "a @@ b", "lambda: 1", "a; b", "__import__('os')",
                                  "min(c) -", "bool(a", "a b", "'text'", "sum(a, b)", "complexity(a)", "a ? b", ""])
def test_not_the_language(compiler, text):
    with pytest.raises(Failure):
        evaluate(compiler, text, a=F64([1.0]), b=F64([2.0]))


def test_bools_are_not_subtracted(compiler):
    b = np.array([True, False])
    for text in ("a - b", "-a"):
        with pytest.raises(Failure):
            evaluate(compiler, text, a=b, b=b)
    assert evaluate(compiler, "a + b", a=b, b=b).tolist() == [True, False]
    assert evaluate(compiler, "a * b", a=b, b=b).tolist() == [True, False]


@pytest.mark.parametrize("n", [1000, 10**5])
def test_out_overlaps(compiler, n):
    """The inputs count as read first."""
    x = np.random.default_rng(n).random(n)
    for source, target in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1)), (slice(None, None, -1), slice(None))):
        for threads in (1, 2):
            y = x.copy()
            expected = y[source] * 2 + 1
            a, out = y[source], y[target]
            compiler.compile("a*2 + 1", [a, out], names=["a", "out"], flags=OUT)(a, out, threads=threads)
            assert np.array_equal(out, expected)


def test_long_chain_and_many_arguments(compiler):
    x = np.arange(10.0)
    assert np.array_equal(evaluate(compiler, " + ".join(["x"] * 2000), x=x), x * 2000)
    many = {f"a{k}": x for k in range(255)}
    assert np.array_equal(evaluate(compiler, " + ".join(many), **many), x * 255)


def test_integer_powers(compiler):
    for text, a, b in (("a ** b", I64([0]), I64([-1])), ("a ** b", I64([-1]), I64([-2])), ("a ** -1", I64([2]), I64([0]))):
        with pytest.raises(Failure, match="negative"):
            evaluate(compiler, text, a=a, b=b)


RACES = [
    ("def f(x):\n    for i in prange(1, len(x)):\n        x[i] = x[i] + x[i-1]\n    return x[-1]", [np.ones(100000)], 100000),
    ("def f(x):\n    y = np.zeros(len(x))\n    y[0] = x[0]\n    for i in prange(1, len(x)):\n        y[i] = 0.9*y[i-1] + x[i]\n    return y[-1]", [np.ones(100000)], 10.0),
    ("def f(x):\n    s = np.zeros(4)\n    for i in prange(len(x)):\n        s[i % 4] += x[i]\n    return s[2]", [np.ones(100000)], 25000),
    ("def f(idx):\n    h = np.zeros(3, np.int64)\n    for i in prange(len(idx)):\n        h[idx[i]] += 1\n    return h[1]", [np.ones(10**6, np.int64)], 10**6),
    ("def f(x):\n    m = 0.0\n    for i in prange(len(x)):\n        if x[i] > m:\n            m = x[i]\n    return m", [np.arange(100000.0)], 99999),
    ("def f(x):\n    out = np.zeros(len(x))\n    c = 0\n    for i in prange(len(x)):\n        out[i] = c\n        c += 1\n    return out[999]", [np.ones(1000)], 999),
    ("def f(x):\n    t = 0.0\n    for i in prange(len(x)):\n        t = x[i]\n    return t", [np.arange(5000.0)], 4999),
]


@pytest.mark.parametrize("source,args,expected", RACES)
def test_races(compiler, source, args, expected):
    program = compiler.compile(source, args, flags=PARALLEL)
    for threads in (1, 2, 5):
        copies = [a.copy() for a in args]
        assert program(*copies, threads=threads) == pytest.approx(expected, rel=1e-12)


def test_notebook_loop_is_exact(compiler):
    """x[i] = x[i] + x[i-1] under prange: not one element may differ from Python's."""
    x = np.random.default_rng(5).random(5_000_000)
    source = RACES[0][0].replace("return x[-1]", "return x")
    expected = np.add.accumulate(x)
    y = x.copy()
    compiler.compile(source, [y], flags=PARALLEL)(y, threads=2)
    assert np.array_equal(y, expected)


def test_bounds_unset_and_isnan(compiler):
    with pytest.raises(Failure, match=r"line 2.*index 10 is out of bounds for an axis of length 3"):
        compiler.compile("def f(x):\n    return x[10]", [np.zeros(3)])(np.zeros(3))
    with pytest.raises(Failure, match="no value yet"):
        compiler.compile("def f(n):\n    for i in range(n):\n        k = i\n    return k", [0])(0)
    from harness import FASTMATH
    assert compiler.compile("def f(x):\n    return np.isnan(x[0])", [np.zeros(1)], flags=FASTMATH)(np.array([np.nan]))


def test_strict_refuses(compiler):
    from harness import STRICT
    with pytest.raises(Failure, match=r"x\[i - 1\]"):
        compiler.compile(RACES[0][0], RACES[0][1], flags=PARALLEL | STRICT)
