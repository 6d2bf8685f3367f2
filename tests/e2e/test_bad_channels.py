# SPDX-License-Identifier: BSD-3-Clause
"""Bad channels against the rules written out with NumPy and SciPy; tests/interop/test_preprocessing.py holds them to SpikeInterface itself."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest
import scipy.signal
import spiked
from conftest import FS

SEED, CHANNELS = 21, 40
NAMES = np.array(["good", "dead", "noise", "out"])
ORDER = np.random.default_rng(SEED).permutation(CHANNELS)
PLACES = np.stack([np.zeros(CHANNELS), 20.0 * np.argsort(ORDER)], axis=1)


def recorded(seed: int = SEED, frames: int = 60000) -> np.ndarray:
    """float32 microvolts of a probe whose channel ORDER[k] lies at place k."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 12, (frames, 1)) + rng.normal(0, 4, (frames, CHANNELS))
    x[:, ORDER[-6:]] = rng.normal(0, 4, (frames, 6))
    x[:, ORDER[4]] = 0
    x[:, ORDER[11]] += rng.normal(0, 300, frames)
    x[:, ORDER[20]] *= 4
    return x.astype("<f4")


def chunks_of(x: np.ndarray, seed: int, n: int) -> list:
    chunk = int(0.3 * FS)
    return [x[s : s + chunk].astype("f8") for s in np.sort(np.random.default_rng(seed).integers(0, len(x) - chunk, n, endpoint=True))]


def judged(x: np.ndarray, nperseg: int = 300, neighbours: int = 11, density: float = 0.02, nyquist: float = 0.8, where: str = "top") -> np.ndarray:
    """One chunk, channels from the bottom up."""
    x = x - x.mean(axis=0)
    f, p = scipy.signal.welch(x, FS, "hann", nperseg, axis=0)
    high = p[f > FS / 2 * nyquist].mean(axis=0)
    ref = np.median(x, axis=1) - np.median(x, axis=1).mean()
    c = x.T @ ref / (ref @ ref)
    h = neighbours // 2
    trend = np.array([np.median(c[max(0, i - h) : i + h + 1]) for i in range(len(c))])
    labels = np.where(c - trend < -0.5, 1, 0)
    labels[(high > density) | (c - trend > 1)] = 2
    far = trend < 0.25
    if where != "bottom":
        labels[np.flatnonzero(~far).max() + 1 :] = 3
    if where != "top":
        labels[: np.flatnonzero(~far).min()] = 3
    return labels


def asked(client: spiked.Client, x: np.ndarray, **params: Any) -> Tuple[np.ndarray, Any]:
    arrays = {"traces": x, "channel_locations": PLACES.astype("<f8")}
    if params.pop("nowhere", False):
        del arrays["channel_locations"]
    header, out = client._call("bad_channels", {"sampling_frequency": FS, "filtered": True, **params}, arrays)
    return NAMES[out["labels"]], header["result"]


@pytest.mark.parametrize("params,rule", [
    (dict(), dict()), (dict(welch_window_ms=9.7), dict(nperseg=291)), (dict(n_neighbors=5), dict(neighbours=5)), (dict(psd_hf_threshold=1.0), dict(density=1.0)),
    (dict(nyquist_threshold=0.3), dict(nyquist=0.3)), (dict(outside_channels_location="bottom"), dict(where="bottom")),
    (dict(outside_channels_location="both", seed=5), dict(where="both")), (dict(welch_window_ms=1.0, n_neighbors=8), dict(nperseg=30, neighbours=8))], ids=str)
def test_coherence(client, params, rule):
    x = recorded()
    each = np.array([judged(c[:, ORDER], **rule) for c in chunks_of(x, params.get("seed", 0), 15)])
    expected = np.empty(CHANNELS, int)
    expected[ORDER] = [np.bincount(labels).argmax() for labels in each.T]
    got, result = asked(client, x, num_random_chunks=15, **params)
    np.testing.assert_array_equal(got, NAMES[expected])
    assert result["num_bad"] == (expected != 0).sum() > 2
    assert params or set(got) == set(NAMES)


@pytest.mark.parametrize("method,factor", [("std", 5), ("mad", 3)])
def test_deviations(client, method, factor):
    x = recorded()
    d = np.concatenate(chunks_of(x, 0, 15))
    spread = d.std(axis=0) if method == "std" else np.median(np.abs(d - np.median(d, axis=0)), axis=0)
    expected = np.where(spread > factor * np.median(spread), "noise", "good")
    np.testing.assert_array_equal(asked(client, x, method=method, std_mad_threshold=factor, num_random_chunks=15, nowhere=True)[0], expected)
    assert (expected == "noise").any()


def test_neighbourhood(client):
    x = recorded()
    d = np.sqrt(((PLACES[:, None] - PLACES[None]) ** 2).sum(axis=2))
    each = []
    for c in chunks_of(x, 0, 10):
        c = c - np.median(c, axis=0)
        around = np.stack([np.median(c[:, (d[k] < 45) & (d[k] > 0)], axis=1) for k in range(CHANNELS)], axis=1)
        size = np.sqrt((c**2).mean(axis=0) * (around**2).mean(axis=0))
        each.append((c * around).mean(axis=0) / np.where(size == 0, 1, size))
    r2 = np.median(each, axis=0) ** 2
    how = dict(method="neighborhood_r2", neighborhood_r2_radius_um=45, num_random_chunks=10)
    for limit in (0.5, 0.9, float(np.sort(r2)[20:22].mean())):
        assert np.abs(r2 - limit).min() > 1e-6
        np.testing.assert_array_equal(asked(client, x, neighborhood_r2_threshold=limit, **how)[0], np.where(r2 < limit, "noise", "good"))
    assert (asked(client, x, method="neighborhood_r2", neighborhood_r2_radius_um=20, num_random_chunks=3)[0] == "good").all(), "20 is not nearer than 20"


def test_of_a_recording(client, nwb):
    """Threads and memory change nothing; the list goes into the stages that take it."""
    rec = client.open(nwb.path)
    outs = [rec.detect_bad_channels(psd_hf_threshold=1e9, seed=2), rec.detect_bad_channels("mad", std_mad_threshold=1.0)]
    with spiked.launch(options={"compute.threads": 1, "limits.work_bytes": "300MiB"}) as other:
        again = [other.open(nwb.path).detect_bad_channels(psd_hf_threshold=1e9, seed=2), other.open(nwb.path).detect_bad_channels("mad", std_mad_threshold=1.0)]
    for (ids, labels), (ids2, labels2) in zip(outs, again):
        assert ids == ids2 == [i for i, label in zip(rec.channel_ids, labels) if label != "good"]
        np.testing.assert_array_equal(labels, labels2)
    noisy = np.flatnonzero(outs[1][1] == "noise")
    assert 0 < len(noisy) < rec.num_channels
    assert (rec.read(0, 100, preprocess=[spiked.silence(noisy)])[:, noisy] == 0).all()
    assert rec.detect_bad_channels("mad", std_mad_threshold=1.0, channel_filters=["dead"])[0] == []


@pytest.mark.parametrize("params,field", [
    (dict(method="psd"), "method"), (dict(n_neighbors=0), "n_neighbors"), (dict(nyquist_threshold=0), "nyquist_threshold"),
    (dict(welch_window_ms=0.01), "welch_window_ms"), (dict(welch_window_ms=290), "welch_window_ms"), (dict(nowhere=True), "channel_locations"),
    (dict(outside_channels_location="left"), "outside_channels_location"), (dict(chunk_duration_s=1e-6), "chunk_duration_s"), (dict(top=1), "top"),
    (dict(filtered=False, preprocess=[spiked.scale()] * 16), "preprocess"), (dict(filtered=False, highpass_filter_cutoff=1e5), None)], ids=str)
def test_wrong(client, params, field):
    with pytest.raises((spiked.Invalid, spiked.TooLarge)) as e:
        asked(client, recorded(frames=20000), **params)
    assert field is None or e.value.field == field
    assert client.ping() is not None


def test_hostile_samples(client):
    for bad in (np.nan, np.inf, 3e38):
        x = recorded(frames=12000)
        x[3000:4000, 7] = bad
        for method in ("coherence+psd", "std", "mad", "neighborhood_r2"):
            asked(client, x, method=method, num_random_chunks=3)
    assert set(asked(client, np.zeros((12000, CHANNELS), "<i2"), num_random_chunks=3)[0]) == {"good"}
    assert client.ping() is not None
