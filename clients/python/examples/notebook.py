#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The exercises of a course on compiled code for neuroscience, with spiked in the place of NumExpr and of Numba.

    python3 clients/python/examples/notebook.py [--scale 1.0] [--build build]

Each line: the exercise, its size, the time of plain NumPy (loops: of plain Python on a part, extrapolated), of the first call, which compiles,
of the calls after it, and whether the result is NumPy's. Exit code 0 if all are.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, List, Optional

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "clients" / "python"))

import spiked as ne  # noqa: E402
from spiked import njit, prange  # noqa: E402

RUNS = 3
PYTHON_LOOP = 20_000  # elements that plain Python is timed on


@njit
def count_spikes(x, threshold):
    count = 0
    for i in range(len(x)):
        if x[i] > threshold:
            count += 1
    return count


@njit
def sum_of_squares(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i] * x[i]
    return total


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
def sum_seq(x):
    total = 0.0
    for i in prange(len(x)):
        total += x[i]
    return total


@njit(parallel=True)
def dependent_loop(x):
    for i in prange(1, len(x)):
        x[i] = x[i] + x[i - 1]
    return x


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def shown(t: Optional[float]) -> str:
    return "" if t is None else f"{t:.2f} s" if t >= 1 else f"{1e3 * t:.1f} ms" if t >= 1e-3 else f"{1e6 * t:.0f} µs"


class Report:
    """The table, and whether all was right."""

    def __init__(self) -> None:
        self.wrong: List[str] = []
        print(f"{'exercise':<44}{'elements':>12}{'plain':>11}{'first':>11}{'then':>11}")

    def add(self, name: str, size: int, plain: float, work: Callable[[], Any], right: Callable[[Any], bool]) -> None:
        start = time.perf_counter()
        result = work()
        first = time.perf_counter() - start
        good = bool(right(result))
        del result
        then = min(seconds(work) for _ in range(RUNS))
        self.line(name, size, plain, first, then, good)

    def line(self, name: str, size: int, plain: Optional[float], first: Optional[float], then: Optional[float], good: bool) -> None:
        if not good:
            self.wrong.append(name)
        print(f"{name:<44}{size:>12,}{shown(plain):>11}{shown(first):>11}{shown(then):>11}  {'same' if good else 'WRONG'}", flush=True)


def expressions(report: Report, scale: float) -> None:
    """Part 1: array expressions."""
    rng = np.random.default_rng(1)
    n = max(int(10e6 * scale), 100)
    plain = seconds(lambda: np.arange(n) + 1 + 2 + 3 + 4 + 5 + 6)
    a = np.arange(n)
    report.add("arange(N)+1+2+3+4+5+6, no temporaries", n, plain, lambda: ne.evaluate("a+1+2+3+4+5+6", {"a": a}), lambda y: np.array_equal(y, a + 21))
    x = rng.random(n)
    for text, numpy in (("x * 2 + 3", lambda: x * 2 + 3), ("3 * x ** 2 + 2 * x + 1", lambda: 3 * x**2 + 2 * x + 1)):
        want = numpy()
        report.add(text, n, seconds(numpy), lambda: ne.evaluate(text, {"x": x}), lambda y: np.array_equal(y, want))
    out = ne.empty(n)
    report.add("the last one, out=", n, seconds(numpy), lambda: ne.evaluate(text, {"x": x}, out=out), lambda y: y is out and np.array_equal(y, want))
    report.add("sum(sqrt(x))", n, seconds(lambda: np.sum(np.sqrt(x))), lambda: ne.evaluate("sum(sqrt(x))", {"x": x}),
               lambda s: np.isclose(s, np.sum(np.sqrt(x)), rtol=1e-12))
    m = 2 * n
    x, y, z = rng.random(m), rng.random(m), rng.random(m)
    want = x + y + z

    def histograms(s: np.ndarray) -> bool:
        same = [np.array_equal(np.histogram(v, 50)[0], np.histogram(w, 50)[0]) for v, w in ((s, want), (x, x), (y, y), (z, z))]
        return all(same) and np.array_equal(s, want)

    report.add("x + y + z, then histograms", m, seconds(lambda: x + y + z), lambda: ne.evaluate("x + y + z", {"x": x, "y": y, "z": z}), histograms)


def repeated(report: Report, scale: float) -> None:
    """50 times on a large and on a small array: what a call costs."""
    rng = np.random.default_rng(2)
    compiled = ne.NumExpr("x * 2 + 1")

    def numpy(x: np.ndarray) -> np.ndarray:
        for _ in range(50):
            x = x * 2 * 2 * 2 * 2
        return x

    def evaluate(x: np.ndarray) -> np.ndarray:
        for _ in range(50):
            x = ne.evaluate("x * 2 * 2 * 2 * 2")
        return x

    for n in (max(int(5e6 * scale), 100), 50):
        x = rng.random(n)
        want = numpy(x)
        report.add("50 times x = x * 2 * 2 * 2 * 2", n, seconds(lambda: numpy(x)), lambda: evaluate(x), lambda y: np.array_equal(y, want))
    x = rng.random(50)
    want = x * 2 + 1
    report.add("50 times f = NumExpr('x * 2 + 1'); f(x)", 50, seconds(lambda: [x * 2 + 1 for _ in range(50)]),
               lambda: [compiled(x) for _ in range(50)], lambda ys: all(np.array_equal(y, want) for y in ys) and np.array_equal(compiled(x=x), want))


def loops(report: Report, scale: float) -> None:
    """Part 2: loops; each pays its compilation once, for all processes."""
    rng = np.random.default_rng(3)
    n, k = max(int(10e6 * scale), 100), max(int(1e5 * scale), 100)
    x, ones = rng.standard_normal(n), np.ones(k)

    def python(kernel: Any, a: np.ndarray, *args: float) -> float:
        part = a[:PYTHON_LOOP]
        return seconds(lambda: kernel.py_func(part, *args)) * len(a) / len(part)

    report.add("spike counter, threshold 0.1", n, python(count_spikes, x, 0.1), lambda: count_spikes(x, 0.1),
               lambda c: type(c) is int and c == np.count_nonzero(x > 0.1))
    report.add("sum of squares", k, python(sum_of_squares, ones), lambda: sum_of_squares(ones), lambda s: s == float(k))
    report.add("conditional weighted sum, threshold 1", k, python(weighted_sum, ones, 1), lambda: weighted_sum(ones, 1), lambda s: s == -float(k))


def parallel(report: Report, scale: float) -> None:
    """Part 3: parallel loops, one that is and one that must not be."""
    rng = np.random.default_rng(4)
    n, m = max(int(50e6 * scale), 100), max(int(5e6 * scale), 100)
    x = rng.random(n)
    report.add("sum over prange", n, seconds(lambda: x.sum()), lambda: sum_seq(x), lambda s: np.isclose(s, x.sum(), rtol=1e-9))
    del x
    x = rng.random(m)
    want = np.empty(m)
    plain = seconds(lambda: np.cumsum(x, out=want))
    y = x.copy()
    first = seconds(lambda: dependent_loop(y))
    good = np.array_equal(y, want)
    y[:] = x
    then = seconds(lambda: dependent_loop(y))
    report.line("dependent loop over prange, in place", m, plain, first, then, good and np.array_equal(y, want) and dependent_loop(y) is y)
    print(f"\n  its last element {want[-1]:.8g}; spiked's with the same input {_last(x):.8g}")
    print("\nparallel_diagnostics(level=4) of the sum:")
    sum_seq.parallel_diagnostics(level=4)
    print("and of the dependent loop:")
    dependent_loop.parallel_diagnostics(level=4)
    verdicts = [loop["verdict"] for loop in dependent_loop.verdicts()]
    if not all("scan" in v or "in order" in v for v in verdicts):
        report.wrong.append(f"the dependent loop's verdict: {verdicts}")


def _last(x: np.ndarray) -> float:
    return float(dependent_loop(x.copy())[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="1: the course's sizes (up to 50 million elements)")
    parser.add_argument("--build", type=Path, help="build folder with the program spiked; default: what `spiked.connect` finds")
    args = parser.parse_args()
    if args.build:
        os.environ["SPIKED_BINARY"] = str(args.build.resolve() / "spiked")
    try:
        report = Report()
        for part in (expressions, repeated, loops, parallel):
            part(report, args.scale)
    except ne.SpikedError as e:
        print(f"notebook: {e}", file=sys.stderr)
        return 1
    if report.wrong:
        print(f"notebook: not as NumPy: {', '.join(report.wrong)}", file=sys.stderr)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
