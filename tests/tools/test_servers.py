#!/usr/bin/env python3
"""tools/servers: start, start again, faults one by one, the messages for what goes wrong, and nothing left running."""
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import tap  # noqa: E402

TREE = os.path.dirname(os.path.dirname(HERE))
ROOT = tempfile.mkdtemp(prefix="parley-test-servers.", dir="/tmp")
os.chmod(ROOT, 0o711)
STATE = os.path.join(ROOT, "state")
TOOL = [os.path.join(TREE, "tools", "servers"), "--state", STATE]


def servers(*args, want=0, env=None, limit=120):
    r = subprocess.run([*TOOL, *args], capture_output=True, text=True, check=False, timeout=limit, env={**os.environ, **(env or {})})
    assert r.returncode == want, f"{args}: status {r.returncode}\n{r.stdout}{r.stderr}"
    return r.stdout + r.stderr


def where():
    return json.loads(servers("env", "--json"))


def status():
    r = subprocess.run([*TOOL, "status", "--json"], capture_output=True, text=True, check=False)
    return json.loads(r.stdout)


def pids():
    return {name: row["pid"] for name, row in status().items()}


def sql(text):
    r = subprocess.run(["psql", "-XAtq", where()["PARLEY_POSTGRES"], "-c", text], capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


def redis(*words):
    host, port = where()["PARLEY_REDIS"].split(":")
    with socket.create_connection((host, int(port)), 5) as s:
        s.sendall((" ".join(words) + "\r\n").encode())
        return s.recv(4096).decode().strip()


def until(condition, what, limit=30):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("not within %d s: %s" % (limit, what))


def test_before_the_first_start():
    assert "nothing was started" in servers("env", want=1)
    assert "nothing was started" in servers("kill9", "kafka", want=1)
    servers("stop")


def test_no_space():
    assert "MiB free" in servers("start", want=1, env={"PARLEY_NEED_FREE_MIB": "999999999"})


def test_no_java():
    assert "no Java runtime" in servers("start", want=1, env={"JAVA_HOME": "/nonexistent"})
    assert set(pids().values()) == {None}


def test_registry_not_reachable():
    fake = os.path.join(ROOT, "bin")
    os.makedirs(fake)
    with open(fake + "/mvn", "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\necho '[ERROR] Could not transfer artifact x from/to central: Connect to central refused'\nexit 1\n")
    os.chmod(fake + "/mvn", 0o755)
    env = {"PATH": fake + ":" + os.environ["PATH"], "PARLEY_CACHE": os.path.join(ROOT, "cache")}
    text = servers("start", want=1, env=env)
    assert "registry is not reachable" in text, text
    assert glob.glob(ROOT + "/cache/*") == []


def test_start_from_nothing():
    text = servers("start")
    for name in ("kafka", "postgres", "redis"):
        assert f"{name}: ready after" in text, text
    assert all(row["answers"] for row in status().values())
    sql("create table kept (i int); insert into kept values (7)")
    assert redis("SET", "kept", "8") == "+OK"


def test_safe_defaults():
    assert redis("CONFIG", "GET", "appendonly").endswith("yes")
    assert redis("CONFIG", "GET", "maxmemory-policy").endswith("noeviction")
    assert sql("show fsync") == "on" and sql("show listen_addresses") == "127.0.0.1"
    r = subprocess.run(["psql", "-w", where()["PARLEY_POSTGRES"].partition(" password=")[0], "-c", "select 1"],
                       capture_output=True, text=True, check=False, env={k: v for k, v in os.environ.items() if k != "PGPASSWORD"})
    assert r.returncode != 0, "PostgreSQL let somebody in without the password"
    assert os.stat(STATE + "/state.json").st_mode & 0o077 == 0


def test_second_start_says_it_runs():
    before = pids()
    assert servers("start").count("already running") == 3
    assert pids() == before


def test_kill9_and_start_one():
    for name in ("kafka", "postgres", "redis"):
        address = status()[name]["address"]
        servers("kill9", name)
        assert not status()[name]["running"]
        servers("start-one", name)
        assert status()[name]["answers"] and status()[name]["address"] == address
    assert sql("select i from kept") == "7" and redis("GET", "kept").endswith("8")


def test_pause_and_resume():
    servers("pause", "redis")
    row = status()["redis"]
    assert row["running"] and not row["answers"]
    servers("resume", "redis")
    assert status()["redis"]["answers"]


def test_stop_one_and_port_taken():
    servers("stop-one", "redis")
    host, port = status()["redis"]["address"].split(":")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((host, int(port)))
        s.listen()
        # Clients hold the address, so one server alone does not move …
        assert f"port {port} is taken" in servers("start-one", "redis", want=1)
        # … but a whole start does, and says so.
        assert f"port {port} is taken by another program; using" in servers("start")
    assert not status()["redis"]["address"].endswith(":" + port)
    assert redis("GET", "kept").endswith("8")


def test_stop_and_stale_pid_file():
    servers("stop")
    assert set(pids().values()) == {None}
    with open(STATE + "/redis/pid", "w", encoding="ascii") as f:
        f.write(f"{os.getpid()} 1\n")  # a living process, but not the one that was meant
    assert not status()["redis"]["running"]
    servers("stop")


def test_died_at_start_shows_the_log():
    text = servers("start", "--kafka-property", "num.io.threads=none", want=1)
    assert "num.io.threads" in text and "ended while it started" in text, text
    assert set(pids().values()) == {None}, "the others must be stopped again"


def test_run_gives_status_and_stops():
    text = servers("run", "--flush-messages", "1", "--", "sh", "-c", 'echo "at $PARLEY_KAFKA"; exit 7', want=7)
    assert "at 127.0.0.1:" in text
    assert set(pids().values()) == {None}
    with open(STATE + "/kafka/server.properties", encoding="utf-8") as f:
        assert "log.flush.interval.messages=1\n" in f.read()
    assert "not found" in servers("run", "--", "no-such-program", want=1)


def running_run():
    p = subprocess.Popen([*TOOL, "run", "--", "sh", "-c", "echo up; exec sleep 1000"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    assert p.stdout.readline() == b"up\n"
    return p


def test_run_stops_on_a_signal():
    p = running_run()
    p.send_signal(signal.SIGTERM)
    assert p.wait(timeout=60) == 128 + signal.SIGTERM
    assert set(pids().values()) == {None}


def test_run_killed_leaves_nothing():
    p = running_run()
    os.kill(p.pid, signal.SIGKILL)
    p.wait()
    until(lambda: set(pids().values()) == {None}, "servers stopped after their owner's SIGKILL")
    os.killpg(p.pid, signal.SIGKILL)


def test_wipe():
    servers("wipe")
    assert not os.path.exists(STATE)
    keep = os.path.join(ROOT, "not-ours")
    os.makedirs(keep + "/precious")
    r = subprocess.run([TOOL[0], "--state", keep, "wipe"], capture_output=True, text=True, check=False)
    assert r.returncode == 1 and os.path.isdir(keep + "/precious")


try:
    RESULT = tap.run(dict(globals()))
finally:
    subprocess.run([*TOOL, "wipe"], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(ROOT, ignore_errors=True)
sys.exit(RESULT)
