# SPDX-License-Identifier: BSD-3-Clause
"""Random kernels: machine code = interpreter = CPython with NumPy, for any number of threads, with arguments here and far away."""

import copy
import warnings

import numpy as np
from harness import PARALLEL, Failure
from oracle import line_of, python, same_error
from random_kernels import Maker, arguments

SINKS = (3, 4)       # results acc0, acc1
OUT = 8              # argument o


def outcome(run, args):
    """('ok', results + arrays) or ('error', exception). Arguments are copied with their memory order."""
    args = [copy.copy(a) if not isinstance(a, np.ndarray) else copy_array(a) for a in args]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = run(*args)
    except Exception as e:
        return "error", e
    return "ok", list(results) + [a for a in args if isinstance(a, np.ndarray)]


def copy_array(a):
    if a.ndim == 1 and a.strides[0] != a.itemsize:
        return np.repeat(a, 2)[::2]
    return a.copy(order="K")


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape == b.shape == () and a.dtype.kind + b.dtype.kind == "ii":
        return int(a) == int(b)                  # a variable that only ever held an int16 element is one
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def close(a, b, bound):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    with np.errstate(all="ignore"):
        far = ~((np.abs(a - b) <= bound + 16 * np.spacing(np.abs(b))) | (a == b) | (np.isnan(a) & np.isnan(b)))
    return not far.any() or not np.isfinite(bound)


def compare(result, expected, sums):
    kind, values = result
    if expected[0] == "error":
        assert kind == "error", f"Python: {expected[1]!r} in line {line_of(expected[1])}; compiled: no error"
        same_line = f"line {line_of(expected[1])}:" in str(values)      # of two errors in a line either may be reported
        assert same_line or same_error(expected[1], str(values)), f"Python: {expected[1]!r} in line {line_of(expected[1])}; compiled: {values}"
        return
    assert kind == "ok", f"Python: no error; compiled: {values}"
    for k, (a, b) in enumerate(zip(values, expected[1])):
        if k in SINKS or k == len(values) - 1:
            assert close(a, b, sums.bound()), f"result {k}: {a!r}, Python {b!r}"
        else:
            assert same(a, b), f"result {k}: {a!r}, Python {b!r}"


def agree(a, b, what, bound=None):
    """bound: sums of floats may be apart by so much."""
    assert a[0] == b[0], f"{what}: {a[1]} against {b[1]}"
    if a[0] == "error":
        assert str(a[1]) == str(b[1]), f"{what}: {a[1]} against {b[1]}"
        return
    for k, (u, v) in enumerate(zip(a[1], b[1])):
        assert same(u, v) or (bound is not None and k in SINKS and close(u, v, bound)), f"{what}, result {k}: {u} against {v}"


def one_case(compiler, rng, report=None):
    source = Maker(rng).kernel()
    args = arguments(rng)
    if report is not None:
        report.update(source=source, args=args)
    try:
        program = compiler.compile(source, args, flags=PARALLEL)
    except Failure as e:
        expected = outcome(python(source)[0], args)
        allowed = expected[0] == "error" or "before it has a value" in str(e) or "was something else" in str(e)
        assert allowed, f"{e}\nbut Python runs it"
        return None
    function, sums = python(source)
    expected = outcome(function, args)
    result = outcome(program, args)
    compare(result, expected, sums)
    agree(outcome(lambda *a: program(*a, interpret=True), args), result, "interpreter", sums.bound())
    for threads in (2, 5):
        agree(outcome(lambda *a: program(*a, threads=threads), args), result, f"{threads} threads")
    agree(outcome(lambda *a: program(*a, remote=True, threads=2), args), result, "remote")
    return expected[0] == "ok"


def test_random_kernels(compiler, cases, seed):
    count = {True: 0, False: 0, None: 0}
    for case in range(cases // 4):
        report = {}
        try:
            count[one_case(compiler, np.random.default_rng([seed, case, 7]), report)] += 1
        except AssertionError as e:
            raise AssertionError(f"seed {seed}, case {case}: {e}\n{report['source']}\n{report['args']}") from None
    assert count[True] > cases // 16, count
