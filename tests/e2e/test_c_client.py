# SPDX-License-Identifier: BSD-3-Clause
"""libspiked as its users have it: one header and one library."""
import os
import shutil
import subprocess

import pytest

import small_nwb
from hostile import BINARY, BUILD, PATIENCE, ROOT, TRANSPORTS, Daemon, is_sanitized

LIBRARY = os.path.dirname(os.path.abspath(BINARY)) if "SPIKED_BINARY" in os.environ else str(BUILD.resolve())
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"] if is_sanitized() else []


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as d:
        yield d


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """compiled(source) is the program, linked with the shared library."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")

    def build(source):
        program = tmp_path_factory.mktemp("c") / source.stem
        subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *SANITIZE, "-I", str(ROOT / "clients/c"), "-o",
                        str(program), str(source), "-L", LIBRARY, "-lspiked"], check=True, timeout=60)
        return program
    return build


@pytest.fixture
def run(daemon, tmp_path):
    """run(program, arguments, transport) with the library found and the daemon named by the environment."""
    (tmp_path / "libspiked.so.1").symlink_to(os.path.join(LIBRARY, "libspiked.so"))

    def go(program, *arguments, transport="ipc", **env):
        env = dict(os.environ, LD_LIBRARY_PATH=str(tmp_path), SPIKED_URL=daemon.urls[transport], SPIKED_TOKEN=daemon.token, **env)
        return subprocess.run([str(program), *map(str, arguments)], env=env, capture_output=True, text=True, timeout=PATIENCE + 10)
    return go


@pytest.fixture(scope="module")
def example(compiled):
    return compiled(ROOT / "clients/c/examples/detect.c")


def test_example(example, run, tmp_path):
    file = small_nwb.write(tmp_path / "a.nwb", small_nwb.traces(1))
    done = run(example, file)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert int(lines[0].split()[0]) >= 15 and len(lines) == 11 and lines[1].startswith("frame ")


def test_example_finds_the_daemon_by_itself(example, run, daemon, tmp_path):
    """By endpoint.json of the runtime directory."""
    file = small_nwb.write(tmp_path / "a.nwb", small_nwb.traces(1, 20000))
    env = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(tmp_path), "SPIKED_RUNTIME_DIR": str(daemon.run)}
    done = subprocess.run([str(example), str(file)], env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_example_says_what_is_wrong(example, run, tmp_path):
    (tmp_path / "bad.nwb").write_text("no HDF5 at all")
    done = run(example, tmp_path / "bad.nwb")
    assert done.returncode == 1 and ":" in done.stderr
    assert run(example).returncode == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_kernel_example(compiled, run, transport):
    program = compiled(ROOT / "clients/c/examples/kernel.c")
    for alpha in (0.5, 0.25):
        want = [1.0]
        for v in (4, 9, 16, 9, 4, 1, 0):
            want.append(alpha * v + (1 - alpha) * want[-1])
        done = run(program, alpha, transport=transport)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [f"{sum(v > 5 for v in want[1:])} above 5, last {want[-1]:.4f}", " ".join(f"{v:.4f}" for v in want)]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_arrays(compiled, run, transport):
    done = run(compiled(ROOT / "tests/e2e/c_arrays.c"), transport=transport)
    assert done.returncode == 0, done.stderr
