"""faults_processes.py: processes that die, leave, sleep or are upgraded."""
import signal
import time

from bed import until
from clients import Crowd
from harness import Fault
from rebuilt import rebuilt


class CrashPoints(Fault):
    """The processes of `kinds` get a crash point each, one after the other, until every one of `points` was died at."""

    kinds, points, limit_s = (), (), 16
    last_s = 90  # for the first of them: a busy machine takes long to start a process

    def begin(self):
        todo = list(self.points)
        self.random.shuffle(todo)
        armed = {}
        begin = time.monotonic()
        while (todo or armed) and time.monotonic() < begin + (self.limit_s if self.fired else self.last_s):
            for p in list(armed):
                if p.deaths > armed[p][1]:
                    self.fire()
                    self.notes.append("died at " + armed.pop(p)[0])
            for p in self.bed.every(*self.kinds):
                if todo and p not in armed:
                    point, first, spread = todo.pop()
                    p.env["CRASH_AT"] = f"{point}:{first + self.random.randrange(spread)}"
                    armed[p] = (point, p.deaths)
                    self.bed.restart(p)
            self.work.more(10, 1)
        for p, (point, _) in armed.items():
            self.notes.append("not reached: " + point)
        self.work.more(20, 10)


class EdgeDies(CrashPoints):
    number, title, holds = 1, "edge dies after parse, produce, delivery report, ack", "I1 I2"
    kinds = ("edge",)
    points = (("edge:parsed", 3, 15), ("edge:produced", 3, 15), ("edge:reported", 3, 15), ("edge:acked", 10, 30))


class RouterDies(CrashPoints):
    number, title, holds = 2, "router dies after k of n produced, before put, before commit", "I1 I2 I3"
    kinds = ("router",)
    points = (("router:step", 2, 10), ("router:sent", 2, 10), ("router:acked", 2, 10), ("router:put", 1, 4), ("router:commit", 1, 2))


class FanoutDies(CrashPoints):
    number, title, holds = 3, "fanout dies between deliver and checkpoint, between checkpoint and commit", "I1 I2 I3"
    kinds = ("fanout",)
    points = (("fanout:sent", 2, 10), ("fanout:acked", 2, 10), ("fanout:put", 2, 10), ("fanout:commit", 1, 2))


class PersisterDies(CrashPoints):
    number, title, holds = 4, "persister dies between COMMIT and anything else", "I2 I8"
    kinds = ("persister",)
    points = (("persister:step", 2, 8), ("persister:put", 1, 4), ("persister:put", 4, 8), ("persister:commit", 1, 2))

    def check(self):
        return rebuilt(self.bed)


class OfflineDies(CrashPoints):
    number, title, holds = 5, "offline worker dies in the middle of a flush", "I1 I2"
    kinds = ("offline",)
    points = (("offline:sent", 1, 3), ("offline:put", 1, 3), ("offline:item", 1, 3), ("offline:page", 1, 2), ("offline:commit", 1, 2))
    workload = {"ops": {"away": 14, "reconnect": 10}}


class DeliveringEdgeDies(CrashPoints):
    number, title, holds = 6, "delivering edge dies before write, mid-frame, before its commit; client returns at another", "I1 I2 I3"
    kinds = ("edge",)
    points = (("edge:write", 20, 40), ("edge:midframe", 20, 40), ("edge:commit", 1, 2))


class RollingRestart(Fault):
    number, title, holds = 7, "rolling SIGTERM of everything", "I1 I7, no failed send"

    def begin(self):
        before = sum(1 for h in self.work.history.lines if h["what"] == "fail")
        for p in self.bed.every():
            status = p.stop(signal.SIGTERM)
            if status != 0:
                self.wrong("crash", f"{p.name}: exit status {status} after SIGTERM")
            self.fire()
            with self.bed.lock:
                p.start()
            until(p.ready, 40, f"{p.name} is ready again")
            self.work.more(5, 5)
        # A member who was removed is refused by the conversation, and a chat with oneself by the edge, restart or not; nothing else may
        # fail.
        login = {d.user.hex(): d.login for d in self.work.people}
        alone = {(h["user"], h["device"], h["client_seq"]) for h in self.work.history.lines
                 if h["what"] == "invoke" and h["conv"] == login.get(h["user"])}
        bad = [h for h in self.work.history.lines if h["what"] == "fail"][before:]
        ours = ("NOT_A_MEMBER", "NOT_ALLOWED", "NO_CHANGE", "NO_SUCH_MESSAGE", "OWNER_STAYS", "NO_SUCH_MEMBER", "GONE", "TOO_OLD")
        for h in bad:
            if h["code"] not in ours and not (h["code"] == "BAD_FIELD" and (h["user"], h["device"], h["client_seq"]) in alone):
                self.wrong("lost", f"a send failed with {h['code']} while everything was restarted in turn")


class Storm(Fault):
    number, title, holds, bound_s = 17, "rebalance storm: a member leaves or joins every 2 s", "I1 I2 I3 I7", 40
    rounds = 6

    def begin(self):
        down = {}
        for _ in range(self.rounds):
            kind = self.random.choice(("router", "fanout", "offline", "persister"))
            p = down.pop(kind, None)
            if p:
                with self.bed.lock:
                    p.start()
            else:
                p = self.choose(kind)
                down[kind] = p
                p.stop(self.random.choice((signal.SIGTERM, signal.SIGKILL)))
            self.fire()
            time.sleep(2)


class AsleepPastLease(Fault):
    number, title, holds, bound_s = 32, "edge stopped past its lease, then continued", "its commits are refused, it drops its clients; I2", 30

    def begin(self):
        p = self.choose("edge")
        p.kill(signal.SIGSTOP)
        self.fire()
        time.sleep(10)  # the session time-out is 6 s: somebody else minds the slot by then
        self.work.more(20, 10)
        held = len(p.text())
        p.kill(signal.SIGCONT)
        until(lambda: p.ready() and len(p.text()) > held, 30, f"{p.name} notices")
        self.notes.append("said: " + p.text()[held:].strip().splitlines()[0][-160:])


class FanoutForgets(Fault):
    number, title = 28, "FLUSHALL, a partial checkpoint, kill -9 of fanout; a paused fanout wakes and writes"
    holds, bound_s = "no number twice, no new old conversation", 45

    def begin(self):
        sleeper, other = self.bed.procs["fanout"][:2]
        sleeper.kill(signal.SIGSTOP)
        self.fire()
        self.work.more(10, 3)
        other.env["CRASH_AT"] = f"fanout:{self.random.choice(('acked', 'put'))}:{self.random.randint(1, 5)}"
        died = other.deaths
        self.bed.restart(other, signal.SIGKILL)
        self.bed.servers.redis("FLUSHALL")
        self.fire(2)
        until(lambda: other.deaths > died or time.monotonic() - other.started > 12, 14, "the crash point")
        self.fire(other.deaths - died)
        sleeper.kill(signal.SIGCONT)
        self.work.more(40, 8)
        for p in self.bed.procs["fanout"]:  # whatever the sleeper wrote, somebody reads it now
            self.fire(p.kill(signal.SIGKILL))
        self.work.more(20, 8)


class RouterAway(Fault):
    number, title = 30, "router away for a while, clients drop, then edges die"
    holds, bound_s = "no bounce goes round; every device gets its messages at its next login", 45

    def begin(self):
        for p in self.bed.procs["router"]:
            p.stop(signal.SIGKILL)
            self.fire()
        time.sleep(4)
        before = self.bounces()
        for p in self.bed.procs["edge"][:2]:
            p.stop(signal.SIGKILL)
            self.fire()
        time.sleep(8)  # past the lease: offline workers mind the slots
        now = self.bounces()
        time.sleep(3)
        if self.bounces() - now > 200:
            self.wrong("stuck", f"bounces go round: {before}, {now}, {self.bounces()} records in im.offline")

    def bounces(self):
        import dump
        return sum(dump.ends(self.bed, ("im.offline",)).values())


class LastEdge(Fault):
    number, title = 31, "the last edge dies, its slot is left alone for a while"
    holds, bound_s = "nothing waits unread; the next holder starts clean", 45

    def begin(self):
        for p in self.bed.procs["edge"]:
            p.stop(signal.SIGKILL)
            self.fire()
        time.sleep(12)

    def heal(self):
        for p in self.bed.procs["edge"]:
            with self.bed.lock:
                p.start()


class EdgeStorm(Fault):
    number, title = 23, "connect storm after an edge dies"
    holds, bound_s = "I6 I7; retry-after with jitter", 40
    workload = {"users": 8}

    def begin(self):
        crowd = Crowd(self.work, 60)
        self.work.call(crowd.prepare())
        victim = self.choose("edge")
        victim.stop(signal.SIGKILL)
        self.fire()
        left = [f"{p.address()}:{p.listen}" for p in self.bed.procs["edge"] if p is not victim]
        self.work.call(crowd.rush(left), 90)
        hints = crowd.hints
        self.notes.append(f"{crowd.came} of 60 came in at once, {len(hints)} were told to wait, {len(set(hints))} different times")
        if crowd.came < 60:
            self.wrong("stuck", f"only {crowd.came} of 60 got in after the edge died")
        if len(hints) > 3 and len(set(hints)) < 2:
            self.wrong("stuck", "everybody was told to come back at the same time")
        self.work.call(crowd.leave())


class Upgrade(Fault):
    """Old and new reducers differ by rules version; the log of an old router holds rules 1, that of a new one rules 2."""
    number, title, holds = 29, "old and new reducer side by side in a rolling upgrade, rules changed", "the same numbers everywhere"
    own = True
    bound_s = 40

    def begin(self):
        import dump
        import record_pb2 as rec
        log = dump.records(self.bed, "im.conversation")
        # What a router of the version before would have written: the newest message of each conversation again, as new
        # numbers of a device of its own, under rules 1. New readers must fold both kinds in one log.
        last = {}
        for part, _o, _t, key, value in log:
            r = rec.ConvRecord.FromString(value)
            if r.kind in (0, 1) and r.rules == 2:
                last[key] = (part, r)
        for i, (key, (part, r)) in enumerate(list(last.items())[:6]):
            for n in range(4):
                r.rules, r.device, r.client_seq = 1, 1000 + n % 2, 10 * i + n + 1
                r.msg_id = bytes([n, 0x29]) + r.msg_id[2:]
                r.source_part = 0
                r.source_offset = 0
                r.ClearField("origin")
                dump.produce(self.bed, "im.conversation", r.SerializeToString(), key, part)
                self.fire()
        for kind in ("persister", "fanout", "router"):  # readers first, the router last
            for p in self.bed.procs[kind]:
                self.bed.restart(p)
                self.work.more(5, 5)

    def check(self):
        """Every reader gave the same numbers: a second persister, from the beginning of the log, has the same rows."""
        n = int(self.bed.sql("SELECT count(*) FROM messages WHERE device IN (1000, 1001)"))
        self.notes.append(f"{n} rows by records of rules 1 among those of rules 2")
        if not n:
            self.wrong("lost", "no record of rules 1 became a row")
        return rebuilt(self.bed)
