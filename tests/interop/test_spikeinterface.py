# SPDX-License-Identifier: BSD-3-Clause
"""spiked.spikeinterface against SpikeInterface itself: the same rows for every way that samples travel."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import probeinterface
import pytest
import spikeinterface.core as si
import spikeinterface.extractors as se
import spikeinterface.preprocessing as spre
from spikeinterface.sortingcomponents.peak_detection import detect_peaks as theirs

import spiked
from spiked import spikeinterface as ours

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "recording")]
import raw_fixtures  # noqa: E402

FS, CHANNELS = 30000.0, 12
JOB = dict(n_jobs=1, progress_bar=False)
PLACES = np.stack([np.arange(CHANNELS) % 2 * 32.0, np.arange(CHANNELS) // 2 * 20.0], axis=1)


@pytest.fixture(scope="module")
def sp():
    with spiked.launch() as client:
        before = spiked.use(client)
        yield client
        spiked.use(before)


def traces(seed: int, frames: int = 50000, channels: int = CHANNELS, dtype: str = "<i2") -> np.ndarray:
    """Noise that all channels share in part, a slow drift, and spikes on neighbouring channels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 12, (frames, channels)) + rng.normal(0, 9, (frames, 1)) + 60 * np.sin(np.arange(frames) / 3000)[:, None]
    wave = -180 * np.exp(-0.5 * ((np.arange(30) - 8) / 3.0) ** 2)
    n = frames // 150
    for start, channel, sign in zip(rng.integers(0, frames - 30, n), rng.integers(0, channels, n), rng.choice([1, -1], n)):
        x[start : start + 30, channel] += sign * wave
        x[start : start + 30, (channel + 1) % channels] += 0.6 * sign * wave
    return x.round().astype(dtype) if np.dtype(dtype).kind != "f" else x.astype(dtype)


def with_probe(recording):
    n = recording.get_num_channels()
    probe = probeinterface.Probe(ndim=2)
    probe.set_contacts(np.stack([np.arange(n) % 2 * 32.0, np.arange(n) // 2 * 20.0], axis=1))
    probe.set_device_channel_indices(np.arange(n))
    recording.set_probe(probe)
    return recording


def in_memory(*segments, fs=FS):
    return with_probe(si.NumpyRecording(list(segments), fs))


@pytest.fixture(scope="module")
def nwb(tmp_path_factory):
    path = tmp_path_factory.mktemp("nwb") / "a.nwb"
    pynwb = pytest.importorskip("pynwb")
    import datetime
    file = pynwb.NWBFile("interop", "a", datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc))
    group = file.create_electrode_group("shank", description="test", location="cortex", device=file.create_device("probe"))
    for name in ("rel_x", "rel_y"):
        file.add_electrode_column(name, "um")
    for x, y in PLACES:
        file.add_electrode(group=group, location="cortex", rel_x=x, rel_y=y)
    region = file.create_electrode_table_region(list(range(CHANNELS)), "all")
    for name, seed in (("A", 1), ("B", 2)):
        file.add_acquisition(pynwb.ecephys.ElectricalSeries(name=name, data=traces(seed), electrodes=region, rate=FS, starting_time=0.0, conversion=1e-7))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


def compare(recording, way, method="locally_exclusive", chunk=None, least=20, **options):
    """Twice: with the noise that ours measures, which theirs then finds as the recording's property; and with given levels."""
    assert ours.explain(recording).way == way, str(ours.explain(recording))
    job = dict(JOB, **({} if chunk is None else dict(chunk_size=chunk)))
    options = dict(dict(detect_threshold=4, peak_sign="both"), **options)
    seeded = dict(num_chunks_per_segment=20, chunk_duration="500ms", seed=0)
    if "noise_levels" not in options:
        want = si.get_noise_levels(recording, return_in_uV=False, method="mad", force_recompute=True, random_slices_kwargs=seeded, **JOB)
        recording.delete_property("noise_level_mad_raw")
    got = ours.detect_peaks(recording, method, dict(options), job_kwargs=job)
    if "noise_levels" not in options:
        kept = recording.get_property("noise_level_mad_raw")
        assert kept.dtype == want.dtype
        np.testing.assert_array_equal(kept, want)
    expected = theirs(recording, method=method, method_kwargs=dict(options), job_kwargs=job)
    assert got.dtype == expected.dtype == spiked.PEAK_DTYPE and len(expected) >= least
    np.testing.assert_array_equal(got, expected)
    return got


CHAINS = {
    "raw": lambda r: r,
    "bandpass": spre.bandpass_filter,
    "bandpass, median": lambda r: spre.common_reference(spre.bandpass_filter(r, 400, 5000, filter_order=3)),
    "highpass, average": lambda r: spre.common_reference(spre.highpass_filter(r, 250), operator="average"),
    "median, bandpass": lambda r: spre.bandpass_filter(spre.common_reference(r)),
    "bandpass, median, highpass": lambda r: spre.highpass_filter(spre.common_reference(spre.bandpass_filter(r)), 200),
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("method", ["by_channel", "locally_exclusive"])
def test_nwb(sp, nwb, method, chain):
    recording = CHAINS[chain](se.read_nwb_recording(nwb, electrical_series_path="acquisition/B"))
    compare(recording, "file", method)
    for sign, chunk in (("neg", None), ("pos", 7001), ("both", 100000)):
        compare(recording, "file", method, chunk, peak_sign=sign, noise_levels=np.linspace(15, 22, CHANNELS))
    compare(recording, "file", method, noise_levels=np.linspace(10, 20, CHANNELS), exclude_sweep_ms=0.3, detect_threshold=3.3)


def test_slices_of_channels(sp, nwb):
    recording = se.read_nwb_recording(nwb, electrical_series_path="acquisition/A")
    ids = recording.channel_ids
    for method in ("by_channel", "locally_exclusive"):
        some = recording.select_channels(ids[[7, 2, 3, 9]])
        compare(some, "file", method)
        compare(spre.bandpass_filter(some), "file", method, 9000, noise_levels=np.array([15.0, 20, 14, 11]))
        compare(spre.common_reference(spre.bandpass_filter(recording)).select_channels(ids[3:9][::-1]), "file", method)
        # A reference over those that are left needs them as an array.
        compare(spre.common_reference(spre.bandpass_filter(recording.remove_channels(ids[:2]))), "array", method)


def test_slices_of_frames(sp, nwb):
    recording = se.read_nwb_recording(nwb, electrical_series_path="acquisition/A")
    part = recording.frame_slice(1234, 41234)
    compare(part, "traces")
    compare(spre.common_reference(spre.bandpass_filter(part)), "array", chunk=8000)
    compare(spre.bandpass_filter(recording).frame_slice(1234, 41234), "traces", chunk=8000)


@pytest.mark.parametrize("part", ["NP1010", "NP2013"])
def test_spikeglx(sp, tmp_path, part):
    x = traces(3, 16000, 385)
    raw_fixtures.spikeglx(tmp_path, x, part)
    recording = se.read_spikeglx(tmp_path, stream_id="imec0.ap")
    for chain in ("raw", "bandpass, median"):
        compare(CHAINS[chain](recording), "file", "by_channel", noise_levels=np.full(384, 30.0))


def test_open_ephys_of_several_segments(sp, tmp_path):
    """A file for each segment; the noise is sampled over all."""
    channels = [(f"CH{i + 1}", 0.195, "uV") for i in range(CHANNELS)]
    for i, frames in enumerate((40000, 25000)):
        folder = tmp_path / f"of{i}"
        folder.mkdir()
        raw_fixtures.open_ephys(folder, [dict(name="Board-100.Rhythm", x=traces(4 + i, frames), rate=FS, channels=channels, numbers=np.arange(frames) + i * 90000)])
    (tmp_path / "of1/Record Node 101/experiment1/recording1").rename(tmp_path / "of0/Record Node 101/experiment1/recording2")
    recording = with_probe(se.read_openephys(tmp_path / "of0", stream_id="0"))
    assert recording.get_num_segments() == 2
    for chain in ("raw", "bandpass, median"):
        peaks = compare(CHAINS[chain](recording), "file", chunk=6000)
        assert set(peaks["segment_index"]) == {0, 1}


@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
@pytest.mark.parametrize("method", ["by_channel", "locally_exclusive"])
def test_arrays(sp, method, dtype):
    """Of one segment and of two; with slices above and below."""
    for segments in ((traces(6, 50000, dtype=dtype),), (traces(7, 40000, dtype=dtype), traces(8, 21000, dtype=dtype))):
        recording = in_memory(*segments)
        compare(spre.common_reference(spre.bandpass_filter(recording)), "array", method, 6789)
        compare(spre.highpass_filter(recording).select_channels([5, 1, 2]), "array", method, noise_levels=np.array([14.0, 15, 16]))
        compare(recording, "traces", method, 6789, noise_levels=np.full(CHANNELS, 17.0))


UNKNOWN = {
    "whiten": lambda r: spre.whiten(spre.bandpass_filter(r), dtype="float32", seed=0),
    "dtype": lambda r: spre.bandpass_filter(r, dtype="float32"),
    "bessel": lambda r: spre.bandpass_filter(r, ftype="bessel"),
    "margin": lambda r: spre.bandpass_filter(r, margin_ms=3.0),
    "notch": lambda r: spre.notch_filter(r, freq=1000),
    "local": lambda r: spre.common_reference(r, reference="local"),
    "groups": lambda r: spre.common_reference(r, groups=[[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]),
    "scale": lambda r: spre.common_reference(spre.scale(r, 0.3, dtype="float32")),
    "phase_shift": lambda r: spre.bandpass_filter(spre.phase_shift(r, inter_sample_shift=np.linspace(0, 0.9, 12))),
}


@pytest.mark.parametrize("step", UNKNOWN)
def test_steps_that_the_daemon_does_not_know(sp, step):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recording = UNKNOWN[step](in_memory(traces(9, 40000)))
        assert ours.explain(recording).reason
        compare(recording, "traces", chunk=7000, least=20)


@pytest.mark.parametrize("dtype", ["<f8", "<u2", "<i4"])
def test_other_types(sp, dtype):
    x = traces(10, 40000)
    recording = in_memory((x.astype("i4") + 2000 * (dtype == "<u2")).astype(dtype))
    way = "traces" if dtype == "<u2" else "spikeinterface"
    if dtype != "<u2":
        compare(spre.bandpass_filter(recording), way, "by_channel", chunk=9000)
        compare(spre.bandpass_filter(recording, dtype="float32"), "traces", "by_channel", chunk=9000)
    compare(recording, way, "by_channel", noise_levels=np.full(CHANNELS, 510.0 if dtype == "<u2" else 30.0), peak_sign="pos")


def test_random_recordings(sp):
    """Odd lengths, chunks, thresholds and half-windows; coarse samples, so that values tie."""
    rng = np.random.default_rng(11)
    for _ in range(25):
        n, channels = int(rng.integers(300, 6000)), int(rng.integers(1, 9))
        x = rng.integers(-9, 10, (n, channels)).astype(rng.choice(["<i2", "<f4"]))
        recording = in_memory(x, fs=float(rng.choice([20000.0, 25000.5])))
        if rng.random() < 0.5:
            recording = spre.common_reference(recording)
        options = dict(noise_levels=rng.choice([1.0, 2.0, 3.0], channels).astype(rng.choice(["f4", "f8"])), detect_threshold=float(rng.choice([2, 2.5, 3])),
                       peak_sign=str(rng.choice(["neg", "pos", "both"])), exclude_sweep_ms=float(rng.choice([0.05, 0.2, 1.0])))
        for method in ("by_channel", "locally_exclusive"):
            recording_way = ours.explain(recording).way
            compare(recording, recording_way, method, int(rng.integers(50, 2000)), least=0, **options)


def test_worker_processes_and_pipelines(sp, tmp_path):
    with_probe(si.NumpyRecording([traces(12, 40000)], FS)).save(folder=tmp_path / "saved", progress_bar=False)
    recording = spre.bandpass_filter(si.load(tmp_path / "saved"), dtype="float32")
    assert ours.explain(recording).way == "traces"
    want = ours.detect_peaks(recording, "by_channel", job_kwargs=dict(JOB, chunk_size=5000))
    assert len(want) > 20
    for jobs in (dict(n_jobs=2, pool_engine="thread"), dict(n_jobs=2, pool_engine="process", mp_context="fork")):
        got = ours.detect_peaks(recording, "by_channel", job_kwargs=dict(progress_bar=False, chunk_size=5000, **jobs))
        np.testing.assert_array_equal(got, want)
    options = dict(pipeline_kwargs=dict(slices=[(0, 5000, 20000)]), job_kwargs=dict(JOB, chunk_size=5000))
    part = ours.detect_peaks(recording, "by_channel", **options)
    np.testing.assert_array_equal(part, theirs(recording, method="by_channel", **options))
    assert 0 < len(part) < len(want)


def test_native_mode_does_not_depend_on_chunks(sp, nwb):
    recording = spre.common_reference(spre.bandpass_filter(se.read_nwb_recording(nwb, electrical_series_path="acquisition/A")))
    one = ours.detect_peaks(recording, "by_channel", job_kwargs=JOB, compat=None)
    other = ours.detect_peaks(recording, "by_channel", job_kwargs=dict(JOB, chunk_size=3000), compat=None)
    np.testing.assert_array_equal(one, other)
    direct = sp.open(nwb, "/acquisition/A").detect_peaks(preprocess=[spiked.bandpass(), spiked.common_reference()])
    np.testing.assert_array_equal(one, direct)


def test_noise_levels(sp, nwb):
    recording = spre.bandpass_filter(se.read_nwb_recording(nwb, electrical_series_path="acquisition/A"))
    for seed in (0, 77):
        how = dict(random_slices_kwargs=dict(seed=seed))
        for method in ("mad", "std"):
            got = ours.get_noise_levels(recording, False, method, True, **how)
            assert np.array_equal(recording.get_property(f"noise_level_{method}_raw"), got)
            # The daemon's std of a chunk is a float32 (2^-24 = 6e-8); SpikeInterface's float32 microvolts are rounded before the median.
            np.testing.assert_allclose(got, si.get_noise_levels(recording, False, method, True, **how), rtol=0 if method == "mad" else 1.2e-7)
            scaled = ours.get_noise_levels(recording, True, method, True, **how)
            np.testing.assert_allclose(scaled, si.get_noise_levels(recording, True, method, True, **how), rtol=1e-5)
    few = dict(random_slices_kwargs=dict(seed=1, num_chunks_per_segment=3, chunk_duration="100ms"))
    for method in ("mad", "rms"):
        np.testing.assert_array_equal(ours.get_noise_levels(recording, False, method, True, **few), si.get_noise_levels(recording, False, method, True, **few))
    recording.set_property("noise_level_mad_raw", np.full(CHANNELS, 7.0))
    assert (ours.get_noise_levels(recording, return_in_uV=False) == 7).all()
    peaks = ours.detect_peaks(recording, "by_channel", job_kwargs=JOB)
    np.testing.assert_array_equal(peaks, theirs(recording, method="by_channel", job_kwargs=JOB))
    recording.delete_property("noise_level_mad_raw")
    ours.detect_peaks(recording, "by_channel", dict(random_slices_kwargs=dict(seed=3)), job_kwargs=JOB)
    levels = recording.get_property("noise_level_mad_raw")
    np.testing.assert_array_equal(levels, si.get_noise_levels(recording, False, force_recompute=True, random_slices_kwargs=dict(seed=3)))


def test_another_file_than_the_recording(sp, nwb, tmp_path):
    """Same shape, one other sample where it is looked at: never the wrong file."""
    copy = tmp_path / "b.nwb"
    copy.write_bytes(nwb.read_bytes())
    recording = se.read_nwb_recording(copy, electrical_series_path="acquisition/A")
    recording.get_traces(end_frame=1)
    with h5py.File(tmp_path / "c.nwb", "w") as f, h5py.File(nwb) as source:
        for name in source:
            source.copy(name, f)
        for key, value in source.attrs.items():
            f.attrs[key] = value
        f["acquisition/A/data"][:] = f["acquisition/A/data"][:][:, ::-1]
    recording._kwargs["file_path"] = str(tmp_path / "c.nwb")
    assert "different samples" in ours.explain(recording).reason
    compare(recording, "traces", "by_channel")
    recording._kwargs["file_path"] = "https://example.org/a.nwb"
    assert "cannot open" in ours.explain(recording).reason


def test_3brain(sp, tmp_path):
    """uint16, as stored; the zero level is not subtracted by either."""
    x, path = (traces(17, 30000) + 2048).astype("<u2"), tmp_path / "a.brw"
    with h5py.File(path, "w") as f:
        values = {"BitDepth": np.uint8(12), "MaxVolt": 4125.0, "MinVolt": -4125.0, "NRecFrames": np.int64(len(x)), "SamplingRate": 17855.5, "SignalInversion": 1.0}
        for key, value in values.items():
            f[f"3BRecInfo/3BRecVars/{key}"] = np.array([value])
        places = np.zeros(CHANNELS, [("Row", "<i2"), ("Col", "<i2")])
        places["Row"], places["Col"] = np.arange(CHANNELS) % 3 + 1, np.arange(CHANNELS) + 10
        f["3BRecInfo/3BMeaStreams/Raw/Chs"] = places
        f["3BData/Raw"] = x.ravel()
    for method in ("by_channel", "locally_exclusive"):
        compare(se.read_biocam(path), "file", method, noise_levels=np.full(CHANNELS, 530.0), peak_sign="pos")
    compare(spre.bandpass_filter(spre.unsigned_to_signed(se.read_biocam(path))), "traces")


def test_plain_binary_files(sp, tmp_path):
    """One with SpikeGLX's text beside it is a file for the daemon, another is not."""
    x = traces(13, 30000, 384)
    path, _ = raw_fixtures.spikeglx(tmp_path, np.hstack([x, np.zeros((len(x), 1), "<i2")]))
    whole = se.read_binary(path, 30000.123, "int16", 385)
    assert "channels" in ours.explain(with_probe(whole)).reason
    alone = tmp_path / "x.bin"
    x[:, :CHANNELS].copy().tofile(alone)
    recording = with_probe(se.read_binary(alone, FS, "int16", CHANNELS))
    assert "cannot open" in ours.explain(recording).reason
    compare(spre.bandpass_filter(recording), "array")


def test_what_is_refused(sp):
    recording = in_memory(traces(14, 30000))
    for options, error, text in [
        (dict(method="iterative"), NotImplementedError, "sortingcomponents.peak_detection.detect_peaks"),
        (dict(method="by_channel", method_kwargs=dict(radius_um=5)), ValueError, "radius_um"),
        (dict(method="by_channel", method_kwargs=dict(method="by_channel")), ValueError, "twice"),
        (dict(method="by_channel", method_kwargs=dict(noise_levels=[1.0, 2.0])), ValueError, "12 channels"),
        (dict(method="by_channel", method_kwargs=dict(noise_levels=np.ones(12), peak_sign="up")), ValueError, "peak_sign"),
        (dict(method="by_channel", compat="spikesorter"), ValueError, "compat"),
    ]:
        with pytest.raises(error, match=text):
            ours.detect_peaks(recording, job_kwargs=JOB, **options)
    with pytest.warns(UserWarning, match="locally_exclusive"):
        ours.detect_peaks(recording, job_kwargs=JOB)


def test_sorting(sp):
    recording = in_memory(traces(15, 30000), traces(16, 20000))
    for options in (dict(detect_threshold=3), dict(noise_levels=np.full(CHANNELS, 1e4))):    # also of no peaks at all
        check_sorting(recording, ours.detect_peaks(recording, "by_channel", options, job_kwargs=JOB))


def check_sorting(recording, peaks):
    sorting = ours.to_numpy_sorting(peaks, recording)
    for row, unit in enumerate(recording.channel_ids):
        for segment in (0, 1):
            chosen = (peaks["channel_index"] == row) & (peaks["segment_index"] == segment)
            np.testing.assert_array_equal(sorting.get_unit_spike_train(unit, segment_index=segment), peaks["sample_index"][chosen])
    assert sorting.get_num_segments() == 2 and list(sorting.unit_ids) == list(recording.channel_ids) and sorting.sampling_frequency == FS
