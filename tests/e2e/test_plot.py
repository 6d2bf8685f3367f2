# SPDX-License-Identifier: BSD-3-Clause
"""The plotting helpers draw what they are given."""

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from spiked import PEAK_DTYPE, plot  # noqa: E402
from units import probe  # noqa: E402

FS = 30000.0


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture
def peaks():
    out = np.zeros(40, PEAK_DTYPE)
    out["sample_index"], out["channel_index"], out["amplitude"] = np.arange(40) * 1000, np.arange(40) % 4, -np.arange(40) - 20.0
    return out


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


def test_traces(peaks):
    x = np.random.default_rng(71).normal(0, 10, (3000, 4))
    ax = drawn(plot.traces(x, FS, channels=[2, 0], start=1000, labels=["b", "a"], peaks=peaks, true_spikes=[(2000, 2), (9000, 0)]))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "a"]
    marks = [line for line in ax.lines if line.get_marker() == "^"]
    inside = (peaks["sample_index"] >= 1000) & (peaks["sample_index"] < 4000) & np.isin(peaks["channel_index"], [0, 2])
    assert len(marks) == 1 and len(marks[0].get_xdata()) == inside.sum()
    assert [c.get_label() for c in ax.collections] == ["true spike"]


def test_traces_of_silence():
    drawn(plot.traces(np.zeros((10, 2)), FS))


@pytest.mark.parametrize("values", [None, "amplitude"])
def test_raster(peaks, values):
    ax = drawn(plot.raster(peaks, FS, 4, start_s=0.1, stop_s=0.5, values=None if values is None else np.abs(peaks[values]), label="uV"))
    t = peaks["sample_index"] / FS
    assert len(ax.collections[0].get_offsets()) == ((t >= 0.1) & (t < 0.5)).sum()


def test_raster_of_nothing():
    drawn(plot.raster(np.zeros(0, PEAK_DTYPE), FS, 4))


def test_probe_map():
    ax = drawn(plot.probe_map(probe(8), np.arange(8.0), label="rate", unit_positions=[[0, 30, 10]]))
    assert len(ax.collections[0].get_array()) == 8
    drawn(plot.probe_map([[5.0, 5.0]], [1.0]))


def test_traces_of_many_channels_are_a_picture(peaks):
    x = np.random.default_rng(72).normal(0, 10, (900, 384))
    peaks["channel_index"] = np.arange(40) * 9
    ax = drawn(plot.traces(x, FS, start=500, peaks=peaks, true_spikes=[(600, 383)], title="all"))
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), (x - np.median(x, axis=0)).T)
    left, right, bottom, top = image.get_extent()
    assert left < 500 / FS and 1399 / FS < right and (bottom, top) == (383.5, -0.5)
    rows = {line.get_label(): (list(line.get_xdata() * FS), list(line.get_ydata())) for line in ax.lines}
    assert rows["true spike"] == ([pytest.approx(600)], [383]) and rows["detected peak"] == ([pytest.approx(1000)], [9])
    assert ax.get_title() == "all" and 10 <= len(ax.get_yticklabels()) <= 24
    assert len(drawn(plot.traces(x, FS, mode="lines")).lines) == 385    # and the bar of the scale
    assert drawn(plot.traces(x[:, :3], FS, mode="map")).images


def test_recordings(client, nwb):
    rec = client.open(nwb.path)
    peaks = rec.detect_peaks()
    ax = drawn(plot.traces(rec, channels=[3, 1], start=600, stop=1500, peaks=peaks))
    want = nwb.traces[600:1500, 3] * rec.gains_uV[3]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), want - np.median(want), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), np.arange(600, 1500) / rec.sampling_frequency)
    assert [t.get_text() for t in ax.get_yticklabels()] == [rec.channel_ids[3], rec.channel_ids[1]] and ax.get_xlabel() == "time (s)"
    assert any(t.get_text().endswith("µV") for t in ax.texts)
    ax = drawn(plot.traces(rec))
    assert ax.get_xlim()[1] == pytest.approx((int(0.1 * rec.sampling_frequency) - 1) / rec.sampling_frequency)
    ax = drawn(plot.raster(peaks, rec, title="all of it"))
    assert len(ax.collections[0].get_offsets()) == len(peaks) and ax.get_ylim() == (-1, rec.num_channels)
    assert ax.get_xlim() == (0, rec.num_samples / rec.sampling_frequency)
    if rec.channel_locations is None:
        with pytest.raises(ValueError, match="locations"):
            plot.probe_map(rec)
    else:
        assert len(drawn(plot.probe_map(rec, rec.noise_levels())).collections[0].get_array()) == rec.num_channels


def test_raster_by_depth(peaks):
    places = np.stack([np.zeros(4), [300.0, 100, 200, 0]], axis=1)
    ax = drawn(plot.raster(peaks, FS, 4, locations=places))
    at = ax.collections[0].get_offsets()
    np.testing.assert_array_equal(at[:, 1], places[peaks["channel_index"], 1])
    assert ax.get_ylabel() == "depth (µm)" and ax.get_ylim()[1] > 300


def test_raster_of_segments(peaks):
    peaks["segment_index"][10:] = 1
    with pytest.raises(ValueError, match="segment"):
        plot.raster(peaks, FS, 4)
    assert len(drawn(plot.raster(peaks, FS, 4, segment=1)).collections[0].get_offsets()) == 30


def test_probe_maps():
    """A long probe is not a thread; a plate of thousands takes no memory of their square; what is not known is grey."""
    long = np.stack([np.array([27.0, 59, 11, 43])[np.arange(384) % 4], np.arange(384) // 2 * 20.0], axis=1)
    values = np.arange(384.0)
    values[7] = np.nan
    ax = drawn(plot.probe_map(long, values, label="rate", title="NP"))
    assert ax.get_aspect() == "auto" and ax.collections[0].get_array().mask.sum() == 1 and ax.get_ylabel() == "y (µm)"
    boxes = [p.get_extents() for p in ax.collections[0].get_paths()]
    assert all(a.height < 20 or a.x0 != b.x0 for a, b in zip(boxes, boxes[4:]))
    plate = np.stack(np.meshgrid(np.arange(64) * 42.0, np.arange(64) * 42.0), axis=-1).reshape(-1, 2)
    ax = drawn(plot.probe_map(plate))
    assert ax.get_aspect() == 1 and ax.collections[0].get_array() is None and len(ax.figure.axes) == 1


@pytest.mark.parametrize("call", [
    lambda: plot.traces(np.zeros((5, 2))), lambda: plot.traces(np.zeros((0, 2)), FS), lambda: plot.traces(np.zeros((5, 2)), FS, mode="dots"),
    lambda: plot.raster(np.zeros(0, PEAK_DTYPE), FS), lambda: plot.probe_map([[0.0, 0.0]], [1.0, 2.0]),
], ids=["rate", "nothing", "mode", "channels", "values"])
def test_what_is_wrong(call):
    with pytest.raises(ValueError):
        call()
    assert not plt.get_fignums()    # and no empty window stays
