"""Rounds: in each, the floors and the product one after the other, so that both see the same machine."""
import os
import statistics

from .bed import say
from .more import More
from .rows import ON_DISK, ROWS

CLASS_CACHE, CLASS_FSYNC = "B page cache", "C fsync"
SPREAD = 1.5  # of the ratios of one row, largest to smallest
RECORD = 160  # what an im.inbound record has beside the text, about


def steady(ratios, row):
    """False: the rounds contradict each other, or the product beats what it is built on; the machine did other work."""
    return bool(ratios) and max(ratios) <= SPREAD * min(ratios) and (row != 4 or max(ratios) <= 1.2)


class Rounds(More):
    """`table`: rows of history that row 11 looks into."""

    def __init__(self, args, bed, name, rows=None, table=1000000):
        self.args, self.bed, self.name, self.table = args, bed, name, table
        self.rounds, self.failed = [], []
        self.rows = rows or [r for r in args.rows if name == CLASS_CACHE or r in ON_DISK]
        self.ms = {"warm": 500, "floor": 1500, "latency": 2000, "rate": 3000} if args.quick else \
                  {"warm": 1000, "floor": 3000, "latency": 5000, "rate": 8000}

    def _take(self, into, key, *words, **kw):
        r = self.bed.measure(*words, **kw)
        into[key] = r
        if not r.get("ok"):
            self.failed.append(f"{self.name}, {key}: {r.get('failure') or {k: v for k, v in r.get('faults', {}).items() if v} or 'did not end'}")
        return r

    def warm(self):
        """The broker's JVM compiles what is hot during its first 100,000 records: nobody's round should pay for it."""
        r, rows, ms = {}, self.rows, self.ms
        self.rows, self.ms = [1, 2, 4], {k: 3 * v if k == "floor" else v for k, v in ms.items()}
        self.rate(r, 1000)
        self.latency(r, 1000)
        self.rows, self.ms = rows, ms
        self.failed = [f for f in self.failed if not f.endswith("did not end")]

    def one(self, number):
        r, rows = {}, set(self.rows)
        if rows & {1, 2, 3}:
            self.latency(r, number)
        if rows & {3, 4}:
            self.rate(r, number)
        if 3 in rows:
            self.half(r, number)
        for n in (5, 6, 9, 10, 11):
            if n in rows:
                getattr(self, f"take{n}")(r, number)
        self.rounds.append(r)
        say(self.short(r))

    def latency(self, r, number):
        a, ms = self.args, self.ms
        size = ["--size", str(RECORD + a.size)]
        times = ["--warm-ms", str(ms["warm"]), "--measure-ms", str(ms["floor"])]
        servers = self.bed.processes(False)
        if {1, 2} & set(self.rows):
            self._take(r, "e0", "floor", "e0", "--size", str(43 + a.size), "--measure-ms", str(ms["floor"] // 2))
            self._take(r, "kp", "floor", "kp", *size, *times, *servers)
        if 2 in self.rows:
            self._take(r, "kc", "floor", "kc", *size, *times, *servers)
            self._take(r, "chain1", "floor", "chain", "--window", "1", *size, *times, *servers)
        self._take(r, "one", "load", *self.common(number), "--in-flight", "1", "--measure-ms", str(ms["latency"]))

    def rate(self, r, number):
        a = self.args
        ms = ["--warm-ms", str(3 * self.ms["warm"]), "--measure-ms", str(self.ms["rate"])]
        if 4 in self.rows:
            self._take(r, "chain", "floor", "chain", "--postgres", "env",
                       "--window", str(a.connections * a.window), "--conversations", str(a.connections // 2),
                       "--size", str(RECORD + a.size), *ms, *self.bed.processes(False))
        self._take(r, "many", "load", *self.common(number), "--connections", str(a.connections),
                   "--window", str(a.window), *ms)

    def half(self, r, number):
        """Open loop: times that do not wait for answers, as of independent senders."""
        rate = max(1, int(self.kept(r["many"]) / 2))
        self._take(r, "half", "load", *self.common(number), "--connections", str(self.args.connections), "--window", "64",
                   "--rate", str(rate), "--poisson", "1", "--measure-ms", str(self.ms["rate"]))

    def common(self, number):
        return [*self.bed.edges(), *self.bed.processes(True), "--postgres", "env",
                "--accounts", os.path.join(self.bed.state, "accounts.json"), "--warm-ms", str(self.ms["warm"]),
                "--size", str(self.args.size), "--seed", str(self.args.seed + number)]

    # ---- figures of one round: floor, product ----
    def row1(self, r):
        return r["e0"]["round_trip_us"]["p50"] + r["kp"]["report_us"]["p50"], r["one"]["ack_us"]["p50"]

    def row2(self, r):
        return r["e0"]["round_trip_us"]["p50"] + 3 * r["kc"]["one_way_us"]["p50"], r["one"]["deliver_us"]["p50"]

    def row3(self, r):
        return r["one"]["deliver_us"]["p50"], r["half"]["deliver_us"]["p99"]

    @staticmethod
    def kept(x):
        """What came through and is in history, whichever is less."""
        return min(x["delivered_per_s"], x["rows_per_s"])

    def row4(self, r):
        return self.kept(r["chain"]), self.kept(r["many"])

    def figures(self, number, r):
        """(floor, product, ratio); the ratio of row 11 is turned round, so that there too more is better."""
        floor, product = getattr(self, f"row{number}")(r)
        if not floor or not product:
            return floor, product, None
        return floor, product, floor / product if number == 11 else product / floor

    def short(self, r):
        parts = []
        for n in self.rows:
            _, product, ratio = self.figures(n, r)
            parts.append(f"row {n}: {ROWS[n].shown(product)}, {ratio or 0:.2f} of the floor")
        return "; ".join(parts)

    def row(self, number):
        found = [self.figures(number, r) for r in self.rounds]
        ratios = [f[2] for f in found if f[2]]  # what failed has no figure, and is told
        ratio = statistics.median(ratios) if ratios else float("nan")
        return {"row": number, "class": self.name, "floor": statistics.median(f[0] for f in found),
                "product": statistics.median(f[1] for f in found), "ratio": ratio, "ratios": ratios or [ratio],
                "goal": ROWS[number].goal, "met": ROWS[number].met(ratio), "steady": steady(ratios, number),
                "also": getattr(self, f"also{number}")(), "table": self.table if number == 11 else None}

    def median(self, *path):
        """Of a figure within the results, over the rounds."""
        def at(r):
            for key in path:
                r = r[key]
            return r
        return statistics.median(at(r) for r in self.rounds)

    # ---- what else is worth telling ----
    def also1(self):
        return f"p99 {self.median('one', 'ack_us', 'p99') / 1000:.3f} ms"

    def also2(self):
        return f"p99 {self.median('one', 'deliver_us', 'p99') / 1000:.3f} ms"

    def also3(self):
        return (f"at {self.median('half', 'open'):,.0f}/s, p50 {self.median('half', 'deliver_us', 'p50') / 1000:.3f} ms, "
                f"generator late by at most {self.median('half', 'generator_late_max_ms'):.1f} ms")

    def also4(self):
        return f"history behind at the end of a window: {max(r['many']['history_behind_at_end'] for r in self.rounds):,}"

    def cpu(self):
        """µs per message: medians, per process."""
        out = {}
        for key in ("chain1", "one", "chain", "many", *self.MORE_CPU):
            found = [r[key] for r in self.rounds if key in r]
            if found:
                unit = next(k for k in found[0] if k.startswith("cpu_us_per_"))
                names = found[0][unit]
                out[key] = {n: statistics.median(f[unit].get(n, 0) for f in found) for n in names}
                out[key]["client"] = statistics.median(f.get("client_" + unit, 0) for f in found)
        return out

    def result(self):
        return {"class": self.name, "rows": [self.row(n) for n in self.rows], "cpu": self.cpu(), "failed": self.failed,
                "rounds": self.rounds}
