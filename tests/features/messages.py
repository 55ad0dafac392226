"""messages.py: what is said, and what is done to it, over two edges. Run by tests/integration/test_messages.c."""
import asyncio

from world import main, named, pb, same, until

EDIT, RECALL, REACT, PIN, UNPIN = pb.CONV_EDIT, pb.CONV_RECALL, pb.CONV_REACT, pb.CONV_PIN, pb.CONV_UNPIN


async def pair(w):
    return await w.group_of("ann", "bob")


async def opaque_bytes(w):
    ann, bob = await pair(w)
    data = bytes(range(256)) * 16
    conversation, n = await ann.say(bob.login, content_type="application/x-meter", data=data)
    push = await bob.event(conversation, n)
    same((push.content_type, push.data, push.text), ("application/x-meter", data, ""))
    item = await bob.message(conversation, n, wait=n)
    same((item.event.content_type, item.event.data), ("application/x-meter", data))
    same(named((await ann.write(bob.login, "text", content_type="x", data=b"both")).code), "BAD_FIELD")
    choir = await ann.group("meters", bob)
    _, n = await bob.say(choir, content_type="application/x-meter", data=data)
    same((await ann.event(choir, n)).data, data)


async def replies(w):
    ann, bob = await pair(w)
    conversation, first = await ann.say(bob.login, "shall we?")
    _, n = await bob.say(ann.login, "yes", reply_to=first)
    same((await ann.event(conversation, n)).reply_to, first)
    same((await ann.message(conversation, n, wait=n)).event.reply_to, first)
    same(named((await bob.write(ann.login, "to what?", reply_to=n + 7)).code), "NO_SUCH_MESSAGE")


async def edits(w):
    ann, bob = await pair(w)
    conversation, n = await ann.say(bob.login, "helo")
    where = {"conversation": conversation, "target": n}
    await bob.denied(pb.NOT_ALLOWED, EDIT, text="mine", **where)
    for text in ("hello", "hello!"):
        seq = await ann.numbered(EDIT, text=text, **where)
        push = await bob.event(conversation, seq)
        same((push.kind, push.target, push.text), (EDIT, n, text))
    item = await bob.message(conversation, n, wait=seq)
    same((item.event.text, item.edited), ("hello!", True))
    chain = (await bob.good(pb.CHANGES_REQ, pb.ChangesReq(conversation=conversation, target=n))).events
    same([(e.kind, e.text) for e in chain], [(pb.CONV_MESSAGE, "helo"), (EDIT, "hello"), (EDIT, "hello!")])
    await ann.denied(pb.NO_SUCH_MESSAGE, EDIT, conversation=conversation, target=seq, text="an edit of an edit")
    await ann.denied(pb.NO_SUCH_MESSAGE, EDIT, conversation=conversation, target=seq + 9, text="nothing there")


async def recalls(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    choir = await ann.group("choir", bob, cid)
    _, n = await bob.say(choir, "never mind")
    where = {"conversation": choir, "target": n}
    await cid.denied(pb.NOT_ALLOWED, RECALL, **where)
    seq = await bob.numbered(RECALL, **where)
    same((await cid.event(choir, seq)).kind, RECALL)
    item = await cid.message(choir, n, wait=seq)
    same((item.event.text, item.recalled), ("", True))
    for kind in (EDIT, REACT, RECALL, PIN):
        await (ann if kind == PIN else bob).denied(pb.GONE, kind, text="x" if kind in (EDIT, REACT) else "", **where)
    chain = (await cid.good(pb.CHANGES_REQ, pb.ChangesReq(conversation=choir, target=n))).events
    same([(e.kind, e.text) for e in chain], [(pb.CONV_MESSAGE, ""), (RECALL, "")], "nothing is left of what it said")
    assert not (await cid.good(pb.SEARCH_REQ, pb.SearchReq(text="never", conversation=choir))).items
    _, n = await cid.say(choir, "an admin may, at any time")
    await ann.numbered(RECALL, conversation=choir, target=n)


async def too_late_to_recall(w):
    """With a limit of one second (test_messages.c): its author may not, an admin may."""
    ann, bob = await pair(w)
    choir = await ann.group("choir", bob)
    _, early = await bob.say(choir, "at once")
    await bob.numbered(RECALL, conversation=choir, target=early)
    _, late = await bob.say(choir, "later")
    begin = (await ann.event(choir, late)).time_ms

    async def passed():
        _, n = await ann.say(choir, "tick")
        return (await bob.event(choir, n)).time_ms - begin > 1500
    while not await passed():
        await asyncio.sleep(0.2)
    await bob.denied(pb.TOO_OLD, RECALL, conversation=choir, target=late)
    await ann.numbered(RECALL, conversation=choir, target=late)


async def pins(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    conversation, n = await ann.say(bob.login, "the address")
    await bob.numbered(PIN, conversation=conversation, target=n)
    await ann.denied(pb.NO_CHANGE, PIN, conversation=conversation, target=n)
    choir = await ann.group("choir", bob, cid)
    numbers = [(await bob.say(choir, f"song {i}"))[1] for i in range(3)]
    await bob.denied(pb.NOT_ALLOWED, PIN, conversation=choir, target=numbers[0])
    for n in numbers:
        seq = await ann.numbered(PIN, conversation=choir, target=n)
    same((await cid.event(choir, seq)).target, numbers[-1])
    seq = await ann.numbered(UNPIN, conversation=choir, target=numbers[1])
    await ann.denied(pb.NO_CHANGE, UNPIN, conversation=choir, target=numbers[1])
    same(list((await cid.info(choir, seq)).pins), [numbers[0], numbers[2]])
    same((await cid.message(choir, numbers[2])).pinned, True)
    same((await cid.message(choir, numbers[1])).pinned, False)


async def reactions(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    choir = await ann.group("choir", bob, cid)
    _, n = await ann.say(choir, "new song")
    where = {"conversation": choir, "target": n}
    await bob.numbered(REACT, text="+1", **where)
    await cid.numbered(REACT, text="\U0001f44d", **where)
    seq = await bob.numbered(REACT, text="\u2764", **where)
    same((await ann.event(choir, seq)).text, "\u2764")
    got = {r.login: r.text for r in (await ann.message(choir, n, wait=seq)).reactions}
    same(got, {bob.login: "\u2764", cid.login: "\U0001f44d"}, "the last of each")
    seq = await cid.numbered(REACT, text="", **where)
    same({r.login for r in (await ann.message(choir, n, wait=seq)).reactions}, {bob.login}, "one is taken back")
    await bob.denied(pb.BAD_FIELD, REACT, text="x" * 33, **where)


async def mentions(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    choir = await ann.group("choir", bob, cid)
    _, n = await ann.say(choir, "@bob, @bob and @cid", mentions=[bob.user, bob.user, cid.user])
    for who in (bob, cid):
        same(sorted((await who.event(choir, n)).users), sorted((bob.user, cid.user)), "each once")
    same(sorted((await bob.message(choir, n, wait=n)).event.users), sorted((bob.user, cid.user)))
    same(named((await ann.write(choir, "x", mentions=[bob.user] * 101)).code), "BAD_FIELD")


async def announcements(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    await cid.close()
    say = pb.Announce(text="down at ten")
    same(named((await ann.tell(pb.ANNOUNCE, say)).code), "NOT_ALLOWED")
    await w.admin(ann)

    async def allowed():
        ack = await ann.tell(pb.ANNOUNCE, pb.Announce(text="down at ten"))
        return ack if ack.stage == pb.SEQUENCED else None
    while not (ack := await allowed()):
        await asyncio.sleep(0.1)
    push = await bob.event(ack.conversation, ack.seq)
    same((push.kind, push.text), (pb.CONV_ANNOUNCEMENT, "down at ten"))
    await cid.log_in(1)
    await bob.caught_up(ack.conversation, ack.seq)
    listed = [c for c in await cid.listed() if c.system]
    same([c.conversation for c in listed], [ack.conversation], "who was away finds it in the list")
    same((await cid.message(ack.conversation, ack.seq)).event.text, "down at ten")
    await w.admin(ann, False)
    same(await w.sql(f"SELECT count(*) FROM memberships WHERE conv = '\\x{ack.conversation.hex()}'"), "0", "rows per user")


async def one_number_is_one_message(w):
    """The same send five times, at both edges, from a device that comes and goes."""
    ann, bob = await pair(w)
    ack = await ann.write(bob.login, "once")
    number = ann.last
    for edge in (1, 0, 1):
        ann.repeat(number)
        await ann.cut()
        await ann.log_in(edge)
    ann.repeat(number)
    _, last = await ann.say(bob.login, "the next")
    same(last, ack.seq + 1)
    await until(lambda: last in bob.seen[ack.conversation], "bob sees the next")
    same([e.text for _, e in sorted(bob.seen[ack.conversation].items())], ["once", "the next"])


main(globals())
