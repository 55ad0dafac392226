"""groups.py: what people do with groups, over two edges. Run by tests/integration/test_groups.c."""
import asyncio

from world import eventually, main, named, pb, same, until


async def made_found_and_read(w):
    ann, bob, cid, dan = await w.group_of("ann", "bob", "cid", "dan")
    choir = await ann.group("choir", bob, cid)
    assert (await bob.event(choir, 1)).kind == pb.CONV_GROUP_CREATE
    _, n = await bob.say(choir, "hello all")
    push = await cid.event(choir, n)
    same((push.text, push.sender_login, push.group), ("hello all", bob.login, True))
    same(push.seq, (await ann.event(choir, n)).seq)
    info = await cid.info(choir, n)
    same((info.name, info.members, info.role, info.owner, info.group), ("choir", 3, pb.MEMBER, ann.user, True))
    same((await ann.info(choir)).role, pb.OWNER)
    members = await bob.members(choir)
    same({k: m.role for k, m in members.items()}, {ann.login: pb.OWNER, bob.login: pb.MEMBER, cid.login: pb.MEMBER})
    same(list(members)[0], ann.login, "the highest role first")
    same([c.conversation for c in await cid.listed(groups=True)], [choir])
    same(await dan.listed(groups=True), [], "a stranger's groups")


async def members_by_page(w):
    ann, *others = await w.group_of("ann", *(f"m{i}" for i in range(7)))
    choir = await ann.group("choir", *others)
    await ann.caught_up(choir, 1)
    seen, after = [], b""
    while True:
        r = await ann.good(pb.MEMBERS_REQ, pb.MembersReq(conversation=choir, limit=3, after=after))
        same(r.total, 8)
        seen += [m.login for m in r.members]
        after = r.next
        if not after:
            break
        assert len(r.members) == 3
    same(seen, [ann.login, *sorted(p.login for p in others)])


async def joining_and_what_is_visible(w):
    ann, bob, eve = await w.group_of("ann", "bob", "eve")
    for flags, first in ((0, 3), (pb.GROUP_HISTORY, 1)):
        choir = await ann.group("choir", bob, flags=flags)
        await ann.say(choir, "before eve")
        joined = await eve.numbered(pb.CONV_GROUP_JOIN, conversation=choir)
        same(joined, 3)
        same((await bob.event(choir, joined)).sender_login, eve.login)
        _, n = await bob.say(choir, "welcome")
        same((await eve.event(choir, n)).text, "welcome")
        left = await eve.numbered(pb.CONV_GROUP_LEAVE, conversation=choir)
        _, after = await ann.say(choir, "after eve")
        await eve.denied(pb.NOT_A_MEMBER, pb.CONV_GROUP_LEAVE, conversation=choir)
        same(named((await eve.write(choir, "me too")).code), "NOT_A_MEMBER")
        await ann.caught_up(choir, after)
        got = [i.event.seq for i in (await eve.history(choir, direction=pb.AFTER, events=True)).items]
        same(got, list(range(first, left + 1)), "all of eve's time, and nothing else")
        assert after not in eve.seen[choir]
        same((await eve.info(choir)).last_visible, left)
        again = await eve.numbered(pb.CONV_GROUP_JOIN, conversation=choir)
        await eve.caught_up(choir, again)
        got = [i.event.seq for i in (await eve.history(choir, direction=pb.AFTER, events=True)).items]
        same(after in got, bool(flags), "what was said between, in a group that shows its history")


async def inviting_and_removing(w):
    ann, bob, cid, dan = await w.group_of("ann", "bob", "cid", "dan")
    choir = await ann.group("choir", bob)
    n = await bob.numbered(pb.CONV_GROUP_INVITE, conversation=choir, logins=[ann.login, cid.login], users=[dan.user])
    push = await cid.event(choir, n)
    same(set(push.users), {cid.user, dan.user}, "who is new")
    same(set(push.logins), {cid.login, dan.login})
    await bob.denied(pb.NO_CHANGE, pb.CONV_GROUP_INVITE, conversation=choir, logins=[cid.login])
    await bob.denied(pb.UNKNOWN_USER, pb.CONV_GROUP_INVITE, conversation=choir, logins=["nobody-" + w.tag])
    # Many whom the edge has never heard of are looked up at once; one that is nobody, and none of them comes.
    new = [await w.person(f"new{i}", log_in=False) for i in range(6)]
    logins = [p.login for p in new]
    await ann.denied(pb.UNKNOWN_USER, pb.CONV_GROUP_INVITE, conversation=choir, logins=logins[:3] + ["nobody-" + w.tag] + logins[3:])
    n = await ann.numbered(pb.CONV_GROUP_INVITE, conversation=choir, logins=logins)
    same(sorted((await bob.event(choir, n)).logins), sorted(logins))

    async def members():
        return len(await ann.members(choir))
    await eventually(members, 10, "members")
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_REMOVE, conversation=choir, logins=[cid.login])
    await ann.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_REMOVE, conversation=choir, logins=[ann.login])
    n = await ann.numbered(pb.CONV_GROUP_REMOVE, conversation=choir, logins=[cid.login, dan.login])
    same((await cid.event(choir, n)).kind, pb.CONV_GROUP_REMOVE, "who is removed is told")
    await ann.denied(pb.NO_SUCH_MEMBER, pb.CONV_GROUP_REMOVE, conversation=choir, logins=[dan.login])
    _, secret = await ann.say(choir, "between us")
    await bob.event(choir, secret)
    await ann.caught_up(choir, secret)
    same([i.event.seq for i in (await cid.history(choir, direction=pb.AFTER)).items], [], "messages cid may see")
    assert secret not in cid.seen[choir]


async def roles(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    choir = await ann.group("choir", bob, cid)
    where = {"conversation": choir}
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_ROLE, logins=[cid.login], role=pb.ADMIN, **where)
    n = await ann.numbered(pb.CONV_GROUP_ROLE, logins=[bob.login], role=pb.ADMIN, **where)
    same((await cid.event(choir, n)).role, pb.ADMIN)
    await ann.denied(pb.NO_CHANGE, pb.CONV_GROUP_ROLE, logins=[bob.login], role=pb.ADMIN, **where)
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_REMOVE, logins=[ann.login], **where)
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_HAND_OVER, logins=[bob.login], **where)
    await ann.denied(pb.OWNER_STAYS, pb.CONV_GROUP_LEAVE, **where)
    n = await ann.numbered(pb.CONV_GROUP_HAND_OVER, logins=[cid.login], **where)
    await bob.event(choir, n)
    await ann.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_DISSOLVE, **where)
    n = await ann.numbered(pb.CONV_GROUP_LEAVE, **where)
    await cid.caught_up(choir, n)
    same({k: m.role for k, m in (await cid.members(choir)).items()}, {cid.login: pb.OWNER, bob.login: pb.ADMIN})
    same((await cid.info(choir)).owner, cid.user)


async def muting_one_and_all(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    choir = await ann.group("choir", bob, cid)
    where = {"conversation": choir}
    _, mine = await bob.say(choir, "free")
    n = await ann.numbered(pb.CONV_GROUP_MUTE, logins=[bob.login], duration_s=0, **where)
    same((await cid.event(choir, n)).until_ms, 0, "for ever")
    for ack in (await bob.write(choir, "mute?"), await bob.op(pb.CONV_EDIT, target=mine, text="x", **where),
                    await bob.op(pb.CONV_REACT, target=mine, text="+1", **where)):
        same(named(ack.code), "MUTED")
    await bob.caught_up(choir, n)
    same((await bob.info(choir)).muted_until_ms, -1)
    await bob.numbered(pb.CONV_RECALL, target=mine, **where)
    await cid.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_UNMUTE, logins=[bob.login], **where)
    n = await ann.numbered(pb.CONV_GROUP_UNMUTE, logins=[bob.login], **where)
    await bob.say(choir, "free again")
    n = await ann.numbered(pb.CONV_GROUP_MUTE, logins=[bob.login], duration_s=3600, **where)
    assert (await cid.event(choir, n)).until_ms > (await cid.event(choir, n)).time_ms
    await ann.numbered(pb.CONV_GROUP_SETTINGS, flags=pb.GROUP_QUIET, flags_mask=pb.GROUP_QUIET, **where)
    same(named((await cid.write(choir, "all are quiet")).code), "MUTED")
    await ann.say(choir, "but the admins")
    await ann.numbered(pb.CONV_GROUP_SETTINGS, flags=0, flags_mask=pb.GROUP_QUIET, **where)
    await cid.say(choir, "no more")


async def a_short_mute_ends(w):
    ann, bob = await w.group_of("ann", "bob")
    choir = await ann.group("choir", bob)
    await ann.numbered(pb.CONV_GROUP_MUTE, conversation=choir, logins=[bob.login], duration_s=1)
    same(named((await bob.write(choir, "now?")).code), "MUTED")
    refused = bob.last
    while getattr(ack := await bob.write(choir, "now?"), "stage", 0) != pb.SEQUENCED:
        same(named(ack.code), "MUTED")
        await asyncio.sleep(0.1)
    bob.repeat(refused)
    await bob.say(choir, "after the repeat")
    texts = [e.text for _, e in sorted((await until(lambda: ann.seen.get(choir), "ann sees it")).items())]
    assert texts.count("now?") == 1, texts


async def names_and_notices(w):
    ann, bob, eve = await w.group_of("ann", "bob", "eve")
    choir = await ann.group("choir", bob, eve)
    where = {"conversation": choir}
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_RENAME, text="mine", **where)
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_NOTICE, text="mine", **where)
    await ann.numbered(pb.CONV_GROUP_RENAME, text="the choir", **where)
    n = await ann.numbered(pb.CONV_GROUP_NOTICE, text="we meet at eight", **where)
    same((await bob.event(choir, n)).text, "we meet at eight")
    info = await bob.info(choir, n)
    same((info.name, info.notice), ("the choir", "we meet at eight"))
    await ann.denied(pb.BAD_FIELD, pb.CONV_GROUP_RENAME, text="x" * 129, **where)
    await ann.denied(pb.BAD_FIELD, pb.CONV_GROUP_NOTICE, text="x" * 4097, **where)
    await ann.numbered(pb.CONV_GROUP_REMOVE, logins=[eve.login], **where)
    await ann.numbered(pb.CONV_GROUP_RENAME, text="without eve", **where)
    n = await ann.numbered(pb.CONV_GROUP_NOTICE, text="eve is away", **where)
    await ann.caught_up(choir, n)
    info = await eve.info(choir)
    same((info.name, info.notice), ("the choir", "we meet at eight"), "what somebody who left is shown")


async def joining_by_approval(w):
    ann, bob, cid, dan = await w.group_of("ann", "bob", "cid", "dan")
    choir = await ann.group("choir", bob, flags=pb.GROUP_APPROVAL)
    where = {"conversation": choir}
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_INVITE, logins=[cid.login], **where)
    await cid.noted(pb.CONV_GROUP_JOIN, text="it is me", **where)
    same((await ann.note(pb.CONV_GROUP_JOIN, choir)).text, "it is me")
    await cid.denied(pb.NO_CHANGE, pb.CONV_GROUP_JOIN, **where)
    await dan.noted(pb.CONV_GROUP_JOIN, **where)
    await ann.caught_up(choir, 1)
    await until_asked(ann, choir, {cid.login: "it is me", dan.login: ""})
    same(named((await bob.question(pb.ASKS_REQ, pb.AsksReq(conversation=choir))).code), "NOT_ALLOWED")
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_APPROVE, logins=[cid.login], **where)
    n = await ann.numbered(pb.CONV_GROUP_APPROVE, logins=[cid.login], **where)
    same((await cid.event(choir, n)).logins, [cid.login])
    await ann.noted(pb.CONV_GROUP_DECLINE, logins=[dan.login], **where)
    same((await dan.note(pb.CONV_GROUP_DECLINE, choir)).sender_login, ann.login)
    await ann.denied(pb.NO_SUCH_MEMBER, pb.CONV_GROUP_APPROVE, logins=[dan.login], **where)
    await until_asked(ann, choir, {})
    await dan.noted(pb.CONV_GROUP_JOIN, text="again", **where)
    await ann.numbered(pb.CONV_GROUP_SETTINGS, flags=pb.GROUP_PRIVATE, flags_mask=pb.GROUP_PRIVATE, **where)
    same(bob.notes, [], "members are not told who asks")


async def until_asked(p, group, wanted):
    while (got := {a.login: a.text for a in (await p.good(pb.ASKS_REQ, pb.AsksReq(conversation=group))).asks}) != wanted:
        assert len(got) <= 2, got
        await asyncio.sleep(0.05)


async def private_and_unknown_are_alike(w):
    ann, eve = await w.group_of("ann", "eve")
    private = await ann.group("private", flags=pb.GROUP_PRIVATE)
    await ann.caught_up(private, 1)
    nowhere = bytes(b ^ 0x5a for b in private)
    for conversation in (private, nowhere):
        await eve.denied(pb.NOT_A_MEMBER, pb.CONV_GROUP_JOIN, conversation=conversation)
        same(named((await eve.question(pb.CONV_INFO_REQ, pb.ConvInfoReq(conversation=conversation))).code), "NOT_A_MEMBER")
        same(named((await eve.question(pb.MEMBERS_REQ, pb.MembersReq(conversation=conversation))).code), "NOT_A_MEMBER")


async def old_numbers_tell_nothing(w):
    """What is kept of a stranger's numbers shows no more than a fresh one would: repeats, gaps, numbers out of the window."""
    ann, eve = await w.group_of("ann", "eve")
    private = await ann.group("private", flags=pb.GROUP_PRIVATE)
    answers = []
    for conversation in (private, bytes(b ^ 0x5a for b in private)):
        first = eve.last + 1
        for _ in range(70):
            same(named((await eve.write(conversation, "let me in")).code), "NOT_A_MEMBER")
        begin = len(eve.frames)
        for number in (first, first + 30, eve.last):
            eve.repeat(number)
        await eve.write(conversation, "the end")
        acks = [pb.MsgAck.FromString(b) for k, _, b in eve.frames[begin:] if k == pb.MSG_ACK]
        answers.append([(a.client_seq - first, a.stage, named(a.code)) for a in acks if a.stage != pb.ACCEPTED])
    same(answers[0], answers[1], "the answers of a group that is there, and of none")


async def dissolving(w):
    ann, bob, eve = await w.group_of("ann", "bob", "eve")
    choir = await ann.group("choir", bob)
    _, kept = await bob.say(choir, "remember me")
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_DISSOLVE, conversation=choir)
    n = await ann.numbered(pb.CONV_GROUP_DISSOLVE, conversation=choir)
    same((await bob.event(choir, n)).kind, pb.CONV_GROUP_DISSOLVE)
    for who in (ann, bob):
        same(named((await who.write(choir, "hello?")).code), "GONE")
    await eve.denied(pb.NOT_A_MEMBER, pb.CONV_GROUP_JOIN, conversation=choir)
    same((await bob.info(choir, n)).dissolved, True)
    same((await bob.message(choir, kept)).event.text, "remember me", "history stays")
    closed = await ann.group("closed", bob, flags=pb.GROUP_APPROVAL)
    await ann.caught_up(closed, 1)
    await eve.noted(pb.CONV_GROUP_JOIN, conversation=closed)
    await until_asked(ann, closed, {eve.login: ""})
    n = await ann.numbered(pb.CONV_GROUP_DISSOLVE, conversation=closed)
    same((await bob.info(closed, n)).dissolved, True)
    same(await w.sql(f"SELECT count(*) FROM asks WHERE conv = '\\x{closed.hex()}'"), "0", "open requests")


async def two_at_once_agree(w):
    """Everybody does something at the same moment, from both edges; all see one order, and one of it all."""
    ann, bob, cid, dan = await w.group_of("ann", "bob", "cid", "dan")
    choir = await ann.group("choir", bob, cid)
    await ann.numbered(pb.CONV_GROUP_ROLE, conversation=choir, logins=[bob.login], role=pb.ADMIN)
    acks = await asyncio.gather(
        dan.op(pb.CONV_GROUP_JOIN, conversation=choir), ann.op(pb.CONV_GROUP_INVITE, conversation=choir, logins=[dan.login]),
        ann.op(pb.CONV_GROUP_REMOVE, conversation=choir, logins=[cid.login]),
        bob.op(pb.CONV_GROUP_REMOVE, conversation=choir, logins=[cid.login]),
        cid.op(pb.CONV_GROUP_LEAVE, conversation=choir), *(p.write(choir, "at once") for p in (ann, bob)))
    numbers = [a.seq for a in acks if a.stage == pb.SEQUENCED]
    same(sorted(numbers), list(range(3, 3 + len(numbers))), "numbers without a hole")
    same(len([a for a in acks[:2] if a.stage == pb.SEQUENCED]), 1, "dan becomes a member once")
    same(len([a for a in acks[2:5] if a.stage == pb.SEQUENCED]), 1, "cid goes once")
    last = max(numbers)
    await ann.caught_up(choir, last)
    same(set(await ann.members(choir)), {ann.login, bob.login, dan.login})
    views = [[(i.event.seq, i.event.kind, i.event.sender) for i in (await p.history(choir, direction=pb.AFTER, events=True)).items]
             for p in (ann, bob)]
    same(views[0], views[1])
    same([v[0] for v in views[0]], list(range(1, last + 1)))


async def full(w):
    """With a cap of four (test_groups.c)."""
    ann, bob, cid, dan, eve = await w.group_of("ann", "bob", "cid", "dan", "eve")
    choir = await ann.group("choir", bob, cid)
    await ann.denied(pb.GROUP_FULL, pb.CONV_GROUP_INVITE, conversation=choir, logins=[dan.login, eve.login])
    await dan.numbered(pb.CONV_GROUP_JOIN, conversation=choir)
    await eve.denied(pb.GROUP_FULL, pb.CONV_GROUP_JOIN, conversation=choir)
    await ann.denied(pb.GROUP_FULL, pb.CONV_GROUP_CREATE, text="five", logins=[p.login for p in (bob, cid, dan, eve)])
    await bob.numbered(pb.CONV_GROUP_LEAVE, conversation=choir)
    await eve.numbered(pb.CONV_GROUP_JOIN, conversation=choir)


async def who_was_away_catches_up(w):
    """News instead of a queue: the events come from history, once."""
    ann, bob = await w.group_of("ann", "bob")
    choir = await ann.group("choir", bob)
    await bob.event(choir, 1)
    await bob.close()
    numbers = [(await ann.say(choir, f"while bob is away {i}"))[1] for i in range(5)]
    await bob.log_in(1)
    await until(lambda: bob.news.get(choir, 0) >= numbers[-1] or numbers[-1] in bob.seen[choir], "bob is told that there is news")
    items = (await bob.history(choir, numbers[-1], seq=1, direction=pb.AFTER, events=True)).items
    same([i.event.text for i in items], [f"while bob is away {i}" for i in range(5)])


main(globals())
