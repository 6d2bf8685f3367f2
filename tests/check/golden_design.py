#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes golden_design.h: SciPy's sections and start values, for tests/check/check_design.c.

    /usr/bin/python3 tests/check/golden_design.py > tests/check/golden_design.h

Deterministic; made with the versions named in the output.
"""
import numpy as np
import scipy
from scipy.signal import iirfilter, iirnotch, sosfilt_zi

BANDS = ["bandpass", "highpass", "lowpass", "bandstop", "notch"]
FAMILIES = ["butter", "bessel", "cheby1", "cheby2", "ellip"]
NORMS = ["phase", "delay", "mag"]
FS = 30000.0

# (band, family, order, low, high, ripple, attenuation, norm, q)
DESIGNS = (
    [("bandpass", f, n, 300.0, 6000.0, 0.5, 40.0, "phase", 0.0) for f in FAMILIES for n in range(1, 9)]
    + [("lowpass", f, n, 0.0, 3000.0, 1.0, 60.0, "delay" if n == 5 else "mag", 0.0) for f in FAMILIES for n in (1, 2, 3, 5, 6, 8)]
    + [("highpass", f, n, 300.0, 0.0, 0.1, 50.0, "mag", 0.0) for f in FAMILIES for n in (1, 2, 5, 8)]
    + [("bandstop", f, n, 1000.0, 3000.0, 0.5, 40.0, "phase", 0.0) for f in FAMILIES for n in (1, 2, 3, 4, 7)]
    + [("lowpass", "butter", 8, 0.0, 1.0, 0.0, 0.0, "phase", 0.0), ("lowpass", "butter", 3, 0.0, 14990.0, 0.0, 0.0, "phase", 0.0),
       ("lowpass", "ellip", 8, 0.0, 12000.0, 0.01, 120.0, "phase", 0.0), ("bandstop", "butter", 3, 45.0, 55.0, 0.0, 0.0, "phase", 0.0),
       ("bandpass", "ellip", 4, 100.0, 14000.0, 3.0, 20.0, "phase", 0.0)]
    + [("notch", "butter", 1, f, 0.0, 0.0, 0.0, "phase", q) for f, q in ((3000.0, 30.0), (50.0, 30.0), (7500.0, 2.0), (1000.0, 0.3))]
)


def design(band, family, order, low, high, ripple, attenuation, norm, q):
    if band == "notch":
        b, a = iirnotch(low, q, FS)
        return np.concatenate([b, a])[None, :]
    edges = {"bandpass": [low, high], "bandstop": [low, high], "lowpass": high, "highpass": low}[band]
    # Bessel filters: iirfilter has no way to say the norm.
    if family == "bessel":
        return scipy.signal.bessel(order, edges, band, output="sos", norm=norm, fs=FS)
    return iirfilter(order, edges, rp=ripple, rs=attenuation, btype=band, ftype=family, output="sos", fs=FS)


def row(values):
    return ", ".join(float(v).hex() for v in values)


def main():
    print("/* SPDX-License-Identifier: BSD-3-Clause")
    print(" *")
    print(f" * Made by golden_design.py with SciPy {scipy.__version__}, NumPy {np.__version__}, at {FS:g} Hz.")
    print(" */")
    print('#include "kernels/design.h"\n')
    print(f"enum {{ GOLDEN_FILTERS = {len(DESIGNS)} }};\n")
    print("static const struct golden_filter {")
    print("\tstruct filter_spec spec;")
    print("\tsize_t nsections;")
    print("\tdouble sos[8][6];")
    print("\tdouble zi[8][2];")
    print("} golden_filters[GOLDEN_FILTERS] = {")
    for d in DESIGNS:
        band, family, order, low, high, ripple, attenuation, norm, q = d
        sos = design(*d)
        zi = sosfilt_zi(sos)
        print(f"\t{{ {{ {BANDS.index(band)}, {FAMILIES.index(family)}, {order}, {low!r}, {high!r}, {ripple!r}, {attenuation!r}, "
              f"{NORMS.index(norm)}, {q!r} }}, {len(sos)},")
        print("\t  { " + ",\n\t    ".join("{ " + row(s) + " }" for s in sos) + " },")
        print("\t  { " + ",\n\t    ".join("{ " + row(z) + " }" for z in zi) + " } },")
    print("};")


main()
