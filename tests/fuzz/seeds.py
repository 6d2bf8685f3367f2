#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the first corpus of each fuzz target: seeds.py DIRECTORY. From tests/golden, the shipped configuration and the tables of SPEC.md."""
import json
import struct
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
out = Path(sys.argv[1])
REQ = bytes.fromhex("0053500000300000")


def save(target, name, data):
    (out / target).mkdir(parents=True, exist_ok=True)
    (out / target / name).write_bytes(data)


def body(header, tail=b"", kind=1):
    text = json.dumps(header, separators=(",", ":")).encode()
    data = struct.pack("<4sHH16sII", b"SPKD", 1, kind, bytes(range(16)), len(text), 0) + text
    return data + (bytes(-len(data) % 64) + tail if tail else b"")


ARRAY = {"name": "traces", "dtype": "<i2", "shape": [4, 2], "order": "C", "via": "inline", "nbytes": 16}
MEMORY = {"name": "peaks", "dtype": "peak", "shape": [1], "via": "memory", "address": "140000000000000", "nbytes": 32}
messages = {
    "ping": body({"op": "ping"}),
    "array": body({"op": "reduce", "params": {"operations": ["mean"]}, "arrays": [ARRAY]}, bytes(16)),
    "two": body({"op": "x", "arrays": [ARRAY, dict(ARRAY, name="b", order="F", offset=320)]}, bytes(80)),
    "memory": body({"op": "detect", "arrays": [dict(MEMORY, name="traces")], "outputs": [MEMORY],
                    "memory": {"pid": 1, "cookie_address": "4096", "cookie": "00" * 16}}),
    "deep": body({"x": [[[[[[{"a": [1.5e300, -1, True, None, "\u00e9\\\""]}]]]]]]}),
}
golden = json.loads((ROOT / "tests/golden/messages.json").read_text())
for entry in golden["messages"]:
    messages[f"golden-{entry['name']}"] = bytes.fromhex(entry["tcp"])[12:]  # behind size and request tag
    save("helper_reply", f"golden-{entry['name']}", messages[f"golden-{entry['name']}"])
for name, data in messages.items():
    save("message", name, data)
    for ipc in (0, 1):
        frame = (b"\x01" if ipc else b"") + struct.pack(">Q", 8 + len(data)) + b"\0\0\0\7\x80\0\0\1" + data
        save("sp", f"{name}-{ipc}", bytes([ipc, 7]) + REQ + frame * 2)
save("sp", "golden", bytes([1, 3]) + REQ + bytes.fromhex("01000000000000000980000001") + b"hello")

error = {"message": "cannot be read", "hint": "copy it", "field": "file"}
for name, header in {"ok": {"status": "OK", "code": 0, "result": {"a": 1}}, "bad": {"status": "CORRUPT", "code": 10, "error": error},
                     "busy": {"status": "BUSY", "error": error}, "none": {}}.items():
    save("helper_reply", name, body(header, kind=2))
save("helper_reply", "array", body({"status": "OK", "result": {}, "arrays": [ARRAY]}, bytes(16), kind=2))



def event_range(first, samples):
    return struct.pack("<qq", first, first + len(samples)) + struct.pack(f"<{len(samples)}h", *samples)


def record(channel, *ranges):
    return struct.pack("<ii", channel, sum(map(len, ranges))) + b"".join(ranges)


piece, other = event_range(100, [1, -2, 3]), event_range(120, [])
for name, block in {"one": record(-1, piece), "two": record(-1, piece, other) + record(7, event_range(130, list(range(40)))), "none": b"",
                    "short": record(0, piece)[:-1], "stranger": record(5, piece), "outside": record(0, event_range(99, [1]))}.items():
    save("sparse", name, bytes([3, 200, 0, 200]) + block)

save("config", "shipped", (ROOT / "config/spiked.conf").read_bytes())
save("config", "few", b"[limits]\nqueue = 12\nmessage_bytes = 1MiB ; why\n[compute]\nthreads=2\n")
save("config", "set", b"limits.deadline=5min")
params = {"file": "/a", "start": 0, "time_axis": 1, "detect_threshold": 5, "gain_uV": 0.195, "peak_sign": "both", "scaled": True, "operations": ["mean"],
          "output": {"file": "/b", "skip_done": True}, "x_mine": 1,
          "preprocess": [{"stage": "bandpass", "freq_min": 300, "freq_max": 6000.5, "order": 3, "zero_phase": False}, {"stage": "highpass"},
                         {"stage": "common_reference", "operator": "median"}]}
save("params", "all", json.dumps(params).encode())
for key, value in params.items():
    save("params", key, json.dumps({key: value}).encode())

KERNEL = '''@njit(parallel=True)
def detect(x: float64[:, :], threshold=5.0, sign=-1) -> int:
    """Counts."""
    n = 0
    for c, t in prange(x.shape[0]), range(1, 0x1F, 2):  # why
        if x[c, t] < -threshold and not (x[c, t - 1] <= x[c, t] < 3e-2j):
            n += 1; y[c, ::2, ...] = x[c][:t] @ w
        elif t == 1_000 or c ** -2 != ~t:
            continue
        else: break
    while n > 0: n //= 2
    a, b = [b, a], (1,)
    assert n >= 0, "no" 'text\\x41'
    return np.sum(x, axis=0) if n else None
'''
PROGRAMS = [
    "def f(a, b=2.0):\n    s = 0\n    for i in prange(len(a)):\n        s += a[i] * b\n    return s",
    "def f(a, b, c):\n    for i in prange(1, len(a)):\n        a[i] = 0.5 * a[i - 1] + b[i % 3]\n        if a[i] > c:\n            break\n    return a[::-1], a.sum()",
    "def g(x, y):\n    if x > y:\n        return x, y\n    return y, x\n\ndef f(a, b):\n    u, v = g(a[0], b)\n    t = []\n    while u > v:\n        u -= 1\n"
    "        t.append(u // 2)\n    return np.array(t), len(t)",
    "def f(a, b):\n    t = np.zeros((3, 4))\n    for i, row in enumerate(t):\n        row[:] = a[0] ** 2 + i\n        t[i, 1:] = t[i, :-1] * 2\n    def h(k):\n        return k @ k\n"
    "    return np.sum(t, axis=0), t.T[1:3, None], h(t[0]), np.sort(t[1])[-1], np.median(t[2])",
    "def f(a):\n    m = a[0]\n    k = -1\n    for i, v in zip(range(9, -1, -2), a):\n        if v < m or not np.isnan(v):\n            m, k = v, i\n        assert k != 7, 'x'\n"
    "    return int(m) if k else np.int16(a.max()) << 3",
]
EXPRESSIONS = ["3*a**2 + 2*a + 1", "where(a > b, sin(a) / b, a // 3 % b)", "sum(a * conj(b), axis=0) - mean(c)", "a[1:, ::2] & ~b | 7 ^ c", "arctan2(a, sqrt(abs(b))) + exp(-c)",
               "var(a, axis=(0, 1), keepdims=True, ddof=1)", "min(a) < max(b)", "(a == b) | (a != 0x1F)", "minimum(a, 1e300) << 2", "a.real.T + b.imag + 2j"]
REFUSED = ["f'{x}'", "[i for i in x]", "lambda: x", "a is None", "a := 1", "f(*a)", "{1: 2}", "yield x", "def f(*, a): pass", "a && b", "x\t= \\\n\u03bb"]
save("parse", "kernel", KERNEL.encode())
for number, line in enumerate(KERNEL.splitlines() + REFUSED):
    save("parse", f"line-{number}", line.strip().encode())
for number, text in enumerate(PROGRAMS + [KERNEL.replace("detect", "f")]):
    for kind, types in enumerate([b"\3\x19\x19\x0b", b"\2\x19\x0b", b"\1\x19", b"\2\x15\x07", b"\1\x27"]):
        save("program", f"kernel-{number}-{kind}", b"\2" + types + text.encode())
for number, text in enumerate(EXPRESSIONS):
    save("program", f"expression-{number}", b"\1\3\x19\x19\x0b" + text.encode())
    save("program", f"expression-{number}-wide", b"\1\3\x27\x15\x29" + text.encode())

# Streams of each decoder, behind the eight bytes that choose it (fuzz_codecs.c).
SAMPLES = bytes(i * i // 50 % 7 * 3 for i in range(2000))
LZF_RUN = b"\x03abcd\xe0\x20\x01\x20\x00\x00z"
LZ4_STORED = struct.pack(">QII", 16, 16, 16) + SAMPLES[:16]
ROOM = struct.pack("<HB", len(SAMPLES), 0)


def codec(name, which, stream, size=2, block=8, inner=0):
    save("codecs", name, bytes([which, size, size, block, inner]) + ROOM + stream)


codec("deflate", 0, zlib.compress(SAMPLES))
codec("shuffle", 1, SAMPLES)
codec("lzf", 2, LZF_RUN)
codec("lz4", 4, LZ4_STORED)
for inner in (0, 2, 3):
    codec(f"bitshuffle-{inner}", 5, SAMPLES if inner == 0 else struct.pack(">QII", 128, 128, 20) + SAMPLES[:20], inner=inner)
for number, flags in enumerate((0x01, 0x11, 0x21, 0x61, 0x81, 0x02 | 0x20)):
    codec(f"blosc-{number}", 3, struct.pack("<4BIII", 2, 1, flags, 2, 64, 64, 84) + struct.pack("<I", 20) + SAMPLES[:64])
try:
    import ctypes
    for number, n in enumerate((10, 600, 2000)):
        room, lz4, zstd = ctypes.create_string_buffer(4000), ctypes.CDLL("liblz4.so.1"), ctypes.CDLL("libzstd.so.1")
        k = lz4.LZ4_compress_default(SAMPLES[:n], room, n, 4000)
        codec(f"lz4-{n}", 4, struct.pack(">QII", n, n, k) + room.raw[:k])
        codec(f"bitshuffle-lz4-{n}", 5, struct.pack(">QII", n, n // 16 * 16, k) + room.raw[:k], inner=2)
        codec(f"zstd-{n}", 6, room.raw[:zstd.ZSTD_compress(room, ctypes.c_size_t(4000), SAMPLES[:n], ctypes.c_size_t(n), 3)])
        for inner in (b"blosclz", b"lz4", b"zlib", b"zstd"):
            k = ctypes.CDLL("libblosc.so.1").blosc_compress_ctx(5, 1, ctypes.c_size_t(2), ctypes.c_size_t(n), SAMPLES[:n], room, ctypes.c_size_t(4000), inner,
                                                                ctypes.c_size_t(0), 1)
            codec(f"blosc-{inner.decode()}-{n}", 3, room.raw[:max(k, 0)])
except OSError as error:
    print("seeds.py: without compressed chunks:", error)

# Texts beside raw recordings: SpikeGLX (1) and Open Ephys (0).
META = """typeThis=imec\nnSavedChans=4\nfileSizeBytes=800\nsnsApLfSy=3,0,1\nacqApLfSy=384,384,1\nsnsSaveChanSubset=0:1,3,768\nimSampRate=30000.5\nfirstSample=7
imAiRangeMax=0.6\nimMaxInt=512\nimDatPrb_pn=NP1010\nimDatPrb_type=0\nfileName=D:/a/run_g0_t0.imec1.ap.bin\n~imroTbl=(0,384)(0 0 0 500 250 1)(1 0 0 500 250 1)(2 0 0 1 2 1)(3 0 0 50 20 0)
~snsChanMap=(3,0,1)(AP0;0:0)(AP1;1:1)(AP3;2:2)(SY0;768:3)\n~snsGeomMap=(NP1010,1,0,70)(0:27:0:1)(0:59:0:1)(0:11:20:1)\n"""
NIDQ = """typeThis=nidq\nnSavedChans=5\nsnsMnMaXaDw=1,1,2,1\nsnsSaveChanSubset=all\nniSampRate=25000\nniAiRangeMax=5\nniMNGain=200\nniMAGain=1\n"""
for name, text in {"imec": META, "nidq": NIDQ, "two": META.replace("NP1010", "NP2013").replace("_type=0", "_type=2013"),
                   "shanks": META.replace("~snsGeomMap=(NP1010,1,0,70)", "~snsShankMap=(1,2,480)"), "obx": NIDQ.replace("nidq", "obx").replace("ni", "ob").replace("MnMa", "")
                   .replace("Dw=1,1,2,1", "DwSy=3,1,1").replace("1\n", "1\nobMaxInt=32768\n", 1)}.items():
    save("raw", name, b"\1" + text.encode())
CHANNELS = [{"channel_name": "CH1", "bit_volts": 0.195, "units": "uV"}, {"channel_name": "ADC1", "bit_volts": 1e-4, "units": ""}, {"channel_name": "X_SYNC", "bit_volts": 1}]
save("raw", "oebin", b"\0" + json.dumps({"continuous": [{"folder_name": "A-1.B/", "sample_rate": 30000.0, "num_channels": 3, "channels": CHANNELS}]}).encode())
