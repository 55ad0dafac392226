"""The state folder: one file of settings, one lock, one sub-folder for each server."""
import contextlib
import errno
import fcntl
import json
import os
import random
import shutil
import socket
import sys
import time

NEED_FREE_MIB = int(os.environ.get("PARLEY_NEED_FREE_MIB", "1024"))
# Below the range that the kernel hands to outgoing connections: a port of ours must still be free when its server is
# started again while clients reconnect.
PORTS = range(20000, 24000)
PROCESS_PORTS = range(24000, 32000)  # of what is not a server: a server that is down finds its port again
CONTAINER_PORTS = range(16000, 20000)  # published by containers


class Failure(Exception):
    """Something the user must know; printed without a traceback."""


_started = time.monotonic()


def say(text):
    print(f"servers [{time.monotonic() - _started:5.1f}s] {text}", file=sys.stderr, flush=True)


def port_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError as e:
            if e.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise


class State:
    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.file = self.path("state.json")
        self.data = {"ports": {}}

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def exists(self):
        return os.path.exists(self.file)

    def create(self):
        try:
            os.makedirs(self.folder, exist_ok=True)
            os.chmod(self.folder, 0o711)  # PostgreSQL's user passes through; the secrets below are 0600
        except OSError as e:
            raise Failure(f"cannot create the state folder {self.folder}: {e.strerror}") from e

    def load(self):
        if not self.exists():
            return
        try:
            with open(self.file, encoding="utf-8") as f:
                self.data = json.load(f)
            self.data["ports"]
        except (ValueError, KeyError, TypeError) as e:
            raise Failure(f"{self.file} is damaged: remove {self.folder} to begin anew") from e

    def save(self):
        tmp = self.file + ".new"
        with open(os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
            json.dump(self.data, f, indent=1)
            f.flush()
            os.fsync(f.fileno())
        os.rename(tmp, self.file)

    @contextlib.contextmanager
    def locked(self):
        """One command at a time changes what runs; a second one waits."""
        with open(self.path("lock"), "a", encoding="utf-8") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another `servers` command on this state folder")
                fcntl.flock(f, fcntl.LOCK_EX)
            self.load()
            yield

    def port(self, name):
        return self.data["ports"].get(name)

    def pick_port(self, name, among=PORTS):
        taken = set(self.data["ports"].values())
        for _ in range(1000):
            port = random.choice(among)
            if port not in taken and port_free(port):
                self.data["ports"][name] = port
                return port
        raise Failure(f"no free port between {among.start} and {among.stop - 1} for {name}")

    def check_space(self):
        free = shutil.disk_usage(self.folder).free >> 20
        if free < NEED_FREE_MIB:
            raise Failure(f"only {free} MiB free at {self.folder}; the servers need {NEED_FREE_MIB} MiB to start: "
                          "free some space, or name another folder with --state")
