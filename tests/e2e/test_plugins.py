# SPDX-License-Identifier: BSD-3-Clause
"""Filters that only an HDF5 plugin knows: read in the helper, from the directories of recordings.plugin_path and no others, on I/O threads."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import spiked

RECORDING = Path(__file__).resolve().parents[1] / "recording"
sys.path.append(str(RECORDING))
import codec_fixtures  # noqa: E402

XOR, CRASH, HANG, MORE, LESS = 305, 306, 308, 309, 310
X = np.random.default_rng(1).integers(-3000, 3000, (9000, 6)).astype("<i2")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    flags = subprocess.run(["pkg-config", "--cflags", "hdf5"], capture_output=True, text=True, check=True).stdout.split()
    for mode, number in enumerate((XOR, CRASH, HANG, MORE, LESS)):
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", *flags, f"-DID={number}", f"-DMODE={mode}", "-o", folder / f"libtest{number}.so",
                        RECORDING / "plugin.c"], check=True)
    (folder / "libbroken.so").write_text("not an object")
    return folder


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "x.h5"

    def flipped(chunk):
        return bytes(255 - b for b in chunk.tobytes())
    with h5py.File(path, "w") as f:
        for number in (XOR, CRASH, HANG, MORE, LESS):
            codec_fixtures.write_chunks(f, f"f{number}", X, (1000, 6), flipped, (number, ()))
        codec_fixtures.write_chunks(f, "shuffled", X, (1000, 6), lambda c: bytes(255 - b for b in codec_fixtures.planes(c)), "shuffle", (XOR, ()))
        f.create_dataset("plain", data=X, chunks=(1000, 6), compression="gzip")
        f.create_dataset("big", data=X.astype(">i2"), chunks=(1000, 6), compression="gzip")
    return path


@pytest.fixture(scope="module")
def sp(plugins):
    with spiked.launch(options={"recordings.plugin_path": f"/nowhere:{plugins}", "helper.timeout": "1500ms", "compute.threads": 1, "compute.lanes": 1}) as client:
        yield client


def opened(client, file, name):
    return client.open(file, dataset=name, sampling_frequency=30000.0)


@pytest.mark.parametrize("name", [f"f{XOR}", "shuffled"])
def test_samples(sp, file, name):
    rec = opened(sp, file, name)
    assert rec.description["storage"] == "helper" and f"{XOR} (no name)" in rec.description["filters"]
    np.testing.assert_array_equal(rec.read(), X)
    np.testing.assert_array_equal(rec.read(1500, 1777, [4, 2]), X[1500:1777, [4, 2]])


@pytest.mark.parametrize("name", [f"f{XOR}", "big"])
def test_operations_give_what_the_array_gives(sp, file, name):
    """Through all roads that read: noise, peaks, reductions with and without preprocessing, map."""
    rec = opened(sp, file, name)
    stages = [spiked.bandpass(300, 6000), spiked.common_reference("median")]
    peaks = rec.detect_peaks(detect_threshold=1.5, preprocess=stages)
    assert len(peaks) > 20
    np.testing.assert_array_equal(peaks, sp.detect_peaks(X, 30000.0, detect_threshold=1.5, preprocess=stages))
    assert len(rec.detect_peaks(detect_threshold=1.0)) > 50
    np.testing.assert_array_equal(rec.noise_levels(), sp.reduce(X, ["mad"], sampling_frequency=30000.0)["mad"])
    for preprocess in ([], stages):
        ours = rec.reduce(["mean", "std", "min", "max", "mad"], preprocess=preprocess)
        theirs = sp.reduce(X, ["mean", "std", "min", "max", "mad"], preprocess=preprocess, sampling_frequency=30000.0)
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    for preprocess in ([], stages):
        plain = opened(sp, file, "plain")
        np.testing.assert_array_equal(rec.map(total, preprocess=preprocess), plain.map(total, preprocess=preprocess))


def total(x):
    s = 0.0
    for i in range(len(x)):
        s += x[i] * x[i]
    return s


@pytest.mark.parametrize("number, text", [(CRASH, "signal 11|status 1"), (HANG, "did not answer|CPU"), (MORE, "cannot be read"), (LESS, "cannot be read")])
def test_plugins_that_misbehave(sp, file, number, text):
    with pytest.raises(spiked.SpikedError, match=text) as caught:
        opened(sp, file, f"f{number}").read()
    assert caught.value.status == "CORRUPT"
    np.testing.assert_array_equal(opened(sp, file, f"f{XOR}").read(0, 10), X[:10])


def test_without_a_path(client, file):
    """The metadata can be seen; the samples cannot, and the error says what is missing."""
    rec = opened(client, file, f"f{XOR}")
    assert rec.num_samples == len(X)
    for ask in (rec.read, rec.noise_levels, lambda: rec.reduce(["mean"])):
        with pytest.raises(spiked.SpikedError, match=rf"filter {XOR}") as caught:
            ask()
        assert caught.value.status == "UNSUPPORTED" and "recordings.plugin_path" in str(caught.value)
    np.testing.assert_array_equal(opened(client, file, "plain").read(0, 10), X[:10])


def test_the_librarys_own_places_are_not_searched(client, tmp_path):
    """bzip2 (307) lies where libhdf5 looks by itself."""
    with h5py.File(tmp_path / "x.h5", "w") as f:
        try:
            f.create_dataset("x", data=X, chunks=(1000, 6), compression=307)
        except ValueError:
            pytest.skip("no bzip2 plugin installed")
    with pytest.raises(spiked.SpikedError, match="307"):
        opened(client, tmp_path / "x.h5", "x").read()
    with spiked.launch(options={"recordings.plugin_path": h5py.h5pl.get(0).decode(), "compute.threads": 1}) as other:
        np.testing.assert_array_equal(opened(other, tmp_path / "x.h5", "x").read(), X)


def test_parameters_the_daemon_does_not_take(client, tmp_path):
    """Blosc with Snappy inside: the helper's, by the distribution's plugin."""
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f.create_dataset("x", data=X, chunks=(1000, 6), compression=codec_fixtures.BLOSC, compression_opts=(0, 0, 0, 0, 5, 1, 3))
    rec = opened(client, tmp_path / "x.h5", "x")
    assert rec.description["storage"] == "helper" and rec.description["filters"] == ["blosc"]
    with pytest.raises(spiked.SpikedError, match="32001"):
        rec.read()
    with spiked.launch(options={"recordings.plugin_path": h5py.h5pl.get(0).decode(), "compute.threads": 1}) as other:
        np.testing.assert_array_equal(opened(other, tmp_path / "x.h5", "x").read(), X)


def test_lanes_stay_free(sp, plugins, file):
    """While a helper hangs for its 1.5 s, the only lane computes."""
    rec = opened(sp, file, f"f{HANG}")
    failed = []

    def ask():
        with pytest.raises(spiked.SpikedError):
            rec.detect_peaks(noise_levels=1.0)
        failed.append(time.monotonic())
    with spiked.Client(sp.url) as other:
        thread = threading.Thread(target=ask)
        start = time.monotonic()
        thread.start()
        time.sleep(0.3)
        np.testing.assert_array_equal(other.reduce(X, ["sum"])["sum"], X.sum(0))
        quick = time.monotonic() - start
        thread.join(20)
    assert failed and quick < 1.2 < failed[0] - start, (quick, failed)
