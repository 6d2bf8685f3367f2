# SPDX-License-Identifier: BSD-3-Clause
"""Wrong requests: the exception, what it says, and that the next request works."""

import os
import struct

import h5py
import numpy as np
import pytest
import spiked
from conftest import FS, WAIT_S, Raw
from spiked import wire


@pytest.fixture(scope="module")
def bad(tmp_path_factory, nwb):
    """Files that are not recordings."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.h5").write_text("time,voltage\n0,1\n" * 100)
    (folder / "empty.h5").write_bytes(b"")
    whole = nwb.path.read_bytes()
    (folder / "truncated.nwb").write_bytes(whole[: len(whole) // 2])
    (folder / "damaged.nwb").write_bytes(whole[:48] + os.urandom(2000) + whole[2048:])
    os.mkfifo(folder / "fifo.h5")
    with h5py.File(folder / "plain.h5", "w") as f:
        f["three"] = np.zeros((4, 5, 6), "<i2")
        f["scalar"] = 1.0
        f["text"] = ["a", "b"]
        f["raw"] = np.zeros((100, 4), "<i2")
    return folder


OPEN = [
    ("nowhere.nwb", {}, spiked.NotFound, "does not exist"),
    ("text.h5", {}, spiked.Corrupt, "not an HDF5 file"),
    ("empty.h5", {}, spiked.Corrupt, ""),
    ("truncated.nwb", {}, spiked.Corrupt, "truncated"),
    ("damaged.nwb", {}, spiked.Corrupt, ""),
    ("fifo.h5", {}, spiked.Invalid, "not a regular file"),
    (".", {}, spiked.Invalid, "not a regular file"),
    ("plain.h5", {"dataset": "nothing/here", "sampling_frequency": FS}, spiked.NotFound, "no object /nothing"),
    ("plain.h5", {"dataset": "three", "sampling_frequency": FS}, (spiked.Invalid, spiked.Unsupported), "three"),
    ("plain.h5", {"dataset": "scalar", "sampling_frequency": FS}, (spiked.Invalid, spiked.Unsupported), "scalar"),
    ("plain.h5", {"dataset": "text", "sampling_frequency": FS}, (spiked.Invalid, spiked.Unsupported), "text"),
    ("plain.h5", {"dataset": "raw"}, spiked.Invalid, "sampling_frequency"),
    ("plain.h5", {"dataset": "raw", "sampling_frequency": -1}, spiked.Invalid, "sampling_frequency"),
    ("plain.h5", {"dataset": "raw", "sampling_frequency": FS, "time_axis": 2}, spiked.Invalid, "time_axis"),
]


@pytest.mark.parametrize("name, how, kind, message", OPEN, ids=[f"{o[0]} {o[1].get('dataset', '')}".strip() + f" {i}" for i, o in enumerate(OPEN)])
def test_open(client, bad, name, how, kind, message):
    with pytest.raises(kind, match=message) as e:
        client.open(bad / name, **how)
    assert e.value.message and (e.value.field or not isinstance(e.value, spiked.Invalid)), e.value
    assert client.ping() > 0


def test_open_needs_an_absolute_path(raw):
    e = raw.fail({"op": "open", "params": {"file": "relative.nwb"}})
    assert isinstance(e, spiked.Invalid) and "absolute" in e.message


def test_wrong_stream(client, nwb):
    with pytest.raises(spiked.NotFound, match="Nothing"):
        client.open(nwb.path, recording="/acquisition/Nothing")


READ = [({"start": -1}, "start"), ({"stop": 10**7}, "stop"), ({"start": 20, "stop": 10}, "start"), ({"channels": [19]}, "channels"),
        ({"channels": [-1]}, "channels"), ({"segment": 1}, "segment")]


@pytest.mark.parametrize("how, field", READ, ids=lambda v: str(v))
def test_read(client, nwb, how, field):
    rec = client.open(nwb.path)
    with pytest.raises(spiked.Invalid) as e:
        rec.read(**how)
    assert field in e.value.field, e.value
    assert len(rec.read(0, 5)) == 5


DETECT = [
    ({"detect_threshold": 0}, "detect_threshold", "above 0"),
    ({"detect_threshold": -5}, "detect_threshold", "above 0"),
    ({"detect_threshold": float("nan")}, "detect_threshold", "finite"),
    ({"detect_threshold": float("inf")}, "detect_threshold", "finite"),
    ({"exclude_sweep_ms": -1}, "exclude_sweep_ms", "at least 0"),
    ({"exclude_sweep_ms": float("nan")}, "exclude_sweep_ms", "finite"),
    ({"peak_sign": "negative"}, "peak_sign", "neg, pos, both"),
    ({"method": "locally_inclusive"}, "method", "by_channel"),
    ({"method": "locally_exclusive", "radius_um": -1}, "radius_um", "at least 0"),
    ({"method": "locally_exclusive", "radius_um": float("inf")}, "radius_um", "finite"),
    ({"method": "locally_exclusive", "channel_locations": np.zeros((18, 2))}, "channel_locations", "18 locations for 19 channels"),
    ({"method": "locally_exclusive", "channel_locations": np.zeros((19, 4))}, "channel_locations", "(channels, 2 or 3)"),
    ({"method": "locally_exclusive", "channel_locations": np.full((19, 3), np.nan)}, "channel_locations", "channel 0"),
    ({"noise_levels": [1.0, 2.0]}, "noise_levels", "2 noise levels for 19 channels"),
    ({"noise_levels": [0.0] * 19}, "noise_levels", "channel 0"),
    ({"noise_levels": [1.0] * 18 + [float("nan")]}, "noise_levels", "channel 18"),
    ({"preprocess": [spiked.bandpass(300, 15000)]}, "preprocess[0].freq_max", "half the sampling rate"),
    ({"preprocess": [spiked.highpass(20000)]}, "preprocess[0].freq_min", "half the sampling rate"),
    ({"preprocess": [spiked.bandpass(6000, 300)]}, "preprocess[0].freq_max", "not above freq_min"),
    ({"preprocess": [spiked.common_reference("mode")]}, "preprocess[0].operator", "median, average"),
    ({"preprocess": [spiked.common_reference(), spiked.bandpass(order=9)]}, "preprocess[1].order", "1 to 8"),
    ({"preprocess": [{"stage": "bandsaw"}]}, "preprocess[0].stage", "bandpass"),
    ({"preprocess": [{"stage": "highpass", "freqmin": 300}]}, "preprocess[0].freqmin", "no such parameter"),
    ({"preprocess": [spiked.highpass()] * 17}, "preprocess", "17 stages"),
    ({"seed": -1}, "seed", "integer from 0"),
]


@pytest.mark.parametrize("how, field, message", DETECT, ids=[f"{d[1]} {i}" for i, d in enumerate(DETECT)])
def test_detect(client, nwb, how, field, message):
    rec = client.open(nwb.path)
    with pytest.raises(spiked.Invalid) as e:
        rec.detect_peaks(**how)
    assert e.value.field == field and message in str(e.value), (e.value.field, str(e.value))
    assert client.ping() > 0


@pytest.mark.parametrize("x, message", [(np.zeros((2, 3, 4)), "3 dimensions"), (np.float64(1), "0 dimensions"), (np.zeros((4, 3), bool), "b1"),
                                        (np.zeros((4, 3), "<c8"), "c8"), (np.zeros((10, 0)), "0 channels")], ids=lambda v: getattr(v, "dtype", None))
def test_arrays_of_the_wrong_kind(client, x, message):
    for call in (lambda: client.reduce(x, "sum"), lambda: client.detect_peaks(x, FS)):
        with pytest.raises(spiked.Invalid, match=message):
            call()
    with pytest.raises(TypeError):
        client.reduce(np.array(["text"]), "sum")


@pytest.mark.parametrize("names, how, message", [("median", {}, "no reduction called median"), ([], {}, "1 to 16"), ("count_above", {}, "threshold"),
                                                 (["sum", "sum"], {}, "twice"), ("mad", {}, "sampling_frequency")])
def test_reduce(client, names, how, message):
    with pytest.raises(spiked.Invalid, match=message):
        client.reduce(np.zeros((10, 2)), names, **how)


# --- bytes that no client of ours sends ---

def describe(**changes):
    return {"name": "traces", "dtype": "<i2", "shape": [4, 2], "order": "C", "nbytes": 16, **changes}


DESCRIPTORS = [
    (describe(shape=[2**32, 2**32], nbytes="36893488147419103232"), "overflow"),
    (describe(shape=["18446744073709551615", 2], nbytes=16), "overflow"),
    (describe(shape=[-4, 2]), "integer >= 0"),
    (describe(shape=[4, 2.5]), "integer >= 0"),
    (describe(shape=4), "list"),
    (describe(shape=[1] * 9), "at most 8"),
    (describe(nbytes=18), "nbytes"),
    (describe(nbytes=-16), "nbytes"),
    (describe(shape=[4000, 2], nbytes=16000), "past the end"),
    (describe(dtype=">i2"), "dtype"),
    (describe(dtype="O"), "dtype"),
    (describe(order="K"), "order"),
    (describe(via="carrier pigeon"), "via"),
    (describe(offset=63), "offset"),
    (describe(name=""), "name"),
    (describe(name="n" * 64), "name"),
    (describe(via="memory", address="-1"), "address"),
    (describe(via="memory", address="18446744073709551615"), "overflow"),
    ("traces", "name"),
]


@pytest.mark.parametrize("descriptor, message", DESCRIPTORS, ids=[d[1] + f" {i}" for i, d in enumerate(DESCRIPTORS)])
def test_impossible_arrays(raw, descriptor, message):
    e = raw.fail({"op": "reduce", "params": {"operations": ["sum"]}, "arrays": [descriptor]}, [np.zeros((4, 2), "<i2")])
    assert isinstance(e, (spiked.Invalid, spiked.ProtocolError)) and message in e.message, e.message
    assert raw.send({"op": "ping"})[0]["status"] == "OK"


def test_the_same_name_twice(raw):
    e = raw.fail({"op": "reduce", "params": {"operations": ["sum"]}, "arrays": [describe(), describe()]}, [np.zeros((4, 2), "<i2")] * 2)
    assert isinstance(e, spiked.Invalid) and "twice" in e.message


def test_bytes_after_the_last_array(raw):
    e = raw.fail({"op": "ping"}, [np.zeros(4)])
    assert isinstance(e, spiked.ProtocolError) and "bytes" in e.message


HEADERS = [
    ({"op": "explode"}, spiked.NotFound, "explode"),
    ({"op": 5}, spiked.Invalid, "op must be a string"),
    ({}, spiked.Invalid, "op must be a string"),
    ({"op": "ping", "parms": {}}, spiked.Invalid, "unknown key parms"),
    ({"op": "ping", "params": {"loud": True}}, spiked.Invalid, "no such parameter"),
    ({"op": "ping", "params": []}, spiked.Invalid, "object"),
    ({"op": "ping", "class": "urgent"}, spiked.Invalid, "live, interactive or batch"),
    ({"op": "ping", "deadline_ms": 0}, spiked.Invalid, "deadline_ms"),
    ({"op": "ping", "deadline_ms": 10**12}, spiked.Invalid, "deadline_ms"),
    ({"op": "ping", "detach": "yes"}, spiked.Invalid, "detach"),
    ({"op": "cancel", "params": {"id": "xyz"}}, spiked.Invalid, "32 hex digits"),
    ({"op": "detect", "params": {}}, spiked.Invalid, "no file and no array"),
]


@pytest.mark.parametrize("header, kind, message", HEADERS, ids=[h[2] for h in HEADERS])
def test_headers(raw, header, kind, message):
    e = raw.fail(header)
    assert isinstance(e, kind) and message in str(e), str(e)
    assert raw.send({"op": "ping"})[0]["status"] == "OK"


def test_own_keys_may_start_with_x(raw):
    assert raw.send({"op": "ping", "x_note": 1, "params": {"x_more": [1, 2]}})[0]["status"] == "OK"


def prefix(**changes):
    values = {"magic": b"SPKD", "version": 1, "kind": 1, "id": os.urandom(16), "nheader": 13, "flags": 0, **changes}
    return struct.pack("<4sHH16sII", *values.values())


BODIES = [
    (b"", "shorter than its 32-byte prefix"),
    (b"SPKD", "shorter than its 32-byte prefix"),
    (prefix(magic=b"HTTP") + b'{"op":"ping"}', "does not start with SPKD"),
    (prefix(version=7) + b'{"op":"ping"}', "version 7"),
    (prefix(kind=2) + b'{"op":"ping"}', "requests, not replies"),
    (prefix(kind=9) + b'{"op":"ping"}', "kind 9"),
    (prefix(flags=4) + b'{"op":"ping"}', "flags"),
    (prefix(nheader=14) + b'{"op":"ping"}', "past the end"),
    (prefix(nheader=12) + b'{"op":"ping"}', "cannot be read"),
    (prefix(nheader=4) + b"[{}]", "not an object"),
    (prefix(nheader=28) + b'{"op":"ping","op":"shutdown"}'[:28], "cannot be read"),
    (prefix(nheader=200) + b"[" * 200, "nests deeper"),
]


@pytest.mark.parametrize("body, message", BODIES, ids=[b[1] + f" {i}" for i, b in enumerate(BODIES)])
def test_bodies(raw, client, body, message):
    _, header, _ = wire.decode(raw.connection.exchange([memoryview(body)] if body else []))
    assert header["status"] in ("PROTOCOL", "TOO_LARGE") and message in header["error"]["message"], header
    assert raw.send({"op": "ping"})[0]["status"] == "OK" and client.ping() > 0


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", bytes.fromhex("0053500000310000"), wire._HELLO_REQ + b"\x02" + bytes(8),
                                  wire._HELLO_REQ + b"\x01" + bytes(8), wire._HELLO_REQ + b"\x01" + b"\xff" * 8,
                                  wire._HELLO_REQ + b"\x01" + (40).to_bytes(8, "big") + bytes(40)],
                         ids=["http", "wrong side", "type byte", "size 0", "size 2^64", "nine tags"])
def test_bytes_that_are_not_sp_close_the_connection(client, daemon, data):
    import socket

    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(WAIT_S)
        s.connect(daemon.url[len("ipc://"):])
        s.sendall(data)
        got = b""
        while part := s.recv(100):
            got += part
        assert got in (b"", wire._HELLO_REP)
    assert client.ping() > 0


# --- limits ---

@pytest.fixture(scope="module")
def narrow(tmp_path_factory, nwb):
    """A daemon with small limits, one readable root, and no memory transfer."""
    root = tmp_path_factory.mktemp("root")
    (root / "inside.nwb").write_bytes(nwb.path.read_bytes())
    (root / "link.nwb").symlink_to(nwb.path)
    with spiked.launch(options={"compute.threads": 1, "memory.enabled": False, "limits.message_bytes": "1MiB", "limits.header_bytes": "8KiB",
                                "limits.result_bytes": "1MiB", "recordings.roots": root, "output.roots": root}) as c:
        yield c, root


def test_path_outside_the_roots(narrow, nwb):
    client, root = narrow
    for path in (nwb.path, root / "link.nwb", root / ".." / nwb.path.parent.name / nwb.path.name):
        with pytest.raises(spiked.Denied, match="outside the configured directories") as e:
            client.open(path)
        assert "recordings.roots" in e.value.hint
    assert client.open(root / "inside.nwb").num_channels == 19


def test_output_outside_the_roots(narrow, nwb):
    client, root = narrow
    with pytest.raises(spiked.Denied, match="outside") as e:
        client.open(root / "inside.nwb").detect_peaks(output=nwb.path.parent / "result.nwb")
    assert "output.roots" in e.value.hint and e.value.field == "output.file"
    assert not (nwb.path.parent / "result.nwb").exists()


def test_message_too_large(narrow):
    client, _ = narrow
    x = np.zeros((300000, 2), "<i2")
    with pytest.raises(spiked.TooLarge, match="do not fit in one message"):
        client.reduce(x, "sum")
    r = Raw(client.url)
    body = r.connection.exchange(wire.encode(os.urandom(16), {"op": "reduce", "arrays": [wire.describe("traces", x)]}, [x]))
    _, header, _ = wire.decode(body)
    assert header["status"] == "TOO_LARGE" and "limits.message_bytes" in header["error"]["hint"]
    assert r.send({"op": "ping"})[0]["status"] == "OK"
    r.close()


def test_header_too_large(narrow):
    r = Raw(narrow[0].url)
    e = r.fail({"op": "ping", "x_long": "x" * 9000})
    assert isinstance(e, spiked.TooLarge) and e.details["limit"] == 8192
    assert r.send({"op": "ping"})[0]["status"] == "OK"
    r.close()


def test_result_too_large(narrow):
    client, root = narrow
    rec = client.open(root / "inside.nwb")
    with pytest.raises(spiked.TooLarge, match="frames"):
        rec.read()
    with pytest.raises(spiked.TooLarge, match="peaks"):
        rec.detect_peaks(detect_threshold=0.01, exclude_sweep_ms=0)
    assert len(rec.read(0, 10)) == 10


def test_reply_larger_than_the_client_takes(raw, nwb):
    e = raw.fail({"op": "read", "params": {"file": str(nwb.path)}, "max_reply": 4096})
    assert isinstance(e, spiked.TooLarge) and "max_reply" in str(e) and e.details["limit"] == 4096


def test_memory_off_goes_inline(narrow):
    client, _ = narrow
    assert client._memory is False
    x = np.arange(200000, dtype="<i2").reshape(-1, 2)
    np.testing.assert_array_equal(client.reduce(x, "sum"), x.sum(axis=0))


# --- memory ---

def test_memory_that_cannot_be_read(raw, client):
    from spiked import memory

    x = np.zeros((50000, 2), "<i2")
    header = {"op": "reduce", "params": {"operations": ["sum"]}, "memory": memory.header()}
    wrong_cookie = {**memory.header(), "cookie": "00" * 16}
    wrong_pid = {**memory.header(), "pid": 1}
    for change, message in (({"memory": wrong_cookie}, "cookie"), ({"memory": wrong_pid}, "process 1"),
                            ({"arrays": [wire.describe("traces", x, 4096)]}, "cannot be used")):
        e = raw.fail({**header, "arrays": [wire.describe("traces", x, x.ctypes.data)], **change})
        assert isinstance(e, spiked.Unreachable) and message in e.message, e.message
    assert isinstance(raw.fail({"op": "reduce", "params": {"operations": ["sum"]}, "arrays": [wire.describe("traces", x, x.ctypes.data)]}),
                      spiked.Invalid)
    np.testing.assert_array_equal(client.reduce(x, "sum"), [0, 0])


# --- request ids ---

def test_a_repeated_id_gets_the_same_reply(raw, daemon):
    x = np.random.default_rng(41).normal(0, 1, (5000, 2))
    request_id = os.urandom(16)
    header = {"op": "reduce", "params": {"operations": ["std"]}, "arrays": [wire.describe("traces", x)]}
    first = bytes(raw.connection.exchange(wire.encode(request_id, header, [x])))
    other = Raw(daemon.url)
    assert bytes(other.connection.exchange(wire.encode(request_id, header, [x]))) == first
    e = other.fail({**header, "params": {"operations": ["mean"]}}, [x], request_id)
    assert isinstance(e, spiked.Invalid) and e.field == "id" and "another request" in e.message
    assert bytes(other.connection.exchange(wire.encode(request_id, header, [x]))) == first
    other.close()
