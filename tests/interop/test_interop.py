# SPDX-License-Identifier: BSD-3-Clause
"""Other people's software reads what spiked writes, and finds what spiked finds. Runs in the environment that tests/interop/run makes."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pynwb
import pytest
import spikeinterface.core as si
import spikeinterface.extractors as se
import spikeinterface.preprocessing as spre
from pynwb.ecephys import ElectricalSeries
from spikeinterface.sortingcomponents.peak_detection import detect_peaks

import spiked

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))
import oracle  # noqa: E402

FS, CHANNELS, SECONDS = 30000.0, 8, 4


def traces(seed: int) -> np.ndarray:
    """int16 noise with spikes on random channels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 12, (int(FS * SECONDS), CHANNELS))
    wave = -180 * np.exp(-0.5 * ((np.arange(30) - 8) / 3.0) ** 2)
    for start, channel in zip(rng.integers(0, len(x) - 30, 300), rng.integers(0, CHANNELS, 300)):
        x[start : start + 30, channel] += wave
    return np.round(x).astype("<i2")


@pytest.fixture(scope="module")
def sp():
    with spiked.launch() as client:
        yield client


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Five NWB files written by pynwb."""
    folder = tmp_path_factory.mktemp("recordings")
    return [write_recording(folder / f"session{i}.nwb", traces(i)) for i in range(5)]


def write_recording(path: Path, data: np.ndarray) -> Path:
    nwb = pynwb.NWBFile("interop", path.stem, datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc))
    device = nwb.create_device("probe")
    group = nwb.create_electrode_group("shank", description="test", location="cortex", device=device)
    nwb.add_electrode_column("rel_x", "um")
    nwb.add_electrode_column("rel_y", "um")
    for i in range(data.shape[1]):
        nwb.add_electrode(group=group, location="cortex", rel_x=0.0, rel_y=20.0 * i)
    region = nwb.create_electrode_table_region(list(range(data.shape[1])), "all")
    nwb.add_acquisition(ElectricalSeries(name="ElectricalSeries", data=data, electrodes=region, rate=FS, starting_time=0.0, conversion=1e-7))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    return path


def batch(sp, recordings, folder):
    command = [Path(os.environ["SPIKED_BUILD"]) / "spikectl", "--url", sp.url, "batch", "-o", folder, "--no-filter", "--reference", "none", *recordings]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_results_are_valid_nwb(sp, recordings, tmp_path):
    done = batch(sp, recordings, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = sorted(tmp_path.glob("*.nwb"))
    assert len(results) == len(recordings)
    for path, source in zip(results, recordings):
        errors = pynwb.validate(path=str(path))
        assert not (errors[0] if isinstance(errors, tuple) else errors)
        peaks = sp.open(source).detect_peaks()
        with pynwb.NWBHDF5IO(path, "r") as io:
            units = io.read().units
            assert len(units) == CHANNELS
            for channel in range(CHANNELS):
                expected = peaks["sample_index"][peaks["channel_index"] == channel] / FS
                np.testing.assert_allclose(units["spike_times"][channel], expected, atol=1e-9)


def test_spikeinterface_reads_results(sp, recordings, tmp_path):
    assert batch(sp, recordings[:1], tmp_path).returncode == 0
    peaks = sp.open(recordings[0]).detect_peaks()
    sorting = se.read_nwb_sorting(next(tmp_path.glob("*.nwb")), sampling_frequency=FS, t_start=0.0)
    assert sum(len(sorting.get_unit_spike_train(u)) for u in sorting.unit_ids) == len(peaks)
    for row, unit in enumerate(sorting.unit_ids):
        np.testing.assert_array_equal(sorting.get_unit_spike_train(unit), peaks["sample_index"][peaks["channel_index"] == row])


@pytest.mark.parametrize("sign", ["neg", "pos", "both"])
def test_same_peaks_as_spikeinterface(sp, recordings, sign):
    """Raw int16 traces, the same noise levels: identical rows."""
    recording = se.read_nwb_recording(recordings[1])
    rec = sp.open(recordings[1])
    levels = rec.noise_levels()
    theirs = detect_peaks(recording, method="by_channel", method_kwargs=dict(peak_sign=sign, detect_threshold=5, exclude_sweep_ms=1.0, noise_levels=levels),
                          job_kwargs=dict(n_jobs=1, progress_bar=False))
    ours = rec.detect_peaks(peak_sign=sign, noise_levels=levels)
    for field in ("sample_index", "channel_index", "amplitude", "segment_index"):
        np.testing.assert_array_equal(ours[field], theirs[field])


@pytest.mark.parametrize("radius", [0, 50, 1000])
@pytest.mark.parametrize("sign", ["neg", "pos", "both"])
def test_same_locally_exclusive_peaks_as_spikeinterface(sp, recordings, sign, radius):
    """Raw int16 traces, locations from the file, the same noise levels: identical rows."""
    recording = se.read_nwb_recording(recordings[1])
    rec = sp.open(recordings[1])
    np.testing.assert_array_equal(rec.channel_locations, recording.get_channel_locations())
    levels = rec.noise_levels()
    for threshold in (5, 2.5):
        theirs = exclusive_peaks(recording, sign, threshold, radius, levels)
        ours = rec.detect_peaks("locally_exclusive", sign, threshold, radius_um=radius, noise_levels=levels)
        assert len(theirs) > (100 if sign != "pos" or threshold < 5 else -1)
        same_peaks(ours, theirs)
        # Levels measured by either side are the same, so these may be left out.
        same_peaks(rec.detect_peaks("locally_exclusive", sign, threshold, radius_um=radius), theirs)


@pytest.mark.parametrize("chain", ["bandpass", "bandpass, median", "highpass, average", "median, bandpass", "highpass, bandpass", "highpass, median, bandpass"])
@pytest.mark.parametrize("method", ["by_channel", "locally_exclusive"])
@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
def test_compat_gives_the_same_peaks_of_filtered_traces(sp, tmp_path, method, chain, dtype):
    """Filters, chunks, rounding and noise levels: identical rows, with chunks of any length."""
    if dtype == "<f4" and "average" in chain:
        pytest.skip("NumPy sums float32 in pairs, which no chunk depends on")
    rng = np.random.default_rng(5)
    data = (traces(11) + 3000 + np.linspace(0, 500, int(FS * SECONDS))[:, None] + rng.normal(0, 9, (int(FS * SECONDS), 1))).round().astype(dtype)
    file = write_recording(tmp_path / "session.nwb", data)
    rec, recording = sp.open(file), se.read_nwb_recording(file)
    steps = {"bandpass": (lambda r: spre.bandpass_filter(r, 300, 6000), spiked.bandpass(300, 6000)),
             "highpass": (lambda r: spre.highpass_filter(r, 300), spiked.highpass(300)),
             "median": (lambda r: spre.common_reference(r), spiked.common_reference()),
             "average": (lambda r: spre.common_reference(r, operator="average"), spiked.common_reference("average"))}
    stages = []
    for step in chain.split(", "):
        recording = steps[step][0](recording)
        stages.append(steps[step][1])
    levels = si.get_noise_levels(recording, return_in_uV=False, method="mad", force_recompute=True,
                                 random_slices_kwargs=dict(num_chunks_per_segment=20, chunk_duration="500ms", seed=0))
    for chunk in (30000, 7001):
        theirs = detect_peaks(recording, method=method, job_kwargs=dict(n_jobs=1, progress_bar=False, chunk_size=chunk),
                              method_kwargs=dict(peak_sign="both", detect_threshold=4, exclude_sweep_ms=1.0, noise_levels=levels,
                                                 **(dict(radius_um=50) if method != "by_channel" else {})))
        ours = rec.detect_peaks(method, "both", 4, preprocess=stages, compat="spikeinterface", chunk_frames=chunk)
        assert len(theirs) > 300
        same_peaks(ours, theirs)
        same_peaks(rec.detect_peaks(method, "both", 4, preprocess=stages, compat="spikeinterface", chunk_frames=chunk, noise_levels=levels), theirs)


@pytest.mark.parametrize("measured", [False, True], ids=["float64 levels", "float32 levels"])
@pytest.mark.parametrize("sign", ["neg", "pos", "both"])
def test_same_locally_exclusive_peaks_in_float_traces(sp, sign, measured):
    """Quotients that tie in one precision and not in the other: SpikeInterface takes that of the levels, float32 if it measured them."""
    x = np.random.default_rng(9).normal(0, 3, (60000, CHANNELS)).astype("<f4")
    places = np.stack([np.arange(CHANNELS) % 2 * 30.0, np.arange(CHANNELS) * 15.0], axis=1)
    recording = si.NumpyRecording([x], FS)
    recording.set_dummy_probe_from_locations(places)
    levels = si.get_noise_levels(recording, return_in_uV=False, method="mad", force_recompute=True,
                                 random_slices_kwargs=dict(num_chunks_per_segment=20, chunk_duration="500ms", seed=0))
    assert levels.dtype == np.float32
    oracle.plant_near_ties(x, levels, 10)
    given = None if measured else levels.astype(float)
    theirs = exclusive_peaks(recording, sign, 2.5, 40, levels if measured else given)
    ours = sp.detect_peaks(x, FS, channel_locations=places, method="locally_exclusive", peak_sign=sign, detect_threshold=2.5, radius_um=40, noise_levels=given)
    assert len(theirs) > 100
    same_peaks(ours, theirs)
    if sign == "neg" and not measured:
        assert not np.array_equal(theirs, exclusive_peaks(recording, sign, 2.5, 40, levels))


def exclusive_peaks(recording, sign, threshold, radius, levels):
    return detect_peaks(recording, method="locally_exclusive",
                        method_kwargs=dict(peak_sign=sign, detect_threshold=threshold, exclude_sweep_ms=1.0, radius_um=radius, noise_levels=levels),
                        job_kwargs=dict(n_jobs=1, progress_bar=False))


def same_peaks(ours, theirs):
    for field in ("sample_index", "channel_index", "amplitude", "segment_index"):
        np.testing.assert_array_equal(ours[field], theirs[field])


def test_same_noise_as_spikeinterface(sp, recordings):
    """Same seed, same chunks, same estimator, raw units."""
    recording = se.read_nwb_recording(recordings[2])
    theirs = si.get_noise_levels(recording, return_in_uV=False, method="mad", force_recompute=True,
                                 random_slices_kwargs=dict(num_chunks_per_segment=20, chunk_duration="500ms", seed=0))
    np.testing.assert_allclose(sp.open(recordings[2]).noise_levels(), theirs, rtol=1e-12)
