# SPDX-License-Identifier: BSD-3-Clause
"""Writes raw recordings as SpikeGLX and Open Ephys lay them out: flat int16 and text beside it."""
import json
from pathlib import Path

import numpy as np

# part number: (type, gains in imroTbl, imMaxInt, imAiRangeMax, contacts (even x, odd x, pitch x, pitch y), pitch of shanks)
PROBES = {
    "NP1000": (0, True, 512, 0.6, (43, 11, 32, 20), 0),
    "NP1010": (0, True, 512, 0.6, (27, 11, 32, 20), 0),
    "NP1030": (1030, True, 512, 0.6, (27, 11, 87, 20), 0),
    "NP2000": (21, False, 8192, 0.5, (27, 27, 32, 15), 0),
    "NP2010": (24, False, 8192, 0.5, (27, 27, 32, 15), 250),
    "NP2003": (2003, False, 2048, 0.62, (27, 27, 32, 15), 0),
    "NP2013": (2013, False, 2048, 0.62, (27, 27, 32, 15), 250),
}
FIXED = {"NP2000": 80, "NP2010": 80, "NP2003": 100, "NP2013": 100}


def ranges(channels):
    """[0, 1, 2, 7] -> "0:2,7"."""
    out, start = [], 0
    channels = list(channels)
    for i in range(1, len(channels) + 1):
        if i == len(channels) or channels[i] != channels[i - 1] + 1:
            out.append(str(channels[start]) if i - start == 1 else f"{channels[start]}:{channels[i - 1]}")
            start = i
    return ",".join(out)


def spikeglx(folder, x, part="NP1010", kind="ap", saved=None, sync=True, probe=0, map_of="geometry", run="run_g0_t0", rate=None, gain_keys=True,
             first_sample=0, **changes):
    """One file pair of a probe. x: (frames, channels), the last channel being sync if there is one. `saved`: readout channels in the file (default all
    384). changes: keys of the metadata to replace, or with None to leave out. Returns the .bin and what a reader must find."""
    number, per_channel, max_int, volts, contacts, pitch = PROBES[part]
    saved = list(range(384)) if saved is None else list(saved)
    assert x.shape[1] == len(saved) + sync
    two = number in (21, 24) or number >= 2000
    nlf = 0 if two else 384
    rng = np.random.default_rng(number)
    ap = rng.choice([250, 500, 1000], 384) if per_channel else np.full(384, FIXED[part])
    lf = rng.choice([50, 125, 250], 384)
    shank = np.arange(384) // 96 % 4 if pitch else np.zeros(384, int)
    row, column = np.arange(384) // 2, np.arange(384) % 2
    place = np.stack([shank * pitch + column * contacts[2] + np.where(row % 2, contacts[1], contacts[0]), row * contacts[3]], axis=1).astype(float)
    original = [c + (384 if kind == "lf" else 0) for c in saved] + [384 + nlf] * sync
    names = [f"{kind.upper()}{c}" for c in saved] + ["SY0"] * sync
    counts = (len(saved), 0, int(sync)) if kind == "ap" else (0, len(saved), int(sync))
    rate = rate or (30000.123 if kind == "ap" else 2500.01025)
    path = Path(folder) / f"{run}.imec{probe}.{kind}.bin"
    np.ascontiguousarray(x, "<i2").tofile(path)
    if per_channel:
        imro = f"({number},384)" + "".join(f"({c} 0 0 {ap[c]} {lf[c]} 1)" for c in range(384))
    elif pitch:
        imro = f"({number},384)" + "".join(f"({c} {shank[c]} 0 0 {c})" for c in range(384))
    else:
        imro = f"({number},384)" + "".join(f"({c} 1 0 {c})" for c in range(384))
    meta = {
        "acqApLfSy": f"384,{nlf},1", "appVersion": "20230905", "fileName": f"D:/data/{path.name}", "fileSizeBytes": path.stat().st_size,
        "fileTimeSecs": len(x) / rate, "firstSample": first_sample, "imAiRangeMax": volts, "imAiRangeMin": -volts, "imDatPrb_pn": part,
        "imDatPrb_type": number, "imMaxInt": max_int, "imSampRate": rate, "nSavedChans": x.shape[1], "snsApLfSy": "%d,%d,%d" % counts,
        "snsSaveChanSubset": ranges(original), "typeThis": "imec", "~imroTbl": imro,
        "~snsChanMap": f"({counts[0]},{counts[1]},1)" + "".join(f"({n};{i}:{i})" for i, n in enumerate(names)),
    }
    if not per_channel and gain_keys:
        meta["imChan0apGain"] = FIXED[part]
    if map_of == "geometry":
        meta["~snsGeomMap"] = f"({part},{4 if pitch else 1},{pitch},70)" + "".join(
            f"({shank[c]}:{column[c] * contacts[2] + (contacts[1] if row[c] % 2 else contacts[0])}:{row[c] * contacts[3]}:1)" for c in saved)
    elif map_of == "shanks":
        meta["~snsShankMap"] = f"({4 if pitch else 1},2,{480 if number == 0 else 640})" + "".join(f"({shank[c]}:{column[c]}:{row[c]}:1)" for c in saved)
    meta.update(changes)
    path.with_suffix(".meta").write_text("".join(f"{k}={v}\n" for k, v in meta.items() if v is not None))
    gains = 1e6 * volts / max_int / (ap if kind == "ap" else lf if nlf else ap)[saved]
    group, cycles = (32, 16) if two else (24, 13)
    return path, dict(traces=x[:, :len(saved)], ids=names[:len(saved)], gains=gains, places=place[saved], rate=rate,
                      shifts=np.array(saved) % group // 2 / cycles)


def nidq(folder, x, counts=(2, 1, 3, 1), rate=25000.5, run="run_g0_t0", **changes):
    """A NI card: MN, MA, XA, digital words."""
    path = Path(folder) / f"{run}.nidq.bin"
    np.ascontiguousarray(x, "<i2").tofile(path)
    mn, ma, xa, dw = counts
    names = [f"MN{i}" for i in range(mn)] + [f"MA{i}" for i in range(ma)] + [f"XA{i}" for i in range(xa)] + [f"XD{i}" for i in range(dw)]
    meta = {"fileName": f"D:/data/{path.name}", "fileSizeBytes": path.stat().st_size, "firstSample": 0, "nSavedChans": x.shape[1], "niAiRangeMax": 5,
            "niMAGain": 7, "niMNGain": 200, "niSampRate": rate, "snsMnMaXaDw": "%d,%d,%d,%d" % counts, "snsSaveChanSubset": "all", "typeThis": "nidq",
            "~snsChanMap": "(%d,%d,1,%d,%d)" % counts + "".join(f"({n};{i}:{i})" for i, n in enumerate(names))}
    meta.update(changes)
    path.with_suffix(".meta").write_text("".join(f"{k}={v}\n" for k, v in meta.items() if v is not None))
    gains = 5e6 / 32768 / np.array([200] * mn + [7] * ma + [1] * xa)
    return path, dict(traces=x[:, :mn + ma + xa], ids=names[:mn + ma + xa], gains=gains, rate=rate)


def open_ephys(folder, streams, old=False, events=True):
    """streams: list of dict(name, x, rate, channels=[(name, bit_volts, units)], numbers (frames,), seconds (frames,) or None). Returns structure.oebin."""
    folder = Path(folder) / "Record Node 101" / "experiment1" / "recording1"
    listed = []
    for i, s in enumerate(streams):
        where = folder / "continuous" / s["name"]
        where.mkdir(parents=True)
        np.ascontiguousarray(s["x"], "<i2").tofile(where / "continuous.dat")
        numbers = np.asarray(s["numbers"], "<i8")
        np.save(where / ("timestamps.npy" if old else "sample_numbers.npy"), numbers)
        if not old:
            np.save(where / "timestamps.npy", np.asarray(s["seconds"] if s.get("seconds") is not None else numbers / s["rate"], "<f8"))
        listed.append({"folder_name": s["name"] + "/", "sample_rate": s["rate"], "stream_name": s["name"].split(".")[-1], "source_processor_id": 100 + i,
                       "source_processor_name": "Source", "recorded_processor": "Record Node", "recorded_processor_id": 101,
                       "num_channels": len(s["channels"]), "channels": [{"channel_name": n, "bit_volts": b, "units": u, "description": "", "identifier": "",
                                                                         "history": ""} for n, b, u in s["channels"]]})
    (folder / "structure.oebin").write_text(json.dumps({"GUI version": "0.6.4", "continuous": listed, "events": [], "spikes": []}, indent=4))
    return folder / "structure.oebin"
