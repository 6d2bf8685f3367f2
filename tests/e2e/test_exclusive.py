# SPDX-License-Identifier: BSD-3-Clause
"""detect by locally_exclusive against the oracle: the same rows."""

import h5py
import numpy as np
import oracle
import pytest
import spiked
from conftest import FS

LEX = "locally_exclusive"


def peaks_of(x, levels, locations, radius_um=50.0, sign="neg", sweep=30, threshold=5.0, segment=0):
    return oracle.locally_exclusive(x, np.asarray(levels) * threshold, locations, radius_um, sign, sweep, segment)


@pytest.fixture(scope="module")
def noise(nwb):
    return oracle.noise_levels([nwb.traces], FS)


def small(dtype="<i2", frames=1500, channels=20, order="C", seed=31):
    """Few different values, so that ties abound; contacts in two columns. (traces, locations)"""
    rng = np.random.default_rng(seed)
    x = np.asarray(np.round(rng.normal(0, 3, (frames, channels)) + (9 if dtype == "<u2" else 0)), dtype=dtype, order=order)
    return x, np.stack([np.arange(channels) % 2 * 32.0, np.arange(channels) // 2 * 20.0], axis=1)


# --- files ---

@pytest.mark.parametrize("radius", [0, 20, 50, 75.5, 1e6])
@pytest.mark.parametrize("sign", ["neg", "pos", "both"])
def test_file_equals_oracle(client, nwb, noise, sign, radius):
    rec = client.open(nwb.path)
    expected = peaks_of(nwb.traces, noise, rec.channel_locations, radius, sign, threshold=2.5)
    got = rec.detect_peaks(LEX, sign, 2.5, radius_um=radius)
    assert len(expected) > 30, nwb.seed
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("sweep_ms, sweep", [(0, 0), (0.05, 1), (0.99, 29), (3.0, 90)])
def test_sweep_is_truncated(client, nwb, noise, sweep_ms, sweep):
    rec = client.open(nwb.path)
    got = rec.detect_peaks(LEX, exclude_sweep_ms=sweep_ms, detect_threshold=4)
    np.testing.assert_array_equal(got, peaks_of(nwb.traces, noise, rec.channel_locations, sweep=sweep, threshold=4))


def test_every_segment(client, gapped):
    levels = oracle.noise_levels(gapped.segments, FS)
    rec = client.open(gapped.path)
    expected = [peaks_of(x, levels, rec.channel_locations, threshold=4, segment=i) for i, x in enumerate(gapped.segments)]
    np.testing.assert_array_equal(rec.detect_peaks(LEX, detect_threshold=4), np.concatenate(expected))
    np.testing.assert_array_equal(rec.detect_peaks(LEX, detect_threshold=4, noise_levels=levels, segment=1), expected[1])


@pytest.mark.parametrize("chain", [[], [spiked.bandpass(300, 6000), spiked.common_reference("median")], [spiked.bandpass(300, 6000, zero_phase=False)]],
                         ids=["none", "bandpass + median", "causal"])
def test_part_equals_whole(client, nwb, chain):
    rec = client.open(nwb.path)
    how = dict(method=LEX, peak_sign="both", detect_threshold=3, exclude_sweep_ms=0.5, preprocess=chain, noise_levels=np.full(rec.num_channels, 30.0))
    whole = rec.detect_peaks(**how)
    n, rng = rec.num_samples, np.random.default_rng(32)
    cuts = [(0, n), (0, 1), (n - 1, n), (8191, 8193), (100, 100)] + [tuple(sorted(rng.integers(0, n, 2))) for _ in range(6)]
    for some in rng.choice(whole["sample_index"], 20):
        cuts += [(some, some + 1), (some - 15, some + 1), (some, some + 16)]
    for start, stop in cuts:
        inside = (whole["sample_index"] >= start) & (whole["sample_index"] < stop)
        np.testing.assert_array_equal(rec.detect_peaks(**how, start=max(0, start), stop=min(n, stop)), whole[inside], err_msg=f"{start} to {stop}")


@pytest.mark.parametrize("options", [{"compute.threads": 1}, {"compute.threads": 2, "compute.block_frames": 256},
                                     {"compute.threads": 2, "compute.block_frames": 5000}], ids=lambda o: " ".join(f"{k.split('.')[1]}={v}" for k, v in o.items()))
def test_same_rows_for_any_threads_and_blocks(client, nwb, options):
    how = dict(method=LEX, peak_sign="both", detect_threshold=4, preprocess=[spiked.bandpass(300, 6000), spiked.common_reference("median")])
    with spiked.launch(options={**options, "listen.tcp": "off"}) as other:
        np.testing.assert_array_equal(other.open(nwb.path).detect_peaks(**how), client.open(nwb.path).detect_peaks(**how))


def test_given_locations_go_before_the_recordings(client, nwb, noise):
    rec = client.open(nwb.path)
    places = np.random.default_rng(33).permutation(rec.channel_locations)
    got = rec.detect_peaks(LEX, detect_threshold=4, channel_locations=places)
    np.testing.assert_array_equal(got, peaks_of(nwb.traces, noise, places, threshold=4))


def test_result_files_tell_locations_and_radii_apart(client, nwb, tmp_path):
    """A file that is done stays so only for the same question."""
    params = {"file": str(nwb.path), "method": LEX, "output": {"file": str(tmp_path / "out.nwb"), "skip_done": True}}
    places = np.random.default_rng(34).normal(0, 50, (19, 2))
    for extra, arrays, skipped in (({}, {}, False), ({}, {}, True), ({"radius_um": 20.0}, {}, False), ({"radius_um": 20.0}, {}, True),
                                   ({"radius_um": 20.0}, {"channel_locations": places}, False), ({"radius_um": 20.0}, {"channel_locations": places}, True),
                                   ({"radius_um": 20.0}, {"channel_locations": places + 1}, False)):
        assert client._call("detect", {**params, **extra}, arrays)[0]["result"]["skipped"] is skipped, (extra, list(arrays))


# --- arrays ---

@pytest.mark.parametrize("dtype", ["<i2", "<u2", "<f4", "<i4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("sign", ["neg", "pos", "both"])
def test_array_equals_oracle(client, dtype, order, sign):
    x, places = small(dtype, order=order)
    levels = np.linspace(0.8, 1.7, 20) * (4 if dtype == "<u2" else 1)
    for at in (places, np.asfortranarray(places), np.column_stack([places, np.arange(20) % 3 * 15.0])):
        got = client.detect_peaks(x, FS, channel_locations=at, method=LEX, noise_levels=levels, detect_threshold=3, exclude_sweep_ms=0.2,
                                  peak_sign=sign, radius_um=40)
        expected = peaks_of(x, levels, at, 40, sign, 6, 3)
        assert len(expected) > 10 or (dtype, sign) == ("<u2", "neg")
        np.testing.assert_array_equal(got, expected)


def test_many_locations_through_memory(client):
    """Large enough that the locations, too, are read from this process."""
    x, places = small(frames=60, channels=4000)
    levels = np.ones(4000)
    for at in (places, np.asfortranarray(places)):
        got = client.detect_peaks(x, FS, channel_locations=at, method=LEX, noise_levels=levels, detect_threshold=6, exclude_sweep_ms=0.2)
        np.testing.assert_array_equal(got, peaks_of(x, levels, places, sweep=6, threshold=6))


def test_measured_levels_of_integers_are_double(client):
    x, places = small(frames=16000)
    levels = oracle.noise_levels([x], FS)
    got = client.detect_peaks(x, FS, channel_locations=places, method=LEX, detect_threshold=2.6, exclude_sweep_ms=0.2)
    assert len(got) > 100
    np.testing.assert_array_equal(got, peaks_of(x, levels, places, sweep=6, threshold=2.6))


def test_measured_levels_of_floats_are_single(client):
    """SpikeInterface's levels, thresholds and quotients are float32 then, which makes ties that double does not see."""
    x = np.random.default_rng(35).normal(0, 3, (30000, 20)).astype("<f4")
    places = small()[1]
    levels = oracle.noise_levels([x], FS)
    oracle.plant_near_ties(x, levels, 36)
    np.testing.assert_array_equal(oracle.noise_levels([x], FS), levels)
    single = oracle.locally_exclusive(x, levels.astype("<f4") * np.float32(3.6), places)
    double = oracle.locally_exclusive(x, levels * 3.6, places)
    assert len(single) > 100 and not np.array_equal(single, double)
    np.testing.assert_array_equal(client.detect_peaks(x, FS, channel_locations=places, method=LEX, detect_threshold=3.6), single)
    np.testing.assert_array_equal(client.detect_peaks(x, FS, channel_locations=places, method=LEX, detect_threshold=3.6, noise_levels=levels), double)


@pytest.mark.parametrize("sign", ["neg", "both"])
def test_reference_example(client, sign):
    """The check vector of SpikeInterface's rules: plateaus, ends, ties between channels."""
    ch0 = [-6, 0, -5, 0, 0, -6, -6, 0, 0, 0, -6, 0, -7, 0, -8, 0, 0, 0, -9, 0, 0, 0, -5, 0]
    ch1 = [0] * 24
    ch1[18], ch1[19] = -9, 7
    x = np.array([ch0, ch1], "<i2").T
    got = client.detect_peaks(x, 1000.0, channel_locations=[[0, 0], [0, 50]], method=LEX, noise_levels=1.0, exclude_sweep_ms=2, peak_sign=sign)
    assert list(zip(got["sample_index"].tolist(), got["channel_index"].tolist())) == [(0, 0), (5, 0), (14, 0), (18, 0), (18, 1), (22, 0)]


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (2, 1), (5, 40)])
def test_short_arrays(client, shape):
    x = -np.arange(1, 1 + np.prod(shape), dtype="<i2").reshape(shape)
    places = np.arange(2.0 * shape[1]).reshape(-1, 2)
    got = client.detect_peaks(x, FS, channel_locations=places, method=LEX, noise_levels=0.1)
    np.testing.assert_array_equal(got, peaks_of(x, np.full(shape[1], 0.1), places))


def test_the_lowest_integer_is_the_largest(client):
    x = np.zeros((9, 1), "<i2")
    x[2], x[4] = -32767, -32768
    got = client.detect_peaks(x, 1000.0, channel_locations=[[0, 0]], method=LEX, noise_levels=1.0, exclude_sweep_ms=3)
    assert got["sample_index"].tolist() == [4] and got["amplitude"].tolist() == [-32768]


def test_one_channel_needs_no_location(client):
    x, _ = small(channels=1)
    np.testing.assert_array_equal(client.detect_peaks(x[:, 0], FS, method=LEX, noise_levels=1.0), peaks_of(x, np.ones(1), np.zeros((1, 2))))


# --- refusals ---

def test_locations_are_asked_for(client, folder):
    x, places = small()
    with pytest.raises(spiked.Invalid, match="where the channels are") as e:
        client.detect_peaks(x, FS, method=LEX, noise_levels=1.0)
    assert e.value.field == "channel_locations" and "channel_locations" in e.value.hint
    with h5py.File(folder / "nowhere.h5", "w") as f:
        f["x"] = x
    rec = client.open(folder / "nowhere.h5", dataset="/x", sampling_frequency=FS)
    with pytest.raises(spiked.Invalid, match="the recording does not say"):
        rec.detect_peaks(LEX, noise_levels=1.0)
    got = rec.detect_peaks(LEX, noise_levels=1.0, channel_locations=places)
    np.testing.assert_array_equal(got, peaks_of(x, np.ones(20), places))
