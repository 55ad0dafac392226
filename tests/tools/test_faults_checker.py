#!/usr/bin/env python3
"""tests/faults/checker.py: a clean run is clean; each anomaly put into it is found, and called by its name."""
import copy
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "faults")]
import tap  # noqa: E402
from checker import CREATE, INVITE, LEAVE, MESSAGE, VERDICTS, judge  # noqa: E402

A, B, C = (x * 32 for x in "abc")  # users
DIRECT, GROUP = "d" * 32, "e" * 32


class Made:
    """A run that went well: three users with one device each, a direct conversation and a group that C joins and leaves."""

    def __init__(self):
        self.run = {"history": [], "log": [], "rows": [], "lag": {"parley-router": 0}, "stuck": [], "samples": [], "canaries": [],
                    "caps": {"edge": (1000, 100)}}
        self.t, self.offset, self.seqs, self.numbers = 1.0, 0, {}, {}
        for u in (A, B, C):
            self.tell(u, what="known")
        self.event(GROUP, A, CREATE, [A, B], users=[B], flags=0)
        for n in range(5):
            self.event(DIRECT, (A, B)[n % 2], MESSAGE, [A, B], text=f"{n:016x}")
        self.event(GROUP, A, INVITE, [A, B, C], users=[C])
        self.event(GROUP, C, MESSAGE, [A, B, C], text="f" * 16)
        self.event(GROUP, C, LEAVE, [A, B, C])
        self.event(GROUP, B, MESSAGE, [A, B], text="e" * 16)
        for u, spans in ((A, {DIRECT: (1, 5), GROUP: (1, 5)}), (B, {DIRECT: (1, 5), GROUP: (1, 5)}), (C, {GROUP: (2, 4)})):
            self.fresh(u, spans)
        self.run["samples"] = [{"process": "edge-0", "kind": "edge", "rss_kib": 900, "fds": 90}]

    def tell(self, user, device=1, **fields):
        self.t += 1
        self.run["history"].append({"t_mono": self.t, "user": user, "device": device, **fields})

    def event(self, conv, sender, kind, readers, text="", users=(), flags=None):
        seq = self.seqs[conv] = self.seqs.get(conv, 0) + 1
        n = self.numbers[sender] = self.numbers.get(sender, 0) + 1
        msg = f"{sender[0]}{n:031x}"
        self.tell(sender, what="invoke", client_seq=n, conv=conv, hash=text)
        self.tell(sender, what="ok", stage="accepted", client_seq=n, conv=conv, msg_id=msg)
        self.run["log"].append({"part": 0, "offset": self.offset, "conv": conv, "user": sender, "device": 1, "client_seq": n, "msg_id": msg,
                                "kind": kind, "peer": (B if sender == A else A) if conv == DIRECT else ""})
        self.run["rows"].append({"conv": conv, "seq": seq, "sender": sender, "device": 1, "client_seq": n, "msg_id": msg, "kind": kind,
                                 "time_ms": 1000 + self.offset, "part": 0, "offset": self.offset, "users": "".join(users), "flags": flags,
                                 "target": None, "hash": text})
        self.offset += 1
        self.tell(sender, what="ok", stage="sequenced", client_seq=n, conv=conv, seq=seq, msg_id=msg)
        for u in readers:
            if u != sender:
                self.view(u, "live", self.run["rows"][-1])

    def view(self, user, via, row, device=1, **other):
        see = {"conv": row["conv"], "seq": row["seq"], "sender": row["sender"], "sdev": row["device"], "client_seq": row["client_seq"],
               "msg_id": row["msg_id"], "kind": row["kind"], "hash": row["hash"], **other}
        self.tell(user, device, what="see", via=via, **see)

    def fresh(self, user, spans):
        for conv, (first, last) in spans.items():
            for r in self.run["rows"]:
                if r["conv"] == conv and first <= r["seq"] <= last:
                    self.view(user, "fresh", r, 9)
            self.tell(user, 9, what="whole", conv=conv, code=0)

    # ---- finding things in it ----

    def row(self, conv, seq):
        return next(r for r in self.run["rows"] if (r["conv"], r["seq"]) == (conv, seq))

    def lines(self, **fields):
        return [h for h in self.run["history"] if all(h.get(k) == v for k, v in fields.items())]

    def drop(self, **fields):
        gone = self.lines(**fields)
        assert gone, f"the test has nothing like {fields}"
        self.run["history"] = [h for h in self.run["history"] if h not in gone]

    def drop_row(self, conv, seq):
        self.run["rows"].remove(self.row(conv, seq))


def found(m):
    return {v for v, _ in judge(m.run)}


def finds(verdict, m, also=()):
    got = found(m)
    assert verdict in got, f"{verdict} was not found: {judge(m.run)}"
    assert got <= {verdict, *also}, f"more than {verdict}: {judge(m.run)}"
    assert verdict in VERDICTS


def test_a_clean_run_is_clean():
    assert judge(Made().run) == [], judge(Made().run)


def test_an_acked_send_that_is_not_in_the_log():
    m = Made()
    m.tell(A, what="invoke", client_seq=77, conv=DIRECT, hash="")
    m.tell(A, what="ok", stage="accepted", client_seq=77, conv=DIRECT, msg_id="0" * 32)
    finds("lost", m, {"stuck"})


def test_an_acked_send_that_was_not_said_again():
    m = Made()
    m.drop(user=B, client_seq=2, what="ok", stage="sequenced")
    m.tell(B, what="trust", client_seq=2)
    assert judge(m.run) == [], judge(m.run)
    m.tell(A, what="invoke", client_seq=77, conv=DIRECT, hash="")
    m.tell(A, what="ok", stage="accepted", client_seq=77, conv=DIRECT, msg_id="0" * 32)
    m.tell(A, what="trust", client_seq=77)
    finds("lost", m)


def test_an_acked_send_without_an_outcome():
    m = Made()
    m.drop(user=B, client_seq=2, what="ok", stage="sequenced")
    finds("stuck", m)


def test_a_message_that_a_device_never_saw():
    m = Made()
    m.drop(user=B, conv=DIRECT, seq=3, what="see", via="live")
    finds("lost", m)


def test_a_group_message_nobody_was_told_of():
    m = Made()
    m.lines(user=B, conv=GROUP, seq=3, via="live")[0]["via"] = "history"
    finds("lost", m)
    m.tell(B, what="news", conv=GROUP, upto=3)
    assert judge(m.run) == []


def test_a_row_that_is_missing():
    m = Made()
    m.drop_row(DIRECT, 3)
    finds("gap", m, {"lost", "leak"})
    m = Made()
    m.drop_row(DIRECT, 5)
    finds("lost", m, {"leak"})


def test_one_send_in_two_rows():
    m = Made()
    again = copy.deepcopy(m.row(DIRECT, 5))
    again.update(seq=6, offset=m.offset)
    m.run["log"].append({**m.run["log"][5], "offset": m.offset})
    m.run["rows"].append(again)
    for u in (A, B):
        m.view(u, "fresh", again, 9)
        m.view(u, "live", again)
    finds("duplicate", m, {"non-monotonic", "divergent"})


def test_two_rows_at_one_place():
    m = Made()
    m.run["rows"].append(dict(m.row(DIRECT, 5), msg_id="1" * 32, client_seq=99))
    finds("duplicate", m, {"divergent", "non-monotonic"})


def test_two_devices_see_different_things():
    m = Made()
    m.lines(user=B, conv=DIRECT, seq=3, via="live")[0]["msg_id"] = "2" * 32
    finds("divergent", m)
    m = Made()
    m.lines(user=B, conv=DIRECT, seq=3, via="live")[0]["hash"] = "3" * 16
    finds("divergent", m)


def test_a_row_that_is_not_its_record():
    m = Made()
    m.run["log"][3]["msg_id"] = "4" * 32
    finds("divergent", m)


def test_two_outcomes_of_one_send():
    m = Made()
    m.tell(A, what="fail", client_seq=2, code="MUTED", final=True)
    finds("divergent", m)


def test_order_against_the_log():
    m = Made()
    a, b = m.row(DIRECT, 2), m.row(DIRECT, 4)
    a["offset"], b["offset"] = b["offset"], a["offset"]
    finds("non-monotonic", m, {"divergent"})
    m = Made()
    m.row(DIRECT, 4)["time_ms"] = 1
    finds("non-monotonic", m)


def test_what_was_refused_is_seen():
    m = Made()
    m.drop(user=A, client_seq=2, what="ok", stage="sequenced")
    m.tell(A, what="fail", client_seq=2, code="MUTED", final=True)
    finds("rejected-but-seen", m)


def test_a_stranger_sees_it():
    m = Made()
    m.view(C, "live", m.row(DIRECT, 3))
    finds("leak", m)


def test_a_member_sees_what_was_before_and_after():
    m = Made()
    m.view(C, "live", m.row(GROUP, 1))
    finds("leak", m)
    m = Made()
    m.view(C, "queue", m.row(GROUP, 5))
    finds("leak", m)


def test_a_new_device_reads_too_little_or_too_much():
    m = Made()
    m.drop(user=A, device=9, conv=DIRECT, seq=2, what="see")
    finds("lost", m)
    m = Made()
    m.view(C, "fresh", m.row(GROUP, 5), 9)
    finds("leak", m)


def test_a_conversation_that_is_not_listed():
    m = Made()
    m.drop(user=C, device=9, conv=GROUP)
    m.tell(C, 9, what="whole", conv=DIRECT, code=0)
    finds("lost", m)


def test_a_consumer_that_stays_behind():
    m = Made()
    m.run["lag"]["parley-fanout"] = 3
    finds("stuck", m)


def test_over_the_cap():
    for what, value in (("rss_kib", 1001), ("fds", 101)):
        m = Made()
        m.run["samples"][0][what] = value
        finds("over-cap", m)


def test_a_canary_and_a_crash():
    m = Made()
    m.run["canaries"] = ["edge-0.log: canary-password-w1…"]
    finds("canary", m)
    m = Made()
    m.run["crashes"] = ["fanout-1 died by SIGSEGV"]
    finds("crash", m)


sys.exit(tap.run(globals()))
