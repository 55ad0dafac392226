#!/usr/bin/env python3
"""per_minute.py: messages per conversation and minute, from im.conversation into PostgreSQL, exactly once.

The offset of each partition is a row beside the counts, changed in the same transaction: a crash anywhere counts nothing twice
and leaves nothing out. Kafka's committed offsets are not used. A send that the log holds twice is one: msg_id names it.

    PARLEY_KAFKA=host:port PARLEY_POSTGRES="postgresql://…" ./per_minute.py [--prefix P] [--once]

--once: ends when everything that is there now is counted. README.md says how to run it.
"""
import argparse
import os
import signal
import sys

import psycopg2
import psycopg2.extras
from confluent_kafka import Consumer, KafkaError, TopicPartition

sys.path.insert(0, os.environ.get("PARLEY_GEN", os.path.join(os.path.dirname(os.path.abspath(__file__)), "gen")))
import client_pb2  # noqa: E402
import record_pb2  # noqa: E402

BATCH = 500
running = True


def stop(*_):
    global running
    running = False


def rows_of(messages):
    """(msg_id, conversation, minute) of each message; bytes that are no record are passed over, as by every reader."""
    for m in messages:
        record = record_pb2.ConvRecord()
        try:
            record.ParseFromString(m.value())
        except Exception:  # DecodeError has moved between versions
            continue
        if record.version == 1 and record.kind == client_pb2.CONV_MESSAGE:
            yield record.msg_id, record.conversation, m.timestamp()[1] // 60000


def count(db, part, messages):
    """One transaction: the fence, the new sends, their counts, the offset."""
    with db, db.cursor() as c:
        c.execute("SELECT next FROM per_minute_offsets WHERE part = %s FOR UPDATE", (part,))
        if c.fetchone()[0] != messages[0].offset():
            sys.exit(f"partition {part} is counted by somebody else too")  # start one of these, not two
        rows = list(rows_of(messages))
        fresh = []
        if rows:
            fresh = psycopg2.extras.execute_values(
                c, "INSERT INTO per_minute_seen (part, msg_id) VALUES %s ON CONFLICT (msg_id) DO NOTHING RETURNING msg_id",
                [(part, msg_id) for msg_id in {r[0] for r in rows}], fetch=True)
        fresh = {bytes(r[0]) for r in fresh}
        counts = {}
        for msg_id, conv, minute in rows:
            if msg_id in fresh:
                fresh.discard(msg_id)
                counts[conv, minute] = counts.get((conv, minute), 0) + 1
        if counts:
            psycopg2.extras.execute_values(
                c, "INSERT INTO per_minute (part, conv, minute, messages) VALUES %s ON CONFLICT (conv, minute) DO UPDATE "
                   "SET messages = per_minute.messages + excluded.messages",
                [(part, conv, minute, n) for (conv, minute), n in counts.items()])
        c.execute("UPDATE per_minute_offsets SET next = %s WHERE part = %s", (messages[-1].offset() + 1, part))


def positions(db, consumer, topic):
    """Where each partition goes on: its row, made at 0 the first time."""
    parts = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    with db, db.cursor() as c:
        for part in parts:
            c.execute("INSERT INTO per_minute_offsets VALUES (%s, 0) ON CONFLICT DO NOTHING", (part,))
        c.execute("SELECT part, next FROM per_minute_offsets")
        return [TopicPartition(topic, part, offset) for part, offset in c.fetchall() if part in parts]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--prefix", default="", help="topics.prefix of the deployment")
    args.add_argument("--once", action="store_true")
    args = args.parse_args()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    db = psycopg2.connect(os.environ.get("PARLEY_POSTGRES", "postgresql://127.0.0.1:5432/parley"))
    consumer = Consumer({
        "bootstrap.servers": os.environ.get("PARLEY_KAFKA", "127.0.0.1:9092"),
        "group.id": "per-minute-python",  # never committed to
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",     # an offset that is gone is an error, not a place to skip from
    })
    start = positions(db, consumer, args.prefix + "im.conversation")
    consumer.assign(start)
    ends = set()
    while running and not (args.once and len(ends) == len(start)):
        batch = {}
        for m in consumer.consume(BATCH, timeout=0.5):
            if m.error() is None:
                batch.setdefault(m.partition(), []).append(m)
            elif m.error().code() == KafkaError._PARTITION_EOF:
                ends.add(m.partition())
            elif not m.error().retriable() and m.error().code() != KafkaError._ALL_BROKERS_DOWN:
                sys.exit(f"Kafka: {m.error()}")
        for part, messages in batch.items():
            count(db, part, messages)
    consumer.close()
    db.close()


if __name__ == "__main__":
    main()
