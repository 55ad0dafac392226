"""bed.py: what a fault is tried on: private servers, the processes of one deployment, what they use while they run.

A deployment has a topic prefix and a PostgreSQL schema of its own, so several fit on one set of servers. Processes that die
by SIGKILL are started again unless they are held; any other death by signal is kept in `crashes`.
"""
import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TREE, "tools"))
from serverlib.kafka import Kafka, node_names  # noqa: E402
from serverlib.postgres import Postgres, bin_dir  # noqa: E402
from serverlib.redis import Redis  # noqa: E402
from serverlib.state import State, port_free  # noqa: E402

KINDS = ("edge", "router", "fanout", "persister", "offline", "query", "auditor")
USUAL = {"edge": 3, "router": 2, "fanout": 2, "persister": 2, "offline": 2, "query": 1, "auditor": 1}
GROUPS = {"router": ("inbound",), "fanout": ("conversation",), "persister": ("conversation", "user", "vault"),
          "offline": ("offline", "cursor"), "query": ("query",), "auditor": ("conversation",)}
SLOTS = 8  # of the profile, unless a fault wants fewer


PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Trouble(Exception):
    """The bed itself does not work: no verdict."""


def until(condition, limit_s, what, pause=0.05):
    end = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise Trouble(f"never within {limit_s:.0f} s: {what}")
        time.sleep(pause)
    return value


class Servers:
    """disk_mib: Kafka's folder is a file system of that size."""

    def __init__(self, folder, brokers=1, also_at=None, properties=(), disk_mib=0):
        self.folder, self.tool = folder, [os.path.join(TREE, "tools", "servers"), "--state", folder]
        self.disk = os.path.join(folder, "kafka", "data") if disk_mib else None
        self._unmount()
        self._run("wipe")
        if self.disk:
            os.makedirs(self.disk)
            os.chmod(folder, 0o711)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk_mib}m", "tmpfs", self.disk], check=True)
        more = ["--brokers", str(brokers)] if brokers > 1 else []
        more += ["--also-at", also_at] if also_at else []
        for p in properties:
            more += ["--kafka-property", p]
        # When this process dies, however it does, the pipe closes and the servers are stopped.
        out, self.hold = os.pipe()
        subprocess.Popen(["sh", "-c", 'read x; exec "$0" "$@" >/dev/null 2>&1', *self.tool, "wipe"], stdin=out,
                         start_new_session=True)
        os.close(out)
        self._run("start", *more)
        self.state = State(folder)
        self.state.load()
        self.all = {n: Kafka(self.state, i) for i, n in enumerate(node_names(brokers), 1)}
        self.all.update(postgres=Postgres(self.state), redis=Redis(self.state))
        self.brokers = node_names(brokers)
        self.env = json.loads(self._run("env", "--json"))

    def _unmount(self):
        if self.disk and os.path.ismount(self.disk):
            self._run("stop")
            subprocess.run(["umount", "-l", self.disk], check=False)

    def _run(self, *words):
        env = {"SERVERS_START_S": "240", **os.environ}  # nothing is judged by how long servers take to start
        r = subprocess.run([*self.tool, *words], capture_output=True, text=True, check=False, env=env)
        if r.returncode:
            raise Trouble(f"tools/servers {' '.join(words)}: {r.stderr.strip()[-2000:]}")
        return r.stdout

    def __getitem__(self, name):
        return self.all[name]

    def start_one(self, name):
        self._run("start-one", name)

    def heal(self):
        for name, s in self.all.items():
            if s.pid():
                s.resume()
        for name, s in self.all.items():
            if not s.pid():
                self.start_one(name)
        for s in self.all.values():
            until(s.ready, 60, f"{s.name} answers")

    def stop(self):
        self._unmount()
        self._run("wipe")
        os.close(self.hold)

    def port(self, name):
        return self.state.port(name)

    def redis(self, *words, timeout=5):
        """One command, its raw answer (None: nobody answers)."""
        import socket
        try:
            with socket.create_connection(("127.0.0.1", self.port("redis")), timeout) as s:
                s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in (str(x).encode() for x in words)))
                return s.recv(1 << 20)
        except OSError:
            return None


class Proc:
    def __init__(self, bed, kind, i):
        self.bed, self.kind, self.i, self.name = bed, kind, i, f"{kind}-{i}"
        self.log = os.path.join(bed.folder, self.name + ".log")
        self.http, self.listen = bed.port(), bed.port() if kind == "edge" else None
        self.env, self.inside, self.at, self.before, self.nofile = {}, None, None, [], None
        self.popen, self.held, self.started, self.deaths = None, False, 0.0, 0
        self.bin = None

    def address(self):
        return self.at or (self.bed.net.namespace(self.inside) if self.inside else "127.0.0.1")

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PARLEY_", "CRASH_AT", "PAUSE_AT"))}
        section = "PARLEY_" + self.kind.upper()
        env.update(PARLEY_CONFIG=self.bed.config, **{section + "_HTTP": f"{self.address()}:{self.http}"})
        if self.listen:
            env[section + "_LISTEN"] = f"{self.address()}:{self.listen}"
            env.setdefault(section + "_REGISTERS", "100000")  # everybody comes from this machine
            env[section + "_NAME"] = self.name
        if self.inside:
            env.update(self.bed.reached_at(self.bed.net.host))
        defect, _, kinds = (self.bed.plant or "").partition("@")  # "commit-early@fanout": only there
        if defect and (not kinds or self.kind in kinds.split("+")):
            env["PARLEY_PLANT"] = defect
        env.update(self.env)
        return env

    def start(self):
        before = (self.bed.net.inside(self.inside) if self.inside else []) + self.before
        limit = self.nofile

        def limits():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # of the thread that starts it: both end after their processes
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen([*before, os.path.join(self.bin or self.bed.bin, "parley-" + self.kind)],
                                          env=self.environment(), cwd=self.bed.folder, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, start_new_session=True, preexec_fn=limits)
        self.started, self.held = time.monotonic(), False

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def kill(self, number):
        if self.running():
            os.kill(self.popen.pid, number)
            return True
        return False

    def asleep(self):
        """Stopped, by whomever."""
        try:
            with open(f"/proc/{self.popen.pid}/stat", encoding="ascii") as f:
                return self.running() and f.read().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    def stop(self, number=signal.SIGTERM, limit_s=30):
        """Stays down until start(). The exit status."""
        self.held = True
        if self.running():
            self.kill(signal.SIGCONT)
            self.kill(number)
            try:
                self.popen.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.bed.crashes.append(f"{self.name} does not end within {limit_s} s of signal {number}")
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode if self.popen else None

    def plain(self):
        """As it was made; True when it has to be started again for that."""
        special = bool(self.env or self.inside or self.at or self.before or self.nofile or self.bin)
        self.env, self.inside, self.at, self.before, self.nofile, self.bin = {}, None, None, [], None, None
        return special

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.address()}:{self.http}{path}", timeout=2) as r:
                return r.status, r.read().decode(errors="replace")
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors="replace")
        except OSError as e:
            return 0, str(e)

    def ready(self):
        return self.running() and self.get("/readyz")[0] == 200

    def metric(self, name, label=""):
        """Sum over its labels, or over those that contain `label`."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name) and line[len(name)] in " {" and label in line:
                total += float(line.rsplit(" ", 1)[1])
        return total

    def text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""


class Bed:
    """One deployment. `settings`: what differs from the file that parleyctl init writes; `slots`: delivery slots, if not SLOTS."""

    def __init__(self, servers, folder, bin_folder, counts=None, settings=None, net=None, prefix=None, plant=None, slots=None):
        self.plant, self.slots = plant, slots or SLOTS
        self.servers, self.folder, self.bin, self.net = servers, os.path.abspath(folder), os.path.abspath(bin_folder), net
        self.prefix = prefix if prefix is not None else f"f{os.urandom(3).hex()}."
        self.schema = "f" + self.prefix.strip(".")
        self.config = os.path.join(self.folder, "parley.json")
        self.crashes, self.samples, self.taken, self.lock = [], [], set(), threading.Lock()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.ctl("init", "--dir", self.folder)
        self._configure(settings or {})
        topics = ["--replication", "3"] if len(servers.brokers) > 1 else []
        self.ctl("topics", "create", *topics)
        self.sql(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
        self.ctl("migrate")
        counts = {**USUAL, **(counts or {})}
        self.procs = {k: [Proc(self, k, i) for i in range(counts[k])] for k in KINDS}
        self.looking, self.thread = True, None
        self.start()

    def _configure(self, settings):
        with open(self.config, encoding="utf-8") as f:
            conf = json.load(f)
        env, topics = self.servers.env, os.path.join(TREE, "schema", "topics.json")
        if self.slots != SLOTS:
            with open(topics, encoding="utf-8") as f:
                all_topics = json.load(f)
            all_topics["slots"]["small"] = self.slots
            topics = os.path.join(self.folder, "topics.json")
            with open(topics, "w", encoding="utf-8") as f:
                json.dump(all_topics, f)
        ours = {"kafka": {"bootstrap": env["PARLEY_KAFKA"]}, "redis": {"url": env["PARLEY_REDIS"]},
                "postgres": {"conninfo": self.conninfo()}, "topics": {"prefix": self.prefix, "file": topics}, **settings}
        for section, values in ours.items():
            conf.setdefault(section, {}).update(values)
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump(conf, f, indent=1)

    def conninfo(self, host="127.0.0.1"):
        base = self.servers.env["PARLEY_POSTGRES"].replace("host=127.0.0.1", f"host={host}")
        return f"{base} options='-c search_path={self.schema}'"

    def reached_at(self, host):
        """How a process in a namespace reaches the servers: the environment wins over the file."""
        kafka = ",".join(f"{host}:{self.servers.port(n + '-also')}" for n in self.servers.brokers)
        return {"PARLEY_KAFKA": kafka, "PARLEY_REDIS": f"{host}:{self.servers.port('redis')}",
                "PARLEY_POSTGRES": self.conninfo(host)}

    def port(self):
        import random
        while True:
            port = random.randrange(24000, 32000)
            if port not in self.taken and port_free(port):
                self.taken.add(port)
                return port

    def ctl(self, *words, check=True, env=None):
        more, env = env or {}, {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
        r = subprocess.run([os.path.join(self.bin, "parleyctl"), "-q", *words], capture_output=True, check=False,
                           cwd=TREE, env={**env, "PARLEY_CONFIG": self.config, **more})
        if check and r.returncode:
            raise Trouble(f"parleyctl {' '.join(words)}: {r.stderr.decode(errors='replace').strip()}")
        return r.stdout.decode(errors="replace") if check else r

    def sql(self, text, check=True):
        r = subprocess.run([bin_dir() + "/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.conninfo() + " connect_timeout=5", "-c", text],
                           capture_output=True, text=True, check=False)
        if check and r.returncode:
            raise Trouble(f"{text[:200]}: {r.stderr.strip()}")
        return r.stdout.strip()

    # ---- processes ----

    def every(self, *kinds):
        return [p for k in (kinds or KINDS) for p in self.procs[k]]

    def edges(self):
        return [f"{p.address()}:{p.listen}" for p in self.procs["edge"]]

    def start(self):
        for p in self.every():
            p.start()
        self.thread = threading.Thread(target=self._look_after, daemon=True)
        self.thread.start()
        self.wait_ready()

    def wait_ready(self, limit_s=60, procs=None):
        for p in procs or self.every():
            until(p.ready, limit_s, f"{p.name} is ready ({p.get('/readyz')[1].strip()[:300]})")

    def _look_after(self):
        while self.looking:
            time.sleep(0.1)
            for p in self.every():
                with self.lock:
                    if p.held or p.popen is None or p.popen.poll() is None or time.monotonic() - p.started < 0.3:
                        continue
                    code = p.popen.returncode
                    p.deaths += 1
                    if code < 0 and code not in (-signal.SIGKILL, -signal.SIGTERM):
                        self.crashes.append(f"{p.name} died by {signal.Signals(-code).name}")
                    p.env.pop("CRASH_AT", None)  # once is enough
                    p.start()
            if int(time.monotonic() * 10) % 5 == 0:
                self._sample()

    def _sample(self):
        for p in self.every():
            if not p.running():
                continue
            try:
                with open(f"/proc/{p.popen.pid}/status", encoding="ascii") as f:
                    rss = next((int(line.split()[1]) for line in f if line.startswith("VmRSS")), 0)
                fds = len(os.listdir(f"/proc/{p.popen.pid}/fd"))
                self.samples.append({"process": p.name, "kind": p.kind, "rss_kib": rss, "fds": fds})
            except OSError:
                pass

    def restart(self, p, number=signal.SIGTERM):
        with self.lock:
            p.stop(number)
            p.start()

    def heal(self):
        """Servers answer, every process runs as it was made and is ready."""
        if self.net:
            self.net.heal()
        self.servers.heal()
        again = []
        for p in self.every():
            p.kill(signal.SIGCONT)
            if p.plain():
                again.append(p)
        for p in again:
            self.restart(p)
        for p in self.every():
            if not p.running():
                with self.lock:
                    p.start()

    def stop(self):
        self.looking = False
        if self.thread:
            self.thread.join()
        for p in self.every():
            p.held = True
            if p.running():
                p.kill(signal.SIGCONT)
                p.popen.kill()
                p.popen.wait()
