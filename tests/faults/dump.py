"""dump.py: what Kafka, PostgreSQL and Redis hold, read without any code of Parley's: confluent-kafka, SQL, raw bytes."""
import glob
import json
import os
import sys
import time

sys.path.insert(0, os.environ.get("PARLEY_INTEROP_GEN", "gen"))
import confluent_kafka as ck  # noqa: E402
import record_pb2 as rec  # noqa: E402
from confluent_kafka import admin as cka  # noqa: E402

from bed import GROUPS  # noqa: E402

NAMES = {"group": "parley-"}


def _consumer(bed):
    return ck.Consumer({"bootstrap.servers": bed.servers.env["PARLEY_KAFKA"], "group.id": "faults-dump", "enable.auto.commit": False, "log_level": 2,
                        "auto.offset.reset": "earliest", "enable.partition.eof": True})


def topics(bed):
    """{name without prefix: partitions}"""
    a = cka.AdminClient({"bootstrap.servers": bed.servers.env["PARLEY_KAFKA"], "log_level": 2})
    return {n[len(bed.prefix):]: len(t.partitions) for n, t in a.list_topics(timeout=10).topics.items() if n.startswith(bed.prefix + "im.")}


def ends(bed, names=None):
    """{(topic, partition): next offset}"""
    c, out = _consumer(bed), {}
    for name, parts in topics(bed).items():
        if names is None or name in names:
            for p in range(parts):
                out[name, p] = c.get_watermark_offsets(ck.TopicPartition(bed.prefix + name, p), timeout=10)[1]
    c.close()
    return out


def records(bed, name, since=None):
    """Of one topic in the order of each partition, from the offsets of `since` on: (partition, offset, time_ms, key, value)."""
    upto = ends(bed, (name,))
    c, out = _consumer(bed), []
    parts = []
    for (_, p), end in upto.items():
        begin = (since or {}).get((name, p), 0)
        if begin < end:
            parts.append(ck.TopicPartition(bed.prefix + name, p, max(begin, 0)))
    left, limit = {t.partition: upto[name, t.partition] for t in parts}, time.monotonic() + 60
    c.assign(parts)
    while left and time.monotonic() < limit:
        for m in c.consume(1000, 0.2):
            if m.error():
                if m.error().code() == ck.KafkaError._PARTITION_EOF:
                    left.pop(m.partition(), None)
                continue
            out.append((m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value()))
            if m.offset() + 1 >= left.get(m.partition(), 0):
                left.pop(m.partition(), None)
    c.close()
    if left:
        raise OSError(f"{name}: partitions {sorted(left)} could not be read to their end")
    return out


def conversation_log(bed, since=None):
    """im.conversation as dictionaries; what cannot be unpacked has only its place."""
    out = []
    for part, offset, time_ms, _key, value in records(bed, "im.conversation", since):
        line = {"part": part, "offset": offset, "time_ms": time_ms}
        try:
            r = rec.ConvRecord.FromString(value or b"")
            line.update(version=r.version, rules=r.rules, kind=r.kind, conv=r.conversation.hex(), user=r.user.hex(), device=r.device,
                        client_seq=r.client_seq, msg_id=r.msg_id.hex(), source_part=r.source_part, source_offset=r.source_offset,
                        peer=r.peer.hex())
        except Exception as e:  # noqa: BLE001 - DecodeError's module moves between versions
            line["undecodable"] = str(e)
        out.append(line)
    return out


MESSAGES = """SELECT json_build_object('conv', encode(conv, 'hex'), 'seq', seq, 'sender', encode(sender, 'hex'), 'device', device,
 'client_seq', client_seq, 'msg_id', encode(msg_id, 'hex'), 'kind', kind, 'time_ms', time_ms, 'part', conv_part, 'offset', conv_offset,
 'source_part', source_part, 'source_offset', source_offset,
 'target', target, 'users', encode(coalesce(users, ''), 'hex'), 'flags', flags,
 'hash', case when coalesce(text, '') = '' then '' else left(encode(sha256(convert_to(text, 'UTF8')), 'hex'), 16) end)
 FROM messages ORDER BY conv, seq"""
PEERS = """SELECT json_build_object('conv', encode(conv, 'hex'), 'user', encode(user_id, 'hex'), 'group', peer IS NULL, 'role', role,
 'visible', visible::text) FROM memberships"""


def rows(bed):
    return [json.loads(line) for line in bed.sql(MESSAGES).splitlines() if line]


def members(bed):
    return [json.loads(line) for line in bed.sql(PEERS).splitlines() if line]


def lag(bed):
    """{group: records behind}, of all groups and held or minded slots."""
    a = cka.AdminClient({"bootstrap.servers": bed.servers.env["PARLEY_KAFKA"], "log_level": 2})
    end, out = ends(bed), {}
    wanted = {f"parley-{g}": tuple(f"im.{t}" for t in ts) for g, ts in GROUPS.items() if bed.procs[g]}
    wanted.update({f"parley-slot-{n}": (f"im.deliver.{n}",) for n in range(bed.slots)})
    for group, names in wanted.items():
        name = bed.prefix + group
        done = a.list_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(name)])[name].result(timeout=10).topic_partitions
        have = {(t.topic[len(bed.prefix):], t.partition): t.offset for t in done}
        out[group] = sum(max(0, e - max(have.get(k, 0), 0)) for k, e in end.items() if k[0] in names)
    return out


def produce(bed, topic, value, key=b"0123456789abcdef", partition=None):
    """A record of our own; its (partition, offset)."""
    p, at = ck.Producer({"bootstrap.servers": bed.servers.env["PARLEY_KAFKA"], "partitioner": "murmur2_random", "log_level": 2}), []
    more = {} if partition is None else {"partition": partition}
    p.produce(bed.prefix + topic, value=value, key=key, on_delivery=lambda e, m: at.append((e, m)), **more)
    p.flush(20)
    if not at or at[0][0]:
        raise OSError(f"{topic}: not produced: {at}")
    return at[0][1].partition(), at[0][1].offset()


# ---- canaries ----

def _hits(canaries, data, where):
    return [f"{where}: {c[:24]}…" for c in canaries if c in data]


def scan(bed, canaries, since=None):
    """Where a password or a token is that should be nowhere: [what and where]. Also in hex, as bytea is shown."""
    raw = [c.encode() for c in canaries if c]
    both = raw + [c.hex().encode() for c in raw]
    found, looked = [], {"logs": 0, "topics": 0, "cores": 0, "tables": 0, "redis": 0}
    for path in glob.glob(bed.folder + "/*.log"):
        looked["logs"] += 1
        with open(path, "rb") as f:
            found += _hits(both, f.read(), os.path.basename(path))
    for path in glob.glob(bed.folder + "/core*"):
        looked["cores"] += 1
        with open(path, "rb") as f:
            found += _hits(raw, f.read(), os.path.basename(path))
    for name in topics(bed):
        data = b"\n".join((k or b"") + (v or b"") for _, _, _, k, v in records(bed, name, since))
        looked["topics"] += 1
        found += _hits(raw, data, name)
    tables = bed.sql(f"SELECT tablename FROM pg_tables WHERE schemaname = '{bed.schema}'").split()
    for t in tables:
        looked["tables"] += 1
        found += _hits(both, bed.sql(f"SELECT t::text FROM {t} t").encode(), f"table {t}")
    for path in glob.glob(os.path.join(bed.servers.folder, "redis", "data", "**", "*"), recursive=True):
        if os.path.isfile(path):
            looked["redis"] += 1
            with open(path, "rb") as f:
                found += _hits(raw, f.read(), f"Redis file {os.path.basename(path)}")
    return found, looked
