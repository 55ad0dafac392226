"""What a store could lose or make up behind Parley's back. Each has to turn the verdict to NO."""
from serverlib.state import Failure

ITEM, ACCOUNT = 4, 1  # tables: offline/core.h, router/core.h


def do(name, dep, random):
    """What was done, in words."""
    return {"row": row, "queue": queue, "account": account, "twice": twice}[name](dep, random)


def row(dep, random):
    where = random.choice(dep.sql("SELECT encode(conv, 'hex') || ' ' || seq FROM messages WHERE kind = 1").splitlines()).split()
    dep.sql(f"DELETE FROM messages WHERE conv = decode('{where[0]}', 'hex') AND seq = {where[1]}")
    return f"{where[0][:8]}/{where[1]}"


def twice(dep, random):
    """The first message of a conversation of two once more, as its last."""
    conv = random.choice(dep.sql("SELECT encode(conv, 'hex') FROM messages GROUP BY conv HAVING max(kind) < 20").splitlines())
    columns = dep.sql("SELECT string_agg(quote_ident(attname), ',') FROM pg_attribute WHERE attrelid = 'messages'::regclass AND attnum > 0 "
                      "AND NOT attisdropped AND attname <> 'seq'")
    dep.sql(f"INSERT INTO messages (seq, {columns}) SELECT (SELECT max(seq) + 1 FROM messages WHERE conv = decode('{conv}', 'hex')), {columns} "
            f"FROM messages WHERE conv = decode('{conv}', 'hex') AND seq = 1")
    return f"{conv[:8]}/1"


def queue(dep, random):
    return hash_field(dep, random, "offline", ITEM)


def account(dep, random):
    return hash_field(dep, random, "router", ACCOUNT)


def hash_field(dep, random, group, table):
    keys = [k for k in dep.redis("KEYS", f"*parley-{group}:*:t{table}") if b":{" in k]
    if not keys:
        raise Failure(f"Redis has no table {table} of {group}")
    key = random.choice(sorted(keys))
    field = random.choice(sorted(dep.redis("HKEYS", key)))
    dep.redis("HDEL", key, field)
    return f"{key.decode()} {field[:8].hex()}"
