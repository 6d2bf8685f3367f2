#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes golden_numpy.h: what NumPy gives for inputs that the C tests can make themselves.

    /usr/bin/python3 tests/check/golden_numpy.py > tests/check/golden_numpy.h

The inputs come from 64-bit integers x[i] = splitmix(i) (below, and golden_bits in the tests), so that only results are stored.
"""
import numpy as np

MASK = (1 << 64) - 1


def splitmix(i):
    z = (i + 1) * 0x9E3779B97F4A7C15 & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def bits(n):
    return np.array([splitmix(i) for i in range(n)], dtype=np.uint64)


def show(values, ctype, kind):
    print(f"static const {ctype} {kind}[] = {{")
    if ctype == "double":
        words = [float(v).hex() if np.isfinite(v) else "NAN" if np.isnan(v) else ("-" if v < 0 else "") + "INFINITY" for v in values]
    elif ctype == "float":
        words = [float(v).hex() + "f" if np.isfinite(v) else "NAN" if np.isnan(v) else "INFINITY" for v in values]
    else:
        words = [f"INT64_C({int(v)})" for v in values]
    for i in range(0, len(words), 4):
        print("\t" + ", ".join(words[i : i + 4]) + ",")
    print("};")


# dtype, and how it is made from 64 random bits: the top bits as an integer; floats are such integers scaled by a power of two, times
# (i % 7 + 1), which rounds nowhere
DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def make(dtype, b):
    if dtype[0] in "iu":
        size = np.dtype(dtype).itemsize
        return (b >> np.uint64(64 - 8 * size)).astype(f"u{size}").view(dtype)
    i = np.arange(len(b)) % 7 + 1
    if dtype == "f4":
        return ((b >> np.uint64(44)).astype(np.int64).astype("f4") - np.float32(1 << 19)) * np.float32(2.0**-10) * i.astype("f4")
    return ((b >> np.uint64(14)).astype(np.int64).astype("f8") - float(1 << 49)) * 2.0**-40 * i


def reductions(x, threshold):
    """In long double where NumPy has it, so that the truth is closer than any double sum."""
    d = x.astype("f8")
    e = d.astype(np.longdouble)
    with np.errstate(all="ignore"):
        return [
            float((d > threshold).sum()),
            float(e.sum()),
            float((e * e).sum()),
            float(np.where(d > threshold, e, -e).sum()),
            float(e.mean()),
            float(e.std()),
            float(np.sqrt((e * e).mean())),
            float(d.min()),
            float(d.max()),
        ]


def main():
    print("/* SPDX-License-Identifier: BSD-3-Clause")
    print(" *")
    print(f" * Made by tests/check/golden_numpy.py with numpy {np.__version__}; do not edit. */")
    print("#ifndef TESTS_CHECK_GOLDEN_NUMPY_H\n#define TESTS_CHECK_GOLDEN_NUMPY_H\n\n#include <math.h>\n#include <stdint.h>\n")

    print("/* x[i] = splitmix(i): the generator's check. */")
    print("static const uint64_t golden_splitmix[4] = { " + ", ".join(f"0x{splitmix(i):016x}" for i in range(4)) + " };\n")

    print("/* Reductions of 5000 values of each type, and of the same values as 2500 x 2: [type][channel 0 of 1, 0 of 2, 1 of 2][operation].")
    print(" * The operations in their order in REDUCE_MAP; the threshold is the value at 17. */")
    rows = []
    b = bits(5000)
    for t in DTYPES:
        x = make(t, b)
        for part in (x, x[0::2], x[1::2]):
            rows += reductions(part, float(x[17]))
    show(rows, "double", "golden_reduce")

    print("\n/* cumsum of the f8 values of 5000: at each 500th, from 499 on. */")
    show(np.cumsum(make("f8", b).astype(np.longdouble))[499::500].astype("f8"), "double", "golden_cumsum")

    print("\n/* Noise levels of the f4 values, (median(|x - median(x)|) / 0.6744897501960817) in float32, of their first n. */")
    x = make("f4", bits(20000))
    lengths = [1, 2, 3, 4, 5, 10, 127, 128, 129, 1000, 1001, 14999, 15000, 20000]
    show(lengths, "int64_t", "golden_mad_lengths")
    show([np.median(np.abs(x[:n] - np.median(x[:n]))) / np.float32(0.6744897501960817) for n in lengths], "float", "golden_mad")
    print("/* The same, of trunc(x / 64): many ties. */")
    t = np.trunc(x / np.float32(64))
    show([np.median(np.abs(t[:n] - np.median(t[:n]))) / np.float32(0.6744897501960817) for n in lengths], "float", "golden_mad_ties")

    print("\n/* Chunk starts: for each seed the sorted draws of each segment in turn, 20 each; margin 10. */")
    seeds = [0, 1, 42, 2**32 - 1, 2**32, 2**63 + 12345, 2**64 - 1]
    lengths = [9000000, 15021, 15022, 15000 + 20 + 2**32 - 1, 15000 + 20 + 2**32 - 2, 2**40, 30000]
    print("static const uint64_t golden_seeds[] = { " + ", ".join(f"UINT64_C({s})" for s in seeds) + " };")
    show(lengths, "int64_t", "golden_segments")
    starts = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for n in lengths:
            starts += sorted(rng.integers(10, n - 15000 - 10, size=20, endpoint=True))
    show(starts, "int64_t", "golden_starts")
    print("\n#endif")


main()
