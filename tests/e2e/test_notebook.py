# SPDX-License-Identifier: BSD-3-Clause
"""The exercises of clients/python/examples/notebook.py, small; each checks its result against NumPy."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

LINES = 14  # of the table


@pytest.mark.parametrize("scale", ["0.00001", "0.01"])
def test_every_exercise_gives_what_numpy_gives(daemon, scale):
    env = dict(os.environ, SPIKED_URL=daemon.url, PYTHONIOENCODING="utf-8")
    script = ROOT / "clients" / "python" / "examples" / "notebook.py"
    done = subprocess.run([sys.executable, str(script), "--scale", scale], env=env, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.endswith("  same")]
    assert len(rows) == LINES and "WRONG" not in done.stdout, done.stdout
    assert "reduction" in done.stdout and "scan, in order" in done.stdout and "write of x[i]" in done.stdout
