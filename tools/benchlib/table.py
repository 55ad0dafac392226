"""The table, in the form of the goals."""

from .rows import ROWS, ms

BAR = 40


def lines_of(head, rows):
    width = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    def line(r):
        return "| " + " | ".join(c.ljust(w) for c, w in zip(r, width)) + " |"
    return [line(head), "|" + "|".join("-" * (w + 2) for w in width) + "|", *map(line, rows)]


def main_rows(classes):
    for c in classes:
        for r in c["rows"]:
            row = ROWS[r["row"]]
            spread = f"{min(r['ratios']):.2f}–{max(r['ratios']):.2f}"
            yield [str(r["row"]), c["class"], row.metric, f"{row.floor}: {row.shown(r['floor'])}", row.shown(r["product"]),
                   f"{r['ratio']:.2f}", spread, row.goal_text(), ("yes" if r["met"] else "no") if r["steady"] else "unsteady",
                   r["also"]]


def cpu_rows(classes):
    what = {"one": "1 in flight", "many": "row 4", "chain1": "raw chain, 1 in flight, no history", "chain": "raw chain, row 4",
            "group1000": "row 5, per delivery", "group100": "row 6, group of 100, per delivery",
            "group10000": "row 6, group of 10,000, per delivery", "logins": "row 9, per login", "echo": "its floor",
            "pages": "row 11, per page", "bare_pages": "its floor"}
    for c in classes:
        for key, v in c["cpu"].items():
            parts = ", ".join(f"{n} {us:.1f}" for n, us in sorted(v.items(), key=lambda x: -x[1])
                              if n not in ("total", "client") and us >= 0.05)
            yield [what[key], c["class"], f"{v['total']:.1f}", f"{v['client']:.1f}", parts]


def picture(c):
    """Percentiles of one message in flight, and throughput against its floor."""
    out = []
    ones = [r["one"] for r in c["rounds"] if "one" in r]
    for key, name in (("ack_us", "ack"), ("deliver_us", "deliver")) if ones else ():
        points = [(p, sorted(o[key][p] for o in ones)[len(ones) // 2]) for p in ("p50", "p90", "p99", "p999")]
        top = points[-1][1] or 1
        out += [f"  {name:8} {p:5} {'█' * max(1, round(BAR * v / top))} {ms(v)}" for p, v in points]
    for r in c["rows"]:
        if ROWS[r["row"]].floor.startswith("raw chain") or r["row"] in (5, 9, 10):
            top = max(r["floor"], r["product"], 1)
            out += [f"  {n:14} {'█' * max(1, round(BAR * v / top))} {v:,.0f}/s"
                    for n, v in (("row %d floor" % r["row"], r["floor"]), ("parley", r["product"]))]
    return out


def table(document):
    m, classes = document["machine"], document["classes"]
    good = not any(c["failed"] for c in classes)
    busy = [x["machine_busy"] for c in classes for r in c["rounds"] for k, x in r.items() if k in ("one", "e0")]
    out = [f"# Parley, commit {m['commit']}, {m['started']}", "",
           f"{m['cpus']} × {m['cpu'] or 'CPU'}, kernel {m['kernel']}, load before the run {m['load_before']:.1f}; "
           f"Kafka {m['kafka']} (one broker), {m['java']}, {m['postgres']}; "
           f"{document['options']['size']}-byte texts; seed {document['options']['seed']}; "
           f"median of {document['options']['rounds']} rounds, floor and product in turn.", ""]
    out += lines_of(["#", "class", "metric", "floor", "Parley", "ratio", "of rounds", "goal now", "met", "also"],
                    list(main_rows(classes)))
    out += ["", "CPU µs per message (or what is said), all processes with Kafka, PostgreSQL and Redis; the load client apart:", ""]
    out += lines_of(["load", "class", "total", "client", "of which"], list(cpu_rows(classes)))
    for c in classes:
        out += ["", f"Class {c['class']}:", "```", *picture(c), "```"]
    if not all(r["steady"] for c in classes for r in c["rows"]):
        out += ["", "Unsteady: the rounds differ too much for a verdict; the machine did other work. Run it again when it is idle."]
    if busy:
        out += ["", f"The machine was up to {100 * max(busy):.0f} % busy while one message at a time was measured."]
    out += ["", "Every message of every run was delivered once, in order, and is in history." if good else
            "FAILED: " + "; ".join(f for c in classes for f in c["failed"])]
    return "\n".join(out) + "\n"
