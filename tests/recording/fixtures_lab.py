# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of laboratory software: Kwik, SiNAPS, MEArec, MATLAB, and layouts that are refused by name."""
import h5py
import numpy as np
from fixtures_common import CHANNELS, FRAMES, bad, path, slow, text, traces

x = traces()

# ---- Kwik ----


def kwd(name, recordings, as_dataset=False):
    with h5py.File(path(name), "w") as f:
        f.attrs["kwik_version"] = np.array([2], "u2")
        for n, y in enumerate(recordings):
            g = f.create_group(f"recordings/{n}")
            g["data"] = y
            g.attrs["sample_rate"], g.attrs["bit_depth"] = np.float32(25000), 16
            a = g.create_group("application_data")
            (a if as_dataset else g).attrs["start_time"] = np.uint64(50000 * n)
            volts = np.linspace(0.1, 0.2, y.shape[1], dtype="f4")
            if as_dataset:
                a["channel_bit_volts"] = volts
            else:
                a.attrs["channel_bit_volts"] = volts


kwd("kwik.raw.kwd", [x])
slow("kwik", "kwik.raw.kwd", x, "/recordings/0", layout="kwik", storage="contiguous")
kwd("kwik_two.raw.kwd", [x, x[:300]], as_dataset=True)
slow("kwik_two", "kwik_two.raw.kwd", x[:300], "/recordings/1", recording="/recordings/1")
slow("kwik_last", "kwik_two.raw.kwd", x[:300], "/recordings/1", recording="1")
bad("kwik_several", "kwik_two.raw.kwd", "INVALID", "/recordings/0, /recordings/1")
with h5py.File(path("kwik_results.kwik"), "w") as f:
    f.attrs["kwik_version"] = 2
    f.create_group("recordings/0")
    f["channel_groups/0/spikes/time_samples"] = np.arange(5)
bad("kwik_results", "kwik_results.kwik", "NOT_FOUND", "holds results")
with h5py.File(path("kwik_rate.kwd"), "w") as f:
    f.attrs["kwik_version"] = 2
    f["recordings/0/data"] = x
bad("kwik_rate", "kwik_rate.kwd", "CORRUPT", "sampling rate")
with h5py.File(path("kwik_volts.kwd"), "w") as f:
    f.attrs["kwik_version"] = 2
    f["recordings/0/data"] = x
    f["recordings/0"].attrs["sample_rate"] = 25000
    f.create_group("recordings/0/application_data").attrs["channel_bit_volts"] = [0.1, 0.2]
bad("kwik_volts", "kwik_volts.kwd", "CORRUPT", "2 channel_bit_volts")

# ---- SiNAPS ----


def sinaps(name, levels=4096, **datasets):
    with h5py.File(path(name), "w") as f:
        for where, y in datasets.items():
            f[where.replace("__", "/")] = y.T
        f["Parameters/VoltageConverter"], f["Parameters/VoltageAUXConverter"] = np.array([0.25]), np.array([3.5])
        f["Parameters/SamplingFrequency"] = np.array([20000.0])
        f["Advanced Recording Parameters/DAQ/nbADCLevels"] = np.array([levels])


u, aux = traces("<u2") + 2048, traces("<u2", (FRAMES, 2))
sinaps("sinaps.h5", RealTimeProcessedData__FilteredData=u, RawData__AuxData=aux)
slow("sinaps", "sinaps.h5", u, "/RealTimeProcessedData/FilteredData", layout="sinaps", time_axis=1)
slow("sinaps_aux", "sinaps.h5", aux, "/RawData/AuxData", recording="AuxData")
sinaps("sinaps_signed.h5", RawData__ElectrodeArrayData=x)
slow("sinaps_signed", "sinaps_signed.h5", x, "/RawData/ElectrodeArrayData")
sinaps("sinaps_both.h5", RealTimeProcessedData__FilteredData=u, RawData__ElectrodeArrayData=u)
bad("sinaps_several", "sinaps_both.h5", "INVALID", "ElectrodeArrayData")
sinaps("sinaps_levels.h5", levels=0, RawData__ElectrodeArrayData=u)
bad("sinaps_levels", "sinaps_levels.h5", "CORRUPT", "nbADCLevels")

# ---- MEArec ----


def mearec(name, y, version, plane="xz", gain=None):
    with h5py.File(path(name), "w") as f:
        if version:
            f.attrs["mearec_version"] = version
        f["recordings"] = y
        if gain:
            f["recordings"].attrs["gain_to_uV"] = gain
        f["channel_positions"] = np.arange(3.0 * CHANNELS).reshape(CHANNELS, 3) * 1.5
        f["info/recordings/fs"] = 32000.0
        if plane:
            f["info/electrodes/plane"] = text(plane)
        f["spiketrains/0/times"] = np.arange(3.0)


floats = traces("<f4")
mearec("mearec.h5", floats, "1.9.0")
slow("mearec", "mearec.h5", floats, "/recordings", layout="mearec", time_axis=0)
mearec("mearec_int.h5", x, "1.10.0", plane="null", gain=0.195)
slow("mearec_int", "mearec_int.h5", x, "/recordings")
mearec("mearec_old.h5", np.ascontiguousarray(x.T), None, plane=None)
slow("mearec_old", "mearec_old.h5", x, "/recordings", time_axis=1)
mearec("mearec_yz.h5", x, "1.5.0", plane=None, gain=0.195)
slow("mearec_yz", "mearec_yz.h5", x, "/recordings")
mearec("mearec_positions.h5", x[:, :4], "1.5.0")
bad("mearec_positions", "mearec_positions.h5", "CORRUPT", "7 positions")

# ---- MATLAB ----


def matlab(name, **variables):
    with h5py.File(path(name), "w", userblock_size=512) as f:
        for key, value in variables.items():
            value = np.asarray(value)
            d = f.create_dataset(key, data=value, **({"chunks": True, "compression": "gzip"} if value.size > 100 else {}))
            d.attrs["MATLAB_class"] = np.bytes_({"f8": "double", "f4": "single", "i2": "int16", "u2": "char"}[value.dtype.str[1:]])
    with open(path(name), "r+b") as f:
        f.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


matlab("matlab.mat", data=x, sr=[[30000.0]])
slow("matlab", "matlab.mat", x, "/data", layout="matlab", storage="chunked", time_axis=0)
matlab("matlab_wide.mat", data=np.ascontiguousarray(x.T).astype("<f8"), fs=[[24000.0]], note=np.frombuffer(b"notes", "u1").astype("<u2")[:, None])
slow("matlab_wide", "matlab_wide.mat", x.astype("<f8"), "/data", time_axis=1)
matlab("matlab_two.mat", data=x, more=x[:500], sampling_rate=[[24000.0]])
bad("matlab_several", "matlab_two.mat", "INVALID", "/data, /more")
slow("matlab_named", "matlab_two.mat", x[:500], "/more", recording="more")
matlab("matlab_rate.mat", data=x)
bad("matlab_no_rate", "matlab_rate.mat", "INVALID", "/data (1000, 7) <i2")
matlab("matlab_square.mat", data=x[:20], sr=[[1000.0]])
bad("matlab_unclear", "matlab_square.mat", "INVALID", "which axis")
matlab("matlab_nan.mat", data=x, sr=[[float("nan")]])
bad("matlab_nan", "matlab_nan.mat", "CORRUPT", "sampling rate")
matlab("matlab_nothing.mat", sr=[[30000.0]])
bad("matlab_nothing", "matlab_nothing.mat", "NOT_FOUND", "no recording")

# ---- known, but not read ----
with h5py.File(path("nwb1.nwb"), "w") as f:
    f["nwb_version"] = text("NWB-1.0.6")
    f["acquisition/timeseries/x/data"] = x
    f["acquisition/timeseries/x"].attrs["neurodata_type"] = "TimeSeries"
bad("nwb1", "nwb1.nwb", "UNSUPPORTED", "NWB 1 file")
with h5py.File(path("wavesurfer.h5"), "w") as f:
    f["header/AcquisitionSampleRate"], f["sweep_0001/analogScans"] = [[20000.0]], x.T
bad("wavesurfer", "wavesurfer.h5", "UNSUPPORTED", "WaveSurfer")
with h5py.File(path("nix.h5"), "w") as f:
    f.attrs["format"], f["data/a/data_arrays/b/data"] = "nix", x
bad("nix", "nix.h5", "UNSUPPORTED", "NIX")
with h5py.File(path("arf.h5"), "w") as f:
    f.attrs["arf_version"], f["entry/channel"] = "2.1", x[:, 0]
bad("arf", "arf.h5", "UNSUPPORTED", "ARF")
