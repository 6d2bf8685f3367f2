# SPDX-License-Identifier: BSD-3-Clause
"""open and read: the daemon's samples are those h5py reads."""

import h5py
import numpy as np
import pytest
import spiked
from conftest import FS, GAIN_UV
from units import probe

SERIES = "acquisition/ElectricalSeries/data"


def test_description(client, nwb):
    rec = client.open(nwb.path)
    assert (rec.layout, rec.num_channels, rec.num_samples, rec.sampling_frequency) == ("nwb", 19, len(nwb.traces), FS)
    assert rec.dtype == np.dtype("<i2") and rec.unit == "uV" and rec.channel_ids == [f"ch{c}" for c in range(19)]
    assert [s.num_samples for s in rec.segments] == [len(nwb.traces)]
    np.testing.assert_array_equal(rec.channel_locations, probe(19))
    np.testing.assert_allclose(rec.gains_uV, GAIN_UV, rtol=1e-12)
    np.testing.assert_array_equal(rec.offsets_uV, 0)


def test_segments(client, gapped):
    rec = client.open(gapped.path)
    assert [s.num_samples for s in rec.segments] == [len(s) for s in gapped.segments]
    assert rec.num_samples == sum(len(s) for s in gapped.segments)
    np.testing.assert_allclose([s.start_time_s for s in rec.segments], [0, 20000 / FS + 1, 45000 / FS + 1.25], atol=1e-9)
    assert rec.channel_ids == [f"e{c}" for c in range(6)]


@pytest.mark.parametrize("start, stop", [(0, 10), (0, None), (2999, 3001), (4095, 12289), (68999, 69000), (500, 500), (None, 7)])
def test_read_frames(client, nwb, start, stop):
    with h5py.File(nwb.path) as f:
        expected = f[SERIES][start:stop]
    got = client.open(nwb.path).read(start, stop)
    assert got.dtype == np.dtype("<i2") and got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("channels", [[0], [18], [3, 1, 17], [2, 2], list(range(19))])
def test_read_channels(client, nwb, channels):
    np.testing.assert_array_equal(client.open(nwb.path).read(2500, 6500, channels), nwb.traces[2500:6500, channels])


def test_read_scaled(client, nwb):
    rec = client.open(nwb.path)
    got = rec.read(1000, 2000, [5, 4], scaled=True)
    expected = (nwb.traces[1000:2000, [5, 4]] * rec.gains_uV[[5, 4]] + rec.offsets_uV[[5, 4]]).astype("<f4")
    assert got.dtype == np.dtype("<f4")
    np.testing.assert_array_equal(got, expected)


def test_read_every_segment(client, gapped):
    rec = client.open(gapped.path)
    for i, expected in enumerate(gapped.segments):
        np.testing.assert_array_equal(rec.read(segment=i), expected)
        np.testing.assert_array_equal(rec.read(10, 300, [5], segment=i), expected[10:300, [5]])


@pytest.mark.parametrize("time_axis", [0, 1])
@pytest.mark.parametrize("dtype", ["<f4", "<u2"])
def test_plain_dataset(client, tmp_path, time_axis, dtype):
    x = np.random.default_rng(5).integers(0, 4000, (7000, 5)).astype(dtype)
    with h5py.File(tmp_path / "plain.h5", "w") as f:
        f.create_dataset("deep/raw", data=x if time_axis == 0 else x.T, chunks=(1000, 5) if time_axis == 0 else (5, 1000), compression="gzip")
    rec = client.open(tmp_path / "plain.h5", dataset="deep/raw", sampling_frequency=20000, time_axis=time_axis, gain_uV=0.5, offset_uV=-7)
    assert (rec.num_channels, rec.num_samples, rec.sampling_frequency) == (5, 7000, 20000)
    np.testing.assert_array_equal(rec.read(), x)
    np.testing.assert_array_equal(rec.read(50, 60, scaled=True), (x[50:60].astype(float) * 0.5 - 7).astype("<f4"))


def test_a_changed_file_is_read_anew(client, tmp_path):
    path = tmp_path / "grows.h5"
    for n in (100, 250):
        x = np.full((n, 2), n, "<i2")
        with h5py.File(path, "w") as f:
            f["raw"] = x
        rec = client.open(path, dataset="raw", sampling_frequency=1000)
        np.testing.assert_array_equal(rec.read(), x)


def test_several_streams_must_be_named(client, tmp_path, nwb):
    with h5py.File(tmp_path / "two.nwb", "w") as f, h5py.File(nwb.path) as source:
        for name in source:
            source.copy(name, f)
        for name, value in source.attrs.items():
            f.attrs[name] = value
        f.copy("acquisition/ElectricalSeries", "acquisition/Second")
        for name in ("ElectricalSeries", "Second"):
            f[f"acquisition/{name}/electrodes"].attrs.create("table", f["general/extracellular_ephys/electrodes"].ref, dtype=h5py.ref_dtype)
    with pytest.raises(spiked.SpikedError, match="(?s)Second"):
        client.open(tmp_path / "two.nwb")
    rec = client.open(tmp_path / "two.nwb", recording="/acquisition/Second")
    np.testing.assert_array_equal(rec.read(0, 100), nwb.traces[:100])
