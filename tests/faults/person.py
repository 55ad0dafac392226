"""person.py: one device of the workload. What it invokes, is told and is shown goes into the history, one JSON line each.

    {t_mono, user, device, what: invoke|ok|fail|info, op, conv, client_seq, msg_id, stage, seq, code, hash}
    {t_mono, user, device, what: see, via: live|queue|history|fresh, conv, seq, sender, sdev, client_seq, msg_id, kind, hash}
    {t_mono, user, device, what: known|news|rest|over|session, …}
"""
import asyncio
import hashlib
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "model"))
from device import AGAIN, Device, Lost, pb  # noqa: E402

PATIENCE_S = 6.0


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


class History:
    def __init__(self, path):
        self.file, self.lock, self.lines = open(path, "w", encoding="utf-8"), threading.Lock(), []

    def add(self, **fields):
        fields = {"t_mono": round(time.monotonic(), 4), **fields}
        with self.lock:
            self.lines.append(fields)
            self.file.write(json.dumps(fields) + "\n")

    def close(self):
        self.file.close()


class Person(Device):
    patience, confirm_later = PATIENCE_S, 0.5

    def __init__(self, login, device_id, edges, history):
        super().__init__(login, device_id, edges)
        self.history, self.password = history, f"canary-password-{login}"
        self.invoked = {}        # client_seq -> when it was first said
        self.resolved = {}       # client_seq -> when its outcome was there
        self.noted, self.tokens, self.refusals, self.kicks = set(), set(), {}, []
        self.accepted, self.trusting = set(), False  # trusting: what was accepted is not sent again, whatever happens
        self.rest = False        # it was told that more is in history
        self.sessions, self.heartbeat_s, self.one_at_a_time = 0, 10, asyncio.Lock()

    def twin(self):
        """The same device once more, as a process that was started twice."""
        t = Person(self.login, self.device_id, self.edges, self.history)
        t.user, t.number, t.token, t.last, t.fresh = self.user, self.number, self.token, self.last, False
        return t

    def log(self, what, **fields):
        self.history.add(user=self.user.hex(), device=self.number, what=what, **fields)

    # ---- sends ----

    def send(self, kind, m):
        conv = getattr(m, "conversation", b"").hex() or getattr(m, "to", "")
        op = pb.ConvKind.Name(m.kind) if kind == pb.CONV_OP else "CONV_MESSAGE"
        self.invoked[self.last + 1] = time.monotonic()
        self.log("invoke", op=op, conv=conv, client_seq=self.last + 1, hash=digest(m.text))
        return super().send(kind, m)

    def take(self, kind, seq_id, payload):
        if kind == pb.MSG_ACK:
            m = pb.MsgAck.FromString(payload)
            if m.stage == pb.ACCEPTED:
                self.accepted.add(m.client_seq)
                self.log("ok", stage="accepted", client_seq=m.client_seq, msg_id=m.msg_id.hex(), conv=m.conversation.hex())
        elif kind == pb.KICKED:
            m = pb.Kicked.FromString(payload)
            self.kicks.append(m.code)
            self.log("over", code=pb.Code.Name(m.code))
        elif kind == pb.LOGIN_RSP:
            m = pb.LoginRsp.FromString(payload)
            self.heartbeat_s = m.heartbeat_ms / 2000
            if m.code == pb.OK:  # pushes may come with it, in the same packet
                self.user, self.number = m.user, m.device
        elif kind == pb.TOKEN_RSP:
            self.tokens.add(pb.TokenRsp.FromString(payload).token)
        super().take(kind, seq_id, payload)

    def outcome(self, client_seq, m):
        if client_seq not in self.done:
            self.resolved[client_seq] = time.monotonic()
        code = pb.Code.Name(m.code)
        if isinstance(m, pb.Error) or m.stage == pb.STAGE_REFUSED:
            self.log("fail", client_seq=client_seq, code=code, final=isinstance(m, pb.MsgAck))
        else:
            self.log("ok", stage=pb.Stage.Name(m.stage).lower(), client_seq=client_seq, conv=m.conversation.hex(), seq=m.seq,
                     msg_id=m.msg_id.hex())
        super().outcome(client_seq, m)

    def refused(self, client_seq, error):
        if error.code in AGAIN:
            name = pb.Code.Name(error.code)
            self.refusals[name] = self.refusals.get(name, 0) + 1
        super().refused(client_seq, error)

    # ---- what is shown ----

    def keep(self, m, via="live"):
        if m.seq not in self.seen.get(m.conversation, {}):
            self.see(via, m)
        else:
            self.again_same(via, m)
        super().keep(m)

    def again_same(self, via, m):
        old = self.seen[m.conversation][m.seq]
        if (old.msg_id, old.sender, old.client_seq) != (m.msg_id, m.sender, m.client_seq):
            self.see(via, m)  # the checker sees both

    def see(self, via, m, now=False):
        """now: as history has it now, so an edited text is not the one that was sent."""
        self.log("see", via=via, conv=m.conversation.hex(), seq=m.seq, sender=m.sender.hex(), sdev=m.sender_device, group=m.group,
                 client_seq=m.client_seq, msg_id=m.msg_id.hex(), kind=m.kind, hash="" if now else digest(m.text))

    def page(self, m, seq_id):
        if m.rest_in_history:
            self.log("rest")
            self.rest = True
        for item in m.items:
            self.keep(item, "queue")
        del m.items[:]
        super().page(m, seq_id)

    def hear(self, news):
        for n in news:
            self.log("news", conv=n.conversation.hex(), upto=n.upto)
        super().hear(news)

    # ---- sessions ----

    async def open(self, edge):
        """Only once the connection before has ended: its reader would take the new one's bytes."""
        old = getattr(self, "task", None)
        if old and not old.done():
            self.writer.transport.abort()
            await asyncio.wait([old])
        await super().open(edge)

    async def log_in(self, edge):
        before = self.sessions
        async with self.one_at_a_time:
            if self.sessions > before and not self.over:
                return  # somebody else did
            for n in [n for n in self.sends if self.trusting and n in self.accepted]:
                del self.sends[n]
                self.log("trust", client_seq=n)
            await super().log_in(edge)
            self.sessions += 1
        self.tokens.add(self.token)
        self.log("session", edge=self.edges[edge % len(self.edges)])
        self.beat()

    def beat(self):
        self.frame(pb.HEARTBEAT, pb.Heartbeat())
        self.later(self.heartbeat_s or 10, self.beat)

    async def close(self):
        if hasattr(self, "writer"):
            await super().close()

    async def sign_up(self, edge, limit_s=60):
        """An answer that was lost is an account that exists."""
        limit, again = time.monotonic() + limit_s, False
        while True:
            try:
                await self.open(edge)
                m = await self.ask(pb.REGISTER_REQ, pb.RegisterReq(login=self.login, password=self.password))
                await self.close()
                if m.code == pb.OK or again and m.code == pb.ACCOUNT_EXISTS:
                    return
            except (Lost, OSError) as e:
                m = repr(e)
            assert time.monotonic() < limit, f"registering {self.login}: {m}"
            edge, again = edge + 1, True
            await asyncio.sleep(0.2)

    async def patient(self, kind, question, limit_s=30):
        """The answer; what only says "later" is asked again, on another connection when this one is over."""
        limit = time.monotonic() + limit_s
        while True:
            try:
                r = await self.ask(kind, question)
                if r.code not in (*AGAIN, pb.BEHIND) or time.monotonic() > limit:
                    return r
            except Lost:
                assert time.monotonic() < limit, f"{self.login}: {pb.FrameType.Name(kind)}: no answer in {limit_s} s"
                if self.over:
                    await self.log_in(self.sessions)
            await asyncio.sleep(0.1)

    async def read_history(self, conversation, wait=0, after=0, via="history"):
        """All events a member may see, from `after` on; the place after the last, or a code."""
        while True:
            q = pb.HistoryReq(conversation=conversation, seq=after, direction=pb.AFTER, limit=200, events=True)
            if wait:
                q.wait.conversation, q.wait.seq = conversation, wait
            r = await self.patient(pb.HISTORY_REQ, q)
            if r.code != pb.OK:
                return r.code
            for item in r.items:
                if via == "fresh" or item.event.seq not in self.seen.get(conversation, {}):
                    self.see(via, item.event)
                if via == "history":
                    self.seen.setdefault(conversation, {}).setdefault(item.event.seq, item.event)
                after = item.event.seq
            if not r.more_after or not r.items:
                return pb.OK
