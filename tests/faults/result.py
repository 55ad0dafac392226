"""result.py: docs/faults/RESULT.md, made from the results of a run."""
import time

HEAD = """# Faults: the last long run

Made by `make faults SEEDS=n REPORT=1`; [README.md](README.md) says what each run does and how it is judged. *Fired*: how often the fault really happened.
*Recovery*: seconds from the end of the fault until every device had an outcome of something it said afterwards, worst seed.

"""


def page(results, commit, machine):
    seeds = sorted({r["seed"] for r in results})
    bad = [r for r in results if r["verdicts"]]
    lines = [HEAD, f"- commit `{commit}`, {time.strftime('%Y-%m-%d', time.gmtime())}\n- machine: {machine}\n",
             f"- seeds: {', '.join(map(str, seeds))}; {len(results)} runs, {sum(r['operations'] for r in results):,} operations, "
             f"{sum(r['fired'] for r in results):,} faults fired, {sum(r['seconds'] for r in results) / 60:.0f} minutes\n",
             f"- verdict: {'every run clean' if not bad else f'{len(bad)} runs NOT clean'}\n\n",
             "| # | fault | must hold | seeds | operations | fired | recovery s | verdict |\n|---|---|---|---|---|---|---|---|\n"]
    rows = {}
    for r in results:
        rows.setdefault((r["fault"], r["title"]), []).append(r)
    for (number, title), rs in sorted(rows.items()):
        times = [r["recovery_s"] for r in rs if r["recovery_s"] is not None]
        verdicts = sorted({v[0] for r in rs for v in r["verdicts"]})
        lines.append(f"| {number} | {title} | {rs[0]['holds']} | {len(rs)} | {sum(r['operations'] for r in rs):,} | "
                     f"{sum(r['fired'] for r in rs):,} | {max(times) if times else '–'} | {'clean' if not verdicts else ', '.join(verdicts)} |\n")
    lines.append("\n## Notes of the runs\n\n")
    for r in results:
        for n in r["notes"]:
            lines.append(f"- {r['fault']}, seed {r['seed']}: {n}\n")
    if bad:
        lines.append("\n## What was not clean\n\n")
        for r in bad:
            for verdict, text in r["verdicts"]:
                lines.append(f"- {r['fault']}, seed {r['seed']}: **{verdict}** {' '.join(str(text).split())[:300]}\n")
    return "".join(lines)
