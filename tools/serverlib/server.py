"""What the three servers have in common: a process of their own session, a pid file, a log, ports, start and stop."""
import collections
import os
import signal
import subprocess
import time

from .state import Failure, PORTS, port_free, say

LOG_KEEP = 16 << 20


Process = collections.namedtuple("Process", "parent born state")


def process(pid):
    """What /proc says of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
        return Process(int(fields[1]), fields[19], fields[0])
    except (OSError, IndexError, ValueError):
        return None


def descendants(pid):
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (s := process(name)):
            children.setdefault(s.parent, []).append(int(name))
    found, todo = [], [pid]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


class Server:
    name = ""
    title = ""
    ports = ()  # names in the state's table; the first one is for clients
    stop_signals = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
    start_limit = float(os.environ.get("SERVERS_START_S", "60"))  # a busy machine needs longer
    turn_s = 0.05  # between two looks while it starts
    port_range = PORTS

    def __init__(self, state):
        self.state = state
        self.dir = state.path(self.name)
        self.log = os.path.join(self.dir, "log")
        self.pid_file = os.path.join(self.dir, "pid")
        self.child = None

    # ---- what each server says for itself ----
    def prepare(self):
        """Write configuration, make the data folder. Called under the lock, before every start."""

    def command(self):
        """(argv, extra arguments of Popen)"""
        raise NotImplementedError

    def ready(self):
        """True when a real request was answered."""
        raise NotImplementedError

    def after_ready(self):
        pass

    def address(self):
        return f"127.0.0.1:{self.state.port(self.ports[0])}"

    # ---- process ----
    def pid(self):
        """Of the running server, or None; a file left by a dead one, or a number used again, does not count."""
        try:
            with open(self.pid_file, encoding="ascii") as f:
                pid, born = f.read().split()
        except (OSError, ValueError):
            return None
        s = process(pid)
        return int(pid) if s and s.born == born and s.state != "Z" else None

    def choose_ports(self, fixed):
        """Ports stay as they are; one that somebody else took meanwhile is replaced, unless the user named it."""
        for name in self.ports:
            port = self.state.port(name)
            if port and port_free(port):
                continue
            if port and (fixed or name in self.state.data.get("asked_ports", [])):
                raise Failure(f"{self.title}: port {port} is taken by another program: stop that one "
                              f"(`ss -ltnp | grep {port}` names it), or choose another with --port {name}=N")
            new = self.state.pick_port(name, self.port_range)
            if port:
                say(f"{self.name}: port {port} is taken by another program; using {new} instead")

    def launch(self):
        os.makedirs(self.dir, exist_ok=True)
        self.prepare()
        argv, extra = self.command()
        mode = "ab" if os.path.exists(self.log) and os.path.getsize(self.log) < LOG_KEEP else "wb"
        with open(self.log, mode) as log:
            self.log_from = log.tell()
            # A session of its own: Ctrl-C at the terminal reaches us, and we stop the servers in order.
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True, **extra)
        with open(self.pid_file + ".new", "w", encoding="ascii") as f:
            f.write(f"{self.child.pid} {process(self.child.pid).born}\n")
        os.rename(self.pid_file + ".new", self.pid_file)

    def start(self, fixed_ports=False, cancelled=lambda: False):
        begin = time.monotonic()
        if self.pid():
            self.wait_ready(begin, cancelled)
            say(f"{self.name}: already running at {self.address()} (pid {self.pid()})")
            return False
        self.launch()
        say(f"{self.name}: {self.title} is starting at {self.address()}")
        self.wait_ready(begin, cancelled)
        self.after_ready()
        say(f"{self.name}: ready after {time.monotonic() - begin:.1f} s")
        return True

    def wait_ready(self, begin, cancelled):
        note = begin + 10
        while not cancelled():
            now = time.monotonic()
            if self.child and self.child.poll() is not None or not self.pid():
                raise Failure(f"{self.title} ended while it started{self.why()}")
            if self.ready():
                return
            if now - begin > self.start_limit:
                raise Failure(f"{self.title} gave no answer at {self.address()} within {self.start_limit:.0f} s{self.why()}")
            if now > note:
                say(f"{self.name}: still waiting for the first answer ({now - begin:.0f} s)")
                note += 10
            time.sleep(self.turn_s)
        raise Failure(f"{self.name}: given up, since another server could not start")

    def why(self):
        status = self.child.poll() if self.child else None
        how = "" if status is None else f" (exit status {status})" if status >= 0 else f" (signal {-status})"
        tail = self.log_tail()
        return f"{how}; the end of {self.log}:\n{tail}" if tail else f"{how}; {self.log} is empty"

    def log_tail(self, lines=15):
        try:
            with open(self.log, "rb") as f:
                f.seek(max(getattr(self, "log_from", 0), os.path.getsize(self.log) - 20000))
                text = f.read().decode(errors="replace").rstrip()
        except OSError:
            return ""
        if "No space left on device" in text:
            lines += 1
            text += "\n(the disk is full)"
        return "\n".join("    " + line[:400] for line in text.split("\n")[-lines:]) if text else ""

    def signal(self, number, everything=False):
        pid = self.pid()
        if not pid:
            raise Failure(f"{self.name} is not running")
        for p in [pid] + (descendants(pid) if everything else []):
            try:
                os.kill(p, number)
            except ProcessLookupError:
                pass

    def pause(self):
        self.signal(signal.SIGSTOP, everything=True)

    def resume(self):
        self.signal(signal.SIGCONT, everything=True)

    def kill9(self):
        pid = self.pid()
        self.signal(signal.SIGKILL, everything=True)
        self.gone(pid, 10)
        self.ports_free(10)
        self.forget()

    def ports_free(self, limit):
        """A process that is a zombie may have threads that still end, and with them its sockets."""
        end = time.monotonic() + limit
        while time.monotonic() < end and not all(port_free(p) for p in map(self.state.port, self.ports) if p):
            time.sleep(0.02)

    def gone(self, pid, limit):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self.child:
                self.child.poll()
            if self.pid() != pid:
                return True
            time.sleep(0.02)
        return False

    def forget(self):
        try:
            os.unlink(self.pid_file)
        except FileNotFoundError:
            pass

    def stop(self):
        pid = self.pid()
        if not pid:
            self.forget()
            return False
        begin = time.monotonic()
        self.signal(signal.SIGCONT, everything=True)  # a paused server hears nothing else
        self.forced = False
        for number, limit in self.stop_signals:
            self.forced = number == signal.SIGKILL
            try:
                self.signal(number, everything=number == signal.SIGKILL)
            except Failure:
                break
            if self.gone(pid, limit):
                break
        else:
            raise Failure(f"{self.name}: process {pid} does not end")
        self.forget()
        say(f"{self.name}: stopped in {time.monotonic() - begin:.1f} s")
        return True

    def end(self):
        """At the end of the `run` that started it."""
        self.stop()
