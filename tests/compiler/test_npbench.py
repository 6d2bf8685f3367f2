# SPDX-License-Identifier: BSD-3-Clause
"""NPBench's parallel loops: verdicts, and results equal to NumPy's."""

import re

import numpy as np
import pytest
from harness import PARALLEL
from npbench import KERNELS
from oracle import python


@pytest.mark.parametrize("name,verdicts,args,source", KERNELS, ids=[k[0] for k in KERNELS])
def test_kernel(compiler, name, verdicts, args, source):
    program = compiler.compile(source, args, flags=PARALLEL)
    lines = [k + 1 for k, text in enumerate(source.split("\n")) if "prange" in text]
    report = program.text(1)
    for line, verdict in zip(lines, verdicts):
        assert verdict in re.search(rf"loop \d+, line {line}: (.*)", report)[1], report
    outcomes = []
    for way in (None, dict(), dict(threads=5), dict(interpret=True)):
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        result = python(source)[0](*copies) if way is None else program(*copies, **way)
        outcomes.append([result] + copies)
    for outcome in outcomes[1:]:
        for got, expected in zip(outcome, outcomes[0]):
            assert (got is None) == (expected is None)
            if got is not None:
                np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)
