# SPDX-License-Identifier: BSD-3-Clause
"""matched_filtering finds what SpikeInterface finds with one chunk over all. Runs in the environment that tests/interop/run makes.

Stated differences: SpikeInterface reports only places where the prototype fits into the recording, we report the ends, too. Its convolution is an
FFT in float64, ours sums in float32: a candidate whose value ties with a neighbour or the threshold to 1e-6 may differ; we allow one in 1000.
"""

from __future__ import annotations

import numpy as np
import pytest
import spikeinterface.core as si
from spikeinterface.sortingcomponents.peak_detection import detect_peaks
from spikeinterface.sortingcomponents.peak_detection.matched_filtering import MatchedFilteringPeakDetector

import spiked

FS, CHANNELS, FRAMES = 30000.0, 20, 60000


@pytest.fixture(scope="module")
def sp():
    with spiked.launch() as client:
        yield client


def prototype(sign: int) -> np.ndarray:
    t = np.arange(60)
    return sign * (-np.exp(-0.5 * ((t - 20) / 3.0) ** 2) + 0.4 * np.exp(-0.5 * ((t - 32) / 6.0) ** 2))


def made(dtype: str, sign: int):
    """(recording, traces, locations): noise with spikes at several distances from the probe."""
    rng = np.random.default_rng(23)
    x = rng.normal(0, 10, (FRAMES, CHANNELS))
    places = np.stack([np.arange(CHANNELS) % 2 * 32.0, np.arange(CHANNELS) // 2 * 20.0], axis=1)
    for start in rng.integers(0, FRAMES - 60, 300):
        at = np.append(places[rng.integers(0, CHANNELS)], 0) + rng.normal(0, 10, 3)
        weight = np.exp(-np.linalg.norm(np.column_stack([places, np.zeros(CHANNELS)]) - at, axis=1) / 25)
        x[start : start + 60] += prototype(sign)[:, None] * weight * rng.uniform(40, 200)
    x = x.round().astype(dtype) if dtype == "<i2" else x.astype(dtype)
    recording = si.NumpyRecording([x], FS)
    recording.set_dummy_probe_from_locations(places)
    return recording, x, places


@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
@pytest.mark.parametrize("sign", ["neg", "pos", "both"])
def test_same_peaks(sp, dtype, sign):
    proto = prototype(-1 if sign == "pos" else 1)
    recording, x, places = made(dtype, -1 if sign == "pos" else 1)
    for more, threshold in (({}, 5), ({"weight_method": {"z_list_um": np.array([0.0, 50.0]), "sigma_3d": 20.0}}, 4)):
        kwargs = dict(prototype=proto, ms_before=20 / 30, peak_sign=sign, detect_threshold=threshold, exclude_sweep_ms=1.0, radius_um=50, **more,
                      random_chunk_kwargs=dict(num_chunks_per_segment=5, seed=0))
        node = MatchedFilteringPeakDetector(recording, **kwargs)
        depths = len(node.z_factors)
        levels = (node.abs_thresholds / threshold)[:, :CHANNELS]
        np.testing.assert_allclose(node.abs_thresholds[:, -CHANNELS:] / threshold, levels, rtol=1e-9)  # of both signs
        theirs = detect_peaks(recording, method="matched_filtering", method_kwargs=kwargs, job_kwargs=dict(n_jobs=1, progress_bar=False, chunk_size=FRAMES))
        ours, extras = sp.detect_peaks(x, FS, channel_locations=places, method="matched_filtering", peak_sign=sign, detect_threshold=threshold,
                                       prototype=proto, ms_before=20 / 30, noise_levels=levels, **more)
        first, last = 20, FRAMES - 60 + 20
        fits = (ours["sample_index"] >= first) & (ours["sample_index"] <= last)
        a = set(zip(ours["sample_index"][fits], ours["channel_index"][fits], ours["amplitude"][fits], extras["z"][fits]))
        b = set(zip(theirs["sample_index"], theirs["channel_index"], theirs["amplitude"], theirs["z"]))
        assert len(b) > 150 and len(set(extras["z"])) > 1 and extras["z"].max() < depths
        assert len(a ^ b) <= len(b) / 1000, (len(a - b), len(b - a))
        assert (~fits).sum() <= 3


def test_measured_levels(sp):
    """Ours are means over 20 chunks of 0.5 s, theirs of 5 s in one piece: the same noise."""
    recording, x, places = made("<f4", 1)
    node = MatchedFilteringPeakDetector(recording, prototype=prototype(1), ms_before=20 / 30, detect_threshold=1,
                                        random_chunk_kwargs=dict(num_chunks_per_segment=5, seed=0))
    header, arrays = sp._call("detect", {"method": "matched_filtering", "ms_before": 20 / 30, "sampling_frequency": FS},
                              {"traces": x, "channel_locations": places, "prototype": prototype(1)})
    assert arrays["noise_levels"].shape == node.abs_thresholds.shape
    np.testing.assert_allclose(arrays["noise_levels"], node.abs_thresholds, rtol=0.05)
