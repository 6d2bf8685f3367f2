# SPDX-License-Identifier: BSD-3-Clause
"""Figures of recordings and peaks. Needs matplotlib, which is imported when a function is called.

>>> import spiked, spiked.plot
>>> with spiked.connect() as sp:
...     rec = sp.open("session.nwb")
...     peaks = rec.detect_peaks()
...     spiked.plot.traces(rec, start=30000, peaks=peaks)
...     spiked.plot.raster(peaks, rec)
...     spiked.plot.probe_map(rec, rec.noise_levels(), label="noise (counts)")
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from .recording import Recording

LINE = "#30363d"
DETECTED = "#d1495b"
TRUE = "#00798c"
COLORS = "YlGnBu"
SIGNED = "RdBu_r"
# More rows than this are drawn as a picture: lines would cover each other.
MOST_LINES = 64
_MOST_LABELS = 24


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


class _View(NamedTuple):
    """Frames to draw: (frames, rows), centred."""

    x: np.ndarray
    t: np.ndarray
    channels: List[int]
    labels: List[str]
    unit: str


def _of_recording(rec: Recording, channels: Optional[Sequence[int]], start: int, stop: Optional[int], segment: int) -> Tuple[np.ndarray, List[int]]:
    if stop is None:
        stop = min(rec.segments[segment].num_samples, start + int(0.1 * rec.sampling_frequency))
    chosen = list(range(rec.num_channels)) if channels is None else [int(c) for c in channels]
    return rec.read(start, stop, chosen, scaled=rec.unit == "uV", segment=segment), chosen


def _view(x: Any, sampling_frequency: Optional[float], channels: Optional[Sequence[int]], start: int, stop: Optional[int], segment: int,
          labels: Optional[Sequence[str]], unit: Optional[str]) -> _View:
    if isinstance(x, Recording):
        sampling_frequency = x.sampling_frequency
        unit = unit or ("µV" if x.unit == "uV" else "counts")
        names: Any = x.channel_ids
        x, chosen = _of_recording(x, channels, start, stop, segment)
    else:
        x = np.asarray(x)
        x = x.reshape(len(x), -1)[: None if stop is None else max(0, stop - start)]
        chosen = list(range(x.shape[1])) if channels is None else [int(c) for c in channels]
        x, names = x[:, chosen], None
    if not sampling_frequency:
        raise ValueError("sampling_frequency is needed with an array")
    if not x.size:
        raise ValueError("there are no frames or channels to draw")
    if labels is None:
        labels = [names[c] if names else str(c) for c in chosen]
    x = x.astype(float)
    return _View(x - np.median(x, axis=0), (start + np.arange(len(x))) / sampling_frequency, chosen, list(labels), unit or "µV")


def _row_ticks(ax: Any, places: Sequence[float], labels: Sequence[str]) -> None:
    """All rows, or every 2nd, 5th, 10th, ..., so that their names can be read."""
    steps = (step * 10**power for power in range(6) for step in (1, 2, 5))
    every = next(step for step in steps if len(places) <= step * _MOST_LABELS)
    ax.set_yticks(places[::every], labels[::every])
    ax.tick_params(axis="y", length=0)


def _marks(found: Any, view: _View, start: int) -> Tuple[np.ndarray, np.ndarray]:
    """(frame within the view, row) of each (frame, channel) that is in it."""
    row_of = {c: i for i, c in enumerate(view.channels)}
    at = np.asarray(found, dtype=int).reshape(-1, 2)
    rows = np.array([row_of.get(int(c), -1) for c in at[:, 1]], dtype=int)
    inside = (rows >= 0) & (at[:, 0] >= start) & (at[:, 0] < start + len(view.x))
    return at[inside, 0] - start, rows[inside]


def _lines(ax: Any, view: _View, spacing: Optional[float], peaks: Any, true_spikes: Any) -> None:
    n = view.x.shape[1]
    if spacing is None:
        # Few rows do not touch each other; among many, one that is far louder may.
        heights = np.ptp(view.x, axis=0)
        spacing = 1.1 * float(heights.max() if n <= 8 else np.quantile(heights, 0.9)) or 1.0
    base = -spacing * np.arange(n)
    ax.plot(view.t, view.x + base, color=LINE, lw=0.6 if n <= 32 else 0.4)
    if true_spikes is not None and len(true_spikes[0]):
        frame, row = true_spikes
        ax.vlines(view.t[frame], base[row] + 0.20 * spacing, base[row] + 0.38 * spacing, color=TRUE, lw=1.6, label="true spike")
    if peaks is not None and len(peaks[0]):
        frame, row = peaks
        ax.plot(view.t[frame], view.x[frame, row] + base[row] - 0.07 * spacing, "^", color=DETECTED, ms=4.5 if n <= 32 else 3, mew=0,
                label="detected peak")
    _row_ticks(ax, base, view.labels)
    ax.spines["left"].set_visible(False)
    ax.set_xlim(view.t[0], view.t[-1] if len(view.t) > 1 else view.t[0] + 1e-3)
    ax.set_ylim(-(n - 0.35) * spacing, 0.6 * spacing)
    _scale_bar(ax, view.t[-1] + 0.015 * (view.t[-1] - view.t[0]), -(n - 1) * spacing, 0.8 * spacing * max(1, n // 16), view.unit)


def _picture(ax: Any, view: _View, peaks: Any, true_spikes: Any) -> None:
    n = view.x.shape[1]
    most = float(np.quantile(np.abs(view.x), 0.998)) or 1.0
    half = (view.t[-1] - view.t[0]) / max(1, len(view.t) - 1) / 2 or 1e-3
    image = ax.imshow(view.x.T, aspect="auto", cmap=SIGNED, vmin=-most, vmax=most, extent=(view.t[0] - half, view.t[-1] + half, n - 0.5, -0.5))
    for marks, color, label in ((true_spikes, TRUE, "true spike"), (peaks, LINE, "detected peak")):
        if marks is not None and len(marks[0]):
            ax.plot(view.t[marks[0]], marks[1], "o", mfc="none", mec=color, mew=0.6, ms=6, label=label)
    _row_ticks(ax, list(range(n)), view.labels)
    _color_bar(ax, image, view.unit, "both")


def _color_bar(ax: Any, what: Any, label: str, extend: str = "neither") -> None:
    bar = ax.figure.colorbar(what, ax=ax, aspect=30, pad=0.02, extend=extend)
    bar.set_label(label)
    bar.outline.set_visible(False)


def traces(x: Any, sampling_frequency: Optional[float] = None, *, channels: Optional[Sequence[int]] = None, start: int = 0,
           stop: Optional[int] = None, segment: int = 0, labels: Optional[Sequence[str]] = None, peaks: Any = None, true_spikes: Any = None,
           spacing: Optional[float] = None, unit: Optional[str] = None, mode: str = "auto", title: str = "", ax: Any = None) -> Any:
    """Channels below each other over time, with peaks marked.

    Parameters
    ----------
    x : Recording, or array (frames, channels)
        A recording is read in microvolts, or in counts where nobody says what a count is.
    sampling_frequency : float
        Hz; of an array.
    channels : sequence of int, optional
        Which ones; default all. The first is at the top.
    start, stop : int
        Frames of the recording; an array begins at `start`. Default: 0.1 s of a recording, all of an array.
    segment : int
        Of the recording, and of the peaks.
    labels : sequence of str, optional
        Name of each drawn channel; default the recording's, or the index.
    peaks : structured array of `PEAK_DTYPE`, optional
        Those of the segment, in these frames and on drawn channels, are marked.
    true_spikes : array (spikes, 2), optional
        (frame, channel) of known spikes.
    spacing : float, optional
        Distance of the lines, in `unit`; default from the data.
    unit : str, optional
        For the scale.
    mode : {"auto", "lines", "map"}
        A line for each channel, or a picture with a row for each; by default a picture from more than 64 on.
    title : str, optional
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    if mode not in ("auto", "lines", "map"):
        raise ValueError(f"mode: auto, lines or map, not {mode!r}")
    view = _view(x, sampling_frequency, channels, start, stop, segment, labels, unit)
    ax = _axes(ax)
    if peaks is not None:
        peaks = peaks[peaks["segment_index"] == segment]
        peaks = _marks(np.stack([peaks["sample_index"], peaks["channel_index"]], axis=1), view, start)
    if true_spikes is not None:
        true_spikes = _marks(true_spikes, view, start)
    if mode == "lines" or (mode == "auto" and len(view.channels) <= MOST_LINES):
        _lines(ax, view, spacing, peaks, true_spikes)
    else:
        _picture(ax, view, peaks, true_spikes)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("channel")
    ax.set_title(title)
    return ax


def _tick_size(ax: Any, rows: float) -> float:
    """Area of a mark about as high as a row, points squared."""
    height = ax.get_window_extent().height * 72 / ax.figure.dpi
    return float(np.clip(height / max(rows, 1), 2.0, 8.0)) ** 2


def raster(peaks: Any, sampling_frequency: Union[float, Recording], num_channels: Optional[int] = None, *, start_s: float = 0.0,
           stop_s: Optional[float] = None, segment: Optional[int] = None, locations: Any = None, values: Any = None, label: str = "",
           vmax: Optional[float] = None, title: str = "", ax: Any = None) -> Any:
    """Every peak as a mark: channel, or depth, over time.

    Parameters
    ----------
    peaks : structured array of `PEAK_DTYPE`
    sampling_frequency : float or Recording
        Hz; a recording also gives `num_channels`.
    num_channels : int
    start_s, stop_s : float
        Part to show, s from the first frame of the segment.
    segment : int, optional
        Needed if the peaks are of several.
    locations : array (channels, 2 or more), optional
        um; peaks are drawn at their channel's depth (y).
    values : array (peaks,), optional
        Colours the marks, with a colour bar called `label`; `vmax` ends the scale.
    title : str, optional
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    stop = None
    if isinstance(sampling_frequency, Recording):
        rec, sampling_frequency = sampling_frequency, sampling_frequency.sampling_frequency
        num_channels = rec.num_channels
        stop = rec.segments[segment or 0].num_samples / sampling_frequency
    if num_channels is None:
        raise ValueError("num_channels is needed, or the recording in place of sampling_frequency")
    chosen = np.ones(len(peaks), bool) if segment is None else peaks["segment_index"] == segment
    if segment is None and len(np.unique(peaks["segment_index"])) > 1:
        raise ValueError("the peaks are of several segments: say which one with segment=")
    t = np.asarray(peaks["sample_index"]) / sampling_frequency
    shown = chosen & (t >= start_s)
    if stop_s is not None:
        shown &= t < stop_s
    ax = _axes(ax)
    depth = None if locations is None else np.asarray(locations, dtype=float)[:, 1]
    x, y = t[shown], np.asarray(peaks["channel_index"])[shown]
    y = y if depth is None else depth[y]
    rows = num_channels if depth is None else len(np.unique(depth))
    how = {"s": _tick_size(ax, rows), "marker": "|", "linewidths": 1.0 if len(x) < 20000 else 0.5, "rasterized": True}
    if values is None:
        ax.scatter(x, y, color=LINE, **how)
    else:
        value = np.asarray(values)[shown]
        order = np.argsort(value, kind="stable")  # the large ones on top
        dots = ax.scatter(x[order], y[order], c=value[order], cmap=_colors(), vmax=vmax, **how)
        _color_bar(ax, dots, label, "neither" if vmax is None else "max")
    end = stop_s if stop_s is not None else stop if stop is not None else t[chosen].max() if chosen.any() else start_s + 1
    ax.set_xlim(start_s, end if end > start_s else start_s + 1)
    if depth is None:
        ax.set_ylim(-1, num_channels)
    else:
        room = 0.02 * np.ptp(depth) + 1
        ax.set_ylim(depth.min() - room, depth.max() + room)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("channel" if depth is None else "depth (µm)")
    ax.set_title(title)
    return ax


def _smallest_gap(at: np.ndarray) -> float:
    """Distance of the two nearest different places; 0 if there is one. A block of rows at a time: plates have thousands of contacts."""
    smallest = np.inf
    for first in range(0, len(at), 256):
        gaps = ((at[first : first + 256, None] - at[None]) ** 2).sum(axis=2)
        smallest = min(smallest, gaps[gaps > 0].min(initial=np.inf))
    return float(np.sqrt(smallest)) if np.isfinite(smallest) else 0.0


def _contact_size(at: np.ndarray, stretched: bool) -> Tuple[float, float]:
    if not stretched:
        side = 0.75 * _smallest_gap(at) or 10.0
        return side, side
    sizes = []
    for axis in (0, 1):
        steps = np.diff(np.unique(at[:, axis]))
        sizes.append(0.8 * float(steps.min()) if len(steps) else 10.0)
    # Rows that are shifted against each other: half a column apart is not a column.
    return max(sizes[0], 0.1 * float(np.ptp(at[:, 0]))), sizes[1]


def probe_map(locations: Any, values: Any = None, *, label: str = "", unit_positions: Any = None, title: str = "", ax: Any = None) -> Any:
    """Contacts at their place, coloured by a value.

    Parameters
    ----------
    locations : array (channels, 2 or more), or Recording
        um; x and y are drawn. A probe more than eight times as long as wide is drawn wider than it is.
    values : array (channels,), optional
        Noise levels, rates, ...; grey where they are not a number, and everywhere without.
    label : str
        Of the colour bar.
    unit_positions : array (units, 2 or more), optional
        um; drawn as rings.
    title : str, optional
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    if isinstance(locations, Recording):
        if locations.channel_locations is None:
            raise ValueError(f"{locations.file} does not say where its channels are: give locations, (channels, 2)")
        locations = locations.channel_locations
    at = np.asarray(locations, dtype=float)[:, :2]
    if values is not None and np.shape(values) != (len(at),):
        raise ValueError(f"values: {np.shape(values)} for {len(at)} channels")
    ax = _axes(ax)
    long = np.ptp(at[:, 1]) > 8 * np.ptp(at[:, 0]) > 0
    width, height = _contact_size(at, long)
    squares = [Rectangle((x - width / 2, y - height / 2), width, height) for x, y in at]
    colors = _colors()
    colors.set_bad("#d0d7de")
    contacts = PatchCollection(squares, cmap=colors, edgecolor="none", facecolor="#afb8c1")
    if values is not None:
        contacts.set_array(np.ma.masked_invalid(np.asarray(values, dtype=float)))
    ax.add_collection(contacts)
    if unit_positions is not None:
        units = np.asarray(unit_positions, dtype=float)
        ax.plot(units[:, 0], units[:, 1], "o", mfc="none", mec=DETECTED, mew=1.3, ms=7, label="true unit", clip_on=False)
    if not long:
        ax.set_aspect("equal")
    ax.set_xlim(at[:, 0].min() - 1.6 * width, at[:, 0].max() + 1.6 * width)
    ax.set_ylim(at[:, 1].min() - 1.6 * height, at[:, 1].max() + 1.6 * height)
    if values is not None:
        _color_bar(ax, contacts, label)
    ax.set_xlabel("x (µm)")
    ax.set_ylabel("y (µm)")
    ax.set_title(title)
    return ax
