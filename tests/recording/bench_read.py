#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""MB/s of recording_read against h5py on the same files in the same run: 20 s of 384 channels, int16, chunks (3000, 384).

    bench_read.py BENCH_READ SPIKED_H5 [REPEATS [PART OF A NAME]]

The filters behind gzip and lzf need the distribution's HDF5 plugins (tests/install-deps test).
"""
import os
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

bench, helper = sys.argv[1:3]
repeats = int(sys.argv[3]) if len(sys.argv) > 3 else 5
rng = np.random.default_rng(0)
x = (rng.normal(0, 10, (600000, 384)).astype("f4") + rng.normal(0, 5, (600000, 1)).astype("f4")).astype("<i2")
layouts = {
    "gzip-4, chunks (3000, 384)": dict(chunks=(3000, 384), compression="gzip", compression_opts=4),
    "shuffle + gzip-4, chunks (3000, 384)": dict(chunks=(3000, 384), compression="gzip", compression_opts=4, shuffle=True),
    "shuffle + gzip-4 + fletcher32": dict(chunks=(3000, 384), compression="gzip", compression_opts=4, shuffle=True, fletcher32=True),
    "gzip-4, chunks (600000, 1)": dict(chunks=(600000, 1), compression="gzip", compression_opts=4),
    "lzf": dict(chunks=(3000, 384), compression="lzf"),
    "lz4": dict(chunks=(3000, 384), compression=32004),
    "bitshuffle + lz4": dict(chunks=(3000, 384), compression=32008, compression_opts=(0, 2)),
    "blosc (shuffle, lz4)": dict(chunks=(3000, 384), compression=32001, compression_opts=(0, 0, 0, 0, 5, 1, 1)),
    "blosc (bitshuffle, zstd)": dict(chunks=(3000, 384), compression=32001, compression_opts=(0, 0, 0, 0, 5, 2, 5)),
    "contiguous": {},
}
for name, how in layouts.items():
    if len(sys.argv) > 4 and sys.argv[4] not in name:
        continue
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.h5")
        part = x if "600000" not in name else x[:, :48]
        with h5py.File(path, "w") as f:
            f.create_dataset("data", data=part, **({**how, "chunks": (600000, 1)} if "600000" in name else how))
        best = 1e9
        for _ in range(min(repeats, 3)):
            with h5py.File(path, "r") as f:
                d, start = f["data"], time.perf_counter()
                step = 60000 if "600000" not in name else 600000
                for at in range(0, len(part), step):
                    d[at:at + step]
                best = min(best, time.perf_counter() - start)
        print(f"{name}: {os.path.getsize(path) / 1e6:.0f} MB in the file, {part.nbytes / 1e6:.0f} MB decoded")
        print(f"h5py      {part.nbytes / 1e6 / best:8.0f} MB/s")
        print(subprocess.run([bench, helper, path, str(repeats), "1", "2"], capture_output=True, text=True, check=True).stdout)
