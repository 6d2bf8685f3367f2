# SPDX-License-Identifier: BSD-3-Clause
"""detect by matched_filtering: parts, cuts, ends, refusals, and spikes that are known. The rule itself: tests/check/check_matched.c, tests/interop."""

import numpy as np
import pytest
import score
import spiked
from conftest import FS
from generate import Recipe, generate
from spiked import errors

MATCHED = "matched_filtering"
CHAIN = [spiked.bandpass(300, 6000)]
T = np.arange(50)
PROTOTYPE = -np.exp(-0.5 * ((T - 15) / 3.0) ** 2) + 0.3 * np.exp(-0.5 * ((T - 28) / 6.0) ** 2)
HOW = dict(method=MATCHED, prototype=PROTOTYPE, ms_before=0.5)


def same(got, expected, rows=slice(None)):
    np.testing.assert_array_equal(got[0], expected[0][rows])
    assert got[1].keys() == expected[1].keys()
    for name, a in got[1].items():
        np.testing.assert_array_equal(a, expected[1][name][rows], err_msg=name)


def test_any_part_gives_the_same(client, nwb):
    rec = client.open(nwb.path)
    how = dict(HOW, preprocess=CHAIN, noise_levels=np.full((5, 19), 25.0), features=["ptp"], detect_threshold=4, peak_sign="both")
    whole = rec.detect_peaks(**how)
    at, n, rng = whole[0]["sample_index"], rec.num_samples, np.random.default_rng(51)
    assert len(at) > 100 and len(np.unique(whole[1]["z"])) > 1 and (np.diff(at) >= 0).all()
    np.testing.assert_array_equal(np.unique(whole[0]["segment_index"]), [0])
    cuts = [(0, n), (0, 1), (n - 1, n), (8191, 8193), (100, 100)] + [tuple(sorted(rng.integers(0, n, 2))) for _ in range(5)]
    for some in rng.choice(at, 8):
        cuts += [(some, some + 1), (some - 15, some + 1)]
    for start, stop in cuts:
        start = max(0, start)
        same(rec.detect_peaks(**how, start=start, stop=stop), whole, (at >= start) & (at < stop))


@pytest.mark.parametrize("options", [{"compute.threads": 1}, {"compute.threads": 2, "compute.block_frames": 256}], ids=str)
def test_same_rows_for_any_threads_and_blocks(client, nwb, options):
    with spiked.launch(options={**options, "listen.tcp": "off"}) as other:
        for chain in (CHAIN, []):
            same(other.open(nwb.path).detect_peaks(**HOW, preprocess=chain), client.open(nwb.path).detect_peaks(**HOW, preprocess=chain))


def test_segments(client, gapped):
    rec = client.open(gapped.path)
    how = dict(HOW, noise_levels=20.0)
    peaks, extras = rec.detect_peaks(**how)
    for i, x in enumerate(gapped.segments):
        mine = peaks["segment_index"] == i
        part = rec.detect_peaks(**how, segment=i)
        same(part, (peaks, extras), mine)
        assert mine.sum() > 5
        np.testing.assert_array_equal(peaks["amplitude"][mine], x[peaks["sample_index"][mine], peaks["channel_index"][mine]])


def test_spikes_everywhere_are_found(client):
    """One spike after the other on a silent recording, also at its very ends, where SpikeInterface looks away."""
    places = np.stack([np.zeros(8), np.arange(8) * 20.0], axis=1)
    for frame in (2, 14, 15, 100, 511, 512, 513, 2000, 4999 - 34, 4995):
        x = np.zeros((5000, 8), "<f4")
        low, high = max(0, frame - 15), min(5000, frame + 35)
        x[low:high, 3] = 100 * PROTOTYPE[low - frame + 15 : high - frame + 15]
        peaks, extras = client.detect_peaks(x, FS, **HOW, channel_locations=places, noise_levels=1.0)
        # Of one that is cut off the best place may be the next one.
        assert len(peaks) == 1 and abs(peaks["sample_index"][0] - frame) <= (high - low < 50) and peaks["channel_index"][0] == 3, frame
        assert extras["z"].dtype == np.float32 and extras["z"].tolist() == [0]


def test_dead_time_keeps_depths_with_their_peaks(client, nwb):
    rec = client.open(nwb.path)
    peaks, extras = rec.detect_peaks(**HOW, preprocess=CHAIN)
    fewer, kept = rec.detect_peaks(**HOW, preprocess=CHAIN, dead_time_ms=30.0)
    depth = {(p["sample_index"], p["channel_index"]): z for p, z in zip(peaks, extras["z"])}
    assert 0 < len(fewer) < len(peaks)
    assert [depth[p["sample_index"], p["channel_index"]] for p in fewer] == kept["z"].tolist()


def test_finds_more_than_locally_exclusive(client, tmp_path):
    """Of the spikes of all recordings more, with a prototype that is the median of those found first; of one recording, or of the loud ones, no
    less than 1 in 100: which of two spikes within a millisecond wins is not the same."""
    gained = []
    for seed in (1, 2, 3):
        recipe = Recipe(channels=32, seconds=6, units=12, rate_hz=10, seed=seed, alpha_uV=(60, 250))
        with np.load(generate(recipe, tmp_path / f"{seed}.nwb")) as truth:
            rec = client.open(tmp_path / f"{seed}.nwb")
            levels = rec.noise_levels(CHAIN)
            snr = score.unit_snr(truth, levels * rec.gains_uV, (300, 6000))
            peaks, extras = rec.detect_peaks("locally_exclusive", preprocess=CHAIN, waveforms=dict(ms_before=0.5, ms_after=1.0, radius_um=0))
            prototype = np.median(extras["waveforms"][:, :, 0], axis=0)
            matched, depths = rec.detect_peaks(MATCHED, preprocess=CHAIN, prototype=prototype, ms_before=0.5)
            theirs, ours = (score.score(truth, p, levels, snr) for p in (peaks, matched))
        assert len(depths["z"]) == len(matched)
        for least in (0, 8):
            assert ours.recall(least) >= theirs.recall(least) - 0.01, (seed, least, score.report(ours, FS), score.report(theirs, FS))
        assert ours.precision > 0.9
        gained.append(ours.recall(0) - theirs.recall(0))
    assert np.mean(gained) > 0.02, gained


# --- refusals ---

@pytest.mark.parametrize("options, field", [
    ({"prototype": None}, "prototype"), ({"prototype": np.zeros(30)}, "prototype"), ({"prototype": np.full(30, np.nan)}, "prototype"),
    ({"prototype": -PROTOTYPE}, "prototype"), ({"prototype": np.ones((3, 4))}, "prototype"), ({"prototype": np.ones(5000)}, "prototype"),
    ({"ms_before": None}, "ms_before"), ({"ms_before": 5.0}, "ms_before"), ({"threshold_unit": "raw"}, "threshold_unit"),
    ({"max_threshold": 50.0}, "max_threshold"), ({"compat": "spikeinterface"}, "compat"), ({"output": "x.nwb"}, "output"),
    ({"weight_method": {"z_list_um": []}}, "weight_method.z_list_um"), ({"weight_method": {"z_list_um": [-1.0]}}, "weight_method.z_list_um"),
    ({"weight_method": {"mode": "gaussian_2d"}}, "weight_method.mode"), ({"weight_method": {"sigma_3d": 0}}, "weight_method.sigma_3d"),
    ({"noise_levels": np.ones((4, 19))}, "noise_levels"), ({"noise_levels": np.zeros((5, 19))}, "noise_levels")], ids=lambda o: str(o)[:60])
def test_what_cannot_be_asked(client, nwb, options, field):
    with pytest.raises(errors.Invalid) as caught:
        client.open(nwb.path).detect_peaks(**{**HOW, **options})
    assert caught.value.field == field
    assert client.ping() > 0


def test_too_many_channels_are_refused(client):
    with pytest.raises(errors.TooLarge, match="too many"):
        client.detect_peaks(np.zeros((3, 20000), "<i1"), FS, **HOW, noise_levels=1.0, channel_locations=np.arange(40000.0).reshape(-1, 2), radius_um=0)
    with pytest.raises(errors.TooLarge, match="weights"):
        client.detect_peaks(np.zeros((3, 1000), "<i1"), FS, **HOW, noise_levels=1.0, channel_locations=np.arange(2000.0).reshape(-1, 2), radius_um=0,
                            weight_method=dict(sigma_3d=1e6))
