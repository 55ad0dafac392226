#!/usr/bin/env python3
"""A Parley client in Python, written from docs/protocol.md and proto/client.proto alone.

    tests/interop/client.py HOST:PORT[,HOST:PORT...]

Two people register, log in (one on the first edge, one on the last), talk both ways, confirm; one of them repeats a send
fifty times, loses its connection, comes back by token, resends, gets what it missed. Every rule that is checked names its
section. The generated client_pb2 is looked for in $PARLEY_INTEROP_GEN.

Exit status: 0 all as the page says, 1 something is not (said what), 2 wrong usage.
"""
import asyncio
import os
import secrets
import struct
import sys

sys.path.insert(0, os.environ.get("PARLEY_INTEROP_GEN", os.path.join(os.path.dirname(__file__), "gen")))
import client_pb2 as pb  # noqa: E402

HEADER = struct.Struct(">IHI")
WAIT_S = float(os.environ.get("PARLEY_INTEROP_WAIT_S", "30"))
NAMES = {v: k for k, v in pb.FrameType.items()}
ANSWERS = {
    pb.LOGIN_RSP: pb.LoginRsp, pb.LOGOUT_RSP: pb.LogoutRsp, pb.HEARTBEAT: pb.HeartbeatRsp, pb.MSG_ACK: pb.MsgAck,
    pb.PULL_OFFLINE_RSP: pb.PullOfflineRsp, pb.REGISTER_RSP: pb.RegisterRsp, pb.ACCOUNT_EXISTS_RSP: pb.AccountExistsRsp,
    pb.CHAT_PUSH: pb.ChatPush, pb.KICKED: pb.Kicked, pb.GOAWAY: pb.GoAway, pb.ERROR: pb.Error,
}


class Wrong(Exception):
    """The server did not do what the page says."""


def need(condition, text):
    if not condition:
        raise Wrong(text)


class Connection:
    """One session. What outlives it (token, numbers, what was seen) is the Device's."""

    def __init__(self, device):
        self.device = device
        self.seq_id = 0           # of requests; section 1
        self.delivery = 0         # last delivery number seen; section 4
        self.answers = {}         # seqId -> future
        self.changed = asyncio.Condition()
        self.over = None          # why the connection ended

    async def open(self, address):
        host, port = address.rsplit(":", 1)
        self.reader, self.writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), WAIT_S)
        self.task = asyncio.create_task(self.read())

    def frame(self, kind, message, seq_id=None):
        if seq_id is None:
            self.seq_id += 1
            seq_id = self.seq_id
        payload = message.SerializeToString()
        self.writer.write(HEADER.pack(HEADER.size + len(payload), kind, seq_id) + payload)
        return seq_id

    async def ask(self, kind, message, answer=True):
        """The answer, which is an ERROR or a response with the same seqId."""
        seq_id = self.frame(kind, message)
        if not answer:
            return None
        self.answers[seq_id] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(self.answers[seq_id], WAIT_S)
        except asyncio.TimeoutError:
            raise Wrong(f"no answer to {NAMES[kind]} within {WAIT_S} s") from None
        finally:
            self.answers.pop(seq_id, None)

    async def read(self):
        try:
            while True:
                total, kind, seq_id = HEADER.unpack(await self.reader.readexactly(HEADER.size))
                need(HEADER.size <= total <= 1 << 20, f"totalLen {total} (section 1)")
                payload = await self.reader.readexactly(total - HEADER.size)
                if kind in ANSWERS:  # types we do not know are ignored
                    self.take(kind, seq_id, ANSWERS[kind].FromString(payload))
                async with self.changed:
                    self.changed.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError) as e:
            self.over = self.over or f"closed ({type(e).__name__})"
        except Wrong as e:
            self.over = str(e)
        for f in self.answers.values():
            if not f.done():
                f.set_exception(Wrong(f"the connection ended: {self.over}"))
        async with self.changed:
            self.changed.notify_all()

    def take(self, kind, seq_id, m):
        push = kind == pb.CHAT_PUSH or (kind == pb.MSG_ACK and m.stage != pb.ACCEPTED)
        if push:
            need(seq_id == self.delivery + 1, f"delivery number {seq_id} after {self.delivery} (section 4)")
            self.delivery = seq_id
        if kind == pb.CHAT_PUSH:
            self.device.message(m)
        elif kind == pb.MSG_ACK:
            self.device.outcome(m)
        elif kind == pb.PULL_OFFLINE_RSP:
            self.device.page(m)
            if m.more and seq_id == 0:
                self.frame(pb.PULL_OFFLINE_REQ, pb.PullOfflineReq(after=m.next))
        elif kind in (pb.KICKED, pb.GOAWAY):
            self.over = f"{NAMES[kind]} {m.code}"
        if not push and seq_id in self.answers and not self.answers[seq_id].done():
            self.answers[seq_id].set_result((kind, m))

    def confirm(self):
        """Everything that was pushed is handled in take(), so all of it is safe; cursors without holes (section 5)."""
        ack = pb.DeliveryAck(upto=self.delivery)
        for conversation, seqs in list(self.device.seen.items())[:64]:
            upto = max(seqs)
            start = upto
            while start - 1 in seqs:
                start -= 1
            c = ack.cursors.add(conversation=conversation, upto=upto)
            setattr(c, "from", start)
        self.frame(pb.DELIVERY_ACK, ack)

    async def until(self, condition, what):
        async def wait():
            async with self.changed:
                await self.changed.wait_for(lambda: condition() or self.over)
        try:
            await asyncio.wait_for(wait(), WAIT_S)
        except asyncio.TimeoutError:
            raise Wrong(f"{what}: not within {WAIT_S} s") from None
        need(condition(), f"{what}: {self.over}")

    async def close(self):
        self.writer.close()
        await self.task


class Device:
    def __init__(self, login, password):
        self.login, self.password = login, password
        self.device_id = "py-" + secrets.token_hex(6)
        self.token, self.last = "", 0
        self.fresh = True
        self.seen = {}        # conversation -> set of seq
        self.messages = []    # ChatPush, each once, as it came
        self.sends = {}       # client_seq -> SingleChat without an outcome
        self.acks = []        # every MsgAck
        self.c = None

    def message(self, m):
        have = self.seen.setdefault(m.conversation, set())
        if m.seq not in have:
            have.add(m.seq)
            self.messages.append(m)

    def page(self, m):
        for c in m.cursors:
            self.seen.setdefault(c.conversation, set()).update(range(getattr(c, "from"), c.upto + 1))
        for item in m.items:
            self.message(item)

    def outcome(self, m):
        self.acks.append(m)
        if m.stage in (pb.SEQUENCED, pb.STAGE_REFUSED):
            self.sends.pop(m.client_seq, None)
        if m.stage == pb.SEQUENCED:
            self.seen.setdefault(m.conversation, set()).add(m.seq)

    async def connect(self, address):
        self.c = Connection(self)
        await self.c.open(address)

    async def log_in(self):
        m = pb.LoginReq(device_id=self.device_id, device_class="test", client="interop 1", fresh=self.fresh)
        if self.token:
            m.token = self.token
        else:
            m.login, m.password = self.login, self.password
        kind, r = await self.c.ask(pb.LOGIN_REQ, m)
        need(kind == pb.LOGIN_RSP and r.code == pb.OK, f"log-in of {self.login}: {r}")
        need(len(r.user) == 16 and r.login == self.login.lower(), f"who am I: {r}")
        need(r.token and r.heartbeat_ms and r.max_frame >= 4096 and 1 <= r.send_window <= 64, f"LOGIN_RSP: {r}")
        self.token, self.last = r.token, max(self.last, r.client_seq_base)
        self.fresh = False
        for seq in sorted(self.sends):  # section 3, rule 3
            self.c.frame(pb.SINGLE_CHAT, self.sends[seq])
        return r

    def send(self, to, text):
        self.last += 1
        self.sends[self.last] = pb.SingleChat(client_seq=self.last, to=to, text=text)
        self.c.frame(pb.SINGLE_CHAT, self.sends[self.last])
        return self.last

    def ack(self, seq, stage):
        return next((a for a in self.acks if a.client_seq == seq and a.stage == stage), None)

    async def sequenced(self, seq):
        await self.c.until(lambda: self.ack(seq, pb.SEQUENCED), f"SEQUENCED of {seq}")
        return self.ack(seq, pb.SEQUENCED)

    async def got(self, text):
        await self.c.until(lambda: any(m.text == text for m in self.messages), f"{self.login} waits for {text!r}")
        self.c.confirm()
        return next(m for m in self.messages if m.text == text)


async def accounts(alice, bob, edges):
    """Section 2."""
    await alice.connect(edges[0])
    kind, r = await alice.c.ask(pb.SINGLE_CHAT, pb.SingleChat(client_seq=1, to=bob.login, text="too early"))
    need(kind == pb.ERROR and r.code == pb.NOT_LOGGED_IN, f"a send before the log-in: {r}")
    for d in (alice, bob):
        kind, r = await alice.c.ask(pb.REGISTER_REQ, pb.RegisterReq(login=d.login, password=d.password, display_name="Interop"))
        need(kind == pb.REGISTER_RSP and r.code == pb.OK and len(r.user) == 16, f"registering {d.login}: {r}")
    kind, r = await alice.c.ask(pb.REGISTER_REQ, pb.RegisterReq(login=alice.login.upper(), password=alice.password))
    need(r.code == getattr(pb, "ACCOUNT_EXISTS"), f"registering twice: {r}")
    kind, r = await alice.c.ask(pb.ACCOUNT_EXISTS_REQ, pb.AccountExistsReq(login=bob.login))
    need(r.exists and r.login == bob.login, f"exists: {r}")
    kind, r = await alice.c.ask(pb.ACCOUNT_EXISTS_REQ, pb.AccountExistsReq(login="nobody-" + secrets.token_hex(4)))
    need(not r.exists, f"exists, of nobody: {r}")
    kind, r = await alice.c.ask(pb.LOGIN_REQ, pb.LoginReq(login=alice.login, password="not the password", device_id="x"))
    need(r.code == pb.BAD_CREDENTIALS, f"a wrong password: {r}")
    r = await alice.log_in()
    need(r.new_device, "the first log-in is a new device")
    await bob.connect(edges[-1])
    await bob.log_in()


async def talk(alice, bob):
    """Sections 3 and 4."""
    n = alice.send(bob.login, "hello from Python")
    await alice.c.until(lambda: alice.ack(n, pb.ACCEPTED), "ACCEPTED")
    a = await alice.sequenced(n)
    m = await bob.got("hello from Python")
    need(m.seq == a.seq == 1 and m.conversation == a.conversation and m.msg_id == a.msg_id, f"one place: {m} {a}")
    need(m.sender_login == alice.login and m.peer_login == bob.login and m.client_seq == n, f"who: {m}")
    k = bob.send(alice.login, "and back, \u00e4\u00f6\u00fc")
    need((await bob.sequenced(k)).seq == 2, "the answer is number 2")
    need((await alice.got("and back, \u00e4\u00f6\u00fc")).seq == 2, "for both")
    kind, r = await alice.c.ask(pb.HEARTBEAT, pb.Heartbeat())
    need(kind == pb.HEARTBEAT and r.delivery == alice.c.delivery, f"heartbeat: {r}")


async def repeat(alice, bob):
    """Section 3: the same number again is the same message."""
    n = alice.send(bob.login, "fifty times")
    again = alice.sends[n]
    for _ in range(50):
        alice.c.frame(pb.SINGLE_CHAT, again)
    first = await alice.sequenced(n)
    last = alice.send(bob.login, "after the fifty")
    need((await alice.sequenced(last)).seq == first.seq + 1, "fifty repeats took one number")
    await bob.got("after the fifty")
    need([m.text for m in bob.messages].count("fifty times") == 1, "bob saw it once")


async def refusals(alice):
    """Section 8."""
    for chat, code, field in ((pb.SingleChat(client_seq=alice.last + 1, to="nobody-" + secrets.token_hex(4), text="x"),
                               pb.UNKNOWN_USER, "to"),
                              (pb.SingleChat(client_seq=alice.last + 1, to="", text="x"), pb.BAD_FIELD, "to"),
                              (pb.SingleChat(client_seq=0, to="someone", text="x"), pb.BAD_FIELD, "client_seq")):
        kind, r = await alice.c.ask(pb.SINGLE_CHAT, chat)
        need(kind == pb.ERROR and r.code == code and r.field == field, f"wanted {code} for {field}: {r}")
    kind, r = await alice.c.ask(pb.LOGIN_REQ, pb.LoginReq(token=alice.token, device_id="x"))
    need(r.code == pb.WRONG_STATE, f"a second log-in: {r}")


async def missed(alice, bob, edges):
    """Sections 5 and 7: away, written to, back by token on another edge."""
    await bob.c.close()
    texts = [f"while you were away {i}" for i in range(5)]
    for t in texts:
        await alice.sequenced(alice.send(bob.login, t))
    await bob.connect(edges[0])
    need(bob.token, "log in by token")
    await bob.log_in()
    for t in texts:
        await bob.got(t)
    mine = [m for m in bob.messages if m.text in texts]
    need(len(mine) == 5, f"each once: {[m.text for m in mine]}")
    need(sorted(m.seq for m in mine) == list(range(mine[0].seq, mine[0].seq + 5)) or
         len({m.seq for m in mine}) == 5, "five places")
    n = alice.send(bob.login, "unresolved")  # section 3, rule 3: cut off before the outcome
    alice.c.writer.transport.abort()
    await alice.c.task
    await alice.connect(edges[-1])
    await alice.log_in()
    if n in alice.sends:
        await alice.sequenced(n)
    await bob.got("unresolved")
    need([m.text for m in bob.messages].count("unresolved") == 1, "resent, seen once")


async def kicked(bob, edges):
    """Section 7: the same device a second time ends the first."""
    old = bob.c
    await bob.connect(edges[-1])
    await bob.log_in()
    await old.until(lambda: old.over, "the replaced session is told")
    need("KICKED" in old.over or "closed" in old.over, old.over)
    kind, _ = await bob.c.ask(pb.LOGOUT_REQ, pb.LogoutReq())
    need(kind == pb.LOGOUT_RSP, "LOGOUT_RSP")
    await bob.c.until(lambda: bob.c.over, "the edge closes after a logout")


async def run(edges):
    tail = secrets.token_hex(4)
    alice, bob = Device("py-alice-" + tail, "correct horse"), Device("py-bob-" + tail, "battery staple")
    for step, what in ((accounts(alice, bob, edges), "accounts"), (talk(alice, bob), "talk"), (repeat(alice, bob), "repeats"),
                       (refusals(alice), "refusals"), (missed(alice, bob, edges), "missed messages"), (kicked(bob, edges), "kicked")):
        await step
        print("ok", what, flush=True)
    seqs = sorted(s for s in next(iter(bob.seen.values())))
    need(seqs == list(range(1, len(seqs) + 1)), f"bob's conversation has no holes: {seqs}")
    await alice.c.close()


def main():
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        asyncio.run(run(sys.argv[1].split(",")))
    except (Wrong, OSError, asyncio.TimeoutError) as e:
        print(f"interop: {e or type(e).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
