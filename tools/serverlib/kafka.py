"""Apache Kafka from the jars that tools/deps fetched: one broker, or three, each with its controller in one JVM (KRaft)."""
import base64
import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import uuid

from .server import Server
from .state import Failure

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "default.replication.factor": "1",
    "num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After kill -9 the controller holds the old registration for this long.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "background.threads": "4",
    "log.cleaner.dedupe.buffer.size": "33554432",
    "log.segment.delete.delay.ms": "10000",
    "message.max.bytes": "4194304",
    "replica.fetch.max.bytes": "4194304",
}

# Three brokers: what was confirmed is on two of them.
CLUSTER_PROPERTIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "replica.lag.time.max.ms": "4000",
    "controller.quorum.election.timeout.ms": "1000",
    "controller.quorum.fetch.timeout.ms": "2000",
}


def java():
    """The java to run, at least 17."""
    home = os.environ.get("JAVA_HOME")
    exe = os.path.join(home, "bin", "java") if home else "java"
    try:
        text = subprocess.run([exe, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError) as e:
        raise Failure(f"Kafka: no Java runtime ({exe}): run tools/deps, or set JAVA_HOME") from e
    m = re.search(r'version "(\d+)([^"]*)', text)
    if not m or int(m.group(1)) < 17:
        raise Failure(f"Kafka: needs Java 17 or newer, found {m.group(0) if m else text.strip()}: run tools/deps")
    return exe, m.group(1) + m.group(2)


def archive_path(libs, version):
    """Java would refuse an archive of another build, and start slowly, without saying so."""
    return f"{libs}-java-{version}.jsa"


def jars():
    """The folder of complete jars; fetched now when they are not there."""
    r = subprocess.run([os.path.join(TREE, "tools", "deps"), "--jars"], check=False)
    if r.returncode:
        raise Failure("Kafka: its jars are not here and could not be fetched (see above)")
    with open(os.path.join(TREE, "tools", "kafka", "pom.xml"), encoding="utf-8") as f:
        version = re.search(r"<artifactId>kafka_[^<]*</artifactId>\s*<version>([^<]+)", f.read()).group(1)
    cache = os.environ.get("PARLEY_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "parley")
    return os.path.join(cache, "kafka-" + version)


def node_names(brokers):
    """kafka, kafka2, kafka3: of the servers, and of their ports."""
    return ["kafka" + (str(n) if n > 1 else "") for n in range(1, brokers + 1)]


def controller_name(node):
    return "controller" + (str(node) if node > 1 else "")


class Kafka(Server):
    title = "Apache Kafka"
    # What was confirmed is in the page cache and survives the last resort.
    stop_signals = ((signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0))

    def __init__(self, state, node=1):
        self.node = node
        self.name = node_names(node)[-1]
        self.ports = (self.name, controller_name(node)) + ((self.name + "-also",) if state.data.get("also_at") else ())
        super().__init__(state)

    def brokers(self):
        return self.state.data.get("brokers", 1)

    def prepare(self):
        self.java, version = java()
        self.libs = jars()
        self.archive = archive_path(self.libs, version)
        self.data = os.path.join(self.dir, "data")
        os.makedirs(self.data, exist_ok=True)
        self.config = os.path.join(self.dir, "server.properties")
        with open(self.config, "w", encoding="utf-8") as f:
            f.writelines(f"{k}={v}\n" for k, v in self.settings().items())
        if not os.path.exists(os.path.join(self.data, "meta.properties")):
            self.format()

    def settings(self):
        port, controller, more = self.state.port(self.name), self.state.port(controller_name(self.node)), self.brokers() > 1
        nodes = range(1, self.brokers() + 1)
        settings = dict(PROPERTIES, **(CLUSTER_PROPERTIES if more else {}))
        settings["node.id"] = self.node
        settings["log.dirs"] = self.data
        settings["controller.quorum.voters"] = ",".join(f"{n}@127.0.0.1:{self.state.port(controller_name(n))}" for n in nodes)
        settings["listeners"] = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
        settings["advertised.listeners"] = f"PLAINTEXT://127.0.0.1:{port}"
        if self.state.data.get("also_at"):
            also = f",ALSO://{self.state.data['also_at']}:{self.state.port(self.name + '-also')}"
            settings["listeners"] += also
            settings["advertised.listeners"] += also
            settings["listener.security.protocol.map"] += ",ALSO:PLAINTEXT"
        settings.update(self.state.data.get("kafka_properties", {}))
        return settings

    def format(self):
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a", 1)
        cluster = self.state.data.get("kafka_cluster", made)  # the same for all brokers
        r = subprocess.run(self.jvm("-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC") +
                           ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.config],
                           capture_output=True, text=True, check=False)
        if r.returncode:
            raise Failure(f"Kafka: its data folder could not be formatted:\n{(r.stdout + r.stderr)[-2000:]}")

    def jvm(self, *options):
        libs = sorted(glob.glob(self.libs + "/*.jar"))
        return [self.java, *options, "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=" + os.environ.get("PARLEY_KAFKA_LOG", "warn"),
                "-cp", ":".join(libs)]

    def command(self):
        # Class data sharing: made at the end of the first clean run, used from then on. Stock garbage collector
        # and flags otherwise, so that what the bench measures is what others run.
        if os.path.exists(self.archive):
            share = [f"-XX:SharedArchiveFile={self.archive}"]
        else:
            share = ["-XX:ArchiveClassesAtExit=" + os.path.join(self.dir, "classes.jsa")]
        heap = ("-Xms128m", "-Xmx320m") if self.brokers() > 1 else ("-Xms256m", "-Xmx768m")
        argv = self.jvm(*heap, "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                        "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
                        "-XX:-UsePerfData", "-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-Xlog:class+path=off", *share)
        return argv + ["kafka.Kafka", self.config], {"cwd": self.dir}

    def stop(self):
        done = super().stop()
        if done and not self.forced:
            self.keep_archive()
        return done

    def keep_archive(self):
        """Into the cache, whole or not at all: other state folders read it at any moment."""
        made = os.path.join(self.dir, "classes.jsa")
        try:
            final = archive_path(jars(), java()[1])
            if os.path.exists(made) and not os.path.exists(final):
                tmp = f"{final}.{os.getpid()}"
                shutil.copyfile(made, tmp)
                os.rename(tmp, final)
            os.unlink(made)
        except (OSError, Failure):
            pass

    def ready(self):
        """A metadata request that names at least one broker."""
        try:
            with socket.create_connection(("127.0.0.1", self.state.port(self.name)), 1) as s:
                s.settimeout(2)
                client = b"servers"
                body = struct.pack(">hhih", 3, 4, 1, len(client)) + client + struct.pack(">i?", 0, False)
                s.sendall(struct.pack(">i", len(body)) + body)
                with s.makefile("rb") as f:
                    size = struct.unpack(">i", f.read(4))[0]
                    reply = f.read(size)
            return struct.unpack(">iii", reply[:12])[2] > 0
        except (OSError, struct.error):
            return False
