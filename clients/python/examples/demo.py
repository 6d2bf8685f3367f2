#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""spiked in one run: writes a recording with known spikes, starts a daemon, detects, scores the result, and draws a figure.

    python3 clients/python/examples/demo.py --build build

Exit code 0 if at least 95 % of the spikes of units above SNR 8 were found and at least 95 % of the detections are true spikes.
The scoring rules stand in tests/groundtruth/score.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "clients" / "python"), str(ROOT / "tests" / "groundtruth")]

import score  # noqa: E402
import spiked  # noqa: E402
from generate import Recipe, generate  # noqa: E402

BAND_HZ = (300.0, 6000.0)
THRESHOLD = 5.5
MIN_SNR = 8.0
TARGET = 0.95
RUNS = 3


def say(name: str, text: str) -> None:
    print(f"  {name:<10} {text}", flush=True)


def launch(build: Path, folder: Path) -> spiked.Client:
    """The daemon of config/demo.conf; its paths are relative to the root of the tree, so another build folder takes its own."""
    os.chdir(ROOT)
    options = {"listen.runtime_dir": folder / "run"}
    if folder != ROOT / "build" / "demo":
        options.update({"recordings.roots": folder, "output.roots": folder})
    return spiked.launch(ROOT / "config" / "demo.conf", options=options, binary=str(build / "spiked"))


def detect(rec: spiked.Recording) -> Tuple[np.ndarray, np.ndarray, float]:
    """(peaks, noise levels of the preprocessed traces in uV, seconds of the fastest run)."""
    chain = [spiked.bandpass(*BAND_HZ), spiked.common_reference("median")]
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        peaks = rec.detect_peaks(detect_threshold=THRESHOLD, preprocess=chain)
        seconds.append(time.perf_counter() - start)
    say("detect", f"bandpass {BAND_HZ[0]:g}-{BAND_HZ[1]:g} Hz, median reference, by_channel at {THRESHOLD:g} x noise")
    best = min(seconds)
    duration = rec.num_samples / rec.sampling_frequency
    say("time", f"{1000 * seconds[0]:.0f} ms first, {1000 * best:.0f} ms best of {RUNS}, from file to peaks: {duration / best:.0f} x real time")
    return peaks, rec.noise_levels(chain) * rec.gains_uV, best


def verdict(name: str, value: float, what: str) -> bool:
    good = value >= TARGET
    say(name, f"{value:.3f}  {what}; target {TARGET:g}: {'met' if good else 'MISSED'}")
    return good


def preprocessed(raw_uV: np.ndarray, fs: float) -> np.ndarray:
    """The same chain in SciPy, to look at; raw_uV (frames, channels)."""
    import scipy.signal

    sos = scipy.signal.butter(5, BAND_HZ, "bandpass", fs=fs, output="sos")
    x = scipy.signal.sosfiltfilt(sos, raw_uV.astype(float), axis=0)
    return x - np.median(x, axis=1, keepdims=True)


def busiest(result: score.Score, num_samples: int, width: int) -> int:
    """First frame of the window, of this many frames, with the most detections; away from the ends."""
    counts = np.bincount(result.detections["sample_index"] // width, minlength=num_samples // width)[2 : num_samples // width - 2]
    return (2 + int(counts.argmax())) * width


def draw_traces(axes: Any, rec: spiked.Recording, peaks: np.ndarray, truth: Mapping[str, Any], result: score.Score) -> None:
    """Raw and preprocessed traces of the same stretch, on the peak channels of the units that fire in it."""
    from spiked import plot

    fs, margin = rec.sampling_frequency, 1500
    width = int(0.04 * fs)
    start = busiest(result, rec.num_samples, width)
    raw = rec.read(start - margin, start + width + margin, scaled=True)
    inside = (truth["sample_index"] >= start) & (truth["sample_index"] < start + width)
    true = np.column_stack([truth["sample_index"][inside], truth["peak_channel"][truth["unit"][inside]]])
    firing = np.bincount(true[:, 1], minlength=rec.num_channels)
    channels = np.sort(np.argsort(-firing, kind="stable")[:6])[::-1]
    keep = slice(margin, margin + width)
    labels = [rec.channel_ids[c] for c in channels]
    plot.traces(raw[keep], fs, channels=channels, start=start, labels=labels, unit="µV", ax=axes[0])
    plot.traces(preprocessed(raw, fs)[keep], fs, channels=channels, start=start, labels=labels, peaks=peaks, true_spikes=true, unit="µV",
                ax=axes[1])
    axes[0].set_title("Raw")
    axes[1].set_title("Preprocessed")
    axes[1].set_ylabel("")
    axes[1].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, handlelength=1.0, handletextpad=0.4, columnspacing=1.2)
    for ax in axes:
        ax.locator_params(axis="x", nbins=5)


def draw_amplitudes(ax: Any, result: score.Score, noise_uV: np.ndarray, gains_uV: np.ndarray) -> None:
    """How large the detections are, true and false."""
    from spiked import plot

    d = result.detections
    size = np.abs(d["amplitude"]) * gains_uV[d["channel_index"]] / noise_uV[d["channel_index"]]
    bins = np.geomspace(THRESHOLD, max(100.0, size.max()), 50)
    hit = result.matched_spike >= 0
    ax.hist(size[hit], bins, color=plot.TRUE, label=f"true ({hit.sum()})")
    ax.hist(size[~hit], bins, color=plot.DETECTED, label=f"false ({(~hit).sum()})")
    ax.axvline(THRESHOLD, color=plot.LINE, lw=1, ls=":")
    ax.set_xscale("log")
    ax.set_xticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    ax.set_yscale("log")
    ax.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    ax.minorticks_off()
    ax.set_ylim(0.7, None)
    ax.set_xlabel("peak amplitude (noise levels)")
    ax.set_ylabel("detections")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, handlelength=1.0, handletextpad=0.4, columnspacing=1.2)


def draw_recall(ax: Any, result: score.Score) -> None:
    """Recall of each unit against its SNR."""
    from spiked import plot

    ax.axhline(TARGET, color=plot.LINE, lw=1, ls=":")
    ax.axvspan(MIN_SNR, 200, color=plot.TRUE, alpha=0.07, lw=0)
    ax.plot(result.unit_snr, result.unit_recall, "o", color=plot.TRUE, ms=6, mec="white", mew=0.6, clip_on=False, zorder=3)
    ax.set_xscale("log")
    ax.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
    ax.minorticks_off()
    ax.set_xlim(max(0.8, 0.8 * result.unit_snr.min()), 1.3 * result.unit_snr.max())
    ax.set_ylim(0, 1.04)
    ax.set_xlabel("SNR of the unit")
    ax.set_ylabel("recall")
    ax.text(0.98, 0.06, f"recall above SNR {MIN_SNR:g}: {result.recall(MIN_SNR):.3f}\nprecision: {result.precision:.3f}", transform=ax.transAxes,
            ha="right", va="bottom", linespacing=1.4)


def draw(path: Path, rec: spiked.Recording, peaks: np.ndarray, noise_uV: np.ndarray, truth: Mapping[str, Any], result: score.Score,
         seconds: float) -> None:
    """The figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from spiked import plot

    plt.rcParams.update({"font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.linewidth": 0.8,
                         "axes.spines.top": False, "axes.spines.right": False, "font.family": "DejaVu Sans"})
    figure = plt.figure(figsize=(14, 9), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    left, right = figure.subfigures(1, 2, width_ratios=[1, 0.17])
    top, middle, bottom = left.subfigures(3, 1, height_ratios=[1.3, 1.1, 0.8])
    draw_traces(top.subplots(1, 2), rec, peaks, truth, result)

    fs, duration = rec.sampling_frequency, rec.num_samples / rec.sampling_frequency
    shown = min(2.0, duration)
    uV = np.abs(peaks["amplitude"]) * rec.gains_uV[peaks["channel_index"]]
    ax = plot.raster(peaks, fs, rec.num_channels, stop_s=shown, values=uV, vmax=float(np.percentile(uV, 97)), label="amplitude (µV)",
                     ax=middle.subplots())
    ax.set_title(f"Peaks on all {rec.num_channels} channels, first {shown:g} s")

    amplitudes, recall = bottom.subplots(1, 2)
    draw_amplitudes(amplitudes, result, noise_uV, rec.gains_uV)
    amplitudes.set_title("Detections by size")
    draw_recall(recall, result)
    recall.set_title("Recall of each unit")

    rate = np.bincount(peaks["channel_index"], minlength=rec.num_channels) / duration
    ax = plot.probe_map(rec.channel_locations, rate, label="peaks per second", unit_positions=truth["positions"], ax=right.subplots())
    ax.set_xlabel("x (µm)")
    ax.set_ylabel("y (µm)")
    ax.set_title("Probe", pad=22)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.25, 0.995), frameon=False, handletextpad=0.1, borderpad=0.2)

    figure.suptitle(f"spiked: {rec.num_channels} channels, {duration:g} s at {fs / 1000:g} kHz, {len(peaks)} peaks in {1000 * seconds:.0f} ms",
                    fontsize=13, fontweight="bold", x=0.01, ha="left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def run(build: Path) -> bool:
    folder = build / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    recording = folder / "recording.nwb"
    truth_file = generate(Recipe(common_uV=8.0, lfp_uV=60.0), recording)
    with np.load(truth_file) as f:
        truth: Dict[str, Any] = dict(f)
    print("spiked demo")
    with launch(build, folder) as client:
        info = client.info()
        say("daemon", f"spiked {info['version']}, {info['threads']} threads, {info['isa']}, configured by config/demo.conf")
        rec = client.open(recording)
        duration = rec.num_samples / rec.sampling_frequency
        say("recording", f"{os.path.relpath(recording)}: {rec.num_channels} channels, {duration:g} s at {rec.sampling_frequency:g} Hz, {rec.dtype}, "
                         f"{recording.stat().st_size / 1e6:.0f} MB")
        say("truth", f"{int(truth['units'])} units, {len(truth['sample_index'])} spikes, seed {int(truth['seed'])}")
        peaks, noise_uV, seconds = detect(rec)
        result = score.score(truth, peaks, noise_uV / rec.gains_uV, score.unit_snr(truth, noise_uV, BAND_HZ))
        loud = int((result.unit_snr > MIN_SNR).sum())
        say("peaks", f"{len(peaks)}; {len(result.detections)} detections when neighbouring channels are grouped, the largest wins")
        good = verdict("recall", result.recall(MIN_SNR), f"of the spikes of the {loud} units above SNR {MIN_SNR:g}")
        good &= verdict("precision", result.precision, f"of the detections; {result.num_false} false, {int(result.duplicate.sum())} duplicates")
        figure = folder / "spiked-demo.png"
        draw(figure, rec, peaks, noise_uV, truth, result, seconds)
        say("figure", os.path.relpath(figure))
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="build folder with the program spiked; the demo writes to BUILD/demo")
    build = parser.parse_args().build.resolve()
    if not shutil.which(str(build / "spiked")):
        print(f"demo: {build / 'spiked'} is not there: build it with make", file=sys.stderr)
        return 2
    try:
        return 0 if run(build) else 1
    except (spiked.SpikedError, OSError) as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
