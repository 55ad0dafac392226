"""stack.py: what compose/test and compose/cluster-test have in common: one compose project of their own, and the verdicts."""
import json
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PORTS = {"PARLEY_PORT": 27000, "KAFKA_PORT": 27092, "KAFKA_PORT_2": 27192, "KAFKA_PORT_3": 27292, "PROMETHEUS_PORT": 27390,
         "GRAFANA_PORT": 27391}
ONCE = ("init", "topics", "migrate")


class Wrong(Exception):
    pass


class Verdicts:
    """Each step is said as it ends; the last line is the sum."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def step(self, name, do, *args):
        """What do() returns (a text about it, or None); a step that raises Wrong has failed and returns False."""
        begin = time.monotonic()
        try:
            said = do(*args)
        except Exception as e:  # noqa: BLE001 - a step that broke off has failed
            self.failed += 1
            print(f"  FAILED {name} ({time.monotonic() - begin:.0f} s)", flush=True)
            for line in (str(e) or repr(e)).splitlines()[-25:]:
                print(f"           {line}", flush=True)
            return False
        self.passed += 1
        print(f"  ok     {name}{': ' + said if said else ''} ({time.monotonic() - begin:.0f} s)", flush=True)
        return True

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def free_port(first):
    for port in range(first, first + 90):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Wrong(f"no free port from {first} on")


def run(*argv, limit_s=900, check=True, env=None, cwd=None, stdin=None):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=limit_s, check=False, env=env, cwd=cwd, input=stdin,
                       stdin=None if stdin is not None else subprocess.DEVNULL)
    if check and r.returncode:
        raise Wrong(f"{' '.join(argv[:14])}: exit {r.returncode}\n{r.stdout[-1500:]}{r.stderr[-3000:]}")
    return r


def until(condition, limit_s, what, pause=0.5):
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Wrong(f"not within {limit_s} s: {what() if callable(what) else what}")
        time.sleep(pause)


class Stack:
    """A project of compose.yaml in `folder` (default: here). `knobs` win over env files, as the shell's environment does.
    COMPOSE_MORE names one more compose file, of what a machine needs (a cgroup_parent, memory limits)."""

    def __init__(self, name, env_files=(), knobs=None, folder=HERE):
        self.name, self.folder, self.knobs = name, folder, {k: str(free_port(p)) for k, p in PORTS.items()}
        self.knobs.update(COMPOSE_PROJECT_NAME=name, **(knobs or {}))
        self.more = [w for w in ("-f", os.environ.get("COMPOSE_MORE")) if os.environ.get("COMPOSE_MORE")]
        self.options = ["-f", os.path.join(folder, "compose.yaml"), *self.more]
        for f in env_files:
            self.options += ["--env-file", os.path.join(folder, f)]
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
        self.env.update(self.knobs, COMPOSE_PROGRESS="quiet")

    def compose(self, *words, limit_s=900, check=True, options=()):
        return run("docker", "compose", *self.options, *options, *words, limit_s=limit_s, check=check, env=self.env)

    def up(self, *words, options=()):
        try:
            self.compose("up", "--wait", *words, options=options)
        except Wrong as e:
            raise Wrong(f"{e}\n{self.last_words()}") from None

    def smoke(self, env_files=()):
        options = [*self.more, *(w for f in env_files for w in ("--env-file", os.path.join(self.folder, f)))]
        run(os.path.join(self.folder, "smoke"), *options, env=self.env, limit_s=600)

    def containers(self, every=False):
        """{name: inspect}; without the ones that run once, unless `every`."""
        ids = run("docker", "ps", "-aq", "--no-trunc", "--filter", f"label=com.docker.compose.project={self.name}").stdout.split()
        found = json.loads(run("docker", "inspect", *ids).stdout) if ids else []
        return {c["Name"].lstrip("/"): c for c in found
                if (every or service(c) not in ONCE) and c["Config"]["Labels"]["com.docker.compose.oneoff"] != "True"}

    def one(self, name):
        """The id of a service's only container."""
        return next(c["Id"] for c in self.containers(True).values() if service(c) == name)

    def sick(self):
        """{name: state} of what does not run or is not healthy."""
        return {n: c["State"]["Health"]["Status"] if c["State"]["Running"] and "Health" in c["State"] else c["State"]["Status"]
                for n, c in self.containers().items()
                if not c["State"]["Running"] or c["State"].get("Health", {}).get("Status") != "healthy"}

    def healthy(self, limit_s=240):
        until(lambda: not self.sick(), limit_s, lambda: f"{self.sick()}\n{self.last_words()}")

    def last_words(self):
        """Of what is not as it should be."""
        out = []
        for n, c in self.containers(True).items():
            bad = c["State"]["ExitCode"] if service(c) in ONCE else n in self.sick()
            if bad:
                r = run("docker", "logs", "--tail", "12", c["Id"], check=False)
                out.append(f"---- {n}: {c['State']['Status']} {c['State']['ExitCode']}\n{r.stdout}{r.stderr}")
        return "\n".join(out)

    def left(self):
        """What Docker still has of it."""
        label = f"label=com.docker.compose.project={self.name}"
        return {"containers": run("docker", "ps", "-aq", "--filter", label).stdout.split(),
                "volumes": run("docker", "volume", "ls", "-q", "--filter", label).stdout.split(),
                "networks": run("docker", "network", "ls", "-q", "--filter", label).stdout.split()}

    def down(self, *profiles):
        options = [w for p in profiles for w in ("--profile", p)]
        self.compose("down", "-v", "--remove-orphans", options=options)
        left = {k: v for k, v in self.left().items() if v}
        if left:
            raise Wrong(f"left over: {left}")

    def ctl(self, *words, check=True):
        return self.compose("run", "--rm", "-T", "--no-deps", "ctl", *words, options=("--profile", "tools"), check=check)


def service(container):
    return container["Config"]["Labels"]["com.docker.compose.service"]


def docker_or_leave():
    for words in (("docker", "version"), ("docker", "compose", "version")):
        try:
            subprocess.run(words, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            sys.exit(f"{' '.join(words)} does not work here: this test needs Docker and its compose plugin")
