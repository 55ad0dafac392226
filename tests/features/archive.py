"""archive.py: conversations with a bit of everything, for folding, exporting and importing them."""
import asyncio

from world import main, named, pb, same


async def everything(w):
    """A direct conversation and a group; `logins direct group seq-before-the-edit`."""
    ann, bob, eve = await w.group_of("ann", "bob", "eve")
    direct, first = await ann.say(bob.login, "hello bob")
    await bob.say(ann.login, "hello \"ann\" \u20ac")
    await ann.numbered(pb.CONV_EDIT, conversation=direct, target=first, text="hello, bob")
    _, gone = await bob.say(ann.login, "not this")
    await bob.numbered(pb.CONV_RECALL, conversation=direct, target=gone)
    await ann.numbered(pb.CONV_PIN, conversation=direct, target=first)
    await ann.numbered(pb.CONV_FRIEND_REQUEST, to=bob.login, text="friends?")
    await bob.numbered(pb.CONV_FRIEND_CONFIRM, to=ann.login)
    choir = await ann.group("choir", bob, flags=pb.GROUP_HISTORY)
    where = {"conversation": choir}
    await ann.say(choir, "la")
    await bob.denied(pb.NOT_ALLOWED, pb.CONV_GROUP_RENAME, text="mine", **where)
    await ann.numbered(pb.CONV_GROUP_RENAME, text="the choir", **where)
    await ann.numbered(pb.CONV_GROUP_INVITE, logins=[eve.login], **where)
    await ann.numbered(pb.CONV_GROUP_ROLE, logins=[bob.login], role=pb.ADMIN, **where)
    await bob.numbered(pb.CONV_GROUP_MUTE, logins=[eve.login], duration_s=1, **where)
    while getattr(ack := await eve.write(choir, "may I?"), "stage", 0) != pb.SEQUENCED:
        same(named(ack.code), "MUTED")
        await asyncio.sleep(0.1)
    await eve.numbered(pb.CONV_GROUP_LEAVE, **where)
    _, last = await ann.say(choir, "without eve")
    await ann.numbered(pb.CONV_PIN, target=last, **where)
    await ann.numbered(pb.CONV_GROUP_NOTICE, text="at eight", **where)
    await ann.caught_up(choir, last)
    return " ".join((ann.login, bob.login, eve.login, direct.hex(), choir.hex()))


async def goes_on(w, state):
    """The same people elsewhere: what was said is there, and they go on."""
    logins, direct, choir = state.split()[:3], bytes.fromhex(state.split()[3]), bytes.fromhex(state.split()[4])
    ann, bob = [await w.device(type("Of", (), {"login": n}), "other") for n in logins[:2]]
    n = await bob.hears(ann, choir, "here we are")
    texts = [i.event.text for i in (await ann.history(choir, n, limit=50)).items]
    assert "la" in texts and "without eve" in texts and "here we are" in texts, texts
    same((await bob.event(choir, n)).text, "here we are")
    _, n = await bob.say(logins[0], "and here")
    texts = [i.event.text for i in (await bob.history(direct, n, limit=50)).items]
    assert "hello, bob" in texts and "and here" in texts and "not this" not in texts, texts


main(globals())
