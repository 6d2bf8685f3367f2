# SPDX-License-Identifier: BSD-3-Clause
"""Result files: what NWB readers find in them, and skip_done."""

import os

import h5py
import numpy as np
import pytest
import spiked
from conftest import FS, is_idle, wait_until


def unit_times(f):
    """Spike times of each row of /units."""
    ends = f["units/spike_times_index"][...].astype(int)
    return np.split(f["units/spike_times"][...], ends[:-1])


def test_units_are_the_peaks(client, nwb, tmp_path):
    out = tmp_path / "result.nwb"
    rec = client.open(nwb.path)
    peaks = rec.detect_peaks(detect_threshold=4, output=out)
    assert len(peaks) > 50
    np.testing.assert_array_equal(peaks, rec.detect_peaks(detect_threshold=4))
    with h5py.File(out) as f:
        assert f.attrs["neurodata_type"] == "NWBFile" and f["units"].attrs["neurodata_type"] == "Units"
        times = unit_times(f)
        assert len(times) == rec.num_channels
        assert f["units/spike_times"].attrs["resolution"] == pytest.approx(1 / FS)
        for channel, mine in enumerate(times):
            np.testing.assert_allclose(mine, peaks["sample_index"][peaks["channel_index"] == channel] / FS, rtol=0, atol=1e-9)
        names = [n.decode() for n in f["units/channel_name"][...]]
        assert names == rec.channel_ids
        np.testing.assert_array_equal(f["scratch/peaks"][...], peaks)
        np.testing.assert_array_equal(f["scratch/noise_levels"][...], rec.noise_levels())
        table = f["general/extracellular_ephys/electrodes"]
        np.testing.assert_array_equal(np.column_stack([table["rel_x"][...], table["rel_y"][...]]), rec.channel_locations)


def test_times_start_where_segments_do(client, gapped, tmp_path):
    out = tmp_path / "gaps.nwb"
    rec = client.open(gapped.path)
    peaks = rec.detect_peaks(detect_threshold=4, output=out)
    starts = np.array([s.start_time_s for s in rec.segments])
    expected = starts[peaks["segment_index"]] + peaks["sample_index"] / FS
    with h5py.File(out) as f:
        for channel, mine in enumerate(unit_times(f)):
            np.testing.assert_allclose(mine, expected[peaks["channel_index"] == channel], rtol=0, atol=1e-9)


def test_no_peaks(client, nwb, tmp_path):
    assert len(client.open(nwb.path).detect_peaks(noise_levels=1e6, output=tmp_path / "none.nwb")) == 0
    with h5py.File(tmp_path / "none.nwb") as f:
        assert len(f["units/spike_times"]) == 0 and (f["units/spike_times_index"][...] == 0).all()


def ask(raw, nwb, out, **params):
    reply, _ = raw.send({"op": "detect", "params": {"file": str(nwb.path), "output": {"file": str(out), "skip_done": True}, **params}})
    assert reply["status"] == "OK", reply
    return reply["result"]


def test_skip_done(raw, nwb, tmp_path):
    out = tmp_path / "again.nwb"
    first = ask(raw, nwb, out)
    assert first["skipped"] is False and first["output"] == str(out) and first["num_peaks"] > 0
    whole = out.read_bytes()
    assert ask(raw, nwb, out)["skipped"] is True
    assert out.read_bytes() == whole
    assert ask(raw, nwb, out, detect_threshold=6)["skipped"] is False, "other parameters"
    assert out.read_bytes() != whole
    assert ask(raw, nwb, out)["skipped"] is False
    assert out.read_bytes() == whole, "the same input and parameters give the same bytes"


def test_a_damaged_result_is_written_again(raw, nwb, tmp_path):
    out = tmp_path / "damaged.nwb"
    ask(raw, nwb, out)
    whole = out.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"text"):
        out.write_bytes(damage)
        assert ask(raw, nwb, out)["skipped"] is False
        assert out.read_bytes() == whole


def test_a_changed_table_is_written_again(raw, nwb, tmp_path):
    out = tmp_path / "edited.nwb"
    ask(raw, nwb, out)
    with h5py.File(out, "r+") as f:
        peaks = f["scratch/peaks"][...]
        peaks["sample_index"][0] += 1
        f["scratch/peaks"][...] = peaks
    assert ask(raw, nwb, out)["skipped"] is False


def test_a_changed_input_is_detected_again(raw, nwb, tmp_path):
    from conftest import RecordingFile

    copy, out = tmp_path / "input.nwb", tmp_path / "out.nwb"
    copy.write_bytes(nwb.path.read_bytes())
    assert ask(raw, RecordingFile(copy), out)["skipped"] is False
    assert ask(raw, RecordingFile(copy), out)["skipped"] is True
    os.utime(copy, (1e9, 1e9))
    assert ask(raw, RecordingFile(copy), out)["skipped"] is False


@pytest.mark.parametrize("output, field, message", [({"file": "relative.nwb"}, "output.file", "absolute"), ({}, "output.file", "missing"),
                                                    ({"file": "/no/such/folder/x.nwb"}, "output.file", "does not exist"),
                                                    ({"file": "/x.nwb", "overwrite": True}, "output.overwrite", "no such parameter")])
def test_wrong_outputs(raw, nwb, output, field, message):
    e = raw.fail({"op": "detect", "params": {"file": str(nwb.path), "output": output}})
    assert isinstance(e, (spiked.Invalid, spiked.NotFound)) and e.field == field and message in e.message, (e.field, e.message)


def test_an_array_has_no_result_file(raw, tmp_path):
    from spiked import wire

    x = np.zeros((100, 2), "<i2")
    e = raw.fail({"op": "detect", "params": {"sampling_frequency": FS, "output": {"file": str(tmp_path / "x.nwb")}},
                  "arrays": [wire.describe("traces", x)]}, [x])
    assert isinstance(e, spiked.Unsupported) and "recording" in e.message


def test_a_folder_that_cannot_be_written(client, nwb, tmp_path):
    (tmp_path / "taken.nwb").mkdir()
    with pytest.raises(spiked.SpikedError) as e:
        client.open(nwb.path).detect_peaks(output=tmp_path / "taken.nwb")
    assert not isinstance(e.value, spiked.InternalError), e.value
    assert sorted(os.listdir(tmp_path)) == ["taken.nwb"], "no part files are left"


def test_a_cancelled_detect_leaves_nothing(client, endless, tmp_path):
    out = tmp_path / "never.nwb"
    with pytest.raises(spiked.DeadlineExceeded):
        client.open(endless).detect_peaks(noise_levels=1.0, preprocess=[spiked.bandpass()], output=out, timeout=0.3)
    wait_until("the daemon is idle", lambda: is_idle(client))
    assert os.listdir(tmp_path) == []
