"""One Redis: append-only file synced every second, nothing evicted."""
import os
import shutil
import socket

from .server import Server
from .state import Failure

SETTINGS = """\
bind 127.0.0.1{also}
port {port}
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
dir {data}
"""


class Redis(Server):
    name = "redis"
    title = "Redis"
    ports = ("redis",)

    def prepare(self):
        if not shutil.which("redis-server"):
            raise Failure("Redis: redis-server was not found: run tools/deps")
        data = os.path.join(self.dir, "data")
        os.makedirs(data, exist_ok=True)
        with open(os.path.join(self.dir, "redis.conf"), "w", encoding="utf-8") as f:
            also = self.state.data.get("also_at")
            f.write(SETTINGS.format(also=f" {also}\nprotected-mode no" if also else "", port=self.state.port("redis"), data='"' + data + '"'))

    def command(self):
        return [shutil.which("redis-server"), os.path.join(self.dir, "redis.conf")], {"cwd": self.dir}

    def ready(self):
        """PING is refused with LOADING while the append-only file is read."""
        try:
            with socket.create_connection(("127.0.0.1", self.state.port("redis")), 1) as s:
                s.settimeout(1)
                s.sendall(b"PING\r\n")
                return s.recv(64).startswith(b"+PONG")
        except OSError:
            return False
