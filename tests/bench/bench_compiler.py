# SPDX-License-Identifier: BSD-3-Clause
"""Side by side with NumExpr and Numba in one run, as ratios: the exercises of a teaching notebook at its sizes. Part of make bench; alone:
make bench-compiler, or make bench-compiler BENCH='--quick'.

Both sides use all processors. A ratio is peer time / spiked time, its spread the smallest and largest over the rounds. "spiked" rows compute on
plain NumPy arrays in this process, "shared" rows on arrays of spiked.empty.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import numexpr
import numpy as np
import spiked
from spiked import njit, prange

import loops


def timed(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def compare(name, ours, peer, rounds):
    """Runs both in turn; prints the median ratio."""
    ours(), peer()
    times, peer_times = [], []
    for _ in range(rounds):
        peer_times.append(timed(peer))
        times.append(timed(ours))
    ratios = [p / t for p, t in zip(peer_times, times)]
    print(f"{name:66s} {statistics.median(peer_times) * 1e3:9.2f} {statistics.median(times) * 1e3:9.2f} {statistics.median(ratios):8.2f}x  "
          f"{min(ratios):.2f}-{max(ratios):.2f}", flush=True)


def shared(a):
    b = spiked.empty(a.shape, a.dtype)
    b[...] = a
    return b


EXPRESSIONS = [
    ("x*2 + 3", 10_000_000),
    ("3*x**2 + 2*x + 1", 10_000_000),
    ("x + y + z", 20_000_000),
    ("x * 2 * 2 * 2 * 2", 5_000_000),
    ("exp(sin(x)) * 2", 10_000_000),
    ("exp(x)", 10_000_000),
    ("sin(x)", 10_000_000),
    ("log(x)", 10_000_000),
]
REDUCTIONS = [("sum(sqrt(x))", 10_000_000), ("sum(x)", 10_000_000), ("max(x)", 10_000_000), ("prod(x)", 10_000_000)]


def expressions(rounds, scale):
    rng = np.random.default_rng(0)
    for text, n in EXPRESSIONS:
        n = max(1000, n // scale)
        names = [v for v in "xyz" if v in text.replace("exp", "")]
        plain = {v: rng.random(n) for v in names}
        out, far_out = np.empty(n), spiked.empty(n)
        far = {v: shared(a) for v, a in plain.items()}

        def peer(text=text, plain=plain, out=out):
            numexpr.evaluate(text, plain, out=out)

        compare(f"{text}, {n / 1e6:g} M, out=, NumPy arrays / NumExpr", lambda: spiked.evaluate(text, plain, out=out), peer, rounds)
        compare(f"{text}, {n / 1e6:g} M, out=, shared arrays / NumExpr", lambda: spiked.evaluate(text, far, out=far_out), peer, rounds)
    for text, n in REDUCTIONS:
        plain = {"x": rng.random(max(1000, n // scale))}
        far = {"x": shared(plain["x"])}

        def peer(text=text, plain=plain):
            numexpr.evaluate(text, plain)

        compare(f"{text}, {n / scale / 1e6:g} M, NumPy arrays / NumExpr", lambda: spiked.evaluate(text, plain), peer, rounds)
        compare(f"{text}, {n / scale / 1e6:g} M, shared arrays / NumExpr", lambda: spiked.evaluate(text, far), peer, rounds)


def parallel_version(source, x, arguments):
    """Numba's, if it can compile it."""
    p = numba.njit(parallel=True)(source)
    try:
        p(x.copy(), *arguments)
    except numba.core.errors.NumbaError:
        return []
    return [p]


def kernels(rounds, scale):
    """Against the faster of Numba's serial and parallel versions."""
    rng = np.random.default_rng(1)
    for function, n, arguments in loops.KERNELS:
        x = rng.random(max(1000, n // scale))
        source = function
        ours = njit(parallel=True)(source)
        peers = [numba.njit(source)]
        if function not in loops.NUMBA_IS_WRONG:
            peers += parallel_version(source, x, arguments)
        for p in peers:
            p(x.copy(), *arguments)
        best = min(peers, key=lambda p: min(timed(lambda: p(x, *arguments)) for _ in range(3)))
        far = shared(x)
        name = f"{function.__name__}, {len(x) / 1e6:g} M"
        compare(f"{name}, NumPy arrays / Numba", lambda: ours(x, *arguments), lambda: best(x, *arguments), rounds)
        compare(f"{name}, shared arrays / Numba", lambda: ours(far, *arguments), lambda: best(x, *arguments), rounds)


FIRST = """
import time, sys, os
start = time.perf_counter()
import numpy as np
x = np.ones(1000)
middle = time.perf_counter()
from {package} import njit
@njit
def count(x, threshold):
    n = 0
    for i in range(len(x)):
        if x[i] > threshold:
            n += 1
    return n
assert count(x, {threshold}) == 1000
print(time.perf_counter() - middle)
"""


def first_answers(rounds):
    """A fresh process: import (NumPy's own apart, both need it), decoration, first call. The daemon is there already."""
    with tempfile.TemporaryDirectory(prefix="spiked-bench-") as folder:
        results = {"numba": [], "spiked": [], "spiked, new kernel": []}
        for k in range(rounds):
            for name in results:
                package = name.split(",")[0]
                path = Path(folder) / f"first_{package}.py"
                path.write_text(FIRST.format(package=package, threshold=0.5 if name != "spiked, new kernel" else f"0.5 - {k + 1} / 100 * 1e-{k + 1}"))
                if name == "spiked, new kernel":
                    path.write_text(path.read_text().replace("n = 0", f"n = 0 * {time.time_ns()}"))
                out = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True, env=os.environ)
                results[name].append(float(out.stdout))
    numba_time = statistics.median(results["numba"])
    for name in ("spiked", "spiked, new kernel"):
        ours = statistics.median(results[name])
        print(f"first answer in a fresh process, {name:25s}{'':9s} {numba_time * 1e3:9.1f} {ours * 1e3:9.1f} {numba_time / ours:8.1f}x", flush=True)


COMPILED = """
def f(x, y):
    total = {number}.0
    for i in prange(len(x)):
        if x[i] > 0.5:
            total += x[i] * y[i]
    return total
"""


def compile_costs(rounds):
    """What a kernel costs when nobody has compiled it, when the daemon finds it on disk, and when it is warm: round trip included."""
    times = {"cold": [], "from disk": [], "in memory": []}
    signature = [{"dtype": "<f8", "ndim": 1}] * 2
    with tempfile.TemporaryDirectory(prefix="spiked-bench-") as folder:
        settings = {"compiler.cache_dir": str(Path(folder) / "cache")}
        with spiked.launch(options=settings) as cold, spiked.launch(options=settings) as warm:
            for k in range(rounds):
                params = {"source": COMPILED.format(number=time.time_ns()), "kernel": "f", "args": signature, "options": {"parallel": True}}
                for name, sp in (("cold", cold), ("from disk", warm), ("in memory", cold)):
                    times[name].append(timed(lambda: sp._call("compile", params)))
    for name, values in times.items():
        print(f"compile a small parallel kernel, {name:33s} {statistics.median(values) * 1e3:9.2f} ms  {min(values) * 1e3:.2f}-{max(values) * 1e3:.2f}", flush=True)


def median_us(f, n):
    for _ in range(100):
        f()
    times = sorted(timed(f) for _ in range(n))
    return times[n // 2] * 1e6, times[n * 99 // 100] * 1e6


def small_calls(sp, n):
    x = np.random.default_rng(2).random(50)
    kernel = njit(loops.sum_of_squares)
    peer = numba.njit(loops.sum_of_squares)
    precompiled, peer_precompiled = spiked.NumExpr("x*2 + 1"), numexpr.NumExpr("x*2 + 1")
    rows = [("ping", None, sp.ping),
            ("x*2 + 1 of 50 elements, evaluate", lambda x=x: numexpr.evaluate("x*2 + 1"), lambda x=x: spiked.evaluate("x*2 + 1")),
            ("x*2 + 1 of 50 elements, NumExpr object", lambda: peer_precompiled(x), lambda: precompiled(x)),
            ("sum_of_squares of 50 elements", lambda: peer(x), lambda: kernel(x))]
    for name, theirs, ours in rows:
        if ours is None:
            continue
        mine = median_us(ours, n)
        other = median_us(theirs, n) if theirs else (0.0, 0.0)
        print(f"{name:66s} peer {other[0]:7.1f} us; spiked median {mine[0]:7.1f} us, p99 {mine[1]:7.1f} us", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, 3 rounds")
    arguments = parser.parse_args()
    build = os.environ.get("SPIKED_BUILD", "build")
    os.environ.setdefault("SPIKED_BINARY", str(Path(build).resolve() / "spiked"))
    rounds, scale = (3, 10) if arguments.quick else (9, 1)
    numexpr.set_num_threads(os.cpu_count())
    print(f"NumExpr {numexpr.__version__}, Numba {numba.__version__}, NumPy {np.__version__}, {os.cpu_count()} processors; "
          f"load average at start {os.getloadavg()[0]:.2f}\n")
    print(f"{'':66s} {'peer ms':>9s} {'spiked ms':>9s} {'ratio':>9s}  spread")
    with spiked.launch() as sp:
        os.environ["SPIKED_URL"] = sp.url
        spiked.use(sp)
        # First: the peers' own threads go on spinning for a while after parallel work.
        small_calls(sp, 500 if arguments.quick else 3000)
        expressions(rounds, scale)
        kernels(rounds, scale)
        compile_costs(5 if arguments.quick else 15)
        first_answers(3 if arguments.quick else 5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
