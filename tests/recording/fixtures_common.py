# SPDX-License-Identifier: BSD-3-Clause
"""What the makers of fixtures share: the folder, the manifest, samples."""
import json
import os
import sys

import h5py
import numpy as np
import slow_reader

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
cases = []
rng = np.random.default_rng(1)
FRAMES, CHANNELS = 1000, 7


def path(name):
    return os.path.join(out, name)


def traces(dtype="<i2", shape=(FRAMES, CHANNELS)):
    x = rng.normal(0, 40, shape).cumsum(0) * 0.1
    if np.dtype(dtype).kind == "u":
        x = np.abs(x)
    return x.astype(dtype)


def good(name, file, x, **more):
    """A case that opens; x is (frames, channels)."""
    x = np.ascontiguousarray(x.reshape(len(x), -1) if x.ndim == 1 else x)
    native = x.astype(x.dtype.newbyteorder("<"))
    native.tofile(path(name + ".raw"))
    cases.append(dict(name=name, file=file, status="OK", raw=name + ".raw", num_channels=x.shape[1], num_frames=len(x),
                      dtype=native.dtype.str, **more))


def slow(name, file, truth, stream, **more):
    """A case that opens and holds what slow_reader.py finds there, which in turn must find `truth` (frames, channels)."""
    found = slow_reader.read(path(file), stream)
    np.testing.assert_array_equal(found.traces, truth)
    if found.locations is not None:
        more["locations"] = found.locations.tolist()
    if found.recorded is not None:
        found.recorded.astype("u1").tofile(path(name + ".recorded"))
        more["recorded"] = name + ".recorded"
    good(name, file, found.traces, stream=stream, fs=found.fs, channel_ids=found.ids, segments=found.segments, slow=True, **more)


def bad(name, file, status, message, **more):
    cases.append(dict(name=name, file=file, status=status, message=message, **more))


def text(s):
    return np.array(s, dtype=h5py.string_dtype())


def write_manifest():
    json.dump(cases, open(path("manifest.json"), "w"), indent=1)
    print(f"{len(cases)} cases in {out}")
