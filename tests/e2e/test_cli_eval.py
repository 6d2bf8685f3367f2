# SPDX-License-Identifier: BSD-3-Clause
"""spikectl eval and kernels."""

import json

import numpy as np
import pytest
from test_cli import Ctl


@pytest.fixture
def ctl(daemon):
    return Ctl(daemon.url)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(3)
    arrays = {"x": rng.random((4, 5)), "i": np.arange(5, dtype="<i4"), "f": np.asfortranarray(rng.random((3, 2))), "z": np.array(2.5)}
    for name, a in arrays.items():
        np.save(tmp_path / f"{name}.npy", a)
    return tmp_path, arrays


def test_numbers_and_arrays(ctl, files):
    folder, a = files
    assert ctl("eval", "2 + k", "k=5")[0] == "7\n"
    assert float(ctl("eval", "sum(sqrt(x))", f"x={folder}/x.npy")[0]) == pytest.approx(np.sqrt(a["x"]).sum(), rel=1e-14)
    assert float(ctl("eval", "z * 2", f"z={folder}/z.npy")[0]) == 5
    out = folder / "out.npy"
    ctl("eval", "x * i + k", f"x={folder}/x.npy", f"i={folder}/i.npy", "k=0.5", "-o", out)
    assert np.array_equal(np.load(out), a["x"] * a["i"] + 0.5)


@pytest.mark.parametrize("arguments,code,text", [
    (["x +", "x=1"], 1, "column"), (["x", "x=missing.npy"], 2, "No such file"), (["x", "x"], 2, "NAME=NUMBER"),
    (["f", "f={folder}/f.npy"], 2, "Fortran"), (["x", f"x={__file__}"], 2, "neither a number nor a .npy file")])
def test_errors(ctl, files, arguments, code, text):
    assert text in ctl("eval", *[a.format(folder=files[0]) for a in arguments], code=code)[1]


def test_kernels(ctl):
    ctl("eval", "k * 12345", "k=5")
    assert "k * 12345" in ctl("kernels")[0]
    listed = json.loads(ctl("kernels", "--json")[0])
    assert any(k["name"] == "k * 12345" for k in listed["kernels"])
