#!/usr/bin/env python3
"""The compatibility check passes what was added, and refuses what would make a record unreadable or unfindable."""
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROTO = """syntax = "proto3";
package im;
enum E { E_NONE = 0; E_ONE = 1; E_TWO = 2; }
message A {
  uint32 version = 1;
  repeated bytes ids = 2;
  oneof body { B b = 3; string s = 4; }
  message In { E e = 1; }
  reserved 9, 12 to 14;
}
message B { In2 in = 1; message In2 { int64 x = 1; } }
"""
TOPICS = {"slots": {"small": 8}, "groups": {"router": "parley-router"}, "topics": [
    {"id": "a", "name": "im.a", "key": "user", "partitions": {"small": 2}, "together": "user", "retention_ms": 1000, "cleanup": "delete",
     "readers": ["router"], "about": "x"},
    {"id": "b", "name": "im.b", "key": "user", "partitions": {"small": 2}, "together": None, "retention_ms": -1, "cleanup": "compact",
     "readers": [], "about": "y"}]}


def tool(folder, *args):
    r = subprocess.run([os.path.join(TREE, "tools", "lint-proto-compat"), "--proto", folder, "--lock", os.path.join(folder, "lock"),
                        "--topics", os.path.join(folder, "topics.json"), *args], capture_output=True, text=True, check=False)
    return r.returncode, r.stderr


def write(folder, proto, topics):
    with open(os.path.join(folder, "x.proto"), "w", encoding="utf-8") as f:
        f.write(proto)
    with open(os.path.join(folder, "topics.json"), "w", encoding="utf-8") as f:
        json.dump(topics, f)


def after(change=(), topics=None, first=PROTO, accept=False):
    """Released as `first`; what the check says once the texts of `change` are replaced and the topics changed."""
    with tempfile.TemporaryDirectory() as folder:
        write(folder, first, TOPICS)
        assert tool(folder, "--accept") == (0, "")
        assert tool(folder) == (0, "")
        proto, spec = first, json.loads(json.dumps(TOPICS))
        for old, new in change:
            assert old in proto, old
            proto = proto.replace(old, new, 1)
        if topics:
            topics(spec)
        write(folder, proto, spec)
        status, message = tool(folder, *(["--accept"] if accept else []))
        if accept and status == 0:
            assert tool(folder) == (0, "")
            write(folder, first, TOPICS)
            return tool(folder)
        return status, message


def breaks(word, *change, topics=None):
    status, message = after(change, topics)
    assert status == 1 and word in message, (status, message)
    status, message = after(change, topics, accept=True)
    assert status == 1 and word in message, ("accepted", message)


def passes(*change, topics=None):
    assert after(change, topics) == (0, "")


def test_the_tree_itself_passes():
    r = subprocess.run([os.path.join(TREE, "tools", "lint-proto-compat")], capture_output=True, text=True, check=False)
    assert r.returncode == 0 and r.stderr == "", r.stderr


def test_additions_pass_without_touching_the_lock():
    passes(("uint32 version = 1;", "uint32 version = 1; string more = 5;"))
    passes(("E_TWO = 2;", "E_TWO = 2; E_THREE = 3;"))
    passes(("message B", "message C { A a = 1; }\nmessage B"))
    passes(("string s = 4;", "string s = 4; bytes t = 6;"))
    passes(topics=lambda t: (t["topics"].append(dict(t["topics"][0], id="c", name="im.c")), t["groups"].update(more="parley-more"),
                             t["slots"].update(cluster=64), t["topics"][0]["readers"].append("more")))


def test_what_was_accepted_is_kept_from_then_on():
    status, message = after([("uint32 version = 1;", "uint32 version = 1; string more = 5;")], accept=True)
    assert status == 1 and "more = 5 is gone" in message, message


def test_fields():
    breaks("version = 1 is gone", ("uint32 version = 1;", ""))
    breaks("another type", ("uint32 version = 1;", "uint64 version = 1;"))
    breaks("another type", ("E e = 1;", "int32 e = 1;"))
    breaks("renamed", ("uint32 version = 1;", "uint32 revision = 1;"))
    breaks("version = 1 is gone", ("uint32 version = 1;", "uint32 version = 5;"))
    breaks("repeated", ("repeated bytes ids", "bytes ids"))
    breaks("oneof", ("string s = 4; }", "} string s = 4;"))
    breaks("x = 1 is gone", ("int64 x = 1;", ""))
    breaks("im.A.In is gone", ("message In { E e = 1; }", ""))
    breaks("renamed", ("repeated bytes ids = 2;", "repeated bytes other = 2; reserved \"ids\";"))


def test_reserved_numbers():
    passes(("uint32 version = 1;", "reserved 1;"))
    passes(("E_TWO = 2;", "reserved 2;"))
    breaks("was reserved and is used again", ("reserved 9, 12 to 14;", "reserved 12 to 14; uint32 z = 9;"))
    breaks("number 13 is not reserved any more", ("12 to 14", "14"))


def test_enums():
    breaks("E_TWO = 2 is gone", ("E_TWO = 2;", ""))
    breaks("means something else", ("E_TWO = 2;", "E_OTHER = 2;"))
    breaks("im.E is gone", ("enum E {", "enum F {"), ("E e = 1;", "F e = 1;"))


def test_topics():
    def change(**kw):
        return lambda t: t["topics"][0].update(kw)
    breaks("im.a: key", topics=change(key="conversation"))
    breaks("im.a: partitions", topics=change(partitions={"small": 4}))
    breaks("im.a: together", topics=change(together=None))
    breaks("im.a: cleanup", topics=change(cleanup="compact"))
    breaks("im.a: name", topics=change(name="im.z"))
    breaks("kept for a shorter time", topics=change(retention_ms=999))
    breaks("kept for a shorter time", topics=lambda t: t["topics"][1].update(retention_ms=5))
    breaks("im.b is gone", topics=lambda t: t["topics"].pop())
    breaks("groups router", topics=lambda t: t["groups"].update(router="other"))
    breaks("slots small", topics=lambda t: t["slots"].update(small=9))
    passes(topics=change(retention_ms=2000))
    passes(topics=change(retention_ms=-1))


sys.exit(tap.run(dict(globals())))
