"""harness.py: one fault, one seed: the workload runs, the fault comes and goes, all is quiet, everything is compared."""
import json
import os
import random
import shutil
import time
import traceback

import auditor
import dump
from bed import Bed, Servers, Trouble
from checker import judge
from person import History
from workload import Workload

CAPS = {"edge": (256 << 10, 4096), "router": (256 << 10, 512), "fanout": (256 << 10, 512), "persister": (256 << 10, 512),
        "offline": (256 << 10, 512), "query": (256 << 10, 512),
        "auditor": (384 << 10, 512)}  # per partition: 64 MiB cells, 64 MiB not judged yet, 10 MiB of what was answered
LAG_S = 45


class Fault:
    """One row of the table. begin() puts it in and may wait for its effect; heal() takes it away; fired is how often it
    really happened. `holds` names the invariants; `bound_s` is the time after healing in which every device's sends go on
    and nobody is behind. A fault with `own` = True gets a deployment of its own, thrown away afterwards."""

    number, title, holds, bound_s, own = 0, "", "", 30, False
    counts, settings, servers, workload, needs_net = None, None, "plain", {}, False
    slots = None           # of the deployment, if not the usual number
    lag_s = LAG_S
    tolerate = ()          # verdicts that this fault is allowed to cause, with the reason in its docstring
    explains = ()          # kinds of violations that the auditor is right to tell of, because the fault is one

    def __init__(self, ctx):
        self.ctx, self.bed, self.work, self.random = ctx, ctx.bed, ctx.work, ctx.random
        self.fired, self.more, self.notes = 0, [], []

    def begin(self):
        raise NotImplementedError

    def heal(self):
        pass

    def check(self):
        """After everything is quiet: further verdicts."""
        return []

    def wrong(self, verdict, text):
        self.more.append((verdict, text))

    def fire(self, n=1):
        self.fired += n

    def choose(self, kind):
        return self.random.choice(self.bed.procs[kind])


class Context:
    def __init__(self, bed, seed):
        self.bed, self.seed, self.random, self.work = bed, seed, random.Random(seed), None


class Place:
    """The servers and the standing deployment, made when they are first needed, kept while they are whole."""

    def __init__(self, args):
        self.args, self.servers, self.bed, self.net, self.kind = args, None, None, None, None

    def get(self, fault):
        kind = fault.servers
        if self.servers and self.kind != kind:
            self.close()
        if not self.net and self.args.net:
            from net import Net
            self.net = Net()
        if not self.servers:
            self.kind = kind
            self.servers = Servers(os.path.join(self.args.state, kind), 3 if kind == "three" else 1, self.net.host if self.net else None,
                                   disk_mib=384 if kind == "small-disk" else 0)
        if fault.own:
            self.drop()
            self.bed = self.make(fault)
            return self.bed
        if not self.bed:
            self.bed = self.make(None)
        return self.bed

    def make(self, fault):
        folder = os.path.join(self.args.state, "deployment")
        settings = {"offline": {}, "auditor": {"retention": "5s"}, **((fault.settings or {}) if fault else {})}
        return Bed(self.servers, folder, self.args.bin, fault.counts if fault else None, settings, self.net, plant=getattr(self.args, "plant", None),
                   slots=fault.slots if fault else None)

    def drop(self):
        """The deployment goes, the servers stay."""
        if self.bed:
            self.bed.stop()
            self.bed.sql(f"DROP SCHEMA IF EXISTS {self.bed.schema} CASCADE", check=False)
            self.bed = None

    def close(self):
        self.drop()
        if self.servers:
            self.servers.stop()
        if self.net:
            self.net.close()
        self.servers = self.net = self.bed = None


def wait_lag(bed, limit_s):
    """{group: records behind} at the end; empty when nobody is."""
    end = time.monotonic() + limit_s
    while True:
        behind = {g: n for g, n in dump.lag(bed).items() if n}
        if not behind or time.monotonic() > end:
            return behind
        time.sleep(0.3)


def run_one(place, fault_class, seed, keep=False):
    """The result as a dictionary."""
    begin = time.monotonic()
    result = {"fault": fault_class.number, "title": fault_class.title, "holds": fault_class.holds, "seed": seed, "operations": 0, "fired": 0,
              "recovery_s": None, "verdicts": [], "notes": []}
    try:
        one(place, fault_class, seed, result)
    except Trouble as e:
        result["verdicts"].append(("stuck", str(e)))
    except Exception:  # noqa: BLE001 - a run that could not be judged is not a good one
        result["verdicts"].append(("stuck", "the run broke off: " + traceback.format_exc()))
    if not result["fired"]:
        result["verdicts"].append(("stuck", "the fault never happened"))
    result["seconds"] = round(time.monotonic() - begin, 1)
    if place.bed and (fault_class.own or result["verdicts"]):
        if result["verdicts"] and keep:
            folder = os.path.join(place.args.state, f"failed-{fault_class.number}-{seed}")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(place.bed.folder, folder)
            result["kept"] = folder
        try:
            place.drop()  # what is broken must not be blamed on the next fault
        except Exception:  # noqa: BLE001
            place.close()
    return result


def one(place, fault_class, seed, result):
    bed = place.get(fault_class)
    ctx = Context(bed, seed)
    bed.heal()
    bed.wait_ready()
    bed.crashes.clear()
    bed.samples.clear()
    since = dump.ends(bed)
    said = {p: len(p.text()) for p in bed.procs["auditor"]}
    history = History(os.path.join(bed.folder, "history.jsonl"))
    ctx.work = work = Workload(bed.edges(), history, seed, **fault_class.workload)
    fault = fault_class(ctx)
    try:
        work.prepare()
        work.start()
        if not work.more(30):
            raise Trouble("the workload does not get under way")
        fault.begin()
        fault.heal()
        bed.heal()
        healed = time.monotonic()
        recovery = work.resumed(healed, fault.bound_s)
        bed.wait_ready(fault.bound_s + 30)
        stuck = work.settle(60)
        if recovery is None:
            stuck.append(f"sends did not resume within {fault.bound_s} s of healing")
        stuck += work.read_all()
        behind = wait_lag(bed, fault.lag_s)
        work.fill()
        result["recovery_s"] = recovery and round(recovery, 1)
        auditor.settle(bed, result["notes"])
        fault.more += fault.check()
        run = gather(bed, work, history, since, behind, stuck)
        result["verdicts"] += [v for v in judge(run) if v[0] not in fault.tolerate] + fault.more
        result["verdicts"] += auditor.verdicts(said, fault.explains, run["rows"], result["notes"])
        result["scanned"], result["records"], result["rows"] = run["scanned"], len(run["log"]), len(run["rows"])
    finally:
        result["operations"], result["fired"] = work.operations(), fault.fired
        result["notes"] += fault.notes
        refused = {}
        for d in work.people:
            for code, n in d.refusals.items():
                refused[code] = refused.get(code, 0) + n
        if refused:
            result["notes"].append("asked to try again: " + ", ".join(f"{k} {v}" for k, v in sorted(refused.items())))
        try:
            work.close()
        finally:
            history.close()


def gather(bed, work, history, since, behind, stuck):
    people = [*work.everybody(), *work.fresh]
    canaries = [d.password for d in people] + [t for d in people for t in d.tokens]
    found, scanned = dump.scan(bed, canaries, since)
    run = {"history": history.lines, "log": dump.conversation_log(bed), "rows": dump.rows(bed), "lag": behind, "stuck": stuck,
           "samples": bed.samples, "caps": CAPS, "canaries": found, "crashes": bed.crashes, "scanned": scanned}
    with open(os.path.join(bed.folder, "run.json"), "w", encoding="utf-8") as f:
        json.dump({k: v for k, v in run.items() if k != "history"}, f)
    return run
