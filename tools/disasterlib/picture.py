"""What the stores hold at one moment, as hashes: taken before and after, and compared."""
import json

from serverlib.state import Failure

TABLES = ("messages", "conversations", "memberships", "asks", "cells", "accounts", "devices", "verifiers", "erasures", "prefs")
STORES = ("accounts", "checkpoints", "queues")
LOGS = ("im.inbound", "im.conversation", "im.user", "im.vault", "im.offline", "im.cursor", "im.dlq")


def tables(dep):
    """{table: (rows, hash)}: of all rows, whole, in order; by PostgreSQL, without any code of Parley's."""
    ask = "BEGIN ISOLATION LEVEL REPEATABLE READ;" + "".join(
        f"SELECT '{t}', count(*), coalesce(md5(string_agg(md5(t::text), '' ORDER BY t::text COLLATE \"C\")), '-') FROM {t} t;" for t in TABLES)
    return {name: (int(n), h) for name, n, h in (line.split("|") for line in dep.sql(ask + "COMMIT;").splitlines())}


def store_lines(text):
    """Of `parleyctl rebuild accounts|checkpoints|queues --verify --json`: [{partition, rows, live, shadow, equal, first}]"""
    return [j for line in text.splitlines() if line.startswith("{") and "live" in (j := json.loads(line))]


def stores(dep):
    """{store/partition: (rows, hash)} as Redis has it now."""
    out = {}
    for word in STORES:
        r = dep.ctl("-q", "rebuild", word, "--verify", "--json")
        lines = store_lines(r.stdout)
        if not lines:
            raise Failure(f"parleyctl rebuild {word} --verify: {r.stderr.strip()}")
        out.update({f"{word} {j['partition']}": (j["rows"], j["live"]) for j in lines})
    return out


def take(dep, ends):
    """`ends`: {(topic, partition): next offset}"""
    return {"PostgreSQL": tables(dep), "Redis": stores(dep),
            "log": {f"{t} {p}": (n, "") for (t, p), n in sorted(ends.items()) if t in LOGS}}


def differences(before, after):
    """["PostgreSQL messages: 120 rows 5d41… before, 119 rows 8a0c… after"]; [] when both are the same."""
    found = []
    for part in before:
        for name in sorted({*before[part], *after.get(part, {})}):
            a, b = before[part].get(name), after.get(part, {}).get(name)
            if a != b:
                found.append(f"{part} {name}: {told(a)} before, {told(b)} after")
    return found


def told(entry):
    return "nothing" if entry is None else f"{entry[0]} {entry[1][:16]}".strip()


def shown_twice(history):
    """Of lines as tests/faults/person.py writes them: what one device saw in two places."""
    seen, found = {}, []
    for h in history:
        if h["what"] != "see" or not h["client_seq"]:
            continue
        key = h["user"], h["device"], h["sender"], h["sdev"], h["client_seq"]
        place = h["conv"], h["seq"]
        if seen.setdefault(key, place) != place:
            found.append(f"{h['user'][:8]}/{h['device']} was shown one message at {seen[key][0][:8]}/{seen[key][1]} and at {place[0][:8]}/{place[1]}")
    return found
