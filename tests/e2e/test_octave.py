# SPDX-License-Identifier: BSD-3-Clause
"""The MATLAB client in GNU Octave, against real daemons, with the Python client's results as expectation. And the golden messages, replayed in Python.

The program: $SPIKED_BINARY, else build/spiked.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients" / "python"))
os.environ.setdefault("SPIKED_BINARY", str(ROOT / "build" / "spiked"))
# Octave, pytest and three daemons share the machine; idle threads must not spin.

import spiked  # noqa: E402
from spiked import wire  # noqa: E402

FS = 20000
FRAMES, CHANNELS, FIRST_SEGMENT = 60000, 4, 40000
OCTAVE_TIMEOUT_S = 240
CHAIN = [spiked.bandpass(300, 6000), spiked.common_reference("median")]
TEXT = h5py.string_dtype()


# --- golden messages ---

GOLDEN = json.loads((ROOT / "tests" / "golden" / "messages.json").read_text())


def _golden_array(name: str, value: Any, descriptor: Dict[str, Any]) -> np.ndarray:
    dtype = wire.PEAK_DTYPE if descriptor["dtype"] == "peak" else np.dtype(descriptor["dtype"])
    rows = [tuple(r) for r in value] if descriptor["dtype"] == "peak" else value
    return np.asarray(np.array(rows, dtype).reshape(descriptor["shape"]), order=descriptor.get("order", "C"))


@pytest.mark.parametrize("message", GOLDEN["messages"], ids=lambda m: m["name"])
def test_golden_messages_in_python(message: Dict[str, Any]) -> None:
    frame = bytes.fromhex(message["tcp"])
    assert bytes.fromhex(message["ipc"]) == b"\x01" + frame
    assert int.from_bytes(frame[:8], "big") == len(frame) - 8
    assert int.from_bytes(frame[8:12], "big") == 1 << 31 | message["tag"]
    arrays = {d["name"]: _golden_array(d["name"], message["values"][d["name"]], d) for d in message["header"].get("arrays", ())}
    if message["kind"] == "request":
        assert b"".join(wire.encode(bytes.fromhex(message["id"]), message["header"], list(arrays.values()))) == frame[12:]
    else:
        request_id, header, got = wire.decode(memoryview(frame[12:]))
        assert request_id.hex() == message["id"] and header == message["header"] and list(got) == list(arrays)
        for name, a in arrays.items():
            assert got[name].dtype == a.dtype and np.array_equal(got[name], a)


# --- what Octave works on ---


def _signal() -> np.ndarray:
    """Noise of 10 counts with clear spikes of both signs, int16 (frames, channels)."""
    rng = np.random.default_rng(7)
    x = rng.normal(0, 10, (FRAMES, CHANNELS))
    shape = np.array([-20, -90, -160, -90, 30, 50, 20])
    for channel in range(CHANNELS):
        for i, at in enumerate(rng.choice(np.arange(50, FRAMES - 50, 100), 60, replace=False)):
            x[at : at + len(shape), channel] += shape if i % 4 else -shape
    return np.round(x).astype("<i2")


def _write_plain(path: Path, x: np.ndarray) -> None:
    i = np.arange(200000, dtype=np.int64)
    with h5py.File(path, "w") as f:
        f["traces"] = x
        f["transposed"] = np.ascontiguousarray(x.T)
        f["large"] = ((i[:, None] * 7 + np.arange(30) * 13) % 30000 - 15000).astype("<i2")


def _write_nwb(path: Path, x: np.ndarray) -> None:
    """Two segments: the timestamps jump to 12 s after FIRST_SEGMENT frames."""
    stamps = np.arange(FRAMES) / FS
    stamps[FIRST_SEGMENT:] += 12.0 - FIRST_SEGMENT / FS
    with h5py.File(path, "w") as f:
        f.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        f.create_dataset("session_start_time", data="2024-05-06T07:08:09+02:00", dtype=TEXT)
        table = f.create_group("general/extracellular_ephys/electrodes")
        table.attrs["neurodata_type"] = "DynamicTable"
        table["id"] = np.arange(CHANNELS, dtype="i4")
        table["rel_x"] = np.arange(CHANNELS, dtype="f4") * 20
        table["rel_y"] = np.arange(CHANNELS, dtype="f4") * 10
        table.create_dataset("channel_name", data=[f"AP{i}" for i in range(CHANNELS)], dtype=TEXT)
        series = f.create_group("acquisition/AP")
        series.attrs["neurodata_type"] = "ElectricalSeries"
        series.create_dataset("data", data=x, chunks=(4096, CHANNELS), compression="gzip").attrs.update(conversion=0.5e-6, unit="volts")
        series["timestamps"] = stamps
        series["electrodes"] = np.arange(CHANNELS, dtype="i4")
        series["electrodes"].attrs["table"] = table.ref


def _peaks(p: np.ndarray) -> Dict[str, Any]:
    """Doubles as hex of their bytes: Octave's jsondecode may round the last bit."""
    return {"count": len(p), "sample": p["sample_index"].tolist(), "channel": p["channel_index"].tolist(), "segment": p["segment_index"].tolist(),
            "amplitude": np.ascontiguousarray(p["amplitude"]).tobytes().hex()}


def _hex(a: np.ndarray) -> str:
    return np.ascontiguousarray(a, "<f8").tobytes().hex()


@pytest.fixture()
def fake_peers() -> Iterator[Dict[str, str]]:
    """Addresses of peers that are no daemons: name to URL."""
    hello = bytes.fromhex(GOLDEN["handshake"]["rep"])

    def take_request(peer: socket.socket) -> None:
        peer.sendall(hello)
        peer.recv(len(hello), socket.MSG_WAITALL)
        peer.recv(1 << 16)

    def silent(peer: socket.socket) -> None:
        take_request(peer)
        peer.recv(1)

    def half(peer: socket.socket) -> None:
        take_request(peer)
        peer.sendall(bytes(6))

    def nonsense(peer: socket.socket) -> None:
        take_request(peer)
        peer.sendall((100).to_bytes(8, "big") + bytes(100))
        peer.recv(1)

    replies: Dict[str, Callable[[socket.socket], None]] = {
        "garbage": lambda peer: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "silent": silent,
        "half": half,
        "nonsense": nonsense,
    }
    listeners: List[socket.socket] = []

    def serve(listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                peer = listener.accept()[0]
            except OSError:
                return
            with peer:
                try:
                    peer.settimeout(30)
                    answer(peer)
                except OSError:
                    pass

    urls = {}
    for name, answer in replies.items():
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        urls[name] = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
    yield urls
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture()
def octave() -> str:
    """The program, if it has tcpclient."""
    program = shutil.which("octave-cli")
    if program is None:
        pytest.skip("octave-cli is not installed")
    found = subprocess.run([program, "--no-gui", "--quiet", "--eval", "pkg load instrument-control"], capture_output=True, text=True, timeout=60)
    if found.returncode != 0:
        pytest.skip("Octave's package instrument-control is not installed")
    return program


@pytest.mark.filterwarnings("ignore")
def test_matlab_client_in_octave(octave: str, fake_peers: Dict[str, str], tmp_path: Path) -> None:
    x = _signal()
    (tmp_path / "inside").mkdir()
    _write_plain(tmp_path / "plain.h5", x)
    _write_nwb(tmp_path / "session.nwb", x)
    shutil.copy(tmp_path / "plain.h5", tmp_path / "inside" / "plain.h5")
    (tmp_path / "damaged.nwb").write_bytes((tmp_path / "session.nwb").read_bytes()[:20000])
    narrow = {"limits.message_bytes": "4MiB", "limits.client_bytes": "4MiB", "limits.total_bytes": "4MiB", "limits.header_bytes": "4KiB",
              "limits.result_bytes": "4MiB", "recordings.roots": tmp_path / "inside"}
    with spiked.launch() as sp, spiked.launch(options={"access.tcp": "read"}) as strict_sp, spiked.launch(options=narrow) as narrow_sp:
        assert sp.daemon and strict_sp.daemon and narrow_sp.daemon
        plain = sp.open(tmp_path / "plain.h5", dataset="/traces", sampling_frequency=FS, gain_uV=0.25, offset_uV=3.0)
        expected = {
            "plain": _peaks(plain.detect_peaks(preprocess=CHAIN)),
            "plain_noise": _hex(plain.noise_levels(preprocess=CHAIN)),
            "plain_mad": _hex(plain.noise_levels()),
            "nwb": _peaks(sp.open(tmp_path / "session.nwb").detect_peaks(peak_sign="both", preprocess=CHAIN)),
            "first_frames": x[:2].tolist(),
            "runtime_dir": str(Path(sp.daemon.url[len("ipc://") :]).parent),
            "strict": {"url": strict_sp.daemon.tcp_url, "token": strict_sp.daemon.token, "pid": strict_sp.daemon.pid},
            "narrow": {"url": narrow_sp.daemon.tcp_url, "token": narrow_sp.daemon.token},
            "fake": fake_peers,
        }
        (tmp_path / "expected.json").write_text(json.dumps(expected))
        env = dict(os.environ, SPIKED_TEST_DIR=str(tmp_path), SPIKED_URL=sp.daemon.tcp_url or "", SPIKED_TOKEN=sp.daemon.token or "")
        command = [octave, "--no-gui", "--quiet", str(ROOT / "clients" / "matlab" / "tests" / "run_tests.m")]
        try:
            done = subprocess.run(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=OCTAVE_TIMEOUT_S)
        except subprocess.TimeoutExpired as e:
            pytest.fail(f"Octave did not end within {OCTAVE_TIMEOUT_S} s:\n{(e.stdout or b'').decode(errors='replace')}")
        print(done.stdout)
        assert done.returncode == 0, done.stdout
        assert " 0 failed" in done.stdout
