#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the first corpus of each fuzz target: seeds.py DIRECTORY. From tests/golden, the shipped configuration and the tables of SPEC.md."""
import json
import struct
import sys
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
