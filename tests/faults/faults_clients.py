"""faults_clients.py: clients that are slow, rude, many, or in two places."""
import asyncio
import os
import signal
import time

from bed import until
from clients import Raw, parallel_resends
from device import HEADER, Lost, pb
from harness import Fault
from person import Person


class SlowReader(Fault):
    number, title, holds, bound_s, own = 13, "slow reader with a tiny receive window", "I6; cut at the cap, resumes; others unharmed", 30, True
    settings = {"edge": {"output_pause": "64KiB", "output_cut": "256KiB", "rate": 100000, "burst": 100000}}

    def begin(self):
        before = self.p99(0)
        at = time.monotonic()
        self.work.call(self.slow(), 90)
        self.work.more(50, 10)
        during = self.p99(at)
        self.notes.append(f"others' p99 from send to number: {before * 1000:.0f} ms before, {during * 1000:.0f} ms meanwhile")
        if during > max(2.0, 20 * before):
            self.wrong("stuck", f"others waited {during:.1f} s (p99) while one did not read")

    def p99(self, since):
        times = sorted(d.resolved[k] - t for d in self.work.people for k, t in list(d.invoked.items()) if t > since and k in d.resolved)
        return times[int(len(times) * 0.99)] if times else 0.0

    async def slow(self):
        w = self.work
        slow, talker = (Person(f"{n}-{w.tag}", "one", w.edges, w.history) for n in ("slow", "talker"))
        for p in (slow, talker):
            await p.sign_up(0)
            await p.log_in(0)
        talker.send(pb.SINGLE_CHAT, pb.SingleChat(to=slow.login, text="first"))
        end = time.monotonic() + 20
        while not slow.seen and time.monotonic() < end:
            talker.send(pb.SINGLE_CHAT, pb.SingleChat(to=slow.login, text="and now?"))
            await talker.settled()
            await asyncio.sleep(0.2)
        slow.log("known")
        sock = slow.writer.transport.get_extra_info("socket")
        sock.setsockopt(6, 10, 1024)  # TCP_WINDOW_CLAMP
        slow.writer.transport.pause_reading()
        text = "x" * 30000
        for n in range(400):
            talker.send(pb.SINGLE_CHAT, pb.SingleChat(to=slow.login, text=f"{n} {text}"))
            await talker.settled(16)
            if n % 20 == 19 and self.cut():
                break
        await talker.settled()
        self.fire(self.cut())
        self.notes.append(f"cut after {n + 1} messages of 30 kB unread")
        slow.writer.transport.resume_reading()
        await slow.task
        await slow.log_in(1)
        w.guests += [slow, talker]

    def cut(self):
        return int(sum(p.metric("parley_edge_cuts_total", "slow") for p in self.bed.procs["edge"]))


class TwoPlaces(Fault):
    number, title, holds = 15, "the same session on two edges", "I4; the old one is told and closed"

    def begin(self):
        self.work.call(self.fight(), 90)

    async def fight(self):
        w = self.work
        a = Person(f"twice-{w.tag}", "one", w.edges, w.history)
        await a.sign_up(0)
        await a.log_in(0)
        for i in range(1, 8):
            b = a.twin()
            await b.log_in(i)
            await asyncio.wait([a.task], timeout=15)
            if not a.over:
                self.wrong("leak", "the replaced session was not closed within 15 s")
            elif pb.SESSION_REPLACED not in a.kicks:
                self.wrong("stuck", f"the replaced session was closed without being told: {a.kicks}")
            b.send(pb.SINGLE_CHAT, pb.SingleChat(to=w.people[0].login, text=f"round {i}"))
            await b.settled()
            self.fire()
            a = b
        w.guests.append(a)


class FiftyTimes(Fault):
    number, title, holds = 18, "one send resent 50 times, in parallel, over several edges", "I2"

    def begin(self):
        for _ in range(3):
            n, placed = self.work.call(parallel_resends(self.work, self.work.edges, 50), 90)
            self.fire(n)
            if len(placed) != 1:
                self.wrong("duplicate", f"one send has {len(placed)} places: {placed}")
            self.work.tag += "x"


def bad_frames(random):
    """(name, bytes, the code, whether the edge closes)"""
    nest = b""
    while len(nest) < 3900:
        nest = b"\x0a" + varint(len(nest)) + nest
    header = HEADER.pack
    return [
        ("too large before the log-in", header(5000, pb.LOGIN_REQ, 1) + b"x" * 4990, pb.FRAME_TOO_LARGE, True),
        ("huge", header(0x7FFFFFFF, pb.LOGIN_REQ, 1), pb.FRAME_TOO_LARGE, True),
        ("length 0", header(0, 0, 0), pb.FRAME_TOO_SHORT, True),
        ("length 9", header(9, pb.HEARTBEAT, 1), pb.FRAME_TOO_SHORT, True),
        ("HTTP", b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n", pb.FRAME_TOO_LARGE, True),
        ("a WebSocket frame", b"\x82\xfe\x00\x10" + random.randbytes(20), pb.FRAME_TOO_LARGE, True),
        ("malformed", header(16, pb.LOGIN_REQ, 1) + b"\xff" * 6, pb.BAD_PROTOBUF, False),
        ("nested", header(10 + len(nest), pb.LOGIN_REQ, 1) + nest, None, False),
        ("unknown type", header(10, 999, 1), pb.UNKNOWN_TYPE, False),
        ("empty log-in", header(10, pb.LOGIN_REQ, 1), pb.BAD_FIELD, False),
        ("garbage", random.randbytes(64), None, None),
    ]


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


class BadFrames(Fault):
    number, title = 21, "frames oversized, truncated, malformed, nested, empty; WebSocket garbage"
    holds, own, settings = "typed error, close; I6", True, {"edge": {"login": "3s"}}

    def begin(self):
        edge = self.bed.procs["edge"][0]
        fds = len(os.listdir(f"/proc/{edge.popen.pid}/fd"))
        self.work.call(self.rude(edge), 120)
        until(lambda: len(os.listdir(f"/proc/{edge.popen.pid}/fd")) <= fds + 8, 20, "the edge closed what was rude")

    async def rude(self, edge):
        address = f"{edge.address()}:{edge.listen}"
        for _ in range(5):
            for name, data, code, closes in bad_frames(self.random):
                r = await Raw().open(address)
                r.writer.write(data)
                self.fire()
                try:
                    got = await r.next(8)
                    answer = pb.Error.FromString(got[1]).code if got and got[0] == pb.ERROR else None
                    if code is not None and answer != code:
                        self.wrong("stuck", f"{name}: answered {got and got[0]} {answer}, should be {pb.Code.Name(code)}")
                    if closes and await r.closed(5) is None:
                        self.wrong("over-cap", f"{name}: the connection stays open")
                except asyncio.TimeoutError:
                    self.wrong("stuck", f"{name}: no answer, no close")
                r.abort()
        halves = [await Raw().open(address) for _ in range(200)]
        for r in halves:  # the beginning of a frame, and nothing more
            r.writer.write(HEADER.pack(2000, pb.LOGIN_REQ, 1) + b"x" * self.random.randrange(1900))
            self.fire()
        for r in halves[:100]:
            r.abort()
        for r in halves[100:]:
            if await r.closed(10) is None:
                self.wrong("over-cap", "half a frame keeps a connection open past the deadline")
                break


class Silent(Fault):
    """TLS ends before the edge as long as the edge speaks plain TCP: there is no handshake of its own to stall."""
    number, title = 22, "slow log-ins, thousands of connections that say nothing"
    holds, own, settings = "absolute deadline; I6", True, {"edge": {"login": "4s"}}
    connections = 3000

    def begin(self):
        self.work.call(self.crowd(self.bed.procs["edge"][0]), 120)

    async def crowd(self, edge):
        address = f"{edge.address()}:{edge.listen}"
        begin = time.monotonic()
        silent = []
        for first in range(0, self.connections, 100):
            silent += await asyncio.gather(*(Raw().open(address) for _ in range(100)))
        slow = [await Raw().open(address) for _ in range(50)]
        login = pb.LoginReq(login="slow", password="x" * 100, device_id="d").SerializeToString()
        frame = HEADER.pack(10 + len(login), pb.LOGIN_REQ, 1) + login
        self.fire(len(silent) + len(slow))

        async def drip(r):
            for b in frame:
                if r.writer.transport.is_closing():
                    return
                r.writer.write(bytes([b]))
                await asyncio.sleep(0.25)
        drips = [asyncio.create_task(drip(r)) for r in slow]
        for r in [*silent, *slow]:
            if await r.closed(max(1.0, begin + 25 - time.monotonic())) is None:
                self.wrong("over-cap", "a connection that does not log in outlives the deadline")
                break
        self.notes.append(f"{len(silent) + len(slow)} connections, all closed {time.monotonic() - begin:.0f} s after the first")
        for t in drips:
            t.cancel()
        for r in [*silent, *slow]:
            r.abort()


class Guessing(Fault):
    number, title, holds = 24, "password guessing, one account and many", "throttled; honest users still get in"
    tries = 60

    def begin(self):
        self.work.call(self.guess(), 120)

    async def guess(self):
        w = self.work
        for kind in ("one account", "many accounts"):
            begin, codes = time.monotonic(), []

            async def one(i, kind=kind, codes=codes):
                r = await self.opened("127.0.0.99" if kind == "one account" else "127.0.0.98", w.edges[0])
                name = w.people[0].login if kind == "one account" else w.people[i % len(w.people)].login
                r.frame(pb.LOGIN_REQ, pb.LoginReq(login=name, password=f"wrong {i}", device_id="guess", device_class="test"))
                try:
                    got = await r.next(15)
                    codes.append(pb.LoginRsp.FromString(got[1]).code if got and got[0] == pb.LOGIN_RSP else
                                 pb.Error.FromString(got[1]).code if got else None)
                except asyncio.TimeoutError:
                    codes.append(None)
                r.abort()
            for first in range(0, self.tries, 10):
                await asyncio.gather(*(one(first + i) for i in range(10)))
            honest = await self.honest(w.people[0])
            checked = codes.count(pb.BAD_CREDENTIALS)
            allowed = 20 + (time.monotonic() - begin) + 5
            self.fire(len(codes))
            self.notes.append(f"{kind}: of {len(codes)} tries {checked} were checked, {codes.count(pb.TOO_MANY_REQUESTS)} told to wait; "
                              f"an honest one was in after {honest:.1f} s")
            if checked > allowed:
                self.wrong("stuck", f"{kind}: {checked} passwords were checked, {allowed:.0f} may be")
            if honest > 10:
                self.wrong("stuck", f"{kind}: the owner needed {honest:.0f} s to log in")

    async def opened(self, source, address):
        host, port = address.rsplit(":", 1)
        r = Raw()
        r.reader, r.writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
        return r

    async def honest(self, victim):
        """By password, from another address."""
        begin = time.monotonic()
        p = Person(victim.login, f"honest-{begin}", self.work.edges, self.work.history)
        await p.log_in(0)
        await p.close()
        return time.monotonic() - begin


class NoDescriptors(Fault):
    number, title, holds, bound_s = 25, "out of descriptors", "accepting resumes, no spinning", 30
    limit = 96

    def begin(self):
        edge = self.choose("edge")
        edge.nofile = self.limit
        self.bed.restart(edge)
        self.bed.wait_ready(40, [edge])
        self.work.call(self.exhaust(edge), 90)

    async def exhaust(self, edge):
        address = f"{edge.address()}:{edge.listen}"
        crowd, before = [], self.cpu(edge)
        for _ in range(3 * self.limit):
            try:
                crowd.append(await asyncio.wait_for(Raw().open(address), 1))
            except (OSError, asyncio.TimeoutError):
                break
        await asyncio.sleep(0.5)
        used = len(os.listdir(f"/proc/{edge.popen.pid}/fd"))
        self.fire(used >= self.limit - 2)
        before, at = self.cpu(edge), time.monotonic()
        await asyncio.sleep(3)
        busy = (self.cpu(edge) - before) / (time.monotonic() - at)
        self.notes.append(f"{used} of {self.limit} descriptors, {busy * 100:.0f} % of a processor while full")
        if busy > 0.6:
            self.wrong("over-cap", f"{edge.name} spins: {busy * 100:.0f} % of a processor")
        for r in crowd:
            r.abort()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                r = await Raw().open(address)
                r.frame(pb.ACCOUNT_EXISTS_REQ, pb.AccountExistsReq(login="nobody"))
                if await r.next(2):
                    r.abort()
                    return
            except (OSError, asyncio.TimeoutError):
                pass
            await asyncio.sleep(0.2)
        self.wrong("stuck", f"{edge.name} accepts nobody after the crowd has gone")

    def cpu(self, p):
        with open(f"/proc/{p.popen.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Muted(Fault):
    number, title = 33, "muted sender refused, resends, is unmuted, router writes old records again"
    holds = "I2 I5, the same verdict for the same number for ever"

    def begin(self):
        self.work.call(self.story(), 120)

    async def story(self):
        w = self.work
        owner, muted = (Person(f"{n}-{w.tag}", "one", w.edges, w.history) for n in ("owner", "muted"))
        for p in (owner, muted):
            await p.sign_up(0)
            await p.log_in(0)
        n = owner.send(pb.CONV_OP, pb.ConvOp(kind=pb.CONV_GROUP_CREATE, text="quiet", logins=[muted.login]))
        await owner.settled()
        group = owner.done[n].conversation
        for _ in range(3):
            await self.op(owner, pb.CONV_GROUP_MUTE, group, muted)
            refused = [muted.send(pb.GROUP_CHAT, pb.GroupChat(conversation=group, text=f"muted {i}")) for i in range(4)]
            await muted.settled()
            for n in refused:
                self.same(muted, n)
                muted.repeat(n)
            await self.op(owner, pb.CONV_GROUP_UNMUTE, group, muted)
            for p in self.bed.procs["router"]:  # it writes again what it had not marked
                p.kill(signal.SIGKILL)
                self.fire()
            for n in refused:
                muted.repeat(n)
            told = muted.send(pb.GROUP_CHAT, pb.GroupChat(conversation=group, text="unmuted"))
            await self.settled(muted)
            if getattr(muted.done[told], "stage", 0) != pb.SEQUENCED:
                self.wrong("stuck", f"unmuted, and still refused: {muted.done[told]}")
            for n in refused:
                self.same(muted, n)
        w.guests += [owner, muted]

    async def op(self, owner, kind, group, who):
        owner.send(pb.CONV_OP, pb.ConvOp(kind=kind, conversation=group, logins=[who.login]))
        await self.settled(owner)

    async def settled(self, p):
        while True:
            try:
                return await p.settled()
            except Lost:
                await p.log_in(p.sessions)

    def same(self, p, n):
        m = p.done[n]
        if m.code != pb.MUTED:
            self.wrong("rejected-but-seen", f"number {n} of a muted sender: {m}")


class Disagreement(Fault):
    """A router that sleeps sees a log-in late; another log-in of the same device has happened meanwhile."""
    number, title = 34, "two routers disagree about presence: a late view, a late write of an earlier log-in"
    holds, bound_s = "the latest log-in of each device is live", 40

    def begin(self):
        self.work.call(self.moves(), 120)

    async def moves(self):
        w = self.work
        movers = [Person(f"mover{i}-{w.tag}", "one", w.edges, w.history) for i in range(4)]
        for p in movers:
            await p.sign_up(0)
            await p.log_in(0)
        for i in range(3):
            router = self.choose("router")
            olds = []
            router.kill(signal.SIGSTOP)
            self.fire()
            for k, p in enumerate(movers):  # the first attempt stays unanswered when its router sleeps
                old = p.twin()
                olds.append(old)
                await old.open(i + k)
                old.frame(pb.LOGIN_REQ, pb.LoginReq(token=p.token, device_id="one", device_class="test"))
            await asyncio.sleep(1.0)
            news = [p.twin() for p in movers]
            waiting = [asyncio.create_task(q.log_in(i + k + 1)) for k, q in enumerate(news)]
            await asyncio.sleep(0.5)
            router.kill(signal.SIGCONT)
            await asyncio.gather(*waiting)
            await self.live(news)
            movers = news
        w.guests += movers

    async def live(self, people):
        """Whoever logged in last is shown what is written to them."""
        writer = self.work.people[0]
        end, waiting = time.monotonic() + 20, list(people)
        while waiting and time.monotonic() < end:
            for p in waiting:
                if p.over:
                    self.wrong("stuck", f"{p.login}: the latest log-in was ended: {[pb.Code.Name(c) for c in p.kicks]}")
                    return
                text = f"are you there {self.random.random()}"
                p.send(pb.SINGLE_CHAT, pb.SingleChat(to=p.login, text="a note to myself"))
                try:
                    if not writer.over:
                        writer.send(pb.SINGLE_CHAT, pb.SingleChat(to=p.login, text=text))
                except Lost:
                    pass
            await asyncio.sleep(1)
            waiting = [p for p in waiting if not any(m.text.startswith("are you") for c in p.seen.values() for m in c.values())]
        for p in waiting:
            self.wrong("stuck", f"{p.login}: nothing is shown to the latest log-in")
