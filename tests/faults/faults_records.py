"""faults_records.py: records nobody can read, records that are gone, wrong clocks, a rebuild beside the live pipeline."""
import os
import signal
import subprocess
import threading
import time

import confluent_kafka as ck
import dump
import record_pb2 as rec
from bed import until
from confluent_kafka import admin as cka
from harness import Fault
from rebuilt import rebuilt

HALTED = "parley_core_halted_partitions"


def admin(bed):
    return cka.AdminClient({"bootstrap.servers": bed.servers.env["PARLEY_KAFKA"], "log_level": 2})


class Poison(Fault):
    number, title = 20, "poison records; a rules version from the future"
    holds = "dead letters, counted, the partition moves on; im.conversation: the same no-op for every reader; unknown rules: loud halt"
    own = True
    topics = ("im.inbound", "im.offline", "im.query", "im.conversation", "im.user")
    lettered = ("im.inbound", "im.offline", "im.query")

    def begin(self):
        self.before = dump.ends(self.bed, ("im.dlq",))
        self.bad = {}
        for topic in self.topics:
            for _ in range(3):
                value = self.random.choice((b"\xff" * 20, self.random.randbytes(200), b"\x08\x01\x12\xff\xff\x7f"))
                at = dump.produce(self.bed, topic, value, self.random.randbytes(16))
                self.bad[topic, *at] = value
                self.fire()
                self.work.more(5, 5)

    def check(self):
        letters = {}
        for *_, value in dump.records(self.bed, "im.dlq"):
            d = rec.DlqRecord.FromString(value)
            letters[d.topic.removeprefix(self.bed.prefix), d.part, d.offset] = d
        for (topic, part, offset), value in self.bad.items():
            d = letters.get((topic, part, offset))
            if not d and topic in self.lettered:
                self.wrong("lost", f"no dead letter for {topic}/{part}/{offset}")
            elif d and (d.value != value or not d.error):
                self.wrong("divergent", f"the dead letter of {topic}/{part}/{offset} has other bytes, or no error")
        counted = sum(p.metric("parley_core_dead_letters_total") for p in self.bed.every("router", "fanout", "offline", "persister"))
        self.notes.append(f"{len(letters)} dead letters, {counted:.0f} counted by processes that still run")
        return rebuilt(self.bed) + self.future()

    def future(self):
        """Last, for that partition stays halted."""
        part, _, _, key, value = dump.records(self.bed, "im.conversation")[-1]
        r = rec.ConvRecord()
        try:
            r.ParseFromString(value)
        except Exception:  # noqa: BLE001
            r = rec.ConvRecord(version=1, kind=1, conversation=key)
        r.rules = 99
        dump.produce(self.bed, "im.conversation", r.SerializeToString(), key, part)
        self.fire()
        found = []
        for kind in ("persister", "fanout"):
            try:
                until(lambda k=kind: sum(p.metric(HALTED) for p in self.bed.procs[k]), 20, f"{kind} halts")
            except Exception as e:  # noqa: BLE001
                found.append(("stuck", f"rules version 99: {e}"))
                continue
            if not any("99" in p.text() or "rules" in p.text() for p in self.bed.procs[kind]):
                found.append(("stuck", f"{kind} halted without saying why"))
        return found


class Overtaken(Fault):
    number, title, holds, own = 26, "a consumer away past retention; a partition count changed", "loud stop, never a silent skip", True
    explains = ("retention",)

    def begin(self):
        """What can be healed: nothing here. The workload only shows that all was well before."""
        self.work.more(20, 10)
        self.fire()

    def check(self):
        found = self.retention() + self.partitions()
        return found

    def retention(self):
        routers = self.bed.procs["router"]
        for p in routers:
            p.stop(signal.SIGKILL)
        for part in range(2):
            for i in range(5):
                dump.produce(self.bed, "im.inbound", rec.Inbound(version=1).SerializeToString(), bytes([i] * 16), part)
        ends = dump.ends(self.bed, ("im.inbound",))
        parts = [ck.TopicPartition(self.bed.prefix + "im.inbound", p, ends["im.inbound", p]) for p in range(2)]
        a = admin(self.bed)
        for f in a.delete_records(parts).values():
            f.result(timeout=60)
        self.fire()
        router = routers[0]
        said = len(router.text())
        with self.bed.lock:
            router.start()
        found = self.loud(router, said, "the log begins after its position")
        router.stop(signal.SIGKILL)
        return found

    def partitions(self):
        a = admin(self.bed)
        for f in a.create_partitions([cka.NewPartitions(self.bed.prefix + "im.conversation", 3)]).values():
            f.result(timeout=60)
        self.fire()
        found = []
        for kind in ("persister", "fanout"):
            p = self.bed.procs[kind][0]
            p.stop()
            said = len(p.text())
            with self.bed.lock:
                p.start()
            found += self.loud(p, said, "three partitions instead of two")
        return found

    def loud(self, p, said, what):
        """Not ready, or ended; and an error in the log."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            told = [line for line in p.text()[said:].splitlines() if " error " in line]
            if told and (not p.ready() or p.metric(HALTED)):
                self.notes.append(f"{p.name}: {told[0][-150:]}")
                p.held = True
                return []
            time.sleep(0.2)
        return [("stuck", f"{p.name} goes on quietly though {what}")]


class Clock(Fault):
    number, title, holds, bound_s = 16, "clocks wrong by an hour", "I3; timers are monotonic", 40

    def begin(self):
        shim = os.path.join(self.bed.folder, "clock.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock.c"), "-ldl"],
                       check=True)
        for kind in ("edge", "router", "fanout", "persister", "offline"):
            p = self.choose(kind)
            off = self.random.choice((3600, -3600))
            p.env.update(LD_PRELOAD=shim, CLOCK_OFF_S=str(off))
            self.bed.restart(p)
            self.fire()
            self.notes.append(f"{p.name} {off // 3600:+d} h")
        self.bed.wait_ready(60)
        self.work.more(100, 20)


class RebuildLive(Fault):
    number, title, holds, own = 27, "a rebuild while live", "I8, nothing delivered again", True

    def begin(self):
        self.work.more(50, 10)
        done = {}

        def go():
            done["r"] = self.bed.ctl("rebuild", "history", "--verify", "--yes", check=False)
        t = threading.Thread(target=go)
        t.start()
        self.fire()
        while t.is_alive():
            self.work.more(10, 1)
        r = done["r"]
        said = (r.stdout + r.stderr).decode(errors="replace").strip()
        self.notes.append("parleyctl rebuild history --verify: " + " / ".join(said.splitlines()[-3:])[-240:])
        if r.returncode:
            self.wrong("divergent", f"the rebuild ended with {r.returncode}: {said[-600:]}")

    def check(self):
        return rebuilt(self.bed)
