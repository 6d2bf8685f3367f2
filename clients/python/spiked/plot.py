# SPDX-License-Identifier: BSD-3-Clause
"""Figures of recordings and peaks. Needs matplotlib, which is imported when a function is called.

>>> import spiked, spiked.plot
>>> with spiked.connect() as sp:
...     rec = sp.open("session.nwb")
...     spiked.plot.raster(rec.detect_peaks(), rec.sampling_frequency, rec.num_channels)
"""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np

LINE = "#30363d"
DETECTED = "#d1495b"
TRUE = "#00798c"
COLORS = "YlGnBu"


def _axes(ax: Any) -> Any:
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(layout="constrained").add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _colors() -> Any:
    """The colour map without its palest part, which white paper swallows."""
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("spiked", matplotlib.colormaps[COLORS](np.linspace(0.28, 1.0, 256)))


def _nice(x: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most x (> 0)."""
    power = 10.0 ** np.floor(np.log10(x))
    return float(max(step * power for step in (1, 2, 5) if step * power <= x * (1 + 1e-9)))


def _scale_bar(ax: Any, x: float, y: float, spacing: float, unit: str) -> None:
    """A vertical bar to the right of the traces, about one row high."""
    size = _nice(spacing)
    ax.plot([x, x], [y - size / 2, y + size / 2], color=LINE, lw=2, solid_capstyle="butt", clip_on=False)
    ax.annotate(f"{size:g} {unit}", (x, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize="small", annotation_clip=False)


def traces(x: Any, sampling_frequency: float, *, channels: Optional[Sequence[int]] = None, start: int = 0, labels: Optional[Sequence[str]] = None,
           peaks: Any = None, true_spikes: Any = None, spacing: Optional[float] = None, unit: str = "uV", ax: Any = None) -> Any:
    """Channels below each other over time, with peaks marked.

    Parameters
    ----------
    x : array (frames, channels)
        In `unit`.
    sampling_frequency : float
        Hz.
    channels : sequence of int, optional
        Which columns of x; default all. The first is at the top.
    start : int
        Frame of the recording where x begins.
    labels : sequence of str, optional
        Name of each drawn channel; default its index.
    peaks : structured array of `PEAK_DTYPE`, optional
        Those within x and on drawn channels are marked on the trace.
    true_spikes : array (spikes, 2), optional
        (frame, channel) of known spikes; a tick above the trace.
    spacing : float, optional
        Distance of the rows, in `unit`; default from the data.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax)
    x = np.asarray(x, dtype=float)
    channels = range(x.shape[1]) if channels is None else channels
    rows = {int(c): i for i, c in enumerate(channels)}
    centred = x - np.median(x, axis=0)
    if spacing is None:
        spacing = 1.1 * float(np.ptp(centred[:, list(rows)], axis=0).max()) or 1.0
    t = (start + np.arange(len(x))) / sampling_frequency
    for c, row in rows.items():
        ax.plot(t, centred[:, c] - row * spacing, color=LINE, lw=0.6)
    if true_spikes is not None:
        marks = [(f, c) for f, c in np.asarray(true_spikes, dtype=int).reshape(-1, 2) if c in rows and 0 <= f - start < len(x)]
        if marks:
            ax.vlines([f / sampling_frequency for f, _ in marks], [-rows[c] * spacing + 0.20 * spacing for _, c in marks],
                      [-rows[c] * spacing + 0.38 * spacing for _, c in marks], color=TRUE, lw=1.6, label="true spike")
    if peaks is not None:
        marks = [(int(p["sample_index"]), int(p["channel_index"])) for p in peaks
                 if int(p["channel_index"]) in rows and 0 <= p["sample_index"] - start < len(x)]
        if marks:
            ax.plot([f / sampling_frequency for f, _ in marks], [centred[f - start, c] - (rows[c] + 0.07) * spacing for f, c in marks],
                    "^", color=DETECTED, ms=4.5, mew=0, label="detected peak")
    ax.set_yticks([-row * spacing for row in rows.values()], labels or [f"{c}" for c in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlim(t[0], t[-1])
    ax.set_ylim(-(len(rows) - 0.35) * spacing, 0.6 * spacing)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("channel")
    _scale_bar(ax, t[-1] + 0.015 * (t[-1] - t[0]), -(len(rows) - 1) * spacing, 0.8 * spacing, unit)
    return ax


def raster(peaks: Any, sampling_frequency: float, num_channels: int, *, start_s: float = 0.0, stop_s: Optional[float] = None,
           values: Any = None, label: str = "", vmax: Optional[float] = None, ax: Any = None) -> Any:
    """Every peak as a dot, channel over time.

    Parameters
    ----------
    peaks : structured array of `PEAK_DTYPE`
        Of one segment.
    sampling_frequency : float
        Hz.
    num_channels : int
    start_s, stop_s : float
        Part to show, s.
    values : array (peaks,), optional
        Colours the dots, with a colour bar called `label`; `vmax` ends the scale.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax)
    t = np.asarray(peaks["sample_index"]) / sampling_frequency
    shown = t >= start_s
    if stop_s is not None:
        shown &= t < stop_s
    x, y = t[shown], np.asarray(peaks["channel_index"])[shown]
    how = {"s": 6, "marker": "|", "linewidths": 1.0, "rasterized": True}
    if values is None:
        ax.scatter(x, y, color=LINE, **how)
    else:
        value = np.asarray(values)[shown]
        order = np.argsort(value, kind="stable")  # the large ones on top
        dots = ax.scatter(x[order], y[order], c=value[order], cmap=_colors(), vmax=vmax, **how)
        bar = ax.figure.colorbar(dots, ax=ax, pad=0.01, aspect=18, extend="neither" if vmax is None else "max")
        bar.set_label(label)
        bar.outline.set_visible(False)
    ax.set_xlim(start_s, stop_s if stop_s is not None else (t.max() if len(t) else start_s + 1))
    ax.set_ylim(-1, num_channels)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("channel")
    return ax


def probe_map(locations: Any, values: Any, *, label: str = "", unit_positions: Any = None, ax: Any = None) -> Any:
    """Contacts at their place, coloured by a value.

    Parameters
    ----------
    locations : array (channels, 2 or more)
        um; x and y are drawn.
    values : array (channels,)
        Noise levels, rates, ...
    label : str
        Of the colour bar.
    unit_positions : array (units, 2 or more), optional
        um; drawn as rings.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    ax = _axes(ax)
    at = np.asarray(locations, dtype=float)[:, :2]
    gaps = np.sqrt(((at[:, None] - at[None]) ** 2).sum(axis=2))
    side = 0.75 * float(gaps[gaps > 0].min()) if (gaps > 0).any() else 10.0
    contacts = PatchCollection([Rectangle((x - side / 2, y - side / 2), side, side) for x, y in at], cmap=_colors(), edgecolor="none")
    contacts.set_array(np.asarray(values, dtype=float))
    ax.add_collection(contacts)
    if unit_positions is not None:
        units = np.asarray(unit_positions, dtype=float)
        ax.plot(units[:, 0], units[:, 1], "o", mfc="none", mec=DETECTED, mew=1.3, ms=7, label="true unit", clip_on=False)
    ax.set_aspect("equal")
    ax.set_xlim(at[:, 0].min() - 1.6 * side, at[:, 0].max() + 1.6 * side)
    ax.set_ylim(at[:, 1].min() - 1.6 * side, at[:, 1].max() + 1.6 * side)
    bar = ax.figure.colorbar(contacts, ax=ax, aspect=30, pad=0.06)
    bar.set_label(label)
    bar.outline.set_visible(False)
    ax.set_xlabel("x (um)")
    ax.set_ylabel("y (um)")
    return ax
