"""The same three servers, each in a disposable container: the other back end of tools/servers.

A container has a fixed port of 127.0.0.1, since clients hold the address, and keeps its data until `wipe`, or until the end
of the `run` that made it. Images are never fetched; compose/.env says which.
"""
import base64
import hashlib
import os
import re
import secrets
import socket
import struct
import time

from . import kafka, postgres, redis
from .engine import LABEL, Engine, Refused, owner_text
from .server import Server
from .state import CONTAINER_PORTS, Failure, say

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def image(name, variable):
    """As compose has it: the environment before the file."""
    if os.environ.get(variable):
        return f"{name}:{os.environ[variable]}"
    with open(os.path.join(TREE, "compose", ".env"), encoding="utf-8") as f:
        return f"{name}:" + re.search(rf"^{variable}=(\S+)$", f.read(), re.M).group(1)


class Contained(Server):
    start_limit = 240.0
    port_range = CONTAINER_PORTS
    turn_s = 0.25  # a look is a request to the engine
    stop_s = 10
    repository = variable = ""
    inside = 0

    def __init__(self, state):
        super().__init__(state)
        self.engine = Engine()
        self.image = image(self.repository, self.variable)
        tag = hashlib.sha256(state.folder.encode()).hexdigest()[:12]
        self.container = f"parley-tests-{tag}-{self.name}"

    # ---- what each says for itself ----
    def settle(self):
        """What is chosen once for the state folder; before any server starts."""

    def environment(self):
        return {}

    def argv(self):
        return None

    # ---- container ----
    def post(self, verb, timeout=60):
        self.engine.call("POST", f"/containers/{self.container}/{verb}", timeout=timeout)

    def found(self):
        """What the engine knows of it, or None."""
        try:
            return self.engine.ask("GET", f"/containers/{self.container}/json")
        except Refused as e:
            if e.status == 404:
                return None
            raise

    def pid(self):
        c = self.found()
        return c["State"]["Pid"] or None if c and c["State"]["Running"] else None

    def description(self):
        environment = [f"{k}={v}" for k, v in self.environment().items()]
        port, argv = str(self.state.port(self.name)), self.argv()
        settings = hashlib.sha256(repr((environment, argv, self.image)).encode()).hexdigest()
        labels = {LABEL + ".state": self.state.folder, LABEL + ".settings": settings}
        owner = self.state.data.get("run", {}).get("owner")
        if owner and owner_text(owner):
            labels[LABEL + ".owner"] = owner_text(owner)
        inside = f"{self.inside}/tcp"
        return {"Image": self.image, "Env": environment, "Labels": labels, "ExposedPorts": {inside: {}}, **({"Cmd": argv} if argv else {}),
                "HostConfig": {"PortBindings": {inside: [{"HostIp": "127.0.0.1", "HostPort": port}]}, "ShmSize": 256 << 20}}

    def choose_ports(self, fixed):
        self.settle()
        super().choose_ports(fixed or self.found() is not None)

    def launch(self):
        os.makedirs(self.dir, exist_ok=True)
        wanted, there = self.description(), self.found()
        if there and there["Config"]["Labels"].get(LABEL + ".settings") != wanted["Labels"][LABEL + ".settings"]:
            raise Failure(f"{self.title}: its container has other settings: `tools/servers wipe`, or name another folder with --state")
        if not there:
            self.engine.call("POST", "/containers/create?name=" + self.container, wanted)
        self.post("start")

    def kill9(self):
        if not self.pid():
            raise Failure(f"{self.name} is not running")
        self.post("kill?signal=KILL")
        self.post("wait?condition=not-running")
        self.ports_free(10)

    def pause(self):
        self.post("pause")

    def resume(self):
        self.post("unpause")

    def stop(self):
        c, begin = self.found(), time.monotonic()
        if not c or not c["State"]["Running"]:
            return False
        if c["State"]["Paused"]:
            self.resume()
        self.post(f"stop?t={self.stop_s}", timeout=self.stop_s + 60)
        self.ports_free(10)
        say(f"{self.name}: stopped in {time.monotonic() - begin:.1f} s")
        return True

    def end(self):
        """Of a run: what it made goes, whatever it was doing."""
        c = self.found()
        if c and LABEL + ".owner" in c["Config"]["Labels"]:
            self.remove()
        else:
            self.stop()

    def remove(self):
        if self.found():
            try:
                self.keep_log()
            except (Failure, OSError) as e:
                say(f"{self.name}: its log was not kept: {e}")
            self.engine.remove(self.container)
            say(f"{self.name}: container removed")

    def keep_log(self):
        os.makedirs(self.dir, exist_ok=True)
        with open(self.log, "wb") as f:
            f.write(self.engine.logs(self.container))

    def log_tail(self, lines=15):
        try:
            self.keep_log()
        except (Failure, OSError):
            return ""
        return super().log_tail(lines)


class Kafka(Contained, kafka.Kafka):
    repository, variable, inside = "apache/kafka", "KAFKA_VERSION", 9092

    def __init__(self, state):
        super().__init__(state)
        self.ports = (self.name,)  # the controller's is inside

    def settle(self):
        if not self.state.data.get("kafka_cluster"):
            self.state.data["kafka_cluster"] = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "a")

    def environment(self):
        settings = {
            **kafka.PROPERTIES,
            "log.dirs": "/var/lib/kafka/data",
            "controller.quorum.voters": "1@localhost:9093",
            "listeners": "INSIDE://:19092,CONTROLLER://:9093,PLAINTEXT://:9092",
            # The broker asks itself too, and cannot by the port that clients see.
            "advertised.listeners": f"INSIDE://localhost:19092,PLAINTEXT://127.0.0.1:{self.state.port(self.name)}",
            "listener.security.protocol.map": "INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "inter.broker.listener.name": "INSIDE",
            **self.state.data.get("kafka_properties", {}),
        }
        return {"CLUSTER_ID": self.state.data["kafka_cluster"], "KAFKA_HEAP_OPTS": "-Xms256m -Xmx768m",
                **{"KAFKA_" + k.upper().replace(".", "_"): v for k, v in settings.items()}}


class Postgres(Contained, postgres.Postgres):
    repository, variable, inside = "postgres", "POSTGRES_VERSION", 5432

    def settle(self):
        self.state.data.setdefault("postgres_password", secrets.token_hex(16))

    def environment(self):
        return {"POSTGRES_USER": "parley", "POSTGRES_DB": "parley", "POSTGRES_PASSWORD": self.state.data["postgres_password"]}

    def argv(self):
        pairs = [f"{k}={v.strip(chr(39))}" for k, v in postgres.SETTINGS.items()]
        return ["postgres", *(word for pair in pairs for word in ("-c", pair))]

    def ready(self):
        """It asks who wants the database; before, it says that it is starting. No client program is needed here."""
        body = struct.pack(">i", 3 << 16) + b"user\0parley\0database\0parley\0\0"
        try:
            with socket.create_connection(("127.0.0.1", self.state.port("postgres")), 1) as s:
                s.settimeout(2)
                s.sendall(struct.pack(">i", len(body) + 4) + body)
                return s.recv(1) == b"R"
        except OSError:
            return False

    def after_ready(self):
        pass


class Redis(Contained, redis.Redis):
    repository, variable, inside = "redis", "REDIS_VERSION", 6379

    def argv(self):
        return ["redis-server", "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"]


def check():
    """Failure that says what is missing for containers."""
    engine = Engine()
    engine.call("GET", "/_ping")
    wanted = [image(c.repository, c.variable) for c in (Kafka, Postgres, Redis)]
    missing = [i for i in wanted if not engine.has_image(i)]
    if missing:
        raise Failure(f"images that are not here: {', '.join(missing)}. Fetch them (`docker pull IMAGE`), or make stand-ins: compose/local-images/build")
