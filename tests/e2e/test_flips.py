# SPDX-License-Identifier: BSD-3-Clause
"""A sample of tests/recording/flips.py: damaged recordings of every layout give right samples or an error, and the daemon goes on.

SPIKED_FLIPS is the number of damaged copies of each fixture (default 5, at most 12 s of them), SPIKED_SEED chooses them.
"""

import os
import sys

import spiked
from conftest import ROOT

sys.path.append(str(ROOT / "tests" / "recording"))
import flips  # noqa: E402


def test_damaged_recordings(tmp_path):
    seed, rounds = int(os.environ.get("SPIKED_SEED", 1)), int(os.environ.get("SPIKED_FLIPS", 5))
    with spiked.launch(options=flips.OPTIONS) as client:
        counts, failures = flips.run(client, flips.prepare(client, tmp_path), tmp_path, rounds, seed, seconds=12)
        client.ping()
    assert not failures, f"{failures}; repeat with tests/recording/flips.py --seed {seed} --flips {rounds}"
    assert counts["refused"] > 10 and counts["compared"] > 10, counts
