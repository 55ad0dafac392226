"""people.py: people and what they are to each other, over two edges. Run by tests/integration/test_people.c."""
import asyncio

from world import eventually, main, named, pb, same, until

REQUEST, CONFIRM, REFUSE, REMOVE = pb.CONV_FRIEND_REQUEST, pb.CONV_FRIEND_CONFIRM, pb.CONV_FRIEND_REFUSE, pb.CONV_FRIEND_REMOVE
BLOCK, UNBLOCK = pb.CONV_BLOCK, pb.CONV_UNBLOCK


async def searching_users(w):
    prefix = f"s{w.tag}"
    w.tag = "x"
    names = [f"{prefix}{i}" for i in range(5)]
    people = await w.group_of(*names, f"other{prefix}")
    asker = people[-1]

    async def all_found():
        return [u.login for u in await asker.found(prefix=prefix.upper())]
    await eventually(all_found, sorted(p.login for p in people[:-1]), "found, whatever the case of the letters")
    seen, after = [], b""
    while True:
        r = await asker.good(pb.USERS_REQ, pb.UsersReq(prefix=prefix, limit=2, after=after))
        assert len(r.users) <= 2
        seen += [u.login for u in r.users]
        after = r.next
        if not after:
            break
    same(seen, sorted(p.login for p in people[:-1]), "by page")
    both = await asker.found(logins=[people[0].login, "nobody-" + prefix])
    same([(u.user, u.name) for u in both], [(people[0].user, names[0].title())], "those who are there")
    same([u.login for u in await asker.found(users=[people[1].user])], [people[1].login])
    same(await asker.found(prefix="%"), [], "no pattern")
    same(await asker.found(prefix=prefix + "_"), [], "no pattern")


async def friends(w):
    ann, bob = await w.group_of("ann", "bob")
    ack = await ann.op(REQUEST, to=bob.login, text="it is ann")
    push = await bob.event(ack.conversation, ack.seq)
    same((push.kind, push.text, push.sender_login), (REQUEST, "it is ann", ann.login))
    await ann.denied(pb.NO_CHANGE, REQUEST, to=bob.login)
    await ann.denied(pb.NO_CHANGE, CONFIRM, to=bob.login)
    await bob.caught_up(ack.conversation, ack.seq)
    contact = (await bob.contacts(state=pb.ASKED_ME))[ann.login]
    same((contact.text, contact.conversation), ("it is ann", ack.conversation))
    same(set(await ann.contacts(state=pb.ASKED)), {bob.login})
    seq = await bob.numbered(CONFIRM, to=ann.login)
    same((await ann.event(ack.conversation, seq)).kind, CONFIRM)
    await ann.caught_up(ack.conversation, seq)
    for a, b in ((ann, bob), (bob, ann)):
        same(set(await a.contacts(state=pb.FRIEND)), {b.login})
        same((await a.info(ack.conversation)).friend, pb.FRIEND)
    seq = await bob.numbered(REMOVE, to=ann.login)
    await ann.caught_up(ack.conversation, seq)
    same(await ann.contacts(), {})
    await bob.denied(pb.NO_CHANGE, REMOVE, to=ann.login)
    await bob.denied(pb.UNKNOWN_USER, REQUEST, to="nobody-" + w.tag)


async def refusing_and_taking_back(w):
    ann, bob = await w.group_of("ann", "bob")
    await ann.numbered(REQUEST, to=bob.login)
    seq = await bob.numbered(REFUSE, to=ann.login)
    await bob.denied(pb.NO_CHANGE, CONFIRM, to=ann.login)
    again = await ann.op(REQUEST, to=bob.login)
    same(again.seq, seq + 1)
    await ann.numbered(REMOVE, to=bob.login)
    await bob.denied(pb.NO_CHANGE, CONFIRM, to=ann.login)
    await ann.numbered(REQUEST, to=bob.login)
    seq = await bob.numbered(REQUEST, to=ann.login)
    await ann.caught_up(again.conversation, seq)
    same(set(await ann.contacts(state=pb.FRIEND)), {bob.login}, "both asked: that settles it")


async def remarks_and_marks(w):
    ann, bob = await w.group_of("ann", "bob")
    desk = await w.device(ann, "desk", 1)
    await ann.numbered(REQUEST, to=bob.login)
    await bob.numbered(CONFIRM, to=ann.login)
    conversation, n = await bob.say(ann.login, "hello")
    await ann.caught_up(conversation, n)
    await ann.good(pb.PREFS_REQ, pb.PrefsReq(**{"with": bob.login}, pinned=True, muted=True, remark="from work"))

    async def marks():
        i = await desk.info(conversation)
        return i.pinned, i.muted, i.remark
    await eventually(marks, (True, True, "from work"), "marks, on another device")
    same((await desk.contacts())[bob.login].user.remark, "from work")
    # Each of two devices changes one mark, and neither has seen the other's change.
    await asyncio.gather(ann.good(pb.PREFS_REQ, pb.PrefsReq(conversation=conversation, mask=pb.PREFS_PINNED)),
                         desk.good(pb.PREFS_REQ, pb.PrefsReq(conversation=conversation, mask=pb.PREFS_MUTED)))
    await eventually(marks, (False, False, "from work"), "one mark each")
    await ann.good(pb.PREFS_REQ, pb.PrefsReq(conversation=conversation, mask=pb.PREFS_REMARK, remark="from school"))
    await eventually(marks, (False, False, "from school"), "only the remark")
    same(named((await ann.question(pb.PREFS_REQ, pb.PrefsReq(conversation=conversation, mask=8))).code), "BAD_FIELD")
    same((await bob.info(conversation)).remark, "", "the other one's")
    same(named((await ann.question(pb.PREFS_REQ, pb.PrefsReq(conversation=conversation, remark="x" * 129))).code), "BAD_FIELD")


async def blocking(w):
    ann, bob = await w.group_of("ann", "bob")
    desk = await w.device(ann, "desk", 1)
    await ann.numbered(REQUEST, to=bob.login)
    seq = await bob.numbered(CONFIRM, to=ann.login)
    conversation = next(iter(bob.seen))
    await ann.caught_up(conversation, seq)
    await ann.noted(BLOCK, to=bob.login)
    same((await desk.note(BLOCK, conversation)).sender_login, ann.login, "one's own devices are told")
    await ann.denied(pb.NO_CHANGE, BLOCK, to=bob.login)
    refused = await bob.write(ann.login, "why?")
    same((refused.stage, named(refused.code)), (pb.STAGE_REFUSED, "BLOCKED"))
    same(named((await ann.write(bob.login, "because")).code), "BLOCKED")
    await bob.denied(pb.BLOCKED, REQUEST, to=ann.login)

    async def states():
        mine, theirs = await ann.info(conversation), await bob.info(conversation)
        return mine.blocked, mine.friend, theirs.blocked, theirs.friend
    await eventually(states, (True, pb.NO_FRIEND, False, pb.NO_FRIEND), "both sides")
    same(set(await ann.contacts(blocked=True)), {bob.login})
    same(await bob.contacts(blocked=True), {})
    number = bob.last
    await ann.noted(UNBLOCK, to=bob.login)
    bob.repeat(number - 1)
    _, n = await bob.say(ann.login, "at last")
    same(n, seq + 1)
    await ann.event(conversation, n)
    same([e.text for e in ann.seen[conversation].values() if e.kind == pb.CONV_MESSAGE], ["at last"], "what was refused stays refused")
    same(bob.notes, [], "who is blocked is not told")


async def strangers_may_not_write(w):
    """Where the deployment says so (test_people.c)."""
    ann, bob = await w.group_of("ann", "bob")
    same(named((await ann.write(bob.login, "hello?")).code), "NOT_FRIENDS")
    await ann.numbered(REQUEST, to=bob.login, text="may I?")
    same(named((await ann.write(bob.login, "hello?")).code), "NOT_FRIENDS")
    await bob.numbered(CONFIRM, to=ann.login)
    conversation, n = await ann.say(bob.login, "hello")
    await bob.event(conversation, n)
    await bob.numbered(REMOVE, to=ann.login)
    same(named((await ann.write(bob.login, "hello?")).code), "NOT_FRIENDS")
    ann.frame(pb.TYPING, pb.Typing(**{"with": bob.login}))
    choir = await ann.group("choir", bob)
    await bob.say(choir, "in a group they may")
    while not bob.typing:  # what is too early, or too soon after another, is not passed on
        ann.frame(pb.TYPING, pb.Typing(conversation=choir))
        await asyncio.sleep(1.1)
    same({t.conversation for t in bob.typing}, {choir}, "where ann is seen to type")


async def presence_of(asker, *users):
    r = await asker.good(pb.PRESENCE_REQ, pb.PresenceReq(users=[u.user for u in users]))
    return [p.online for u in users for p in r.users if p.user == u.user]


async def presence_and_privacy(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    await ann.numbered(REQUEST, to=bob.login)
    await bob.numbered(CONFIRM, to=ann.login)
    for privacy, shown in ((pb.EVERYONE, [True, True]), (pb.FRIENDS, [True, False]), (pb.NOBODY, [False, False]),
                           (pb.EVERYONE, [True, True])):
        await ann.good(pb.PROFILE_REQ, pb.ProfileReq(presence=privacy))

        async def seen():
            return await presence_of(bob, ann) + await presence_of(cid, ann)
        await eventually(seen, shown, f"to a friend, to a stranger, under {pb.Privacy.Name(privacy)}")
        same([u.online for u in await cid.found(logins=[ann.login])], shown[1:], "in what a search finds")
    await ann.noted(BLOCK, to=bob.login)

    async def blocked():
        return await presence_of(bob, ann) + await presence_of(cid, ann)
    await eventually(blocked, [False, True], "to somebody blocked, to others")
    await ann.close()

    async def last_seen():
        return [u.online or not u.last_seen_ms for u in await cid.found(logins=[ann.login])]
    await eventually(last_seen, [False], "away, and since when")


async def presence_is_told(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    choir = await ann.group("choir", bob, cid)
    await ann.caught_up(choir, 1)
    same({p.user for p in (await ann.good(pb.PRESENCE_REQ, pb.PresenceReq(group=choir, subscribe=True))).users},
         {ann.user, bob.user, cid.user})

    def told(who):
        return [p.online for m in ann.presence for p in m.users if p.user == who.user]
    await bob.close()
    await until(lambda: told(bob)[-1:] == [False], "ann is told that bob went")
    await bob.log_in(0)
    await until(lambda: told(bob)[-1:] == [True], "ann is told that bob came")
    await ann.good(pb.PRESENCE_REQ, pb.PresenceReq())
    before = len(told(cid))
    await cid.close()

    async def gone():
        return await presence_of(ann, cid)
    await eventually(gone, [False], "cid's presence, asked for")
    same(len(told(cid)), before, "told after the end of the subscription")


async def a_flapping_client_costs_little(w):
    ann, bob = await w.group_of("ann", "bob")

    async def seen():
        answer = await ann.good(pb.PRESENCE_REQ, pb.PresenceReq(users=[bob.user], subscribe=True))
        return [p.online for p in answer.users]
    await eventually(seen, [True], "bob online: from here on there is something to be told")
    begin = asyncio.get_running_loop().time()
    for i in range(20):
        await bob.cut()
        await bob.log_in(i)
    await bob.close()

    def told():
        return [p.online for m in ann.presence for p in m.users]
    await until(lambda: told()[-1:] == [False], "ann is told that bob is away")
    seconds = asyncio.get_running_loop().time() - begin
    assert len(told()) <= seconds + 2, f"{len(told())} changes told in {seconds:.1f} s: at most one a second"
    records = [line for line in (await w.ctl("tail", "user", "--from", "beginning", "--until-end", "--json")).splitlines()
               if "USER_SEEN" in line and bob.user.hex() in line]
    assert len(records) <= 1 + seconds / 60, f"{len(records)} records of when bob was seen"


async def profiles(w):
    ann, bob = await w.group_of("ann", "bob")
    await ann.good(pb.PROFILE_REQ, pb.ProfileReq(name="Ann of the Hill"))

    async def name():
        return [u.name for u in await bob.found(logins=[ann.login])]
    await eventually(name, ["Ann of the Hill"], "the new name")
    same(named((await ann.question(pb.PROFILE_REQ, pb.ProfileReq())).code), "BAD_FIELD")
    same(named((await ann.question(pb.PROFILE_REQ, pb.ProfileReq(name="x" * 129))).code), "BAD_FIELD")


main(globals())
