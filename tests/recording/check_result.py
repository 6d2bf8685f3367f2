#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads a result file with whatever is installed: h5py always, pynwb (validation and reading) if it can be imported.

    check_result.py FILE...
"""
import sys

import h5py
import numpy as np

try:
    import pynwb
except ImportError:
    pynwb = None

PEAK = [("sample_index", "<i8"), ("channel_index", "<i8"), ("amplitude", "<f8"), ("segment_index", "<i8")]


def by_h5py(path):
    with h5py.File(path, "r") as f:
        peaks, ends = f["scratch/peaks"][...], f["units/spike_times_index"][...]
        times, rate = f["units/spike_times"][...], 1 / f["units/spike_times"].attrs["resolution"]
        assert peaks.dtype == np.dtype(PEAK), peaks.dtype
        assert ends[-1] == len(times) == len(peaks)
        for channel in range(len(ends)):
            mine = times[ends[channel - 1] if channel else 0:ends[channel]]
            assert (np.diff(mine) >= 0).all()
            assert (peaks["channel_index"] == channel).sum() == len(mine)
            if len(mine) and (peaks["segment_index"] == 0).all():
                start = mine - peaks["sample_index"][peaks["channel_index"] == channel] / rate
                assert np.ptp(start) < 1e-9 * max(1, abs(mine[-1]))
        if "noise_levels" in f["scratch"]:
            assert (f["scratch/noise_levels"][...] == f["units/noise_level"][...]).all()
        return f"{len(peaks)} peaks, " + ", ".join(f"{k}={v}" for k, v in f["scratch/peaks"].attrs.items()
                                                   if k in ("spiked_version", "digest", "parameters"))


def by_pynwb(path):
    try:
        errors = pynwb.validate(path=path)
    except TypeError:  # before 3.0: a list of paths, and (errors, status)
        errors = pynwb.validate(paths=[path])[0]
    assert not errors, errors
    with pynwb.NWBHDF5IO(path, "r") as io:
        nwb = io.read()
        units, electrodes = nwb.units.to_dataframe(), nwb.electrodes.to_dataframe()
        assert len(units) == len(electrodes)
        assert (units["channel_name"].values == electrodes["channel_name"].values).all()
        assert nwb.scratch["peaks"] is not None
        return f"pynwb {pynwb.__version__}: valid, {len(units)} units, columns {list(units.columns)}, started {nwb.session_start_time}"


for path in sys.argv[1:]:
    print(path, by_h5py(path), sep=": ")
    if pynwb:
        print(path, by_pynwb(path), sep=": ")
