# SPDX-License-Identifier: BSD-3-Clause
"""The peers: what a scientist would run without spiked, written with SciPy, NumPy and h5py."""

from __future__ import annotations

import h5py
import numpy as np
import scipy.signal

MAD = 0.6744897501960817


def preprocess_chunk(traces, start, stop, sos, margin):
    """SpikeInterface's chunk: band-pass forward and backward with margins, rounded to the stored type, minus the median over channels."""
    left, right = max(start - margin, 0), min(stop + margin, len(traces))
    y = scipy.signal.sosfiltfilt(sos, traces[left:right].astype("f8"), axis=0)[start - left : stop - left]
    y = np.round(y).astype(traces.dtype)
    return np.round(y - np.median(y, axis=1, keepdims=True)).astype(traces.dtype)


def by_channel(padded, sweep, thresholds):
    """SpikeInterface 0.105's rule with its 2 * sweep whole-array comparisons; `padded` has `sweep` frames on both sides."""
    x = padded[sweep : len(padded) - sweep]
    mask = x < -thresholds
    for k in range(1, sweep + 1):
        mask &= x < padded[sweep - k : len(padded) - sweep - k]
        mask &= x <= padded[sweep + k : len(padded) - sweep + k]
    return np.nonzero(mask)


def noise_levels(get_chunk, num_frames, chunk, seed=0):
    """Mean over 20 random chunks of the centred MAD."""
    starts = np.sort(np.random.default_rng(seed).integers(0, num_frames - chunk, size=20, endpoint=True))
    levels = []
    for start in starts:
        x = get_chunk(start, start + chunk)
        levels.append(np.median(np.abs(x - np.median(x, axis=0)), axis=0) / MAD)
    return np.mean(levels, axis=0)


def detect(traces, fs, threshold=5.0, sweep_ms=1.0):
    """Band-pass 300-6000 Hz, global median reference, by_channel, in 1 s chunks as SpikeInterface does with one job. (samples, channels)."""
    sos = scipy.signal.butter(5, [300, 6000], "bandpass", fs=fs, output="sos")
    margin, sweep, n = int(5 * 1000 / 300 * fs / 1000), int(sweep_ms * fs / 1000), len(traces)

    def chunk(start, stop):
        return preprocess_chunk(traces, start, stop, sos, margin)

    thresholds = noise_levels(chunk, n, int(0.5 * fs)) * threshold
    samples, channels = [], []
    for start in range(0, n, int(fs)):
        stop = min(start + int(fs), n)
        left, right = max(start - sweep, 0), min(stop + sweep, n)
        x = chunk(left, right)
        x = np.pad(x, ((left - (start - sweep), stop + sweep - right), (0, 0)))
        s, c = by_channel(x, sweep, thresholds)
        samples.append(s + start)
        channels.append(c)
    return np.concatenate(samples), np.concatenate(channels)


def read_h5py(path, dataset):
    """All frames by h5py."""
    with h5py.File(path, "r") as f:
        return f[dataset][:]
