# SPDX-License-Identifier: BSD-3-Clause
"""The configuration file, the command line, signals."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import spiked
from conftest import LONG, ROOT, WAIT_S, is_running, wait_until

BINARY = os.environ["SPIKED_BINARY"]
SHIPPED = ROOT / "config" / "spiked.conf"
DEMO = ROOT / "config" / "demo.conf"


def run(*arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SPIKED_")}
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=WAIT_S, cwd=ROOT, env={**clean, **environment})


def values(text):
    """{section.key: value} of a configuration."""
    section, out = "", {}
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            out[f"{section}.{key.strip()}"] = value.strip()
    return out


@pytest.mark.skipif(not SHIPPED.exists(), reason="config/spiked.conf is not there")
def test_shipped_configuration_is_the_defaults():
    assert run(SHIPPED, "--test-config").returncode == 0
    dump = run("--dump-config").stdout
    assert SHIPPED.read_text().endswith(dump), "config/spiked.conf is not `spiked --dump-config` behind a header"
    assert run(SHIPPED, "--dump-config").stdout == dump


def test_demo_configuration(tmp_path):
    done = run(DEMO, "--set", f"recordings.roots={tmp_path}", "--set", f"output.roots={tmp_path}", "--test-config")
    assert done.returncode == 0, done.stderr
    got = values(run(DEMO, "--dump-config").stdout)
    assert got["listen.tcp"] == "off" and got["recordings.roots"] == "build/demo"


def test_help_and_version():
    listed, version = run("--help"), run("--version")
    assert listed.returncode == 0 and version.returncode == 0 and version.stdout.startswith("spiked ")
    for key in values(run("--dump-config").stdout):
        assert key in listed.stdout


def test_who_wins(tmp_path):
    file = tmp_path / "c.conf"
    file.write_text("[limits]\nclients = 11\nqueue = 12\n\n[log]\nlevel = warn\n")
    got = values(run(file, "--set", "limits.queue=99", "--dump-config", SPIKED_LIMITS_CLIENTS="33", SPIKED_LIMITS_QUEUE="44").stdout)
    assert (got["limits.clients"], got["limits.queue"], got["log.level"], got["limits.backlog"] if "limits.backlog" in got else "") == \
        ("33", "99", "warn", "")


@pytest.mark.parametrize("arguments, code, message", [
    (["--bogus"], 2, "--bogus: unknown option"),
    (["one.conf", "two.conf"], 2, "only one CONFIG"),
    (["nowhere.conf", "--test-config"], 1, "No such file"),
    (["--set", "limits.clinets=3", "--test-config"], 1, "unknown option limits.clinets, did you mean limits.clients?"),
    (["--set", "limits.clients=0", "--test-config"], 1, "must be 1 to 65536"),
    (["--set", "limits.clients=many", "--test-config"], 1, "expected an integer"),
    (["--set", "limits.message_bytes=64MB", "--test-config"], 1, "expected a size such as 64MiB"),
    (["--set", "limits.deadline=10", "--test-config"], 1, "expected a time such as 10s"),
    (["--set", "memory.enabled=perhaps", "--test-config"], 1, "expected yes or no"),
    (["--set", "log.level=loud", "--test-config"], 1, "error warn info debug"),
    (["--set", "nonsense", "--test-config"], 1, "expected section.key=value"),
    (["--set", "recordings.roots=/no/such/place", "--test-config"], 1, "/no/such/place is not a directory"),
    (["--set", "helper.path=/no/such/helper", "--test-config"], 1, "/no/such/helper"),
    (["--set", "limits.message_bytes=512MiB", "--test-config"], 1, "larger than limits.client_bytes"),
    (["--set", "listen.ipc=off", "--set", "listen.tcp=off", "--test-config"], 1, "nobody could connect"),
], ids=lambda v: None if not isinstance(v, list) else " ".join(v)[:60])
def test_command_line(arguments, code, message):
    done = run(*arguments)
    assert done.returncode == code and message in done.stderr and "\n" not in done.stderr.strip().split("Try")[0].strip(), done


@pytest.mark.parametrize("text, line, message", [
    ("[limits]\nclients = 5\nclients = 6\n", 3, "set twice"),
    ("[limits]\nclient = 5\n", 2, "did you mean limits.clients?"),
    ("[limits]\nclients\n", 2, "neither [section] nor key = value"),
    ("# fine\n\n[log]\nlevel = info\n[compute]\nthreads = -2\n", 6, "must be 0 to 1024"),
])
def test_file_errors_name_the_line(tmp_path, text, line, message):
    file = tmp_path / "bad.conf"
    file.write_text(text)
    done = run(file, "--test-config")
    assert done.returncode == 1 and f"bad.conf:{line}:" in done.stderr and message in done.stderr, done.stderr


def test_a_daemon_that_cannot_start_says_why(daemon):
    directory = os.path.dirname(daemon.url[len("ipc://"):])
    with pytest.raises(spiked.DaemonStartError, match="another spiked runs in"):
        spiked.launch(options={"listen.runtime_dir": directory})
    with pytest.raises(spiked.DaemonStartError, match="did you mean"):
        spiked.launch(options={"compute.thread": 2})
    with pytest.raises(spiked.DaemonStartError, match="cannot start"):
        spiked.launch(binary="/no/such/spiked")


def test_reload(tmp_path):
    file = tmp_path / "spiked.conf"
    file.write_text("[limits]\nclients = 20\n")
    with spiked.launch(file, options={"compute.threads": 1, "listen.tcp": "off"}) as client:
        def in_force(key):
            return client.info()["config"].get(key)

        assert in_force("limits.clients") == "20"
        file.write_text("[limits]\nclients = 21\n[compute]\nblock_frames = 1024\nio_threads = 2\n")
        os.kill(client.pid, signal.SIGHUP)
        wait_until("the new value is in force", lambda: in_force("limits.clients") == "21")
        assert in_force("compute.block_frames") == "1024"
        assert in_force("compute.io_threads") is None, "it waits for a restart"
        wait_until("the log says what waits", lambda: "compute.io_threads" in client.daemon.log_tail())
        file.write_text("[limits]\nclients = none\n")
        os.kill(client.pid, signal.SIGHUP)
        wait_until("the log says no", lambda: "reload refused" in client.daemon.log_tail(8000))
        assert "expected an integer" in client.daemon.log_tail(8000)
        assert in_force("limits.clients") == "21" and client.ping() > 0


def test_sigterm_lets_running_requests_finish(endless):
    with spiked.launch(options={"compute.threads": 2, "service.shutdown_timeout": "1min"}) as client, ThreadPoolExecutor(1) as pool:
        rec = client.open(endless)
        with spiked.Client(client.url) as watcher:
            result = pool.submit(rec.detect_peaks, **LONG, start=0, stop=1200000)
            wait_until("it runs", lambda: is_running(watcher))
            os.kill(client.pid, signal.SIGTERM)
            assert len(result.result(2 * WAIT_S)) == 0
        process = client.daemon._process
        assert process.wait(WAIT_S) == 0
        with pytest.raises((spiked.ConnectionLost, spiked.NoDaemon)):
            client.ping()


def test_sigterm_gives_up_after_a_while(endless):
    with spiked.launch(options={"compute.threads": 2, "service.shutdown_timeout": "100ms"}) as client, ThreadPoolExecutor(1) as pool:
        rec = client.open(endless)
        with spiked.Client(client.url) as watcher:
            result = pool.submit(rec.detect_peaks, **LONG)
            wait_until("it runs", lambda: is_running(watcher))
            os.kill(client.pid, signal.SIGTERM)
            with pytest.raises(spiked.Unavailable, match="stopped before the request was done"):
                result.result(WAIT_S)
        assert client.daemon._process.wait(WAIT_S) == 0


def test_nothing_is_left_behind():
    client = spiked.launch(options={"compute.threads": 1})
    directory, process = client.daemon.log.parent, client.daemon._process
    client.close()
    assert process.returncode == 0 and not directory.exists()


OWNER = """
import os, spiked
client = spiked.launch(options={"compute.threads": 1})
print(client.pid, client.url[len("ipc://"):], flush=True)
os.kill(os.getpid(), 9)
"""


def test_the_daemon_ends_with_its_owner():
    import sys

    done = subprocess.run([sys.executable, "-c", OWNER], capture_output=True, text=True, timeout=WAIT_S,
                          env=dict(os.environ, PYTHONPATH=str(ROOT / "clients" / "python")))
    _, socket_path = done.stdout.split()

    def gone():
        try:
            spiked.Client("ipc://" + socket_path).close()
        except (spiked.NoDaemon, spiked.ConnectionLost):
            return True
        return False

    wait_until("the daemon is gone", gone)
