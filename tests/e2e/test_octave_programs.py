# SPDX-License-Identifier: BSD-3-Clause
"""Expressions and kernels of the MATLAB client in GNU Octave, with Python's and NumPy's values as expectation."""

import json
import os
import subprocess

import numpy as np
import pytest
import spiked
from conftest import ROOT
from test_octave import FS, OCTAVE_TIMEOUT_S, _hex, _signal, _write_plain, octave  # noqa: F401

EXPRESSION = "3*x**2 + where(x > 0.5, sqrt(x), exp(-x)) / (1 + x)"

SOURCE = '''
def step(v, by):
    return v * by


def outer(m, w, by):
    """Each row of m against w; m's place decides where a value goes."""
    total = np.zeros(m.shape[0])
    out = np.empty((m.shape[0], m.shape[1]))
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            out[i, j] = step(m[i, j] - w[j], by) + 100 * i + j
            total[i] += out[i, j]
    return out, total
'''


def _expected(sp, rng):
    x, m = rng.random(1001), np.asfortranarray(rng.random((3, 5)))
    world = {"np": np}
    exec(SOURCE, world)
    first, second = world["outer"](m, x[:5], 0.25)
    before = spiked.use(sp)
    try:
        evaluated = spiked.evaluate(EXPRESSION, {"x": x})
    finally:
        spiked.use(before)
    np.testing.assert_allclose(evaluated, 3 * x**2 + np.where(x > 0.5, np.sqrt(x), np.exp(-x)) / (1 + x), rtol=1e-14)
    return {"x": _hex(x), "m": _hex(m.T), "expression": EXPRESSION, "evaluated": _hex(evaluated), "source": SOURCE, "first": _hex(first.T),
            "second": _hex(second)}


def test_programs_in_octave(octave, tmp_path):  # noqa: F811
    x = _signal()
    _write_plain(tmp_path / "plain.h5", x)
    with spiked.launch(options={"compute.threads": 2}) as sp:
        expected = _expected(sp, np.random.default_rng(5))
        expected["times"] = np.flatnonzero(x[:, 1] < -50).tolist()
        (tmp_path / "expected.json").write_text(json.dumps(expected))
        env = dict(os.environ, SPIKED_TEST_DIR=str(tmp_path), SPIKED_URL=sp.daemon.tcp_url or "", SPIKED_TOKEN=sp.daemon.token or "")
        command = [octave, "--no-gui", "--quiet", str(ROOT / "clients" / "matlab" / "tests" / "run_programs.m")]
        try:
            done = subprocess.run(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=OCTAVE_TIMEOUT_S)
        except subprocess.TimeoutExpired as e:
            pytest.fail(f"Octave did not end within {OCTAVE_TIMEOUT_S} s:\n{(e.stdout or b'').decode(errors='replace')}")
    print(done.stdout)
    assert done.returncode == 0 and " 0 failed" in done.stdout, done.stdout
