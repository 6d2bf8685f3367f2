# SPDX-License-Identifier: BSD-3-Clause
"""detect against the oracle: identical without filters, explained differences with them."""

import numpy as np
import oracle
import pytest
import spiked
from conftest import FS

BAND = spiked.bandpass(300, 6000)
MEDIAN = spiked.common_reference("median")
CHAINS = {
    "bandpass": [BAND],
    "highpass": [spiked.highpass(300)],
    "causal": [spiked.bandpass(300, 6000, zero_phase=False)],
    "median": [MEDIAN],
    "average": [spiked.common_reference("average")],
    "bandpass + median": [BAND, MEDIAN],
    "median + low highpass": [MEDIAN, spiked.highpass(150, order=3)],
}


def peaks_of(x, levels, sign="neg", sweep=30, threshold=5.0, segment=0):
    return oracle.by_channel(x, np.asarray(levels) * threshold, sign, sweep, segment)


@pytest.fixture(scope="module")
def noise(nwb):
    return oracle.noise_levels([nwb.traces], FS)


# --- files, no filters: the same rows ---

@pytest.mark.parametrize("sign", ["neg", "pos", "both"])
def test_file_equals_oracle(client, nwb, noise, sign):
    expected = peaks_of(nwb.traces, noise, sign, threshold=4)
    got = client.open(nwb.path).detect_peaks(peak_sign=sign, detect_threshold=4)
    assert len(expected) > 50, nwb.seed
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("sweep_ms, sweep", [(0, 0), (0.05, 1), (0.99, 29), (3.0, 90)])
def test_sweep_is_truncated(client, nwb, noise, sweep_ms, sweep):
    got = client.open(nwb.path).detect_peaks(exclude_sweep_ms=sweep_ms, detect_threshold=4)
    np.testing.assert_array_equal(got, peaks_of(nwb.traces, noise, sweep=sweep, threshold=4))


def test_every_segment(client, gapped):
    levels = oracle.noise_levels(gapped.segments, FS)
    rec = client.open(gapped.path)
    expected = [peaks_of(x, levels, threshold=4, segment=i) for i, x in enumerate(gapped.segments)]
    np.testing.assert_array_equal(rec.detect_peaks(detect_threshold=4), np.concatenate(expected))
    np.testing.assert_array_equal(rec.detect_peaks(detect_threshold=4, noise_levels=levels, segment=1), expected[1])


@pytest.mark.parametrize("seed", [0, 1, 12345678901])
def test_noise_levels_are_numpys(client, nwb, gapped, seed):
    np.testing.assert_array_equal(client.open(nwb.path).noise_levels(seed=seed), oracle.noise_levels([nwb.traces], FS, seed))
    np.testing.assert_array_equal(client.open(gapped.path).noise_levels(seed=seed), oracle.noise_levels(gapped.segments, FS, seed))


# --- arrays: every way in ---

@pytest.mark.parametrize("dtype", ["<i2", "<u2", "<f4", "<i4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("frames", [900, 40000], ids=["inline", "memory"])
def test_array_equals_oracle(client, dtype, order, frames):
    rng = np.random.default_rng(17)
    x = np.asarray(np.round(rng.normal(0, 40, (frames, 5)) + (3000 if dtype == "<u2" else 0)), dtype=dtype, order=order)
    levels = np.full(5, 12.0) if dtype != "<u2" else np.full(5, 900.0)
    sign = "pos" if dtype == "<u2" else "neg"
    got = client.detect_peaks(x, FS, noise_levels=levels, detect_threshold=3.3, exclude_sweep_ms=0.2, peak_sign=sign)
    expected = peaks_of(x, levels, sign, 6, 3.3)
    assert len(expected) > 10
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["<i2", "<u2", "<f4"])
def test_array_noise_is_measured(client, dtype):
    x = (np.random.default_rng(18).normal(0, 40, (30000, 4)) + 3000).astype(dtype)
    levels = oracle.noise_levels([x], FS)
    got = client.reduce(x, "mad", sampling_frequency=FS)
    np.testing.assert_array_equal(got, levels)
    np.testing.assert_array_equal(client.detect_peaks(-x.astype("<f4") + 3000, FS, detect_threshold=4),
                                  peaks_of(-x.astype("<f4") + 3000, oracle.noise_levels([-x.astype("<f4") + 3000], FS), threshold=4))


@pytest.mark.parametrize("frames", [3000, 60000], ids=["inline", "memory"])
def test_one_channel(client, frames):
    x = np.random.default_rng(19).normal(0, 10, frames).astype("<f4")
    np.testing.assert_array_equal(client.detect_peaks(x, FS, noise_levels=10, detect_threshold=2), peaks_of(x[:, None], [10.0], threshold=2))


def test_views_are_copied_as_needed(client):
    x = np.random.default_rng(20).normal(0, 10, (9000, 8)).astype("<f4")
    for view in (x[::2], x[:, ::2], x[::-1], x.astype(">f4")):
        levels = np.full(view.shape[1], 10.0)
        np.testing.assert_array_equal(client.detect_peaks(view, FS, noise_levels=levels, detect_threshold=2),
                                      peaks_of(np.asarray(view, "<f4"), levels, threshold=2))


def test_reference_example(client):
    """The check vector of SpikeInterface's rules: plateaus, ends, ties between channels."""
    ch0 = [-6, 0, -5, 0, 0, -6, -6, 0, 0, 0, -6, 0, -7, 0, -8, 0, 0, 0, -9, 0, 0, 0, -5, 0]
    ch1 = [0] * 24
    ch1[18], ch1[19] = -9, 7
    x = np.array([ch0, ch1], "<i2").T
    for sign, expected in (("neg", [(0, 0), (5, 0), (14, 0), (18, 0), (18, 1)]), ("both", [(0, 0), (5, 0), (14, 0), (18, 0), (18, 1), (19, 1)])):
        got = client.detect_peaks(x, 1000.0, noise_levels=1.0, detect_threshold=5, exclude_sweep_ms=2, peak_sign=sign)
        assert list(zip(got["sample_index"].tolist(), got["channel_index"].tolist())) == expected


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (2, 1), (5, 40)])
def test_short_arrays(client, shape):
    x = -np.arange(1, 1 + np.prod(shape), dtype="<i2").reshape(shape)
    np.testing.assert_array_equal(client.detect_peaks(x, FS, noise_levels=0.1), peaks_of(x, np.full(shape[1], 0.1)))


def test_silent_channels_are_named(client):
    x = np.random.default_rng(21).normal(0, 10, (30000, 3)).astype("<f4")
    x[:, 1] = 7
    with pytest.warns(UserWarning, match="no noise.*the first is 1"):
        peaks = client.detect_peaks(x, FS, detect_threshold=3)
    assert len(peaks) and not (peaks["channel_index"] == 1).any()


# --- filters ---

@pytest.mark.parametrize("chain", CHAINS)
def test_filtered_equals_oracle_within_rounding(client, nwb, chain):
    """Rows may differ only where the oracle's own decision is closer to a tie than float32 arithmetic can tell (oracle.filter_error)."""
    stages = CHAINS[chain]
    y, tolerance = oracle.preprocess(nwb.traces, stages, FS)
    levels = np.median(np.abs(y), axis=0) / oracle.MAD
    assert tolerance < 0.2 * levels.min(), (chain, tolerance)
    expected = peaks_of(y, levels)
    got = client.open(nwb.path).detect_peaks(preprocess=stages, noise_levels=levels)
    ours = {(int(p["sample_index"]), int(p["channel_index"])): p["amplitude"] for p in got}
    theirs = {(int(p["sample_index"]), int(p["channel_index"])): p["amplitude"] for p in expected}
    assert len(theirs) > 50
    different = set(ours) ^ set(theirs)
    for frame, channel in different:
        margin = oracle.decision_margin(y, frame, channel, 5 * levels[channel], 30)
        assert margin <= 2 * tolerance, (nwb.seed, chain, frame, channel, margin, tolerance)
    assert len(different) <= 0.01 * len(theirs), (nwb.seed, chain, len(different), len(theirs))
    worst = max(abs(ours[k] - theirs[k]) for k in set(ours) & set(theirs))
    assert worst <= tolerance, (nwb.seed, chain, worst, tolerance)


def test_filtered_noise_levels(client, nwb):
    """A MAD moves by at most twice what the samples move by (median and deviation), over 0.6745; then float32 itself."""
    stages = CHAINS["bandpass + median"]
    y, tolerance = oracle.preprocess(nwb.traces, stages, FS)
    expected = oracle.noise_levels([y], FS)
    got = client.open(nwb.path).noise_levels(stages)
    assert np.abs(got - expected).max() <= 2 * tolerance / oracle.MAD + 25 * oracle.U32 * expected.max()


@pytest.mark.parametrize("chain", ["bandpass + median", "causal", "median"])
def test_an_array_gives_what_a_file_gives(client, nwb, chain):
    rec = client.open(nwb.path)
    expected = rec.detect_peaks(preprocess=CHAINS[chain], detect_threshold=4.5)
    got = client.detect_peaks(nwb.traces, FS, preprocess=CHAINS[chain], detect_threshold=4.5)
    assert len(expected) > 50
    np.testing.assert_array_equal(got, expected)


# --- the same answer, however it is asked ---

@pytest.mark.parametrize("chain", [[], *CHAINS.values()], ids=["none", *CHAINS])
def test_part_equals_whole(client, nwb, chain):
    rec = client.open(nwb.path)
    levels = np.full(rec.num_channels, 30.0)
    whole = rec.detect_peaks(preprocess=chain, noise_levels=levels, detect_threshold=4)
    n, rng = rec.num_samples, np.random.default_rng(22)
    cuts = [(0, n), (0, 1), (n - 1, n), (4096, 8192), (4095, 4097), (100, 100), (60000, n)]
    cuts += [tuple(sorted(rng.integers(0, n, 2))) for _ in range(6)]
    some = whole["sample_index"][len(whole) // 2]
    cuts += [(some, some + 1), (some - 1, some), (some + 1, some + 40)]
    for start, stop in cuts:
        got = rec.detect_peaks(preprocess=chain, noise_levels=levels, detect_threshold=4, start=start, stop=stop)
        inside = (whole["sample_index"] >= start) & (whole["sample_index"] < stop)
        np.testing.assert_array_equal(got, whole[inside], err_msg=f"{start} to {stop}")


@pytest.mark.parametrize("options", [{"compute.threads": 1}, {"compute.threads": 2, "compute.block_frames": 256},
                                     {"compute.threads": 2, "compute.block_frames": 5000}, {"compute.threads": 1, "compute.block_frames": 65536},
                                     {"compute.threads": 2, "compute.lanes": 2, "compute.block_frames": 1024}],
                         ids=lambda o: " ".join(f"{k.split('.')[1]}={v}" for k, v in o.items()))
def test_same_bits_for_any_threads_and_blocks(client, nwb, options):
    names = ["sum", "std", "mean", "rms", "mad"]
    with spiked.launch(options={**options, "listen.tcp": "off"}) as other:
        for chain in ([], CHAINS["bandpass + median"], CHAINS["causal"], CHAINS["average"]):
            a, b = client.open(nwb.path), other.open(nwb.path)
            np.testing.assert_array_equal(b.detect_peaks(preprocess=chain), a.detect_peaks(preprocess=chain))
            x, y = a.reduce(names, preprocess=chain), b.reduce(names, preprocess=chain)
            for name in names:
                np.testing.assert_array_equal(y[name], x[name], err_msg=f"{name} {chain}")


@pytest.mark.parametrize("isa", ["c", "avx2", "avx512"])
def test_same_bits_on_any_instruction_set(client, nwb, isa, monkeypatch):
    """A level this CPU does not have counts as the best it has."""
    monkeypatch.setenv("SPIKED_ISA", isa)
    with spiked.launch(options={"compute.threads": 2, "listen.tcp": "off"}) as other:
        a, b = client.open(nwb.path), other.open(nwb.path)
        for chain in ([], *CHAINS.values()):
            np.testing.assert_array_equal(b.detect_peaks(preprocess=chain), a.detect_peaks(preprocess=chain), err_msg=str(chain))
            np.testing.assert_array_equal(b.reduce("std", preprocess=chain), a.reduce("std", preprocess=chain), err_msg=str(chain))


def test_parameters_are_not_mixed_up(client, nwb):
    rec = client.open(nwb.path)
    few, many = rec.detect_peaks(detect_threshold=8), rec.detect_peaks(detect_threshold=4)
    assert 0 < len(few) < len(many)
    assert np.isin(few[["sample_index", "channel_index"]], many[["sample_index", "channel_index"]]).all()
