#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Scores every detector on the same generated recordings and prints the table of kernels/README.md: make groundtruth."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2] / "clients" / "python")]

import score  # noqa: E402
import spiked  # noqa: E402
from generate import Recipe, generate, truth_path  # noqa: E402

BAND = [spiked.bandpass(300, 6000), spiked.common_reference("median")]
NEO = BAND + [spiked.neo(0.5)]
DETECTORS = [
    ("by_channel, 5 x MAD", BAND, dict(method="by_channel")),
    ("locally_exclusive 50 um, 5 x MAD", BAND, dict(method="locally_exclusive")),
    ("locally_exclusive 50 um, 4 x MAD", BAND, dict(method="locally_exclusive", detect_threshold=4)),
    ("locally_exclusive 50 um, 6 x MAD", BAND, dict(method="locally_exclusive", detect_threshold=6)),
    ("locally_exclusive 100 um, 5 x MAD", BAND, dict(method="locally_exclusive", radius_um=100)),
    ("locally_exclusive 50 um, 3 x RMS", BAND, dict(method="locally_exclusive", noise_method="rms", detect_threshold=3)),
    ("locally_exclusive 50 um, -30 uV", BAND, dict(method="locally_exclusive", threshold_unit="uV", detect_threshold=30)),
    ("smoothed energy, locally_exclusive 50 um, 14 x MAD", NEO, dict(method="locally_exclusive", peak_sign="pos", detect_threshold=14)),
    ("matched_filtering 50 um, 5 x MAD", BAND, dict(method="matched_filtering")),
    ("matched_filtering 50 um, 7 x MAD", BAND, dict(method="matched_filtering", detect_threshold=7)),
]


def scores(sp, path, truth, levels_uV):
    """(Score, number of peaks) of each detector."""
    rec = sp.open(path)
    snr = score.unit_snr(truth, levels_uV, (300, 6000))
    for _, chain, options in DETECTORS:
        if options["method"] == "matched_filtering":
            peaks = rec.detect_peaks(preprocess=chain, prototype=prototype_of(rec), ms_before=1.0, **options)[0]
        else:
            peaks = rec.detect_peaks(preprocess=chain, **options)
        yield score.score(truth, peaks, rec.noise_levels(chain), snr), len(peaks)


def prototype_of(rec):
    """The median of up to 1000 spikes on their own channels, each scaled to depth 1, from 1 ms before to 1.5 ms behind the trough."""
    _, extras = rec.detect_peaks("locally_exclusive", preprocess=BAND, waveforms=dict(radius_um=0, ms_before=1.0, ms_after=1.5, max_waveforms=1000))
    spikes = extras["waveforms"][extras["waveform_valid"][: len(extras["waveforms"])], :, 0]
    return np.median(spikes / -spikes.min(axis=1, keepdims=True), axis=0).astype("f4")


def row(name, found, fs):
    results = [r for r, _ in found]
    recalls = [np.mean([r.recall(low, high) for r in results if ((r.spike_snr > low) & (r.spike_snr <= high)).any()])
               for low, high in zip(score.SNR_BINS[1:], score.SNR_BINS[2:])]
    error = np.concatenate([r.error_frames for r in results]) / fs * 1000
    precision = np.mean([r.precision for r, _ in found])
    per_spike = sum(n for _, n in found) / sum(len(r.detections) for r in results)
    return f"| {name} | " + " | ".join(f"{x:.3f}" for x in recalls) + f" | {precision:.3f} | {per_spike:.2f} | {np.percentile(np.abs(error), 95):.3f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    os.environ.setdefault("SPIKED_BINARY", str(Path(os.environ.get("SPIKED_BUILD", "build")) / "spiked"))
    warnings.simplefilter("ignore")
    results = [[] for _ in DETECTORS]
    with tempfile.TemporaryDirectory(prefix="spiked-groundtruth-") as folder, spiked.launch() as sp:
        for seed in range(1, arguments.seeds + 1):
            recipe = Recipe(seconds=arguments.seconds, units=30, common_uV=8.0, lfp_uV=100.0, seed=seed)
            path = Path(folder) / f"{seed}.nwb"
            generate(recipe, path)
            rec = sp.open(path)
            with np.load(truth_path(path)) as truth:
                truth = dict(truth)
            for found, one in zip(results, scores(sp, path, truth, rec.noise_levels(BAND) * rec.gains_uV)):
                found.append(one)
    print(f"{recipe.channels} channels, {recipe.units} units, {recipe.seconds:g} s, {recipe.noise_uV:g} uV of white and {recipe.common_uV:g} uV of common noise; "
          f"mean of {arguments.seeds} seeds\n")
    print("| detector | recall, SNR 4-8 | 8-12 | 12-20 | above 20 | precision | peaks a detection | 95 % of timing errors within, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for (name, _, _), found in zip(DETECTORS, results):
        print(row(name, found, recipe.sampling_frequency))
    return 0


if __name__ == "__main__":
    sys.exit(main())
