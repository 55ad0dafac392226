"""net.py: network namespaces whose packets pass through this process, which may delay, reorder, lose or drop them.

A namespace has one TUN device; its other end, and that of the host's device, are files here. One thread carries packets
from file to file by their destination address. The kernel's own netem is not in every kernel; this needs /dev/net/tun,
`ip` and root only. Rules are of one direction, so a link can be cut one way.
"""
import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time

TUNSETIFF, IFF_TUN_NO_PI, CLONE_NEWNET = 0x400454CA, 0x1001, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
    return fd


def available():
    """Why not, or None."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    return None


class Rule:
    """What happens to packets from the namespace (`out`) or to it; `port`: of the server, None: any."""

    def __init__(self, out, port=None, drop=False, loss=0.0, delay_ms=0.0, jitter_ms=0.0):
        self.out, self.port, self.drop, self.loss = out, port, drop, loss
        self.delay, self.jitter = delay_ms / 1000, jitter_ms / 1000
        self.hits = 0  # packets it did something to


class Net:
    """The host is PREFIX.1, namespace k PREFIX.k+2."""

    def __init__(self, prefix=None, tag=None):
        self.prefix, self.tag = prefix or f"10.77.{os.getpid() % 250 + 1}", tag or f"pf{os.getpid() % 10000}"
        self.host = f"{self.prefix}.1"
        self.rules, self.files, self.names = {}, {}, {}  # address -> rules, file, namespace
        self.random, self.queue, self.count = random.Random(1), [], 0
        self.fd = _tun(self.tag)
        _ip("addr", "add", f"{self.host}/24", "dev", self.tag)
        _ip("link", "set", self.tag, "up")
        self.running = True
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def namespace(self, name):
        """Its address; made when it is not there yet."""
        full = f"{self.tag}-{name}"
        for address, known in self.names.items():
            if known == full:
                return address
        address = f"{self.prefix}.{len(self.names) + 2}"
        _ip("netns", "add", full)
        made = []

        def inside():
            f = os.open(f"/var/run/netns/{full}", os.O_RDONLY)
            if _libc.setns(f, CLONE_NEWNET) == 0:  # of this thread only
                made.append(_tun("t0"))
            os.close(f)

        t = threading.Thread(target=inside)
        t.start()
        t.join()
        for words in (("addr", "add", f"{address}/24", "dev", "t0"), ("link", "set", "t0", "up"), ("link", "set", "lo", "up")):
            _ip("netns", "exec", full, "ip", *words)
        self.names[address], self.rules[address] = full, []
        self.files[address] = made[0]
        return address

    def inside(self, name):
        """The words to put before a command that is to run there."""
        self.namespace(name)
        return ["ip", "netns", "exec", f"{self.tag}-{name}"]

    def socket(self, name, address, receive_bytes=0):
        """A TCP connection made inside a namespace."""
        self.namespace(name)
        made = []

        def inside():
            f = os.open(f"/var/run/netns/{self.tag}-{name}", os.O_RDONLY)
            if _libc.setns(f, CLONE_NEWNET) == 0:
                s = socket.socket()
                if receive_bytes:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
                s.settimeout(10)
                s.connect(address)
                s.setblocking(False)
                made.append(s)
            os.close(f)

        t = threading.Thread(target=inside)
        t.start()
        t.join()
        return made[0]

    def rule(self, name, rule):
        self.rules[self.namespace(name)].append(rule)
        return rule

    def heal(self):
        for rules in self.rules.values():
            rules.clear()

    def close(self):
        self.running = False
        self.thread.join()
        for full in self.names.values():
            subprocess.run(["ip", "netns", "del", full], check=False, capture_output=True)
        for fd in [self.fd, *self.files.values()]:
            os.close(fd)

    # ---- packets ----

    def _carry(self):
        while self.running:
            now = time.monotonic()
            while self.queue and self.queue[0][0] <= now:
                _, _, fd, packet = heapq.heappop(self.queue)
                self._write(fd, packet)
            wait = min(0.05, max(0.0, self.queue[0][0] - now)) if self.queue else 0.05
            readable, _, _ = select.select([self.fd, *list(self.files.values())], [], [], wait)
            for fd in readable:
                for _ in range(64):
                    try:
                        packet = os.read(fd, 65536)
                    except BlockingIOError:
                        break
                    except OSError:
                        break
                    self._one(fd, packet)

    def _write(self, fd, packet):
        try:
            os.write(fd, packet)
        except OSError:
            pass  # as a full queue anywhere else

    def _one(self, fd, packet):
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return
        out = fd != self.fd
        address = ".".join(map(str, packet[12:16] if out else packet[16:20]))
        to = self.fd if out else self.files.get(address)
        if to is None:
            return
        delay = self._judge(address, out, packet)
        if delay is None:
            return
        if delay:
            self.count += 1
            heapq.heappush(self.queue, (time.monotonic() + delay, self.count, to, packet))
        else:
            self._write(to, packet)

    def _judge(self, address, out, packet):
        """Seconds to wait, or None: it is lost."""
        rules = self.rules.get(address)
        if not rules:
            return 0
        head = (packet[0] & 15) * 4
        ports = struct.unpack(">HH", packet[head:head + 4]) if len(packet) >= head + 4 else (0, 0)
        delay = 0.0
        for r in list(rules):
            if r.out != out or r.port is not None and r.port not in ports:
                continue
            if r.drop or r.loss and self.random.random() < r.loss:
                r.hits += 1
                return None
            if r.delay or r.jitter:
                r.hits += 1
                delay += r.delay + r.jitter * self.random.random()
        return delay
