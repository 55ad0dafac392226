#!/usr/bin/env python3
"""Killing a test run with -9 leaves no container: tests/run itself, tools/servers with and without its command, the Python
example. The C module has its own: test_reaper.c.

What runs here runs beside the run that runs it: builds are shared, folders and labels are not. Environment: PARLEY_BUILD;
TEST_SLOWER, a factor for a loaded machine.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TREE, "tests", "tools"), os.path.join(TREE, "tools")]
import tap  # noqa: E402
from serverlib.engine import LABEL, Engine  # noqa: E402

BUILD = os.path.abspath(os.environ.get("PARLEY_BUILD") or os.path.join(TREE, "build"))
SLOWER = int(os.environ.get("TEST_SLOWER", "1"))
REAP_S = 10 * SLOWER
UP_S = 300 * SLOWER
ROOT = tempfile.mkdtemp(prefix="parley-test-leaves.", dir="/tmp")
SERVERS = os.path.join(TREE, "tools", "servers")
engine = Engine()


def wait(condition, seconds, what):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - begin


def of(label):
    return engine.labelled(label)


def gone(label):
    spent = wait(lambda: not of(label), REAP_S, "no container left")
    print(f"# gone after {spent:.1f} s", flush=True)
    time.sleep(1)  # nor does another come late
    assert not of(label)


def begin(argv, **environment):
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=TREE,
                            start_new_session=True, env={**os.environ, **environment})


def kill(process):
    """With its whole group, as a terminal that goes away takes all."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def descendants_end(word):
    """Processes with this word in their environment."""
    def left():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if word.encode() in f.read() and int(pid) != os.getpid():
                        found.append(pid)
            except OSError:
                pass
        return found
    wait(lambda: not left(), REAP_S, "no process left")


def test_the_run():
    """tests/run as `make test-containers` has it, killed in the middle of a test that has processes of Parley."""
    build = os.path.join(ROOT, "build")
    os.makedirs(build)
    for name in ("bin", "tests", "interop"):
        if os.path.exists(os.path.join(BUILD, name)):
            os.symlink(os.path.join(BUILD, name), os.path.join(build, name))
    mark = "PARLEY_LEAVES=" + os.path.basename(ROOT)
    p = begin([os.path.join(TREE, "tests", "run"), "--no-deps", "--no-build", "--backend", "containers", "--one-by-one", "--only",
               "integration"], PARLEY_BUILD=build, TEST="test_groups", PARLEY_LEAVES=os.path.basename(ROOT))
    label = f"{LABEL}.state={build}/test-state/rough"
    wait(lambda: len(of(label)) == 3, UP_S, "three containers")
    wait(lambda: processes("parley-edge", mark) or p.poll() is not None, UP_S, "an edge")
    assert p.poll() is None, "the run ended by itself"
    kill(p)
    gone(label)
    descendants_end(mark)


def processes(name, mark):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if not f.read().split(b"\0")[0].endswith(name.encode()):
                    continue
            with open(f"/proc/{pid}/environ", "rb") as f:
                if mark.encode() in f.read():
                    return True
        except OSError:
            pass
    return False


def test_tools_servers_run():
    state = os.path.join(ROOT, "state")
    p = begin([SERVERS, "--state", state, "run", "--backend", "containers", "--", "sleep", "1000"])
    label = f"{LABEL}.state={state}"
    wait(lambda: len(of(label)) == 3, UP_S, "three containers")
    kill(p)  # while they still start
    gone(label)


def test_the_watchdog_too():
    """Nobody is left to remove anything: the next run does."""
    state, next_state = os.path.join(ROOT, "state2"), os.path.join(ROOT, "state3")
    p = begin([SERVERS, "--state", state, "run", "--backend", "containers", "--", "sleep", "1000"], PARLEY_LEAVES=ROOT)
    label = f"{LABEL}.state={state}"
    wait(lambda: len(of(label)) == 3, UP_S, "three containers")
    watchdogs = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if parent(pid) == p.pid]
    for pid in watchdogs:
        os.kill(int(pid), signal.SIGKILL)
    kill(p)
    assert of(label)
    q = begin([SERVERS, "--state", next_state, "run", "--backend", "containers", "--", "true"])
    wait(lambda: not of(label), UP_S, "leavings removed")
    kill(q)
    gone(f"{LABEL}.state={next_state}")


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_the_python_example():
    p = begin([os.path.join(TREE, "tests", "interop", "containers")])
    before = {c["Id"] for c in of("org.parley.tests.python.run")}
    wait(lambda: [c for c in of("org.parley.tests.python.run") if c["Id"] not in before], UP_S, "a container")
    kill(p)
    wait(lambda: not [c for c in of("org.parley.tests.python.run") if c["Id"] not in before], REAP_S, "no container left")


try:
    RESULT = tap.run(dict(globals()))
finally:
    shutil.rmtree(ROOT, ignore_errors=True)
sys.exit(RESULT)
