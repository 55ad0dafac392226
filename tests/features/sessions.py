"""sessions.py: the devices of one account, over two edges. Run by tests/integration/test_sessions.c."""
import asyncio

from world import Person, eventually, main, named, pb, same, until


async def devices_are_listed(w):
    ann = await w.person("ann")
    desk = await w.device(ann, "desk", 1)

    async def listed():
        r = await desk.good(pb.DEVICES_REQ, pb.DevicesReq())
        return {d.device_id: (d.device, d.online, d.current) for d in r.devices}
    await eventually(listed, {"first": (ann.number, True, False), "desk": (desk.number, True, True)}, "both")
    await ann.close()
    await eventually(listed, {"first": (ann.number, False, False), "desk": (desk.number, True, True)}, "one is away")
    await desk.good(pb.REVOKE_REQ, pb.RevokeReq(device=ann.number))
    await eventually(listed, {"desk": (desk.number, True, True)}, "one is left")


async def tokens_are_renewed(w):
    ann = await w.person("ann")
    old = ann.token
    r = await ann.good(pb.TOKEN_REQ, pb.TokenReq())
    assert r.token and r.expires_ms > 0
    await ann.close()
    for edge, token in ((0, r.token), (1, old)):
        ann.token = token
        await ann.log_in(edge)
        await ann.close()


async def own_messages_appear_elsewhere(w):
    ann, bob = await w.group_of("ann", "bob")
    desk = await w.device(ann, "desk", 1)
    conversation, n = await ann.say(bob.login, "from the phone")
    push = await desk.event(conversation, n)
    same((push.text, push.sender_login, push.sender_device), ("from the phone", ann.login, ann.number))
    same((await bob.event(conversation, n)).sender_device, ann.number)
    _, n = await desk.say(bob.login, "from the desk")
    await ann.event(conversation, n)
    assert n not in desk.seen[conversation], "pushed to the device that sent it"


async def one_of_each_class(w):
    """Where the deployment says so (test_sessions.c): the later wins, the earlier is told; another class is left alone."""
    ann = await w.person("ann", log_in=False)
    await ann.close()
    devices = []
    for i, (name, kind) in enumerate((("old phone", "phone"), ("desk", "desktop"), ("new phone", "phone"))):
        d = Person(ann.login, name, w.edges)
        d.device_class = kind
        w.people.append(d)
        await d.log_in(i)
        devices.append(d)
    old, desk, new = devices
    await until(lambda: old.over, "the earlier phone is closed")
    same(named(old.kicked), "SESSION_REPLACED")
    await desk.good(pb.TOKEN_REQ, pb.TokenReq())
    await new.close()
    await old.log_in(1)
    await desk.good(pb.DEVICES_REQ, pb.DevicesReq())


async def several_of_a_class(w):
    ann = await w.person("ann")
    other = await w.device(ann, "other", 1)
    await asyncio.gather(*(d.good(pb.DEVICES_REQ, pb.DevicesReq()) for d in (ann, other)))
    same([ann.kicked, other.kicked], [None, None])


main(globals())
