"""faults_sleepers.py: processes that sleep between what they decided and what they do, and do it when the world has gone on."""
import asyncio
import re
import signal
import time

import dump
import record_pb2 as rec
from bed import until
from faults_network import Namespaced
from harness import Fault
from net import Rule
from person import Person


def sleeps(bed, p, point, first, spread, random):
    """Restarted, it stops at the first + n-th passing of a point. SIGCONT lets it go on from there."""
    p.env["PAUSE_AT"] = f"{point}:{first + random.randrange(spread)}"
    bed.restart(p)
    until(p.asleep, 30, f"{p.name} sleeps at {point}")
    p.env.pop("PAUSE_AT")


class FanoutWakes(Namespaced):
    """What a fanout has written is on its way to Redis when it is taken for dead. It arrives when another has gone on. (A process that
    only sleeps before it writes does not get so far: it drops what has waited longer than the time-out for answers when it wakes.)"""
    number, title = 28, "a fanout's last checkpoint is under way to Redis while another takes over, and arrives late"
    holds, bound_s, rounds = "no number twice, no conversation goes back", 45, 4

    def begin(self):
        self.move(("fanout",))
        for _ in range(self.rounds):
            self.round(self.moved["fanout"])

    def round(self, p):
        sleeps(self.bed, p, "fanout:putting", 3, 20, self.random)
        before, at = self.marks(), time.monotonic()
        rule = self.bed.net.rule("fanout", Rule(True, self.bed.servers.port("redis"), drop=True))
        p.kill(signal.SIGCONT)
        until(lambda: rule.hits, 10, "the fanout writes its checkpoint")
        p.kill(signal.SIGSTOP)
        part = until(lambda: self.taken(before), 40, "another fanout has the sleeper's partition and has written")[0]
        self.work.more(60, 10)
        self.bed.net.heal()
        healed = time.monotonic()
        until(lambda: self.heard(healed), 40, "what was under way reaches Redis", 0.005)
        self.fire()
        now = self.marks()[part]
        end = time.monotonic() + 2  # the other puts once more, or the place in the log would show that the checkpoint went back
        while self.marks()[part] == now and time.monotonic() < end:
            pass
        for q in self.bed.procs["fanout"]:  # whoever comes next reads what is there
            self.fire(q.kill(signal.SIGKILL))
        self.notes.append(f"what {p.name} had written came {time.monotonic() - at:.0f} s late, {now[1] - before[part][1]} checkpoints after its own")
        p.kill(signal.SIGCONT)
        self.work.more(60, 10)
        self.bed.wait_ready(40, self.bed.procs["fanout"])

    def heard(self, since):
        """Redis has taken something from the sleeper after `since`."""
        said = (self.bed.servers.redis("CLIENT", "LIST") or b"").decode(errors="replace")
        idle = [int(line.split(" idle=")[1].split(" ")[0]) for line in said.splitlines() if f" addr={self.bed.net.namespace('fanout')}:" in line]
        return any(i < time.monotonic() - since for i in idle)

    def marks(self):
        """{partition: (generation, serial)} of fanout's checkpoints."""
        out = {}
        for part in range(2):
            raw = self.bed.servers.redis("HMGET", f"{self.bed.prefix}parley:{{{self.bed.prefix}parley-fanout:{part}}}:m", "g", "s") or b""
            words = raw.split(b"\r\n")
            out[part] = (int(words[2]), int(words[4])) if len(words) > 4 and words[2] and words[4] else (0, 0)
        return out

    def taken(self, before):
        """Which partition somebody else has opened since, and put at least five times; None."""
        for part, (generation, serial) in self.marks().items():
            if generation != before[part][0] and serial >= before[part][1] + 5:
                return (part,)
        return None


class LateRecords(Fault):
    """As many slots as edges, so an edge that comes back holds the slot of the one before it, under another epoch. Its connections have
    the numbers that the other's had, and are other people's."""
    number, title = 6, "records for an edge's sessions are written when another epoch holds its slot, with other people's sessions"
    holds, own, bound_s, rounds = "I1 I3 I4", True, 45, 2
    counts, slots = {"edge": 2}, 2

    def begin(self):
        w = self.work
        strangers = [Person(f"stranger{i}-{w.tag}", "one", w.edges, w.history) for i in range(24)]
        for first in range(0, len(strangers), 8):
            w.call(self.signed_up(strangers[first:first + 8]))
        for _ in range(2 * self.rounds):  # a batch without anything for that edge tells nothing
            if self.fired < self.rounds:
                self.round(self.bed.procs["edge"][0], self.choose("fanout"), strangers)

    def round(self, edge, fanout, strangers):
        self.bed.restart(edge)  # its connections are counted from 1
        self.bed.wait_ready(40, [edge])
        self.work.more(40, 20)
        sleeps(self.bed, fanout, "fanout:sending", 20, 40, self.random)
        slot, n = self.slot(edge), int(edge.metric("parley_edge_accepted_total"))
        all_edges = list(self.work.edges)
        self.work.edges[:] = [f"{p.address()}:{p.listen}" for p in self.bed.procs["edge"] if p is not edge]
        self.bed.restart(edge)
        self.bed.wait_ready(40, [edge])
        if self.slot(edge) != slot:
            self.wrong("stuck", "the edge holds another slot than before")
        here = strangers[:n + 3]
        self.work.call(self.come(here, edge))
        since = dump.ends(self.bed, (f"im.deliver.{slot}",))
        fanout.kill(signal.SIGCONT)
        end, late = time.monotonic() + 6, 0
        while not late and time.monotonic() < end:
            late = self.late(slot, since)
        self.fire(late > 0)
        self.notes.append(f"{late} records of the epoch before, for connections up to {n}; {len(here)} strangers were there")
        self.work.edges[:] = all_edges
        self.work.more(30, 10)
        self.work.call(self.go(here))

    def slot(self, edge):
        return int(re.findall(r"slot claimed slot=(\d+)", edge.text())[-1])

    def late(self, slot, since):
        """Records for an epoch that is not the slot's newest."""
        epochs = [rec.DeliverRecord.FromString(v).epoch for *_, v in dump.records(self.bed, f"im.deliver.{slot}")]
        new = [rec.DeliverRecord.FromString(v).epoch for *_, v in dump.records(self.bed, f"im.deliver.{slot}", since)]
        return sum(e < max(epochs) for e in new)

    async def signed_up(self, people):
        await asyncio.gather(*(p.sign_up(1) for p in people))

    async def come(self, people, edge):
        for p in people:
            p.edges = [f"{edge.address()}:{edge.listen}"]
        for first in range(0, len(people), 8):
            await asyncio.gather(*(p.log_in(0) for p in people[first:first + 8]))

    async def go(self, people):
        for p in people:
            await p.close()
