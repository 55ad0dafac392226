"""The people of the demonstration: those of the fault harness (tests/faults/workload.py), who also go home and come back."""
import asyncio
import hashlib
import time

import device
import person
import workload
from device import pb

# On a machine that has no time the deadline of a log-in passes, too; a person tries again.
device.AGAIN = person.AGAIN = (*device.AGAIN, pb.LOGIN_TIMEOUT)


class Guest(person.Person):
    """Counts what was pushed once more and recognised by its number; claims its own messages too, as a client that remembers
    does: a claim with a hole would leave in the log less than what the device has."""

    patience, repeats = 20.0, 0

    def has(self, conversation):
        return set(self.seen[conversation]) | self.placed.get(conversation, set())

    def again_same(self, via, m):
        Guest.repeats += 1
        super().again_same(via, m)


class People(workload.Workload):
    def __init__(self, *args, **kw):
        workload.Person = Guest
        super().__init__(*args, **kw)

    def go_on(self):
        self.open = True
        self.start()

    # ---- going and coming ----

    def leave(self, some):
        async def all_of_them():
            await asyncio.gather(*(d.close() for d in some if not d.over))
        self.call(all_of_them())

    def come(self, some):
        async def all_of_them():
            await asyncio.gather(*(d.log_in(i) for i, d in enumerate(some)))
        self.call(all_of_them())

    def write_to(self, absent, times):
        """Direct messages to each of them and as many to the group of all; returns when all have their number."""
        async def write():
            writer = next(d for d in self.people if not d.over and d.login not in {a.login for a in absent})
            for n in range(times):
                for a in absent:
                    writer.send(pb.SINGLE_CHAT, pb.SingleChat(to=a.login, text=f"while you were away {n}"))
                writer.send(pb.GROUP_CHAT, pb.GroupChat(conversation=self.groups[0], text=f"while somebody was away {n}"))
                await writer.settled(20)
            await writer.settled()
            self._learn(writer)
            return {(m.conversation, m.seq) for k, m in writer.done.items() if isinstance(m, pb.MsgAck) and
                    getattr(writer.sent[k][1], "to", "") in {a.login for a in absent} and "while you" in writer.sent[k][1].text}
        return self.call(write())

    def served(self, device, places, limit_s):
        """Whether the device has been shown all these of its conversations; those that are missing."""
        end = time.monotonic() + limit_s
        while True:
            mine = {(c, n) for c, n in places if device.user in self.pair(c)}
            missing = {(c, n) for c, n in mine if n not in device.seen.get(c, {})}
            if not missing or time.monotonic() > end:
                return len(mine), missing
            time.sleep(0.05)

    def pair(self, conversation):
        """The users who have seen or written something there."""
        return {d.user for d in self.people if conversation in d.seen or conversation in d.placed}

    # ---- what there is to read ----

    def readers(self, history):
        """A device of each user that remembers nothing; what it reads is kept apart."""
        found = [Guest(login, "reader-" + self.tag, self.edges, history) for login in sorted({p.login for p in self.people})]
        self.come(found)
        return found

    def read(self, readers):
        """{login: (items, hash)}: all that each user may read, as it was and as it is now, byte by byte."""
        async def all_of_them():
            return await asyncio.gather(*(self._read(d) for d in readers))
        return dict(zip((d.login for d in readers), self.call(all_of_them())))

    async def _read(self, d):
        h, n = hashlib.sha256(), 0
        for conversation in await self._list(d):
            for events in (True, False):
                async for item in self._items(d, conversation, events):
                    h.update(item.SerializeToString())
                    n += events
        return n, h.hexdigest()

    def whole(self, readers):
        """{login: {(conversation, number): as views() has it}}"""
        async def one(d):
            return {(c, i.event.seq): shown(i.event) for c in await self._list(d) async for i in self._items(d, c, True)}

        async def all_of_them():
            return await asyncio.gather(*(one(d) for d in readers))
        return dict(zip((d.login for d in readers), self.call(all_of_them())))

    async def _list(self, d):
        convs, after = [], b""
        while True:
            r = await d.patient(pb.CONV_LIST_REQ, pb.ConvListReq(limit=100, after=after))
            assert r.code == pb.OK, f"{d.login}: no list: {pb.Code.Name(r.code)}"
            convs += [c.conversation for c in r.conversations if not c.system]
            after = r.next
            if not after:
                return sorted(convs)

    async def _items(self, d, conversation, events):
        after = 0
        while True:
            q = pb.HistoryReq(conversation=conversation, seq=after, direction=pb.AFTER, limit=200, events=events)
            r = await d.patient(pb.HISTORY_REQ, q)
            assert r.code == pb.OK, f"{d.login}: no history of {conversation.hex()}: {pb.Code.Name(r.code)}"
            for item in r.items:
                yield item
                after = item.event.seq
            if not r.more_after or not r.items:
                return

    def views(self):
        """{device: {(conversation, number): message id, sender, its number, kind, text}}: as they were shown."""
        async def take():
            return {f"{d.login}/{d.number}": {(c, n): shown(m) for c, have in d.seen.items() for n, m in have.items()} for d in self.people}
        return self.call(take())


def shown(m):
    return m.msg_id, m.sender, m.client_seq, m.kind, m.text
