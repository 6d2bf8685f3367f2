# SPDX-License-Identifier: BSD-3-Clause
"""spikectl: what it prints, its exit codes, and batches that are interrupted by force."""
import hashlib
import json
import os
import random
import signal
import subprocess
import time
import warnings

import numpy as np
import pytest

import small_nwb
from hostile import BUILD, BINARY, PATIENCE, SEED, Daemon, Peer, endless, until, wait_running

import spiked

SPIKECTL = os.path.join(os.path.dirname(BINARY) if "SPIKED_BINARY" in os.environ else str(BUILD), "spikectl")
GOOD, REFUSED, USAGE, NO_DAEMON, INTERRUPTED = 0, 1, 2, 3, 130


class Ctl:
    """spikectl for one daemon."""

    def __init__(self, url, token=None):
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SPIKED_") or k in ("SPIKED_BUILD", "SPIKED_BINARY")}
        self.env["SPIKED_URL"] = url
        if token:
            self.env["SPIKED_TOKEN"] = token

    def start(self, *arguments, **more):
        return subprocess.Popen([SPIKECTL, *map(str, arguments)], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def __call__(self, *arguments, code=GOOD):
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == code, (arguments, process.returncode, out, err)
        assert "Sanitizer" not in err and "runtime error" not in err, err
        return out, err


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as d:
        yield d


@pytest.fixture(scope="module")
def ctl(daemon):
    return Ctl(daemon.urls["ipc"])


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return small_nwb.write(tmp_path_factory.mktemp("recording") / "a.nwb", small_nwb.traces(1))


# --- verbs ---

def test_ping(daemon, ctl):
    assert "answers in" in ctl("ping")[0]
    assert json.loads(ctl("ping", "--json")[0])["round_trip_us"] > 0
    over_tcp = Ctl(daemon.urls["tcp"], daemon.token)
    assert daemon.urls["tcp"] in over_tcp("ping")[0]


def test_info_and_stats(daemon, ctl):
    assert str(daemon.pid) in ctl("info")[0]
    assert json.loads(ctl("info", "--json")[0])["pid"] == daemon.pid
    assert "ping" in ctl("stats")[0]
    assert json.loads(ctl("stats", "--json")[0])["clients"] == 1


def test_open(ctl, recording):
    out, _ = ctl("open", recording)
    assert "channels     8" in out and "60000" in out and "nwb, /acquisition/AP" in out
    got = json.loads(ctl("open", recording, "--json")[0])
    assert got["num_channels"] == 8 and got["num_samples"] == 60000 and got["sampling_frequency"] == 30000


def test_reduce(ctl, recording):
    x = small_nwb.traces(1)
    got = json.loads(ctl("reduce", recording, "--ops", "sum,max,count_above", "--threshold", "50", "--json")[0])
    assert got["sum"] == x.sum(0, dtype="i8").tolist() and got["max"] == x.max(0).tolist() and got["count_above"] == (x > 50).sum(0).tolist()
    lines = ctl("reduce", recording, "--ops", "min")[0].splitlines()
    assert lines[0] == "channel\tmin" and [float(line.split("\t")[1]) for line in lines[1:]] == x.min(0).tolist()


def peaks_by_python(daemon, recording):
    stages = [spiked.bandpass(300, 6000), spiked.common_reference("median")]
    with spiked.connect(daemon.urls["ipc"]) as sp:
        return sp.open(recording).detect_peaks(preprocess=stages)


def test_detect(daemon, ctl, recording, tmp_path):
    wanted = peaks_by_python(daemon, recording)
    assert len(wanted) >= 15
    assert f"{len(wanted)} peaks on 8 channels" in ctl("detect", recording)[0]
    assert json.loads(ctl("detect", recording, "--json")[0])["result"]["num_peaks"] == len(wanted)
    ctl("detect", recording, "-o", tmp_path / "peaks.npy")
    got = np.load(tmp_path / "peaks.npy")
    assert got.dtype == spiked.PEAK_DTYPE and np.array_equal(got, wanted)
    none, _ = ctl("detect", recording, "--threshold", "1e9", "-o", tmp_path / "none.npy")
    assert none.startswith("0 peaks") and np.load(tmp_path / "none.npy").shape == (0,)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["none.npy", "peaks.npy"]


def test_detect_to_nwb(daemon, ctl, recording, tmp_path):
    h5py = pytest.importorskip("h5py")
    ctl("detect", recording, "-o", tmp_path / "out.nwb")
    with h5py.File(tmp_path / "out.nwb") as f:
        assert f.attrs["neurodata_type"] in ("NWBFile", b"NWBFile")
        frames = []
        f.visititems(lambda name, node: frames.append(node.shape) if getattr(node, "shape", None) == (len(peaks_by_python(daemon, recording)),) else None)
        assert frames, "no column has as many rows as there are peaks"
    assert [p.name for p in tmp_path.iterdir()] == ["out.nwb"]


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """With locations, and a large spike on channel 2 every tenth of a second: its neighbours at 20 um see a part of it."""
    h5py = pytest.importorskip("h5py")
    x = small_nwb.traces(2).astype(float)
    for at in range(1500, len(x) - 100, 3000):
        x[at:at + 30, 1:4] += -900 * np.exp(-0.5 * ((np.arange(30) - 10) / 3.0) ** 2)[:, None] * [0.5, 1, 0.5]
    path = small_nwb.write(tmp_path_factory.mktemp("placed") / "b.nwb", x.round().astype("<i2"))
    with h5py.File(path, "a") as f:
        f["general/extracellular_ephys/electrodes/rel_x"] = np.zeros(8, "f4")
        f["general/extracellular_ephys/electrodes/rel_y"] = np.arange(8, dtype="f4") * 20
    return path


@pytest.mark.parametrize("arguments, options", [
    (["--method", "locally_exclusive"], dict(method="locally_exclusive")),
    (["--method", "locally_exclusive", "--radius", "10"], dict(method="locally_exclusive", radius_um=10)),
    (["--unit", "uV", "--threshold", "200"], dict(threshold_unit="uV", detect_threshold=200)),
    (["--unit", "raw", "--threshold", "150.5", "--max-threshold", "700"], dict(threshold_unit="raw", detect_threshold=150.5, max_threshold=700)),
    (["--noise", "rms"], dict(noise_method="rms")),
    (["--noise", "quiroga", "--max-threshold", "20"], dict(noise_method="quiroga", max_threshold=20)),
    (["--dead-time", "80"], dict(dead_time_ms=80)), (["--max-rate", "2"], dict(max_rate=2)),
    (["--compat", "spikeinterface", "--method", "locally_exclusive"], dict(compat="spikeinterface", method="locally_exclusive")),
], ids=lambda a: " ".join(a) if isinstance(a, list) else "")
def test_detection_options(daemon, ctl, placed, tmp_path, arguments, options):
    """Each option is the parameter of that name, and makes a difference: the peaks are others without the last one."""
    stages = [spiked.bandpass(300, 6000), spiked.common_reference("median")]
    with spiked.connect(daemon.urls["ipc"]) as sp, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rec = sp.open(placed)
        without = dict(list(options.items())[:-1])
        plain, wanted = rec.detect_peaks(preprocess=stages, **without), rec.detect_peaks(preprocess=stages, **options)
    assert len(wanted) and not np.array_equal(plain, wanted)
    out, _ = ctl("detect", placed, *arguments, "-o", tmp_path / "peaks.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "peaks.npy"), wanted)
    assert out.startswith(f"{len(wanted)} peaks{' in' if 'threshold_unit' in options else ' on 8 channels in'}")
    if "dead_time_ms" in options:
        assert f"{len(plain) - len(wanted)} dropped by dead_time_ms" in out and "max_rate" not in out
    batch, _ = ctl("batch", placed, *arguments, "-o", tmp_path / "out")
    assert f"{len(wanted)} peaks" in batch


def test_detection_options_of_other_verbs(ctl, placed):
    for arguments in (["--noise", "rms"], ["--radius", "5"], ["--compat", "spikeinterface"]):
        assert f"{arguments[0]} is an option of detect and batch, not of reduce" in ctl("reduce", placed, *arguments, code=USAGE)[1]
    for arguments, field in ((["--method", "magic"], "method"), (["--max-rate", "-1"], "max_rate"), (["--unit", "mV"], "threshold_unit"),
                             (["--max-threshold", "2"], "max_threshold"), (["--compat", "kilosort"], "compat"), (["--noise", "iqr"], "noise_method")):
        assert field in ctl("detect", placed, *arguments, code=REFUSED)[1]


# --- exit codes ---

@pytest.mark.parametrize("arguments", [
    (), ("pong",), ("ping", "file"), ("open",), ("detect", "a", "b"), ("detect",), ("batch", "-o", "dir"), ("--no-such-option",), ("detect", "a", "--threshold", "x"),
    ("detect", "a", "--threshold", "nan"), ("detect", "a", "--seed", "-1"), ("detect", "a", "-o", "peaks.txt"), ("detect", "a", "--bandpass", "300"),
    ("batch", "a.nwb"), ("ping", "--timeout", "0"), ("batch", "x/a.nwb", "y/a.nwb", "-o", "dir"),
    ("detect", "a", "--radius", "far"), ("detect", "a", "--dead-time", "inf"), ("detect", "a", "--max-rate"), ("open", "a", "--unit", "uV"),
])
def test_usage(ctl, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ctl(*arguments, code=USAGE)[1]


@pytest.mark.parametrize("url", ["ipc:///nonexistent/spiked.sock", "tcp://127.0.0.1:1", "nonsense", "ipc://" + "/x" * 100])
def test_no_daemon(url):
    start = time.monotonic()
    assert Ctl(url)("ping", "--timeout", "1", code=NO_DAEMON)[1]
    assert time.monotonic() - start < 8


def test_refused(daemon, ctl, tmp_path):
    out, err = ctl("open", tmp_path / "nothing.nwb", code=REFUSED)
    assert "NOT_FOUND" in err and not out
    assert json.loads(ctl("open", tmp_path / "nothing.nwb", "--json", code=REFUSED)[0])["status"] == "NOT_FOUND"
    (tmp_path / "text.nwb").write_text("no HDF5")
    assert ctl("detect", tmp_path / "text.nwb", code=REFUSED)[1]
    assert "DENIED" in Ctl(daemon.urls["tcp"], "wrong")("ping", code=REFUSED)[1]


def test_daemon_that_ends_while_it_works():
    """kill -9 of the daemon: spikectl says so within seconds instead of waiting for its timeout."""
    d = Daemon()
    try:
        with Peer(d) as owner:
            owner.send_body(owner.request(endless()))  # the only lane: what comes now waits
            wait_running(d)
            process = Ctl(d.urls["ipc"]).start("reduce", small_nwb.write(d.dir / "a.nwb", small_nwb.traces(1, 1000)))
            wait_running(d, clients=3)
            d.process.kill()
            d.process.wait()
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == NO_DAEMON and "ended" in err
    finally:
        d.kill()


# --- batch ---

FILES = 5


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "in").mkdir()
    return [small_nwb.write(tmp_path / "in" / f"s{i}.nwb", small_nwb.traces(10 + i, 30000)) for i in range(FILES)]


def states(out):
    """{file name: state} of `batch --json`."""
    lines = [json.loads(line) for line in out.splitlines()]
    return {os.path.basename(line["file"]): line["state"] for line in lines}


def sums(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(directory.iterdir())}


def batch(ctl, inputs, out, *more, code=GOOD):
    return states(ctl("batch", *inputs, "-o", out, "--json", *more, code=code)[0])


def test_batch(ctl, inputs, tmp_path):
    """Everything; nothing again; only what changed; all of it with other parameters."""
    out = tmp_path / "out"
    assert set(batch(ctl, inputs, out).values()) == {"done"}
    first = sums(out)
    assert sorted(first) == [f"s{i}.spiked.nwb" for i in range(FILES)]
    assert set(batch(ctl, inputs, out).values()) == {"skipped"} and sums(out) == first
    small_nwb.write(inputs[3], small_nwb.traces(99, 30000))
    got = batch(ctl, inputs, out)
    assert got.pop("s3.nwb") == "done" and set(got.values()) == {"skipped"}
    changed = sums(out)
    assert {n for n in first if changed[n] != first[n]} == {"s3.spiked.nwb"}
    assert set(batch(ctl, inputs, out, "--threshold", "6").values()) == {"done"}
    assert set(batch(ctl, inputs, out, "--threshold", "6").values()) == {"skipped"}
    assert set(batch(ctl, inputs, out).values()) == {"done"} and sums(out) == changed


def test_batch_text(ctl, inputs, tmp_path):
    out, _ = ctl("batch", *inputs, "-o", tmp_path / "out")
    assert "5 files: 5 done, 0 skipped, 0 failed" in out


def test_batch_with_a_bad_file(ctl, inputs, tmp_path):
    """It is named, the others are done, the exit code tells; again, only it is tried."""
    data = inputs[2].read_bytes()
    inputs[2].write_bytes(data[:len(data) // 3])
    out, err = ctl("batch", *inputs, "-o", tmp_path / "out", code=REFUSED)
    assert "s2.nwb" in err and "4 done, 0 skipped, 1 failed" in out
    got = batch(ctl, inputs, tmp_path / "out", code=REFUSED)
    assert got.pop("s2.nwb") == "failed" and set(got.values()) == {"skipped"}
    inputs[2].write_bytes(data)
    assert batch(ctl, inputs, tmp_path / "out")["s2.nwb"] == "done"


def test_batch_damaged_result(ctl, inputs, tmp_path):
    """A result that somebody cut is not taken for done."""
    batch(ctl, inputs, tmp_path / "out")
    first = sums(tmp_path / "out")
    victim = tmp_path / "out" / "s1.spiked.nwb"
    victim.write_bytes(victim.read_bytes()[:-100])
    got = batch(ctl, inputs, tmp_path / "out")
    assert got.pop("s1.nwb") == "done" and set(got.values()) == {"skipped"} and sums(tmp_path / "out") == first


def test_batch_interrupted(daemon, ctl, inputs, tmp_path):
    """SIGINT: exit code 130, and the work of the file it waited for is cancelled."""
    with Peer(daemon) as owner:
        owner.send_body(owner.request(endless()))  # the batch's first file waits behind it
        wait_running(daemon)
        process = ctl.start("batch", *inputs, "-o", tmp_path / "out")
        wait_running(daemon, queued=1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == INTERRUPTED and "interrupted" in out
        until(lambda: daemon.stats()["queued"] == 0, lambda: daemon.stats())
    assert set(batch(ctl, inputs, tmp_path / "out").values()) == {"done"}


@pytest.fixture
def reference(ctl, inputs, tmp_path):
    """Sums of the results of a run that nothing disturbed, and the time it took."""
    start = time.monotonic()
    batch(ctl, inputs, tmp_path / "reference")
    return sums(tmp_path / "reference"), time.monotonic() - start


@pytest.mark.parametrize("case", range(4))
def test_batch_killed(daemon, ctl, inputs, tmp_path, reference, case):
    """kill -9 of spikectl at a random moment; the same command again gives the same bytes as an undisturbed run."""
    wanted, seconds = reference
    rng = random.Random(SEED + case)
    for _ in range(3):
        process = ctl.start("batch", *inputs, "-o", tmp_path / "out")
        time.sleep(rng.random() * seconds)  # the moment is the test
        process.kill()
        process.communicate(timeout=PATIENCE)
    until(lambda: daemon.stats()["running"] == 0 and daemon.stats()["clients"] == 1, "the killed client's work has ended")
    batch(ctl, inputs, tmp_path / "out")
    assert sums(tmp_path / "out") == wanted, f"seed {SEED + case}"


@pytest.mark.parametrize("case", range(4))
def test_batch_daemon_killed(inputs, tmp_path, reference, case):
    """kill -9 of the daemon at a random moment; a new daemon and the same command give the same bytes, and nothing else lies about."""
    wanted, seconds = reference
    rng = random.Random(SEED + 100 + case)
    for _ in range(3):
        d = Daemon()
        try:
            process = Ctl(d.urls["ipc"]).start("batch", *inputs, "-o", tmp_path / "out")
            time.sleep(rng.random() * seconds)  # the moment is the test
            d.process.kill()
            d.process.wait()
            process.kill()
            process.communicate(timeout=PATIENCE)
        finally:
            d.kill()
    with Daemon() as d:
        got = batch(Ctl(d.urls["ipc"]), inputs, tmp_path / "out")
        assert set(got.values()) <= {"done", "skipped"}
        assert sums(tmp_path / "out") == wanted, f"seed {SEED + 100 + case}"


def test_batch_goes_on_with_a_restarted_daemon(inputs, tmp_path, reference):
    """The daemon is killed and started again on the same socket within seconds: the batch does not notice."""
    d = Daemon()
    socket_path = str(tmp_path / "s.sock")
    d.stop()
    first = Daemon({"listen.ipc": socket_path})
    try:
        with Peer(first) as owner:
            owner.send_body(owner.request(endless()))
            wait_running(first)
            process = Ctl("ipc://" + socket_path).start("batch", *inputs, "-o", tmp_path / "out", "--json")
            wait_running(first, queued=1)
            first.process.kill()
            first.process.wait()
    finally:
        first.kill()
    with Daemon({"listen.ipc": socket_path}):
        out, err = process.communicate(timeout=60)
        assert process.returncode == GOOD, (out, err)
    assert set(states(out).values()) == {"done"} and sums(tmp_path / "out") == reference[0]
