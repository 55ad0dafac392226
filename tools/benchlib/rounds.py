"""Rounds: in each, the floors and the product one after the other, so that both see the same machine."""
import os
import statistics

from .bed import say

CLASS_CACHE, CLASS_FSYNC = "B page cache", "C fsync"
GOALS = {1: 1.4, 2: 1.4, 4: 0.4}
SPREAD = 1.5  # of the ratios of one row, largest to smallest
RECORD = 160  # what an im.inbound record has beside the text, about


def steady(ratios, row):
    """False: the rounds contradict each other, or the product beats what it is built on; the machine did other work."""
    return bool(ratios) and max(ratios) <= SPREAD * min(ratios) and (row != 4 or max(ratios) <= 1.2)


class Rounds:
    def __init__(self, args, bed, name):
        self.args, self.bed, self.name = args, bed, name
        self.rounds, self.failed = [], []
        self.rows = [r for r in args.rows if name == CLASS_CACHE or r != 2]
        self.ms = {"warm": 500, "floor": 1500, "latency": 2000, "rate": 3000} if args.quick else \
                  {"warm": 1000, "floor": 3000, "latency": 5000, "rate": 8000}

    def _take(self, into, key, *words):
        r = self.bed.measure(*words)
        into[key] = r
        if not r.get("ok"):
            self.failed.append(f"{self.name}, {key}: {r.get('failure') or {k: v for k, v in r.get('faults', {}).items() if v} or 'did not end'}")

    def warm(self):
        """The broker's JVM compiles what is hot during its first 100,000 records: nobody's round should pay for it."""
        r, rows, ms = {}, self.rows, self.ms
        self.rows, self.ms = [1, 2, 4], {k: 3 * v if k == "floor" else v for k, v in ms.items()}
        self.rate(r, 1000)
        self.latency(r, 1000)
        self.rows, self.ms = rows, ms
        self.failed = [f for f in self.failed if not f.endswith("did not end")]

    def one(self, number):
        r = {}
        if {1, 2} & set(self.rows):
            self.latency(r, number)
        if 4 in self.rows:
            self.rate(r, number)
        self.rounds.append(r)
        say(self.short(r))

    def latency(self, r, number):
        a, ms = self.args, self.ms
        size = ["--size", str(RECORD + a.size)]
        times = ["--warm-ms", str(ms["warm"]), "--measure-ms", str(ms["floor"])]
        servers = self.bed.processes(False)
        self._take(r, "e0", "floor", "e0", "--size", str(43 + a.size), "--measure-ms", str(ms["floor"] // 2))
        self._take(r, "kp", "floor", "kp", *size, *times, *servers)
        if 2 in self.rows:
            self._take(r, "kc", "floor", "kc", *size, *times, *servers)
            self._take(r, "chain1", "floor", "chain", "--window", "1", *size, *times, *servers)
        self._take(r, "one", "load", *self.common(number), "--in-flight", "1", "--measure-ms", str(ms["latency"]))

    def rate(self, r, number):
        a = self.args
        ms = ["--warm-ms", str(3 * self.ms["warm"]), "--measure-ms", str(self.ms["rate"])]
        self._take(r, "chain", "floor", "chain", "--postgres", "env",
                   "--window", str(a.connections * a.window), "--conversations", str(a.connections // 2),
                   "--size", str(RECORD + a.size), *ms, *self.bed.processes(False))
        self._take(r, "many", "load", *self.common(number), "--connections", str(a.connections),
                   "--window", str(a.window), *ms)

    def common(self, number):
        return [*self.bed.edges(), *self.bed.processes(True), "--postgres", "env",
                "--accounts", os.path.join(self.bed.state, "accounts.json"), "--warm-ms", str(self.ms["warm"]),
                "--size", str(self.args.size), "--seed", str(self.args.seed + number)]

    # ---- figures of one round: (floor, product, ratio) ----
    def row1(self, r):
        floor = r["e0"]["round_trip_us"]["p50"] + r["kp"]["report_us"]["p50"]
        return floor, r["one"]["ack_us"]["p50"]

    def row2(self, r):
        floor = r["e0"]["round_trip_us"]["p50"] + 3 * r["kc"]["one_way_us"]["p50"]
        return floor, r["one"]["deliver_us"]["p50"]

    @staticmethod
    def kept(x):
        """What came through and is in history, whichever is less."""
        return min(x["delivered_per_s"], x["rows_per_s"])

    def row4(self, r):
        return self.kept(r["chain"]), self.kept(r["many"])

    def short(self, r):
        parts = []
        for row in self.rows:
            floor, product = getattr(self, f"row{row}")(r)
            shown = f"{product:,.0f}/s" if row == 4 else f"{product / 1000:,.2f} ms"
            parts.append(f"row {row}: {shown}, {product / floor if floor else 0:.2f} of the floor")
        return "; ".join(parts)

    def row(self, number):
        pairs = [getattr(self, f"row{number}")(r) for r in self.rounds]
        ratios = [p / f for f, p in pairs if f and p]  # what failed has no figure, and is told
        ratio = statistics.median(ratios) if ratios else float("nan")
        out = {"row": number, "class": self.name, "floor": statistics.median(f for f, _ in pairs),
               "product": statistics.median(p for _, p in pairs), "ratio": ratio,
               "ratios": ratios or [ratio], "goal": GOALS[number],
               "met": ratio >= GOALS[number] if number == 4 else ratio <= GOALS[number],
               "steady": steady(ratios, number)}
        if number == 4:
            out["lag"] = max(r["many"]["history_behind_at_end"] for r in self.rounds)
        else:
            which = "ack_us" if number == 1 else "deliver_us"
            out["p99"] = statistics.median(r["one"][which]["p99"] for r in self.rounds)
        return out

    def cpu(self):
        """µs per message: medians, per process."""
        out = {}
        for key in ("chain1", "one", "chain", "many"):
            found = [r[key] for r in self.rounds if key in r]
            if found:
                names = found[0]["cpu_us_per_message"]
                out[key] = {n: statistics.median(f["cpu_us_per_message"].get(n, 0) for f in found) for n in names}
                out[key]["client"] = statistics.median(f["client_cpu_us_per_message"] for f in found)
        return out

    def result(self):
        return {"class": self.name, "rows": [self.row(n) for n in self.rows], "cpu": self.cpu(), "failed": self.failed,
                "rounds": self.rounds}
