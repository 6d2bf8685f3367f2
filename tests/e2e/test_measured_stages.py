# SPDX-License-Identifier: BSD-3-Clause
"""Stages that are measured on the data, against NumPy on the chunks that SpikeInterface would draw."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np
import oracle
import pytest
import spiked
from conftest import FS

SEED = 11
MAD = 0.6744897501960817


def whole(x: np.ndarray) -> np.ndarray:
    return x.copy()


def out_of(client: spiked.Client, x: np.ndarray, stages: Sequence[oracle.Stage]) -> np.ndarray:
    return np.stack(client.map(x, whole, preprocess=stages, sampling_frequency=FS), axis=1)


def sample(x: np.ndarray, seed: int = 0) -> np.ndarray:
    """20 random chunks of 0.5 s behind each other, as SpikeInterface's get_random_data_chunks."""
    chunk = min(int(0.5 * FS), len(x) - 1)
    starts = np.sort(np.random.default_rng(seed).integers(0, len(x) - chunk, 20, endpoint=True))
    return np.concatenate([x[s : s + chunk] for s in starts])


def zca(c: np.ndarray, eps: float) -> np.ndarray:
    s, u = np.linalg.eigh(c)
    return (u / np.sqrt(np.maximum(s, 0) + eps)) @ u.T


def matrix_of(x: np.ndarray, eps: Optional[float] = None, mean: bool = False, locations: Any = None, radius: float = 100.0) -> np.ndarray:
    """SpikeInterface's rules in float64."""
    d = x.astype("f4")
    d = (d - d.mean(axis=0, dtype="f8").astype("f4")).astype("f8") if mean else d.astype("f8")
    c = d.T @ d / len(d)
    if eps is None:
        middle = np.median(np.square(d.astype("f4")))
        eps = max(1e-16, middle * 1e-3) if 0 < middle < 1 else 1e-16
    if locations is None:
        return zca(c, eps)
    w = np.zeros_like(c)
    for k in range(len(c)):
        near = np.flatnonzero(np.sqrt(((locations - locations[k]) ** 2).sum(axis=1)) <= radius)
        w[near, k] = zca(c[np.ix_(near, near)], eps)[near == k][0]
    return w


def correlated(frames: int, channels: int, seed: int = SEED, size: float = 20.0) -> np.ndarray:
    """Noise that neighbours share, of the order of `size`, on small offsets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, size, (frames, channels + 4))
    mix = np.convolve(np.ones(5), [1.0])
    y = np.stack([x[:, c : c + 5] @ mix for c in range(channels)], axis=1) * rng.uniform(0.5, 2, channels) + rng.normal(0, size, (frames, channels))
    return (y + rng.normal(0, size / 4, channels)).astype("<f4")


def bound_of(x: np.ndarray, w: np.ndarray) -> float:
    """How far a float32 covariance moves the whitened traces. The largest eigenvalue times 256 roundings (sums of 256 products in float32), beside the
    smallest one; roundings of the product x @ W on top."""
    s = np.linalg.eigvalsh(np.cov(x.astype("f8").T) if x.shape[1] > 1 else np.atleast_2d(x.astype("f8").var()))
    return float((256 * oracle.U32 * s[-1] / s[0] + x.shape[1] * oracle.U32) * (np.abs(x).astype("f8") @ np.abs(w)).max())


WAYS = [dict(), dict(apply_mean=True), dict(eps=5.0), dict(seed=3)]


@pytest.mark.parametrize("how", WAYS, ids=str)
@pytest.mark.parametrize("channels", [1, 5, 16, 40])
def test_whiten_global(client, channels, how):
    x = correlated(40000, channels)
    part = sample(x, how.get("seed", 0))
    w = matrix_of(part, how.get("eps"), how.get("apply_mean", False))
    mean = part.mean(axis=0, dtype="f8") if how.get("apply_mean") else 0
    got, expected = out_of(client, x, [spiked.whiten(**how)]), (x.astype("f8") - mean) @ w
    bound = bound_of(x, w)
    assert np.abs(got - expected).max() <= bound < 0.2, (bound, np.abs(got - expected).max())
    if not how:
        c = np.cov(sample(got).T.reshape(channels, -1)) + np.outer(sample(got).mean(axis=0), sample(got).mean(axis=0))
        np.testing.assert_allclose(c, np.eye(channels), atol=1e-3)


@pytest.mark.parametrize("radius", [0.0, 45.0, 100.0, 1e6])
def test_whiten_local(client, radius):
    x = correlated(30000, 40)
    places = np.stack([np.arange(40) % 2 * 30.0, np.arange(40) // 2 * 20.0], axis=1)
    w = matrix_of(sample(x), None, False, places, radius)
    got = out_of(client, x, [spiked.whiten(mode="local", radius_um=radius, channel_locations=places)])
    assert np.abs(got - x.astype("f8") @ w).max() <= bound_of(x, w) < 0.2


@pytest.mark.parametrize("size", [1e-6, 0.3])
def test_whiten_small_numbers(client, size):
    """Volts: eps follows the data, exactly, since it decides the matrix of channels that are copies of each other."""
    x = correlated(30000, 8, size=size)
    x[:, 3] = x[:, 5]
    w = matrix_of(sample(x))
    got, expected = out_of(client, x, [spiked.whiten()]), x.astype("f8") @ w
    # The copies' difference has the eigenvalue eps alone, 1e-3 of the median square: 4e4 times below the largest.
    assert np.abs(got - expected).max() <= 256 * oracle.U32 * 4e4 * np.abs(expected).max() < 60
    assert np.abs(got - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("mode", ["median+mad", "mean+std"])
@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
@pytest.mark.parametrize("seed", [0, 7])
def test_zscore(client, mode, dtype, seed):
    x = (correlated(40000, 20) + np.linspace(-300, 300, 20)).astype(dtype)
    d = sample(x, seed).astype("f8")
    middle = np.median(d, axis=0) if mode == "median+mad" else d.mean(axis=0)
    spread = np.median(np.abs(d - middle), axis=0) / MAD if mode == "median+mad" else d.std(axis=0)
    got, expected = out_of(client, x, [spiked.zscore(mode, seed)]), (x - middle) / spread
    # Gain and offset are rounded (the level behind them twice), then the product and the sum.
    assert (np.abs(got - expected) <= 6 * oracle.U32 * (np.abs(x) + np.abs(middle)) / spread + oracle.U32).all()


def test_a_channel_without_noise(client):
    x = correlated(20000, 5)
    x[:, 2] = 7
    assert (out_of(client, x, [spiked.zscore()])[:, 2] == 0).all()
    x[:, 2] = 0
    got = out_of(client, x, [spiked.whiten()])
    # A weight of up to 1e8 on what is 0, so that a rounding of f64 in the eigenvectors is 1e-8 in the matrix.
    assert (np.abs(got[:, 2]) < 1e-6).all() and np.isfinite(got).all()


def test_several_in_a_chain(client):
    """Each is fitted on what the ones before it give."""
    x = correlated(60000, 12)
    band = spiked.bandpass(300, 6000)
    y = out_of(client, x, [band])
    # The fit filters each chunk by itself, with five periods around it.
    parts = np.concatenate([y[s : s + 15000] for s in np.sort(np.random.default_rng(0).integers(0, 45000, 20, endpoint=True))])
    w = matrix_of(parts)
    z = y.astype("f8") @ w
    got = out_of(client, x, [band, spiked.whiten()])
    assert np.abs(got - z).max() <= 0.02 * np.abs(z).max()
    again = out_of(client, x, [band, spiked.whiten(), spiked.zscore(), spiked.whiten(mode="global", eps=1e-3)])
    c = np.cov(sample(again).T)
    np.testing.assert_allclose(c, np.eye(12), atol=0.03)


def test_roads_threads_and_parts_agree(nwb):
    chain = [spiked.bandpass(300, 6000), spiked.whiten(mode="local", radius_um=60), spiked.zscore("mean+std")]
    outs = []
    for threads in (1, 2):
        with spiked.launch(options={"compute.threads": threads}) as sp:
            rec = sp.open(nwb.path)
            read = rec.read(preprocess=chain)
            np.testing.assert_array_equal(np.stack(rec.map(whole, preprocess=chain), axis=1), read)
            np.testing.assert_array_equal(rec.read(5000, 9001, [3, 1], preprocess=chain), read[5000:9001, [3, 1]])
            np.testing.assert_array_equal(rec.reduce("max", preprocess=chain), read.max(axis=0))
            peaks = rec.detect_peaks(preprocess=chain, detect_threshold=6)
            np.testing.assert_array_equal(peaks["amplitude"], read[peaks["sample_index"], peaks["channel_index"]])
            locations = rec.channel_locations
            same = sp.detect_peaks(nwb.traces, FS, preprocess=[chain[0], spiked.whiten(mode="local", radius_um=60, channel_locations=locations), chain[2]],
                                   detect_threshold=6)
            np.testing.assert_array_equal(same, peaks)
            outs.append((read, peaks))
            uv = rec.read(preprocess=chain, scaled=True)
            np.testing.assert_allclose(uv, read, atol=2e-3 * np.abs(read).max())
    assert len(outs[0][1]) > 10
    for a, b in zip(*outs):
        np.testing.assert_array_equal(a, b)


def test_kept_numbers_belong_to_their_parameters(client, nwb):
    """A second request is answered from what was measured; other seeds, modes and chains are measured anew."""
    rec = client.open(nwb.path)
    ways = [[spiked.whiten()], [spiked.whiten(seed=1)], [spiked.whiten(mode="local")], [spiked.whiten(eps=40)], [spiked.zscore()], [spiked.zscore("mean+std")],
            [spiked.highpass(), spiked.whiten()], [spiked.whiten(apply_mean=True)],
            [spiked.whiten(mode="local", channel_locations=rec.channel_locations[::-1] * 3)]]
    first = [rec.read(0, 3000, preprocess=w) for w in ways]
    for way, one in zip(ways, first):
        np.testing.assert_array_equal(rec.read(0, 3000, preprocess=way), one)
    for i, a in enumerate(first):
        assert all((a != b).any() for b in first[:i]), i
    with spiked.launch() as fresh:
        for way, one in reversed(list(zip(ways, first))):
            np.testing.assert_array_equal(fresh.open(nwb.path).read(0, 3000, preprocess=way), one)


def test_a_small_budget_takes_more_passes(nwb):
    chain = [spiked.zscore(), spiked.highpass()]
    wide = np.tile(nwb.traces[:16000], (1, 3)).astype("<i2")
    with spiked.launch() as a, spiked.launch(options={"limits.work_bytes": "100MiB"}) as b:
        np.testing.assert_array_equal(a.reduce(wide, "max", preprocess=chain, sampling_frequency=FS), b.reduce(wide, "max", preprocess=chain,
                                                                                                           sampling_frequency=FS))


def test_result_files(client, nwb, tmp_path):
    rec, out = client.open(nwb.path), tmp_path / "peaks.nwb"
    skipped = []
    for seed in (0, 0, 1):
        params = {"file": str(nwb.path), "preprocess": [dict(spiked.whiten(seed=seed))], "output": {"file": str(out), "skip_done": True}}
        skipped.append(client._call("detect", params)[0]["result"]["skipped"])
    assert skipped == [False, True, False]


@pytest.mark.parametrize("stage,field", [
    (dict(stage="whiten", mode="near"), "preprocess[0].mode"), (dict(stage="whiten", mode="global", eps=0), "preprocess[0].eps"),
    (dict(stage="whiten", mode="local", radius_um=-1), "preprocess[0].radius_um"), (dict(stage="whiten", mode="local"), "channel_locations"),
    (dict(stage="zscore", mode="mad"), "preprocess[0].mode"), (dict(stage="zscore", seed=-1), "preprocess[0].seed"),
    (dict(stage="zscore", gain=3), "preprocess[0].gain"), (dict(stage="whiten", apply_mean=1), "preprocess[0].apply_mean")])
def test_wrong(client, stage, field):
    with pytest.raises(spiked.Invalid) as e:
        out_of(client, correlated(1000, 4), [stage])
    assert e.value.field == field


def test_hostile_data(client):
    for bad in (np.nan, np.inf, 3e38):
        x = correlated(3000, 20)
        x[100:2000, 17] = bad
        with pytest.raises(spiked.Invalid, match="not finite"):
            out_of(client, x, [spiked.whiten()])
        out_of(client, x, [spiked.zscore()])
    with pytest.raises(spiked.Invalid):
        out_of(client, correlated(1, 4), [spiked.whiten()])
    with pytest.raises(spiked.TooLarge) as e:
        client.reduce(np.zeros((500, 1025), "<f4"), "max", preprocess=[spiked.whiten()], sampling_frequency=FS)
    assert e.value.field == "preprocess[0].mode" and "local" in str(e.value)
    crowd = np.zeros((300, 2))
    with pytest.raises(spiked.TooLarge) as e:
        client.reduce(np.zeros((500, 300), "<f4"), "max", preprocess=[spiked.whiten(mode="local", channel_locations=crowd)], sampling_frequency=FS)
    assert e.value.field == "preprocess[0].radius_um"
    with pytest.raises(spiked.Unsupported):
        client.detect_peaks(correlated(3000, 4).astype("<i2"), FS, preprocess=[spiked.zscore()], compat="spikeinterface")
    assert client.ping() is not None


def test_cancel_in_the_middle(client):
    x = np.zeros((60000, 1000), "<i2") + np.random.default_rng(SEED).integers(-99, 99, 1000).astype("<i2")
    with pytest.raises(spiked.DeadlineExceeded):
        client.reduce(x, "max", preprocess=[spiked.whiten()], sampling_frequency=FS, timeout=0.4)
    assert client.ping() is not None
