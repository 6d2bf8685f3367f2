# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: daemons on private runtime directories, clients, and recordings that are made once.

The program: $SPIKED_BINARY, else build/spiked. Every wait has an end.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "clients" / "python"), str(ROOT / "tests" / "groundtruth"), str(Path(__file__).resolve().parent)]
os.environ.setdefault("SPIKED_BINARY", str(ROOT / "build" / "spiked"))

import spiked  # noqa: E402
from generate import Recipe, blocks, units_of  # noqa: E402
from spiked import errors, wire  # noqa: E402
from units import probe  # noqa: E402
from write_nwb import NwbWriter  # noqa: E402

FS = 30000.0
GAIN_UV = 0.195
WAIT_S = 30.0


def pytest_configure(config: pytest.Config) -> None:
    # Started in the background of a script we inherit an ignored SIGINT, and nothing here could be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("filterwarnings", "ignore:.*has gaps")


def wait_until(what: str, condition: Callable[[], Any], timeout: float = WAIT_S) -> Any:
    """Asks again and again until the answer is true; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
    pytest.fail(f"not within {timeout:g} s: {what}")


@dataclass
class RecordingFile:
    """A recording on disk and what is in it.

    segments: int16 arrays (frames, channels).
    """

    path: Path
    segments: List[np.ndarray] = field(default_factory=list)
    seed: int = 0

    @property
    def traces(self) -> np.ndarray:
        return self.segments[0]


class Raw:
    """Requests as bytes: one connection, any header."""

    def __init__(self, url: str):
        self.connection = wire.Connection(url)
        self.connection.sock.settimeout(WAIT_S)

    def send(self, header: Dict[str, Any], arrays: Sequence[np.ndarray] = (), request_id: Optional[bytes] = None
             ) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
        """The reply's header and arrays. `header` is sent as it is; the descriptors are the caller's."""
        request_id = request_id or os.urandom(16)
        got, reply, out = wire.decode(self.connection.exchange(wire.encode(request_id, header, arrays)))
        assert got == request_id
        return reply, out

    def fail(self, header: Dict[str, Any], arrays: Sequence[np.ndarray] = (), request_id: Optional[bytes] = None) -> spiked.SpikedError:
        """The error of a request that must fail."""
        reply, _ = self.send(header, arrays, request_id)
        assert reply["status"] != "OK", reply
        return errors.from_reply(reply)

    def close(self) -> None:
        self.connection.close()


@pytest.fixture(scope="session")
def daemon() -> Iterator[spiked.Daemon]:
    with spiked.launch(options={"compute.threads": 2, "log.level": "info"}) as client:
        yield client.daemon


@pytest.fixture
def client(daemon: spiked.Daemon) -> Iterator[spiked.Client]:
    with spiked.Client(daemon.url) as c:
        yield c


@pytest.fixture
def raw(daemon: spiked.Daemon) -> Iterator[Raw]:
    r = Raw(daemon.url)
    yield r
    r.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


def _make(seed: int, channels: int, seconds: float) -> np.ndarray:
    recipe = Recipe(channels=channels, seconds=seconds, units=max(1, channels // 3), seed=seed, common_uV=6.0, lfp_uV=40.0)
    return np.concatenate(list(blocks(recipe, units_of(recipe))))


@pytest.fixture(scope="session")
def nwb(folder: Path) -> RecordingFile:
    """19 channels (more than one tile of 16), 2.3 s, gzip chunks, one segment."""
    x = _make(11, 19, 2.3)
    with NwbWriter(folder / "one.nwb", len(x), probe(19), FS, GAIN_UV * 1e-6, chunks=(3000, 19), compression=2) as w:
        w.append(x)
    return RecordingFile(folder / "one.nwb", [x], 11)


@pytest.fixture(scope="session")
def gapped(folder: Path) -> RecordingFile:
    """6 channels, contiguous, time stamps with two gaps: three segments."""
    x = _make(12, 6, 2.0)
    t = np.arange(len(x)) / FS
    t[20000:] += 1.0
    t[45000:] += 0.25
    with NwbWriter(folder / "gaps.nwb", len(x), probe(6), FS, GAIN_UV * 1e-6, timestamps=t, ids=[f"e{c}" for c in range(6)]) as w:
        w.append(x)
    return RecordingFile(folder / "gaps.nwb", [x[:20000], x[20000:45000], x[45000:]], 12)


@pytest.fixture(scope="session")
def endless(folder: Path) -> Path:
    """384 channels, 10 min of zeros that take no room on the disk: a request on it takes many seconds."""
    n = int(600 * FS)
    with NwbWriter(folder / "endless.nwb", 0, probe(384), FS, 1e-6) as _:
        pass
    with h5py.File(folder / "endless.nwb", "r+") as f:
        series = f["acquisition/ElectricalSeries"]
        attributes = dict(series["data"].attrs)
        del series["data"]
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        h5py.h5d.create(series.id, b"data", h5py.h5t.STD_I16LE, h5py.h5s.create_simple((n, 384)), dcpl=how)
        series["data"].attrs.update(attributes)
    return folder / "endless.nwb"


LONG = dict(noise_levels=1.0, preprocess=[spiked.bandpass(300, 6000, order=8), spiked.common_reference("median")])


def long_request(path: Path) -> Dict[str, Any]:
    """Header of a detect that takes many seconds."""
    return {"op": "detect", "params": {"file": str(path), "preprocess": LONG["preprocess"]},
            "arrays": [wire.describe("noise_levels", np.ones(1))]}


def is_idle(client: spiked.Client) -> bool:
    stats = client.stats()
    return stats["running"] == 0 and stats["queued"] == 0


def is_running(client: spiked.Client) -> bool:
    return client.stats()["running"] > 0
