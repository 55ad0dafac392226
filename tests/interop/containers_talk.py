#!/usr/bin/env python3
"""A test in Python on containers, to copy: three servers, Parley's processes on them, a message sent and seen.

Run it by tests/interop/containers, which makes the environment it needs. Environment: PARLEY_BIN, where the programs are.
"""
import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TREE, "tools"), os.path.join(TREE, "tests", "tools")]
import client  # noqa: E402
import containers  # noqa: E402
import tap  # noqa: E402
from pipelinelib.pipeline import Pipeline, stderr_say  # noqa: E402
from serverlib.state import PROCESS_PORTS  # noqa: E402

BIN = os.environ.get("PARLEY_BIN") or os.path.join(TREE, "build", "bin")
COUNTS = {"edge": 2, "router": 1, "fanout": 1, "persister": 1, "offline": 1, "query": 1}
folder = tempfile.mkdtemp(prefix="parley-containers.")
pipeline = servers = None


class Processes(Pipeline):
    def pick_port(self):
        return containers.free_port(PROCESS_PORTS)


def kill_processes():
    """What the reaper does besides: Parley's processes are of sessions of their own."""
    with open(os.path.join(folder, "pipeline.json"), encoding="utf-8") as f:
        for row in json.load(f)["processes"]:
            os.kill(row["pid"], signal.SIGKILL)


def when_killed():
    try:
        kill_processes()
    except OSError:
        pass  # there were none yet
    shutil.rmtree(folder, ignore_errors=True)


async def people(edges):
    tail = secrets.token_hex(4)
    alice, bob = client.Device("alice-" + tail, "correct horse"), client.Device("bob-" + tail, "battery staple")
    await client.accounts(alice, bob, edges)  # registered and logged in: one on the first edge, one on the last
    return alice, bob


def test_a_message_comes():
    async def talk():
        alice, bob = await people(pipeline.edges())
        n = alice.send(bob.login, "hello from a container")
        placed = await alice.sequenced(n)
        came = await bob.got("hello from a container")
        assert came.sender_login == alice.login and came.seq == placed.seq == 1
        await alice.c.close()
        await bob.c.close()
    asyncio.run(talk())


def test_redis_dies_and_comes_back():
    async def talk():
        alice, bob = await people(pipeline.edges())
        servers.redis.get_wrapped_container().kill()
        n = alice.send(bob.login, "while Redis is away")
        servers.redis.get_wrapped_container().start()
        await alice.sequenced(n)
        await bob.got("while Redis is away")
        await alice.c.close()
        await bob.c.close()
    asyncio.run(talk())


def main():
    global pipeline, servers
    with containers.Servers(when_killed) as servers:
        settings = {"PARLEY_EDGE_LOGIN": "60s"}  # a machine that runs all this may be slow
        pipeline = Processes(folder, BIN, {**servers.environment, **settings}, COUNTS, stderr_say)
        try:
            pipeline.prepare()
            pipeline.start()
            pipeline.wait_ready(containers.START_S)
            return tap.run(globals())
        finally:
            pipeline.stop()


if __name__ == "__main__":
    STATUS = main()
    if STATUS:
        stderr_say(f"configuration and logs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(STATUS)
