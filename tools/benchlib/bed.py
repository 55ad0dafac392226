"""What is measured on: private servers and a pipeline, and parley-bench beside them."""
import json
import os
import subprocess
import sys
import time
import urllib.request

from pipelinelib.pipeline import Pipeline
from serverlib.state import Failure

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_begin = time.monotonic()
PEOPLE = 10001  # accounts that are made beforehand
# One client sends, asks or logs in for thousands here: the limits per connection are not what is measured.
RATES = {f"PARLEY_EDGE_{n}": "1000000" for n in ("RATE", "BURST", "QUERY_RATE", "QUERY_BURST")}


def say(text):
    print(f"bench   [{time.monotonic() - _begin:5.0f}s] {text}", file=sys.stderr, flush=True)


def busy_s():
    """CPU seconds that the machine has spent on anything, so far."""
    with open("/proc/stat", encoding="ascii") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    return (sum(v[:8]) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


class Bed:
    """Use with `with`: stops everything, whatever happens inside."""

    def __init__(self, args, flush_messages):
        self.args, self.flush = args, flush_messages
        self.state = os.path.abspath(os.path.join(args.out, "state"))
        self.bench = os.path.join(args.bin, "parley-bench")
        self.pipe = self.env = self.child = None

    def servers(self, *words, **kw):
        return subprocess.run([os.path.join(TREE, "tools/servers"), "--state", self.state, *words], check=False, **kw)

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        self._stop()

    def _start(self):
        if not os.access(self.bench, os.X_OK):
            raise Failure(f"{self.bench} is missing: run `make` first")
        self.servers("wipe")
        flush = ["--flush-messages", str(self.flush)] if self.flush else []
        if self.servers("start", *flush).returncode:
            raise Failure("the servers did not start (see above)")
        self.env = json.loads(self.servers("env", "--json", stdout=subprocess.PIPE, text=True).stdout)
        self.env.update(RATES)
        counts = {"edge": self.args.edges, "router": self.args.routers, "fanout": self.args.fanouts, "persister": 1,
                  "offline": 1, "query": 1}
        self.pipe = Pipeline(os.path.join(self.state, "pipeline"), self.args.bin, self.env, counts, say)
        self.pipe.prepare()
        self.pipe.start()
        self.pipe.wait_ready()
        self.accounts = os.path.join(self.state, "people.json")
        key = os.path.join(self.state, "pipeline", "master.key")
        if subprocess.run([self.bench, "accounts", "--master-key", key, "--accounts", self.accounts, "--count",
                           str(PEOPLE)], env={**os.environ, **self.env, **self._topics()}, check=False).returncode:
            raise Failure("no accounts could be made (see above)")

    def _topics(self):
        return {"PARLEY_TOPICS": self.pipe.environment["PARLEY_TOPICS"]}

    def _stop(self):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            self.child.wait()
        if self.pipe:
            self.pipe.stop()
            self.pipe = None
        self.servers("stop" if self.args.keep else "wipe")

    def processes(self, product):
        """--process options: the servers, and the product's own."""
        r = self.servers("status", "--json", stdout=subprocess.PIPE, text=True)
        pids = {name: s["pid"] for name, s in json.loads(r.stdout).items()
                if s["pid"] and (product or name != "redis")}
        if product:
            pids.update({i.name: i.process.pid for i in self.pipe.instances if not i.held})
        return [w for name, pid in pids.items() for w in ("--process", f"{name}={pid}")]

    def edges(self):
        return [w for e in self.pipe.edges() for w in ("--edge", e)]

    def asked_s(self, question):
        """(how many questions the query processes have answered, and the seconds that took them in all)"""
        n = s = 0
        for i in self.pipe.instances:
            if i.kind != "query":
                continue
            with urllib.request.urlopen(f"http://127.0.0.1:{i.http}/metrics", timeout=5) as r:
                for line in r.read().decode().splitlines():
                    if line.startswith("parley_query_seconds_") and f'"{question}"' in line and "bucket" not in line:
                        v = float(line.rsplit(" ", 1)[1])
                        n, s = (n + v, s) if "_count" in line else (n, s + v)
        return n, s

    def measure(self, *words, meanwhile=None):
        """Runs parley-bench; its result, with what else the machine did meanwhile. A run that failed says so in `ok`.
        `meanwhile`: called when it has begun to look, which it says on stderr."""
        before, began = busy_s(), time.monotonic()
        self.child = subprocess.Popen([self.bench, *words], env={**os.environ, **self.env, **self._topics()},
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE if meanwhile else None, text=True)
        if meanwhile:
            self.child.stderr.readline()
            meanwhile()
        out, _ = self.child.communicate()
        if not out.strip():
            raise Failure(f"parley-bench {' '.join(words[:2])} ended with {self.child.returncode} and no result")
        result = json.loads(out)
        result["machine_busy"] = (busy_s() - before) / (time.monotonic() - began) / (os.cpu_count() or 1)
        if self.pipe:
            restarts = sum(i.restarts for i in self.pipe.instances)
            if restarts:
                result["ok"] = False
                result["failure"] = f"{restarts} processes died and were started again"
        return result

    def versions(self):
        def said(*argv):
            r = subprocess.run(argv, capture_output=True, text=True, check=False)
            return (r.stdout or r.stderr).strip().splitlines()[0] if r.returncode == 0 else ""
        with open(os.path.join(TREE, "tools/kafka/pom.xml"), encoding="utf-8") as f:
            text = f.read()
        kafka = text.split("<artifactId>kafka_", 1)[1].split("<version>", 1)[1].split("<", 1)[0]
        return {"kafka": kafka, "java": said("java", "-version"), "postgres": said("psql", "--version"),
                "redis": said("redis-server", "--version")}
