#!/usr/bin/env python3
"""check_clickhouse.py FILE GEN: is the file ClickHouse's SQL, and does the queue read fields that ConvRecord has?

The syntax is judged by sqlglot's ClickHouse dialect: each statement must be understood (not taken as an opaque command) and come
out as it went in. Exit status: 0 it is, 1 it is not (said what).
"""
import sys

import sqlglot
from sqlglot import exp

sys.path.insert(0, sys.argv[2])
import record_pb2  # noqa: E402

FITS = {"UInt32": "uint32", "UInt64": "uint64", "Int32": "enum int32", "Int64": "int64", "String": "string bytes"}


def proto_type(field):
    return next(name[5:].lower() for name in dir(field) if name.startswith("TYPE_") and getattr(field, name) == field.type)


def check_queue(create):
    fields = record_pb2.ConvRecord.DESCRIPTOR.fields_by_name
    for column in create.find_all(exp.ColumnDef):
        field = fields.get(column.name)
        kind = column.args["kind"].sql(dialect="clickhouse")
        if field is None:
            sys.exit(f"ConvRecord has no field {column.name}")
        if proto_type(field) not in FITS.get(kind, "").split():
            sys.exit(f"{column.name} is {proto_type(field)}, which does not go into {kind}")


with open(sys.argv[1], encoding="utf-8") as f:
    text = f.read()
statements = [s for s in sqlglot.parse(text, read="clickhouse", error_level=sqlglot.ErrorLevel.RAISE) if s is not None]
made = {}
for s in statements:
    if not isinstance(s, exp.Create):
        sys.exit(f"not understood: {s.sql(dialect='clickhouse')[:80]}")
    again = sqlglot.parse_one(s.sql(dialect="clickhouse"), read="clickhouse")
    if again.sql(dialect="clickhouse") != s.sql(dialect="clickhouse"):
        sys.exit(f"does not come out as it went in: {s.sql(dialect='clickhouse')[:80]}")
    made[s.find(exp.Table).name] = s
check_queue(made["parley_conversation_queue"])
if "'ProtobufSingle'" not in text or "record:ConvRecord" not in text:
    sys.exit("the queue does not read ProtobufSingle, ConvRecord")
select = made["parley_conversation_mv"].find(exp.Select)
kept = [c.name for c in made["parley_conversation"].find_all(exp.ColumnDef)]
given = [e.alias_or_name for e in select.expressions]
if kept != given:
    sys.exit(f"the view gives {given}, the table keeps {kept}")
print(f"{len(statements)} statements")
