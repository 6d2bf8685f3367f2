# SPDX-License-Identifier: BSD-3-Clause
"""Units of a ground truth: where they are, what their spikes look like on each channel, and when they fire.

Model and ranges: SpikeInterface, core/generate.py (`generate_ground_truth_recording`). The random streams are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

PITCH_UM = 20.0
BEFORE_MS, AFTER_MS, REFRACTORY_MS = 1.0, 3.0, 4.0
MIN_DISTANCE_UM = 20.0

# Uniform for each unit: ms, ms, ms, share of the trough, ms, um, um/ms, ratio, rad.
RANGES: Dict[str, Tuple[float, float]] = {
    "depolarisation": (0.09, 0.14), "repolarisation": (0.5, 0.8), "recovery": (1.0, 1.5), "positive": (0.1, 0.25), "smooth": (0.03, 0.07),
    "decay": (10.0, 45.0), "speed": (250.0, 350.0), "shrink": (0.4, 1.0), "angle": (0.0, 2 * np.pi),
}


@dataclass(frozen=True)
class Units:
    """Templates in space and their trains.

    Attributes
    ----------
    positions : float64 array (units, 3)
        um; z is the distance from the probe.
    templates : float32 array (units, frames, channels)
        uV. The trough of the channel where the unit is largest stands at frame `before`.
    before : int
        Frames.
    sample_index, unit : int64 arrays (spikes,)
        Time of the trough, and whose it is, in order of time, then unit.
    """

    positions: np.ndarray
    templates: np.ndarray
    before: int
    sample_index: np.ndarray
    unit: np.ndarray

    @property
    def amplitudes(self) -> np.ndarray:
        """float32 array (units, channels): the lowest value on each channel, uV, negative."""
        return self.templates.min(axis=1)

    @property
    def peak_channel(self) -> np.ndarray:
        """int64 array (units,): where the trough is deepest."""
        return self.amplitudes.argmin(axis=1)


def probe(channels: int) -> np.ndarray:
    """Contact positions, float64 array (channels, 2), um: two columns of 20 um pitch, filled from the tip."""
    index = np.arange(channels)
    return np.column_stack([index % 2, index // 2]) * PITCH_UM


def place(rng: np.random.Generator, units: int, locations: np.ndarray) -> np.ndarray:
    """Unit positions (units, 3) in the probe's box +- 10 um, z 5 to 50 um, at least 20 um apart (up to 100 draws for each)."""
    low = np.append(locations.min(axis=0) - 10, 5.0)
    high = np.append(locations.max(axis=0) + 10, 50.0)
    placed: List[np.ndarray] = []
    for i in range(units):
        for _ in range(100):
            candidate = rng.uniform(low, high)
            if all(np.linalg.norm(candidate - other) >= MIN_DISTANCE_UM for other in placed):
                placed.append(candidate)
                break
        else:
            raise ValueError(f"unit {i} of {units} found no place {MIN_DISTANCE_UM:g} um from the others: use fewer units or more channels")
    return np.array(placed).reshape(units, 3)


def _piece(start: float, end: float, duration_ms: float, tau_ms: float, fs: float, flipped: bool) -> np.ndarray:
    """Exponential way from start to end over trunc(duration * fs) frames; the end itself belongs to the next piece."""
    n = int(duration_ms * fs / 1000)
    k = np.arange(n)
    shape = np.expm1((n - k if flipped else k) * 1000 / (fs * tau_ms)) / np.expm1(n * 1000 / (fs * tau_ms))
    return end + (start - end) * shape if flipped else start + (end - start) * shape


def waveform(p: Dict[str, float], fs: float) -> np.ndarray:
    """A spike over time, float64 array (before + after,): down to -1 at frame `before`, up to +positive, back to 0."""
    before, after = int(BEFORE_MS * fs / 1000), int(AFTER_MS * fs / 1000)
    down, up, back = p["depolarisation"], p["repolarisation"], p["recovery"]
    pieces = np.concatenate([_piece(0, -1, down, 0.2 * down, fs, False), _piece(-1, p["positive"], up, 0.5 * up, fs, True),
                             _piece(p["positive"], 0, back, 0.5 * back, fs, True)])
    start = before - int(down * fs / 1000)
    w = np.zeros(before + after)
    pieces = pieces[: before + after - start]
    w[start : start + len(pieces)] = pieces
    sigma = p["smooth"] * fs / 1000
    x = np.arange(-int(4 * sigma), int(4 * sigma) + 1)
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    smooth = np.convolve(w, kernel / kernel.sum(), mode="same")
    smooth /= -smooth.min()
    return np.roll(smooth, before - smooth.argmin())


def _shift(w: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """w delayed by each of `frames` (may be fractional), circular; array (len(w), len(frames))."""
    turns = np.fft.rfftfreq(len(w))[:, None] * frames[None, :]
    return np.fft.irfft(np.fft.rfft(w)[:, None] * np.exp(-2j * np.pi * turns), n=len(w), axis=0)


def template(p: Dict[str, float], alpha_uV: float, position: np.ndarray, locations: np.ndarray, fs: float) -> np.ndarray:
    """A unit's spike on all channels, float32 array (frames, channels), uV: alpha * exp(-r / decay), late by r / speed."""
    dx, dy = (locations - position[:2]).T
    cos, sin = np.cos(-p["angle"]), np.sin(-p["angle"])
    x, y = cos * dx - sin * dy, sin * dx + cos * dy
    r = np.sqrt(x**2 + (y / p["shrink"]) ** 2 + position[2] ** 2)
    delayed = _shift(waveform(p, fs), (r - r.min()) / p["speed"] * fs / 1000)
    return (delayed * (alpha_uV * np.exp(-r / p["decay"]))).astype(np.float32)


def train(rng: np.random.Generator, rate_hz: float, num_samples: int, fs: float) -> np.ndarray:
    """Spike times in frames, int64: geometric gaps plus 4 ms, so that a unit's own spikes never overlap."""
    rate = rate_hz / (1 - rate_hz * REFRACTORY_MS / 1000)
    count = int(num_samples / fs * rate * 1.5 + 50)
    gaps = rng.geometric(rate / fs, count)
    gaps[1:] += int(REFRACTORY_MS * fs / 1000)
    times = np.cumsum(gaps)
    return times[times < num_samples]


def make_units(seed: int, units: int, locations: np.ndarray, num_samples: int, fs: float, rate_hz: float,
               alpha_uV: Tuple[float, float]) -> Units:
    """Everything about the units that a seed decides."""
    rng = np.random.default_rng([seed, 0])
    positions = place(rng, units, locations)
    templates, trains = [], []
    for position in positions:
        p = {name: rng.uniform(*limits) for name, limits in RANGES.items()}
        templates.append(template(p, rng.uniform(*alpha_uV), position, locations, fs))
        trains.append(train(rng, rate_hz, num_samples, fs))
    times = np.concatenate(trains)
    owner = np.repeat(np.arange(units), [len(t) for t in trains])
    order = np.lexsort((owner, times))
    return Units(positions, np.array(templates), int(BEFORE_MS * fs / 1000), times[order], owner[order])
