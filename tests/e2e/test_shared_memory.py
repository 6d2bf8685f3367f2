# SPDX-License-Identifier: BSD-3-Clause
"""Arrays the daemon maps (spiked.empty), and arrays it reads in parts from the client's memory: the same bits as by any other way."""

import mmap
import os
import subprocess
import sys

import numpy as np
import pytest
import spiked
from conftest import wait_until
from spiked import njit, prange

N = 300_001


@pytest.fixture(autouse=True)
def default_client(client):
    spiked.use(client)
    yield


@njit(parallel=True)
def scale(x, y, factor):
    for i in prange(len(x)):
        y[i] = x[i] * factor
    return y


@njit(parallel=True)
def positive(x, y):
    n = 0
    for i in prange(len(x)):
        if x[i] > 0.5:
            y[i] = 1.0
            n += 1
    return n


def ways(a):
    """The array by client memory, and in shared memory."""
    shared = spiked.empty(a.shape, a.dtype)
    shared[...] = a
    return a.copy(), shared


@pytest.mark.parametrize("expression", ["x*2 + 3", "3*x**2 + 2*x + 1", "exp(sin(x))", "where(x > 0.5, x, -x)"])
def test_out(expression):
    x = np.random.default_rng(1).random(N)
    inline = spiked.evaluate(expression, {"x": x[:1000]})
    for source in ways(x):
        for out in ways(np.zeros(N)):
            spiked.evaluate(expression, {"x": source}, out=out)
            assert np.array_equal(out[:1000], inline)
            assert np.array_equal(out, spiked.evaluate(expression, {"x": source}))


@pytest.mark.parametrize("expression", ["sum(sqrt(x))", "max(x)", "var(x)", "any(x > 0.9999)", "sum(x) / 2 + min(x)", "mean(x[1:])"])
def test_reductions_have_the_same_bits(expression):
    x = np.random.default_rng(2).random(N)
    results = {float(spiked.evaluate(expression, {"x": a})) for a in ways(x)}
    assert len(results) == 1


@pytest.mark.parametrize("shift", [-7, -1, 0, 1, 7, 20000])
def test_out_overlaps(shift):
    """As if the input were read first, whichever way it travels."""
    x = np.random.default_rng(3).random(N + 40000)
    expected = x[20000:20000 + N] * 2 + 1
    for memory in ways(x):
        out = memory[20000 + shift:20000 + shift + N]
        spiked.evaluate("x*2 + 1", {"x": memory[20000:20000 + N]}, out=out)
        assert np.array_equal(out, expected)


def test_kernels_write_in_place():
    x = np.random.default_rng(4).random(N)
    for source in ways(x):
        for target in ways(np.full(N, 7.0)):
            assert scale(source, target, 3.0) is target
            assert np.array_equal(target, x * 3.0)
    for target in ways(np.full(N, 7.0)):
        assert positive(x, target) == (x > 0.5).sum()
        assert np.array_equal(target, np.where(x > 0.5, 1.0, 7.0))      # what is not written stays


@njit(parallel=True)
def beyond(x, y, n):
    for i in prange(n):
        if i < len(y):
            y[i] = x[i] + 1.0
    return n


@njit(parallel=True)
def too_far(x, n):
    total = 0.0
    for i in prange(n):
        total += x[i]
    return total


def test_a_loop_behind_the_end(client):
    """Iterations behind the end of an array in the client's memory: what lies there is neither read nor written."""
    block = np.random.default_rng(6).random(3 * N)
    for memory in ways(block):
        x, y, rest = memory[:N], memory[N:2 * N], memory[2 * N:].copy()
        beyond(x, y, N + 5000)
        assert np.array_equal(y, x + 1.0) and np.array_equal(memory[2 * N:], rest)
        with pytest.raises(IndexError, match="index 300001 is out of bounds for an axis of length 300001"):
            too_far(x, N + 5000)


def test_views_and_overlapping_arguments():
    x = np.random.default_rng(5).random(N + 1)
    for memory in ways(x):
        before = memory.copy()
        scale(memory[:-1], memory[1:], 2.0)
        expected = before.copy()
        for i in range(5):
            expected[i + 1] = expected[i] * 2.0
        assert np.array_equal(memory[:6], expected[:6])                 # in order: each reads what the one before wrote


def test_mapped_once_and_let_go(client, daemon):
    x = spiked.zeros(N)
    for _ in range(5):
        spiked.evaluate("sum(x)", {"x": x})
    shared = client.stats()["shared"]
    assert shared["files"] >= 1 and shared["bytes"] >= x.nbytes
    code = ("import spiked, numpy as np\nx = spiked.zeros(5_000_000)\nsp = spiked.connect()\nspiked.use(sp)\n"
            "assert spiked.evaluate('sum(x)') == 0\nprint(sp.stats()['shared']['bytes'])")
    environment = dict(os.environ, SPIKED_URL=daemon.url)
    seen = int(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert seen >= 40_000_000
    wait_until("the other process's memory to be let go", lambda: client.stats()["shared"]["bytes"] < seen)


def test_what_cannot_be_mapped_goes_by_address(raw, tmp_path):
    """A wrong inode, an unsealed or an ordinary file, a closed descriptor: the address is right, so is the answer."""
    from spiked import memory, wire
    x = np.arange(100_000.0)
    plain = open(tmp_path / "file", "w+b")
    plain.truncate(mmap.PAGESIZE)
    unsealed = os.memfd_create("unsealed")
    os.ftruncate(unsealed, x.nbytes)
    for fd, inode, at in ((plain.fileno(), os.fstat(plain.fileno()).st_ino, 0), (unsealed, os.fstat(unsealed).st_ino, 0), (unsealed, 1, 0), (9999, 5, 0),
                          (unsealed, os.fstat(unsealed).st_ino, 1 << 60)):
        descriptor = wire.describe("a0", x, x.ctypes.data)
        descriptor["shared"] = {"fd": fd, "inode": inode, "at": at}
        header, arrays = raw.send({"op": "evaluate", "params": {"expression": "sum(x)", "names": ["x"]}, "arrays": [descriptor], "memory": memory.header()})
        assert header["status"] == "OK" and arrays["r0"] == x.sum()
    os.close(unsealed)
    for shared in (5, {"fd": -1, "inode": 1, "at": 0}, {"fd": 1}, {"fd": 1, "inode": 1, "at": -5}):
        descriptor = dict(wire.describe("a0", x, x.ctypes.data), shared=shared)
        raw.fail({"op": "evaluate", "params": {"expression": "sum(x)", "names": ["x"]}, "arrays": [descriptor], "memory": memory.header()})


def test_client_memory_that_goes_away(raw):
    """An address that is not mapped: an error of that request, whatever part of the way it is found on."""
    from spiked import memory, wire
    x = np.zeros(N)
    for expression, address in (("sum(x)", 4096), ("sum(x) + x[0]", 4096), ("sum(x)", x.ctypes.data + (1 << 40))):
        descriptor = wire.describe("a0", x, address)
        assert isinstance(raw.fail({"op": "evaluate", "params": {"expression": expression, "names": ["x"]}, "arrays": [descriptor],
                                    "memory": memory.header()}), spiked.Unreachable)
