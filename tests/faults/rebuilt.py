"""rebuilt.py: I8: a persister that reads the whole log into an empty schema has the same rows as the live one."""
import time

import dump
from bed import Trouble

TABLES = ("messages", "cells", "accounts", "devices", "verifiers", "conversations", "memberships", "asks", "prefs")


def hashes(bed, schema):
    """{table: (rows, hash of an ordered dump)}"""
    out = {}
    for t in TABLES:
        n, h = bed.sql(f"SELECT count(*), coalesce(md5(string_agg(md5(t::text), '' ORDER BY t::text COLLATE \"C\")), '') FROM {schema}.{t} t").split("|")
        out[t] = int(n), h
    return out


def rebuilt(bed, limit_s=90):
    """[(verdict, text)]; the live schema is as before afterwards."""
    persisters, live = bed.procs["persister"], bed.schema
    for p in persisters:
        p.stop()
    before = hashes(bed, live)
    shadow = live + "_again"
    bed.sql(f"CREATE SCHEMA {shadow}")
    try:
        bed.schema = shadow
        bed.ctl("migrate", env={"PARLEY_POSTGRES": bed.conninfo()})
        one = persisters[0]
        one.env["PARLEY_POSTGRES"] = bed.conninfo()
        with bed.lock:
            one.start()
        wait_done(bed, shadow, dump.ends(bed, ("im.conversation", "im.user", "im.vault")), limit_s)
        one.stop()
        again = hashes(bed, shadow)
    finally:
        bed.schema = live
        bed.sql(f"DROP SCHEMA {shadow} CASCADE", check=False)
        for p in persisters:
            p.env.pop("PARLEY_POSTGRES", None)
            with bed.lock:
                p.start()
    return [("divergent", f"rebuilt {t}: {again[t]} instead of {before[t]}") for t in TABLES if again[t] != before[t]]


def wait_done(bed, schema, ends, limit_s):
    """Until the marks there are at the end of every topic."""
    want = sum(ends.values())
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        got = bed.sql(f"SELECT coalesce(sum((SELECT sum(x) FROM unnest(next) x)), 0) FROM {schema}.parley_marks", check=False)
        if got and int(got) >= want:
            return
        time.sleep(0.2)
    raise Trouble(f"a persister from the beginning reached {got} of {want} records in {limit_s} s")
