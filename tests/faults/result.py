"""result.py: docs/faults/RESULT.md, made from the results of one run or of several."""
import json
import re

HEAD = """# Faults: the last long run

Made by `make faults SEEDS=n REPORT=1`, or of several runs by `tests/faults/run --report --from FILE…`; [README.md](README.md) says what each run does and
how it is judged. *Fired*: how often the fault really happened. *Recovery*: seconds from the end of the fault until every device had an outcome of something
it said afterwards, worst seed.

"""
PATH = re.compile(r"(?<![\w.:/])/(?:[\w.-]+/)+\S*")  # of the machine that it ran on


def read(paths):
    """(results, those that a later one of the same fault and seed replaced). Lines as `run --json` writes them, in the order of the
    files; a last line that is not finished yet is left out."""
    found, again = {}, []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            lines = [line for line in f if line.strip()]
        for i, line in enumerate(lines):
            try:
                r = json.loads(line)
            except ValueError:
                if i + 1 == len(lines) and not line.endswith("\n"):
                    continue
                raise ValueError(f"{path}: line {i + 1} is no JSON") from None
            key = r["fault"], r["title"], r["seed"]
            if key in found:
                again.append(found[key])
            found[key] = r
    return [found[k] for k in sorted(found)], again


def spread(results, field):
    """What they were made with: each value and, when there are several, how many runs."""
    count = {}
    for r in results:
        count[r.get(field) or "not recorded"] = count.get(r.get(field) or "not recorded", 0) + 1
    return "; ".join(f"{k}" if len(count) == 1 else f"{k} ({n} runs)" for k, n in sorted(count.items(), key=lambda x: -x[1]))


def told(r):
    return [f"- {r['fault']} ({r['title']}), seed {r['seed']}, commit {r.get('commit', 'not recorded')}: **{verdict}** "
            f"{PATH.sub('…', ' '.join(str(text).split()))[:300]}\n" for verdict, text in r["verdicts"]]


def page(results, again=(), wanted=()):
    """`again`: results that were replaced; `wanted`: (number, title) of all faults there are."""
    seeds = sorted({r["seed"] for r in results})
    bad = [r for r in results if r["verdicts"]]
    days = sorted({r["date"] for r in results if "date" in r})
    rows = {}
    for r in results:
        rows.setdefault((r["fault"], r["title"]), []).append(r)
    most = max((len(rs) for rs in rows.values()), default=0)
    short = [f"{n} ({t}): {len(rows.get((n, t), ()))} of {most} seeds" for n, t in wanted if len(rows.get((n, t), ())) < most]
    lines = [HEAD, f"- commit {spread(results, 'commit')}; {' to '.join(sorted({*days[:1], *days[-1:]})) or 'day not recorded'}\n",
             f"- machine: {spread(results, 'machine')}\n",
             f"- seeds: {', '.join(map(str, seeds))}; {len(results)} runs, {sum(r['operations'] for r in results):,} operations, "
             f"{sum(r['fired'] for r in results):,} faults fired, {sum(r['seconds'] for r in results) / 60:.0f} minutes\n",
             f"- verdict: {'every run clean' if not bad else f'{len(bad)} runs NOT clean'}"
             f"{f'; {len(again)} runs were made again, see below' if again else ''}\n",
             *([f"- not whole: {'; '.join(short)}\n"] if short else []), "\n",
             "| # | fault | must hold | seeds | operations | fired | recovery s | verdict |\n|---|---|---|---|---|---|---|---|\n"]
    for (number, title), rs in sorted(rows.items()):
        times = [r["recovery_s"] for r in rs if r["recovery_s"] is not None]
        verdicts = sorted({v[0] for r in rs for v in r["verdicts"]})
        lines.append(f"| {number} | {title} | {rs[0]['holds']} | {len(rs)} | {sum(r['operations'] for r in rs):,} | "
                     f"{sum(r['fired'] for r in rs):,} | {max(times) if times else '–'} | {'clean' if not verdicts else ', '.join(verdicts)} |\n")
    if bad:
        lines += ["\n## What was not clean\n\n", *(line for r in bad for line in told(r))]
    if again:
        lines.append("\n## What was made again\n\nThe table has the last run of each fault and seed. What stood there before:\n\n")
        for r in again:
            now = next(x for x in results if (x["fault"], x["title"], x["seed"]) == (r["fault"], r["title"], r["seed"]))
            lines += told(r) or [f"- {r['fault']} ({r['title']}), seed {r['seed']}, commit {r.get('commit', 'not recorded')}: clean\n"]
            lines.append(f"  - again at commit {now.get('commit', 'not recorded')}: {'NOT clean' if now['verdicts'] else 'clean'}"
                         f"{': ' + now['why'] if now.get('why') else ''}\n")
    lines.append("\n## Notes of the runs\n\n")
    for r in results:
        for n in r["notes"]:
            lines.append(f"- {r['fault']}, seed {r['seed']}: {n}\n")
    return "".join(lines)
