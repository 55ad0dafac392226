#!/usr/bin/env python3
"""matrix.py: every row of matrix.tsv, cell by cell, against edges that are up. Run by tests/integration/test_matrix.c.

    matrix.py --edges HOST:PORT,… --psql CONNINFO --ctl 'COMMAND…' rows [WORD]

WORD: only rows whose name contains it. With MATRIX_SHOW=1 it says what it found, as lines of the table, and judges nothing.

A cell is what became of the request: OK, SEQUENCED, NOTED, or a code. What has no answer is judged by whether another one is
told (PUSHED) or not (SILENT). Besides: where `hidden` is yes, a stranger's answer is byte for byte that of an id that
nobody has, but for the id itself; and nobody outside is ever sent what was said inside.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cells import COLUMNS, LATER, ROLES, ROWS, SECRET, Cell  # noqa: E402
from world import Person, main, pb, same, until  # noqa: E402

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "matrix.tsv")
SENDS = (pb.SINGLE_CHAT, pb.GROUP_CHAT, pb.CONV_OP, pb.ANNOUNCE)


def table():
    rows = {}
    with open(TABLE, encoding="utf-8") as f:
        lines = [line.rstrip("\n").split("\t") for line in f if line.strip() and line[0] != "#"]
    for line in lines[1:]:
        rows[line[0]] = dict(zip(lines[0][1:], line[1:]))
    return rows


class Scenes:
    """The people, and what is there before a request."""

    def __init__(self, w):
        self.w, self.n = w, 0

    async def begin(self):
        w = self.w
        names = (*ROLES, "other", "asker")
        people = await asyncio.gather(*(w.person(n.replace("_", "-"), i) for i, n in enumerate(names)))
        self.role = dict(zip(names, people))
        self.here = people

    async def group(self, c, actor, pre, flags):
        """A group in which everybody is what their name says. The unknown is a stranger to one that is there."""
        r = self.role
        owner = r["owner"]
        inside = [r[k] for k in ("member", "ex_member", "blocked", "muted", "admin", "other")]
        g = c.conversation = await owner.group(SECRET, *inside, flags=flags & ~pb.GROUP_QUIET)
        c.witness, c.other, c.asker = r["other"], r["other"].login, r["asker"].login
        where = {"conversation": g}
        by = owner if actor is not owner else r["admin"]
        _, c.target = await by.say(g, SECRET)
        if actor in inside or actor is owner:
            _, c.own = await actor.say(g, SECRET)
        if pre == "ask":
            await r["asker"].noted(pb.CONV_GROUP_JOIN, text=SECRET, **where)
        steps = [(pb.CONV_GROUP_ROLE, {"logins": [r["admin"].login], "role": pb.ADMIN}),
                 (pb.CONV_GROUP_MUTE, {"logins": [r["muted"].login]}),
                 (pb.CONV_GROUP_REMOVE, {"logins": [r["ex_member"].login]})]
        steps += {"pin": [(pb.CONV_PIN, {"target": c.target})], "dissolve": [],
                  "mute": [(pb.CONV_GROUP_MUTE, {"logins": [r["other"].login]})]}.get(pre, [])
        steps += [(pb.CONV_GROUP_RENAME, {"text": LATER}), (pb.CONV_GROUP_NOTICE, {"text": LATER})]
        if flags & pb.GROUP_QUIET:
            steps.append((pb.CONV_GROUP_SETTINGS, {"flags": pb.GROUP_QUIET, "flags_mask": pb.GROUP_QUIET}))
        await asyncio.gather(*(owner.numbered(k, **where, **f) for k, f in steps))
        _, c.head = await owner.say(g, LATER)
        if pre == "dissolve":
            c.head = await owner.numbered(pb.CONV_GROUP_DISSOLVE, **where)

    async def direct(self, c, actor, role, pre, by_id):
        """Somebody new, and what there is between them and the actor; strangers see that of others, by its id."""
        peer = c.witness = await self.peer()
        c.login, c.user = peer.login, peer.user
        if role == "stranger":
            if not by_id:
                if pre == "hide":
                    await peer.good(pb.PROFILE_REQ, pb.ProfileReq(presence=pb.NOBODY))
                return
            actor = self.role["owner"]
        if pre in ("hello", "pin", "friends", "blocks", "asked", "hide"):
            c.conversation, c.target = await peer.say(actor.login, SECRET)
            _, c.own = await actor.say(peer.login, SECRET)
            c.head = c.own
        if pre == "pin":
            c.head = await peer.numbered(pb.CONV_PIN, to=actor.login, target=c.target)
        if pre == "friends" or role == "ex_member":
            await actor.numbered(pb.CONV_FRIEND_REQUEST, to=peer.login)
            c.head = await peer.numbered(pb.CONV_FRIEND_CONFIRM, to=actor.login)
        if role == "ex_member":
            c.head = await peer.numbered(pb.CONV_FRIEND_REMOVE, to=actor.login)
        if pre == "asked":
            c.head = await peer.numbered(pb.CONV_FRIEND_REQUEST, to=actor.login)
        if pre == "blocks":
            await actor.noted(pb.CONV_BLOCK, to=peer.login)
        if role == "blocked":
            await peer.noted(pb.CONV_BLOCK, to=actor.login)
        if pre == "hide":
            await peer.good(pb.PROFILE_REQ, pb.ProfileReq(presence=pb.NOBODY))

    async def peer(self):
        self.n += 1
        return await self.w.person(f"peer{self.n}", self.n)

    async def cell(self, row, role, like=None):
        """like: the stranger's cell; an unknown one is the same with ids that nobody has."""
        scene, _ = ROWS[row]
        c = Cell()
        c.head, c.new_login, c.login, c.user = 0, f"new-{role.replace('_', '-')}-{self.n}-{self.w.tag}", "", b""
        self.n += 1
        if role == "anonymous":
            c.actor = Person(f"nobody-{self.n}", "none", self.w.edges)
            await c.actor.open(self.n)
            c.login, c.user = self.role["other"].login, self.role["other"].user
            c.conversation, c.other, c.asker = os.urandom(16), c.login, c.login
            if row == "LOGIN_REQ":
                c.actor.login, c.actor.password = self.role["other"].login, self.role["other"].password
            return c
        c.actor = self.role["stranger" if role == "unknown" else role]
        c.login, c.user = self.role["other"].login, self.role["other"].user
        if row == "LOGOUT_REQ":
            c.actor = await self.w.device(c.actor, "leaving " + role, self.n)
        if role == "unknown":
            c.conversation, c.login, c.user = os.urandom(16), f"nobody-{self.n}-{self.w.tag}", os.urandom(16)
            c.other, c.asker, c.target, c.own = like.other, like.asker, like.target, like.own
        elif scene[0] == "group":
            await self.group(c, c.actor, *scene[1:])
        elif scene[0].startswith("direct"):
            await self.direct(c, c.actor, role, scene[1], scene[0].endswith("id"))
        return c


async def barrier(c):
    """What the actor sent before has come to whom it comes, or never will."""
    p, x = c.actor, c.witness
    if not p.number:
        return await p.ask(pb.HEARTBEAT, pb.Heartbeat())
    await p.write(c.conversation or x.login, "barrier")
    if x:
        await x.write(c.conversation or p.login, "barrier")
    return await p.ask(pb.HEARTBEAT, pb.Heartbeat())


async def unanswered(c, kind, m, expected):
    """PUSHED, SILENT, or the code of an ERROR."""
    p, x = c.actor, c.witness

    def pushed():
        pushes = x.receipts if kind == pb.MSG_READ else x.typing
        return [r for r in pushes if r.user == p.user and c.conversation in (b"", r.conversation)]
    seq_id = p.frame(kind, m)
    if x and expected == "PUSHED":
        while not pushed():
            if kind == pb.TYPING:  # may be lost on its way
                p.frame(kind, m)
            await asyncio.sleep(1.1 if kind == pb.TYPING else 0.02)
    if kind == pb.TYPING and x and not c.conversation and expected == "SILENT":
        # A message to the witness would make the conversation, and a hint that comes after it is theirs to see.
        await p.write(p.login, "barrier")
        await x.write(x.login, "barrier")
    else:
        await barrier(c)
    errors = [pb.Error.FromString(b).code for k, s, b in p.frames if (k, s) == (pb.ERROR, seq_id)]
    return pb.Code.Name(errors[0]) if errors else "PUSHED" if x and pushed() else "SILENT", seq_id


async def judged(c, row, expected):
    """(what became of it, its frames without numbers and ids of their own)"""
    p, (kind, m) = c.actor, ROWS[row][1](c)
    begin = len(p.frames)
    if kind in SENDS:
        client_seq = p.last + 1
        ack = await p.tell(kind, m)
        stage = getattr(ack, "stage", 0)
        verdict = pb.Stage.Name(stage) if stage in (pb.SEQUENCED, pb.NOTED) else pb.Code.Name(ack.code)
        acks = [(k, b, pb.MsgAck.FromString(b)) for k, s, b in p.frames[begin:] if k == pb.MSG_ACK]
        # On a busy machine the outcome may overtake ACCEPTED, which says nothing about what is there.
        frames = [(k, b) for k, b, m in acks if m.client_seq == client_seq and m.stage != pb.ACCEPTED]
        frames = frames or [(k, b) for k, s, b in p.frames[begin:] if k == pb.ERROR]
        return verdict, sorted(plain_ack(b, client_seq) if k == pb.MSG_ACK else b for k, b in frames)
    if kind in (pb.MSG_READ, pb.TYPING, pb.DELIVERY_ACK):
        verdict, seq_id = await unanswered(c, kind, m, expected)
        return verdict, sorted(b for k, s, b in p.frames[begin:] if (k, s) == (pb.ERROR, seq_id))
    r = await p.question(kind, m, (pb.TOO_MANY_REQUESTS, pb.BUSY))
    frames = [b for k, s, b in p.frames[begin:] if k not in (pb.CHAT_PUSH, pb.MSG_ACK)][-1:]
    if kind == pb.LOGOUT_REQ and r.code == pb.OK:
        await until(lambda: p.over, "the connection ends after LOGOUT_RSP")
    return pb.Code.Name(getattr(r, "code", 0)), frames


def plain_ack(b, client_seq):
    """Without what is the send's own: its number, at the front, and the message's id."""
    number = pb.MsgAck(client_seq=client_seq).SerializeToString()
    assert b.startswith(number), b
    m = pb.MsgAck.FromString(b)
    assert len(m.msg_id) == 16
    return b[len(number):].replace(m.msg_id, bytes(16))


def without_ids(frames, c):
    ids = [i for i in (c.conversation, c.user, c.login.encode()) if i]
    for i in ids:
        frames = [b.replace(i, b"?") for b in frames]
    return frames


def leaks(c, role, begin):
    """What this one was sent during its cell, and must not be."""
    words = {"stranger": [SECRET, LATER], "unknown": [SECRET, LATER], "anonymous": [SECRET, LATER], "ex_member": [LATER]}.get(role, [])
    sent = [(k, b) for k, _, b in c.actor.frames[begin:]]
    return [f"{pb.FrameType.Name(k)} holds {word!r}" for k, b in sent for word in words if word.encode() in b]


class Judge:
    def __init__(self, scenes, show):
        self.scenes, self.show, self.wrong, self.cells = scenes, show, [], 0

    async def one(self, row, role, c, expected):
        begin = len(c.actor.frames)
        if c.head and ROWS[row][1](c)[0] >= pb.CONV_LIST_REQ:
            await c.witness.caught_up(c.conversation, c.head)
        verdict, frames = await judged(c, row, expected)
        scene = ROWS[row][0]
        if scene[0] != "none" and not (scene[0] == "direct" and role == "stranger"):
            self.wrong += [f"{row} × {role}: {x}" for x in leaks(c, role, begin)]
        self.cells += 1
        if not self.show and verdict != expected:
            self.wrong.append(f"{row} × {role}: is {verdict}, should be {expected}")
        return verdict, frames

    async def row(self, row, expected):
        cells = dict(zip(ROLES, await asyncio.gather(*(self.scenes.cell(row, role) for role in ROLES))))
        cells["anonymous"] = await self.scenes.cell(row, "anonymous")
        if expected["unknown"] != "-":
            cells["unknown"] = await self.scenes.cell(row, "unknown", cells["stranger"])
        found = await asyncio.gather(*(self.one(row, role, c, expected[role]) for role, c in cells.items() if role != "unknown"))
        found = dict(zip([r for r in cells if r != "unknown"], found))
        if "unknown" in cells:
            found["unknown"] = await self.one(row, "unknown", cells["unknown"], expected["unknown"])
            a, b = (without_ids(found[k][1], cells[k]) for k in ("stranger", "unknown"))
            alike = "yes" if a == b and found["stranger"][0] == found["unknown"][0] else "no"
            if expected["hidden"] == "yes" and alike == "no" and not self.show:
                self.wrong.append(f"{row}: a stranger can tell what is there from what is not: {a} {b}")
        if not cells["anonymous"].actor.over:
            await cells["anonymous"].actor.close()
        if self.show:
            hidden = alike if "unknown" in cells else "-"
            print("\t".join([row, *(found[k][0] if k in found else "-" for k in COLUMNS), hidden]), flush=True)


async def rows(w, word=""):
    rows_, scenes = table(), Scenes(w)
    await scenes.begin()
    show = bool(os.environ.get("MATRIX_SHOW"))
    blank = dict.fromkeys((*COLUMNS, "hidden"), "")
    if not show:
        same(sorted(rows_), sorted(ROWS), "rows of matrix.tsv and of cells.py")
    judge = Judge(scenes, show)
    for row in ROWS:
        if word in row:
            await judge.row(row, rows_.get(row, blank))
    assert not judge.wrong, "\n  ".join([f"{len(judge.wrong)} wrong of {judge.cells} cells:", *judge.wrong])


main(globals())
