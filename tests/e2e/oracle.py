# SPDX-License-Identifier: BSD-3-Clause
"""Slow, plain implementations of what the daemon computes, from its documents and not from its code.

Detection and noise: SpikeInterface's rules and noise estimator. Filters: scipy.signal on the daemon's fixed grid
(kernels/pipeline.h). All take whole segments, arrays (frames, channels).
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import scipy.signal

from spiked import PEAK_DTYPE

MAD = 0.6744897501960817
U32, U64 = 2.0**-24, 2.0**-53  # half an epsilon: the largest relative error of one rounding

Stage = Dict[str, Any]


# --- detection ---

def by_channel(x: np.ndarray, threshold: np.ndarray, sign: str = "neg", sweep: int = 30, segment: int = 0) -> np.ndarray:
    """Peaks of one segment, array of `PEAK_DTYPE`.

    x[s] < -thr, x[s] < x[s-k], x[s] <= x[s+k] for k = 1..sweep; frames outside are 0; "pos" is the mirror image, "both" either.
    """
    n = len(x)
    zeros = np.zeros((sweep, x.shape[1]), x.dtype)
    padded = np.concatenate([zeros, x, zeros])
    found = np.zeros(x.shape, bool)
    if sign in ("neg", "both"):
        mine = x.astype(float) < -np.asarray(threshold, float)
        for k in range(1, sweep + 1):
            mine &= (x < padded[sweep - k : sweep - k + n]) & (x <= padded[sweep + k : sweep + k + n])
        found |= mine
    if sign in ("pos", "both"):
        mine = x.astype(float) > np.asarray(threshold, float)
        for k in range(1, sweep + 1):
            mine &= (x > padded[sweep - k : sweep - k + n]) & (x >= padded[sweep + k : sweep + k + n])
        found |= mine
    frames, channels = np.nonzero(found)
    return table(frames, channels, x[frames, channels], segment)


def locally_exclusive(x: np.ndarray, threshold: np.ndarray, locations: np.ndarray, radius_um: float = 50.0, sign: str = "neg", sweep: int = 30,
                      segment: int = 0) -> np.ndarray:
    """Peaks of one segment, array of `PEAK_DTYPE`.

    Candidates: x[s] <= -thr, x[s] < x[s-1], x[s] <= x[s+1], or mirrored. One is dropped if another within `sweep` frames and `radius_um` has a
    larger |x| / thr, or the same and is earlier. A float32 `threshold` makes it float32 arithmetic, as NumPy's promotion does.
    """
    threshold, locations = np.asarray(threshold), np.asarray(locations, float)
    x = x if threshold.dtype == np.float32 else x.astype(float)
    zero = np.zeros((1, x.shape[1]), x.dtype)
    before, after = np.concatenate([zero, x[:-1]]), np.concatenate([x[1:], zero])
    found = np.zeros(x.shape, bool)
    if sign in ("neg", "both"):
        found |= (x <= -threshold) & (x < before) & (x <= after)
    if sign in ("pos", "both"):
        found |= (x >= threshold) & (x > before) & (x >= after)
    frames, channels = np.nonzero(found)
    values = np.abs(x[frames, channels]) / threshold[channels]
    near = np.sqrt(((locations[:, None] - locations[None, :]) ** 2).sum(axis=2)) <= radius_um
    kept = []
    for i in range(len(frames)):
        rivals = np.abs(frames - frames[i]) <= sweep
        rivals &= near[channels[i], channels]
        rivals[i] = False
        beaten = (values[rivals] > values[i]) | ((values[rivals] == values[i]) & (frames[rivals] < frames[i]))
        if not beaten.any():
            kept.append(i)
    return table(frames[kept], channels[kept], x[frames[kept], channels[kept]], segment)


def plant_near_ties(x: np.ndarray, levels: np.ndarray, seed: int) -> None:
    """Gives float32 noise pairs of large negative samples, on channels c and c + 1 up to 20 frames apart, whose ratios to the levels are a few
    floats apart or tie. Only samples well below the median are made lower, so the noise levels stay what they were."""
    rng = np.random.default_rng(seed)
    for slot in range(50, len(x) - 100, 100):
        c = int(rng.integers(0, x.shape[1] - 1))
        first, second = np.nonzero(x[slot : slot + 20, c] < -levels[c])[0], np.nonzero(x[slot + 20 : slot + 40, c + 1] < -levels[c + 1])[0]
        if len(first) and len(second):
            value = np.float32(levels[c] * rng.uniform(7, 14))
            other = np.float32(float(value) / float(levels[c]) * float(levels[c + 1]))
            x[slot + first[-1], c] = -value
            x[slot + 20 + second[0], c + 1] = -(other + np.float32(rng.integers(-2, 3)) * np.spacing(other))


def table(frames: np.ndarray, channels: np.ndarray, amplitudes: np.ndarray, segment: int) -> np.ndarray:
    peaks = np.zeros(len(frames), PEAK_DTYPE)
    peaks["sample_index"], peaks["channel_index"], peaks["amplitude"], peaks["segment_index"] = frames, channels, amplitudes, segment
    return peaks


def decision_margin(x: np.ndarray, frame: int, channel: int, threshold: float, sweep: int) -> float:
    """How far the nearest comparison of the negative rule at this sample is from a tie, in the unit of x."""
    low, high = max(0, frame - sweep), frame + sweep + 1
    window = np.delete(x[low:high, channel], frame - low)
    margins = np.abs(window - x[frame, channel]).tolist()
    return float(min([abs(x[frame, channel] + threshold), *margins]))


# --- noise ---

def chunk_starts(num_frames: Sequence[int], fs: float, seed: int) -> Tuple[List[np.ndarray], int]:
    """Sorted starts of 20 chunks in each segment, and their length in frames: one generator for all segments."""
    chunk = min([int(0.5 * fs), *(n - 1 for n in num_frames)])
    rng = np.random.default_rng(seed)
    return [np.sort(rng.integers(0, n - chunk, size=20, endpoint=True)) for n in num_frames], chunk


def noise_levels(segments: Sequence[np.ndarray], fs: float, seed: int = 0) -> np.ndarray:
    """Mean over chunks of the centred MAD, float64 array (channels,); computed in the type NumPy gives it."""
    starts, chunk = chunk_starts([len(s) for s in segments], fs, seed)
    levels = []
    for x, at in zip(segments, starts):
        for s in at:
            part = x[s : s + chunk]
            middle = np.median(part, axis=0)
            levels.append(np.median(np.abs(part - middle[None, :]), axis=0) / np.asarray(MAD, middle.dtype))
    return np.mean(levels, axis=0).astype(float)


# --- preprocessing ---

_FAMILIES = {"butterworth": "butter", "chebyshev1": "cheby1", "chebyshev2": "cheby2", "elliptic": "ellip"}


def _edges(stage: Stage) -> Any:
    return {"bandpass": (stage.get("freq_min"), stage.get("freq_max")), "bandstop": (stage.get("freq_min"), stage.get("freq_max")),
            "highpass": stage.get("freq_min"), "lowpass": stage.get("freq_max")}[stage["stage"]]


def design(stage: Stage, fs: float) -> np.ndarray:
    if stage["stage"] == "notch":
        b, a = scipy.signal.iirnotch(stage["freq"], stage["q"], fs=fs)
        return np.concatenate([b, a])[None, :]
    family = stage.get("filter", "butterworth")
    if family == "bessel":
        return scipy.signal.bessel(stage["order"], _edges(stage), stage["stage"], output="sos", norm=stage["norm"], fs=fs)
    return scipy.signal.iirfilter(stage["order"], _edges(stage), rp=stage.get("ripple_db"), rs=stage.get("attenuation_db"), btype=stage["stage"],
                                  ftype=_FAMILIES[family], output="sos", fs=fs)


def _edge(sos: np.ndarray) -> int:
    """Frames of odd extension scipy.signal.sosfiltfilt uses by default."""
    return 3 * (2 * len(sos) + 1 - min((sos[:, 2] == 0).sum(), (sos[:, 5] == 0).sum()))


def margin(stage: Stage, fs: float) -> int:
    """SpikeInterface's five periods (a notch: time constants). Where a filter may ring longer: until its slowest pole is down to 1e-4."""
    if stage["stage"] == "notch":
        return int((5 / np.pi) * (stage["q"] / stage["freq"]) * fs)
    periods = int(5 * 1000.0 / stage.get("freq_min", stage.get("freq_max")) * fs / 1000.0)
    if stage.get("filter", "butterworth") == "butterworth" and stage["stage"] != "bandstop":
        return periods
    slowest = np.abs(scipy.signal.sos2zpk(design(stage, fs))[1]).max()
    return max(periods, int(np.ceil(np.log(1e-4) / np.log(slowest))))


def _is_zero_phase(stage: Stage) -> bool:
    return bool(stage.get("zero_phase"))


def grid(stages: Sequence[Stage], fs: float) -> int:
    """Least power of two >= 4096 and >= twice the largest margin."""
    widest = max(margin(s, fs) for s in stages if _is_zero_phase(s))
    size = 4096
    while size < 2 * widest:
        size *= 2
    return size


def zero_phase(x: np.ndarray, stage: Stage, fs: float, size: int) -> np.ndarray:
    """sosfiltfilt of each block of the grid, read with `margin` frames around it, clipped to the segment; float64."""
    sos, m = design(stage, fs), margin(stage, fs)
    out = np.empty(x.shape)
    for at in range(0, len(x), size):
        low, high = max(0, at - m), min(len(x), at + size + m)
        part = x[low:high].astype(float)
        y = scipy.signal.sosfiltfilt(sos, part, axis=0, padlen=min(_edge(sos), len(part) - 1))
        out[at : at + size] = y[at - low : at - low + size]
    return out


def causal(x: np.ndarray, stage: Stage, fs: float) -> np.ndarray:
    """Forward only, from the steady state of the first frame; float64."""
    sos = design(stage, fs)
    start = scipy.signal.sosfilt_zi(sos)[:, :, None] * x[0].astype(float)[None, None, :]
    return scipy.signal.sosfilt(sos, x.astype(float), axis=0, zi=start)[0]


def preprocess(x: np.ndarray, stages: Sequence[Stage], fs: float) -> Tuple[np.ndarray, float]:
    """(float64 traces, bound of what float32 arithmetic may make of each sample)."""
    y, error = x.astype(float), 0.0
    for stage in stages:
        if stage["stage"] == "common_reference":
            y = y - (np.median if stage["operator"] == "median" else np.mean)(y, axis=1, keepdims=True)
            # The reference moves by at most `error`, too; then two roundings, of the reference and of the difference.
            error = 2 * error + 2 * U32 * float(np.abs(y).max())
        else:
            bound = filter_error(y, stage, fs, error)
            y = zero_phase(y, stage, fs, grid(stages, fs)) if stage["zero_phase"] else causal(y, stage, fs)
            error = bound + U32 * float(np.abs(y).max())
    return y, error


def _impulse(sos: np.ndarray) -> np.ndarray:
    x = np.zeros(60000)
    x[0] = 1
    return scipy.signal.sosfilt(sos, x)


def _one_pass(sos: np.ndarray, x: np.ndarray) -> np.ndarray:
    return scipy.signal.sosfilt(sos, x, axis=0, zi=scipy.signal.sosfilt_zi(sos)[:, :, None] * x[0][None, None, :])[0]


def _in_single(sos: np.ndarray) -> np.ndarray:
    """The coefficients as the daemon rounds them: the gain apart, b0 = 1, everything to float32."""
    rounded = sos.copy()
    rounded[0, :3] /= sos[0, 0]
    rounded = rounded.astype(np.float32).astype(float)
    rounded[0, :3] *= float(np.float32(sos[0, 0]))
    return rounded


def _is_wide(sos: np.ndarray) -> bool:
    """A pole near the unit circle: the daemon's states and arithmetic are float64, its samples still float32."""
    return bool(np.abs(scipy.signal.sos2zpk(sos)[1]).max() > 0.99)


def pass_error(sos: np.ndarray, x: np.ndarray) -> float:
    """Bound of the error of one pass of a cascade in float32 over x (frames, channels): coefficients, measured, and roundings.

    Section: y = x + z0, z0 = (b1 x + z1) - a1 y, z1 = b2 x - a2 y, |b1|, |a1| <= 2, |b2|, |a2| <= 1. Its eight roundings in a frame are of
    values up to Y, 2X, 2Y, X, Y, 3X + Y, X + Y, X + Y (X, Y: largest |x|, |y|), each off by at most u times that. Such an error enters the
    recursion, so it comes out through 1/A of this section and the sections behind it, h. Taken as independent and of mean 0, their sum passes
    8 u sqrt(sum of squares of all bounds times h) with a probability below 2 exp(-32) (Hoeffding 1963): not in the samples of this suite.
    """
    zi = scipy.signal.sosfilt_zi(sos)
    unit = U64 if _is_wide(sos) else U32
    total, start = 0.0, x[0]
    for i, section in enumerate(sos):
        if i == 0:
            x, section = section[0] * x, np.concatenate([section[:3] / section[0], section[3:]])
        y = scipy.signal.sosfilt(section[None], x, axis=0, zi=zi[i][None, :, None] * start[None, None, :])[0]
        big_x, big_y = np.abs(x).max(), np.abs(y).max()
        values = [big_y, 2 * big_x, 2 * big_y, big_x, big_y, 3 * big_x + big_y, big_x + big_y, big_x + big_y]
        recursion = np.concatenate([[1.0, 0.0, 0.0], section[3:]])[None]
        h = _impulse(np.concatenate([recursion, sos[i + 1 :]]))
        total += (unit * np.linalg.norm(values) * np.linalg.norm(h)) ** 2
        x = y
    return 8 * float(np.sqrt(total))


def filter_error(x: np.ndarray, stage: Stage, fs: float, before: float) -> float:
    """Bound after a filter stage whose input is wrong by up to `before`: forward, and backward again if zero phase."""
    sos = design(stage, fs)
    gain = float(np.abs(_impulse(sos)).sum())
    edge = _edge(sos)
    extended = np.concatenate([2 * x[0] - x[edge:0:-1], x, 2 * x[-1] - x[-2 : -edge - 2 : -1]])
    single = sos if _is_wide(sos) else _in_single(sos)
    forward, forward_single = _one_pass(sos, extended), _one_pass(single, extended)
    error = gain * (before + U32 * float(np.abs(extended).max())) + pass_error(sos, extended)
    if not stage["zero_phase"]:
        return error + float(np.abs(forward - forward_single).max())
    error += U32 * float(np.abs(forward).max())
    coefficients = np.abs(_one_pass(sos, forward[::-1]) - _one_pass(single, forward_single[::-1])).max()
    return gain * error + pass_error(sos, forward[::-1]) + float(coefficients)
