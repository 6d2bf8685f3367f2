# SPDX-License-Identifier: BSD-3-Clause
"""SpikeGLX and Open Ephys: flat files whose meaning stands beside them. The oracle is NumPy on the arrays that were written and the formulas of the
manuals, in raw_fixtures.py."""

import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import spiked

sys.path.append(str(Path(__file__).resolve().parents[1] / "recording"))
import raw_fixtures  # noqa: E402


def samples(seed, frames, channels):
    return np.random.default_rng(seed).integers(-500, 500, (frames, channels)).astype("<i2")


def same(rec, expected):
    x = expected["traces"]
    assert (rec.num_channels, rec.num_samples, rec.sampling_frequency) == (x.shape[1], len(x), expected["rate"])
    assert rec.channel_ids == expected["ids"] and rec.unit == "uV"
    np.testing.assert_allclose(rec.gains_uV, expected["gains"], rtol=1e-12)
    np.testing.assert_array_equal(rec.offsets_uV, 0)
    np.testing.assert_array_equal(rec.read(), x)
    np.testing.assert_array_equal(rec.read(7, 50, [1, 0]), x[7:50, [1, 0]])
    np.testing.assert_array_equal(rec.read(3, 9, scaled=True), (x[3:9] * rec.gains_uV).astype("<f4"))


# ---- SpikeGLX ----

@pytest.mark.parametrize("part", sorted(raw_fixtures.PROBES))
@pytest.mark.parametrize("map_of", ["geometry", "shanks"])
def test_probes(client, tmp_path, part, map_of):
    path, expected = raw_fixtures.spikeglx(tmp_path, samples(1, 1000, 385), part, map_of=map_of, first_sample=3000)
    for named in (path, path.with_suffix(".meta")):
        rec = client.open(named)
        same(rec, expected)
        assert rec.layout == "spikeglx" and rec.description["streams"] == ["imec0.ap", "imec0.ap-SYNC"] and rec.description["storage"] == "contiguous"
        assert rec.segments[0].start_time_s == pytest.approx(3000 / expected["rate"], rel=1e-12)
        np.testing.assert_array_equal(rec.inter_sample_shift, expected["shifts"])
        if map_of == "geometry" or part in ("NP1010", "NP2000", "NP2010", "NP2003", "NP2013"):
            np.testing.assert_array_equal(rec.channel_locations, expected["places"])


def test_phase_shift_by_what_the_probe_says(client, tmp_path):
    path, expected = raw_fixtures.spikeglx(tmp_path, samples(8, 1000, 385))
    rec = client.open(path)
    given = rec.reduce("sum_of_squares", preprocess=[spiked.phase_shift(expected["shifts"])])
    np.testing.assert_array_equal(rec.reduce("sum_of_squares", preprocess=[spiked.phase_shift()]), given)
    assert not np.array_equal(given, rec.reduce("sum_of_squares", preprocess=[spiked.phase_shift(np.zeros(384))]))
    with pytest.raises(spiked.Invalid, match="inter_sample_shift"):
        client.open(path, recording="imec0.ap-SYNC").reduce("sum", preprocess=[spiked.phase_shift()])


def test_sync_is_a_stream_of_its_own(client, tmp_path):
    x = samples(2, 500, 385)
    path, _ = raw_fixtures.spikeglx(tmp_path, x)
    rec = client.open(path, recording="imec0.ap-SYNC")
    assert rec.channel_ids == ["SY0"] and rec.unit == "counts" and rec.inter_sample_shift is None
    np.testing.assert_array_equal(rec.read(), x[:, 384:])
    with pytest.raises(spiked.SpikedError, match="imec0.ap-SYNC"):
        client.open(path, recording="imec0.lf")


@pytest.mark.parametrize("kind, part", [("ap", "NP1010"), ("lf", "NP1010"), ("ap", "NP2013")])
def test_some_channels(client, tmp_path, kind, part):
    """A saved subset: gains, places and shifts are those of the channels that were saved."""
    saved = [*range(3, 40), 101, *range(200, 384)]
    path, expected = raw_fixtures.spikeglx(tmp_path, samples(3, 300, len(saved) + 1), part, kind, saved)
    rec = client.open(path)
    same(rec, expected)
    np.testing.assert_array_equal(rec.channel_locations, expected["places"])
    np.testing.assert_array_equal(rec.inter_sample_shift, expected["shifts"])


def test_files_without_sync_and_with_renamed_files(client, tmp_path):
    path, expected = raw_fixtures.spikeglx(tmp_path, samples(4, 300, 384), sync=False, probe=12)
    moved = path.rename(tmp_path / "renamed.bin")
    path.with_suffix(".meta").rename(tmp_path / "renamed.meta")
    rec = client.open(moved)
    same(rec, expected)
    assert rec.description["streams"] == ["imec12.ap"]


def test_fixed_gain_of_the_probe_type(client, tmp_path):
    path, expected = raw_fixtures.spikeglx(tmp_path, samples(5, 100, 385), "NP2013", gain_keys=False)
    same(client.open(path), expected)


def test_unknown_probe_gives_counts(client, tmp_path):
    path, expected = raw_fixtures.spikeglx(tmp_path, samples(6, 100, 385), "NP2013", gain_keys=False, imDatPrb_pn="NP9999", imDatPrb_type=9999, imMaxInt=None)
    with pytest.warns(UserWarning, match="gain"):
        rec = client.open(path)
        np.testing.assert_array_equal(rec.read(), expected["traces"])
    assert rec.unit == "counts" and rec.inter_sample_shift is None


def test_national_instruments(client, tmp_path):
    x = samples(7, 400, 7)
    path, expected = raw_fixtures.nidq(tmp_path, x)
    rec = client.open(path)
    same(rec, expected)
    assert rec.description["streams"] == ["nidq", "nidq-DIGITAL"] and rec.inter_sample_shift is None and rec.channel_locations is None
    np.testing.assert_array_equal(client.open(path, recording="nidq-DIGITAL").read(), x[:, 6:])


def test_onebox(client, tmp_path):
    x = samples(15, 300, 14)
    path, _ = raw_fixtures.nidq(tmp_path, x, typeThis="obx", fileName="D:/data/run_g0_t0.obx2.obx.bin", niSampRate=None, obSampRate=30303.25, obAiRangeMax=5,
                                obMaxInt=32768, snsMnMaXaDw=None, snsXaDwSy="12,1,1", **{"~snsChanMap": None})
    rec = client.open(path)
    same(rec, dict(traces=x[:, :12], ids=[f"XA{i}" for i in range(12)], gains=np.full(12, 5e6 / 32768), rate=30303.25))
    assert rec.description["streams"] == ["obx2", "obx2-DIGITAL", "obx2-SYNC"]
    np.testing.assert_array_equal(client.open(path, recording="obx2-DIGITAL").read(), x[:, 12:13])
    np.testing.assert_array_equal(client.open(path, recording="obx2-SYNC").read(), x[:, 13:])


def test_detection_is_that_of_the_array(client, tmp_path):
    saved = range(0, 32)
    x = samples(8, 30000, 33)
    path, expected = raw_fixtures.spikeglx(tmp_path, x, saved=saved, rate=30000.0)
    levels = np.full(32, 90.0)
    ours = client.open(path).detect_peaks(noise_levels=levels)
    theirs = client.detect_peaks(np.ascontiguousarray(expected["traces"]), 30000.0, noise_levels=levels)
    assert len(ours) > 100
    np.testing.assert_array_equal(ours, theirs)


def test_result_file(client, raw, tmp_path):
    """A result file of a recording that is not HDF5: written, recognised as done, and done again when the metadata change."""
    path, _ = raw_fixtures.spikeglx(tmp_path, samples(14, 30000, 33), saved=range(32), rate=30000.0)
    header = {"op": "detect", "params": {"file": str(path), "detect_threshold": 1.2, "output": {"file": str(tmp_path / "x.nwb"), "skip_done": True}}}
    replies = [raw.send(header)[0]["result"] for _ in range(2)]
    assert [r["skipped"] for r in replies] == [False, True]
    with h5py.File(tmp_path / "x.nwb") as f:
        assert len(f["scratch/peaks"]) == replies[0]["num_peaks"] > 50 and f["scratch/peaks"].attrs["recording"] == "imec0.ap"
    meta = path.with_suffix(".meta")
    meta.write_text(meta.read_text() + "userNotes=x\n")
    assert not raw.send(header)[0]["result"]["skipped"]


@pytest.mark.parametrize("change, text", [
    (dict(fileSizeBytes=1), "metadata say 1"), (dict(nSavedChans=0), "nSavedChans"), (dict(nSavedChans=386), "counts fewer"),
    (dict(nSavedChans="x"), "nSavedChans"), (dict(snsApLfSy="384,0"), "snsApLfSy"), (dict(snsApLfSy="400,0,1"), "more channels"),
    (dict(imSampRate="nan"), "imSampRate"), (dict(imSampRate=0), "imSampRate"), (dict(imAiRangeMax=None), "imAiRangeMax"),
    (dict(snsSaveChanSubset="0:99999999"), "snsSaveChanSubset"), (dict(snsSaveChanSubset="5:1"), "snsSaveChanSubset"),
    (dict(snsSaveChanSubset="0:10"), "fewer channels"), (dict(typeThis="scope"), "typeThis"), ({"~imroTbl": "(0,384)(0 0 0)"}, "imroTbl"),
    ({"~imroTbl": "(0,384)(0 0 0 500 250 1)"}, "imroTbl")])
def test_metadata_that_lie(client, tmp_path, change, text):
    path, _ = raw_fixtures.spikeglx(tmp_path, samples(9, 50, 385), **change)
    with pytest.raises(spiked.SpikedError, match=text) as caught:
        client.open(path)
    assert caught.value.status == "CORRUPT"
    assert client.ping() is not None


def test_a_data_file_that_changes(client, tmp_path):
    path, expected = raw_fixtures.spikeglx(tmp_path, samples(10, 500, 385))
    rec = client.open(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(spiked.SpikedError, match="metadata say"):
        rec.read()
    path.unlink()
    with pytest.raises(spiked.SpikedError, match="does not exist"):
        client.open(path.with_suffix(".meta"))


def test_changed_metadata_are_read_again(client, tmp_path):
    path, expected = raw_fixtures.spikeglx(tmp_path, samples(11, 50, 385))
    before = client.open(path)
    meta = path.with_suffix(".meta")
    meta.write_text(meta.read_text().replace("imAiRangeMax=0.6", "imAiRangeMax=1.2"))
    np.testing.assert_allclose(client.open(path).gains_uV, 2 * before.gains_uV, rtol=1e-12)


def test_side_files_outside_of_the_roots(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    path, _ = raw_fixtures.spikeglx(inside, samples(12, 50, 385))
    path.rename(outside / path.name)
    path.symlink_to(outside / path.name)
    with spiked.launch(options={"recordings.roots": str(inside), "compute.threads": 1}) as sp:
        with pytest.raises(spiked.SpikedError, match="outside") as caught:
            sp.open(path.with_suffix(".meta"))
        assert caught.value.status == "DENIED"
        assert sp.ping() is not None


def test_a_bin_file_alone(client, tmp_path):
    samples(13, 50, 4).tofile(tmp_path / "alone.bin")
    with pytest.raises(spiked.SpikedError, match="not an HDF5 file"):
        client.open(tmp_path / "alone.bin")


# ---- Open Ephys ----

RATE = 30000.0


def two_streams(tmp_path, **more):
    n = 4000
    numbers = np.arange(n) + 12345
    numbers[1500:] += 700
    numbers[1501:] += 1
    x, y = samples(20, n, 9), samples(21, 500, 3)
    channels = [(f"CH{i + 1}", 0.195, "uV") for i in range(6)] + [(f"ADC{i + 1}", 0.00015258789, "V") for i in range(2)] + [("RHD_SYNC", 1, "")]
    path = raw_fixtures.open_ephys(tmp_path, [
        dict(name="Acquisition_Board-100.Rhythm", x=x, rate=RATE, channels=channels, numbers=numbers, seconds=numbers / RATE + 5),
        dict(name="NI-DAQmx-102.PXI", x=y, rate=10000.0, channels=[(f"AI{i}", 0.001, "V") for i in range(3)], numbers=np.arange(500))], **more)
    return path, x, y, numbers


@pytest.mark.filterwarnings("ignore:.*gaps")
@pytest.mark.parametrize("old", [False, True])
def test_open_ephys(client, tmp_path, old):
    path, x, y, numbers = two_streams(tmp_path, old=old)
    rec = client.open(path)
    assert rec.layout == "open_ephys" and rec.sampling_frequency == RATE and rec.unit == "uV"
    assert rec.channel_ids == [f"CH{i + 1}" for i in range(6)]
    assert rec.description["streams"] == ["Acquisition_Board-100.Rhythm", "Acquisition_Board-100.Rhythm-ADC", "Acquisition_Board-100.Rhythm-SYNC",
                                          "NI-DAQmx-102.PXI"]
    np.testing.assert_allclose(rec.gains_uV, 0.195)
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    assert [s.num_samples for s in rec.segments] == np.diff([0, *cuts, len(x)]).tolist() == [1500, 1, 2499]
    np.testing.assert_allclose([s.start_time_s for s in rec.segments], numbers[[0, *cuts]] / RATE + (0 if old else 5), rtol=1e-12)
    for i, part in enumerate(np.split(x[:, :6], cuts)):
        np.testing.assert_array_equal(rec.read(segment=i), part)
    adc = client.open(path, recording="Acquisition_Board-100.Rhythm-ADC")
    np.testing.assert_allclose(adc.gains_uV, 152.58789)
    np.testing.assert_array_equal(adc.read(segment=0), x[:1500, 6:8])
    ni = client.open(path, recording="NI-DAQmx-102.PXI")
    np.testing.assert_allclose(ni.gains_uV, 1000)
    np.testing.assert_array_equal(ni.read(), y)
    np.testing.assert_array_equal(client.open(path.parent / "continuous/NI-DAQmx-102.PXI/continuous.dat").read(), y)
    named = client.open(path.parent / "continuous/Acquisition_Board-100.Rhythm/continuous.dat")
    assert named.channel_ids == rec.channel_ids and named.description["fingerprint"] == rec.description["fingerprint"]


def test_gaps_are_found_wherever_they_are(client, tmp_path):
    """Random gaps against NumPy's diff."""
    rng = np.random.default_rng(22)
    for k in range(8):
        n = int(rng.integers(2, 3000))
        steps = np.ones(n, int)
        at = rng.choice(n, min(n - 1, int(rng.integers(0, 60))), replace=False)
        steps[at] += rng.integers(1, 5, len(at))
        numbers = np.cumsum(steps)
        path = raw_fixtures.open_ephys(tmp_path / str(k), [dict(name="A", x=samples(k, n, 2), rate=RATE, channels=[("CH1", 1, ""), ("CH2", 1, "")],
                                                               numbers=numbers)])
        segments = client.open(path).segments
        cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
        assert [s.num_samples for s in segments] == np.diff([0, *cuts, n]).tolist()


def test_fewer_numbers_than_frames(client, tmp_path):
    path = raw_fixtures.open_ephys(tmp_path, [dict(name="A", x=samples(23, 100, 2), rate=RATE, channels=[("CH1", 1, ""), ("CH2", 1, "")],
                                                  numbers=np.arange(90))])
    with pytest.warns(UserWarning, match="10 frames"):
        assert client.open(path).num_samples == 90
    np.save(path.parent / "continuous/A/sample_numbers.npy", np.arange(101))
    os.utime(path)
    with pytest.raises(spiked.SpikedError, match="100 frames, but there are sample numbers for 101") as caught:
        client.open(path)
    assert caught.value.status == "CORRUPT"
    (path.parent / "continuous/A/sample_numbers.npy").write_bytes(b"\x93NUMPY\1\0\xff\xff")
    with pytest.raises(spiked.SpikedError, match="sample numbers"):
        client.open(path, recording="A")


def test_several_neural_streams_must_be_named(client, tmp_path):
    one = dict(x=samples(24, 50, 2), rate=RATE, channels=[("CH1", 1, ""), ("CH2", 1, "")], numbers=np.arange(50))
    path = raw_fixtures.open_ephys(tmp_path, [dict(one, name="ProbeA-AP"), dict(one, name="ProbeA-LFP")])
    with pytest.raises(spiked.SpikedError, match="ProbeA-AP, ProbeA-LFP"):
        client.open(path)
    assert client.open(path, recording="ProbeA-LFP").num_samples == 50
    rec = client.open(path.parent / "continuous/ProbeA-LFP/continuous.dat")
    assert rec.description["recording"] == "ProbeA-LFP" and rec.description["streams"] == ["ProbeA-AP", "ProbeA-LFP"]
    np.testing.assert_array_equal(rec.read(), one["x"])


@pytest.mark.parametrize("change, status, text", [
    (dict(folder_name="../../secret"), "CORRUPT", "folder_name"), (dict(folder_name="/etc"), "CORRUPT", "folder_name"), (dict(folder_name=""), "CORRUPT", "folder"),
    (dict(folder_name="a/../.."), "CORRUPT", "folder_name"), (dict(folder_name="nowhere"), "NOT_FOUND", "does not exist"), (dict(sample_rate=-1), "CORRUPT", "sample_rate"),
    (dict(sample_rate="fast"), "CORRUPT", "sample_rate"), (dict(num_channels=3), "CORRUPT", "num_channels"), (dict(channels=[]), "CORRUPT", "num_channels"),
    (dict(channels=[{"channel_name": "CH1"}] * 2), "CORRUPT", "bit_volts"), (dict(channels=[{"bit_volts": 1}] * 2), "CORRUPT", "channel_name")])
def test_structures_that_lie(client, tmp_path, change, status, text):
    path = raw_fixtures.open_ephys(tmp_path, [dict(name="A", x=samples(25, 50, 2), rate=RATE, channels=[("CH1", 1, ""), ("CH2", 1, "")], numbers=np.arange(50))])
    root = json.loads(path.read_text())
    root["continuous"][0].update(change)
    path.write_text(json.dumps(root))
    with pytest.raises(spiked.SpikedError, match=text) as caught:
        client.open(path)
    assert caught.value.status == status
    assert client.ping() is not None


def test_structures_without_data(client, tmp_path):
    path = tmp_path / "structure.oebin"
    for content, text in ((b'{"continuous": []}', "no continuous data"), (b'{"continuous": [', "not JSON"), (b'{"a": {"continuous": 1}}', "no list")):
        path.write_bytes(content)
        with pytest.raises(spiked.SpikedError, match=text):
            client.open(path)
