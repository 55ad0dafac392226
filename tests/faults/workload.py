"""workload.py: people who write to each other while something breaks, in a thread of its own.

Open from start() until settle(): direct chats, groups, edits, recalls, reactions, membership changes, repeats, lost
connections, absences. Then quiet: every send gets its outcome, every gap is filled, a device that remembers nothing reads.
"""
import asyncio
import random
import threading
import time

from device import WAIT_S, Late, Lost, pb
from person import PATIENCE_S, Person

OPS = {"chat": 30, "group": 40, "edit": 5, "recall": 2, "react": 5, "repeat": 8, "reconnect": 3, "away": 2, "blink": 2, "read": 6, "ask": 4,
       "invite": 4, "remove": 3, "leave": 2, "join": 2}


class Workload:
    def __init__(self, edges, history, seed, users=5, pause_s=0.06, ops=None):
        self.edges, self.history, self.random = edges, history, random.Random(seed)
        self.tag = f"{seed:x}-{int(time.time() * 1000) % 0xfffffff:x}"
        self.n, self.pause, self.weights = users, pause_s, {**OPS, **(ops or {})}
        self.people, self.fresh, self.groups, self.heads = [], [], [], {}
        self.guests = []  # of a fault: quiet while it is open, judged like everybody afterwards
        self.count, self.open, self.failed = {}, True, None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, coroutine, limit_s=120):
        f = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return f.result(limit_s)
        except TimeoutError:
            f.cancel()
            raise AssertionError(f"{getattr(coroutine, '__name__', 'workload')}: no end within {limit_s} s") from None

    # ---- before ----

    def prepare(self):
        self.call(self._prepare())

    async def _prepare(self):
        r = self.random
        for i in range(self.n):
            login = f"w{i}-{self.tag}"
            for k in range(1 + i % 2):
                self.people.append(Person(login, f"dev-{k}", self.edges, self.history))
                self.people[-1].trusting = i % 2 == 0
        for d in self.people:
            d.patience = WAIT_S  # nothing is broken yet; a busy machine may be slow
        firsts = {d.login: d for d in reversed(self.people)}
        await asyncio.gather(*(d.sign_up(r.randrange(len(self.edges))) for d in firsts.values()))
        await asyncio.gather(*(d.log_in(i) for i, d in enumerate(self.people)))
        owner = self.people[0]
        for name in ("all", "some"):
            members = sorted(firsts) if name == "all" else sorted(firsts)[:3]
            n = owner.send(pb.CONV_OP, pb.ConvOp(kind=pb.CONV_GROUP_CREATE, text=name, logins=members))
            await owner.settled()
            self.groups.append(owner.done[n].conversation)
        await self._known(firsts)
        for d in self.people:
            d.patience = PATIENCE_S

    async def _known(self, firsts):
        """A device starts where fanout first knows it: until each was shown something live."""
        logins, limit = sorted(firsts), time.monotonic() + WAIT_S
        waiting = set(self.people)
        while waiting:
            for a, b in zip(logins, logins[1:] + logins[:1]):
                firsts[a].send(pb.SINGLE_CHAT, pb.SingleChat(to=b, text="hello"))
            self.people[0].send(pb.GROUP_CHAT, pb.GroupChat(conversation=self.groups[0], text="hello all"))
            await asyncio.gather(*(d.settled() for d in self.people))
            end = time.monotonic() + 1
            while waiting and time.monotonic() < end:
                waiting = {d for d in waiting if not d.seen}
                await asyncio.sleep(0.02)
            assert time.monotonic() < limit, f"shown nothing: {[d.login for d in waiting]}"
        for d in self.people:
            d.log("known")
        for a in self.people:  # every pair has its conversation
            self._learn(a)

    # ---- open ----

    def start(self):
        async def begin():
            self.tasks = [asyncio.create_task(self._live(d, self.random.random())) for d in self.people]
        self.call(begin())

    async def _live(self, d, seed):
        r = random.Random(seed)
        names, weights = list(self.weights), list(self.weights.values())
        while self.open:
            name = r.choices(names, weights)[0]
            try:
                await self._one(d, r, name)
                self.count[name] = self.count.get(name, 0) + 1
                await d.settled(r.choice([0, 2, 8]))
                self._learn(d)
            except (Lost, Late, OSError):
                d.log("info", client_seqs=sorted(d.sends))
                await self._back(d, r)
            await asyncio.sleep(r.random() * 2 * self.pause)

    async def _back(self, d, r):
        while self.open:
            try:
                return await d.log_in(r.randrange(len(self.edges)))
            except (AssertionError, OSError):
                await asyncio.sleep(0.2)

    def _learn(self, d):
        for m in d.done.values():
            if isinstance(m, pb.MsgAck) and m.stage == pb.SEQUENCED:
                self.heads[m.conversation] = max(m.seq, self.heads.get(m.conversation, 0))

    def _target(self, d, r):
        """Of one's own messages, a late one."""
        mine = [m for m in list(d.done.values())[-30:] if isinstance(m, pb.MsgAck) and m.stage == pb.SEQUENCED]
        return r.choice(mine) if mine else None

    async def _one(self, d, r, name):
        logins = sorted({p.login for p in self.people})
        text = f"{name} {r.getrandbits(64):x}"
        if name == "chat":
            d.send(pb.SINGLE_CHAT, pb.SingleChat(to=r.choice(logins), text=text))
        elif name == "group":
            d.send(pb.GROUP_CHAT, pb.GroupChat(conversation=r.choice(self.groups), text=text))
        elif name in ("edit", "recall", "react"):
            m = self._target(d, r)
            if m:
                kind = {"edit": pb.CONV_EDIT, "recall": pb.CONV_RECALL, "react": pb.CONV_REACT}[name]
                d.send(pb.CONV_OP, pb.ConvOp(kind=kind, conversation=m.conversation, target=m.seq, text="" if name == "recall" else text[:30]))
        elif name == "repeat":
            recent = [k for k in d.sent if k > d.last - 20]
            if recent:
                d.repeat(r.choice(recent))
        elif name == "blink":  # away for a moment; back, and gone before anything could be taken
            await d.cut()
            await asyncio.sleep(r.random())
            await d.log_in(r.randrange(len(self.edges)))
            await d.cut()
            await d.log_in(r.randrange(len(self.edges)))
        elif name in ("reconnect", "away"):
            await d.cut()
            await asyncio.sleep(r.random() * 2 if name == "away" else 0)
            await d.log_in(r.randrange(len(self.edges)))
        elif name == "ask":
            d.frame(pb.CONV_LIST_REQ, pb.ConvListReq(limit=10))
        elif name == "read":
            conversation = r.choice(list(self.heads) or self.groups)
            d.frame(pb.MSG_READ, pb.MsgRead(conversation=conversation, read=self.heads.get(conversation, 1)))
        else:
            kind = {"invite": pb.CONV_GROUP_INVITE, "remove": pb.CONV_GROUP_REMOVE, "leave": pb.CONV_GROUP_LEAVE, "join": pb.CONV_GROUP_JOIN}[name]
            op = pb.ConvOp(kind=kind, conversation=self.groups[1])
            if name in ("invite", "remove"):
                op.logins.append(r.choice([x for x in logins if x != d.login]))
            d.send(pb.CONV_OP, op)

    # ---- as the harness sees it ----

    def everybody(self):
        return [*self.people, *self.guests]

    def operations(self):
        return sum(self.count.values())

    def outcomes(self):
        return sum(len(d.done) for d in self.people)

    def more(self, n, limit_s=60):
        """Until n more sends have their outcome; False: they do not."""
        want, end = self.outcomes() + n, time.monotonic() + limit_s
        while self.outcomes() < want and time.monotonic() < end:
            time.sleep(0.02)
        return self.outcomes() >= want

    def resumed(self, since, limit_s):
        """Seconds after `since` at which every device had an outcome of something it said after it; None: not in time."""
        def first(d):
            return min((t for k, t in list(d.resolved.items()) if d.invoked.get(k, 0) > since), default=None)
        while time.monotonic() < since + limit_s:
            times = [first(d) for d in self.people]
            if all(times):
                return max(times) - since
            time.sleep(0.05)
        return None

    # ---- quiet ----

    def settle(self, limit_s=60):
        """What could not be done, as text; [] when all is done."""
        self.open = False
        return self.call(self._settle(limit_s), limit_s + 60)

    async def _settle(self, limit_s):
        stuck = []
        await asyncio.wait(self.tasks, timeout=limit_s)
        for t in self.tasks:
            if not t.done():
                t.cancel()
            elif t.exception():
                stuck.append(f"a client gave up: {t.exception()!r}")
        await asyncio.gather(*(self._resolve(d, limit_s, stuck) for d in self.everybody()))
        return stuck

    async def _resolve(self, d, limit_s, stuck):
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit:
            try:
                if d.over:
                    await asyncio.wait_for(d.log_in(d.sessions), max(0.1, limit - time.monotonic()))
                await d.settled()
                self._learn(d)
                return
            except (Lost, OSError, AssertionError, asyncio.TimeoutError):
                await asyncio.sleep(0.2)
        stuck.append(f"{d.login}/{d.number}: no outcome of {sorted(d.sends)}, connected: {not d.over}")

    def read_all(self, limit_s=90):
        return self.call(self._read_all(limit_s), limit_s + 60)

    async def _read_all(self, limit_s):
        """A device of each user that remembers nothing: live, then history. The others fill their gaps."""
        stuck = []
        self.fresh = [Person(login, f"fresh-{self.tag}", self.edges, self.history) for login in sorted({p.login for p in self.everybody()})]
        await asyncio.gather(*(f.log_in(i) for i, f in enumerate(self.fresh)))
        await self._live_again(stuck, limit_s)
        await asyncio.gather(*(self._fill(d) for d in self.everybody()))
        await asyncio.gather(*(self._whole(f) for f in self.fresh))
        for d in [*self.everybody(), *self.fresh]:
            stuck += [f"contradiction: {d.login}/{d.number}: {w}" for w in d.wrong]
        return stuck

    async def _live_again(self, stuck, limit_s):
        """Until every device, the new ones too, was shown one of the last words live."""
        limit, words = time.monotonic() + limit_s, set()
        logins = {p.login for p in self.people}
        owner, waiting = self.people[0], [d for d in [*self.people, *self.fresh] if d.login in logins]
        while waiting and time.monotonic() < limit:
            text = f"last word {self.random.getrandbits(64):x}"
            words.add(text)
            try:
                if owner.over:
                    await owner.log_in(owner.sessions)
                owner.send(pb.GROUP_CHAT, pb.GroupChat(conversation=self.groups[0], text=text))
                await owner.settled()
            except (Lost, OSError):
                continue
            end = time.monotonic() + 1.5
            while waiting and time.monotonic() < end:
                for d in waiting:
                    if d.over:
                        await d.log_in(d.sessions)
                waiting = [d for d in waiting if d is not owner and
                           not any(m.text in words for m in d.seen.get(self.groups[0], {}).values())]
                await asyncio.sleep(0.02)
        stuck += [f"{d.login}/{d.number}: shown nothing live at the end" for d in waiting]
        self._learn(owner)

    def fill(self, limit_s=60):
        """Once more, when nobody is behind: what an ended session still owed was announced meanwhile."""
        async def all_of_them():
            await asyncio.gather(*(self._fill(d) for d in self.everybody()))
        self.call(all_of_them(), limit_s)

    async def _fill(self, d):
        """What was announced but not pushed is asked of history; one's own are known by their outcome."""
        news = dict(d.news)
        if d.rest:
            for conversation in list(d.seen):
                news[conversation] = max(self.heads.get(conversation, 0), *d.seen[conversation], news.get(conversation, 0))
        for conversation, upto in sorted(news.items()):
            have = set(d.seen.get(conversation, {})) | d.placed.get(conversation, set())
            missing = [n for n in range(1, upto + 1) if n not in have]
            if missing:
                await d.read_history(conversation, 0, missing[0] - 1)

    async def _whole(self, f):
        convs, after = [], b""
        while True:
            r = await f.patient(pb.CONV_LIST_REQ, pb.ConvListReq(limit=100, after=after))
            if r.code != pb.OK:
                f.log("fail", client_seq=0, code=pb.Code.Name(r.code), final=False, op="list")
                return
            convs += r.conversations
            after = r.next
            if not after:
                break
        for c in convs:
            if c.system:
                continue
            wait = 0 if c.last_visible else self.heads.get(c.conversation, 0)
            code = await f.read_history(c.conversation, wait, 0, "fresh")
            f.log("whole", conv=c.conversation.hex(), code=code, head=c.head, first=c.first_visible, last=c.last_visible)

    def close(self):
        async def end():
            for t in getattr(self, "tasks", ()):
                t.cancel()
            for d in [*self.everybody(), *self.fresh]:
                if not d.over:
                    await d.cut()
        self.open = False
        self.call(end(), 20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
