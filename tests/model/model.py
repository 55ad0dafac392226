"""model.py: what a conversation is, told as plainly as possible; the judge of the random-operations test.

Reads the records of im.conversation (as `parleyctl tail conversation --json` prints them) in the order of the log and
says what must come of each: a number, a note, or a refusal; who sees which number; what is unread. It shares no code
with the reducer and is written from docs/protocol.md. Nothing is forgotten here: limits that only bound memory (old
messages, old send numbers) are kept out of the test's reach.
"""
RANK = {"MEMBER": 1, "ADMIN": 2, "OWNER": 3}
APPROVAL, HISTORY, QUIET, PRIVATE = 1, 2, 4, 8
ABOUT_ONE = {"CONV_EDIT", "CONV_RECALL", "CONV_REACT", "CONV_PIN", "CONV_UNPIN"}
BY_ADMINS = {"CONV_GROUP_REMOVE", "CONV_GROUP_MUTE", "CONV_GROUP_UNMUTE", "CONV_GROUP_RENAME", "CONV_GROUP_NOTICE",
             "CONV_GROUP_SETTINGS", "CONV_GROUP_APPROVE", "CONV_GROUP_DECLINE"}
BY_OWNER = {"CONV_GROUP_ROLE", "CONV_GROUP_HAND_OVER", "CONV_GROUP_DISSOLVE"}


class Refused(Exception):
    pass


def need(good, code):
    if not good:
        raise Refused(code)


class Member:
    def __init__(self):
        self.rank, self.intervals, self.read, self.delivered, self.mute = 0, [], 0, 0, 0

    def sees(self, n):
        return any(a <= n and (b is None or n <= b) for a, b in self.intervals)


class Conv:
    def __init__(self):
        self.kind, self.head, self.time, self.flags, self.dissolved = None, 0, 0, 0, False
        self.members, self.asks, self.events, self.pins, self.recalled = {}, set(), {}, set(), set()
        self.friends, self.asked, self.blocked = False, None, set()  # direct; asked: by whom
        self.name, self.notice = "", ""
        self.outcomes = {}  # (user, device, client_seq) -> outcome

    def member(self, user):
        return self.members.setdefault(user, Member())

    def present(self):
        return {u for u, m in self.members.items() if m.rank}

    def visible(self, user):
        m = self.members.get(user)
        return [n for n in sorted(self.events) if m and m.sees(n)]

    def unread(self, user):
        m = self.members[user]
        return sum(1 for n in self.visible(user) if n > m.read and n not in self.recalled and
                   self.events[n]["kind"] == "CONV_MESSAGE" and self.events[n]["user"] != user)

    # ---- one record ----

    def apply(self, r, time_ms):
        """("number", n) | ("note",) | ("refused", code); a repeat gives the first outcome again."""
        key = (r["user"], r.get("device", 0), r.get("client_seq", 0))
        if key[2] and key in self.outcomes:
            return self.outcomes[key]
        existed, now = self.kind is not None, max(self.time, time_ms)
        r = dict(r, kind=r.get("kind", "CONV_MESSAGE"), text=r.get("body", {}).get("text", ""),
                 users=[r["users"][i:i + 32] for i in range(0, len(r.get("users", "")), 32)])
        try:
            if not existed:
                self.begin(r)
            out = self.judge(r, now, self.member(r["user"]))
        except Refused as e:
            out = ("refused", e.args[0])
        if out == "number":
            self.head, self.time = self.head + 1, now
            self.events[self.head] = dict(r, time=now)
            self.happened(r, self.head)
            out = ("number", self.head)
        elif out == "note":
            out = ("note",)
        if key[2] and self.kind:
            self.outcomes[key] = out
        return out

    def begin(self, r):
        if r["kind"] == "CONV_ANNOUNCEMENT":
            self.kind = "system"
        elif r.get("peer"):
            self.kind = "direct"
            for u in (r["user"], r["peer"]):
                self.member(u).rank, self.member(u).intervals = 1, [[1, None]]
        else:
            need(r["kind"] == "CONV_GROUP_CREATE", "NOT_A_MEMBER")
            need(len({*r["users"], r["user"]}) <= r["settings"]["group_cap"], "GROUP_FULL")
            self.kind, self.flags = "group", r.get("flags", 0)

    def judge(self, r, now, me):
        kind, settings = r["kind"], r.get("settings", {})
        if kind == "CONV_RECEIPT":
            return self.receipt(r, me)
        if self.kind == "system":
            need(kind == "CONV_ANNOUNCEMENT" and settings.get("admin"), "NOT_ALLOWED")
            return "number"
        if self.kind == "direct":
            return self.judge_direct(r, now, me, settings)
        return self.judge_group(r, now, me, settings)

    def receipt(self, r, me):
        need(me.intervals, "NOT_A_MEMBER")
        last = me.intervals[-1][1] or self.head
        read, delivered = min(r.get("read", 0), last), min(r.get("delivered", 0), last)
        delivered = max(read, delivered)
        need(read > me.read or delivered > me.delivered, "NO_CHANGE")
        me.read, me.delivered = max(me.read, read), max(me.delivered, delivered)
        return "note"

    def about(self, r, me, silenced, now, settings, leads):
        """What is done to a message; a pin can be taken from a recalled one, nothing else can be done to it."""
        kind, n = r["kind"], r.get("target", 0)
        event = self.events.get(n)
        need(event and me.sees(n), "NO_SUCH_MESSAGE")
        if kind != "CONV_UNPIN":
            need(event["kind"] == "CONV_MESSAGE", "NO_SUCH_MESSAGE")
            need(n not in self.recalled, "GONE")
        need(kind == "CONV_RECALL" or not silenced, silenced)
        if kind in ("CONV_PIN", "CONV_UNPIN"):
            need(leads or self.kind == "direct", "NOT_ALLOWED")
            need((n in self.pins) == (kind == "CONV_UNPIN"), "NO_CHANGE")
        elif kind == "CONV_EDIT" or kind == "CONV_RECALL" and not leads:
            need(event["user"] == r["user"], "NOT_ALLOWED")
            limit = settings.get("recall_limit_s", 0) * 1000
            need(kind == "CONV_EDIT" or not limit or now - event["time"] <= limit, "TOO_OLD")

    def judge_direct(self, r, now, me, settings):
        kind, user = r["kind"], r["user"]
        need(me.rank, "NOT_A_MEMBER")
        other = next((u for u, m in self.members.items() if m.rank and u != user), user)
        if kind in ("CONV_MESSAGE", "CONV_FRIEND_REQUEST"):
            need(not self.blocked, "BLOCKED")
        if kind == "CONV_MESSAGE":
            need(not settings.get("strangers_refused") or self.friends, "NOT_FRIENDS")
            need(r.get("reply_to", 0) <= self.head, "NO_SUCH_MESSAGE")
        elif kind in ABOUT_ONE:
            self.about(r, me, "BLOCKED" if self.blocked else "", now, settings, False)
        elif kind == "CONV_FRIEND_REQUEST":
            need(other != user, "REFUSED")
            need(not self.friends and self.asked != user, "NO_CHANGE")
        elif kind in ("CONV_FRIEND_CONFIRM", "CONV_FRIEND_REFUSE"):
            need(self.asked == other and other != user, "NO_CHANGE")
        elif kind == "CONV_FRIEND_REMOVE":
            need(self.friends or self.asked == user, "NO_CHANGE")
        elif kind in ("CONV_BLOCK", "CONV_UNBLOCK"):
            need(other != user, "REFUSED")
            need((user in self.blocked) == (kind == "CONV_UNBLOCK"), "NO_CHANGE")
            if kind == "CONV_BLOCK":
                self.blocked.add(user)
                self.friends, self.asked = False, None
            else:
                self.blocked.discard(user)
            return "note"
        else:
            raise Refused("REFUSED")
        return "number"

    def judge_group(self, r, now, me, settings):
        kind, cap, present = r["kind"], settings.get("group_cap", 0), self.present()
        if kind == "CONV_GROUP_CREATE":
            need(self.head == 0, "NO_CHANGE" if me.rank else "NOT_A_MEMBER")
            return "number"
        if kind == "CONV_GROUP_JOIN":
            need(not me.rank, "NO_CHANGE")
            need(not self.dissolved and not self.flags & PRIVATE, "NOT_A_MEMBER")
            if self.flags & APPROVAL:
                need(r["user"] not in self.asks, "NO_CHANGE")
                self.asks.add(r["user"])
                return "note"
            need(len(present) < cap, "GROUP_FULL")
            return "number"
        need(me.rank, "NOT_A_MEMBER")
        need(not self.dissolved, "GONE")
        muted = me.mute == -1 or me.mute > now or (self.flags & QUIET and me.rank == 1)
        if kind == "CONV_MESSAGE":
            need(not muted, "MUTED")
            need(not r.get("reply_to") or r["reply_to"] <= self.head and me.sees(r["reply_to"]), "NO_SUCH_MESSAGE")
        elif kind in ABOUT_ONE:
            self.about(r, me, "MUTED" if muted else "", now, settings, me.rank >= 2)
        elif kind == "CONV_GROUP_LEAVE":
            need(me.rank < 3 or len(present) == 1, "OWNER_STAYS")
        elif kind == "CONV_GROUP_INVITE":
            need(me.rank >= 2 or not self.flags & (APPROVAL | PRIVATE), "NOT_ALLOWED")
            new = set(r["users"]) - present
            need(new, "NO_CHANGE")
            need(len(present) + len(new) <= cap, "GROUP_FULL")
        else:
            need(kind in BY_ADMINS and me.rank >= 2 or kind in BY_OWNER and me.rank == 3, "NOT_ALLOWED")
            return self.admin(r, now, me, present, cap)
        return "number"

    def admin(self, r, now, me, present, cap):
        kind, users = r["kind"], set(r["users"])
        ranks = [self.members[u].rank for u in users if u in present]
        if kind in ("CONV_GROUP_APPROVE", "CONV_GROUP_DECLINE"):
            asked = users & self.asks
            need(asked, "NO_SUCH_MEMBER")
            if kind == "CONV_GROUP_DECLINE":
                self.asks -= asked
                return "note"
            need(len(present) + len(asked) <= cap, "GROUP_FULL")
        elif kind in ("CONV_GROUP_REMOVE", "CONV_GROUP_MUTE", "CONV_GROUP_UNMUTE", "CONV_GROUP_ROLE", "CONV_GROUP_HAND_OVER"):
            need(len(ranks) == len(users), "NO_SUCH_MEMBER")
            if kind != "CONV_GROUP_HAND_OVER":
                need(all(k < me.rank for k in ranks), "NOT_ALLOWED")
            else:
                need(r["user"] not in users, "NO_CHANGE")
            until = self.until(r, now)
            if kind == "CONV_GROUP_ROLE":
                need(any(k != RANK[role_name(r)] for k in ranks), "NO_CHANGE")
            elif kind == "CONV_GROUP_MUTE":
                need(any(self.members[u].mute != until for u in users), "NO_CHANGE")
            elif kind == "CONV_GROUP_UNMUTE":
                need(any(self.members[u].mute == -1 or self.members[u].mute > now for u in users), "NO_CHANGE")
        elif kind == "CONV_GROUP_SETTINGS":
            need(self.settings_after(r) != self.flags, "NO_CHANGE")
        return "number"

    def until(self, r, now):
        return now + r["duration_s"] * 1000 if r.get("duration_s") else -1

    def settings_after(self, r):
        mask = r.get("flags_mask", 0)
        return self.flags & ~mask | r.get("flags", 0) & mask

    # ---- what it changes ----

    def join(self, users, n):
        for u in users:
            m = self.member(u)
            m.rank = 1  # a mute outlives leaving
            m.intervals.append([n, None])
            if self.flags & HISTORY:
                m.intervals[-1][0] = 1
                m.intervals = m.intervals[-1:]
            self.asks.discard(u)

    def leave(self, users, n):
        for u in users:
            self.members[u].rank, self.members[u].intervals[-1][1] = 0, n

    def happened(self, r, n):
        kind, user, users, present = r["kind"], r["user"], set(r["users"]), self.present()
        event = self.events[n]
        if kind == "CONV_RECALL":
            self.recalled.add(r["target"])
        elif kind == "CONV_PIN":
            self.pins.add(r["target"])
        elif kind == "CONV_UNPIN":
            self.pins.discard(r["target"])
        elif kind == "CONV_GROUP_CREATE":
            self.join(users | {user}, 1)
            self.members[user].rank, self.name = 3, r["text"]
        elif kind == "CONV_GROUP_JOIN":
            self.join([user], n)
        elif kind == "CONV_GROUP_INVITE":
            event["changed"] = users - present
            self.join(users - present, n)
        elif kind == "CONV_GROUP_APPROVE":
            event["changed"] = users & self.asks
            self.join(users & self.asks, n)
        elif kind == "CONV_GROUP_LEAVE":
            self.dissolved = len(present) == 1
            self.leave([user], n)
        elif kind == "CONV_GROUP_REMOVE":
            self.leave(users, n)
        elif kind == "CONV_GROUP_ROLE":
            for u in users:
                self.members[u].rank = RANK[role_name(r)]
        elif kind == "CONV_GROUP_HAND_OVER":
            self.members[user].rank = 2
            for u in users:
                self.members[u].rank = 3
        elif kind == "CONV_GROUP_MUTE":
            for u in users:
                self.members[u].mute = self.until(r, event["time"])
        elif kind == "CONV_GROUP_UNMUTE":
            for u in users:
                self.members[u].mute = 0
        elif kind == "CONV_GROUP_RENAME":
            self.name = r["text"]
        elif kind == "CONV_GROUP_NOTICE":
            self.notice = r["text"]
        elif kind == "CONV_GROUP_SETTINGS":
            self.flags = self.settings_after(r)
        elif kind == "CONV_GROUP_DISSOLVE":
            self.dissolved = True
        elif kind == "CONV_FRIEND_REQUEST":
            self.friends, self.asked = self.asked is not None, None if self.asked else user
        elif kind in ("CONV_FRIEND_CONFIRM", "CONV_FRIEND_REFUSE", "CONV_FRIEND_REMOVE"):
            self.friends, self.asked = kind == "CONV_FRIEND_CONFIRM", None

    def pinned(self, user):
        """As far as they saw it being pinned and unpinned."""
        pins = set()
        for k in self.visible(user):
            e = self.events[k]
            if e["kind"] == "CONV_PIN":
                pins.add(e["target"])
            elif e["kind"] == "CONV_UNPIN":
                pins.discard(e["target"])
        return {n for n in pins - self.recalled if self.members[user].sees(n)}

    def now(self, user, n):
        """Message n as `user` may see it: (text, edited, recalled, {who: reaction})."""
        seen = [self.events[k] for k in self.visible(user)]
        edits = [e["text"] for e in seen if e["kind"] == "CONV_EDIT" and e["target"] == n]
        reactions = {}
        for e in seen:
            if e["kind"] == "CONV_REACT" and e["target"] == n:
                reactions.pop(e["user"], None)
                if e["text"]:
                    reactions[e["user"]] = e["text"]
        if n in self.recalled:
            return "", False, True, {}
        return (edits or [self.events[n]["text"]])[-1], bool(edits), False, reactions


def role_name(r):
    return {1: "MEMBER", 2: "ADMIN", 3: "OWNER"}.get(r.get("role", 0), r.get("role", ""))


def fold(lines):
    """Conversations by id, and the outcome of each numbered send: (user, device, client_seq) -> outcome."""
    convs, outcomes = {}, {}
    for line in lines:
        r = line["value"]
        c = convs.setdefault(r["conversation"], Conv())
        out = c.apply(r, line["time_ms"])
        if r.get("client_seq"):
            outcomes[(r["user"], r.get("device", 0), r["client_seq"])] = (r["conversation"], *out)
    return convs, outcomes
