"""faults_network.py: links that are cut one way, slow, lossy or half open; namespaces of net.py."""
import time

from harness import Fault
from net import Rule

LINKS = (("edge", "kafka-also"), ("router", "kafka-also"), ("router", "redis"), ("fanout", "kafka-also"), ("fanout", "redis"),
         ("persister", "kafka-also"), ("persister", "postgres"), ("offline", "kafka-also"), ("offline", "redis"), ("query", "postgres"),
         ("query", "kafka-also"))


class Namespaced(Fault):
    """One process of each kind lives in a namespace of its own."""

    needs_net = True

    def move(self, kinds):
        self.moved = {}
        for kind in kinds:
            p = self.choose(kind)
            p.inside = kind
            with self.bed.lock:
                p.stop()
                p.start()
            self.moved[kind] = p
        self.bed.wait_ready(60, list(self.moved.values()))
        self.work.edges[:] = self.bed.edges()
        self.work.more(20, 20)

    def heal(self):
        self.bed.net.heal()
        self.bed.heal()
        self.work.edges[:] = self.bed.edges()


class OneWay(Namespaced):
    number, title, holds, bound_s = 12, "one-way partition of each link", "I1 I6 I7", 45
    links, each_s = 5, 5

    def begin(self):
        chosen = self.random.sample(LINKS, self.links)
        self.move(sorted({k for k, _ in chosen}))
        for kind, server in chosen:
            out = self.random.random() < 0.5
            rule = self.bed.net.rule(kind, Rule(out, self.bed.servers.port(server), drop=True))
            time.sleep(self.each_s)
            self.notes.append(f"{kind} {'→' if out else '←'} {server.removesuffix('-also')}: {rule.hits} packets dropped")
            self.fire(rule.hits > 0)
            self.bed.net.heal()


class BadNetwork(Namespaced):
    number, title, holds, bound_s = 19, "delay, reorder, loss on the network", "I3", 45

    def begin(self):
        kinds = ("edge", "router", "fanout", "persister", "offline")
        self.move(kinds)
        rules = [self.bed.net.rule(k, Rule(out, loss=0.03, delay_ms=2, jitter_ms=30)) for k in kinds for out in (True, False)]
        time.sleep(8)
        self.work.more(20, 20)
        hits = sum(r.hits for r in rules)
        self.notes.append(f"{hits} packets delayed, reordered or lost")
        self.fire(hits)


class HalfOpen(Namespaced):
    number, title, holds, bound_s = 14, "half-open TCP: clients vanish without a word", "presence right within two heartbeats; I1", 30
    own, settings = True, {"edge": {"heartbeat": "2s", "confirm": "10s"}}

    def begin(self):
        from clients import Vanishing
        edge = self.bed.procs["edge"][0]
        edge.at = self.bed.net.host
        self.bed.restart(edge)
        self.bed.wait_ready(60, [edge])
        self.work.edges[:] = self.bed.edges()
        v = Vanishing(self.work, edge)
        try:
            self.fire(self.work.call(v.log_in(self.bed.net)))
            if not self.work.call(v.online(True, 10), 40):
                self.wrong("stuck", "who logged in is not shown online")
            self.bed.net.rule("away", Rule(True, drop=True))
            self.bed.net.rule("away", Rule(False, drop=True))
            begin = time.monotonic()
            gone = self.work.call(v.online(False, 20), 40)
            self.notes.append(f"offline {time.monotonic() - begin:.1f} s after the last word; heartbeat 2 s, silence allowed 6 s")
            if not gone:
                self.wrong("stuck", "who vanished is still shown online after three heartbeats")
        finally:
            v.stop()
