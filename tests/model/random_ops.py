#!/usr/bin/env python3
"""Clients do random things, allowed and not, over several edges, with repeats and lost connections; then everything that
can be seen is compared with what a plain model (model.py) makes of the log.

    random_ops.py --edges HOST:PORT,… --tail 'COMMAND…' [--psql CONNINFO] [--seed N] [--seconds S] [--users N]
                  [--healed FILE] [--patience S]

With --healed it goes on until FILE is there, and a moment longer; with --patience a connection that is silent is given up.
COMMAND prints the records of im.conversation as JSON lines (parleyctl tail conversation --from beginning --until-end --open
--json). Prints one line per run; exit status 0: no difference; 1: differences, each said; 2: wrong usage.
"""
import argparse
import asyncio
import calendar
import json
import os
import random
import shlex
import subprocess
import sys
import time

from compare import compare
from device import AGAIN, WAIT_S, Device, Lost, pb
from model import fold

TEXTS = ["hello", "naïve café", "你好世界", "\U0001f600", "a" * 300, "'; DROP TABLE messages; --", "%s%n"]
REACTIONS = ["\U0001f44d", "+1", ""]
FLAGS = [0, 0, pb.GROUP_APPROVAL, pb.GROUP_HISTORY, pb.GROUP_PRIVATE, pb.GROUP_QUIET]
OPS = {  # weights
    "chat": 30, "group_chat": 40, "edit": 8, "recall": 6, "react": 10, "pin": 5, "unpin": 3,
    "create": 4, "join": 10, "leave": 5, "invite": 10, "remove": 6, "role": 6, "hand_over": 2, "mute": 5, "unmute": 3,
    "rename": 2, "notice": 2, "settings": 4, "dissolve": 1, "approve": 6, "decline": 3,
    "request": 5, "confirm": 5, "refuse": 2, "unfriend": 2, "block": 3, "unblock": 4,
    "read": 20, "repeat": 10, "reconnect": 4, "away": 2,
}


class World:
    """What all clients of a run know of each other."""

    def __init__(self, args):
        self.random = random.Random(args.seed)
        self.users, self.groups, self.heads = [], [], {}
        self.tag = f"{args.seed:x}-{int(time.time() * 1000) % 0xffffff:x}"
        self.count = {}

    def begin(self, args):
        self.until, self.healed = time.monotonic() + args.seconds, args.healed
        self.pause = 0.1 if self.healed else 0.02

    def over(self):
        if self.healed and os.path.exists(self.healed):
            self.healed, self.until = None, max(self.until, time.monotonic() + 2)
        return not self.healed and time.monotonic() > self.until


def any_users(w, r):
    return [u for u in r.sample(w.users, r.randint(1, min(3, len(w.users))))]


def target(w, r, conversation):
    return max(1, w.heads.get(conversation, 1) - int(r.expovariate(0.15)))


def conv_op(w, r, name):
    """(ConvOp) or None when there is nothing to do it to."""
    kinds = {"edit": pb.CONV_EDIT, "recall": pb.CONV_RECALL, "react": pb.CONV_REACT, "pin": pb.CONV_PIN, "unpin": pb.CONV_UNPIN}
    groups = {"join": pb.CONV_GROUP_JOIN, "leave": pb.CONV_GROUP_LEAVE, "invite": pb.CONV_GROUP_INVITE,
              "remove": pb.CONV_GROUP_REMOVE, "role": pb.CONV_GROUP_ROLE, "hand_over": pb.CONV_GROUP_HAND_OVER,
              "mute": pb.CONV_GROUP_MUTE, "unmute": pb.CONV_GROUP_UNMUTE, "rename": pb.CONV_GROUP_RENAME,
              "notice": pb.CONV_GROUP_NOTICE, "settings": pb.CONV_GROUP_SETTINGS, "dissolve": pb.CONV_GROUP_DISSOLVE,
              "approve": pb.CONV_GROUP_APPROVE, "decline": pb.CONV_GROUP_DECLINE}
    people = {"request": pb.CONV_FRIEND_REQUEST, "confirm": pb.CONV_FRIEND_CONFIRM, "refuse": pb.CONV_FRIEND_REFUSE,
              "unfriend": pb.CONV_FRIEND_REMOVE, "block": pb.CONV_BLOCK, "unblock": pb.CONV_UNBLOCK}
    if name in people:
        return pb.ConvOp(kind=people[name], to=r.choice(w.users), text="please" if name == "request" else "")
    if name == "create":
        return pb.ConvOp(kind=pb.CONV_GROUP_CREATE, text="group " + r.choice(TEXTS[:3]), logins=any_users(w, r), flags=r.choice(FLAGS))
    if not w.heads:
        return None
    if name in kinds:
        conversation = r.choice(list(w.heads))
        op = pb.ConvOp(kind=kinds[name], conversation=conversation, target=target(w, r, conversation))
        if name in ("edit", "react"):
            op.text = "edited " + r.choice(TEXTS) if name == "edit" else r.choice(REACTIONS)
        return op
    if not w.groups:
        return None
    op = pb.ConvOp(kind=groups[name], conversation=r.choice(w.groups) if r.random() < 0.97 else r.randbytes(16))
    if name in ("invite", "remove", "role", "mute", "unmute", "approve", "decline"):
        op.logins.extend(any_users(w, r))
    if name == "hand_over":
        op.logins.append(r.choice(w.users))
    if name == "role":
        op.role = r.choice([pb.MEMBER, pb.ADMIN, pb.ADMIN])
    if name in ("rename", "notice"):
        op.text = "now " + r.choice(TEXTS[:3])
    if name == "settings":
        op.flags_mask = r.choice([1, 2, 4, 8])
        op.flags = op.flags_mask if r.random() < 0.5 else 0
    if name == "mute":
        op.duration_s = r.choice([0, 1, 3600])
    return op


async def one(w, d, r, name):
    if name == "chat":
        d.send(pb.SINGLE_CHAT, pb.SingleChat(to=r.choice(w.users), text=r.choice(TEXTS)))
    elif name == "group_chat":
        if w.groups:
            c = r.choice(w.groups)
            reply = target(w, r, c) if r.random() < 0.2 else 0
            d.send(pb.GROUP_CHAT, pb.GroupChat(conversation=c, text=r.choice(TEXTS), reply_to=reply))
    elif name == "read":
        if w.heads:
            c = r.choice(list(w.heads))
            d.frame(pb.MSG_READ, pb.MsgRead(conversation=c, read=target(w, r, c)))
    elif name == "repeat":
        recent = [k for k in d.sent if k > d.last - 30]
        if recent:
            d.repeat(r.choice(recent))
    elif name == "reconnect":
        await d.cut()
        await d.log_in(r.randrange(len(d.edges)))
    elif name == "away":
        await d.cut()
        await asyncio.sleep(r.random() * 2)
        await d.log_in(r.randrange(len(d.edges)))
    else:
        op = conv_op(w, r, name)
        if op:
            d.send(pb.CONV_OP, op)


def learn(w, d, known):
    """Group ids and heads, from this device's own outcomes."""
    for client_seq in [k for k in d.done if k > known]:
        m = d.done[client_seq]
        if isinstance(m, pb.MsgAck) and m.stage == pb.SEQUENCED:
            w.heads[m.conversation] = max(m.seq, w.heads.get(m.conversation, 0))
            kind, sent = d.sent[client_seq]
            if kind == pb.CONV_OP and sent.kind == pb.CONV_GROUP_CREATE and m.conversation not in w.groups:
                w.groups.append(m.conversation)


async def live(w, d, seed):
    r = random.Random(seed)
    names, weights = list(OPS), list(OPS.values())
    known = d.last
    while not w.over():
        name = r.choices(names, weights)[0]
        try:
            await one(w, d, r, name)
            w.count[name] = w.count.get(name, 0) + 1
            await d.settled(r.choice([0, 4, 16]))
            learn(w, d, known)
        except Lost:
            await d.log_in(r.randrange(len(d.edges)))
        await asyncio.sleep(r.random() * w.pause)
    limit = time.monotonic() + WAIT_S
    while True:
        try:
            return await d.settled()
        except Lost:
            assert time.monotonic() < limit, f"{d.login}: no outcome of {sorted(d.sends)} in {WAIT_S} s"
            await d.log_in(0)


async def tend(d):
    """Whoever is waiting comes back when the connection ends."""
    while True:
        d.changed.clear()
        if d.over:
            await d.log_in(0)
        await d.changed.wait()


async def sign_up(d, edge):
    """An answer that was lost is an account that exists."""
    limit, again = time.monotonic() + WAIT_S, False
    while True:
        try:
            await d.open(edge)
            m = await d.ask(pb.REGISTER_REQ, pb.RegisterReq(login=d.login, password=d.password))
            await d.close()
            if m.code == pb.OK or again and m.code == pb.ACCOUNT_EXISTS:
                return
            assert m.code in AGAIN, f"registering: {m}"
        except (Lost, OSError) as e:
            m = repr(e)
        assert time.monotonic() < limit, f"registering: {m}"
        edge, again = edge + 1, True
        await asyncio.sleep(0.3)


async def register(w, args, edges):
    people = []
    for i in range(args.users):
        login = f"u{i}-{w.tag}"
        for k in range(1 + i % 2):
            people.append(Device(login, f"dev-{k}", edges))
        await sign_up(people[-1], i)
        w.users.append(login)
    for i, d in enumerate(people):
        await d.log_in(i)
    return people


def read_log(command):
    out = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, check=True).stdout.decode()
    records = [json.loads(line) for line in out.splitlines() if line]
    for r in records:
        whole, ms = r["time"].rstrip("Z").split(".")
        r["time_ms"] = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000 + int(ms)
    return records


async def whole_log(command):
    """Receipts and repeats have no outcome to wait for: until nothing more comes."""
    before, records = -1, read_log(command)
    while len(records) != before:
        await asyncio.sleep(0.3)
        before, records = len(records), read_log(command)
    return records


async def run(args):
    w, edges = World(args), args.edges.split(",")
    devices = await register(w, args, edges)
    w.begin(args)
    await asyncio.gather(*(live(w, d, args.seed * 1000 + i) for i, d in enumerate(devices)))
    tenders = [asyncio.create_task(tend(d)) for d in devices]
    records = await whole_log(args.tail)
    convs, outcomes = fold(records)
    wrong = await compare(args, devices, convs, outcomes)
    for t in tenders:
        t.cancel()
    sends = sum(len(d.done) for d in devices)
    print(f"seed {args.seed}: {len(devices)} devices, {sum(w.count.values())} operations, {sends} sends, {len(records)} records, "
          f"{len(convs)} conversations: {len(wrong)} differences", flush=True)
    for line in wrong[:80]:
        print("  " + line)
    for d in devices:
        await d.close()
    return 1 if wrong or not records else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--edges", required=True)
    p.add_argument("--tail", required=True)
    p.add_argument("--psql")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--users", type=int, default=6)
    p.add_argument("--healed")
    p.add_argument("--patience", type=float)
    args = p.parse_args()
    Device.patience, Device.confirm_later = args.patience, 3
    return asyncio.run(run(args))


sys.exit(main())
