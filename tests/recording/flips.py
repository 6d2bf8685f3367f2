#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Damages recordings byte by byte and asks a daemon for them: each time it must give what the slow reader finds in the damaged file, or an error.

    flips.py [--flips N] [--seed S] [--only PART]      SPIKED_BINARY names the daemon, which may be built with sanitizers

The slow reader runs in a process of its own, since libhdf5 may crash on such files; where it fails as well, any answer in time will do.
"""
import argparse
import json
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "clients" / "python"), str(Path(__file__).resolve().parent)]

import slow_reader  # noqa: E402
import spiked  # noqa: E402

OPTIONS = {"helper.timeout": "5s", "compute.threads": 2}
MOST_S = 20.0          # of one question: two helpers that are killed, and a slow machine
MOST_SAMPLES = 1 << 20


def make_fixtures(folder):
    subprocess.run([sys.executable, str(ROOT / "tests/recording/make_fixtures.py"), str(folder)], check=True, timeout=120, stdout=subprocess.DEVNULL)
    return [c for c in json.loads((Path(folder) / "manifest.json").read_text()) if c.get("slow") or (c["status"] == "OK" and c.get("layout") == "nwb")]


def damage(data, rng):
    """One to three places: a byte, a few bytes of ones or zeros, or the end cut off. Mostly where structure is: not inside long runs of samples."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        # The first kilobytes are headers; the rest of them stands between the data, and is found by its low bytes.
        at = int(rng.integers(0, min(len(data), 16384) if rng.random() < 0.6 else len(data)))
        if rng.random() < 0.7:
            zeros = data.find(b"\0\0\0\0", at)
            at = zeros if zeros >= 0 else at
        kind = rng.random()
        if kind < 0.75:
            data[at] ^= int(rng.integers(1, 256))
        elif kind < 0.95:
            data[at:at + 8] = (b"\xff" if rng.random() < 0.5 else b"\0") * len(data[at:at + 8])
        else:
            del data[at:]
            return bytes(data) or b"x"
    return bytes(data)


def ask_slow(path, stream):
    """The slow reader's answer, or None; at most 2 GiB, 5 s."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(source)
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.alarm(5)
            warnings.simplefilter("ignore")
            answer = slow_reader.read(path, stream)
            with os.fdopen(sink, "wb") as f:
                pickle.dump((answer.traces, answer.segments, answer.fs), f)
        except BaseException:
            pass
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as f:
        data = f.read()
    os.waitpid(child, 0)
    try:
        return pickle.loads(data)
    except Exception:
        return None


def ask_daemon(client, path, recording):
    """(stream, segments, fs, [first samples of each segment]), or the error."""
    rec = client.open(path, recording=recording)
    most = MOST_SAMPLES // rec.num_channels + 1
    parts = [rec.read(0, min(s.num_samples, most), segment=i, timeout=MOST_S) for i, s in enumerate(rec.segments[:8])]
    return rec.description["recording"], rec.layout, rec.segments, rec.sampling_frequency, parts


def differs(got, slow):
    """What is different, or None."""
    _, _, segments, fs, parts = got
    traces, expected, slow_fs = slow
    if fs != slow_fs:
        return f"rate {fs} instead of {slow_fs}"
    if [s.num_samples for s in segments] != [n for _, n, _ in expected]:
        return f"segments {segments[:3]} instead of {expected[:3]}"
    for part, (first, n, _) in zip(parts, expected):
        if not np.array_equal(part.view("u1"), np.ascontiguousarray(traces[int(first):int(first) + len(part)]).view("u1")):
            return "samples"
    return None


def try_one(client, path, case, counts):
    """None, or what was wrong."""
    start = time.monotonic()
    got = None
    try:
        got = ask_daemon(client, path, case.get("recording"))
    except spiked.ConnectionLost as e:
        return f"the daemon is gone: {e}"
    except spiked.SpikedError as e:
        if not str(e):
            return "an error without a text"
        if isinstance(e, (spiked.errors.InternalError, spiked.errors.DeadlineExceeded)):
            return f"{e.__class__.__name__}: {e}"
        counts["refused"] += 1
    seconds = time.monotonic() - start
    if seconds > MOST_S:
        return f"it took {seconds:.0f} s"
    if got is None or got[1] != case["layout_found"]:
        return None
    slow = ask_slow(path, got[0]) if case.get("slow") else None
    counts["compared"] += slow is not None
    return slow and differs(got, slow)


def run(client, cases, folder, flips, seed, seconds=None):
    """Returns (counts of damaged files: tried, refused, compared; failures); stops after that many seconds."""
    end = time.monotonic() + seconds if seconds else float("inf")
    counts, failures = dict.fromkeys(("tried", "refused", "compared"), 0), []
    for i in range(flips):
        for k, case in enumerate(cases):
            rng = np.random.default_rng([seed, i, k])
            path = Path(folder) / ("damaged" + Path(case["file"]).suffix)
            path.write_bytes(damage((Path(folder) / case["file"]).read_bytes(), rng))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wrong = try_one(client, path, case, counts)
            counts["tried"] += 1
            if wrong:
                keep = Path(folder) / f"failed-{seed}-{i}-{case['name']}"
                keep.write_bytes(path.read_bytes())
                failures.append(f"{case['name']}, seed {seed} round {i}: {wrong}")
                if "gone" in wrong:
                    return counts, failures
            if time.monotonic() > end:
                return counts, failures
    return counts, failures


def prepare(client, folder):
    """The cases, each with the layout that it has undamaged."""
    cases = make_fixtures(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases:
            case["layout_found"] = client.open(Path(folder) / case["file"], recording=case.get("recording")).layout
    return cases


def sanitizer_reports(log):
    """Reports whose fault lies in our code, and the number of those inside libhdf5: its functions stand above ours on the stack."""
    reports, foreign = [], 0
    for report in re.split(r"(?m)^=+\n(?===\d+==ERROR)|^(?=.*runtime error)", log)[1:]:
        frames = [line for line in report.splitlines() if re.match(r"\s+#\d+ .*(libhdf5| daemon/| protocol/| kernels/)", line)]
        if frames and "libhdf5" in frames[0]:
            foreign += 1
        else:
            reports.append("\n".join(report.splitlines()[:12]))
    return reports, foreign


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=100, help="damaged copies of each fixture")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="fixtures whose name holds this")
    parser.add_argument("--keep", help="a folder for fixtures and failures; otherwise a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, spiked.launch(options=OPTIONS) as client:
        folder = args.keep or temporary
        cases = [c for c in prepare(client, folder) if args.only in c["name"]]
        counts, failures = run(client, cases, folder, args.flips, args.seed)
        reports, foreign = sanitizer_reports(client.daemon.log.read_text(errors="replace"))
        print("\n".join(failures + reports))
        print(f"{counts['tried']} damaged files of {len(cases)} fixtures, {counts['refused']} refused, {counts['compared']} compared: {len(failures)} failures, "
              f"{len(reports)} reports of sanitizers; {foreign} faults inside libhdf5, each the end of one helper")
        sys.exit(bool(failures or reports))


if __name__ == "__main__":
    main()
