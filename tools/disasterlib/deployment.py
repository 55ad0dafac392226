"""A running deployment of tools/demo, seen from outside: its servers, processes, stores, and parleyctl."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from serverlib.postgres import bin_dir
from serverlib.state import Failure

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KINDS = ("edge", "router", "fanout", "persister", "offline", "query", "auditor")


class Servers:
    """tools/servers of one state folder."""

    def __init__(self, state):
        self.folder = state
        r = self.run("env", "--json")
        if r.returncode:
            raise Failure(f"nothing runs in {state}: {r.stderr.strip()}")
        self.env = json.loads(r.stdout)

    def run(self, *words):
        return subprocess.run([os.path.join(TREE, "tools", "servers"), "--state", self.folder, *words], capture_output=True, text=True,
                              check=False)

    def must(self, *words):
        r = self.run(*words)
        if r.returncode:
            raise Failure(f"tools/servers {' '.join(words)}: {r.stderr.strip()[-1500:]}")


class Own:
    """A demo of our own; it and its data are gone when we are, however we end."""

    def __init__(self, state, bin_folder):
        self.state, self.log = state, state + ".log"
        self.tool = [os.path.join(TREE, "tools", "servers"), "--state", state]
        subprocess.run([*self.tool, "wipe"], check=True)
        argv = [os.path.join(TREE, "tools", "demo"), "--no-build", "--state", state, "--bin", bin_folder]
        with open(self.log, "wb") as log:
            self.demo = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        # The pipe closes when this process ends, by SIGKILL too.
        out, self.hold = os.pipe()
        subprocess.Popen(["sh", "-c", 'read x; kill "$0" 2>/dev/null; while kill -0 "$0" 2>/dev/null; do sleep 0.2; done; exec "$@" >/dev/null 2>&1',
                          str(self.demo.pid), *self.tool, "wipe"], stdin=out, start_new_session=True)
        os.close(out)

    def wait(self, limit_s=300):
        end = time.monotonic() + limit_s
        while "Parley is up" not in self.text():
            if self.demo.poll() is not None or time.monotonic() > end:
                raise Failure(f"the demo did not start; {self.log}:\n{self.text()[-2500:]}")
            time.sleep(0.1)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, keep=False):
        self.demo.terminate()
        self.demo.wait(90)
        if keep:
            return
        subprocess.run([*self.tool, "wipe"], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.state, ignore_errors=True)
        if os.path.exists(self.log):
            os.unlink(self.log)


class Deployment:
    """What tests/faults/dump.py wants to know of one (servers, prefix, procs, schema, sql), and what a disaster does to it."""

    def __init__(self, state, bin_folder):
        self.state, self.bin = os.path.abspath(state), os.path.abspath(bin_folder)
        self.folder = os.path.join(self.state, "pipeline")
        self.config = os.path.join(self.folder, "parley.json")
        self.servers = Servers(self.state)
        with open(self.config, encoding="utf-8") as f:
            self.prefix = json.load(f).get("topics", {}).get("prefix", "")
        with open(os.path.join(TREE, "schema", "topics.json"), encoding="utf-8") as f:
            self.slots = json.load(f)["slots"]["small"]
        self.schema = "public"
        self.read_processes()
        if not any(p["kind"] == "edge" for p in self.processes) or not self.alive():
            raise Failure(f"no demo runs in {self.state}: start one with `make demo`")

    def read_processes(self):
        try:
            with open(os.path.join(self.folder, "pipeline.json"), encoding="utf-8") as f:
                self.processes = json.load(f)["processes"]
        except FileNotFoundError:
            self.processes = []
        self.procs = {k: [p for p in self.processes if p["kind"] == k] for k in KINDS}
        return self.processes

    def edges(self):
        return [p["listen"] for p in self.processes if p["listen"]]

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
        return {**env, **self.servers.env, "PARLEY_CONFIG": self.config, "PARLEY_TOPICS": os.path.join(TREE, "schema", "topics.json")}

    def ctl(self, *words):
        """The finished process; judging it is the caller's."""
        return subprocess.run([os.path.join(self.bin, "parleyctl"), *words], capture_output=True, text=True, check=False, cwd=TREE,
                              env=self.environment())

    def sql(self, text, check=True):
        r = subprocess.run([bin_dir() + "/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.servers.env["PARLEY_POSTGRES"] + " connect_timeout=5"],
                           input=text, capture_output=True, text=True, check=False)
        if check and r.returncode:
            raise Failure(f"{text[:200]}: {r.stderr.strip()}")
        return r.stdout.strip()

    def redis(self, *words):
        """The answer: an integer, text, or a list of texts."""
        host, port = self.servers.env["PARLEY_REDIS"].rsplit(":", 1)
        with socket.create_connection((host, int(port)), 5) as s, s.makefile("rb") as f:
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in
                                                       (x if isinstance(x, bytes) else str(x).encode() for x in words)))
            return self._reply(f)

    def _reply(self, f):
        line = f.readline().rstrip()
        kind, rest = line[:1], line[1:]
        if kind == b"-" or not kind:
            raise Failure(f"Redis: {rest.decode(errors='replace')}")
        if kind == b"$":
            return f.read(int(rest) + 2)[:-2] if int(rest) >= 0 else None
        if kind == b"*":
            return [self._reply(f) for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest.decode()

    # ---- processes ----

    def alive(self):
        """Those that run, as pipeline.json names them now."""
        return [p for p in self.read_processes() if os.path.exists(f"/proc/{p['pid']}")]

    def kill_all(self):
        """SIGKILL to every process at once. How many."""
        these = self.alive()
        for p in these:
            os.kill(p["pid"], signal.SIGKILL)
        return len(these)

    def ready(self, p):
        """"" or what it waits for"""
        try:
            with urllib.request.urlopen(f"http://{p['http']}/readyz", timeout=2):
                return ""
        except urllib.error.HTTPError as e:
            return e.read().decode(errors="replace").strip() or "not ready"
        except OSError as e:
            return str(e)

    def wait_ready(self, limit_s=240):
        end, told = time.monotonic() + limit_s, {}
        while True:
            told = {p["name"]: why for p in self.read_processes() if (why := self.ready(p))}
            if not told:
                return
            if time.monotonic() > end:
                raise Failure(f"not ready after {limit_s} s: " + "; ".join(f"{n}: {w}" for n, w in sorted(told.items())))
            time.sleep(0.2)

    def metric(self, kind, name):
        """Sum over processes of a kind and over labels; None: nobody answers."""
        total = None
        for p in self.procs[kind]:
            try:
                with urllib.request.urlopen(f"http://{p['http']}/metrics", timeout=2) as r:
                    text = r.read().decode(errors="replace")
            except OSError:
                continue
            total = total or 0.0
            for line in text.splitlines():
                if line.startswith(name) and line[len(name)] in " {":
                    total += float(line.rsplit(" ", 1)[1])
        return total
