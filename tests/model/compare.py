"""compare.py: everything that can be seen after a run, against the model."""
import asyncio
import json
import subprocess

from device import WAIT_S, Device, Lost, pb
from model import RANK

ROLE = {0: "no member", 1: "MEMBER", 2: "ADMIN", 3: "OWNER"}


class Differences(list):
    def same(self, what, got, wanted):
        if got != wanted:
            self.append(f"{what}: is {got!r}, should be {wanted!r}")


def outcomes_of(wrong, d, outcomes):
    """What a device was told of each of its sends. An Error means that it is not in the log."""
    for client_seq, m in d.done.items():
        what = f"{d.login}/{d.number} send {client_seq} ({describe(d.sent[client_seq])})"
        out = outcomes.get((d.user.hex(), d.number, client_seq))
        if isinstance(m, pb.Error):
            wrong.same(what + " has no record", out, None)
        elif out is None:
            wrong.append(f"{what}: an outcome, but no record")
        elif m.stage == pb.STAGE_REFUSED:
            wrong.same(what, ("refused", pb.Code.Name(m.code)), out[1:])
        elif m.stage == pb.SEQUENCED:
            wrong.same(what, ("number", m.seq), out[1:])
        else:
            wrong.same(what, ("note",), out[1:])


def describe(send):
    kind, m = send
    return pb.ConvKind.Name(m.kind) if kind == pb.CONV_OP else pb.FrameType.Name(kind)


async def pages(d, kind, request, items):
    """All pages of a question; `items` picks the list."""
    out = []
    while True:
        r = await patient(d, kind, request)
        if r.code != pb.OK:
            return r.code
        out += getattr(r, items)
        if not r.next:
            return out
        request.after = r.next


async def patient(d, kind, request):
    behind = 0
    while True:
        try:
            r = await d.ask(kind, request)
        except Lost:
            await d.log_in(0)
            continue
        behind += r.code == pb.BEHIND
        if r.code not in (pb.TOO_MANY_REQUESTS, pb.BUSY, pb.BEHIND) or behind > (10 if d.patience else 2):
            return r
        await asyncio.sleep(0.05 + getattr(r, "retry_after_ms", 0) / 1000)


async def history(d, conversation, events, wait):
    out, seq = [], 0
    while True:
        q = pb.HistoryReq(conversation=conversation, seq=seq, direction=pb.AFTER, limit=200, events=events)
        if wait:
            q.wait.conversation, q.wait.seq = conversation, wait
        r = await patient(d, pb.HISTORY_REQ, q)
        if r.code != pb.OK:
            return r.code
        out += r.items
        if not r.more_after or not r.items:
            return out
        seq = r.items[-1].event.seq


def event_same(wrong, what, push, event, recalled):
    wrong.same(what + " kind", pb.ConvKind.Name(push.kind), event["kind"])
    wrong.same(what + " sender", push.sender.hex(), event["user"])
    wrong.same(what + " text", push.text, "" if recalled and event["kind"] == "CONV_MESSAGE" else event["text"])
    wrong.same(what + " target", push.target, event.get("target", 0))
    if "changed" in event:
        wrong.same(what + " users", {u.hex() for u in push.users}, event["changed"])


async def conversation_of(wrong, d, c, conv_id):
    """One conversation as a device without memory sees it."""
    what, user = f"{d.login} in {conv_id}", d.user.hex()
    conversation, visible, me = bytes.fromhex(conv_id), c.visible(user), c.members[user]
    last = visible[-1] if visible else 0  # who left waits for no more than that
    got = await history(d, conversation, True, last)
    if isinstance(got, int):
        return wrong.same(what + " events", pb.Code.Name(got), "OK")
    wrong.same(what + " events", [i.event.seq for i in got], visible)
    for i in got:
        if i.event.seq in c.events:
            event = c.events[i.event.seq]
            later_edits_hidden = event["kind"] == "CONV_EDIT" and event["target"] in c.recalled
            if not later_edits_hidden:
                event_same(wrong, f"{what} event {i.event.seq}", i.event, event, i.event.seq in c.recalled)
    messages = [n for n in visible if c.events[n]["kind"] == "CONV_MESSAGE"]
    items = await history(d, conversation, False, last)
    wrong.same(what + " messages", [i.event.seq for i in items], messages)
    for i in items:
        if i.event.seq not in messages:
            continue
        text, edited, recalled, reactions = c.now(user, i.event.seq)
        at = f"{what} message {i.event.seq}"
        wrong.same(at + " text", i.event.text, text)
        wrong.same(at + " edited, recalled", (i.edited and not i.recalled, i.recalled), (edited, recalled))
        wrong.same(at + " reactions", {x.user.hex(): x.text for x in i.reactions}, reactions)
    r = await patient(d, pb.CONV_INFO_REQ, pb.ConvInfoReq(conversation=conversation))
    info_same(wrong, what, r.conversation, c, me, user)
    if c.kind == "group" and me.rank:
        members = await pages(d, pb.MEMBERS_REQ, pb.MembersReq(conversation=conversation, limit=3), "members")
        if isinstance(members, int):
            return wrong.same(what + " members", pb.Code.Name(members), "OK")
        wrong.same(what + " members", {m.user.hex(): m.role for m in members}, {u: c.members[u].rank for u in c.present()})
        wrong.same(what + " members in order", [-m.role for m in members], sorted(-m.role for m in members))


def info_same(wrong, what, info, c, me, user):
    wrong.same(what + " unread", info.unread, c.unread(user))
    wrong.same(what + " read", info.read, me.read)
    if c.kind == "group":
        wrong.same(what + " role", ROLE[info.role], ROLE[me.rank])
        if me.rank:
            wrong.same(what + " name, notice", (info.name, info.notice), (c.name, c.notice))
            wrong.same(what + " flags, members", (info.flags, info.members), (c.flags, len(c.present())))
            wrong.same(what + " dissolved", info.dissolved, c.dissolved)
    else:
        other = next((u for u, m in c.members.items() if m.rank and u != user), user)
        friend = 3 if c.friends else 1 if c.asked == user else 2 if c.asked else 0
        wrong.same(what + " friend", info.friend, friend)
        wrong.same(what + " blocked", info.blocked, user in c.blocked)
        if other != user:
            wrong.same(what + " peer_read", info.peer_read, c.members[other].read)
    wrong.same(what + " pins", set(info.pins), c.pinned(user))


def worth_listing(c):
    """Two people who never wrote to each other have no conversation to look at."""
    return c.kind == "group" or any(e["kind"] == "CONV_MESSAGE" for e in c.events.values())


async def listed(wrong, d, convs):
    got = await pages(d, pb.CONV_LIST_REQ, pb.ConvListReq(limit=3), "conversations")
    if isinstance(got, int):
        return wrong.same(f"{d.login} list", pb.Code.Name(got), "OK")
    mine = {k: c for k, c in convs.items() if d.user.hex() in c.members and c.members[d.user.hex()].intervals and worth_listing(c)}
    wrong.same(f"{d.login} list", sorted(i.conversation.hex() for i in got if not i.system), sorted(mine))
    for i in got:
        if i.conversation.hex() in mine:
            c = mine[i.conversation.hex()]
            wrong.same(f"{d.login} list {i.conversation.hex()} unread", i.unread, c.unread(d.user.hex()))
    return mine


async def strangers(wrong, d, convs):
    for k, c in list(convs.items())[-100:]:
        m = c.members.get(d.user.hex())
        if not (m and m.intervals):
            got = await history(d, bytes.fromhex(k), True, 0)
            wrong.same(f"{d.login}, a stranger to {k}", pb.Code.Name(got) if isinstance(got, int) else got, "NOT_A_MEMBER")


def missing(d, convs):
    """What a device ought to have been pushed, or told to fetch: it was there before all conversations. Events of a group are
    told of by news, or by a later event: the hole before that is filled from history."""
    out = []
    for k, c in convs.items():
        known, told = known_to(d, bytes.fromhex(k))
        if c.kind == "group":
            told = max(told, *known, 0)
        out += [(k, n) for n in c.visible(d.user.hex()) if n > told and n not in known]
    return out


def known_to(d, conversation):
    return {*d.seen.get(conversation, ()), *d.placed.get(conversation, ())}, d.news.get(conversation, 0)


def ranges(places):
    """1-4 6 9-11"""
    out = []
    for n in sorted(places):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


async def complete(wrong, devices, convs):
    limit = asyncio.get_running_loop().time() + WAIT_S / 2
    for d in devices:
        while missing(d, convs) and asyncio.get_running_loop().time() < limit:
            await asyncio.sleep(0.1)
        for k, n in missing(d, convs):
            known, told = known_to(d, bytes.fromhex(k))
            wrong.append(f"{d.login}/{d.number} was neither pushed nor told of {k}/{n} ({convs[k].events[n]['kind']}): has {ranges(known)}, "
                         f"told up to {told}, the user is {d.user.hex()}")


def seen_is_right(wrong, d, convs, live):
    for conversation, events in live.items():
        c = convs.get(conversation.hex())
        if c is None:
            wrong.append(f"{d.login}: pushes of a conversation that the log does not know: {conversation.hex()}")
            continue
        visible = set(c.visible(d.user.hex()))
        for n, push in events.items():
            what = f"{d.login}/{d.number} saw {conversation.hex()}/{n}"
            if n not in visible:
                wrong.append(f"{what}: not theirs to see ({pb.ConvKind.Name(push.kind)})")
            else:
                event_same(wrong, what, push, dict(c.events[n], text=push.text), False)
                if n not in c.recalled and c.events[n].get("target") not in c.recalled:
                    wrong.same(what + " text", push.text, c.events[n]["text"])


async def database(wrong, args, convs):
    """PostgreSQL, without a process between, once it has everything."""
    wanted = {k: (c.head, c.head) for k, c in convs.items() if c.head}
    limit = asyncio.get_running_loop().time() + WAIT_S / 2
    while (rows := database_rows(args)) != wanted and asyncio.get_running_loop().time() < limit:
        await asyncio.sleep(0.2)
    wrong.same("rows in PostgreSQL", rows, wanted)


def database_rows(args):
    sql = ("SELECT coalesce(json_agg(json_build_object('conv', encode(conv, 'hex'), 'n', n, 'head', head)), '[]') FROM "
           "(SELECT conv, count(*) AS n, max(seq) AS head FROM messages GROUP BY conv) t")
    out = subprocess.run(["psql", "-XAtq", "-d", args.psql, "-c", sql], stdout=subprocess.PIPE, check=True).stdout
    return {r["conv"]: (r["n"], r["head"]) for r in json.loads(out)}


async def receipts_in(d, convs):
    """Receipts have no number to wait for: until the read mark in the read model is the model's."""
    limit = asyncio.get_running_loop().time() + 10
    for k, c in convs.items():
        m = c.members.get(d.user.hex())
        while m and m.intervals and asyncio.get_running_loop().time() < limit:
            r = await patient(d, pb.CONV_INFO_REQ, pb.ConvInfoReq(conversation=bytes.fromhex(k)))
            if r.code != pb.OK or r.conversation.read >= m.read:
                break
            await asyncio.sleep(0.05)


async def compare(args, devices, convs, outcomes):
    wrong = Differences()
    if args.psql:
        await database(wrong, args, convs)
    await complete(wrong, devices, convs)
    for d in devices:
        wrong.extend(f"{d.login}/{d.number}: {line}" for line in d.wrong)
        outcomes_of(wrong, d, outcomes)
        seen_is_right(wrong, d, convs, d.seen)
    for d in {d.login: d for d in devices}.values():
        fresh = Device(d.login, "fresh", d.edges)
        await fresh.log_in(0)
        mine = await listed(wrong, fresh, convs) or {}
        await receipts_in(fresh, convs)
        for k, c in mine.items():
            await conversation_of(wrong, fresh, c, k)
        await strangers(wrong, fresh, convs)
        await fresh.close()
    assert RANK["OWNER"] == pb.OWNER
    return wrong
