# SPDX-License-Identifier: BSD-3-Clause
"""Waveforms and locations of peaks as SpikeInterface's node pipeline gives them. Runs in the environment that tests/interop/run makes."""

from __future__ import annotations

import numpy as np
import pytest
import spikeinterface.core as si
from spikeinterface.core.node_pipeline import ExtractDenseWaveforms, ExtractSparseWaveforms, PeakRetriever, run_node_pipeline
from spikeinterface.sortingcomponents.peak_localization import localize_peaks

import spiked

FS, CHANNELS, FRAMES = 30000.0, 12, 40000
JOB = dict(n_jobs=1, progress_bar=False, chunk_size=7000)


@pytest.fixture(scope="module")
def sp():
    with spiked.launch() as client:
        yield client


def made(dtype: str) -> tuple:
    """(recording, traces, locations): noise with spikes on neighbouring channels, some at the very ends."""
    rng = np.random.default_rng(17)
    x = rng.normal(0, 10, (FRAMES, CHANNELS))
    places = np.stack([np.arange(CHANNELS) % 2 * 32.0, np.arange(CHANNELS) // 2 * 20.0], axis=1)
    wave = -150 * np.exp(-0.5 * ((np.arange(40) - 12) / 3.0) ** 2) + 60 * np.exp(-0.5 * ((np.arange(40) - 22) / 5.0) ** 2)
    for start, center in [(FRAMES - 20, 3), (0, 8), *zip(rng.integers(0, FRAMES - 40, 200), rng.integers(0, CHANNELS, 200))]:
        weight = np.exp(-np.linalg.norm(places - places[center], axis=1) / 25)
        x[start : start + 40] += (wave[:, None] * weight)[: FRAMES - start]
    x = x.round().astype(dtype) if dtype == "<i2" else x.astype(dtype)
    recording = si.NumpyRecording([x], FS)
    recording.set_dummy_probe_from_locations(places)
    return recording, x, places


@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
@pytest.mark.parametrize("window", [(0.5, 0.5), (1.0, 2.0), (0.35, 0.05)])
def test_same_center_of_mass(sp, dtype, window):
    """They round the result to float32: once 2^-24, relative. On float32 traces their weights and the sum of them are float32, too: n + 1
    roundings more for n channels."""
    recording, x, places = made(dtype)
    before, after = window
    for radius in (75.0, 40.0):
        peaks, extras = sp.detect_peaks(x, FS, channel_locations=places, method="locally_exclusive", noise_levels=10.0, features=["center_of_mass"],
                                        feature_window=dict(ms_before=before, ms_after=after, radius_um=radius))
        assert len(peaks) > 100
        theirs = localize_peaks(recording, peaks, method="center_of_mass", method_kwargs=dict(radius_um=radius, feature="ptp"), ms_before=before,
                                ms_after=after, job_kwargs=JOB)
        bound = (1 + (dtype == "<f4") * (CHANNELS + 1)) * 2.0**-24 * np.abs(places).max() + 1e-11
        np.testing.assert_allclose(extras["center_of_mass"][:, 0], theirs["x"], rtol=0, atol=bound)
        np.testing.assert_allclose(extras["center_of_mass"][:, 1], theirs["y"], rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
def test_same_waveforms(sp, dtype):
    """Both ends of the recording included, which either side fills with zeros."""
    recording, x, places = made(dtype)
    for radius in (None, 45.0):
        waves = dict(ms_before=0.75, ms_after=1.15, **({} if radius is None else {"radius_um": radius}))
        peaks, extras = sp.detect_peaks(x, FS, channel_locations=places, noise_levels=10.0, waveforms=waves)
        assert len(peaks) > 200 and not extras["waveform_valid"].all()
        source = PeakRetriever(recording, peaks)
        kind, more = (ExtractDenseWaveforms, {}) if radius is None else (ExtractSparseWaveforms, {"radius_um": radius})
        node = kind(recording, ms_before=0.75, ms_after=1.15, parents=[source], return_output=True, **more)
        theirs = run_node_pipeline(recording, [source, node], job_kwargs=JOB, squeeze_output=True)
        np.testing.assert_array_equal(extras["waveforms"], theirs.astype("<f4"))
