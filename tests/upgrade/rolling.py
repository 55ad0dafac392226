"""rolling.py: the upgrade itself, as one more fault of the harness: what "comes" is the new release, process by process."""
import json
import os
import signal
import subprocess
import time

import dump
from bed import TREE, Bed, Servers, until
from harness import Fault
from rebuilt import rebuilt

# Who reads a record is upgraded before who writes it: history and queues, then deliveries, then order, then the door.
ORDER = ("persister", "query", "auditor", "offline", "fanout", "router", "edge")
PATIENCE_S = 240  # a slow machine is no verdict
# A conversation says so to whoever asks for what it does not allow, upgrade or not.
OURS = ("NOT_A_MEMBER", "NOT_ALLOWED", "NO_CHANGE", "NO_SUCH_MESSAGE", "OWNER_STAYS", "NO_SUCH_MEMBER", "GONE", "TOO_OLD")


class Deployment(Bed):
    def wait_ready(self, limit_s=60, procs=None):
        super().wait_ready(max(limit_s, PATIENCE_S), procs)

    def use(self, binaries, tree):
        """Programs and topic table from now on, of what has none of its own."""
        self.bin = binaries
        with open(self.config, encoding="utf-8") as f:
            conf = json.load(f)
        conf["topics"]["file"] = os.path.join(tree, "schema", "topics.json")
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump(conf, f, indent=1)


class Ground:
    """Servers and one deployment that begins with the old release."""

    def __init__(self, args, old):
        self.args, self.old, self.net, self.servers, self.bed = args, old, None, None, None

    def get(self, _fault):
        if not self.servers:
            self.servers = Servers(os.path.join(self.args.state, "servers"))
        if not self.bed:
            prefix = f"u{os.urandom(3).hex()}."
            self.bed = Deployment(self.servers, os.path.join(self.args.state, "deployment"), os.path.join(self.old, "build", "bin"), prefix=prefix,
                                  settings={"topics": {"prefix": prefix, "file": os.path.join(self.old, "schema", "topics.json")}})
            self.bed.old, self.bed.old_bin, self.bed.new = self.old, self.bed.bin, os.path.abspath(self.args.bin)
        return self.bed

    def drop(self):
        if self.bed:
            self.bed.stop()
            self.bed = None

    def close(self):
        self.drop()
        if self.servers:
            self.servers.stop()
            self.servers = None


class Rolling(Fault):
    number, title, holds, bound_s = 1, "rolling upgrade with a change of the schema", "I1 I2 I3 I4, no failed send", 40

    def schema(self):
        return int(self.bed.sql("SELECT max(version) FROM schema_version"))

    def say(self, text):
        self.notes.append(text)

    def table(self, p, binaries):
        """The topic table comes with the programs, as in a package."""
        tree = self.bed.old if binaries == self.bed.old_bin else TREE
        p.bin, p.env["PARLEY_TOPICS_FILE"] = binaries, os.path.join(tree, "schema", "topics.json")

    def replace(self, p, binaries):
        """One process, gently. Between two, the others carry traffic: old and new side by side."""
        with self.bed.lock:
            ran, status = p.running(), p.stop(signal.SIGTERM)
            self.table(p, binaries)
            p.start()
        if ran and status != 0:
            self.wrong("crash", f"{p.name}: exit status {status} after SIGTERM")
        until(p.ready, PATIENCE_S, f"{p.name} is ready as {binaries}: {p.get('/readyz')[1][:200]}; {p.text()[-500:]}")
        self.fire()
        if not self.work.more(8, 20):
            self.wrong("stuck", f"nothing went on after {p.name} was replaced")

    def begin(self):
        bed, before = self.bed, len(self.work.history.lines)
        old, new = bed.old_bin, bed.new
        had = self.schema()
        versions = [subprocess.run([os.path.join(b, "parleyctl"), "--version"], capture_output=True, text=True, check=True).stdout.strip() for b in (old, new)]
        self.work.more(60, 30)
        for p in bed.every():
            self.table(p, old)
        bed.use(new, TREE)
        bed.ctl("migrate")
        bed.ctl("topics", "create")  # what a release adds; what is there stays
        self.say(f"schema {had} → {self.schema()} under old processes ({versions[0]} → {versions[1]})")
        if self.schema() <= had:
            self.wrong("stuck", "the new release has no newer schema: this shows nothing of a migration")
        self.work.more(40, 30)
        self.refused(old)
        for kind in ORDER:
            for p in bed.procs.get(kind, ()):
                self.replace(p, new)
            if kind == "fanout":  # until the routers are replaced a reader that has nothing to do with the schema may go back
                p = bed.procs["fanout"][0]
                self.replace(p, old)
                self.work.more(30, 20)
                self.replace(p, new)
                self.say("one fanout back to the old release and forth again")
        for p in bed.every():
            p.plain()
        self.work.more(60, 30)
        self.judge_sends(before)

    def refused(self, old):
        """An old persister that starts after the migration says so and ends; it does not write into what it does not know."""
        p = self.bed.procs["persister"][1]
        with self.bed.lock:
            p.stop(signal.SIGTERM)
            held = len(p.text())
            p.start()
            p.held = True  # nobody starts it again
        until(lambda: not p.running(), 30, "an old persister ends at a newer schema")
        if p.popen.returncode != 1 or "newer schema" not in p.text()[held:]:
            self.wrong("stuck", f"an old persister at a newer schema: status {p.popen.returncode}: {p.text()[held:][-300:]}")
        self.say("an old persister that was started again after the migration refused, and the other one went on")

    def judge_sends(self, before):
        bad = {}
        for h in list(self.work.history.lines)[before:]:
            if h["what"] == "fail" and h.get("client_seq") and h["code"] not in OURS:
                bad[h["code"]] = bad.get(h["code"], 0) + 1
        for code, n in bad.items():
            self.wrong("lost", f"{n} sends failed with {code} during the upgrade")

    def check(self):
        """What old and new wrote is one history: a new persister comes to the same rows from the log's beginning."""
        log = dump.conversation_log(self.bed)
        sealed = int(self.bed.sql("SELECT count(*) FROM messages WHERE key_id > 0"))
        clear = int(self.bed.sql("SELECT count(*) FROM messages WHERE key_id = 0 AND text <> ''"))
        self.say(f"{len(log)} records of im.conversation; {clear} texts in the clear by old routers, {sealed} sealed by new ones")
        if not sealed or not clear:
            self.wrong("stuck", "only one release wrote records")
        begin = time.monotonic()
        found = rebuilt(self.bed)
        self.say(f"history made again from the log by the new release alone: {'the same' if not found else 'NOT the same'} ({time.monotonic() - begin:.1f} s)")
        return found
