# SPDX-License-Identifier: BSD-3-Clause
"""TSVC: no loop with a real dependence runs in parallel, and every result is Python's."""

import re

import numpy as np
import pytest
from harness import PARALLEL
from oracle import python
from tsvc import kernels

KERNELS = list(kernels())
PARALLEL_VERDICTS = ("parallel", "parallel with reductions", "parallel with private variables")


def arguments(n, m, seed=0):
    rng = np.random.default_rng(seed)
    v = [rng.uniform(-1, 1, n) for _ in range(5)]
    return v + [rng.uniform(-1, 1, (m, m)) for _ in range(3)] + [rng.uniform(-1, 1, m * m), rng.permutation(n), n, m, 0.5, 0.1, 1]


def verdict(program, source):
    """Of the loop that is written with prange."""
    line = 1 + source.split("\n").index(next(text for text in source.split("\n") if "prange" in text))
    return re.search(rf"loop \d+, line {line}: ([a-z, ]+)", program.text(1))[1]


@pytest.mark.parametrize("name,kind,source", KERNELS, ids=[k[0] for k in KERNELS])
def test_loop(compiler, name, kind, source):
    args = arguments(100, 16)
    program = compiler.compile(source, args, flags=PARALLEL)
    accepted = verdict(program, source) in PARALLEL_VERDICTS
    assert not (accepted and kind in "SD"), f"{name} must not run in parallel\n{source}"
    for n, m in ((100, 16), (9001, 20) if accepted else (37, 6)):
        args = arguments(n, m, 1)
        copies = [[a.copy() if isinstance(a, np.ndarray) else a for a in args] for _ in range(3)]
        with np.errstate(all="ignore"):
            expected = python(source)[0](*copies[0])
        results = program(*copies[1]), program(*copies[2], threads=5)
        bound = 4 * n * np.finfo(float).eps * n if kind == "R" else 0
        for result in results:
            if expected is not None:
                assert np.allclose(np.array(result, float), np.array(expected, float), rtol=1e-13, atol=bound)
        for k in range(10):
            for copy in copies[1:]:
                assert np.array_equal(copy[k], copies[0][k], equal_nan=True), f"{name}: array {k}"


def test_count():
    assert len(KERNELS) >= 120 and all(k[1] in "PRSD" for k in KERNELS)
