# SPDX-License-Identifier: BSD-3-Clause
"""Whitening, z-scores and bad channels against SpikeInterface on the same random chunks."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import spikeinterface.core as si
import spikeinterface.preprocessing as spre

import spiked

FS, GAIN = 30000.0, 0.5


@pytest.fixture(scope="module")
def sp():
    with spiked.launch() as client:
        yield client


def places(channels: int) -> np.ndarray:
    """Two columns; the order along the probe is not that of the channels."""
    c = np.random.default_rng(9).permutation(channels)
    return np.stack([c % 2 * 32.0, c // 2 * 20.0], axis=1)


def probe_data(seed: int, channels: int, seconds: float, bad: bool) -> np.ndarray:
    """int16: noise that all share and of their own; dead, noisy and outside channels by their place."""
    rng = np.random.default_rng(seed)
    n = int(FS * seconds)
    x = rng.normal(0, 30, (n, 1)) + rng.normal(0, 8, (n, channels))
    if bad:
        rank = np.lexsort(places(channels).T)
        x[:, rank[-7:]] = rng.normal(0, 8, (n, 7))
        x[:, rank[[5, 20]]] = rng.normal(0, 1, (n, 2))
        x[:, rank[[9, 30]]] += rng.normal(0, 250, (n, 2))
        x[:, rank[14]] *= 3
    return np.round(x).astype("<i2")


def both(sp, folder, x: np.ndarray):
    path = folder / "x.h5"
    with h5py.File(path, "w") as f:
        f["x"] = x
    theirs = si.NumpyRecording([x], FS)
    theirs.set_channel_gains(GAIN)
    theirs.set_channel_offsets(0)
    theirs.set_dummy_probe_from_locations(places(x.shape[1]))
    return sp.open(path, dataset="x", sampling_frequency=FS, gain_uV=GAIN), theirs


@pytest.mark.parametrize("how", [dict(), dict(apply_mean=True), dict(eps=3.0), dict(mode="local", radius_um=70.0)], ids=str)
def test_whiten(sp, tmp_path, how):
    rec, theirs = both(sp, tmp_path, probe_data(1, 24, 12, False))
    expected = spre.whiten(theirs, dtype="float32", seed=0, **how).get_traces()
    extra = dict(channel_locations=places(24)) if how.get("mode") == "local" else {}
    got = rec.read(preprocess=[spiked.whiten(**how, **extra)])
    # Their covariance and its decomposition are float32: roundings times the condition, 24 * 900 / 64, of traces of up to 6.
    assert np.abs(got - expected).max() <= 2**-24 * 340 * 64 * 6


@pytest.mark.parametrize("mode", ["median+mad", "mean+std"])
def test_zscore(sp, tmp_path, mode):
    rec, theirs = both(sp, tmp_path, probe_data(2, 20, 12, False))
    expected = spre.zscore(theirs, mode=mode, seed=0).get_traces()
    np.testing.assert_allclose(rec.read(preprocess=[spiked.zscore(mode)]), expected, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("how", [dict(), dict(outside_channels_location="both", n_neighbors=7), dict(method="std"), dict(method="mad", std_mad_threshold=2),
                                 dict(method="neighborhood_r2"), dict(psd_hf_threshold=1e9, welch_window_ms=7.3), dict(num_random_chunks=10, nyquist_threshold=0.5)], ids=str)
def test_bad_channels(sp, tmp_path, how, seed):
    rec, theirs = both(sp, tmp_path, probe_data(seed, 48, 8, True))
    ids, expected = spre.detect_bad_channels(theirs, seed=seed, **{"num_random_chunks": 20, **how})
    got_ids, got = rec.detect_bad_channels(seed=seed, channel_locations=places(48), **{"num_random_chunks": 20, **how})
    np.testing.assert_array_equal(got, expected)
    assert len(got_ids) == len(ids) and [theirs.channel_ids[rec.channel_ids.index(i)] for i in got_ids] == list(ids)
    assert how.get("method") in ("std", "neighborhood_r2") or 1 < (expected != "good").sum()
    assert how or set(expected) == {"good", "dead", "noise", "out"}
