#!/usr/bin/env python3
"""tools/servers --backend containers: what it says when something is missing, the verbs, data and addresses that stay, and
nothing left after `wipe`. What a SIGKILL leaves: test_leaves_nothing.py."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TREE, "tests", "tools"), os.path.join(TREE, "tools")]
import tap  # noqa: E402
from serverlib.engine import LABEL, Engine  # noqa: E402

ROOT = tempfile.mkdtemp(prefix="parley-test-backend.", dir="/tmp")
STATE = os.path.join(ROOT, "state")
TOOL = [os.path.join(TREE, "tools", "servers"), "--state", STATE]
NAMES = {"kafka", "postgres", "redis"}


def servers(*args, want=0, **env):
    r = subprocess.run([*TOOL, *args], capture_output=True, text=True, check=False, env={**os.environ, **env})
    assert r.returncode == want, f"{args}: status {r.returncode}\n{r.stdout}{r.stderr}"
    return r.stdout + r.stderr


def status():
    r = subprocess.run([*TOOL, "status", "--json"], capture_output=True, text=True, check=False)
    return json.loads(r.stdout)


def containers():
    return Engine().labelled(f"{LABEL}.state={STATE}")


def redis(*words):
    host, port = status()["redis"]["address"].split(":")
    with socket.create_connection((host, int(port)), 10) as s:
        s.sendall((" ".join(words) + "\r\n").encode())
        return s.recv(4096).decode().strip()


def test_says_what_is_missing():
    text = servers("check", "--backend", "containers", want=1, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert "no container engine answers at /nowhere/docker.sock" in text, text
    text = servers("check", "--backend", "containers", want=1, KAFKA_VERSION="0.0.0-none", REDIS_VERSION="0.0.0-none")
    assert "apache/kafka:0.0.0-none, redis:0.0.0-none" in text and "compose/local-images/build" in text, text
    assert servers("check", "--backend", "containers") == ""
    text = servers("start", "--backend", "containers", "--brokers", "3", want=1)
    assert "for private servers" in text, text
    assert containers() == []


def test_start():
    servers("start", "--backend", "containers")
    rows = status()
    assert set(rows) == NAMES and all(r["answers"] for r in rows.values())
    assert all(16000 <= int(r["address"].split(":")[1]) < 20000 for r in rows.values())
    found = containers()
    assert len(found) == 3 and all(LABEL + ".owner" not in c["Labels"] for c in found)  # they outlive this command
    assert servers("start").count("already running") == 3
    assert "has servers in containers" in servers("start", "--backend", "private", want=1)


def test_kill9_pause_and_stop():
    assert redis("SET", "kept", "8") == "+OK"
    before = {n: r["address"] for n, r in status().items()}
    for name in ("redis", "postgres", "kafka"):
        servers("kill9", name)
        assert not status()[name]["running"]
        assert "is not running" in servers("kill9", name, want=1)
        servers("start-one", name)
        assert status()[name]["answers"]
    servers("pause", "redis")
    assert status()["redis"]["running"] and not status()["redis"]["answers"]
    servers("resume", "redis")
    assert status()["redis"]["answers"]
    servers("pause", "postgres")
    servers("stop-one", "postgres")
    servers("start-one", "postgres")
    assert {n: r["address"] for n, r in status().items()} == before
    assert redis("GET", "kept").endswith("8")


def test_a_taken_port_is_named():
    servers("stop-one", "redis")
    host, port = status()["redis"]["address"].split(":")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((host, int(port)))
        s.listen()
        assert f"port {port} is taken" in servers("start-one", "redis", want=1)
    servers("start-one", "redis")
    assert redis("GET", "kept").endswith("8")


def test_stop_and_wipe():
    servers("stop")
    assert not any(r["running"] for r in status().values()) and len(containers()) == 3
    servers("wipe")
    assert containers() == [] and not os.path.exists(STATE)


try:
    RESULT = tap.run(dict(globals()))
finally:
    subprocess.run([*TOOL, "wipe"], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(ROOT, ignore_errors=True)
sys.exit(RESULT)
