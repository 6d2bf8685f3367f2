#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes golden_filter.h: what SciPy makes of filters that tests/check/check_sos.c holds ours to.

    /usr/bin/python3 tests/check/golden_filter.py > tests/check/golden_filter.h

Deterministic; made with the versions named in the output.
"""
import numpy as np
import scipy
from scipy.signal import butter, sosfilt, sosfilt_zi, sosfiltfilt

NFRAMES = 400

# (name of the kind, order, low, high, fs); highpass has no high
DESIGNS = (
    [("bandpass", n, 300.0, 6000.0, 30000.0) for n in range(1, 9)]
    + [("highpass", n, 300.0, 0.0, 30000.0) for n in range(1, 9)]
    + [
        ("bandpass", 3, 1.0, 300.0, 2500.0),       # LFP: needs f64
        ("bandpass", 3, 1.0, 14000.0, 30000.0),    # so wide that poles are real
        ("bandpass", 4, 5000.0, 5100.0, 30000.0),  # narrow
        ("bandpass", 5, 300.0, 9876.0, 19753.775), # a Nyquist that is nearly reached
        ("highpass", 5, 12000.0, 0.0, 30000.0),    # poles with negative real parts: zeros pair up otherwise
        ("highpass", 3, 7500.0, 0.0, 30000.0),     # a pole at 0
    ]
)


def signal():
    k = np.arange(NFRAMES, dtype=np.int64)
    return ((k * 7919 + k * k * 31) % 2001 - 1000 + 3000).astype(np.float64)


def row(values):
    return ", ".join(float(v).hex() for v in values)


def edge(sos):
    taps = 2 * len(sos) + 1 - min((sos[:, 2] == 0).sum(), (sos[:, 5] == 0).sum())
    return 3 * taps


def main():
    x = signal()
    print("/* SPDX-License-Identifier: BSD-3-Clause")
    print(" *")
    print(f" * Made by golden_filter.py with SciPy {scipy.__version__}, NumPy {np.__version__}. Input of the vectors:")
    print(" * x[k] = (k * 7919 + k * k * 31) % 2001 + 2000, k < GOLDEN_FRAMES.")
    print(" */")
    print("#include <stddef.h>\n")
    print(f"enum {{ GOLDEN_FRAMES = {NFRAMES}, GOLDEN_DESIGNS = {len(DESIGNS)} }};\n")
    print("static const struct golden {")
    print("\tint highpass, order;")
    print("\tdouble low, high, fs;")
    print("\tsize_t nsections, edge;")
    print("\tdouble sos[8][6];")
    print("\tdouble zi[8][2];")
    print("\tdouble zero_phase[12]; /* sosfiltfilt(x): the first four, four from the middle on, the last four */")
    print("\tdouble causal[12];     /* sosfilt(x) from the state zi * x[0] */")
    print("} golden[GOLDEN_DESIGNS] = {")
    for kind, order, low, high, fs in DESIGNS:
        band = low if kind == "highpass" else [low, high]
        sos = butter(order, band, kind, fs=fs, output="sos")
        zi = sosfilt_zi(sos)
        both = sosfiltfilt(sos, x)
        once, _ = sosfilt(sos, x, zi=zi * x[0])
        pick = np.r_[0:4, NFRAMES // 2 : NFRAMES // 2 + 4, NFRAMES - 4 : NFRAMES]
        print(f"\t{{ {int(kind == 'highpass')}, {order}, {low!r}, {high!r}, {fs!r}, {len(sos)}, {edge(sos)},")
        print("\t  { " + ",\n\t    ".join("{ " + row(s) + " }" for s in sos) + " },")
        print("\t  { " + ",\n\t    ".join("{ " + row(z) + " }" for z in zi) + " },")
        print("\t  { " + row(both[pick]) + " },")
        print("\t  { " + row(once[pick]) + " } },")
    print("};")


main()
