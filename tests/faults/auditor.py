"""auditor.py: what the deployment's own auditor says of a run: each violation that it tells of is a verdict, unless the fault is one."""
import re
import time

from checker import Conversation

BROKEN = re.compile(r"a promise is broken kind=(\w+)(.*)")
WORD = re.compile(r"(\w+)=(\S*)")
VERDICT = {"gap": "gap", "duplicate": "duplicate", "leak": "leak", "undelivered": "lost", "history_missing": "lost", "retention": "lost"}
QUIET_S = 30


def judged(p):
    return p.metric("parley_auditor_open_messages") == 0 and p.metric("parley_auditor_behind") == 0 and p.metric("parley_auditor_waiting") == 0


def settle(bed, notes):
    """Until it has judged all that it read, and looked twice more. That it cannot is no verdict: it concludes nothing from silence."""
    end = time.monotonic() + QUIET_S
    for p in bed.procs["auditor"]:
        rounds = None
        while time.monotonic() < end:
            if rounds is None and p.ready() and judged(p):
                rounds = p.metric("parley_auditor_rounds_total")
            if rounds is not None and p.metric("parley_auditor_rounds_total") >= rounds + 2:
                break
            time.sleep(0.2)
        else:
            notes.append(f"{p.name} had not judged everything after {QUIET_S} s: open {p.metric('parley_auditor_open_messages'):.0f}, "
                         f"behind {p.metric('parley_auditor_behind'):.0f}, waiting {p.metric('parley_auditor_waiting'):.0f}")


def verdicts(said, explained, rows, notes):
    """said: {auditor: how long its log was before the run}"""
    found = []
    for p, at in said.items():
        for kind, rest in BROKEN.findall(p.text()[at:]):
            if kind == "undelivered" and left(dict(WORD.findall(rest)), rows):
                notes.append(f"auditor: {kind} to somebody who left the group afterwards:{rest[:120]}")
            elif kind not in explained:
                found.append((VERDICT.get(kind, "divergent"), f"auditor: {kind}{rest}"))
    return found[:12]


def left(words, rows):
    """A fanout that was restored from cells further on knows who is a member there, not who was: whoever leaves a group is told
    nothing more of it (checker.py says so too)."""
    c = Conversation([r for r in rows if r["conv"] == words.get("conversation")])
    return c.left_later(words.get("user"), int(words.get("seq", 0)))
