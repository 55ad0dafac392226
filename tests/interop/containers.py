"""Kafka, PostgreSQL and Redis for a test in Python, each in a disposable container. To copy: this file, and

    with Servers() as servers:              # `pip install testcontainers`; no image is fetched that is there already
        connect(servers.environment)        # PARLEY_KAFKA, PARLEY_POSTGRES, PARLEY_REDIS
        servers.kafka.get_wrapped_container().kill()    # … and what else one does to a server
        servers.kafka.get_wrapped_container().start()   # same data, same port

Nothing stays behind: at the end the containers are removed with their volumes; when the program ends by SIGKILL, within
REAP_S by a forked process that waits on a pipe. (The project's own reaper is a container of an image of its own, and is off.)
"""
import os
import random
import secrets
import signal
import socket
import sys
import time

os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
os.environ.setdefault("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
import docker  # noqa: E402
from testcontainers.core.container import DockerContainer  # noqa: E402
from testcontainers.core.wait_strategies import ExecWaitStrategy, LogMessageWaitStrategy  # noqa: E402

REAP_S = 10
START_S = 240
PORTS = range(16000, 20000)  # below those of outgoing connections: free again when a server is started again
LABEL = "org.parley.tests.python"


def free_port(among=PORTS):
    """Not the first one: others look for theirs at this moment."""
    while True:
        port = random.choice(among)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def remove_labelled(label):
    """How many there were."""
    client = docker.from_env()
    found = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
    for c in found:
        try:
            c.remove(force=True, v=True)
        except docker.errors.APIError:
            pass  # gone, or being removed
    client.close()
    return len(found)


def reaper(label, more=lambda: None):
    """Removes what has the label when this process dies without writing to the pipe. Returns the pipe's end. `more` is called
    then too. Call it before the program has threads."""
    read, write = os.pipe()
    if os.fork():
        os.close(read)
        return write
    try:
        os.setsid()  # who kills the program's group does not mean us
        for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(n, signal.SIG_IGN)
        os.close(write)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        if not os.read(read, 1):
            more()
            empty, until = 0, time.monotonic() + REAP_S
            while empty < 2 and time.monotonic() < until:  # one more may have been on its way
                empty = empty + 1 if remove_labelled(label) == 0 else 0
                time.sleep(0.5)
    finally:
        os._exit(0)


class Servers:
    def __init__(self, when_killed=lambda: None):
        run = secrets.token_hex(8)
        self.label, self.labels = f"{LABEL}.run={run}", {LABEL + ".run": run}
        self.alive = reaper(self.label, when_killed)
        self.kafka_port, self.postgres_port, self.redis_port = (free_port() for _ in range(3))
        self.password = secrets.token_hex(16)

    def container(self, image, inside, port, wait, command=None, **environment):
        c = DockerContainer(image).with_envs(**environment).with_kwargs(labels=self.labels, shm_size="256m")
        if command:
            c = c.with_command(command)
        c.ports[f"{inside}/tcp"] = ("127.0.0.1", port)
        return c.waiting_for(wait.with_startup_timeout(START_S))

    def __enter__(self):
        try:
            self.kafka = self.container(
                "apache/kafka:4.1.0", 9092, self.kafka_port, LogMessageWaitStrategy("Kafka Server started"),
                # Clients are told this address by the broker, so its port is chosen before it starts.
                KAFKA_ADVERTISED_LISTENERS=f"INSIDE://localhost:19092,HOST://127.0.0.1:{self.kafka_port}",
                KAFKA_LISTENERS="INSIDE://:19092,HOST://:9092,CONTROLLER://:9093",
                KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="INSIDE:PLAINTEXT,HOST:PLAINTEXT,CONTROLLER:PLAINTEXT",
                KAFKA_INTER_BROKER_LISTENER_NAME="INSIDE", KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
                KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093", KAFKA_PROCESS_ROLES="broker,controller", KAFKA_NODE_ID="1",
                KAFKA_LOG_DIRS="/var/lib/kafka/data", KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
                KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1", KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS="1",
                KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1", KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
                KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0", CLUSTER_ID="cGFybGV5LW9uZS1icm9rZXI").start()
            self.postgres = self.container(
                # While it makes its first files it listens at its unix socket only.
                "postgres:17", 5432, self.postgres_port, ExecWaitStrategy(["pg_isready", "-q", "-h", "127.0.0.1", "-U", "parley"]),
                POSTGRES_USER="parley", POSTGRES_DB="parley", POSTGRES_PASSWORD=self.password).start()
            self.redis = self.container(
                "redis:8", 6379, self.redis_port, LogMessageWaitStrategy("Ready to accept connections"),
                ["redis-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def environment(self):
        return {"PARLEY_KAFKA": f"127.0.0.1:{self.kafka_port}", "PARLEY_REDIS": f"127.0.0.1:{self.redis_port}",
                "PARLEY_POSTGRES": f"host=127.0.0.1 port={self.postgres_port} user=parley dbname=parley password={self.password}"}

    def __exit__(self, *_exc):
        try:
            remove_labelled(self.label)
            os.write(self.alive, b".")
        except OSError as e:
            print(f"containers: left to the reaper: {e}", file=sys.stderr)
        finally:
            os.close(self.alive)
