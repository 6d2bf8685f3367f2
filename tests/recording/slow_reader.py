# SPDX-License-Identifier: BSD-3-Clause
"""Reads recordings of every layout the plain way: h5py, whole arrays, one formula a layout, byte by byte where the format is.

The oracle of the layout tests, written from the layouts' descriptions and not from the C readers. `streams(path)` lists what is in a file,
`read(path, stream)` gives a `Slow`.
"""
import json
import re
import struct
from dataclasses import dataclass, field
from typing import Any, List, Optional

import h5py
import numpy as np


@dataclass
class Slow:
    traces: np.ndarray                       # (frames, channels) as stored
    fs: float
    uv: Optional[np.ndarray] = None          # the same in microvolts; None: unknown
    ids: Optional[List[str]] = None
    locations: Optional[np.ndarray] = None   # (channels, 2)
    segments: List[List[float]] = field(default_factory=list)  # first frame, frames, start in s
    recorded: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        if not self.segments:
            self.segments = [[0, len(self.traces), 0.0]]
        if self.ids is None:
            self.ids = [str(c) for c in range(self.traces.shape[1])]


def text(x: Any) -> str:
    x = x.decode() if isinstance(x, bytes) else str(x)
    return x.rstrip(" \r\n\0")


def cut(numbers: np.ndarray, fs: float) -> List[List[float]]:
    """Segments by frame numbers."""
    numbers = numbers.astype(object)
    starts = [i for i in range(len(numbers)) if i == 0 or numbers[i] != numbers[i - 1] + 1]
    return [[a, b - a, float(numbers[a] - numbers[0]) / fs] for a, b in zip(starts, starts[1:] + [len(numbers)])]


# ---- MaxWell ----

def maxwell_version(f: h5py.File) -> int:
    return int(text(np.ravel(f["version"][()])[0]))


def maxwell_lsb(settings: Optional[h5py.Group]) -> float:
    if settings is not None and "lsb" in settings:
        return float(settings["lsb"][0])
    return 3.3 / (1024 * (float(settings["gain"][0]) if settings is not None and "gain" in settings else 512))


def maxwell_streams(f):
    if "sig" in f:
        return ["/sig"]
    if "wells" in f and any(len(w) for w in f["wells"].values()):
        return [f"/wells/{w}/{r}/groups/{g}" for w in f["wells"] for r in f["wells"][w] for g in f["wells"][w][r]["groups"]]
    return [f"/data_store/{d}/groups/{g}" for d in f["data_store"] for g in f["data_store"][d]["groups"]]


def maxwell(f, stream):
    if stream == "/sig":
        sig, mapping = f["sig"][...], f["mapping"][...]
        used = [m for m in mapping if m["channel"] >= 0 and m["electrode"] >= 0]
        rows = [int(m["channel"]) for m in used]
        numbers = sig[-2].astype(object) + sig[-1].astype(object) * 65536
        x = sig[rows].T
        return Slow(x, 20000.0, x * maxwell_lsb(f.get("settings")) * 1e6, [str(r) for r in rows], np.array([[m["x"], m["y"]] for m in used]),
                    cut(numbers, 20000.0))
    group = f[stream]
    settings = f[stream.rsplit("/groups/", 1)[0] + "/settings"]
    x, channels, fs = group["raw"][...].T, group["channels"][...], float(settings["sampling"][0])
    where = {int(m["channel"]): (m["x"], m["y"]) for m in settings["mapping"][...]}
    known = all(int(c) in where for c in channels)
    return Slow(x, fs, (x.astype(float) - 512) * maxwell_lsb(settings) * 1e6, [str(c) for c in channels],
                np.array([where[int(c)] for c in channels]) if known else None,
                cut(group["frame_nos"][...], fs) if "frame_nos" in group else [])


# ---- Multi Channel Systems ----

def mcs_streams(f):
    return [f"/Data/{r}/AnalogStream/{s}" for r in f["Data"] if r.startswith("Recording_") for s in f["Data"][r]["AnalogStream"]]


def mcs(f, stream):
    g = f[stream]
    raw, info = g["ChannelData"][...], g["InfoChannel"][...]
    x = np.stack([raw[row["RowIndex"]] for row in info], axis=1)
    uv = None
    if all(text(row["Unit"]) == "V" for row in info):
        uv = np.stack([(raw[row["RowIndex"]] - float(row["ADZero"])) * float(row["ConversionFactor"]) * 10.0 ** int(row["Exponent"]) * 1e6 for row in info],
                      axis=1)
    stamps = np.atleast_2d(g["ChannelDataTimeStamps"][...])
    return Slow(x, 1e6 / float(info[0]["Tick"]), uv, [text(row["Label"]) for row in info],
                segments=[[int(a), int(b - a + 1), float(t) * 1e-6] for t, a, b in stamps])


# ---- 3Brain ----

def brw3_streams(f):
    return ["/3BData/Raw"]


def brw3(f, stream):
    v, chs = f["3BRecInfo/3BRecVars"], f["3BRecInfo/3BMeaStreams/Raw/Chs"][...]
    raw, n = f["3BData/Raw"][...], int(v["NRecFrames"][0])
    x = raw.reshape(n, raw.size // n)
    top, bottom = float(v["MaxVolt"][0]), float(v["MinVolt"][0])
    uv = float(v["SignalInversion"][0]) * (x * (top - bottom) / 2 ** int(v["BitDepth"][0]) + bottom)
    return Slow(x, float(v["SamplingRate"][0]), uv, [f"{r}-{c}" for r, c in zip(chs["Row"], chs["Col"])],
                np.stack([chs["Row"] - 1.0, chs["Col"] - 1.0], axis=1) * 42)


def brw4_streams(f):
    return [f"/{w}" for w in f if w.startswith("Well_")]


def brw4_header(f):
    if "ExperimentSettings" in f:
        j = json.loads(text(np.ravel(f["ExperimentSettings"][()])[0]))
        v, model = j["ValueConverter"], j.get("MeaPlate", {}).get("Model", "")
        pitch = 60 if re.match("Accura|CorePlate1W", model) else 81 if model.startswith("Stimulo") else 42
        return (v["MinAnalogValue"], v["MaxAnalogValue"], v["MinDigitalValue"], v["MaxDigitalValue"], v.get("ScaleFactor", 1), j["TimeConverter"]["FrameRate"],
                pitch)
    if "ExperimentInfo" in f:
        j = json.loads(text(np.ravel(f["ExperimentInfo"][()])[0]))
        v = j["SignalConverter"]["DigitalToAnalogConverter"]
        return (v["MinAnalogValueMicroVolt"], v["MaxAnalogValueMicroVolt"], v["MinDigitalValue"], v["MaxDigitalValue"], 1,
                j["SignalConverter"]["SampleToTimeConverter"]["FrameRateHertz"], None if "CorePlateData" in j else 42)
    a = f.attrs
    return a["MinAnalogValue"], a["MaxAnalogValue"], a["MinDigitalValue"], a["MaxDigitalValue"], 1, a["SamplingRate"], 42


def brw4_sparse(well, stored, toc, middle):
    """Follows the bytes of the event records one after the other."""
    n = sum(b - a for a, b in toc)
    noise = {}
    for number, mean in zip(well["NoiseChIdxs"][...], well["NoiseMean"][...].astype(float)):
        noise.setdefault(int(number), mean)
    fill = []
    for number in stored:
        mean = noise.get(int(number), middle)
        fill.append(int(np.round(mean + middle if abs(mean) < abs(mean - middle) else mean)))
    x, recorded = np.tile(np.array(fill, "<i2"), (n, 1)), np.zeros((n, len(stored)), bool)
    data, starts = well["EventsBasedSparseRaw"][...].tobytes(), list(well["EventsBasedSparseRawTOC"][...])
    column, at = {int(number): c for c, number in enumerate(stored)}, 0
    for (a, b), start, end in zip(toc, starts, starts[1:] + [len(data)]):
        while start < end:
            number, nbytes = struct.unpack_from("<ii", data, start)
            start += 8
            stop = start + nbytes
            while start < stop:
                first, last = struct.unpack_from("<qq", data, start)
                start += 16
                for frame in range(first, last):
                    x[at + frame - a, column[number]] = struct.unpack_from("<h", data, start)[0]
                    recorded[at + frame - a, column[number]] = True
                    start += 2
        at += b - a
    return x, recorded


def brw4(f, stream):
    min_a, max_a, min_d, max_d, factor, fs, pitch = brw4_header(f)
    toc, stored, recorded = [tuple(int(v) for v in row) for row in f["TOC"][...]], f[stream]["StoredChIdxs"][...], None
    if "Raw" in f[stream]:
        x = f[stream]["Raw"][...].reshape(-1, len(stored))
    else:
        x, recorded = brw4_sparse(f[stream], stored, toc, (min_d + max_d + 1) // 2)
    segments, at = [], 0
    for i, (a, b) in enumerate(toc):
        if i and a == toc[i - 1][1]:
            segments[-1][1] += b - a
        else:
            segments.append([at, b - a, a / fs])
        at += b - a
    return Slow(x, fs, min_a + (x.astype(float) - min_d) * factor * (max_a - min_a) / (max_d - min_d), [str(i) for i in stored],
                np.stack([stored // 64, stored % 64], axis=1) * float(pitch) if pitch and max(stored) < 4096 else None, segments, recorded)


# ---- from the lab ----

def kwik_streams(f):
    return [f"/recordings/{n}" for n in f["recordings"]]


def kwik(f, stream):
    g = f[stream]
    x, fs = g["data"][...], float(g.attrs["sample_rate"])
    volts = g["application_data"].attrs.get("channel_bit_volts")
    volts = g["application_data/channel_bit_volts"][...] if volts is None else volts
    start = g.attrs.get("start_time", g["application_data"].attrs.get("start_time", 0))
    return Slow(x, fs, x * volts.astype(float), segments=[[0, len(x), float(start) / fs]])


def sinaps_streams(f):
    return [p for p in ("/RealTimeProcessedData/FilteredData", "/RawData/ElectrodeArrayData", "/RawData/AuxData") if p in f]


def sinaps(f, stream):
    p, x = f["Parameters"], f[stream][...].T
    gain = p["VoltageConverter"][0] if not stream.endswith("AuxData") else p["VoltageConverterAUX" if "VoltageConverterAUX" in p else "VoltageAUXConverter"][0]
    bits = np.log2(f["Advanced Recording Parameters/DAQ/nbADCLevels"][0])
    return Slow(x, float(p["SamplingFrequency"][0]), (x.astype(float) - (2 ** (bits - 1) if x.dtype.kind == "u" else 0)) * float(gain))


def mearec_streams(f):
    return ["/recordings"]


def mearec(f, stream):
    version = [int(v) for v in text(f.attrs.get("mearec_version", "0.0.0")).split(".")[:2]]
    d = f["recordings"]
    x = d[...] if version >= [1, 5] else d[...].T
    plane = text(f["info/electrodes/plane"][()]) if "info/electrodes/plane" in f else "null"
    plane = "yz" if plane == "null" else plane
    return Slow(x, float(f["info/recordings/fs"][()]), x.astype(float) * d.attrs.get("gain_to_uV", 1.0),
                locations=f["channel_positions"][...][:, ["xyz".index(p) for p in plane]])


def matlab_streams(f):
    return [f"/{n}" for n in f if isinstance(f[n], h5py.Dataset) and f[n].size > 1 and text(f[n].attrs.get("MATLAB_class", "")) in
            ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64") and not f[n].attrs.get("MATLAB_empty", 0)]


def matlab(f, stream):
    x = f[stream][...]
    return Slow(x if x.shape[0] >= x.shape[1] else x.T, float(np.ravel(next(f[n] for n in ("sr", "fs", "sampling_rate") if n in f)[...])[0]))


def layout_of(f):
    if "3BData" in f and "3BRecInfo" in f:
        return "brw3"
    if "TOC" in f:
        return "brw4"
    if "version" in f:
        return "maxwell"
    if "McsHdf5ProtocolType" in f.attrs:
        return "mcs"
    if "kwik_version" in f.attrs:
        return "kwik"
    if "Parameters" in f:
        return "sinaps"
    return "mearec" if "channel_positions" in f else "matlab"


def streams(path):
    with h5py.File(path, "r") as f:
        return globals()[layout_of(f) + "_streams"](f)


def read(path, stream) -> Slow:
    with h5py.File(path, "r") as f:
        return globals()[layout_of(f)](f, stream)
