# SPDX-License-Identifier: BSD-3-Clause
"""Waveforms and features of detected peaks against NumPy on the traces."""

import numpy as np
import oracle
import pytest
import spiked
from conftest import FS, GAIN_UV
from spiked import errors

FEATURES = ["amplitude_uV", "ptp", "width_ms", "center_of_mass", "time_offset"]
CHAIN = [spiked.bandpass(300, 6000), spiked.common_reference("median")]


def windows(x, peaks, before, after):
    """(float32 (peaks, frames, channels), 0 outside the segment; is the whole window inside)."""
    out = np.zeros((len(peaks), before + after, x.shape[1]), np.float32)
    valid = np.zeros(len(peaks), bool)
    for i, s in enumerate(peaks["sample_index"]):
        low, high = max(0, s - before), min(len(x), s + after)
        out[i, low - s + before : high - s + before] = x[low:high]
        valid[i] = s - before >= 0 and s + after <= len(x)
    return out, valid


def near(places, radius):
    return np.sqrt(((places[:, None] - places[None, :]) ** 2).sum(axis=2)) <= radius


def sparse(dense, peaks, places, radius):
    """(waveforms of the channels near each peak's, table of these channels)."""
    close = near(np.asarray(places, float), radius)
    most = close.sum(axis=1).max()
    table = np.full((len(close), most), -1, np.int32)
    for c, row in enumerate(close):
        table[c, : row.sum()] = np.nonzero(row)[0]
    out = np.zeros((*dense.shape[:2], most), np.float32)
    for i, c in enumerate(peaks["channel_index"]):
        listed = table[c][table[c] >= 0]
        out[i, :, : len(listed)] = dense[i][:, listed]
    return out, table


def features_of(dense, peaks, before, places, radius):
    """All but amplitude_uV, from dense waveforms, in float64."""
    w, close = dense.astype(float), near(np.asarray(places, float), radius)
    after = w.shape[1] - before
    out = {"ptp": np.zeros(len(w)), "width_ms": np.full(len(w), np.nan), "center_of_mass": np.zeros((len(w), 2))}
    for i, p in enumerate(peaks):
        own = w[i, :, p["channel_index"]]
        out["ptp"][i] = np.ptp(own)
        if after > 1:
            rest = own[before + 1 :] * (1 if p["amplitude"] < 0 else -1)
            out["width_ms"][i] = (np.argmax(rest) + 1) / FS * 1000
        listed = np.nonzero(close[p["channel_index"]])[0]
        weights = np.ptp(w[i][:, listed], axis=0)
        out["center_of_mass"][i] = weights @ np.asarray(places, float)[listed, :2] / weights.sum()
    return out


def time_offsets(x, peaks):
    """Of the parabola through the peak and its neighbours."""
    padded = np.concatenate([np.zeros((1, x.shape[1])), x.astype(np.float32).astype(float), np.zeros((1, x.shape[1]))])
    a, b, c = (padded[peaks["sample_index"] + k, peaks["channel_index"]] for k in range(3))
    bend = a - 2 * b + c
    return np.clip(np.divide((a - c) / 2, bend, out=np.zeros(len(a)), where=bend != 0), -0.5, 0.5)


def check(peaks, extras, x, places, before=30, after=60, radius=None, look=(30, 60), look_radius=75.0):
    dense, valid = windows(x, peaks, before, after)
    if radius is None:
        np.testing.assert_array_equal(extras["waveforms"], dense)
        assert "waveform_channels" not in extras
    else:
        few, table = sparse(dense, peaks, places, radius)
        np.testing.assert_array_equal(extras["waveforms"], few)
        np.testing.assert_array_equal(extras["waveform_channels"], table)
    assert extras["waveforms"].dtype == np.float32
    np.testing.assert_array_equal(extras["waveform_valid"], valid)
    if "ptp" not in extras:
        return
    around, inside = windows(x, peaks, *look)
    expected = features_of(around, peaks, look[0], places, look_radius)
    np.testing.assert_array_equal(extras["feature_valid"], inside)
    np.testing.assert_array_equal(extras["ptp"], expected["ptp"])
    np.testing.assert_allclose(extras["width_ms"], expected["width_ms"], rtol=1e-15)
    # Sums of at most some tens of products in float64, in another order.
    np.testing.assert_allclose(extras["center_of_mass"], expected["center_of_mass"], rtol=1e-13, atol=1e-11)
    np.testing.assert_allclose(extras["time_offset"], time_offsets(x, peaks), rtol=1e-15, atol=1e-15)


def small(dtype="<i2", frames=3000, channels=20, order="C", seed=41):
    """Noise with peaks near both ends. (traces, locations)"""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 8, (frames, channels)) + (60 if dtype == "<u2" else 0)
    for s in (0, 1, 2, 40, frames - 41, frames - 2, frames - 1):
        for sign in (-1, 1):
            x[s, rng.integers(0, channels)] = sign * rng.uniform(50, 60) + (60 if dtype == "<u2" else 0)
    if dtype[1] in "iu":
        x = np.round(x)
    return np.asarray(x, dtype=dtype, order=order), np.stack([np.arange(channels) % 2 * 32.0, np.arange(channels) // 2 * 20.0], axis=1)


# --- arrays ---

@pytest.mark.parametrize("dtype", ["<i2", "<u2", "<i4", "<f4", "<f8"])
@pytest.mark.parametrize("method, sign", [("by_channel", "neg"), ("by_channel", "both"), ("locally_exclusive", "pos")])
def test_arrays(client, dtype, method, sign):
    x, places = small(dtype, order="F" if dtype == "<f8" else "C")
    levels = 40.0 if dtype == "<u2" else 10.0
    for waves, radius in (({}, None), ({"radius_um": 40}, 40), ({"radius_um": 0}, 0), ({"ms_before": 0.0, "ms_after": 0.034}, None)):
        frames = (0, 1) if "ms_before" in waves else (30, 60)
        peaks, extras = client.detect_peaks(x, FS, channel_locations=places, method=method, peak_sign=sign, noise_levels=levels, detect_threshold=2,
                                            waveforms=waves, features=FEATURES[1:])
        assert (dtype, sign) == ("<u2", "neg") or (len(peaks) > 10 and extras["waveform_valid"].all() == (frames == (0, 1)))
        check(peaks, extras, x, places, *frames, radius=radius)


def test_one_channel_and_no_places(client):
    x, _ = small(channels=1)
    peaks, extras = client.detect_peaks(x[:, 0], FS, noise_levels=10.0, detect_threshold=2, waveforms={"radius_um": 10.0}, features=FEATURES[1:])
    check(peaks, extras, x, np.zeros((1, 2)), radius=10)


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (2, 1), (5, 40)])
def test_short_arrays(client, shape):
    x = -np.arange(1, 1 + np.prod(shape), dtype="<i2").reshape(shape)
    places = np.arange(2.0 * shape[1]).reshape(-1, 2)
    peaks, extras = client.detect_peaks(x, FS, channel_locations=places, noise_levels=0.1, waveforms={}, features=FEATURES[1:])
    assert extras["waveforms"].shape == (len(peaks), 90, shape[1])
    check(peaks, extras, x, places)


def test_frames_are_rounded_half_to_even(client):
    x, _ = small()
    for ms, frames in ((0.5, 0), (1.5, 2), (2.5, 2), (3.5, 4), (2.4, 2), (2.6, 3)):
        _, extras = client.detect_peaks(x, 1000.0, noise_levels=10.0, exclude_sweep_ms=2, waveforms=dict(ms_before=ms, ms_after=1.0))
        assert extras["waveforms"].shape[1] == frames + 1, ms


def test_threshold_only_and_not_a_number(client):
    """exclude_sweep_ms 0: every sample past the threshold, next to NaN as well."""
    x, places = small("<f4", channels=5)
    x[100:110, 2] = np.nan
    x[99, 2] = x[110, 2] = x[1000, 1] = -70
    x[1001, 1] = -np.inf
    peaks, extras = client.detect_peaks(x, FS, channel_locations=places, noise_levels=10.0, detect_threshold=2, exclude_sweep_ms=0, waveforms={},
                                        features=FEATURES[1:])
    np.testing.assert_array_equal(extras["waveforms"], windows(x, peaks, 30, 60)[0])
    with np.errstate(invalid="ignore"):
        expected = [np.ptp(w[:, c]) for w, c in zip(extras["waveforms"].astype(float), peaks["channel_index"])]
    np.testing.assert_array_equal(extras["ptp"], expected)
    assert np.isnan(extras["ptp"]).sum() >= 2 and np.isnan(extras["center_of_mass"]).any()
    assert not (np.abs(extras["time_offset"]) > 0.5).any()


def test_microvolts_of_arrays(client):
    x, _ = small("<u2")
    how = dict(noise_levels=40.0, detect_threshold=2, peak_sign="pos", features=["amplitude_uV"])
    peaks, extras = client.detect_peaks(x, FS, **how, waveforms={"scaled": True}, gain_uV=-0.25, offset_uV=15.0)
    raw, valid = windows(x, peaks, 30, 60)
    inside = np.stack([(s + np.arange(-30, 60) >= 0) & (s + np.arange(-30, 60) < len(x)) for s in peaks["sample_index"]])
    np.testing.assert_array_equal(extras["waveforms"], np.where(inside[:, :, None], raw.astype(float) * -0.25 + 15, 0).astype(np.float32))
    np.testing.assert_array_equal(extras["amplitude_uV"], peaks["amplitude"] * -0.25 + 15)
    for wrong in (dict(how), dict(how, features=[], waveforms={"scaled": True})):
        with pytest.raises(errors.Invalid, match="no known scale"):
            client.detect_peaks(x, FS, **wrong)


# --- files ---

@pytest.fixture(scope="module")
def filtered(daemon, nwb):
    """The preprocessed traces as float32, through a kernel that gives them back: the same bits that are searched."""
    def as_it_is(x):
        return x + np.float32(0)

    with spiked.Client(daemon.url) as client:
        return np.stack(client.open(nwb.path).map(as_it_is, preprocess=CHAIN), axis=1).astype(np.float32)


@pytest.mark.parametrize("method", ["by_channel", "locally_exclusive"])
def test_filtered_file(client, nwb, filtered, method):
    rec = client.open(nwb.path)
    exact, bound = oracle.preprocess(nwb.traces, CHAIN, FS)
    assert np.abs(filtered - exact).max() <= bound
    how = dict(preprocess=CHAIN, peak_sign="both", detect_threshold=4)
    alone = rec.detect_peaks(method, **how)
    for before, after, radius in ((1.0, 2.0, None), (0.5, 10.0, 60.0), (10.0, 0.5, 60.0)):
        waves = dict(ms_before=before, ms_after=after, **({} if radius is None else {"radius_um": radius}))
        peaks, extras = rec.detect_peaks(method, **how, waveforms=waves, features=FEATURES, feature_window=dict(ms_before=0.5, ms_after=0.5, radius_um=50))
        assert len(peaks) > 100
        np.testing.assert_array_equal(peaks, alone)
        check(peaks, extras, filtered, rec.channel_locations, int(before * 30), int(after * 30), radius, (15, 15), 50.0)
        np.testing.assert_allclose(extras["amplitude_uV"], peaks["amplitude"] * GAIN_UV, rtol=1e-6)


def test_scaled_file(client, nwb):
    rec = client.open(nwb.path)
    peaks, extras = rec.detect_peaks(waveforms={"scaled": True})
    np.testing.assert_array_equal(extras["waveforms"], windows(rec.read(scaled=True), peaks, 30, 60)[0])


def test_segments(client, gapped):
    rec = client.open(gapped.path)
    peaks, extras = rec.detect_peaks(detect_threshold=3.5, waveforms={}, features=["ptp"])
    for i, x in enumerate(gapped.segments):
        mine = peaks["segment_index"] == i
        assert mine.sum() > 10
        dense, valid = windows(x, peaks[mine], 30, 60)
        np.testing.assert_array_equal(extras["waveforms"][mine], dense)
        np.testing.assert_array_equal(extras["waveform_valid"][mine], valid)


def test_any_part_gives_the_same(client, nwb):
    """Windows reach over the ends of a part."""
    rec = client.open(nwb.path)
    how = dict(detect_threshold=4, exclude_sweep_ms=0.2, preprocess=CHAIN, noise_levels=np.full(rec.num_channels, 30.0), features=FEATURES)
    waves = dict(ms_before=3.0, ms_after=5.0, radius_um=60)
    whole, all_extras = rec.detect_peaks(**how, waveforms=waves)
    n, rng = rec.num_samples, np.random.default_rng(42)
    cuts = [(0, n), (8191, 8193), (100, 100)] + [tuple(sorted(rng.integers(0, n, 2))) for _ in range(4)]
    cuts += [(some, some + 1) for some in rng.choice(whole["sample_index"], 8)] + [(whole["sample_index"][0],) * 2, (int(whole["sample_index"][-1]), n)]
    for start, stop in cuts:
        mine = (whole["sample_index"] >= start) & (whole["sample_index"] < stop)
        peaks, extras = rec.detect_peaks(**how, waveforms=waves, start=start, stop=stop)
        np.testing.assert_array_equal(peaks, whole[mine])
        for name, a in extras.items():
            np.testing.assert_array_equal(a, all_extras[name] if name == "waveform_channels" else all_extras[name][mine], err_msg=f"{name} {start} {stop}")


@pytest.mark.parametrize("options", [{"compute.threads": 1}, {"compute.threads": 2, "compute.block_frames": 256}], ids=str)
def test_same_bits_for_any_threads_and_blocks(client, nwb, options):
    for chain in (CHAIN, [], [spiked.bandpass(300, 6000, zero_phase=False)]):
        how = dict(preprocess=chain, detect_threshold=4, waveforms=dict(ms_before=4.0, max_waveforms=60), features=FEATURES, seed=3)
        with spiked.launch(options={**options, "listen.tcp": "off"}) as other:
            peaks, extras = other.open(nwb.path).detect_peaks(**how)
        expected, same = client.open(nwb.path).detect_peaks(**how)
        np.testing.assert_array_equal(peaks, expected)
        assert extras.keys() == same.keys() and len(extras["waveforms"]) == 60
        for name in extras:
            np.testing.assert_array_equal(extras[name], same[name], err_msg=name)


@pytest.mark.parametrize("method", ["by_channel", "locally_exclusive"])
def test_peaks_found_long_after_their_windows(nwb, method):
    """Blocks of 256 frames, and peaks decided 600 frames late."""
    with spiked.launch(options={"compute.block_frames": 256, "listen.tcp": "off"}) as client:
        rec = client.open(nwb.path)
        peaks, extras = rec.detect_peaks(method, detect_threshold=3, exclude_sweep_ms=20.0, waveforms=dict(ms_before=2.0, ms_after=0.1))
    assert len(peaks) > 50
    np.testing.assert_array_equal(extras["waveforms"], windows(nwb.traces, peaks, 60, 3)[0])


def test_compat_and_selection(client, nwb):
    """Chunks are filtered on their own, and what is dropped leaves no gap."""
    rec = client.open(nwb.path)
    peaks, extras = rec.detect_peaks(preprocess=CHAIN, compat="spikeinterface", chunk_frames=7001, dead_time_ms=5.0, waveforms={}, features=["ptp"])
    assert len(peaks) > 100
    own = extras["waveforms"][np.arange(len(peaks)), :, peaks["channel_index"]]
    np.testing.assert_array_equal(own[:, 30], peaks["amplitude"])
    np.testing.assert_array_equal(np.ptp(own.astype(float), axis=1), extras["ptp"])


# --- a sample of them ---

def test_max_waveforms(client, nwb):
    rec = client.open(nwb.path)
    how = dict(detect_threshold=4)
    peaks, whole = rec.detect_peaks(**how, waveforms={})
    n = len(peaks)
    chosen = {}
    for most in (1, 7, 100, n - 1, n, n + 5):
        again, extras = rec.detect_peaks(**how, waveforms={"max_waveforms": most}, features=["ptp"])
        index = chosen[most] = extras["waveform_index"]
        assert len(index) == min(n, most) and (np.diff(index) > 0).all() and len(extras["ptp"]) == len(extras["waveform_valid"]) == n
        np.testing.assert_array_equal(again, peaks)
        np.testing.assert_array_equal(extras["waveforms"], whole["waveforms"][index])
    other = rec.detect_peaks(**how, waveforms={"max_waveforms": 100}, seed=9, noise_levels=rec.noise_levels())[1]["waveform_index"]
    assert not np.array_equal(other, chosen[100])


def test_every_peak_has_the_same_chance(client):
    """400 draws of 5 out of 50: each comes 40 times on the average, standard deviation 6. Chi-squared with 49 degrees of freedom, its 1e-6 quantiles
    being 13 and 116 (without replacement it is 9/10 of that on the average)."""
    x = np.zeros((3000, 1), "<i2")
    x[30:3000:60, 0] = -10
    counts = np.zeros(50)
    for seed in range(400):
        counts[client.detect_peaks(x, FS, noise_levels=1.0, waveforms={"max_waveforms": 5}, seed=seed)[1]["waveform_index"]] += 1
    assert counts.sum() == 2000
    assert 13 < ((counts - 40) ** 2 / 40).sum() < 116


# --- refusals ---

@pytest.mark.parametrize("options, field", [
    ({"waveforms": {"ms_after": 0.01}}, "waveforms.ms_after"), ({"waveforms": {"ms_before": -1}}, "waveforms.ms_before"),
    ({"waveforms": {"radius_um": -1}}, "waveforms.radius_um"), ({"waveforms": {"radius": 1}}, "waveforms.radius"),
    ({"waveforms": {"ms_after": "2"}}, "waveforms.ms_after"), ({"waveforms": {"max_waveforms": -1}}, "waveforms.max_waveforms"),
    ({"features": ["ptp", "size"]}, "features"), ({"features": [1]}, "features"), ({"features": ["ptp"], "feature_window": {"ms_after": 0}}, "feature_window.ms_after"),
    ({"features": ["ptp"], "feature_window": {"scaled": True}}, "feature_window.scaled"), ({"waveforms": {"ms_before": float("nan")}}, "waveforms.ms_before"),
    ({"features": "ptp"}, "features")], ids=str)
def test_what_cannot_be_asked(client, nwb, options, field):
    with pytest.raises(errors.Invalid) as caught:
        client.open(nwb.path).detect_peaks(detect_threshold=4, **options)
    assert caught.value.field == field


def test_places_are_asked_for(client):
    x, _ = small()
    for options in ({"waveforms": {"radius_um": 10}}, {"features": ["center_of_mass"]}):
        with pytest.raises(errors.Invalid, match="where the channels are") as caught:
            client.detect_peaks(x, FS, noise_levels=10.0, **options)
        assert caught.value.field == "channel_locations"


def test_skip_done_has_no_waveforms_to_give(client, nwb, tmp_path):
    params = {"file": str(nwb.path), "output": {"file": str(tmp_path / "out.nwb"), "skip_done": True}, "features": ["ptp"]}
    with pytest.raises(errors.Invalid, match="skip_done|done"):
        client._call("detect", params)
    peaks, extras = client.open(nwb.path).detect_peaks(output=tmp_path / "out.nwb", features=["ptp"])
    assert len(extras["ptp"]) == len(peaks) > 0 and (tmp_path / "out.nwb").exists()


def test_windows_of_a_high_rate_are_refused(client):
    x, _ = small()
    with pytest.raises(errors.Invalid, match="at most 65535") as caught:
        client.detect_peaks(x, 1e9, noise_levels=10.0, exclude_sweep_ms=0.01, waveforms={"ms_after": 0.5, "ms_before": 0.0})
    assert caught.value.field == "waveforms.ms_after"


@pytest.fixture(scope="module")
def narrow():
    with spiked.launch(options={"limits.result_bytes": "2MiB", "limits.work_bytes": "64MiB", "listen.tcp": "off"}) as client:
        yield client


def test_results_too_large(narrow, nwb):
    """The error says what it would take, and max_waveforms makes it fit."""
    rec = narrow.open(nwb.path)
    how = dict(detect_threshold=4, noise_levels=np.full(19, 12.0))
    peaks = rec.detect_peaks(**how)
    row = 90 * 19 * 4
    assert len(peaks) * row > 3 << 20
    with pytest.raises(errors.TooLarge) as caught:
        rec.detect_peaks(**how, waveforms={})
    assert caught.value.field == "waveforms" and "MiB" in str(caught.value) and "max_waveforms" in caught.value.hint
    fits = ((2 << 20) - len(peaks) * 34) // row
    assert len(rec.detect_peaks(**how, waveforms={"max_waveforms": fits})[1]["waveforms"]) == fits
    with pytest.raises(errors.TooLarge):
        rec.detect_peaks(**how, waveforms={"max_waveforms": len(peaks)})
    assert narrow.ping() > 0


def test_hostile_sizes(narrow):
    """Windows and tables that no memory holds are refused, and the daemon goes on."""
    wide = np.zeros((3, 30000), "<i1")
    places = np.zeros((30000, 2))
    for options in (dict(waveforms={"ms_before": 1000.0, "ms_after": 1000.0}), dict(features=["ptp"], feature_window={"ms_before": 1000.0}),
                    dict(waveforms={"radius_um": 1e30}, channel_locations=places), dict(features=["center_of_mass"], channel_locations=places)):
        with pytest.raises(errors.TooLarge):
            narrow.detect_peaks(wide, FS, noise_levels=1.0, **options)
        assert narrow.ping() > 0
