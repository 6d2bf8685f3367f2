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
