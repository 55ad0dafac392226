"""receipts.py: delivered, read, unread, typing, over two edges. Run by tests/integration/test_receipts.c."""
import asyncio

from world import eventually, main, pb, same, until


def read(conversation, n=0, delivered=0):
    return pb.MsgRead(conversation=conversation, read=n, delivered=delivered)


async def raised(p, conversation, user, field, n):
    def there():
        return [r for r in p.receipts if (r.conversation, r.user) == (conversation, user) and getattr(r, field) >= n]
    return (await until(there, f"{p.login} is told {field} {n}"))[-1]


async def delivered_and_read(w):
    ann, bob = await w.group_of("ann", "bob")
    phone = await w.device(bob, "phone", 0)
    conversation, n = await ann.say(bob.login, "one tick")
    await bob.event(conversation, n)
    bob.frame(pb.MSG_READ, read(conversation, delivered=n))
    receipt = await raised(ann, conversation, bob.user, "delivered", n)
    same((receipt.read, receipt.group), (0, False), "two ticks")
    bob.frame(pb.MSG_READ, read(conversation, n))
    await raised(ann, conversation, bob.user, "read", n)
    await raised(phone, conversation, bob.user, "read", n)

    await ann.caught_up(conversation, n)

    async def peer():
        i = await ann.info(conversation)
        return i.peer_read, i.peer_delivered
    await eventually(peer, (n, n), "what the other has, asked for")
    before = len(ann.receipts)
    bob.frame(pb.MSG_READ, read(conversation, n))  # nothing new
    bob.frame(pb.MSG_READ, pb.MsgRead(**{"with": ann.login}, read=n + 50))  # cut to what there is
    _, n = await ann.say(bob.login, "more")
    await bob.event(conversation, n)
    bob.frame(pb.MSG_READ, read(conversation, n))
    await raised(ann, conversation, bob.user, "read", n)
    same([r.read for r in ann.receipts[before:]], [n], "told only what rises")


async def unread_everywhere_the_same(w):
    """The live count of two devices, the list, one conversation's info, and SQL."""
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    desk = await w.device(bob, "desk", 0)
    choir = await ann.group("choir", bob, cid)
    numbers = [(await p.say(choir, f"{p.login} {i}"))[1] for i in range(3) for p in (ann, cid, bob)]
    recalled = numbers[-3]
    await ann.numbered(pb.CONV_RECALL, conversation=choir, target=recalled)
    await ann.numbered(pb.CONV_REACT, conversation=choir, target=numbers[0], text="+1")
    last = await ann.numbered(pb.CONV_GROUP_NOTICE, conversation=choir, text="no message")
    for d in (bob, desk):
        await d.event(choir, last)
    for at, left in ((0, 5), (numbers[1], 3), (recalled, 1), (last, 0)):
        if at:
            bob.frame(pb.MSG_READ, read(choir, at))
            await raised(desk, choir, bob.user, "read", at)

        def live(d):
            own = {a.seq for a in bob.done.values() if getattr(a, "stage", 0) == pb.SEQUENCED}
            return len([n for n, e in d.seen[choir].items() if e.kind == pb.CONV_MESSAGE and e.sender != bob.user and n > at and
                        n not in own and n != recalled])
        same([live(bob), live(desk)], [left, left], f"live, read up to {at}")

        async def asked():
            info, listed = await desk.info(choir, last), await bob.listed(groups=True)
            return info.unread, info.read, [c.unread for c in listed if c.conversation == choir]
        await eventually(asked, (left, at, [left]), f"asked for, read up to {at}")
        same([c.conversation for c in await bob.listed(unread=True)], [choir] if left else [], "only what is unread")
        same(await w.sql("SELECT count(*) FROM messages m, memberships s, accounts a WHERE s.user_id = a.user_id AND "
                         f"a.login = '{bob.login}' AND s.conv = m.conv AND m.kind = 1 AND m.sender <> a.user_id AND m.seq > s.read "
                         "AND s.visible @> m.seq AND NOT EXISTS (SELECT 1 FROM messages r WHERE r.conv = m.conv AND r.kind = 3 AND "
                         "r.target = m.seq)"), str(left), "in SQL")


async def read_counts_in_a_group(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    choir = await ann.group("choir", bob, cid)
    _, n = await ann.say(choir, "who reads this?")
    await ann.caught_up(choir, n)
    for i, p in enumerate((bob, cid), 1):
        await p.event(choir, n)
        p.frame(pb.MSG_READ, read(choir, n))
        same((await raised(ann, choir, p.user, "read", n)).group, True)

        async def count():
            return (await ann.message(choir, n)).read_by
        await eventually(count, i, "how many read it")
    same((await ann.members(choir))[bob.login].read, n)


async def read_counts_only_in_small_groups(w):
    """With a limit of two members (test_receipts.c)."""
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    phone = await w.device(bob, "phone", 0)
    choir = await ann.group("choir", bob, cid)
    _, n = await ann.say(choir, "who reads this?")
    await ann.caught_up(choir, n)
    await bob.event(choir, n)
    bob.frame(pb.MSG_READ, read(choir, n))
    await raised(phone, choir, bob.user, "read", n)
    _, m = await bob.say(choir, "I did")
    await ann.event(choir, m)
    same(ann.receipts, [], "nobody but one's own devices is told")

    async def kept():
        return (await phone.info(choir)).read
    await eventually(kept, n, "one's own mark")


async def typing_leaves_no_trace(w):
    ann, bob, cid = await w.group_of("ann", "bob", "cid")
    choir = await ann.group("choir", bob)
    await bob.event(choir, 1)
    await ann.caught_up(choir, 1)
    topics = ("conversation", "offline", "user", "vault")  # it comes in by im.inbound, like everything
    rows = " UNION ALL ".join(f"SELECT count(*) FROM {t} WHERE conv = '\\x{choir.hex()}'"
                              for t in ("messages", "memberships", "conversations", "asks", "prefs"))
    before = await traces(w, topics, ann), await w.sql(rows)
    assert before[0]["conversation"] and before[1] != "0", before
    while not bob.typing:
        ann.frame(pb.TYPING, pb.Typing(conversation=choir))
        await asyncio.sleep(1.1)
    cid.frame(pb.TYPING, pb.Typing(conversation=choir))
    same((bob.typing[0].conversation, bob.typing[0].login, bob.typing[0].group), (choir, ann.login, True))
    after = await traces(w, topics, ann), await w.sql(rows)
    same(after, before, "records of ann's, rows of the group's")
    await ann.say(choir, "said")
    same(sum(t.login == cid.login for t in bob.typing), 0, "a stranger's typing")


async def traces(w, topics, who):
    out = {}
    for t in topics:
        lines = (await w.ctl("tail", t, "--from", "beginning", "--until-end", "--json")).splitlines()
        out[t] = sum(who.user.hex() in line for line in lines)
    return out


main(globals())
