"""checker.py: the verdict on a run. It knows the clients' history, the log, the rows, and nothing of Parley's code.

    judge(run) -> [(verdict, text)]; [] when clean

run is a dictionary:
  history  lines as person.py writes them
  log      records of im.conversation: part, offset, conv, user, device, client_seq, msg_id, kind
  rows     messages of PostgreSQL: conv, seq, sender, device, client_seq, msg_id, kind, time_ms, part, offset, users, flags, target, hash
  lag      {group: records} at the end; samples [{process, kind, rss_kib, fds}]; caps {kind: (rss_kib, fds)}
  stuck    what the harness waited for in vain; canaries: where one was found; crashes: processes that died by themselves
A verdict is one of VERDICTS.
"""
VERDICTS = ("lost", "duplicate", "divergent", "non-monotonic", "gap", "rejected-but-seen", "leak", "stuck", "over-cap",
            "canary", "crash")
MESSAGE, RECALL, CREATE, JOIN, LEAVE, INVITE, REMOVE, DISSOLVE, APPROVE = 1, 3, 20, 21, 22, 23, 24, 32, 33
GROUP_HISTORY = 2
SHOWN = 12  # of each kind of verdict


class Conversation:
    """What its rows say, folded: who may see what, by place."""

    def __init__(self, rows):
        self.rows = sorted(rows, key=lambda r: r["seq"])
        self.by_seq = {}
        self.group = any(r["kind"] >= CREATE and r["kind"] < 40 for r in self.rows)
        self.spans = {}  # user -> [[first, last]], last None: to the end
        self.recalled = {r["target"] for r in self.rows if r["kind"] == RECALL}
        for r in self.rows:
            self.by_seq.setdefault(r["seq"], r)
        if self.group:
            self._fold()

    def _fold(self):
        flags = 0
        for r in self.rows:
            users = [r["users"][i:i + 32] for i in range(0, len(r["users"] or ""), 32)]
            if r["flags"] is not None:
                flags = r["flags"]
            comes = {CREATE: [r["sender"], *users], JOIN: [r["sender"]], INVITE: users, APPROVE: users}.get(r["kind"], [])
            goes = {LEAVE: [r["sender"]], REMOVE: users, DISSOLVE: list(self.spans)}.get(r["kind"], [])
            for u in comes:
                spans = self.spans.setdefault(u, [])
                if not spans or spans[-1][1] is not None:
                    spans.append([1 if flags & GROUP_HISTORY else r["seq"], None])
            for u in goes:
                if u in self.spans and self.spans[u][-1][1] is None:
                    self.spans[u][-1][1] = r["seq"]

    def left_later(self, user, seq):
        """Whoever leaves a group is told nothing more of it, not even what is in history from before."""
        return any(b is not None and a <= seq <= b for a, b in self.spans.get(user, []))

    def may_see(self, user, seq, people):
        if not self.group:
            return user in people
        return any(a <= seq and (b is None or seq <= b) for a, b in self.spans.get(user, []))


class Judge:
    def __init__(self, run):
        self.run, self.found, self.count = run, [], {}
        self.history = run.get("history", [])
        self.log, self.rows = run.get("log", []), run.get("rows", [])
        mine = {h["user"] for h in self.history if h.get("user")}
        self.by_place = {(r["part"], r["offset"]): r for r in self.log}
        grouped = {}
        for r in self.rows:
            grouped.setdefault(r["conv"], []).append(r)
        touched = {r["conv"] for r in self.rows if r["sender"] in mine} | {h["conv"] for h in self.history if h["what"] == "see"}
        self.convs = {c: Conversation(rs) for c, rs in grouped.items() if c in touched}
        self.mine = mine

    def say(self, verdict, text):
        self.count[verdict] = self.count.get(verdict, 0) + 1
        if self.count[verdict] <= SHOWN:
            self.found.append((verdict, text))

    def verdicts(self):
        self.order()
        self.identity()
        self.sends()
        self.views()
        self.everywhere()
        self.fresh()
        self.resources()
        for verdict, n in self.count.items():
            if n > SHOWN:
                self.found.append((verdict, f"… and {n - SHOWN} more"))
        return self.found

    # ---- rows and log ----

    def order(self):
        """I3: dense, in the order of the log, time never running backwards; every row is what its record says."""
        for conv, c in self.convs.items():
            seqs = [r["seq"] for r in c.rows]
            for n, (a, b) in enumerate(zip([0, *seqs], seqs)):
                if b == a:
                    self.say("duplicate", f"{conv[:8]}/{b} has two rows")
                elif b != a + 1:
                    self.say("gap", f"{conv[:8]}: {b} follows {a} in the rows")
            for a, b in zip(c.rows, c.rows[1:]):
                if a["part"] == b["part"] and a["offset"] >= b["offset"]:
                    self.say("non-monotonic", f"{conv[:8]}/{b['seq']} is at {b['offset']} in the log, {a['seq']} at {a['offset']}")
                if b["time_ms"] < a["time_ms"]:
                    self.say("non-monotonic", f"{conv[:8]}/{b['seq']}: time runs backwards")
            for r in c.rows:
                rec = self.by_place.get((r["part"], r["offset"]))
                if rec is None:
                    if self.log and self.run.get("log_whole", True):
                        self.say("divergent", f"{conv[:8]}/{r['seq']}: no record at {r['part']}/{r['offset']}")
                elif (rec.get("msg_id"), rec.get("user"), rec.get("client_seq")) != (r["msg_id"], r["sender"], r["client_seq"]):
                    self.say("divergent", f"{conv[:8]}/{r['seq']}: its row is not the record at {r['part']}/{r['offset']}")

    def identity(self):
        """I2: one (sender, device, client_seq) is one row, and one record's outcome."""
        seen = {}
        for c in self.convs.values():
            for r in c.rows:
                if not r["client_seq"]:
                    continue
                key = r["sender"], r["device"], r["client_seq"]
                if key in seen:
                    self.say("duplicate", f"{name(key)} is {seen[key]} and {r['conv'][:8]}/{r['seq']}")
                seen.setdefault(key, f"{r['conv'][:8]}/{r['seq']}")
        self.placed = {}
        for c in self.convs.values():
            for r in c.rows:
                self.placed.setdefault((r["sender"], r["device"], r["client_seq"]), r)

    # ---- what was said ----

    def sends(self):
        """I1, I5: what was acked is in the log and, unless refused there, in the rows; what was refused is nowhere."""
        in_log = {(r["user"], r["device"], r["client_seq"]) for r in self.log if "user" in r}
        accepted, outcome, self.invoked, shown, trusted = {}, {}, {}, {}, set()
        for h in self.history:
            key = h.get("user"), h.get("device"), h.get("client_seq")
            if h["what"] == "invoke":
                self.invoked.setdefault(key, h["t_mono"])
            elif h["what"] == "ok" and h["stage"] == "accepted":
                accepted[key] = h
            elif h["what"] == "ok" or h["what"] == "fail" and h["client_seq"]:
                old = outcome.setdefault(key, h)
                a, b = (old["what"], old.get("seq"), old.get("stage")), (h["what"], h.get("seq"), h.get("stage"))
                if a != b and old.get("final", True) and h.get("final", True):
                    self.say("divergent", f"{name(key)} has two outcomes: {a} and {b}")
            elif h["what"] == "trust":
                trusted.add(key)  # its session ended and it was not said again: nobody is told the outcome
            elif h["what"] == "see":
                shown.setdefault((h["sender"], h["sdev"], h["client_seq"]), h)
        for key in accepted:
            if key not in in_log and self.log:
                self.say("lost", f"{name(key)} was accepted and is not in the log")
            if key not in outcome and key not in trusted:
                self.say("stuck", f"{name(key)} was accepted and never got an outcome")
        for key, h in outcome.items():
            row = self.placed.get(key)
            if h["what"] == "fail":
                if row or key in shown:
                    self.say("rejected-but-seen", f"{name(key)} was refused ({h['code']}) and is seen")
            elif h["stage"] == "sequenced":
                if not row:
                    self.say("lost", f"{name(key)} is number {h['seq']} of {h['conv'][:8]} and has no row")
                elif (row["conv"], row["seq"], row["msg_id"]) != (h["conv"], h["seq"], h["msg_id"]):
                    self.say("divergent", f"{name(key)} was told {h['conv'][:8]}/{h['seq']}, its row is {row['conv'][:8]}/{row['seq']}")
        self.outcome = outcome

    # ---- what was shown ----

    def views(self):
        """I2, I4: each view of a place is that of the row, and of those who may see it."""
        for h in self.history:
            if h["what"] != "see":
                continue
            c, who = self.convs.get(h["conv"]), f"{h['user'][:8]}/{h['device']} ({h['via']})"
            r = c.by_seq.get(h["seq"]) if c else None
            if not r:
                self.say("lost", f"{h['conv'][:8]}/{h['seq']} was shown to {who} and has no row")
                continue
            if (r["sender"], r["device"], r["client_seq"], r["msg_id"]) != (h["sender"], h["sdev"], h["client_seq"], h["msg_id"]):
                self.say("divergent", f"{h['conv'][:8]}/{h['seq']}: {who} sees another event than the row's")
            if r["kind"] == MESSAGE and h["hash"] and r["hash"] and h["hash"] != r["hash"]:
                self.say("divergent", f"{h['conv'][:8]}/{h['seq']}: {who} sees another text")
            if not c.may_see(h["user"], h["seq"], self.people(c)):
                self.say("leak", f"{h['conv'][:8]}/{h['seq']} was shown to {who}, who is no member there")

    def people(self, c):
        """Of a direct conversation: who writes there and to whom, by the log."""
        if not hasattr(c, "pair"):
            c.pair = {r["sender"] for r in c.rows}
            for r in c.rows:
                c.pair.add(self.by_place.get((r["part"], r["offset"]), {}).get("peer") or r["sender"])
        return c.pair

    def everywhere(self):
        """I1, I3: every device that was known before has every message its user may see; groups: or was told to ask."""
        known, seen, told, rest = {}, {}, {}, {}
        for h in self.history:
            d = h.get("user"), h.get("device")
            if h["what"] == "known":
                known.setdefault(d, h["t_mono"])
            elif h["what"] == "see":
                seen.setdefault(d, {}).setdefault((h["conv"], h["seq"]), set()).add(h["via"])
            elif h["what"] == "news":
                told[d, h["conv"]] = max(h["upto"], told.get((d, h["conv"]), 0))
            elif h["what"] == "rest":
                rest[d] = True
        for d, since in known.items():
            for conv, c in self.convs.items():
                people = None if c.group else self.people(c)
                if people is not None and d[0] not in people:
                    continue
                for r in c.rows:
                    key = r["sender"], r["device"], r["client_seq"]
                    at = self.invoked.get(key)
                    if at is None or at < since or key[:2] == d or not c.may_see(d[0], r["seq"], people):
                        continue
                    if not (c.left_later(d[0], r["seq"]) and (conv, r["seq"]) not in seen.get(d, {})):
                        self.one_view(d, conv, r, seen.get(d, {}).get((conv, r["seq"]), ()), told.get((d, conv), 0),
                                      d in rest or c.left_later(d[0], r["seq"]))

    def one_view(self, d, conv, r, ways, news, rest):
        if not ways:
            self.say("lost", f"{conv[:8]}/{r['seq']} was never shown to {d[0][:8]}/{d[1]}")
        elif not set(ways) - {"history"} and news < r["seq"] and not rest:
            self.say("lost", f"{conv[:8]}/{r['seq']} was not pushed to {d[0][:8]}/{d[1]}, and nothing said that it is in history")

    def fresh(self):
        """A device that remembers nothing reads exactly what its user may see."""
        read = {}
        for h in self.history:
            if h["what"] == "see" and h["via"] == "fresh":
                read.setdefault((h["user"], h["conv"]), []).append(h["seq"])
        whole = {(h["user"], h["conv"]): h for h in self.history if h["what"] == "whole"}
        for (user, conv), h in whole.items():
            if h["code"]:
                self.say("stuck", f"{user[:8]} could not read {conv[:8]} (code {h['code']})")
                continue
            c, got = self.convs.get(conv), read.get((user, conv), [])
            if not c:
                continue
            want = [r["seq"] for r in c.rows if c.may_see(user, r["seq"], self.people(c))]
            if got != sorted(set(got)):
                self.say("non-monotonic", f"{user[:8]} reads {conv[:8]} in the order {got[:20]}…")
            missing, extra = sorted(set(want) - set(got)), sorted(set(got) - set(want))
            if missing:
                self.say("lost", f"{user[:8]}'s new device does not read {conv[:8]}/{missing[:10]}")
            if extra:
                self.say("leak", f"{user[:8]}'s new device reads {conv[:8]}/{extra[:10]}")
        for user in {u for u, _ in whole} if whole else ():
            for conv, c in self.convs.items():
                if (user, conv) not in whole and any(c.may_see(user, r["seq"], self.people(c)) for r in c.rows):
                    self.say("lost", f"{user[:8]}'s new device does not list {conv[:8]}")

    # ---- the rest ----

    def resources(self):
        for group, n in self.run.get("lag", {}).items():
            if n:
                self.say("stuck", f"{group} is {n} records behind")
        for text in self.run.get("stuck", []):
            self.say("divergent" if text.startswith("contradiction") else "stuck", text)
        worst = {}
        for s in self.run.get("samples", []):
            cap = self.run.get("caps", {}).get(s["kind"])
            if cap and (s["rss_kib"] > cap[0] or s["fds"] > cap[1]):
                old = worst.get(s["process"])
                if not old or s["rss_kib"] > old["rss_kib"]:
                    worst[s["process"]] = s
        for s in worst.values():
            self.say("over-cap", f"{s['process']}: {s['rss_kib']} KiB, {s['fds']} descriptors")
        for text in self.run.get("over", []):
            self.say("over-cap", text)
        for text in self.run.get("canaries", []):
            self.say("canary", text)
        for text in self.run.get("crashes", []):
            self.say("crash", text)


def name(key):
    return f"{(key[0] or '?')[:8]}/{key[1]} #{key[2]}"


def judge(run):
    return Judge(run).verdicts()
