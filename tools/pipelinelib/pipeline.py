"""The processes of a deployment on this machine: start them in any order, restart what dies, stop them gently.

Each instance gets the deployment's one configuration file and, by environment, what differs: its name and its ports.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from serverlib.state import Failure, PROCESS_PORTS, port_free

ORDER = ("edge", "router", "fanout", "persister", "offline", "query", "auditor")
STOP_AFTER_S = 20
BACKOFF_S = (0.2, 0.5, 1, 2, 5)
SCHEMA = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "schema")


class Instance:
    def __init__(self, pipeline, kind, number):
        self.pipeline = pipeline
        self.kind, self.number = kind, number
        self.name = f"{kind}-{number}"
        self.log = os.path.join(pipeline.folder, f"{self.name}.log")
        self.http = pipeline.pick_port()
        self.listen = pipeline.pick_port() if kind == "edge" else None
        self.process = None
        self.restarts = 0
        self.due = None  # when it died: the time at which it is started again
        self.held = False  # stopped on purpose: the supervisor leaves it alone
        self.started_at = 0.0

    def environment(self):
        section = "PARLEY_" + self.kind.upper()
        env = dict(os.environ, **self.pipeline.environment)
        env["PARLEY_CONFIG"] = self.pipeline.config
        env[section + "_HTTP"] = f"127.0.0.1:{self.http}"
        if self.listen:
            env[section + "_LISTEN"] = f"127.0.0.1:{self.listen}"
            env.setdefault(section + "_REGISTERS", "1000000")  # everybody comes from this machine
            env[section + "_NAME"] = self.name
        return env

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.pipeline.bin, "parley-" + self.kind)], env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.started_at, self.due = time.monotonic(), None

    def ready(self):
        """(is it, what it waits for)"""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/readyz", timeout=2) as r:
                return r.status == 200, ""
        except urllib.error.HTTPError as e:
            return False, e.read().decode(errors="replace").strip()
        except OSError as e:
            return False, str(e)

    def tail(self, lines=12):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""


class Pipeline:
    """`counts`: kind → how many. `environment`: how to reach the servers. One thread of its own: the supervisor."""

    def __init__(self, folder, bin_folder, environment, counts, say):
        self.folder, self.bin, self.say = os.path.abspath(folder), os.path.abspath(bin_folder), say
        self.environment = dict(environment)
        self.environment.setdefault("PARLEY_TOPICS",
                                    os.environ.get("PARLEY_TOPICS") or os.path.join(SCHEMA, "topics.json"))
        self.config = os.path.join(self.folder, "parley.json")
        self._taken = set()
        os.makedirs(self.folder, exist_ok=True)
        for kind in ORDER:
            if not os.access(os.path.join(self.bin, "parley-" + kind), os.X_OK):
                raise Failure(f"{self.bin}/parley-{kind} is missing: run `make` first")
        self.instances = [Instance(self, kind, n + 1) for kind in ORDER for n in range(counts.get(kind, 0))]
        self._stopping = threading.Event()
        self._thread = None

    def pick_port(self):
        for port in PROCESS_PORTS:
            if port not in self._taken and port_free(port):
                self._taken.add(port)
                return port
        raise Failure(f"no free port between {PROCESS_PORTS.start} and {PROCESS_PORTS.stop - 1}")

    def ctl(self, *args, **kw):
        """Runs parleyctl; a failure is told with what it said."""
        r = subprocess.run([os.path.join(self.bin, "parleyctl"), *args], text=True, capture_output=True,
                           env=dict(os.environ, **self.environment, PARLEY_CONFIG=self.config), check=False, **kw)
        if r.returncode:
            raise Failure(f"parleyctl {' '.join(args)} failed ({r.returncode}):\n{r.stderr.strip()}")
        return r.stdout

    def prepare(self):
        """Configuration, secrets, topics, schema: each safe to repeat."""
        if not os.path.exists(self.config):
            self.ctl("init", "--dir", self.folder)
        self.ctl("topics", "create")
        self.ctl("migrate", "--dir", os.path.join(SCHEMA, "sql"))

    def start(self):
        for i in self.instances:
            i.start()
        self.write_summary()
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._thread.start()

    def write_summary(self):
        rows = [{"name": i.name, "kind": i.kind, "pid": i.process.pid, "http": f"127.0.0.1:{i.http}",
                 "listen": f"127.0.0.1:{i.listen}" if i.listen else None, "log": i.log} for i in self.instances]
        tmp = os.path.join(self.folder, "pipeline.json.new")
        with open(tmp, "w", encoding="utf-8") as f:
            json.dump({"config": self.config, "processes": rows}, f, indent=1)
        os.rename(tmp, tmp[:-4])

    def edges(self):
        return [f"127.0.0.1:{i.listen}" for i in self.instances if i.listen]

    def wait_ready(self, timeout_s=60):
        deadline, told = time.monotonic() + timeout_s, {}
        waiting = list(self.instances)
        while waiting:
            waiting = [i for i in waiting if not self._is_ready(i, told)]
            if waiting and time.monotonic() > deadline:
                i = waiting[0]
                raise Failure(f"{i.name} is not ready after {timeout_s} s: {told.get(i.name)}\n{i.tail()}")
            if waiting:
                time.sleep(0.1)

    def _is_ready(self, instance, told):
        if instance.restarts > 3:
            raise Failure(f"{instance.name} keeps dying; the end of {instance.log}:\n{instance.tail()}")
        ok, told[instance.name] = instance.ready()
        return ok

    def _supervise(self):
        while not self._stopping.wait(0.1):
            again = [i for i in self.instances if i.process.poll() is not None and not i.held and self._due(i)]
            for i in again:
                i.restarts += 1
                i.start()
            if again:
                self.write_summary()

    def _due(self, i):
        """Of one that ended: may it be started again? They wait beside each other when many die at once."""
        if i.due is None:
            if time.monotonic() - i.started_at > 60:
                i.restarts = 0
            pause, code = BACKOFF_S[min(i.restarts, len(BACKOFF_S) - 1)], i.process.returncode
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            self.say(f"{i.name} ended ({how}); starting it again in {pause} s. Its log: {i.log}")
            i.due = time.monotonic() + pause
        return time.monotonic() >= i.due

    def hold(self, kind):
        """Stops all instances of a kind, gently, until release()."""
        for i in self.instances:
            if i.kind == kind:
                i.held = True
                i.process.terminate()
        for i in self.instances:
            if i.kind == kind:
                i.process.wait()

    def release(self, kind):
        for i in self.instances:
            if i.kind == kind and i.held:
                i.start()
                i.held = False
        self.write_summary()

    def stop(self):
        """Edges first, so that clients move and confirm while the rest still runs."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
        for kinds in (("edge",), ORDER[1:]):
            these = [i for i in self.instances if i.kind in kinds and i.process and i.process.poll() is None]
            for i in these:
                i.process.terminate()
            deadline = time.monotonic() + STOP_AFTER_S
            for i in these:
                try:
                    i.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self.say(f"{i.name} did not stop in {STOP_AFTER_S} s: killed. Its log: {i.log}")
                    i.process.kill()
                    i.process.wait()


def stderr_say(text):
    print(text, file=sys.stderr, flush=True)


def free_columns(default=80):
    return shutil.get_terminal_size((default, 24)).columns
