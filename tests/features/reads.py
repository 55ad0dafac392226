"""reads.py: lists, history and search, over two edges. Run by tests/integration/test_reads.c."""
import asyncio
import json

from world import Person, eventually, main, named, pb, same


async def pages(p, conversation, direction, seq, limit):
    """Numbers of all pages, in the order in which they were asked for."""
    out = []
    while True:
        r = await p.history(conversation, seq=seq, direction=direction, limit=limit)
        numbers = [i.event.seq for i in r.items]
        same(numbers, sorted(numbers), "ascending within a page")
        assert len(numbers) <= limit
        out.append(numbers)
        if not (r.more_before if direction == pb.BEFORE else r.more_after):
            return out
        seq = numbers[0] if direction == pb.BEFORE else numbers[-1]


async def history_in_both_directions(w):
    ann, bob = await w.group_of("ann", "bob")
    choir = await ann.group("choir", bob)
    sent = [(await p.say(choir, f"line {i}"))[1] for i in range(12) for p in (ann, bob)]
    await ann.caught_up(choir, sent[-1])
    back = await pages(bob, choir, pb.BEFORE, 0, 7)
    same([n for page in reversed(back) for n in page], sent, "from the end")
    same([len(p) for p in back], [7, 7, 7, 3])
    ahead = await pages(bob, choir, pb.AFTER, 0, 10)
    same([n for page in ahead for n in page], sent, "from the beginning")
    middle = sent[11]
    r = await bob.history(choir, seq=middle, direction=pb.AROUND, limit=6)
    numbers = [i.event.seq for i in r.items]
    assert middle in numbers and len(numbers) == 6, numbers
    same((r.more_before, r.more_after, r.head, r.first_visible), (True, True, sent[-1], 1))
    same((await bob.history(choir, seq=sent[0], direction=pb.BEFORE)).items, [], "before the first message")
    same(named((await bob.question(pb.HISTORY_REQ, pb.HistoryReq(conversation=choir, limit=201))).code), "BAD_FIELD")


async def history_of_a_date(w):
    ann, bob = await w.group_of("ann", "bob")
    times = []
    for i in range(6):
        conversation, n = await ann.say(bob.login, f"day {i}")
        times.append((n, (await bob.event(conversation, n)).time_ms))
        await asyncio.sleep(0.02)
    await ann.caught_up(conversation, n)
    for n, ms in times[1:]:
        r = await bob.history(conversation, time_ms=ms, direction=pb.AROUND, limit=2)
        assert n in [i.event.seq for i in r.items], (n, r)
        assert r.items[-1].event.time_ms >= ms, (ms, r)
    r = await bob.history(conversation, time_ms=1, direction=pb.AROUND, limit=3)
    assert times[0][0] in [i.event.seq for i in r.items], "before everything"
    r = await bob.history(conversation, time_ms=times[-1][1] + 10 ** 9, limit=4)
    same([i.event.seq for i in r.items], [n for n, _ in times[-2:]], "after everything")


async def the_list_by_page(w):
    ann, *others = await w.group_of("ann", *(f"p{i}" for i in range(6)))
    at = {}
    for p in others:
        conversation, n = await p.say(ann.login, f"from {p.login}")
        at[p.login] = conversation, n
        await ann.event(conversation, n)
    choir = await ann.group("choir")
    for conversation, n in at.values():
        await ann.caught_up(conversation, n)
    await ann.caught_up(choir, 1)
    first = others[0].login
    await ann.good(pb.PREFS_REQ, pb.PrefsReq(**{"with": first}, pinned=True))

    async def top():
        return (await ann.listed())[0].peer_login
    await eventually(top, first, "pinned first")
    seen, after = [], b""
    while True:
        r = await ann.good(pb.CONV_LIST_REQ, pb.ConvListReq(limit=3, after=after))
        assert len(r.conversations) <= 3
        seen += [c.name or c.peer_login for c in r.conversations]
        after = r.next
        if not after:
            break
    same((seen[0], sorted(seen)), (first, sorted(["choir", *at])), "each once")
    latest = [s for s in seen[1:] if s != "choir"]
    same(latest, [p.login for p in reversed(others[1:])], "then the latest message first")
    last = {c.peer_login: c.last.event.text for c in await ann.listed()}
    same(last[first], f"from {first}")
    assert all(p.part < 64 and p.offset >= 0 for p in r.positions) and r.positions


WORDS = {  # what is said: what finds it
    "Grüße aus dem Café in Zürich": ["grüße", "cafe", "CAFÉ", "zurich café"],
    "我们明天在北京图书馆见面": ["北京", "图书馆", "明天 北京", "见面"],
    "明日東京タワーへ行きましょう": ["東京", "タワー", "行きましょう"],
    "내일 서울역에서 만나요": ["서울역", "내일", "만나"],
    "Встретимся завтра на вокзале": ["завтра", "ВОКЗАЛЕ"],
    "the meter reads 42.5 kWh": ["meter", "meter reads", "kwh"],
}
NOTHING = ["京北", "馆书图", "tokyo", "метро", "meter 43", "%", "' OR 1=1 --"]


async def search_in_many_languages(w):
    ann, bob, eve = await w.group_of("ann", "bob", "eve")
    choir = await ann.group("choir", bob)
    at = {}
    for text in WORDS:
        at[text] = (await ann.say(choir, text))[1]
    direct, n = await bob.say(ann.login, "北京 is in a direct message, too")
    await ann.caught_up(direct, n)
    await ann.caught_up(choir, max(at.values()))

    async def hits(who, text, **where):
        r = await who.good(pb.SEARCH_REQ, pb.SearchReq(text=text, **where))
        return [i.event.seq for i in r.items]
    for text, queries in WORDS.items():
        for q in queries:
            same(await hits(bob, q, conversation=choir), [at[text]], f"looking for {q!r}")
    for q in NOTHING:
        same(await hits(bob, q), [], f"looking for {q!r}")
    everywhere = (await bob.good(pb.SEARCH_REQ, pb.SearchReq(text="北京"))).items
    same([(i.event.conversation, i.event.seq) for i in everywhere], [(direct, n), (choir, at["我们明天在北京图书馆见面"])], "newest first")
    same(await hits(bob, "北京", **{"with": ann.login}), [n])
    same(await hits(eve, "北京"), [], "somebody else's history")
    first = await bob.good(pb.SEARCH_REQ, pb.SearchReq(text="北京", limit=1))
    same(len(first.items), 1)
    second = await bob.good(pb.SEARCH_REQ, pb.SearchReq(text="北京", limit=1, after=first.next))
    same([i.event.seq for i in second.items], [at["我们明天在北京图书馆见面"]], "by page")


async def search_follows_edits(w):
    ann, bob, eve = await w.group_of("ann", "bob", "eve")
    choir = await ann.group("choir", bob, eve)
    _, n = await ann.say(choir, "the wrong wording")
    await ann.numbered(pb.CONV_GROUP_REMOVE, conversation=choir, logins=[eve.login])
    last = await ann.numbered(pb.CONV_EDIT, conversation=choir, target=n, text="the right phrase")
    await ann.caught_up(choir, last)
    for who, text, wanted in ((bob, "wording", []), (bob, "phrase", [n]), (eve, "wording", [n]), (eve, "phrase", [])):
        r = await who.good(pb.SEARCH_REQ, pb.SearchReq(text=text))
        same([i.event.seq for i in r.items], wanted, f"{who.login} looks for {text!r}")


# ---- with the persister stopped and started between (test_reads.c) ----

async def behind(w):
    """Stopped: who waits for their own message is told BEHIND, and that it is in the log."""
    ann, bob = await asyncio.gather(w.person("ann"), w.person("bob", 1))
    conversation, n = await ann.say(bob.login, "nobody writes this down yet")
    await bob.event(conversation, n)
    q = pb.HistoryReq(conversation=conversation, wait=pb.Wait(conversation=conversation, seq=n))
    same(named((await ann.ask(pb.HISTORY_REQ, q)).code), "BEHIND")
    info = pb.ConvInfoReq(conversation=conversation, wait=pb.Wait(conversation=conversation, seq=n))
    same(named((await ann.ask(pb.CONV_INFO_REQ, info)).code), "BEHIND")
    return json.dumps([ann.login, ann.password, conversation.hex(), n])


async def no_longer_behind(w, state):
    """Started: it is there, once it is waited for."""
    login, password, conversation, n = json.loads(state)
    ann = Person(login, "first", w.edges)
    w.people.append(ann)
    ann.password, ann.fresh = password, True
    await ann.log_in(1)
    conversation = bytes.fromhex(conversation)
    r = await ann.history(conversation, n)
    same([i.event.text for i in r.items], ["nobody writes this down yet"])


main(globals())
