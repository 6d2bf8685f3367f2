# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the makers of electrode arrays: MaxWell, Multi Channel Systems, 3Brain."""
import json
import struct

import h5py
import numpy as np
from fixtures_common import FRAMES, bad, path, rng, slow, text, traces

MAPPING = [("channel", "<i4"), ("electrode", "<i4"), ("x", "<f8"), ("y", "<f8")]


def counts(n, nch, middle=512):
    return (rng.normal(0, 30, (n, nch)) + middle).clip(0, 2 * middle - 1).astype("<u2")


def copy_with(name, new, change):
    """A copy of a fixture with one thing wrong."""
    open(path(new), "wb").write(open(path(name), "rb").read())
    with h5py.File(path(new), "r+") as f:
        change(f)


def replace(f, where, value, **how):
    del f[where]
    f.create_dataset(where, data=value, **how)


# ---- MaxWell ----

def mapping(channels):
    m = np.zeros(len(channels) + 2, MAPPING)
    m["channel"] = np.r_[channels[::-1], 1000, -1]  # any order; one that is not recorded, one without amplifier
    m["electrode"] = np.arange(len(m)) + 5000
    m["x"], m["y"] = np.arange(len(m)) * 17.5, np.arange(len(m)) * 35.0
    return m


def maxwell_data(f, number, x, channels, numbers, group="routed", **settings):
    g = f.require_group(f"data_store/data{number:04}")
    r = g.create_group(f"groups/{group}")
    r.create_dataset("raw", data=x.T, chunks=(x.shape[1], 200), compression="gzip", compression_opts=1)
    r["channels"] = channels.astype("u2")
    r.create_dataset("frame_nos", data=numbers.astype("u8"), chunks=(200,), compression="gzip")
    for key, value in {"sampling": 10000.0, "lsb": 6.2942504e-06, "gain": 512.0, "hpf": 1.0, **settings}.items():
        if value is not None and f"settings/{key}" not in g:
            g[f"settings/{key}"] = np.array([value])
    if "settings/mapping" not in g:
        g["settings/mapping"] = mapping(channels)


channels = np.array([16, 28, 44, 60, 582])
wells = {}
with h5py.File(path("maxwell_wells.h5"), "w") as f:
    f["version"] = np.array([b"20190530"], "S8")
    for number, (well, rec, n) in enumerate([(0, 0, 700), (1, 0, 650), (0, 1, 401)]):
        x = counts(n, 5)
        numbers = np.arange(n) + 9570043 + number
        numbers[n // 2:] += 30 * number
        maxwell_data(f, number, x, channels, numbers)
        f.require_group(f"wells/well{well:03}")[f"rec{rec:04}"] = h5py.SoftLink(f"/data_store/data{number:04}")
        wells[f"/wells/well{well:03}/rec{rec:04}/groups/routed"] = x
    second = counts(300, 3)
    maxwell_data(f, 1, second, channels[[2, 0, 1]], np.arange(300), group="second")
    wells["/wells/well001/rec0000/groups/second"] = second
for i, (stream, x) in enumerate(wells.items()):
    slow(f"maxwell_wells{i}", "maxwell_wells.h5", x, stream, recording=stream, layout="maxwell", storage="chunked", time_axis=1)
slow("maxwell_part", "maxwell_wells.h5", wells["/wells/well000/rec0001/groups/routed"], "/wells/well000/rec0001/groups/routed", recording="well000/rec0001")
bad("maxwell_several", "maxwell_wells.h5", "INVALID", "/wells/well001/rec0000/groups/second")
bad("maxwell_ambiguous", "maxwell_wells.h5", "NOT_FOUND", "no recording well001", recording="well001")
with h5py.File(path("maxwell_one.h5"), "w") as f:
    f["version"] = np.array([20210101])
    maxwell_data(f, 0, counts(300, 5), channels, np.arange(300), lsb=None, gain=1024.0)
    x = f["data_store/data0000/groups/routed/raw"][...].T
slow("maxwell_one", "maxwell_one.h5", x, "/data_store/data0000/groups/routed")
with h5py.File(path("maxwell_old.h5"), "w") as f:
    sig, number = np.zeros((1028, FRAMES), "<u2"), np.arange(FRAMES) + 65536 * 7 - 300
    number[600:] += 4
    sig[:1024] = counts(FRAMES, 1024).T
    sig[-2], sig[-1] = number & 0xffff, number >> 16
    f["version"] = np.array([b"20160704"], "S8")
    f["sig"], f["settings/lsb"] = sig, np.array([6.3e-6])
    m = np.zeros(6, MAPPING)
    m["channel"], m["electrode"], m["x"], m["y"] = [700, -1, 3, 900, 12, 5], [10, 11, 12, -1, 14, 15], np.arange(6) * 17.5, 100
    f["mapping"] = m
slow("maxwell_old", "maxwell_old.h5", sig[[700, 3, 12, 5]].T, "/sig", layout="maxwell", storage="contiguous")

base = "data_store/data0000/"


def closed_codec(f):
    del f[base + "groups/routed/raw"]
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_chunk((5, 200))
    dcpl.set_filter(401, h5py.h5z.FLAG_OPTIONAL)
    d = h5py.h5d.create(f.id, (base + "groups/routed/raw").encode(), h5py.h5t.STD_U16LE, h5py.h5s.create_simple((5, 300)), dcpl)
    for at in (0, 200):
        d.write_direct_chunk((0, at), b"nobody can read this")


copy_with("maxwell_one.h5", "maxwell_codec.h5", closed_codec)
for name, status, message, change in [
    ("mapping", "CORRUPT", "mapping", lambda f: replace(f, base + "settings/mapping", np.arange(5))),
    ("rows", "CORRUPT", "channels list 4", lambda f: replace(f, base + "groups/routed/channels", np.arange(4))),
    ("numbers", "CORRUPT", "frame numbers", lambda f: replace(f, base + "groups/routed/frame_nos", np.arange(299))),
    ("gaps", "UNSUPPORTED", "gaps", lambda f: (replace(f, base + "groups/routed/frame_nos", np.arange(3000) * 2),
                                               replace(f, base + "groups/routed/raw", np.zeros((5, 3000), "u2")))),
    ("rate", "CORRUPT", "sampling rate", lambda f: replace(f, base + "settings/sampling", np.array([np.nan]))),
    ("scale", "CORRUPT", "scale", lambda f: replace(f, base + "settings/gain", np.array([0.0]))),
    ("empty", "CORRUPT", "no channels", lambda f: replace(f, base + "groups/routed/raw", np.zeros((0, 300), "u2"))),
    ("nothing", "NOT_FOUND", "no recording", lambda f: f.__delitem__("data_store/data0000")),
    ("loop", "NOT_FOUND", "no recording", lambda f: (f.__delitem__("data_store/data0000"), f.__setitem__("wells/well000/rec0000", h5py.SoftLink("/wells")))),
    ("away", "NOT_FOUND", "no recording", lambda f: (f.__delitem__(base + "groups/routed/raw"),
                                                     f.__setitem__(base + "groups/routed/raw", h5py.ExternalLink("maxwell_wells.h5", "/sig")))),
]:
    copy_with("maxwell_one.h5", f"maxwell_bad_{name}.h5", change)
    bad(f"maxwell_bad_{name}", f"maxwell_bad_{name}.h5", status, message)


def far_channel(f):
    m = f["mapping"][...]
    m["channel"][0] = 1026
    replace(f, "mapping", m)


copy_with("maxwell_old.h5", "maxwell_bad_old.h5", far_channel)
bad("maxwell_bad_old", "maxwell_bad_old.h5", "CORRUPT", "channel 1026")

# ---- Multi Channel Systems ----

INFO = [("ChannelID", "<i4"), ("RowIndex", "<i4"), ("GroupID", "<i4"), ("Label", "S6"), ("RawDataType", h5py.string_dtype()), ("Unit", h5py.string_dtype()),
        ("Exponent", "<i4"), ("ADZero", "<i4"), ("Tick", "<i8"), ("ConversionFactor", "<i8")]


def mcs_stream(f, where, x, stamps, rows, kind="Electrode", unit="V", tick=40):
    g = f.create_group(where)
    g.attrs["DataSubType"], g.attrs["Label"] = kind, "x"
    info = np.zeros(len(rows), np.dtype(INFO))
    for i, row in enumerate(rows):
        info[i] = (100 + i, row, 0, f"E{i}\r\n".encode(), "Int", unit + " ", -9 - i % 2, 5 * i, tick, 381470 + i)
    data = np.zeros((len(rows), len(x)), x.dtype)
    data[rows] = x.T
    g.create_dataset("ChannelData", data=data, chunks=(min(8, len(rows)), 128), compression="gzip", shuffle=True)
    g.create_dataset("InfoChannel", data=info)
    g["ChannelDataTimeStamps"] = np.asarray(stamps, "<i8")


def mcs_file(name, streams):
    with h5py.File(path(name), "w") as f:
        f.attrs["McsHdf5ProtocolType"], f.attrs["McsHdf5ProtocolVersion"] = "RawData", 3
        f.create_group("Data").attrs["MeaLayout"] = "8x8"
        for where, how in streams.items():
            mcs_stream(f, "Data/" + where, **how)


x = traces("<i4", (FRAMES, 5))
y = traces("<i4", (200, 3))
rows = [3, 0, 4, 2, 1]
mcs_file("mcs.h5", {"Recording_0/AnalogStream/Stream_0": dict(x=x, stamps=[[1000, 0, 299], [500000, 300, 899], [900000, 900, 999]], rows=rows),
                    "Recording_0/AnalogStream/Stream_1": dict(x=y, stamps=[[0, 0, 199]], rows=[0, 1, 2], kind="Auxiliary", unit="NoUnit")})
slow("mcs", "mcs.h5", x, "/Data/Recording_0/AnalogStream/Stream_0", layout="mcs", storage="chunked", time_axis=1)
slow("mcs_aux", "mcs.h5", y, "/Data/Recording_0/AnalogStream/Stream_1", recording="Stream_1")
mcs_file("mcs_two.h5", {f"Recording_{k}/AnalogStream/Stream_0": dict(x=x[:400 + k], stamps=[[7, 0, 399 + k]], rows=[0, 1, 2, 3, 4]) for k in (0, 1)})
slow("mcs_two", "mcs_two.h5", x[:401], "/Data/Recording_1/AnalogStream/Stream_0", recording="Recording_1")
bad("mcs_several", "mcs_two.h5", "INVALID", "/Data/Recording_1/AnalogStream/Stream_0")
info = "Data/Recording_0/AnalogStream/Stream_0/"


def mcs_info(member, value, row=1):
    def change(f):
        table = f[info + "InfoChannel"][...]
        table[member][row] = value
        replace(f, info + "InfoChannel", table)
    return change


for name, status, message, change in [
    ("row", "CORRUPT", "row -1", mcs_info("RowIndex", -1)),
    ("row_far", "CORRUPT", "row 5", mcs_info("RowIndex", 5)),
    ("tick", "CORRUPT", "sampling rate", mcs_info("Tick", 0, slice(None))),
    ("ticks", "UNSUPPORTED", "different sampling rates", mcs_info("Tick", 50)),
    ("factor", "CORRUPT", "conversion of channel 1", mcs_info("ConversionFactor", 0)),
    ("exponent", "CORRUPT", "conversion of channel 1", mcs_info("Exponent", 2000000000)),
    ("records", "CORRUPT", "InfoChannel", lambda f: replace(f, info + "InfoChannel", np.zeros(5, [("RowIndex", "<i4")]))),
    ("stamps", "CORRUPT", "TimeStamps", lambda f: replace(f, info + "ChannelDataTimeStamps", np.array([[0, 0, 99], [0, 50, 300]]))),
    ("stamps_far", "CORRUPT", "TimeStamps", lambda f: replace(f, info + "ChannelDataTimeStamps", np.array([[0, 0, 1 << 62]]))),
    ("stamps_shape", "CORRUPT", "3 columns", lambda f: replace(f, info + "ChannelDataTimeStamps", np.zeros((2, 2), "i8"))),
    ("cmos", "UNSUPPORTED", "CMOS_MEA", lambda f: f.attrs.__setitem__("McsHdf5ProtocolType", "CMOS_MEA")),
]:
    copy_with("mcs.h5", f"mcs_bad_{name}.h5", change)
    bad(f"mcs_bad_{name}", f"mcs_bad_{name}.h5", status, message, recording="Stream_0")

# ---- 3Brain BRW 3 ----


def brw3(name, x, raw, inversion=1.0, **how):
    with h5py.File(path(name), "w") as f:
        v = f.create_group("3BRecInfo/3BRecVars")
        for key, value in {"BitDepth": np.uint8(12), "MaxVolt": 4125.0, "MinVolt": -4125.0, "NRecFrames": np.int64(len(x)), "SamplingRate": 17855.5,
                           "SignalInversion": inversion}.items():
            v[key] = np.array([value])
        chs = np.zeros(x.shape[1], [("Row", "<i2"), ("Col", "<i2")])
        chs["Row"], chs["Col"] = np.arange(x.shape[1]) % 3 + 1, np.arange(x.shape[1]) + 10
        f["3BRecInfo/3BMeaStreams/Raw/Chs"] = chs
        f.create_dataset("3BData/Raw", data=raw, **how)


x = counts(FRAMES, 6, 2048)
for name, raw, how, storage in [("flat", x.ravel(), {}, "contiguous"), ("2d", x, {}, "contiguous"), ("frames", x.ravel(), dict(chunks=(6 * 128,), compression="gzip"), "chunked"),
                                ("ragged", x.ravel(), dict(chunks=(500,), compression="gzip"), "helper")]:
    brw3(f"brw3_{name}.brw", x, raw, inversion=-1.0 if name == "2d" else 1.0, **how)
    slow(f"brw3_{name}", f"brw3_{name}.brw", x, "/3BData/Raw", layout="brw3", storage=storage)


def wavelets(f):
    del f["3BData/Raw"]
    f.move("3BRecInfo/3BMeaStreams/Raw", "3BRecInfo/3BMeaStreams/WaveletCoefficients")


for name, status, message, change in [
    ("frames", "CORRUPT", "NRecFrames", lambda f: replace(f, "3BRecInfo/3BRecVars/NRecFrames", np.array([1 << 60]))),
    ("channels", "CORRUPT", "no whole number of frames", lambda f: replace(f, "3BRecInfo/3BMeaStreams/Raw/Chs", f["3BRecInfo/3BMeaStreams/Raw/Chs"][:0])),
    ("odd", "CORRUPT", "no whole number of frames", lambda f: replace(f, "3BData/Raw", x.ravel()[:-1])),
    ("bits", "CORRUPT", "BitDepth", lambda f: replace(f, "3BRecInfo/3BRecVars/BitDepth", np.array([0]))),
    ("volts", "CORRUPT", "scale", lambda f: replace(f, "3BRecInfo/3BRecVars/MaxVolt", np.array([np.inf]))),
    ("rate", "CORRUPT", "sampling rate", lambda f: replace(f, "3BRecInfo/3BRecVars/SamplingRate", np.array([0.0]))),
    ("wavelets", "UNSUPPORTED", "wavelets", wavelets),
]:
    copy_with("brw3_flat.brw", f"brw3_bad_{name}.brw", change)
    bad(f"brw3_bad_{name}", f"brw3_bad_{name}.brw", status, message)

# ---- 3Brain BRW 4 ----

CONVERTER = {"MinAnalogValue": -8000.0, "MaxAnalogValue": 8000.0, "MinDigitalValue": 1, "MaxDigitalValue": 4095, "ScaleFactor": 2.0}


def header(f, variant):
    if variant == "settings":
        f["ExperimentSettings"] = np.array([json.dumps({"ValueConverter": CONVERTER, "TimeConverter": {"FrameRate": 19753.775390625},
                                                        "MeaPlate": {"Model": "AccuraV2"}})], h5py.string_dtype())
    elif variant == "info":
        f["ExperimentInfo"] = text(json.dumps({"CorePlateData": {}, "SignalConverter": {
            "SampleToTimeConverter": {"FrameRateHertz": 20000},
            "DigitalToAnalogConverter": {"MinAnalogValueMicroVolt": -4000.5, "MaxAnalogValueMicroVolt": 4000.5, "MinDigitalValue": 0, "MaxDigitalValue": 4095}}}))
    else:
        f.attrs.update({"SamplingRate": 18000.0, "MinAnalogValue": -4125.0, "MaxAnalogValue": 4125.0, "MinDigitalValue": 0, "MaxDigitalValue": 4095})


def noise(well, stored, middle):
    numbers = np.r_[stored[1:], stored[1:]]
    well["NoiseChIdxs"], well["NoiseTOC"] = numbers.astype("i4"), np.zeros(1, "i8")
    well["NoiseMean"] = (middle + rng.normal(0, 1, len(numbers))).astype("f4")
    well["NoiseStdDev"] = np.ones(len(numbers), "f4")


def brw4(name, well_traces, toc, variant="settings", stored=None):
    with h5py.File(path(name), "w") as f:
        header(f, variant)
        f["TOC"] = np.asarray(toc, "i8")
        for well, x in well_traces.items():
            w = f.create_group(well)
            places = np.arange(x.shape[1]) * 70 + 3 if stored is None else stored
            w["StoredChIdxs"], w["Raw"], w["RawTOC"] = places.astype("i4"), x.ravel(), np.zeros(len(toc), "i8")
            noise(w, places, 2048)


toc = [[0, 300], [300, 450], [500, 900]]
x, y = counts(850, 6, 2048), counts(850, 4, 2048)
for variant in ("settings", "info", "attributes"):
    brw4(f"brw4_{variant}.brw", {"Well_A1": x}, toc, variant)
    slow(f"brw4_{variant}", f"brw4_{variant}.brw", x, "/Well_A1", layout="brw4", storage="contiguous")
copy_with("brw4_info.brw", "brw4_plain_info.brw", lambda f: replace(f, "ExperimentInfo", text(f["ExperimentInfo"][()].decode().replace("CorePlateData", "Other"))))
slow("brw4_plain_info", "brw4_plain_info.brw", x, "/Well_A1")
brw4("brw4_wells.brw", {"Well_A1": x, "Well_B2": y}, toc)
slow("brw4_wells", "brw4_wells.brw", y, "/Well_B2", recording="Well_B2")
bad("brw4_several", "brw4_wells.brw", "INVALID", "/Well_B2")
brw4("brw4_outside.brw", {"Well_A1": x}, toc, stored=np.arange(6) + 4094)


def records(x, toc, stored, seed):
    """Pieces of random channels, several ranges a record; what was kept, as truth."""
    chance, data, starts, kept, at = np.random.default_rng(seed), b"", [], np.zeros(x.shape, bool), 0
    for a, b in toc:
        starts.append(len(data))
        for c in chance.permutation(len(stored))[:len(stored) - 1]:
            ranges, frame = b"", a
            while frame < b and len(ranges) < 2000:
                first, n = frame + int(chance.integers(0, 60)), int(chance.integers(0, 40))
                last = min(first + n, b)
                if first > b:
                    break
                ranges += struct.pack("<qq", first, last) + x[at + first - a:at + last - a, c].astype("<i2").tobytes()
                kept[at + first - a:at + last - a, c] = True
                frame = last
            data += struct.pack("<ii", int(stored[c]), len(ranges)) + ranges
        at += b - a
    return np.frombuffer(data, "u1"), np.array(starts, "i8"), kept


def sparse(name, mean, **how):
    stored = np.array([5, 4000, 64, 130])
    x = counts(850, 4, 2048)
    with h5py.File(path(name), "w") as f:
        header(f, "settings")
        f["TOC"] = np.asarray(toc, "i8")
        w = f.create_group("Well_A1")
        data, starts, kept = records(x, toc, stored, 3)
        w["StoredChIdxs"], w["EventsBasedSparseRawTOC"] = stored.astype("i4"), starts
        w.create_dataset("EventsBasedSparseRaw", data=data, **how)
        noise(w, stored, mean)
        fill = np.r_[2048, np.round(w["NoiseMean"][:3]) + (2048 if mean == 0 else 0)]
    return np.where(kept, x, fill).astype("<i2")


for name, mean, how in (("", 2048, {}), ("_old", 0, {}), ("_gzip", 2048, dict(chunks=(1000,), compression="gzip"))):
    truth = sparse(f"brw4_sparse{name}.brw", mean, **how)
    slow(f"brw4_sparse{name}", f"brw4_sparse{name}.brw", truth, "/Well_A1", layout="brw4", storage="sparse")


def broken(at, value):
    """A sparse file that opens, but whose record at byte `at` of the last block lies."""
    def change(f):
        data = f["Well_A1/EventsBasedSparseRaw"][...]
        start = int(f["Well_A1/EventsBasedSparseRawTOC"][-1]) + at
        data[start:start + len(value)] = np.frombuffer(value, "u1")
        f["Well_A1/EventsBasedSparseRaw"][...] = data
    return change


for name, at, value in [("channel", 0, struct.pack("<i", 6)), ("negative", 4, struct.pack("<i", -5)), ("length", 4, struct.pack("<i", 1 << 30)),
                        ("odd", 4, struct.pack("<i", 7)), ("from", 8, struct.pack("<q", -1)), ("to", 16, struct.pack("<q", 1 << 62)), ("back", 16, struct.pack("<q", 0))]:
    copy_with("brw4_sparse.brw", f"brw4_record_{name}.brw", broken(at, value))
for name, status, message, change in [
    ("toc", "CORRUPT", "block 1", lambda f: replace(f, "TOC", np.array([[0, 300], [299, 450], [500, 900]]))),
    ("toc_negative", "CORRUPT", "block 0", lambda f: replace(f, "TOC", np.array([[-10, 300], [300, 450], [500, 900]]))),
    ("toc_far", "CORRUPT", "block 2", lambda f: replace(f, "TOC", np.array([[0, 300], [300, 450], [500, 1 << 60]]))),
    ("toc_sum", "CORRUPT", "850 frames", lambda f: replace(f, "TOC", np.array([[0, 300]]))),
    ("toc_empty", "CORRUPT", "no blocks", lambda f: replace(f, "TOC", np.zeros((0, 2), "i8"))),
    ("json", "CORRUPT", "not JSON", lambda f: replace(f, "ExperimentSettings", text("{"))),
    ("scale", "CORRUPT", "scale", lambda f: replace(f, "ExperimentSettings", text("{}"))),
    ("channels", "CORRUPT", "no whole number", lambda f: replace(f, "Well_A1/StoredChIdxs", np.zeros(0, "i4"))),
    ("wavelets", "UNSUPPORTED", "wavelets", lambda f: f.move("Well_A1/Raw", "Well_A1/WaveletBasedEncodedRaw")),
    ("results", "NOT_FOUND", "no samples", lambda f: f.__delitem__("Well_A1/Raw")),
]:
    copy_with("brw4_settings.brw", f"brw4_bad_{name}.brw", change)
    bad(f"brw4_bad_{name}", f"brw4_bad_{name}.brw", status, message)
for name, status, message, change in [
    ("starts", "CORRUPT", "bytes", lambda f: replace(f, "Well_A1/EventsBasedSparseRawTOC", np.array([0, 500, 400]))),
    ("starts_far", "CORRUPT", "bytes", lambda f: replace(f, "Well_A1/EventsBasedSparseRawTOC", np.array([0, 500, 1 << 40]))),
    ("starts_few", "CORRUPT", "blocks", lambda f: replace(f, "Well_A1/EventsBasedSparseRawTOC", np.array([0, 500]))),
    ("twice", "CORRUPT", "listed twice", lambda f: replace(f, "Well_A1/StoredChIdxs", np.array([5, 5, 64, 130]))),
    ("type", "CORRUPT", "list of bytes", lambda f: replace(f, "Well_A1/EventsBasedSparseRaw", np.zeros(5000, "i2"))),
]:
    copy_with("brw4_sparse.brw", f"brw4_sparse_bad_{name}.brw", change)
    bad(f"brw4_sparse_bad_{name}", f"brw4_sparse_bad_{name}.brw", status, message)
