#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Scores detected peaks against the true spikes of a generated recording.

    python3 tests/groundtruth/score.py OUT.truth.npz PEAKS.npy

How it counts:

- Grouping. `by_channel` reports a spike on every channel that crosses the threshold. So peaks of channels within `group_um` of each other
  and at most `group_ms` apart are one detection: the largest (in units of its channel's noise) wins and takes its neighbours away, then the
  next largest, until all are taken.
- Matching. A detection and a true spike (of any unit) match if they are at most `delta_ms` apart, truncated to frames, and the detection's
  channel lies within `radius_um` of the unit's peak channel. One to one, nearest in time first; ties go to the earlier detection.
- Recall is the share of true spikes with a match; precision the share of detections with one. A detection near a true spike that another
  detection has taken is a duplicate; it counts against precision, and is told apart in the output.
- SNR of a unit: depth of its trough on its best channel over the noise of that channel (centred MAD / 0.6745), both after preprocessing.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

import numpy as np
import scipy.signal

SNR_BINS = (0.0, 4.0, 8.0, 12.0, 20.0, np.inf)


@dataclass(frozen=True)
class Rules:
    """Distances of the docstring above."""

    group_ms: float = 0.5
    group_um: float = 150.0
    delta_ms: float = 0.4
    radius_um: float = 60.0


@dataclass(frozen=True)
class Score:
    """Result of `score`.

    Attributes
    ----------
    detections : structured array
        Peaks after grouping.
    matched_spike : int64 array (detections,)
        Index of the true spike, -1 where there is none.
    duplicate : bool array (detections,)
        No match of its own, but near a true spike.
    spike_found : bool array (spikes,)
    spike_snr : float64 array (spikes,)
        Of the spike's unit.
    error_frames : int64 array (matches,)
        Detected minus true time.
    unit_snr, unit_recall : float64 arrays (units,)
    precision : float
    """

    detections: np.ndarray
    matched_spike: np.ndarray
    duplicate: np.ndarray
    spike_found: np.ndarray
    spike_snr: np.ndarray
    error_frames: np.ndarray
    unit_snr: np.ndarray
    unit_recall: np.ndarray
    precision: float

    def recall(self, low: float, high: float = np.inf) -> float:
        """Share of the spikes of units with low < SNR <= high that were found; NaN if there are none."""
        mine = (self.spike_snr > low) & (self.spike_snr <= high)
        return float(self.spike_found[mine].mean()) if mine.any() else float("nan")

    @property
    def num_false(self) -> int:
        """Detections that are near no true spike."""
        return int((~self.duplicate & (self.matched_spike < 0)).sum())


def within(locations: np.ndarray, radius_um: float) -> np.ndarray:
    """bool array (channels, channels): at most radius_um apart; each channel is near itself."""
    d = locations[:, None, :] - locations[None, :, :]
    return np.sqrt((d**2).sum(axis=2)) <= radius_um


def group(peaks: np.ndarray, size: np.ndarray, near: np.ndarray, frames: int) -> np.ndarray:
    """Indices of the peaks that win their neighbourhood, ascending.

    Parameters
    ----------
    peaks : structured array
        In order of sample_index.
    size : float array (peaks,)
        How large each is.
    near : bool array (channels, channels)
    frames : int
        Half width of the neighbourhood in time.
    """
    sample, channel = peaks["sample_index"], peaks["channel_index"]
    first = np.searchsorted(sample, sample - frames, "left")
    last = np.searchsorted(sample, sample + frames, "right")
    taken = np.zeros(len(peaks), bool)
    winners = []
    for i in np.argsort(-size, kind="stable"):
        if taken[i]:
            continue
        winners.append(i)
        around = slice(first[i], last[i])
        taken[around] |= near[channel[i], channel[around]]
    return np.sort(np.array(winners, dtype=np.int64))


def _candidates(true_sample: np.ndarray, sample: np.ndarray, delta: int) -> Tuple[np.ndarray, np.ndarray]:
    """All (detection, spike) at most delta frames apart."""
    first = np.searchsorted(true_sample, sample - delta, "left")
    count = np.searchsorted(true_sample, sample + delta, "right") - first
    detection = np.repeat(np.arange(len(sample)), count)
    within_run = np.arange(len(detection)) - np.repeat(np.cumsum(count) - count, count)
    return detection, np.repeat(first, count) + within_run


def match(true_sample: np.ndarray, true_channel: np.ndarray, sample: np.ndarray, channel: np.ndarray, near: np.ndarray,
          delta: int) -> Tuple[np.ndarray, np.ndarray]:
    """One-to-one matches, nearest in time first.

    Returns
    -------
    matched_spike : int64 array (detections,)
        -1 where there is none.
    duplicate : bool array (detections,)
    """
    detection, spike = _candidates(true_sample, sample, delta)
    close = near[channel[detection], true_channel[spike]]
    detection, spike = detection[close], spike[close]
    matched = np.full(len(sample), -1, np.int64)
    found = np.zeros(len(true_sample), bool)
    distance = np.abs(sample[detection] - true_sample[spike])
    for i in np.lexsort((spike, detection, distance)):
        if matched[detection[i]] < 0 and not found[spike[i]]:
            matched[detection[i]] = spike[i]
            found[spike[i]] = True
    duplicate = np.zeros(len(sample), bool)
    duplicate[detection] = True
    return matched, duplicate & (matched < 0)


def unit_snr(truth: Mapping[str, Any], noise_uV: np.ndarray, band_hz: Optional[Tuple[float, float]] = None) -> np.ndarray:
    """SNR of each unit, float64 array (units,): its trough after a zero-phase band-pass (order 5), over the noise of its best channel.

    Parameters
    ----------
    truth : mapping
        The truth file.
    noise_uV : array (channels,)
        After the same preprocessing.
    band_hz : (low, high), optional
        None: not filtered.
    """
    t = np.asarray(truth["templates"], float)
    if band_hz is not None:
        sos = scipy.signal.butter(5, band_hz, "bandpass", fs=float(truth["sampling_frequency"]), output="sos")
        t = scipy.signal.sosfiltfilt(sos, np.pad(t, ((0, 0), (600, 600), (0, 0))), axis=1)
    depth = -t.min(axis=1)
    best = depth.argmax(axis=1)
    return depth[np.arange(len(t)), best] / np.asarray(noise_uV)[best]


def score(truth: Mapping[str, Any], peaks: np.ndarray, noise_levels: np.ndarray, snr: np.ndarray, rules: Rules = Rules()) -> Score:
    """Scores peaks of one segment.

    Parameters
    ----------
    truth : mapping
        The truth file.
    peaks : structured array
        sample_index, channel_index, amplitude; in order of sample_index.
    noise_levels : array (channels,)
        In the unit of the amplitudes.
    snr : array (units,)
        See `unit_snr`.
    """
    fs, locations = float(truth["sampling_frequency"]), np.asarray(truth["locations"])
    true_sample, owner = np.asarray(truth["sample_index"]), np.asarray(truth["unit"])
    size = np.abs(peaks["amplitude"]) / np.asarray(noise_levels)[peaks["channel_index"]]
    peaks = peaks[group(peaks, size, within(locations, rules.group_um), int(rules.group_ms * fs / 1000))]
    matched, duplicate = match(true_sample, np.asarray(truth["peak_channel"])[owner], peaks["sample_index"], peaks["channel_index"],
                               within(locations, rules.radius_um), int(rules.delta_ms * fs / 1000))
    hit = matched >= 0
    found = np.zeros(len(true_sample), bool)
    found[matched[hit]] = True
    count = np.bincount(owner, minlength=len(snr))
    recall = np.bincount(owner, weights=found, minlength=len(snr)) / np.maximum(count, 1)
    return Score(peaks, matched, duplicate, found, np.asarray(snr)[owner], peaks["sample_index"][hit] - true_sample[matched[hit]],
                 np.asarray(snr), recall, float(hit.mean()) if len(hit) else float("nan"))


def report(s: Score, fs: float) -> str:
    """The score as a few lines of text."""
    lines = ["SNR of the unit    units    spikes    recall"]
    for low, high in zip(SNR_BINS, SNR_BINS[1:]):
        units = int(((s.unit_snr > low) & (s.unit_snr <= high)).sum())
        spikes = int(((s.spike_snr > low) & (s.spike_snr <= high)).sum())
        if units:
            name = f"above {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
            lines.append(f"{name:<15} {units:8d} {spikes:9d} {s.recall(low, high):9.3f}")
    error = s.error_frames / fs * 1000
    lines.append(f"detections {len(s.detections)} (peaks of neighbouring channels grouped, the largest wins): "
                 f"{int((s.matched_spike >= 0).sum())} match, {int(s.duplicate.sum())} duplicates, {s.num_false} false; "
                 f"precision {s.precision:.3f}")
    if len(error):
        lines.append(f"timing error: median {np.median(error):+.3f} ms, 95 % within {np.percentile(np.abs(error), 95):.3f} ms")
    return "\n".join(lines)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("truth", help="OUT.truth.npz of generate.py")
    p.add_argument("peaks", help="peak table of one segment (.npy)")
    p.add_argument("--noise", type=float, help="noise level of a channel after preprocessing, in the unit of the amplitudes; default: the "
                                               "recipe's white noise in counts")
    p.add_argument("--band", type=float, nargs=2, metavar=("LOW", "HIGH"), help="the band-pass that was used, Hz")
    a = p.parse_args()
    with np.load(a.truth) as truth:
        gain = float(truth["gain_uV"])
        noise = np.full(len(truth["locations"]), a.noise or float(truth["noise_uV"]) / gain)
        s = score(truth, np.load(a.peaks), noise, unit_snr(truth, noise * gain, a.band))
        print(report(s, float(truth["sampling_frequency"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
