"""clients.py: clients that are not the workload's: raw ones, many at once, ones that vanish. All on the workload's loop."""
import asyncio
import socket
import struct
import time

from device import HEADER, Lost, pb
from person import Person


class Raw:
    """A connection and nothing else."""

    async def open(self, address, receive_bytes=0):
        host, port = address.rsplit(":", 1)
        s = socket.socket()
        if receive_bytes:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        s.setblocking(False)
        await asyncio.get_running_loop().sock_connect(s, (host, int(port)))
        self.reader, self.writer = await asyncio.open_connection(sock=s)
        return self

    def frame(self, kind, m, seq_id=1):
        payload = m if isinstance(m, bytes) else m.SerializeToString()
        self.writer.write(HEADER.pack(HEADER.size + len(payload), kind, seq_id) + payload)

    async def next(self, limit_s=10):
        """(type, payload), or None when the other side closed; raises TimeoutError."""
        async def one():
            total, kind, _ = HEADER.unpack(await self.reader.readexactly(HEADER.size))
            return kind, await self.reader.readexactly(total - HEADER.size)
        try:
            return await asyncio.wait_for(one(), limit_s)
        except (asyncio.IncompleteReadError, OSError, struct.error):
            return None

    async def closed(self, limit_s):
        """The last ERROR's code before the edge closed; None: it did not close."""
        code, end = 0, time.monotonic() + limit_s
        while True:
            try:
                got = await self.next(max(0.01, end - time.monotonic()))
            except asyncio.TimeoutError:
                return None
            if got is None:
                return code
            if got[0] == pb.ERROR:
                code = pb.Error.FromString(got[1]).code

    def abort(self):
        self.writer.transport.abort()


class Crowd:
    """Accounts that are logged in, and then all want in again at once, by token."""

    def __init__(self, work, n):
        self.people = [Person(f"crowd{i}-{work.tag}", "one", work.edges, work.history) for i in range(n)]
        self.hints, self.came = [], 0

    async def prepare(self):
        for first in range(0, len(self.people), 10):
            some = self.people[first:first + 10]
            await asyncio.gather(*(p.sign_up(i) for i, p in enumerate(some)))
            await asyncio.gather(*(p.log_in(i) for i, p in enumerate(some)))

    async def rush(self, edges, limit_s=60):
        """Those connected to one that is gone, and everybody else too: worse than a dead edge."""
        for p in self.people:
            if not p.over:
                p.writer.transport.abort()
            p.edges = edges
        await asyncio.gather(*(self.one(i, p, time.monotonic() + limit_s) for i, p in enumerate(self.people)))

    async def one(self, i, p, end):
        while time.monotonic() < end:
            pause = 0.05
            try:
                await p.open(i)
                r = await p.ask(pb.LOGIN_REQ, pb.LoginReq(token=p.token, device_id=p.device_id, device_class="test"))
                if r.code == pb.OK:
                    self.came += 1
                    return
                await p.cut()
                self.hints.append(r.retry_after_ms)
                pause = max(pause, r.retry_after_ms / 1000)
            except (Lost, OSError):
                pass
            await asyncio.sleep(pause)

    async def leave(self):
        for p in self.people:
            if not p.over:
                await p.close()


class Vanishing:
    """One who is connected from a namespace, and one who watches."""

    def __init__(self, work, edge):
        self.work, self.edge, self.person = work, edge, None

    async def log_in(self, net):
        """1 once it is in."""
        watcher = self.work.people[0]
        self.person = Person("gone-" + self.work.tag, "first", self.work.edges, self.work.history)
        await self.person.sign_up(0)
        p = self.person

        async def here(_edge):
            s = await asyncio.get_running_loop().run_in_executor(None, net.socket, "away", (net.host, self.edge.listen))
            p.reader, p.writer = await asyncio.open_connection(sock=s)
            p.seq_id, p.delivery, p.unconfirmed, p.answers, p.asked, p.pulls = 0, 0, 0, {}, {}, {}
            p.over = False
            p.task = asyncio.create_task(p.read())
        p.open = here
        await p.log_in(0)
        self.watcher = watcher
        return 1

    async def online(self, wanted, limit_s):
        """Whether the watcher is told so in time."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            r = await self.watcher.patient(pb.PRESENCE_REQ, pb.PresenceReq(users=[self.person.user]))
            if r.users and r.users[0].online == wanted:
                return True
            await asyncio.sleep(0.1)
        return False

    def stop(self):
        self.work.loop.call_soon_threadsafe(self.person.writer.transport.abort)


async def parallel_resends(work, edges, times):
    """One send, said `times` times over two sessions of one device that fight for it. (how often it was said, the outcomes)."""
    a = Person(f"many-{work.tag}", "one", edges, work.history)
    await a.sign_up(0)
    await a.log_in(0)
    n = a.send(pb.SINGLE_CHAT, pb.SingleChat(to=work.people[0].login, text="fifty times"))
    for i in range(times // 2):
        a.repeat(n)
    rivals = []
    for i in (1, 2):
        b = a.twin()
        await b.log_in(i)
        b.sends[n] = b.sent[n] = a.sent[n]
        for _ in range(times // 4):
            b.repeat(n)
        rivals.append(b)
    await rivals[-1].settled()
    placed = {(m.conversation, m.seq) for d in (a, *rivals) for m in d.done.values() if isinstance(m, pb.MsgAck) and m.stage == pb.SEQUENCED}
    for d in (a, *rivals):
        if not d.over:
            await d.close()
    return times, placed


async def until_true(condition, limit_s):
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True
