"""world.py: the people of a feature test, on a deployment that is already up.

A script of tests is a module of `async def case(w)` and ends with `main(globals())`:
    groups.py --edges HOST:PORT,… --psql CONNINFO --ctl 'COMMAND…' CASE [STATE]
What a case returns is printed as one line (for the next one, as STATE). Everything waits for conditions.
"""
import argparse
import asyncio
import os
import shlex
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "model"))
from device import WAIT_S, Device, pb  # noqa: E402

LATER = (pb.TOO_MANY_REQUESTS, pb.BUSY, pb.BEHIND)


async def until(condition, what):
    """Its value, once it has one; what it has in mind is said when it never comes."""
    limit = time.monotonic() + WAIT_S
    while not (value := condition()):
        if time.monotonic() > limit:
            raise AssertionError(f"never within {WAIT_S:.0f} s: {what}")
        await asyncio.sleep(0.01)
    return value


async def eventually(ask, wanted, what):
    """What a read model says, once it says it."""
    got = await ask()
    limit = time.monotonic() + WAIT_S
    while got != wanted:
        assert time.monotonic() < limit, f"{what}: is {got!r}, should be {wanted!r}"
        await asyncio.sleep(0.05)
        got = await ask()


def same(got, wanted, what=""):
    assert got == wanted, f"{what}: is {got!r}, should be {wanted!r}"


def named(code):
    return pb.Code.Name(code)


class Person(Device):
    """One device, with all it was sent; questions and sends return what became of them."""

    def __init__(self, login, device_id, edges):
        super().__init__(login, device_id, edges)
        self.frames, self.notes, self.receipts, self.typing, self.presence = [], [], [], [], []
        self.kicked = None

    def take(self, kind, seq_id, payload):
        self.frames.append((kind, seq_id, payload))
        if kind == pb.TYPING_PUSH:
            self.typing.append(pb.TypingPush.FromString(payload))
        elif kind == pb.KICKED:
            self.kicked = pb.Kicked.FromString(payload).code
        super().take(kind, seq_id, payload)

    def pushed(self, seq_id):
        """Confirmed within a second, so that nobody is cut for what waits unconfirmed."""
        if not self.unconfirmed:
            asyncio.get_running_loop().call_later(1, lambda: self.over or not self.unconfirmed or self.confirm())
        super().pushed(seq_id)

    def push(self, kind, m):
        kept = {pb.NOTE_PUSH: self.notes, pb.RECEIPT_PUSH: self.receipts, pb.PRESENCE_PUSH: self.presence}
        if kind in kept:
            kept[kind].append(m)
        super().push(kind, m)

    # ---- sends: the MsgAck, or the Error that kept it out ----

    async def outcome_of(self, client_seq):
        return await until(lambda: self.done.get(client_seq), f"the outcome of {self.login}'s {client_seq}")

    async def tell(self, kind, m):
        return await self.outcome_of(self.send(kind, m))

    async def op(self, kind, **fields):
        return await self.tell(pb.CONV_OP, pb.ConvOp(kind=kind, **fields))

    async def numbered(self, kind, **fields):
        ack = await self.op(kind, **fields)
        assert getattr(ack, "stage", 0) == pb.SEQUENCED, f"{self.login}: {pb.ConvKind.Name(kind)}: {ack}"
        return ack.seq

    async def noted(self, kind, **fields):
        ack = await self.op(kind, **fields)
        assert getattr(ack, "stage", 0) == pb.NOTED, f"{self.login}: {pb.ConvKind.Name(kind)}: {ack}"

    async def denied(self, code, kind, **fields):
        ack = await self.op(kind, **fields)
        same(named(ack.code), named(code), f"{self.login}: {pb.ConvKind.Name(kind)}")

    async def write(self, where, text="", **fields):
        """To a login or a conversation's id; the MsgAck or Error."""
        if isinstance(where, str):
            return await self.tell(pb.SINGLE_CHAT, pb.SingleChat(to=where, text=text, **fields))
        return await self.tell(pb.GROUP_CHAT, pb.GroupChat(conversation=where, text=text, **fields))

    async def say(self, where, text="", **fields):
        """(conversation, number)"""
        ack = await self.write(where, text, **fields)
        assert getattr(ack, "stage", 0) == pb.SEQUENCED, f"{self.login}: {text!r}: {ack}"
        return ack.conversation, ack.seq

    async def group(self, name, *members, flags=0):
        ack = await self.op(pb.CONV_GROUP_CREATE, text=name, logins=[m.login for m in members], flags=flags)
        assert getattr(ack, "stage", 0) == pb.SEQUENCED, f"{self.login}: making {name}: {ack}"
        return ack.conversation

    # ---- what comes ----

    async def event(self, conversation, seq):
        return await until(lambda: self.seen.get(conversation, {}).get(seq), f"{self.login} sees {conversation.hex()}/{seq}")

    async def hears(self, writer, where, text):
        """The number of the first such message that this device is shown: a new one starts where fanout first knows it."""
        limit = time.monotonic() + WAIT_S
        while time.monotonic() < limit:
            conversation, seq = await writer.say(where, text)
            patience = time.monotonic() + 1
            while seq not in self.seen.get(conversation, {}) and time.monotonic() < patience:
                await asyncio.sleep(0.02)
            if seq in self.seen.get(conversation, {}):
                return seq
        raise AssertionError(f"never within {WAIT_S:.0f} s: {self.login} is shown {text!r}")

    async def note(self, kind, conversation):
        def there():
            return next((n for n in self.notes if (n.kind, n.conversation) == (kind, conversation)), None)
        return await until(there, f"{self.login} is told {pb.ConvKind.Name(kind)}")

    # ---- questions ----

    async def question(self, kind, m, later=LATER):
        """The answer, whatever its code; what only says "later" is asked again."""
        limit = time.monotonic() + WAIT_S
        while True:
            r = await self.ask(kind, m)
            if getattr(r, "code", 0) not in later:
                return r
            assert time.monotonic() < limit, f"{self.login}: {pb.FrameType.Name(kind)} in {WAIT_S:.0f} s only {named(r.code)}"
            await asyncio.sleep(0.05 + getattr(r, "retry_after_ms", 0) / 1000)

    async def good(self, kind, m):
        r = await self.question(kind, m)
        same(named(r.code), "OK", f"{self.login}: {pb.FrameType.Name(kind)}")
        return r

    async def caught_up(self, conversation, seq):
        """Until the read model holds it."""
        await self.good(pb.CONV_INFO_REQ, pb.ConvInfoReq(conversation=conversation, wait=pb.Wait(conversation=conversation, seq=seq)))

    async def info(self, conversation, seq=0):
        q = pb.ConvInfoReq(conversation=conversation)
        if seq:
            q.wait.conversation, q.wait.seq = conversation, seq
        return (await self.good(pb.CONV_INFO_REQ, q)).conversation

    async def listed(self, **fields):
        return list((await self.good(pb.CONV_LIST_REQ, pb.ConvListReq(limit=100, **fields))).conversations)

    async def history(self, conversation, wait=0, **fields):
        q = pb.HistoryReq(conversation=conversation, **fields)
        if wait:
            q.wait.conversation, q.wait.seq = conversation, wait
        return await self.good(pb.HISTORY_REQ, q)

    async def message(self, conversation, seq, wait=0):
        """HistoryItem of one message, as it is now."""
        items = (await self.history(conversation, wait, seq=seq, direction=pb.AROUND, limit=1)).items
        return next((i for i in items if i.event.seq == seq), None)

    async def members(self, conversation):
        r = await self.good(pb.MEMBERS_REQ, pb.MembersReq(conversation=conversation))
        return {m.login: m for m in r.members}

    async def found(self, **fields):
        return list((await self.good(pb.USERS_REQ, pb.UsersReq(**fields))).users)

    async def contacts(self, **fields):
        return {c.user.login: c for c in (await self.good(pb.CONTACTS_REQ, pb.ContactsReq(**fields))).contacts}


class World:
    def __init__(self, args):
        self.edges, self.psql, self.ctl_words = args.edges.split(","), args.psql, shlex.split(args.ctl)
        self.tag = f"{os.getpid():x}{int(time.time() * 1000) % 0xfffff:x}"
        self.people = []

    async def person(self, name, edge=0, log_in=True):
        p = Person(f"{name}-{self.tag}", "first", self.edges)
        self.people.append(p)
        await p.open(edge)
        while (r := await p.ask(pb.REGISTER_REQ, pb.RegisterReq(login=p.login, password=p.password, display_name=name.title()))).code:
            assert r.code in LATER, f"registering {name}: {r}"
            await asyncio.sleep(0.2)
        p.user = r.user
        if log_in:
            await p.close()
            await p.log_in(edge)
        return p

    async def group_of(self, *names):
        """People, each at the next edge, whom the read models know."""
        people = await asyncio.gather(*(self.person(n, i) for i, n in enumerate(names)))

        async def known():
            return len(await people[0].found(users=[p.user for p in people]))
        await eventually(known, len(people), "people in the read models")
        return people

    async def device(self, of, device_id, edge=0):
        p = Person(of.login, device_id, self.edges)
        self.people.append(p)
        await p.log_in(edge)
        return p

    async def admin(self, person, on=True):
        """The admin right of the deployment."""
        await self.ctl("user", "admin", person.login, "on" if on else "off")

    async def ctl(self, *words):
        p = await asyncio.create_subprocess_exec(*self.ctl_words, *words, stdout=subprocess.PIPE)
        out, _ = await p.communicate()
        same(p.returncode, 0, f"parleyctl {' '.join(words)}")
        return out.decode()

    async def sql(self, query):
        p = await asyncio.create_subprocess_exec("psql", "-XAtq", "-d", self.psql, "-c", query, stdout=subprocess.PIPE)
        out, _ = await p.communicate()
        same(p.returncode, 0, query)
        return out.decode().strip()


async def run(args, case):
    w = World(args)
    state = await (case(w, args.state) if args.state else case(w))
    for p in w.people:
        assert not p.wrong, f"{p.login}: {p.wrong}"
        if hasattr(p, "writer") and not p.over:
            await p.close()
    if state is not None:
        print(state, flush=True)


def main(cases):
    p = argparse.ArgumentParser()
    p.add_argument("--edges", required=True)
    p.add_argument("--psql", required=True)
    p.add_argument("--ctl", required=True)
    p.add_argument("case")
    p.add_argument("state", nargs="?")
    args = p.parse_args()
    asyncio.run(run(args, cases[args.case]))
