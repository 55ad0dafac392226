"""A container engine's HTTP API on its unix socket: as much of it as tools/servers needs."""
import http.client
import json
import os
import socket
import urllib.parse

from .state import Failure

LABEL = "org.parley.tests"  # LABEL.owner: as tests/support/container.h has it


def owner_text(pid="self"):
    """Who a container belongs to, so that others can tell whether that process still lives: boot/pid namespace/pid/start."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            boot = f.read().strip()
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            text = f.read()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else f"{boot}/{os.readlink('/proc/self/ns/pid')}/{text.split()[0]}/{fields[19]}"


def owner_gone(owner):
    words, ours = owner.split("/"), owner_text().split("/")
    if len(words) != 4:
        return False
    if words[0] != ours[0]:
        return True  # the machine was started again
    return words[1] == ours[1] and owner_text(words[2]) != owner


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Refused(Failure):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Engine:
    def __init__(self):
        host = os.environ.get("DOCKER_HOST", "")
        self.path = host[len("unix://"):] if host.startswith("unix://") else "/var/run/docker.sock"

    def call(self, method, path, body=None, timeout=60):
        """The answer's bytes; Refused when the engine says no, Failure when there is none."""
        c = Connection(self.path, timeout)
        try:
            c.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
            r = c.getresponse()
            data = r.read()
        except (OSError, http.client.HTTPException) as e:
            raise Failure(f"no container engine answers at {self.path} ({e}): start one (`dockerd`), or name it in DOCKER_HOST") from e
        finally:
            c.close()
        if r.status >= 400:
            try:
                text = json.loads(data)["message"]
            except (ValueError, KeyError, TypeError):
                text = data.decode(errors="replace")
            raise Refused(r.status, f"the container engine: {text.strip()}")
        return data

    def ask(self, method, path, body=None, timeout=60):
        return json.loads(self.call(method, path, body, timeout))

    def has_image(self, image):
        try:
            self.call("GET", f"/images/{image}/json")
            return True
        except Refused as e:
            if e.status != 404:
                raise
            return False

    def labelled(self, *labels):
        query = urllib.parse.urlencode({"all": 1, "filters": json.dumps({"label": labels})})
        return self.ask("GET", "/containers/json?" + query)

    def remove(self, which):
        """By force, with its volumes; one that is gone, or is being removed by somebody else, is fine."""
        try:
            self.call("DELETE", f"/containers/{which}?force=1&v=1")
        except Refused as e:
            if e.status not in (404, 409):
                raise

    def remove_leavings(self):
        """Of runs whose process is gone."""
        for c in self.labelled(LABEL + ".owner"):
            if owner_gone(c["Labels"][LABEL + ".owner"]):
                self.remove(c["Id"])

    def logs(self, which):
        """Frames: stream, three zeros, length, bytes."""
        data, text = self.call("GET", f"/containers/{which}/logs?stdout=1&stderr=1"), b""
        while len(data) >= 8:
            n = int.from_bytes(data[4:8], "big")
            text += data[8:8 + n]
            data = data[8 + n:]
        return text
