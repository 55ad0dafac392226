"""device.py: one device of one user in the random-operations test: a small client with everything it saw kept."""
import asyncio
import os
import struct
import sys

sys.path.insert(0, os.environ.get("PARLEY_INTEROP_GEN", os.path.join(os.path.dirname(__file__), "gen")))
import client_pb2 as pb  # noqa: E402

HEADER = struct.Struct(">IHI")
WAIT_S = float(os.environ.get("PARLEY_INTEROP_WAIT_S", "60"))
PUSHES = {pb.CHAT_PUSH: pb.ChatPush, pb.RECEIPT_PUSH: pb.ReceiptPush, pb.NEWS_PUSH: pb.NewsPush, pb.NOTE_PUSH: pb.NotePush,
          pb.PRESENCE_PUSH: pb.PresencePush}
ANSWERS = {pb.LOGIN_RSP: pb.LoginRsp, pb.REGISTER_RSP: pb.RegisterRsp, pb.PULL_OFFLINE_RSP: pb.PullOfflineRsp,
           pb.CONV_LIST_RSP: pb.ConvListRsp, pb.CONV_INFO_RSP: pb.ConvInfoRsp, pb.HISTORY_RSP: pb.HistoryRsp,
           pb.MEMBERS_RSP: pb.MembersRsp, pb.CONTACTS_RSP: pb.ContactsRsp, pb.ASKS_RSP: pb.AsksRsp, pb.ERROR: pb.Error,
           pb.CHANGES_RSP: pb.ChangesRsp, pb.SEARCH_RSP: pb.SearchRsp, pb.USERS_RSP: pb.UsersRsp, pb.DEVICES_RSP: pb.DevicesRsp,
           pb.PRESENCE_RSP: pb.PresenceRsp, pb.PROFILE_RSP: pb.ProfileRsp, pb.PREFS_RSP: pb.PrefsRsp, pb.TOKEN_RSP: pb.TokenRsp,
           pb.REVOKE_RSP: pb.RevokeRsp, pb.LOGOUT_RSP: pb.LogoutRsp, pb.ACCOUNT_EXISTS_RSP: pb.AccountExistsRsp,
           pb.HEARTBEAT: pb.HeartbeatRsp}
FINAL = (pb.SEQUENCED, pb.NOTED, pb.STAGE_REFUSED)
AGAIN = (pb.BUSY, pb.TOO_MANY_REQUESTS, pb.TOO_MANY_UNRESOLVED, pb.INTERNAL, pb.SHUTTING_DOWN)


class Lost(Exception):
    """The connection ended; what had no answer is sent again."""


class Late(AssertionError):
    """Nobody took a log-in in time."""


class Device:
    patience = None         # seconds without an answer or an outcome after which a connection is given up; None: a failure
    confirm_later = None    # seconds after which what was pushed is confirmed, also when it is little

    def __init__(self, login, device_id, edges):
        self.login, self.device_id, self.edges = login, device_id, edges
        self.user, self.number, self.token, self.password = b"", 0, "", "pass word " + login
        self.last, self.fresh, self.over, self.device_class = 0, True, True, "test"
        self.sends = {}     # client_seq -> (frame type, message) without an outcome
        self.done = {}      # client_seq -> MsgAck, or the Error that kept it out of the log
        self.sent = {}      # client_seq -> (frame type, message), all
        self.seen = {}      # conversation -> {seq: ChatPush}
        self.news = {}      # conversation -> upto
        self.placed = {}    # conversation -> places of this device's own sends
        self.wrong = []     # what contradicts itself
        self.changed = asyncio.Event()

    # ---- the connection ----

    async def open(self, edge):
        host, port = self.edges[edge % len(self.edges)].rsplit(":", 1)
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        self.seq_id, self.delivery, self.unconfirmed, self.answers, self.asked, self.pulls = 0, 0, 0, {}, {}, {}
        self.over = False
        self.task = asyncio.create_task(self.read())

    def frame(self, kind, message):
        self.seq_id += 1
        payload = message.SerializeToString()
        if not self.over:
            self.writer.write(HEADER.pack(HEADER.size + len(payload), kind, self.seq_id) + payload)
        return self.seq_id

    async def ask(self, kind, message):
        if self.over:
            raise Lost()
        f = self.answers[self.frame(kind, message)] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(f, self.patience or WAIT_S)
        except asyncio.TimeoutError:
            if self.patience:
                await self.cut()
                raise Lost() from None
            raise AssertionError(f"{self.login}: no answer to {kind} in {WAIT_S} s") from None

    async def read(self):
        try:
            while True:
                total, kind, seq_id = HEADER.unpack(await self.reader.readexactly(HEADER.size))
                payload = await self.reader.readexactly(total - HEADER.size)
                self.take(kind, seq_id, payload)
        except (asyncio.IncompleteReadError, OSError):
            pass
        self.over = True
        self.changed.set()
        for f in self.answers.values():
            if not f.done():
                f.set_exception(Lost())
                f.exception()

    def take(self, kind, seq_id, payload):
        if kind == pb.MSG_ACK:
            m = pb.MsgAck.FromString(payload)
            if m.stage in FINAL:
                self.pushed(seq_id)
                self.outcome(m.client_seq, m)
        elif kind in PUSHES:
            self.pushed(seq_id)
            self.push(kind, PUSHES[kind].FromString(payload))
        elif kind in ANSWERS:
            m = ANSWERS[kind].FromString(payload)
            if kind == pb.PULL_OFFLINE_RSP:
                self.page(m, seq_id)
            if kind == pb.ERROR and seq_id in self.asked:
                self.refused(self.asked[seq_id], m)
            if kind == pb.ERROR and seq_id in self.pulls:
                self.later(0.2 + m.retry_after_ms / 1000, self.pull, self.pulls[seq_id])
            f = self.answers.pop(seq_id, None)
            if f and not f.done():
                f.set_result(m)

    def pushed(self, seq_id):
        if seq_id != self.delivery + 1:
            self.wrong.append(f"delivery number {seq_id} after {self.delivery}")
        self.delivery = seq_id
        self.unconfirmed += 1
        if self.unconfirmed == 1 and self.confirm_later:
            self.later(self.confirm_later, self.confirm)
        if self.unconfirmed >= 20:
            self.confirm()

    def push(self, kind, m):
        if kind == pb.CHAT_PUSH:
            self.keep(m)
        elif kind == pb.NEWS_PUSH:
            self.hear(m.news)

    def keep(self, m):
        """The same place must hold the same event, whichever way it comes; recalled ones come without their text."""
        have = self.seen.setdefault(m.conversation, {})
        old = have.setdefault(m.seq, m)
        if (old.sender, old.kind, old.client_seq, old.msg_id) != (m.sender, m.kind, m.client_seq, m.msg_id):
            self.wrong.append(f"two events at {m.conversation.hex()}/{m.seq}")

    def hear(self, news):
        for n in news:
            self.news[n.conversation] = max(n.upto, self.news.get(n.conversation, 0))

    def page(self, m, seq_id):
        for item in m.items:
            self.keep(item)
        self.hear(m.news)
        if m.more and (seq_id == 0 or seq_id in self.pulls):
            self.pull(m.next)

    def pull(self, after):
        self.pulls[self.frame(pb.PULL_OFFLINE_REQ, pb.PullOfflineReq(after=after))] = after

    def later(self, delay_s, call, *args):
        """On this connection, if it is still there."""
        task = self.task
        asyncio.get_running_loop().call_later(delay_s, lambda: self.task is task and not self.over and call(*args))

    def has(self, conversation):
        """The numbers that may be claimed there."""
        return self.seen[conversation]

    def confirm(self):
        """Cursors are left out now and then: the server must cope with repeats, never with losses."""
        ack = pb.DeliveryAck(upto=self.delivery)
        for conversation in list(self.seen)[:64]:
            have = self.has(conversation)
            upto = start = max(have)
            while start - 1 in have:
                start -= 1
            c = ack.cursors.add(conversation=conversation, upto=upto)
            setattr(c, "from", start)
        self.unconfirmed = 0
        self.frame(pb.DELIVERY_ACK, ack)

    # ---- sends ----

    def outcome(self, client_seq, m):
        old = self.done.setdefault(client_seq, m)
        if isinstance(m, pb.MsgAck) and m.stage == pb.SEQUENCED:
            self.placed.setdefault(m.conversation, set()).add(m.seq)
        if isinstance(old, pb.MsgAck) and isinstance(m, pb.MsgAck) and (old.stage, old.seq, old.code) != (m.stage, m.seq, m.code):
            self.wrong.append(f"two outcomes of {client_seq}: {old} {m}")
        if client_seq in self.sends:
            del self.sends[client_seq]
            self.changed.set()

    def refused(self, client_seq, error):
        if error.code in AGAIN:
            self.later(0.2 + error.retry_after_ms / 1000, self.again, client_seq)
        elif client_seq in self.sends:
            self.outcome(client_seq, error)

    def again(self, client_seq):
        if client_seq in self.sends and not self.over:
            kind, m = self.sends[client_seq]
            self.asked[self.frame(kind, m)] = client_seq

    def send(self, kind, m):
        self.last += 1
        m.client_seq = self.last
        self.sends[self.last] = self.sent[self.last] = (kind, m)
        self.again(self.last)
        return self.last

    def repeat(self, client_seq):
        kind, m = self.sent[client_seq]
        self.frame(kind, m)

    async def settled(self, most=0):
        """Until at most `most` sends have no outcome, and none of them is so old that the ring could forget it."""
        limit = asyncio.get_running_loop().time() + (self.patience or WAIT_S)
        while len(self.sends) > most or min(self.sends, default=self.last) < self.last - 40:
            self.changed.clear()
            if self.over:
                raise Lost()
            left = limit - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self.changed.wait(), max(left, 0.01))
            except asyncio.TimeoutError:
                if self.patience:
                    await self.cut()
                    raise Lost() from None
                raise AssertionError(f"{self.login}: no outcome of {sorted(self.sends)} in {WAIT_S} s") from None

    # ---- sessions ----

    async def log_in(self, edge):
        m = pb.LoginReq(device_id=self.device_id, device_class=self.device_class, client="model 1", fresh=self.fresh)
        if self.token:
            m.token = self.token
        else:
            m.login, m.password = self.login, self.password
        limit, pause = asyncio.get_running_loop().time() + WAIT_S, 0.1
        while True:
            try:
                await self.open(edge)
                r = await self.ask(pb.LOGIN_REQ, m)
                if r.code == pb.OK:
                    break
                self.writer.close()
                assert r.code in AGAIN, f"{self.login}: log-in: {r}"
            except (Lost, OSError) as e:
                r = repr(e)
            if asyncio.get_running_loop().time() > limit:
                raise Late(f"{self.login}: no log-in in {WAIT_S} s: {r}")
            await asyncio.sleep(pause)
            edge, pause = edge + 1, min(2 * pause, 2)
        self.user, self.number, self.token = r.user, r.device, r.token
        self.last, self.fresh = max(self.last, r.client_seq_base), False
        for client_seq in sorted(self.sends):
            self.again(client_seq)

    async def cut(self):
        self.writer.transport.abort()
        await self.task

    async def close(self):
        if not self.over:
            self.confirm()
            self.writer.close()
            await self.task
