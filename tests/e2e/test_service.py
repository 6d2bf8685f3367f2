# SPDX-License-Identifier: BSD-3-Clause
"""Connecting, and the operations that say how the daemon is."""

import os

import numpy as np
import pytest
import spiked
from conftest import Raw


def test_ping(client):
    assert 0 < client.ping() < 10


def test_hello(raw, daemon):
    reply, _ = raw.send({"op": "hello"})
    result = reply["result"]
    assert result["pid"] == daemon.pid and result["protocol"] == 1 and result["memory"] is True
    assert {"hello", "ping", "info", "stats", "cancel", "open", "read", "detect", "reduce", "shutdown"} <= set(result["operations"])
    assert {"message_bytes", "header_bytes", "client_requests"} <= set(result["limits"])


def test_info(client, daemon):
    info = client.info()
    assert info["version"] == client.version and info["pid"] == daemon.pid and info["ready"] is True
    assert info["threads"] == 2 and info["lanes"] >= 1 and info["uptime_s"] >= 0 and info["isa"]
    assert info["config"]["compute.threads"] == "2"
    assert daemon.url in info["endpoints"] and daemon.tcp_url in info["endpoints"]


def test_stats_count_what_was_asked(client):
    before = client.stats()
    client.ping()
    client.reduce(np.arange(10.0), "sum")
    with pytest.raises(spiked.Invalid):
        client.reduce(np.arange(10.0), "median")
    after = client.stats()
    ping, reduce_ = (lambda name, key: after["operations"][name][key] - before["operations"][name][key]), "reduce"
    assert ping("ping", "count") >= 1 and ping(reduce_, "ok") >= 1 and ping(reduce_, "errors") >= 1
    assert ping(reduce_, "bytes_in") >= 80 and ping(reduce_, "bytes_out") > 0
    assert after["clients"] >= 1 and after["connections"]["accepted"] >= 1


def test_connect_finds_the_daemon_of_the_environment(daemon, monkeypatch):
    monkeypatch.setenv("SPIKED_URL", daemon.url)
    with spiked.connect() as c:
        assert c.pid == daemon.pid
    monkeypatch.delenv("SPIKED_URL")
    monkeypatch.setenv("SPIKED_RUNTIME_DIR", os.path.dirname(daemon.url[len("ipc://"):]))
    with spiked.connect() as c:
        assert c.pid == daemon.pid


def test_nobody_there(tmp_path):
    with pytest.raises(spiked.NoDaemon, match="no daemon answers"):
        spiked.connect(f"ipc://{tmp_path}/nobody.sock")


def test_a_closed_client_says_so(daemon):
    c = spiked.Client(daemon.url)
    c.close()
    with pytest.raises(spiked.NoDaemon, match="closed"):
        c.ping()


def test_tcp(daemon):
    with spiked.Client(daemon.tcp_url, daemon.token) as c:
        assert c.ping() > 0
        x = np.random.default_rng(3).integers(-99, 99, (5000, 3)).astype("<i2")
        assert (c.reduce(x, "sum") == x.sum(axis=0)).all()


@pytest.mark.parametrize("token, message", [(None, "needs a token"), ("0" * 64, "not this daemon's")])
def test_tcp_wants_the_token(daemon, token, message):
    with pytest.raises(spiked.Denied, match=message):
        spiked.Client(daemon.tcp_url, token)


def test_tcp_says_nothing_without_token(daemon):
    r = Raw(daemon.tcp_url)
    assert isinstance(r.fail({"op": "no_such_operation"}), spiked.Denied)
    r.close()


def test_client_pings_after_the_daemon_ended(tmp_path):
    c = spiked.launch(options={"compute.threads": 1})
    c.daemon.close()
    with pytest.raises((spiked.ConnectionLost, spiked.NoDaemon)):
        c.ping()
    c.close()
