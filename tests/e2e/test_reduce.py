# SPDX-License-Identifier: BSD-3-Clause
"""reduce against NumPy: exact where doubles are, else within bounds that follow from the number of additions."""

import numpy as np
import oracle
import pytest
import spiked
from conftest import FS

EXACT = ["count_above", "sum", "weighted_sum", "min", "max"]
ALL = ["count_above", "sum", "sum_of_squares", "weighted_sum", "mean", "std", "rms", "min", "max"]


def reference(x, threshold):
    """Each reduction in extended precision, arrays (channels,)."""
    v = x.astype(np.longdouble)
    mean = v.mean(axis=0)
    return {"count_above": (x.astype(float) > threshold).sum(axis=0), "sum": v.sum(axis=0), "sum_of_squares": (v * v).sum(axis=0),
            "weighted_sum": np.where(x.astype(float) > threshold, v, -v).sum(axis=0), "mean": mean,
            "std": np.sqrt(((v - mean) ** 2).mean(axis=0)), "rms": np.sqrt((v * v).mean(axis=0)), "min": v.min(axis=0), "max": v.max(axis=0)}


def bounds(x):
    """Largest error of each reduction in doubles.

    A sum of n terms in any order is off by at most (n - 1) u sum|term| to first order (Higham, Accuracy and Stability of Numerical Algorithms,
    4.2). Of the deviations d = x - m, m is off by e = n u max|x|, so sum d^2 by n u sum d^2 + n e^2; the square root halves a relative error.
    """
    n, u = len(x), oracle.U64
    v = np.abs(x.astype(np.longdouble))
    total, squares = v.sum(axis=0), (v * v).sum(axis=0)
    variance = x.astype(np.longdouble).var(axis=0)
    e = n * u * v.max(axis=0)
    std = np.sqrt(variance)
    d_var = (n + 4) * u * variance + e * e
    with np.errstate(divide="ignore", invalid="ignore"):
        d_std = np.where(std > 0, d_var / np.where(std > 0, std, 1), np.sqrt(d_var)) + u * std
    return {"sum": n * u * total, "weighted_sum": n * u * total, "sum_of_squares": (n + 1) * u * squares, "mean": (n + 1) * u * total / n,
            "rms": (n + 3) * u * np.sqrt(squares / n), "std": d_std, "count_above": 0, "min": 0, "max": 0}


@pytest.mark.parametrize("dtype", ["|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<f4", "<f8"])
@pytest.mark.parametrize("shape", [(7, 3), (1025, 1), (40000, 5)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(client, dtype, shape, order):
    seed = 31
    values = np.random.default_rng(seed).normal(30, 40, shape)
    if np.dtype(dtype).kind != "f":
        values = np.clip(np.round(values), 0 if np.dtype(dtype).kind == "u" else -128, 127)
    x = np.asarray(values, dtype=dtype, order=order)
    got, expected, bound = client.reduce(x, ALL, threshold=12.5), reference(x, 12.5), bounds(x)
    for name in ALL:
        exact = name in EXACT and np.dtype(dtype).kind != "f"
        error = np.abs(got[name].astype(np.longdouble) - expected[name])
        assert (error <= (0 if exact else bound[name])).all(), (seed, name, error.max(), bound[name])
    assert got["count_above"].dtype == np.dtype("<i8") and got["mean"].dtype == np.dtype("<f8")


@pytest.mark.parametrize("dtype", ["<i2", "<f4", "<f8"])
@pytest.mark.parametrize("shape", [(5,), (30000,), (20000, 3)])
def test_cumsum(client, dtype, shape):
    x = np.random.default_rng(32).normal(3, 40, shape).astype(dtype)
    got = client.reduce(x, "cumsum")
    expected = np.cumsum(x.astype(np.longdouble), axis=0)
    assert got.shape == x.shape and got.dtype == np.dtype("<f8")
    bound = 0 if dtype == "<i2" else len(x) * oracle.U64 * np.cumsum(np.abs(x.astype(np.longdouble)), axis=0)
    assert (np.abs(got - expected) <= bound).all()


def test_cumsum_in_fortran_order(client):
    x = np.asfortranarray(np.arange(60000, dtype="<i4").reshape(20000, 3))
    np.testing.assert_array_equal(client.reduce(x, "cumsum"), np.cumsum(x.astype(float), axis=0))


def test_one_dimension_gives_scalars(client):
    x = np.array([1.0, 5.0, -2.0])
    assert client.reduce(x, "max") == 5 and client.reduce(x, ["min", "sum"]) == {"min": -2, "sum": 4}


def test_recording(client, nwb):
    got, expected, bound = client.open(nwb.path).reduce(ALL, threshold=10), reference(nwb.traces, 10), bounds(nwb.traces)
    for name in ALL:
        assert (np.abs(got[name] - expected[name]) <= (0 if name in EXACT else bound[name])).all(), name


def test_part_of_a_recording(client, nwb):
    rec = client.open(nwb.path)
    np.testing.assert_array_equal(rec.reduce("sum", start=1234, stop=23456), nwb.traces[1234:23456].sum(axis=0))


def test_every_segment_together(client, gapped):
    np.testing.assert_array_equal(client.open(gapped.path).reduce("sum"), sum(s.sum(axis=0) for s in gapped.segments))
    np.testing.assert_array_equal(client.open(gapped.path).reduce("max", segment=2), gapped.segments[2].max(axis=0))


def test_scaled(client, nwb):
    """float32 microvolts, then doubles."""
    rec = client.open(nwb.path)
    uV = (nwb.traces.astype(float) * rec.gains_uV + rec.offsets_uV).astype("<f4")
    got = rec.reduce(["min", "mean"], scaled=True)
    np.testing.assert_array_equal(got["min"], uV.min(axis=0))
    assert (np.abs(got["mean"] - reference(uV, 0)["mean"]) <= bounds(uV)["mean"]).all()


def test_preprocessed(client, nwb):
    stages = [spiked.bandpass(300, 6000), spiked.common_reference("median")]
    y, tolerance = oracle.preprocess(nwb.traces, stages, FS)
    got = client.open(nwb.path).reduce(["max", "mean", "rms"], preprocess=stages)
    # Each of the three moves by at most as much as the samples do.
    assert np.abs(got["max"] - y.max(axis=0)).max() <= tolerance
    assert np.abs(got["mean"] - y.mean(axis=0)).max() <= tolerance
    assert np.abs(got["rms"] - np.sqrt((y * y).mean(axis=0))).max() <= tolerance


def test_nan_and_infinity_go_numpys_way(client):
    x = np.ones((3000, 4))
    x[7, 1], x[9, 2], x[9, 3], x[10, 3] = np.nan, np.inf, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        got = client.reduce(x, ["sum", "mean", "min", "max", "std", "rms"])
        for name, f in (("sum", np.sum), ("mean", np.mean), ("min", np.min), ("max", np.max), ("std", np.std)):
            np.testing.assert_array_equal(got[name], f(x, axis=0), err_msg=name)


def test_empty_array(client):
    got = client.reduce(np.empty((0, 3)), ["sum", "mean", "min"])
    np.testing.assert_array_equal(got["sum"], [0, 0, 0])
    assert np.isnan(got["mean"]).all() and np.isnan(got["min"]).all()


# --- bins ---

def binned(x, threshold, frames, fs):
    """(mean |x|, crossings a second) of one segment, arrays (bins, channels)."""
    v = x.astype("<f4").astype(float)
    beyond = v < threshold if threshold < 0 else v > threshold
    crossing = beyond & ~np.concatenate([np.zeros((1, v.shape[1]), bool), beyond[:-1]])
    at = np.arange(0, len(v), frames)
    length = np.diff(np.r_[at, len(v)])[:, None]
    return np.add.reduceat(np.abs(v), at) / length, np.add.reduceat(crossing.astype(float), at) / (length / fs)


@pytest.mark.parametrize("threshold", [-25.0, 40.0])
@pytest.mark.parametrize("bin_ms,frames", [(20, 600), (0.03, 1), (1e6, 30000000)])
def test_bins(client, threshold, bin_ms, frames):
    x = np.random.default_rng(41).normal(3, 30, (20000, 19)).astype("<i2")
    got = client.reduce(x, ["binned_power", "binned_rate", "max"], threshold=threshold, bin_ms=bin_ms, sampling_frequency=FS)
    power, rate = binned(x, threshold, frames, FS)
    # A sum of integers is exact.
    np.testing.assert_allclose(got["binned_power"], power, rtol=2 * oracle.U64, atol=0)
    np.testing.assert_allclose(got["binned_rate"], rate, rtol=4 * oracle.U64, atol=0)
    np.testing.assert_array_equal(got["max"], x.max(axis=0))


def test_bins_of_segments(client, gapped):
    got = client.open(gapped.path).reduce("binned_power", bin_ms=20)
    np.testing.assert_allclose(got, np.concatenate([binned(s, 1, 600, FS)[0] for s in gapped.segments]), rtol=2 * oracle.U64)


def test_spiking_band_power(client, nwb):
    stage = spiked.bandpass(300, 1000)
    got = client.open(nwb.path).reduce("binned_power", preprocess=[stage], bin_ms=50, start=3000, stop=60000)
    y, tolerance = oracle.preprocess(nwb.traces, [stage], FS)
    assert np.abs(got - binned(y[3000:60000], 1, 1500, FS)[0]).max() <= tolerance + oracle.U32 * np.abs(y).max()


@pytest.mark.parametrize("arguments,field", [
    (dict(operations="binned_power"), "bin_ms"), (dict(operations="binned_power", bin_ms=0), "bin_ms"),
    (dict(operations="binned_power", bin_ms=0.001), "bin_ms"), (dict(operations="binned_rate", bin_ms=20), "threshold")])
def test_wrong_bins(client, arguments, field):
    with pytest.raises(spiked.Invalid) as e:
        client.reduce(np.zeros((1000, 2), "<f4"), **{**arguments, "sampling_frequency": FS})
    assert e.value.field == field
