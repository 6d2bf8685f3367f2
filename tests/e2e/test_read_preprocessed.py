# SPDX-License-Identifier: BSD-3-Clause
"""`read` with preprocessing: what `map` hands its kernels, in any part, of any channels."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import spiked
from conftest import FS

STAGES = [spiked.bandpass(300, 6000), spiked.common_reference("median")]
CAUSAL = [spiked.highpass(500, 3, zero_phase=False)]
SEED = 5


def itself(x: np.ndarray) -> np.ndarray:
    return x.copy()


@pytest.mark.parametrize("stages", [STAGES, CAUSAL, [spiked.scale(2.0, 1.0)]], ids=["zero-phase", "causal", "scale"])
@pytest.mark.parametrize("scaled", [False, True])
def test_parts_are_those_of_the_whole(client, nwb, stages, scaled):
    rec = client.open(nwb.path)
    whole = rec.read(preprocess=stages, scaled=scaled)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole, np.stack(rec.map(itself, preprocess=stages, scaled=scaled), axis=1))
    rng = np.random.default_rng(SEED)
    for _ in range(6):
        start, stop = np.sort(rng.integers(0, rec.num_samples + 1, 2))
        channels = rng.permutation(rec.num_channels)[:5]
        got = rec.read(start, stop, channels, preprocess=stages, scaled=scaled)
        np.testing.assert_array_equal(got, whole[start:stop, channels], err_msg=str((SEED, start, stop)))


def test_against_scipy(client, nwb):
    expected, tolerance = oracle.preprocess(nwb.traces, STAGES, FS)
    got = client.open(nwb.path).read(preprocess=STAGES)
    assert np.abs(got - expected).max() <= tolerance < 2
    uv = client.open(nwb.path).read(preprocess=STAGES, scaled=True)
    gain = client.open(nwb.path).gains_uV
    assert np.abs(uv - expected * gain).max() <= 2 * tolerance * np.abs(gain).max()


def test_nothing_and_wrong(client, nwb):
    rec = client.open(nwb.path)
    assert rec.read(7, 7, preprocess=STAGES).shape == (0, rec.num_channels)
    assert rec.read(7, 9, [], preprocess=STAGES).shape == (2, 0)
    with pytest.raises(spiked.Invalid) as e:
        rec.read(0, 10, recorded=True, preprocess=STAGES)
    assert e.value.field == "recorded"
    with pytest.raises(spiked.Invalid) as e:
        rec.read(0, 10, preprocess=[spiked.bandpass(300, 15000)])
    assert e.value.field == "preprocess[0].freq_max"
    assert client.ping() is not None
