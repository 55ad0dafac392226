"""fill.py: many records of im.conversation, as a router would have written them, as fast as Python can."""
import hashlib
import time

import confluent_kafka as ck
import dump
import record_pb2 as rec

CONVS = 200


def template(conv, a, b):
    r = rec.ConvRecord(version=1, rules=2, kind=1, conversation=conv, user=a, device=1, peer=b, user_login="bulk-a", peer_login="bulk-b",
                       source_part=0)
    r.settings.group_cap, r.settings.receipt_cap, r.settings.recall_limit_s = 10000, 100, 120
    r.body.text = "bulk"
    return r.SerializeToString()


def fill(bed, n):
    """Seconds until fanout and persister had them all."""
    begin = time.monotonic()
    p = ck.Producer({"bootstrap.servers": bed.servers.env["PARLEY_KAFKA"], "partitioner": "murmur2_random", "log_level": 2,
                     "queue.buffering.max.messages": 200000, "linger.ms": 20, "batch.num.messages": 10000})
    topic, convs = bed.prefix + "im.conversation", []
    for i in range(CONVS):
        a, b = (hashlib.blake2b(f"bulk {i} {x}".encode(), digest_size=16).digest() for x in "ab")
        conv = hashlib.blake2b(min(a, b) + max(a, b), digest_size=16, key=b"parley.direct").digest()
        convs.append((conv, template(conv, a, b)))
    for k in range(n):
        conv, head = convs[k % CONVS]
        more = rec.ConvRecord(client_seq=k // CONVS + 1, msg_id=k.to_bytes(16, "big"), source_offset=k).SerializeToString()
        while True:
            try:
                p.produce(topic, head + more, conv)  # fields may come in any order: two messages in a row are one
                break
            except BufferError:
                p.poll(0.1)
        if k % 1000 == 0:
            p.poll(0)
    p.flush(120)
    while True:
        behind = dump.lag(bed)
        if not behind["parley-fanout"] and not behind["parley-persister"]:
            return time.monotonic() - begin
        time.sleep(0.5)
