# SPDX-License-Identifier: BSD-3-Clause
"""Every layout through the daemon, against the slow reader of tests/recording: samples, microvolts, ids, places, segments.

SPIKED_DEVICE_FILES names a folder of recordings as devices wrote them; without it those tests are skipped.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import spiked
from conftest import ROOT

sys.path.append(str(ROOT / "tests" / "recording"))
import slow_reader  # noqa: E402

DEVICES = Path(os.environ.get("SPIKED_DEVICE_FILES", "/nonexistent"))

pytestmark = [pytest.mark.filterwarnings("ignore:.*left out"), pytest.mark.filterwarnings("ignore:.*values are counts"),
              pytest.mark.filterwarnings("ignore:the file does not say"), pytest.mark.filterwarnings("ignore:.*pieces around events")]


@pytest.fixture(scope="session")
def fixtures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fixtures")
    subprocess.run([sys.executable, str(ROOT / "tests/recording/make_fixtures.py"), str(folder)], check=True, timeout=60, stdout=subprocess.DEVNULL)
    return folder


def check(rec, slow):
    """gain and offset are products of a few doubles (relative error below 1e-14), and float32 rounds to 6e-8 of the larger of value and offset."""
    assert rec.sampling_frequency == slow.fs and rec.channel_ids == slow.ids
    assert [s.num_samples for s in rec.segments] == [n for _, n, _ in slow.segments]
    np.testing.assert_allclose([s.start_time_s for s in rec.segments], [t for _, _, t in slow.segments], rtol=1e-14)
    if slow.locations is None:
        assert rec.channel_locations is None
    else:
        np.testing.assert_allclose(rec.channel_locations, slow.locations, rtol=1e-14)
    assert rec.unit == ("counts" if slow.uv is None else "uV")
    for i, (first, n, _) in enumerate(slow.segments):
        part = slice(int(first), int(first) + int(n))
        traces, recorded = rec.read(segment=i, recorded=True)
        assert traces.dtype == slow.traces.dtype
        np.testing.assert_array_equal(traces, slow.traces[part])
        np.testing.assert_array_equal(recorded, True if slow.recorded is None else slow.recorded[part])
        if slow.uv is not None:
            exact = traces.astype(float) * rec.gains_uV + rec.offsets_uV
            scale = np.abs(slow.uv[part]) + np.abs(rec.offsets_uV) + 1e-300
            assert (np.abs(exact - slow.uv[part]) / scale).max(initial=0) < 1e-13
            assert (np.abs(rec.read(segment=i, scaled=True) - slow.uv[part]) / scale).max(initial=0) < 1e-7


def test_fixtures(client, fixtures):
    cases = [c for c in json.loads((fixtures / "manifest.json").read_text()) if c.get("slow")]
    assert len(cases) > 30
    for c in cases:
        rec = client.open(fixtures / c["file"], recording=c.get("recording"))
        try:
            check(rec, slow_reader.read(fixtures / c["file"], rec.description["recording"]))
        except AssertionError as e:
            raise AssertionError(c["name"]) from e
        assert sorted(rec.description["streams"]) == sorted(slow_reader.streams(fixtures / c["file"]))


def test_what_gaps_and_scale_do_to_detection(client, fixtures):
    """Unsigned samples keep their type: peaks are those of the same samples given as float32 arrays, segment by segment."""
    rec = client.open(fixtures / "brw4_settings.brw")
    slow = slow_reader.read(fixtures / "brw4_settings.brw", "/Well_A1")
    stages = [spiked.highpass(300)]
    levels = np.full(rec.num_channels, 20.0)
    got = rec.detect_peaks(noise_levels=levels, detect_threshold=2, preprocess=stages)
    expected = []
    for i, (first, n, _) in enumerate(slow.segments):
        peaks = client.detect_peaks(slow.traces[int(first):int(first + n)].astype("f4"), slow.fs, noise_levels=levels, detect_threshold=2, preprocess=stages)
        peaks["segment_index"] = i
        expected.append(peaks)
    assert len(got) > 50
    np.testing.assert_array_equal(got, np.concatenate(expected))
    raw = rec.detect_peaks(noise_levels=np.full(rec.num_channels, 412.0), detect_threshold=5, peak_sign="pos", segment=1)
    first, n, _ = slow.segments[1]
    same = client.detect_peaks(slow.traces[int(first):int(first + n)].astype("f8"), slow.fs, noise_levels=np.full(rec.num_channels, 412.0),
                               detect_threshold=5, peak_sign="pos")
    same["segment_index"] = 1
    assert len(raw) > 20
    np.testing.assert_array_equal(raw, same)


def test_only_pieces_were_recorded(client, fixtures):
    rec = client.open(fixtures / "brw4_sparse.brw")
    assert rec.description["storage"] == "sparse"
    traces, recorded = rec.read(100, 300, [2, 0], recorded=True)
    slow = slow_reader.read(fixtures / "brw4_sparse.brw", "/Well_A1")
    np.testing.assert_array_equal(recorded, slow.recorded[100:300, [2, 0]])
    np.testing.assert_array_equal(traces, slow.traces[100:300, [2, 0]])
    assert recorded.any() and not recorded.all()
    for call in (rec.detect_peaks, rec.noise_levels, lambda: rec.reduce("mean")):
        with pytest.raises(spiked.Unsupported, match="pieces around events") as e:
            call()
        assert "recorded" in e.value.hint


@pytest.mark.parametrize("what", ["channel", "negative", "length", "odd", "from", "to", "back"])
def test_event_records_that_lie(client, fixtures, what):
    rec = client.open(fixtures / f"brw4_record_{what}.brw")
    with pytest.raises(spiked.Corrupt, match="event records"):
        rec.read(segment=1)
    slow = slow_reader.read(fixtures / "brw4_sparse.brw", "/Well_A1")
    np.testing.assert_array_equal(rec.read(segment=0), slow.traces[:450])


def test_a_codec_that_is_not_here(client, fixtures):
    rec = client.open(fixtures / "maxwell_codec.h5")
    assert (rec.num_channels, rec.num_samples, rec.channel_ids[1]) == (5, 300, "28")
    with pytest.raises(spiked.Unsupported, match="filter 401"):
        rec.read(0, 10)
    with pytest.raises(spiked.Unsupported, match="filter 401"):
        rec.detect_peaks()


def test_a_place_outside_of_the_chip(client, fixtures):
    with pytest.warns(UserWarning, match="outside the chip"):
        rec = client.open(fixtures / "brw4_outside.brw")
    assert rec.channel_locations is None and rec.channel_ids[2] == "4096"


@pytest.mark.skipif(not DEVICES.is_dir(), reason="SPIKED_DEVICE_FILES is not set")
@pytest.mark.parametrize("name", sorted(p.name for p in DEVICES.glob("*.brw")) if DEVICES.is_dir() else [])
def test_device_brw(client, name):
    rec = client.open(DEVICES / name)
    check(rec, slow_reader.read(DEVICES / name, rec.description["recording"]))


@pytest.mark.skipif(not DEVICES.is_dir(), reason="SPIKED_DEVICE_FILES is not set")
@pytest.mark.parametrize("name", sorted(p.name for p in DEVICES.glob("*.raw.h5")) if DEVICES.is_dir() else [])
def test_device_maxwell(client, name):
    """The samples lie behind the vendor's codec: everything else must be there."""
    import h5py
    streams = slow_reader.streams(DEVICES / name)
    for stream in streams:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rec = client.open(DEVICES / name, recording=stream)
        assert sorted(rec.description["streams"]) == sorted(streams)
        with h5py.File(DEVICES / name) as f:
            channels, settings = f[stream + "/channels"][...], f[stream.rsplit("/groups/")[0] + "/settings"]
            where = {m["channel"]: (m["x"], m["y"]) for m in settings["mapping"][...]}
            assert rec.channel_ids == [str(c) for c in channels] and rec.sampling_frequency == settings["sampling"][0]
            np.testing.assert_array_equal(rec.channel_locations, [where[c] for c in channels])
            np.testing.assert_allclose(rec.gains_uV, settings["lsb"][0] * 1e6, rtol=1e-14)
            expected = slow_reader.cut(f[stream + "/frame_nos"][...], rec.sampling_frequency)
        assert [s.num_samples for s in rec.segments] == [n for _, n, _ in expected]
        with pytest.raises(spiked.Unsupported, match="filter 401"):
            rec.read(0, 10)


def test_gaps_of_a_long_recording(client, tmp_path):
    """Beyond 256 MiB of frame numbers only stretches with a gap are looked at number by number."""
    import h5py
    n, gaps = 34_000_000, [5, 4_194_305, 12_000_000, 33_999_999]
    numbers = np.arange(n, dtype="u4") + 1000
    for at in gaps:
        numbers[at:] += 7
    with h5py.File(tmp_path / "long.h5", "w") as f:
        f["version"], base = np.array([b"20190530"]), "data_store/data0000/"
        f.create_dataset(base + "groups/routed/raw", (1, n), "u2", chunks=(1, 1 << 20))
        f.create_dataset(base + "groups/routed/frame_nos", data=numbers, chunks=(1 << 20,), compression="gzip", compression_opts=1, shuffle=True)
        f[base + "groups/routed/channels"], f[base + "settings/sampling"] = np.array([3]), np.array([20000.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rec = client.open(tmp_path / "long.h5")
    starts = [0] + gaps
    assert [s.num_samples for s in rec.segments] == np.diff(starts + [n]).tolist()
    np.testing.assert_allclose([s.start_time_s for s in rec.segments], [(a + 7 * i) / 20000 for i, a in enumerate(starts)], rtol=1e-14)
