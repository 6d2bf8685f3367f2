# SPDX-License-Identifier: BSD-3-Clause
"""Side by side with SciPy, NumPy and h5py in one run, as ratios: make bench, or make bench BENCH='--quick'.

Each row interleaves both sides, so that a noisy machine disturbs both alike; a ratio is peer time / spiked time, its spread the smallest and
the largest over the rounds.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import scipy

import peers
import spiked

FS = 30000.0
CHANNELS = 384


def timed(f):
    start = time.perf_counter()
    result = f()
    return time.perf_counter() - start, result


def compare(name, ours, peer, rounds, peer_rounds=None):
    """Runs both in turn; prints and returns the median ratio."""
    ours()
    ratios, times, peer_times = [], [], []
    for i in range(rounds):
        if i < (peer_rounds or rounds):
            peer_time = timed(peer)[0]
            peer_times.append(peer_time)
        times.append(timed(ours)[0])
        ratios.append(peer_time / times[-1])
    ratio = statistics.median(ratios)
    print(f"{name:58s} {statistics.median(peer_times) * 1e3:10.1f} {statistics.median(times) * 1e3:10.1f} {ratio:8.1f}x  {min(ratios):.1f}-{max(ratios):.1f}",
          flush=True)
    return ratio


def write_recording(path, seconds, **storage):
    """384 channels of noise that is partly common, with spikes."""
    rng = np.random.default_rng(0)
    n = int(seconds * FS)
    with h5py.File(path, "w") as f:
        data = f.create_dataset("data", (n, CHANNELS), "<i2", **storage)
        wave = (-120 * np.exp(-0.5 * ((np.arange(20) - 6) / 2.0) ** 2)).astype("<i2")
        for start in range(0, n, int(FS)):
            x = (rng.standard_normal((min(int(FS), n - start), CHANNELS), dtype=np.float32) * 10).astype("<i2")
            x += (rng.standard_normal((len(x), 1)) * 8).astype("<i2")
            at, channel = rng.integers(0, len(x) - 20, 700), rng.integers(0, CHANNELS, 700)
            for k in range(20):
                x[at + k, channel] += wave[k]
            data[start : start + len(x)] = x


def round_trips(sp, build):
    times = []
    small = np.zeros(50)
    for name, call in (("ping", sp.ping), ("reduce, 50 doubles", lambda: sp.reduce(small, "sum"))):
        for _ in range(200):
            call()
        times = sorted(timed(call)[0] for _ in range(3000))
        print(f"round trip, Python, {name:28s} median {times[1500] * 1e6:7.1f} us, p99 {times[2970] * 1e6:7.1f} us")
    program = Path(build) / "bench_roundtrip"
    out = subprocess.run([program, "5000"], env=dict(os.environ, SPIKED_URL=sp.url), capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        name, median, p99 = line.split()
        print(f"round trip, C,      {name.replace('_us', ''):28s} median {float(median):7.1f} us, p99 {float(p99):7.1f} us")


def header():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"{model}, {os.cpu_count()} cores, Linux {platform.release()}; NumPy {np.__version__}, SciPy {scipy.__version__}, h5py {h5py.__version__}")
    print(f"load average at start {os.getloadavg()[0]:.2f}\n")


def table(sp, folder, seconds, rounds):
    print(f"{'':58s} {'peer ms':>10s} {'spiked ms':>10s} {'ratio':>9s}  spread")
    x = np.random.default_rng(0).standard_normal(10_000_000)
    compare("sum of 10 M float64, client memory / NumPy", lambda: sp.reduce(x, "sum"), x.sum, 3 * rounds)
    compare("std of 10 M float64, client memory / NumPy", lambda: sp.reduce(x, "std"), x.std, 3 * rounds)
    plain, packed = folder / "plain.h5", folder / "gzip.h5"
    write_recording(plain, seconds)
    write_recording(packed, seconds, chunks=(3000, CHANNELS), compression="gzip", compression_opts=4)
    name = dict(dataset="/data", sampling_frequency=FS)
    rec, rec_packed = sp.open(plain, **name), sp.open(packed, **name)
    stages = [spiked.bandpass(300, 6000), spiked.common_reference("median")]
    traces = peers.read_h5py(plain, "data")
    # Another seed each time: the daemon would otherwise remember the noise levels, and the peer does not.
    seeds = itertools.count()
    compare(f"by_channel + band-pass + median, {CHANNELS} ch x {seconds} s / SciPy", lambda: rec.detect_peaks(preprocess=stages, seed=next(seeds)),
            lambda: peers.detect(traces, FS), rounds, 1)
    compare("the same from gzip-4 chunks / SciPy + h5py", lambda: rec_packed.detect_peaks(preprocess=stages, seed=next(seeds)),
            lambda: peers.detect(peers.read_h5py(packed, "data"), FS), rounds, 1)
    compare("per-channel sum of gzip-4 chunks / h5py read alone", lambda: rec_packed.reduce("sum"), lambda: peers.read_h5py(packed, "data"), rounds)
    compare("per-channel mean, std, min, max / h5py + NumPy", lambda: rec.reduce(["mean", "std", "min", "max"]), lambda: numpy_stats(plain), rounds)


def numpy_stats(path):
    x = peers.read_h5py(path, "data")
    return x.mean(0), x.std(0), x.min(0), x.max(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 s of recording, 3 rounds")
    arguments = parser.parse_args()
    build = os.environ.get("SPIKED_BUILD", "build")
    os.environ.setdefault("SPIKED_BINARY", str(Path(build) / "spiked"))
    header()
    with tempfile.TemporaryDirectory(prefix="spiked-bench-") as folder, spiked.launch() as sp:
        round_trips(sp, build)
        print()
        table(sp, Path(folder), 5 if arguments.quick else 30, 3 if arguments.quick else 5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
