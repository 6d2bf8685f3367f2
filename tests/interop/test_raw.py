# SPDX-License-Identifier: BSD-3-Clause
"""SpikeGLX and Open Ephys recordings: spiked reads what SpikeInterface, neo and probeinterface read; and codecs written by hdf5plugin, where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import spikeinterface.extractors as se
from probeinterface.neuropixels_tools import _load_np_probe_features, read_spikeglx
from spikeinterface.extractors.neuropixels_utils import get_neuropixels_sample_shifts_from_probe

import spiked

sys.path.append(str(Path(__file__).resolve().parents[1] / "recording"))
import raw_fixtures  # noqa: E402


@pytest.fixture(scope="module")
def sp():
    with spiked.launch() as client:
        yield client


def samples(seed, frames, channels):
    return np.random.default_rng(seed).integers(-500, 500, (frames, channels)).astype("<i2")


def same_recording(ours, theirs):
    np.testing.assert_array_equal(ours.read(), theirs.get_traces())
    assert ours.sampling_frequency == theirs.sampling_frequency
    np.testing.assert_allclose(ours.gains_uV, theirs.get_channel_gains(), rtol=1e-12)


def same_up_to_a_shift(ours, theirs):
    """The file's own origin is the left edge of the shank, probeinterface's a contact."""
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], atol=1e-9)


@pytest.mark.parametrize("part", ["NP1010", "NP2000", "NP2010", "NP2003", "NP2013"])
@pytest.mark.parametrize("map_of", ["geometry", "shanks"])
def test_spikeglx_as_spikeinterface(sp, tmp_path, part, map_of):
    path, _ = raw_fixtures.spikeglx(tmp_path, samples(1, 900, 385), part, map_of=map_of)
    theirs = se.read_spikeglx(tmp_path, stream_id="imec0.ap")
    ours = sp.open(path)
    same_recording(ours, theirs)
    assert [f"imec0.ap#{name}" for name in ours.channel_ids] == list(theirs.channel_ids)
    np.testing.assert_array_equal(ours.inter_sample_shift, theirs.get_property("inter_sample_shift"))
    same_up_to_a_shift(ours.channel_locations, theirs.get_channel_locations())


def test_saved_subset_and_lfp_as_spikeinterface(sp, tmp_path):
    saved = [*range(5, 60), *range(300, 384)]
    ap, _ = raw_fixtures.spikeglx(tmp_path, samples(2, 900, len(saved) + 1), saved=saved)
    ours, theirs = sp.open(ap), se.read_spikeglx(tmp_path, stream_id="imec0.ap")
    np.testing.assert_array_equal(ours.read(), theirs.get_traces())
    np.testing.assert_array_equal(ours.inter_sample_shift, theirs.get_property("inter_sample_shift"))
    same_up_to_a_shift(ours.channel_locations, theirs.get_channel_locations())
    # Gains are not compared: neo takes those of the first entries of imroTbl, not of the channels that were saved.
    whole = tmp_path / "whole"
    whole.mkdir()
    raw_fixtures.spikeglx(whole, samples(3, 1200, 385))
    lf, _ = raw_fixtures.spikeglx(whole, samples(4, 100, 385), kind="lf")
    same_recording(sp.open(lf), se.read_spikeglx(whole, stream_id="imec0.lf"))


def test_nidq_as_spikeinterface(sp, tmp_path):
    path, _ = raw_fixtures.nidq(tmp_path, samples(5, 500, 7))
    theirs = se.read_spikeglx(tmp_path, stream_id="nidq")
    ours = sp.open(path)
    np.testing.assert_array_equal(ours.read(), theirs.get_traces()[:, :6])
    np.testing.assert_allclose(ours.gains_uV, theirs.get_channel_gains()[:6], rtol=1e-12)


def test_every_probe_of_the_catalogue(sp, tmp_path):
    """Shifts of all part numbers that probeinterface knows: ours are its own, or are left out where the wiring follows no rule."""
    unknown, catalogue = [], _load_np_probe_features()["neuropixels_probes"]
    for i, (part, features) in enumerate(catalogue.items()):
        folder = tmp_path / str(i)
        folder.mkdir()
        path, _ = raw_fixtures.spikeglx(folder, samples(6, 20, 385), "NP1010" if float(features["lf_sample_frequency_hz"]) else "NP2003", imDatPrb_pn=part,
                                        imDatPrb_type=None, **({"~imroTbl": "(1110,2,0,500,250,1)(0 0 0)"} if part == "NP1110" else {}))
        ours = sp.open(path).inter_sample_shift
        if ours is None:
            unknown.append(part)
            continue
        n = int(features["num_readout_channels"])
        table = _load_np_probe_features()["z_mux_tables"][features["mux_table_format_type"]]
        rows = [list(map(int, row.strip("()").split())) for row in table.split(")(")[1:]]
        order = {c: k for k, row in enumerate(rows) for c in row}
        cycles = len(rows) + (float(features["lf_sample_frequency_hz"]) > 0)
        np.testing.assert_allclose(ours, [order[c] / cycles for c in range(min(n, 384))], rtol=1e-12, err_msg=part)
    assert set(unknown) <= {p for p, f in catalogue.items() if f["mux_table_format_type"] == "mux_np1200"}, unknown


def test_rule_of_shifts_is_spikeinterfaces(sp, tmp_path):
    path, _ = raw_fixtures.spikeglx(tmp_path, samples(7, 20, 385), "NP2013")
    np.testing.assert_array_equal(sp.open(path).inter_sample_shift, get_neuropixels_sample_shifts_from_probe(read_spikeglx(path.with_suffix(".meta"))))


@pytest.mark.parametrize("old", [False, True])
def test_open_ephys_as_spikeinterface(sp, tmp_path, old):
    x = samples(8, 2000, 9)
    channels = [(f"CH{i + 1}", 0.195, "uV") for i in range(6)] + [(f"ADC{i + 1}", 0.00015, "V") for i in range(3)]
    path = raw_fixtures.open_ephys(tmp_path, [dict(name="Acquisition_Board-100.Rhythm", x=x, rate=30000.0, channels=channels, numbers=np.arange(2000) + 77)],
                                   old=old)
    theirs = se.read_openephys(tmp_path, stream_id="0")
    ours = sp.open(path)
    same_recording(ours, theirs)
    assert ours.channel_ids == list(theirs.channel_ids)
    adc = sp.open(path, recording="Acquisition_Board-100.Rhythm-ADC")
    np.testing.assert_array_equal(adc.read(), se.read_openephys(tmp_path, stream_id="1").get_traces())


def test_codecs_of_hdf5plugin(sp, tmp_path):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    import h5py
    x = np.cumsum(samples(9, 5000, 12) // 50, axis=0).astype("<i2")
    hows = {"lz4": hdf5plugin.LZ4(), "zstd": hdf5plugin.Zstd(clevel=3)}
    hows.update({f"bitshuffle_{c}": hdf5plugin.Bitshuffle(cname=c) for c in ("none", "lz4", "zstd")})
    hows.update({f"blosc_{c}_{s}": hdf5plugin.Blosc(cname=c, shuffle=s) for c in ("blosclz", "lz4", "lz4hc", "zlib", "zstd") for s in (0, 1, 2)})
    with h5py.File(tmp_path / "x.h5", "w") as f:
        for name, how in hows.items():
            f.create_dataset(name, data=x, chunks=(700, 5), **how)
    for name in hows:
        rec = sp.open(tmp_path / "x.h5", dataset=name, sampling_frequency=1000)
        assert rec.description["storage"] == "chunked", name
        np.testing.assert_array_equal(rec.read(), x, err_msg=name)
