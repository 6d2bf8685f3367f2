#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes small recordings of every kind that spiked reads or must refuse, and manifest.json that says what a reader must find.

    make_fixtures.py DIRECTORY

For each case the manifest holds the file, how to name the recording, and either the expected samples (a raw file, (frames, channels) in C
order, as h5py reads them) with scale, ids, segments and storage, or the expected status and a piece of its message.
"""
import ctypes

import codec_fixtures
import h5py
import numpy as np
from fixtures_common import CHANNELS, FRAMES, bad, good, path, text, traces, write_manifest


def nwb(file, series, n_electrodes=CHANNELS, names=False, positions=True, **kwargs):
    """series: {path: function(group)}; returns nothing, closes the file."""
    with h5py.File(path(file), "w", **kwargs) as f:
        f.attrs["neurodata_type"] = "NWBFile"
        f.attrs["nwb_version"] = "2.7.0"
        f["session_start_time"] = text("2024-05-06T07:08:09+02:00")
        t = f.create_group("general/extracellular_ephys/electrodes")
        t.attrs["neurodata_type"] = "DynamicTable"
        t["id"] = np.arange(n_electrodes, dtype="i4") + 100
        if positions:
            t["rel_x"] = np.arange(n_electrodes, dtype="f4") * 20
            t["rel_y"] = np.arange(n_electrodes, dtype="f4") * 10
        if names:
            t["channel_name"] = np.array([f"AP{i}" for i in range(n_electrodes)], dtype=h5py.string_dtype())
        for where, make in series.items():
            g = f.create_group(where)
            g.attrs["neurodata_type"] = "ElectricalSeries"
            make(g)
            if "electrodes" not in g:
                g["electrodes"] = np.arange(n_electrodes, dtype="i4")
            g["electrodes"].attrs["table"] = t.ref


def series(x, rate=30000.0, start=0.0, conversion=1e-6, timestamps=None, cc=None, offset=None, **storage):
    def make(g):
        d = g.create_dataset("data", data=x, **storage)
        d.attrs["conversion"] = conversion
        d.attrs["unit"] = "volts"
        if offset is not None:
            d.attrs["offset"] = offset
        if cc is not None:
            g["channel_conversion"] = np.asarray(cc, "f4")
        if timestamps is not None:
            g["timestamps"] = timestamps
        else:
            g["starting_time"] = start
            g["starting_time"].attrs["rate"] = rate
    return make


AP = "/acquisition/AP"
ids = [str(100 + i) for i in range(CHANNELS)]

# ---- NWB, storage ----
x = traces()
nwb("contiguous.nwb", {AP: series(x, start=1.5)})
good("contiguous", "contiguous.nwb", x, layout="nwb", storage="contiguous", stream=AP, fs=30000.0, gain=1.0, offset=0.0, channel_ids=ids,
     segments=[[0, FRAMES, 1.5]], location1=[20.0, 10.0])
for name, how in {
    "gzip": dict(chunks=(128, 7), compression="gzip"),
    "gzip_edges": dict(chunks=(96, 4), compression="gzip"),
    "shuffle": dict(chunks=(130, 3), compression="gzip", shuffle=True),
    "all_filters": dict(chunks=(130, 5), compression="gzip", shuffle=True, fletcher32=True),
    "fletcher": dict(chunks=(64, 7), fletcher32=True),
    "fletcher_narrow": dict(chunks=(64, 2), fletcher32=True),
    "unfiltered": dict(chunks=(64, 7)),
    "one_channel_chunks": dict(chunks=(400, 1), compression="gzip"),
}.items():
    nwb(name + ".nwb", {AP: series(x, **how)})
    good(name, name + ".nwb", x, layout="nwb", storage="chunked", fs=30000.0)
for dtype in ("<f4", "<f8", "<i4", "|i1", "|u1", "<u2", "<u4", "<i8", "<f2"):
    y = traces(dtype)
    nwb(f"type_{dtype[1:]}.nwb", {AP: series(y, chunks=(100, 3), compression="gzip", shuffle=True)})
    good(f"type_{dtype[1:]}", f"type_{dtype[1:]}.nwb", y, storage="chunked")

# ---- NWB, meaning ----
nwb("names.nwb", {AP: series(x, conversion=1e-6, cc=np.arange(1, 8), offset=0.001)}, names=True)
good("names", "names.nwb", x, channel_ids=[f"AP{i}" for i in range(CHANNELS)], gain=1.0, gain1=2.0, offset=1000.0)
nwb("openephys.nwb", {AP: series(x, conversion=1.95e-7, cc=[1.95e-7] * CHANNELS)})
with h5py.File(path("openephys.nwb"), "r+") as f:
    del f[AP + "/channel_conversion"]
    f[AP + "/channel_conversion"] = np.full(CHANNELS, 1.95e-7)
good("openephys", "openephys.nwb", x, gain=0.195)
nwb("transposed.nwb", {AP: series(np.ascontiguousarray(x.T))})
good("transposed", "transposed.nwb", x, storage="contiguous", time_axis=1)
nwb("transposed_gzip.nwb", {AP: series(np.ascontiguousarray(x.T), chunks=(3, 130), compression="gzip", shuffle=True)})
good("transposed_gzip", "transposed_gzip.nwb", x, storage="chunked", time_axis=1)
t = np.arange(FRAMES) / 30000.0 + 10
t[600:] += 2
nwb("gap.nwb", {AP: series(x, timestamps=t)})
good("gap", "gap.nwb", x, fs=30000.0, segments=[[0, 600, 10.0], [600, 400, float(t[600])]])
nwb("several.nwb", {AP: series(x), "/processing/ecephys/LFP/LF": series(x[::10], rate=3000.0)})
bad("several", "several.nwb", "INVALID", "/processing/ecephys/LFP/LF")
good("several_named", "several.nwb", x[::10], recording="/processing/ecephys/LFP/LF", fs=3000.0)
good("several_short", "several.nwb", x[::10], recording="LF", fs=3000.0)
bad("several_missing", "several.nwb", "NOT_FOUND", "/acquisition/AP", recording="nothing")
nwb("single.nwb", {AP: series(x[:, 0])}, n_electrodes=1)
good("single", "single.nwb", x[:, :1])
nwb("user_block.nwb", {AP: series(x, chunks=(128, 7), compression="gzip")}, userblock_size=512)
good("user_block", "user_block.nwb", x, storage="chunked")
nwb("user_block_contiguous.nwb", {AP: series(x)}, userblock_size=1024)
good("user_block_contiguous", "user_block_contiguous.nwb", x, storage="contiguous")

# ---- chunk indexes of the new format ----
for name, how in {
    "index_single": dict(chunks=(FRAMES, CHANNELS), compression="gzip"),
    "index_fixed": dict(chunks=(64, 3), compression="gzip"),
    "index_extensible": dict(chunks=(64, 3), compression="gzip", maxshape=(None, CHANNELS)),
    "index_btree2": dict(chunks=(64, 3), compression="gzip", maxshape=(None, None)),
}.items():
    nwb(name + ".nwb", {AP: series(x, **how)}, libver="latest")
    good(name, name + ".nwb", x, storage="chunked")

# ---- generic ----
with h5py.File(path("plain.h5"), "w") as f:
    f["wide/x"] = np.ascontiguousarray(x.T)
    f["line"] = x[:, 2]
    f.create_dataset("empty", (0, 4), "<i2", maxshape=(None, 4), chunks=(10, 4))
    f.create_dataset("no_channels", (50, 0), "<i2")
    f.create_dataset("cube", (5, 4, 3), "<i2")
    f["text"] = "hello"
    f["big_endian"] = x.astype(">i2")
    f.create_dataset("scaled", data=x.astype("<i4"), chunks=(128, 7), scaleoffset=0)
    f.create_dataset("never", (300, 3), "<i2", fillvalue=7)
    d = f.create_dataset("holes", (500, 6), "<i2", chunks=(64, 4), compression="gzip", fillvalue=-3)
    d[100:200, :3] = x[:100, :3]
    d = f.create_dataset("huge", (1 << 60, 4), "<i2", chunks=(1000, 4))
    f.create_dataset("many_chunks", (1 << 40, 4), "<i2", chunks=(10, 4))
    f["soft"] = h5py.SoftLink("/wide/x")
    f["dangling"] = h5py.SoftLink("/nowhere")
    f["loop"] = h5py.SoftLink("/loop")
    f["away"] = h5py.ExternalLink("contiguous.nwb", AP + "/data")
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    d = h5py.h5d.create(f.id, b"compact", h5py.h5t.STD_I16LE, h5py.h5s.create_simple((200, 4)), compact)
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(x[:200, :4]))
    holes, szip = f["holes"][...], h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP)
    if szip:
        f.create_dataset("szip", data=x, chunks=(128, 7), compression="szip")
    # The last partial chunks are stored as they are (H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS).
    library = ctypes.CDLL(next(line.split()[-1] for line in open("/proc/self/maps") if "libhdf5" in line and "_hl" not in line))
    library.H5Pset_chunk_opts.argtypes = [ctypes.c_int64, ctypes.c_uint]
with h5py.File(path("partial.h5"), "w", libver="latest") as f:
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_chunk((300, 4))
    dcpl.set_shuffle()
    dcpl.set_deflate(4)
    assert library.H5Pset_chunk_opts(dcpl.id, 2) >= 0
    d = h5py.h5d.create(f.id, b"x", h5py.h5t.STD_I16LE, h5py.h5s.create_simple(x.shape), dcpl)
    d.write(h5py.h5s.ALL, h5py.h5s.ALL, x)
with h5py.File(path("masked.h5"), "w") as f:
    # One chunk with its deflate skipped, as the library does with chunks that do not shrink.
    d = f.create_dataset("masked", x[:256].shape, "<i2", chunks=(128, 7), shuffle=True, compression="gzip")
    d[:128] = x[:128]
    planes = np.frombuffer(x[128:256].tobytes(), "u1").reshape(-1, 2).T
    d.id.write_direct_chunk((128, 0), planes.tobytes(), filter_mask=2)
with h5py.File(path("masked.h5"), "r") as f:
    assert (f["masked"][...] == x[:256]).all()


def plain(name, dataset, y, file="plain.h5", **more):
    good(name, file, y, **{**dict(layout="generic", dataset=dataset, sampling_frequency=20000.0, fs=20000.0), **more})


def refuse(name, dataset, status, message, file="plain.h5", **more):
    bad(name, file, status, message, **{**dict(dataset=dataset, sampling_frequency=20000.0), **more})


plain("wide", "/wide/x", x, axis=1, time_axis=1, storage="contiguous")
plain("soft", "/soft", x, axis=1)
plain("line", "/line", x[:, 2:3])
plain("empty", "/empty", np.zeros((0, 4), "<i2"))
plain("never", "/never", np.full((300, 3), 7, "<i2"))
plain("holes", "/holes", holes, storage="chunked")
plain("big_endian", "/big_endian", x, storage="helper")
plain("scaled", "/scaled", x.astype("<i4"), storage="helper")
plain("compact", "/compact", x[:200, :4], storage="helper")
plain("partial", "/x", x, file="partial.h5", storage="chunked")
plain("masked", "/masked", x[:256], file="masked.h5", storage="chunked")
if szip:
    plain("szip", "/szip", x, storage="helper")
refuse("no_channels", "/no_channels", "CORRUPT", "no channels")
refuse("cube", "/cube", "UNSUPPORTED", "3 dimensions")
refuse("text", "/text", "UNSUPPORTED", "numbers")
refuse("group", "/wide", "INVALID", "not a dataset")
refuse("missing", "/wide/y", "NOT_FOUND", "/wide/y")
refuse("dangling", "/dangling", "NOT_FOUND", "/nowhere")
refuse("loop", "/loop", "UNSUPPORTED", "links")
refuse("away", "/away", "UNSUPPORTED", "another file")
refuse("huge", "/huge", "CORRUPT", "dimension")
refuse("many_chunks", "/many_chunks", "TOO_LARGE", "chunks")
refuse("no_rate", "/line", "INVALID", "sampling_frequency", sampling_frequency=0)
bad("unnamed", "plain.h5", "UNSUPPORTED", "/big_endian")

# ---- the other compressors ----
codec_fixtures.make(path("codecs.h5"), traces,
                    lambda name, y, filters: plain("codec_" + name, "/" + name, y, file="codecs.h5", storage="chunked", filters=filters))

# ---- files that point at other files ----
with open(path("secret.bin"), "wb") as f:
    f.write(b"secret" * 1000)
with h5py.File(path("external.h5"), "w") as f:
    f.create_dataset("x", (100, 4), "<i2", external=[(path("secret.bin"), 0, 800)])
refuse("external", "/x", "UNSUPPORTED", "other files", file="external.h5")
layout = h5py.VirtualLayout((FRAMES, CHANNELS), "<i2")
layout[:] = h5py.VirtualSource(path("contiguous.nwb"), AP + "/data", (FRAMES, CHANNELS))
with h5py.File(path("virtual.h5"), "w", libver="latest") as f:
    f.create_virtual_dataset("x", layout)
refuse("virtual", "/x", "UNSUPPORTED", "virtual", file="virtual.h5")


def away(g):
    g["data"] = h5py.ExternalLink("contiguous.nwb", AP + "/data")
    g["starting_time"] = 0.0
    g["starting_time"].attrs["rate"] = 30000.0


nwb("linked.nwb", {AP: away})
bad("linked", "linked.nwb", "UNSUPPORTED", "another file")

# ---- damaged ----
whole = open(path("gzip.nwb"), "rb").read()
open(path("truncated.nwb"), "wb").write(whole[: len(whole) // 2])
bad("truncated", "truncated.nwb", "CORRUPT", "truncated")
open(path("text.h5"), "w").write("this is not HDF5\n" * 200)
bad("text_file", "text.h5", "CORRUPT", "not an HDF5 file")
open(path("nothing.h5"), "w")
bad("no_bytes", "nothing.h5", "CORRUPT", "not an HDF5 file")
open(path("old.mat"), "wb").write(b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(200))
bad("matlab5", "old.mat", "UNSUPPORTED", "MATLAB 5.0")
for name, rate in (("rate_nan", float("nan")), ("rate_zero", 0.0), ("rate_inf", float("inf"))):
    nwb(name + ".nwb", {AP: series(x, rate=rate)})
    bad(name, name + ".nwb", "CORRUPT", "rate")
nwb("electrodes.nwb", {AP: series(x)}, n_electrodes=5)
bad("electrodes", "electrodes.nwb", "CORRUPT", "electrodes list 5")
nwb("no_time.nwb", {AP: lambda g: g.create_dataset("data", data=x)})
bad("no_time", "no_time.nwb", "CORRUPT", "neither")
nwb("no_series.nwb", {})
t[:] = np.arange(FRAMES) / 30000.0 + 10
number = np.arange(FRAMES) + 123456789
number[300:] += 15  # a pause that the time stamps do not show
nwb("sync.nwb", {AP: series(x, timestamps=t)})
with h5py.File(path("sync.nwb"), "r+") as f:
    f[AP + "/sync"] = number
good("sync", "sync.nwb", x, fs=30000.0, segments=[[0, 300, 10.0], [300, 700, float(t[300])]])
nwb("sync_short.nwb", {AP: series(x, timestamps=t)})
with h5py.File(path("sync_short.nwb"), "r+") as f:
    f[AP + "/sync"] = number[1:]
bad("sync_short", "sync_short.nwb", "CORRUPT", "999 frame numbers")
bad("no_series", "no_series.nwb", "NOT_FOUND", "no ElectricalSeries")
nwb("text_data.nwb", {AP: lambda g: g.create_dataset("data", data="hello")})
bad("text_data", "text_data.nwb", "UNSUPPORTED", "numbers")

# ---- other layouts, a file for each family ----
import fixtures_lab  # noqa: E402, F401
import fixtures_mea  # noqa: E402, F401

write_manifest()
