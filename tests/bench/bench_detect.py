# SPDX-License-Identifier: BSD-3-Clause
"""Spike detection in files, side by side with SpikeInterface and h5py in one run: make bench-detect, or make bench-detect BENCH=--quick.

Each row with a peer runs both in turn; a ratio is peer time / spiked time, its spread the smallest and the largest over the rounds. SpikeInterface
reads the same bytes (as a flat binary file at the dataset's offset) with 2 processes; its first call, which starts them and compiles, is left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import spikeinterface
import spikeinterface.core as si
import spikeinterface.preprocessing as spre
from spikeinterface.sortingcomponents.peak_detection import detect_peaks

import spiked

FS = 30000.0
JOBS = dict(n_jobs=2, chunk_duration="1s", progress_bar=False)
STAGES = [spiked.bandpass(300, 6000), spiked.common_reference("median")]


def timed(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def compare(name, ours, peer, rounds, peer_rounds=1):
    """Prints the median ratio of rounds in turn."""
    ours()
    peer_times, times, ratios = [], [], []
    for i in range(rounds):
        if i < peer_rounds:
            peer_times.append(timed(peer))
        times.append(timed(ours))
        ratios.append(peer_times[-1] / times[-1])
    print(f"{name:64s} {statistics.median(peer_times):9.3f} {statistics.median(times):9.3f} {statistics.median(ratios):8.1f}x  "
          f"{min(ratios):.1f}-{max(ratios):.1f}", flush=True)
    return statistics.median(times)


def columns(nchannels):
    """Two columns of contacts, 20 um apart, staggered."""
    i = np.arange(nchannels)
    return np.stack([i % 2 * 32.0 + (i // 2) % 2 * 16.0, i // 2 * 20.0], axis=1)


def write_recording(path, nchannels, fs, seconds, **storage):
    """Noise that is partly common, with spikes; one second that is made once is written shifted again and again."""
    rng = np.random.default_rng(0)
    second = int(fs)
    x = (rng.standard_normal((second, nchannels), dtype=np.float32) * 10 + rng.standard_normal((second, 1), dtype=np.float32) * 8).astype("<i2")
    wave = (-120 * np.exp(-0.5 * ((np.arange(20) - 6) / 2.0) ** 2)).astype("<i2")
    nspikes = 2 * nchannels
    at, channel = rng.integers(0, second - 20, nspikes), rng.integers(0, nchannels, nspikes)
    for k in range(20):
        x[at + k, channel] += wave[k]
    with h5py.File(path, "w") as f:
        data = f.create_dataset("data", (int(seconds * fs), nchannels), "<i2", **storage)
        for i in range(0, len(data), second):
            n = min(second, len(data) - i)
            data[i : i + n] = np.roll(x, 997 * (i // second), axis=0)[:n]


def spikeinterface_recording(path, nchannels, fs):
    with h5py.File(path) as f:
        offset = f["data"].id.get_offset()
    recording = si.BinaryRecordingExtractor(path, sampling_frequency=fs, dtype="int16", num_channels=nchannels, file_offset=offset)
    recording.set_dummy_probe_from_locations(columns(nchannels))
    return spre.common_reference(spre.bandpass_filter(recording, 300, 6000))


def noise(recording, **jobs):
    return si.get_noise_levels(recording, return_in_uV=False, force_recompute=True, random_slices_kwargs=dict(seed=0), **jobs)


def against_spikeinterface(sp, folder, seconds, rounds):
    path = folder / "plain.h5"
    write_recording(path, 384, FS, seconds)
    recording, rec = spikeinterface_recording(path, 384, FS), sp.open(path, dataset="/data", sampling_frequency=FS)
    levels = noise(recording, **JOBS)
    seeds = iter(range(1, 1000))

    def theirs(method="locally_exclusive", **more):
        detect_peaks(recording, method=method, method_kwargs=dict(peak_sign="neg", detect_threshold=5, exclude_sweep_ms=1.0, noise_levels=levels, **more),
                     job_kwargs=JOBS)

    def ours(method="locally_exclusive", **more):
        return rec.detect_peaks(method, noise_levels=levels, preprocess=STAGES, channel_locations=columns(384), **more)

    theirs(radius_um=50)
    print(f"{'':64s} {'peer s':>9s} {'spiked s':>9s} {'ratio':>9s}  spread")
    what = f"384 ch x {seconds} s, band-pass + median"
    took = compare(f"locally_exclusive, {what} / SpikeInterface", ours, lambda: theirs(radius_um=50), rounds, 2)
    compare(f"by_channel, {what} / SpikeInterface", lambda: ours("by_channel"), lambda: theirs("by_channel"), rounds)
    compare("locally_exclusive, compat / SpikeInterface", lambda: ours(compat="spikeinterface"), lambda: theirs(radius_um=50), 2)
    compare("noise levels / SpikeInterface, 1 process (its default)", lambda: rec.noise_levels(STAGES, seed=next(seeds)), lambda: noise(recording), rounds)
    compare("noise levels / SpikeInterface, 2 processes", lambda: rec.noise_levels(STAGES, seed=next(seeds)), lambda: noise(recording, **JOBS), rounds)
    print(f"locally_exclusive: {seconds / took:.0f} x real time")
    return path


def packed(sp, folder, plain, rounds):
    path = folder / "gzip.h5"
    with h5py.File(plain) as f, h5py.File(path, "w") as g:
        n = min(len(f["data"]), int(20 * FS))
        g.create_dataset("data", data=f["data"][:n], chunks=(3000, 384), compression="gzip", compression_opts=4)
    rec = sp.open(path, dataset="/data", sampling_frequency=FS)

    def read():
        with h5py.File(path) as f:
            f["data"][...]

    decode = compare("gzip-4 chunks, per-channel sum / h5py's read alone", lambda: rec.reduce("sum"), read, rounds)
    whole = compare("gzip-4 chunks, locally_exclusive / h5py's read alone",
                    lambda: rec.detect_peaks("locally_exclusive", noise_levels=10.0, preprocess=STAGES, channel_locations=columns(384)), read, rounds)
    print(f"gzip-4: {n / FS / whole:.0f} x real time; decoding and summing takes {decode / whole:.2f} of the pipeline's time")


def scaling(plain, rounds):
    """One thread and two, in turn, each with a daemon of its own."""
    def run(rec):
        return timed(lambda: rec.detect_peaks("locally_exclusive", noise_levels=10.0, preprocess=STAGES, channel_locations=columns(384)))

    with spiked.launch(options={"compute.threads": 1}) as one, spiked.launch(options={"compute.threads": 2}) as two:
        slow, fast = (sp.open(plain, dataset="/data", sampling_frequency=FS) for sp in (one, two))
        run(slow), run(fast)
        ratios = [run(slow) / run(fast) for _ in range(2 * rounds)]
    print(f"1 to 2 threads: {statistics.median(ratios):.2f} x faster ({min(ratios):.2f}-{max(ratios):.2f})")


def peak_memory(pid):
    return next(int(line.split()[1]) / 1024 for line in open(f"/proc/{pid}/status") if line.startswith("VmHWM"))


def sizes(folder, quick, rounds):
    """Cost a sample, real time and memory over channels and lengths."""
    cases = [(4, FS, 60), (32, FS, 60), (384, FS, 10), (1024, 20000.0, 10), (4096, 20000.0, 5)]
    if not quick:
        cases += [(16, FS, 10), (16, FS, 3600), (384, FS, 300)]
    print(f"\n{'channels':>9s} {'Hz':>7s} {'s':>6s} {'ns/sample':>10s} {'x real time':>12s} {'peak MiB':>9s}")
    for nchannels, fs, seconds in cases:
        path = folder / "size.h5"
        write_recording(path, nchannels, fs, seconds)
        with spiked.launch() as sp:
            rec = sp.open(path, dataset="/data", sampling_frequency=fs)
            run = lambda: rec.detect_peaks("locally_exclusive", noise_levels=10.0, preprocess=STAGES, channel_locations=columns(nchannels))
            run()
            took = statistics.median(timed(run) for _ in range(1 if seconds > 100 else rounds))
            print(f"{nchannels:9d} {fs:7.0f} {seconds:6d} {took / seconds / fs / nchannels * 1e9:10.3f} {seconds / took:12.0f} {peak_memory(sp.pid):9.0f}",
                  flush=True)
        path.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 s of recording, 3 rounds, no long files")
    quick = parser.parse_args().quick
    os.environ.setdefault("SPIKED_BINARY", str(Path(os.environ.get("SPIKED_BUILD", "build")) / "spiked"))
    rounds = 3 if quick else 7
    print(f"{os.cpu_count()} cores, Linux {platform.release()}; NumPy {np.__version__}, SpikeInterface {spikeinterface.__version__}; "
          f"load average at start {os.getloadavg()[0]:.2f}\n")
    with tempfile.TemporaryDirectory(prefix="spiked-bench-") as name:
        folder = Path(name)
        with spiked.launch() as sp:
            plain = against_spikeinterface(sp, folder, 10 if quick else 60, rounds)
            packed(sp, folder, plain, rounds)
        scaling(plain, rounds)
        plain.unlink()
        sizes(folder, quick, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
