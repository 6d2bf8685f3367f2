# SPDX-License-Identifier: BSD-3-Clause
"""Units of thresholds, ways to measure noise, artefact limit, dead time and rate limit, each against its rule written out in NumPy."""

import numpy as np
import oracle
import pytest
import spiked
from conftest import FS, GAIN_UV
from spiked import errors


def chunks(x, seed):
    """The chunks SpikeInterface draws in one segment."""
    n = int(0.5 * FS)
    starts = np.sort(np.random.default_rng(seed).integers(0, len(x) - n, 20, endpoint=True))
    return [x[s : s + n].astype(float) for s in starts]


METHODS = {
    "mad": lambda x: np.median(np.abs(x - np.median(x, axis=0)), axis=0) / oracle.MAD,
    "quiroga": lambda x: np.median(np.abs(x), axis=0) / 0.6745,
    "std": lambda x: x.std(axis=0),
    "rms": lambda x: np.sqrt((x**2).mean(axis=0)),
}


def levels_of(client, rec, **options):
    header, arrays = client._call("detect", {"file": rec.file, "recording": rec.description["recording"], **options})
    return arrays["noise_levels"]


@pytest.mark.parametrize("method", METHODS)
def test_noise_methods(client, nwb, method):
    """One rounding to float32 of each chunk's level: 2^-24, relative; twice that with the mean's own."""
    rec = client.open(nwb.path)
    sampled = np.mean([METHODS[method](c) for c in chunks(nwb.traces, 3)], axis=0)
    np.testing.assert_allclose(levels_of(client, rec, noise_method=method, seed=3), sampled, rtol=2 * oracle.U32)
    n = int(0.5 * FS)
    side_by_side = [METHODS[method](nwb.traces[s : s + n].astype(float)) for s in range(0, len(nwb.traces) - n + 1, n)]
    np.testing.assert_allclose(levels_of(client, rec, noise_method=method, noise_samples="all"), np.mean(side_by_side, axis=0), rtol=2 * oracle.U32)


@pytest.mark.parametrize("method", ["by_channel", "locally_exclusive"])
def test_units(client, nwb, method):
    rec = client.open(nwb.path)
    raw = rec.detect_peaks(method, detect_threshold=40, threshold_unit="raw")
    assert len(raw) > 50
    np.testing.assert_array_equal(raw, rec.detect_peaks(method, detect_threshold=40, noise_levels=1.0))
    np.testing.assert_array_equal(rec.detect_peaks(method, detect_threshold=40 * GAIN_UV, threshold_unit="uV"),
                                  rec.detect_peaks(method, detect_threshold=40 * GAIN_UV, noise_levels=1 / rec.gains_uV))
    rms = np.mean([METHODS["rms"](c) for c in chunks(nwb.traces, 0)], axis=0)
    expected = oracle.by_channel(nwb.traces, levels_of(client, rec, noise_method="rms") * 4)
    np.testing.assert_array_equal(rec.detect_peaks(detect_threshold=4, noise_method="rms"), expected)
    np.testing.assert_allclose(levels_of(client, rec, noise_method="rms"), rms, rtol=2 * oracle.U32)


def selected(peaks, limit, dead, window, most):
    """(peaks kept, how many each rule dropped), peak by peak."""
    last, counts, kept, dropped = {}, {}, [], [0, 0, 0]
    for i, p in enumerate(peaks):
        channel, at = p["channel_index"], p["sample_index"]
        bin_ = (channel, at // window)
        if limit is not None and abs(p["amplitude"]) > limit[channel]:
            dropped[0] += 1
        elif channel in last and at - last[channel] < dead:
            dropped[1] += 1
        elif most and counts.get(bin_, 0) >= most:
            dropped[2] += 1
        else:
            last[channel] = at
            counts[bin_] = counts.get(bin_, 0) + 1
            kept.append(i)
    return peaks[kept], dropped


@pytest.mark.filterwarnings("ignore:max_rate")
@pytest.mark.parametrize("options", [{"max_threshold": 8.0}, {"dead_time_ms": 20.0}, {"max_rate": 3.0},
                                     {"max_threshold": 9.0, "dead_time_ms": 5.0, "max_rate": 4.0}], ids=str)
def test_selection(client, nwb, options):
    rec = client.open(nwb.path)
    levels = rec.noise_levels()
    everything = rec.detect_peaks(detect_threshold=4, peak_sign="both")
    limit = levels * options["max_threshold"] if "max_threshold" in options else None
    expected, dropped = selected(everything, limit, int(options.get("dead_time_ms", 0) * FS / 1000), int(FS), int(options.get("max_rate", 0)))
    assert 0 < len(expected) < len(everything)
    header, arrays = client._call("detect", {"file": rec.file, "recording": rec.description["recording"], "detect_threshold": 4, "peak_sign": "both", **options})
    np.testing.assert_array_equal(arrays["peaks"], expected)
    assert list(header["result"]["dropped"].values()) == dropped
    if "max_rate" in options:
        with pytest.warns(UserWarning, match="max_rate"):
            rec.detect_peaks(detect_threshold=4, peak_sign="both", **options)


def test_selection_starts_anew_in_each_segment(client, gapped):
    rec = client.open(gapped.path)
    parts = [rec.detect_peaks(detect_threshold=4, noise_levels=10.0, segment=i, dead_time_ms=50.0) for i in range(len(gapped.segments))]
    np.testing.assert_array_equal(rec.detect_peaks(detect_threshold=4, noise_levels=10.0, dead_time_ms=50.0), np.concatenate(parts))


@pytest.mark.parametrize("options, field", [({"threshold_unit": "mV"}, "threshold_unit"), ({"max_threshold": 2.0}, "max_threshold"),
                                            ({"max_rate": 0.5}, "max_rate"), ({"noise_method": "mean"}, "noise_method"),
                                            ({"threshold_unit": "uV", "noise_levels": 2.0}, "threshold_unit"),
                                            ({"compat": "kilosort"}, "compat")], ids=str)
def test_what_cannot_be_asked(client, nwb, options, field):
    with pytest.raises(errors.Invalid) as caught:
        client.open(nwb.path).detect_peaks(detect_threshold=4, **options)
    assert caught.value.field == field


def test_microvolts_need_a_scale(client):
    x = np.zeros((1000, 2), np.int16)
    with pytest.raises(errors.Invalid) as caught:
        client.detect_peaks(x, FS, threshold_unit="uV")
    assert caught.value.field == "threshold_unit"


def test_compat_refuses_what_spikeinterface_does_not_do(client, nwb):
    with pytest.raises(errors.Unsupported) as caught:
        client.open(nwb.path).detect_peaks(compat="spikeinterface", preprocess=[spiked.bandpass(zero_phase=False)])
    assert caught.value.field == "compat"


@pytest.mark.parametrize("method", ["by_channel", "locally_exclusive"])
@pytest.mark.parametrize("dtype", ["<f4", "<i2"])
def test_how_far_compat_is_from_the_default(client, method, dtype):
    """float32 traces: the chunks' edges alone, which the margins of the filter keep below a thousandth of the noise: the same peaks. int16 traces:
    SpikeInterface rounds them to integers after each stage, at most 0.5 + 0.5 + 0.5 (of the median) counts: where the tops of a spike are flat to within
    that, another frame, or another channel, is the peak."""
    rng = np.random.default_rng(3)
    x = rng.normal(0, 12, (int(8 * FS), 16))
    wave = -180 * np.exp(-0.5 * ((np.arange(30) - 8) / 3.0) ** 2)
    for start, channel in zip(rng.integers(0, len(x) - 30, 1500), rng.integers(0, 16, 1500)):
        x[start : start + 30, channel] += wave * rng.uniform(0.3, 1)
    how = dict(method=method, preprocess=[spiked.bandpass(300, 6000), spiked.common_reference()], noise_levels=10.0)
    if method != "by_channel":
        how["channel_locations"] = np.stack([np.arange(16) % 2 * 30.0, np.arange(16) // 2 * 20.0], axis=1)
    x = np.round(x).astype(dtype)
    ours, theirs = client.detect_peaks(x, FS, **how), client.detect_peaks(x, FS, compat="spikeinterface", **how)
    assert len(theirs) > 1000
    if dtype == "<f4":
        for field in ("sample_index", "channel_index"):
            np.testing.assert_array_equal(ours[field], theirs[field])
        assert np.abs(ours["amplitude"] - theirs["amplitude"]).max() < 0.01
        return
    partner = np.array([np.abs(theirs["sample_index"][theirs["channel_index"] == p["channel_index"]] - p["sample_index"]).min() for p in ours])
    at_threshold = np.abs(ours["amplitude"]) < 50 + 1.5
    assert (partner == 0).mean() > 0.93 and (partner[~at_threshold] <= 2).mean() > 0.99


@pytest.mark.parametrize("frames", [34, 1000, 20011])
def test_compat_filters_float32_as_scipy(client, frames):
    """To the bit, in one chunk: also near the ends, which SciPy extends in float32 before it goes on in float64."""
    signal = pytest.importorskip("scipy.signal")
    x = np.random.default_rng(frames).normal(0, 100, (frames, 5)).astype("f4")
    sections = signal.iirfilter(5, [300, 6000], fs=FS, btype="bandpass", ftype="butter", output="sos")
    filtered = signal.sosfiltfilt(sections, x, axis=0).astype("f4")    # which needs 34 frames
    got = client.detect_peaks(x, FS, preprocess=[spiked.bandpass()], compat="spikeinterface", chunk_frames=frames, noise_levels=1.0, exclude_sweep_ms=0.1)
    np.testing.assert_array_equal(got, oracle.by_channel(filtered, np.full(5, 5.0), sweep=3))
    assert len(got) > frames / 10
