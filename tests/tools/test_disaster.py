#!/usr/bin/env python3
"""tools/disasterlib/picture.py: two pictures that are the same, and each thing that may not be; what is shown in two places."""
import copy
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(os.path.dirname(HERE)), "tools")]
import tap  # noqa: E402
from disasterlib import picture  # noqa: E402

BEFORE = {"PostgreSQL": {"messages": (120, "5d41402abc4b2a76"), "accounts": (8, "7d793037a0760186")},
          "Redis": {"queues 0": (31, "9e107d9d372bb682")}, "log": {"im.conversation 0": (151, "")}}


def test_the_same_is_the_same():
    assert picture.differences(BEFORE, copy.deepcopy(BEFORE)) == []


def test_each_change_is_named():
    for part, name, changed in (("PostgreSQL", "messages", (119, "8a0c")), ("PostgreSQL", "messages", (120, "8a0c")),
                                ("Redis", "queues 0", (31, "8a0c")), ("log", "im.conversation 0", (152, "")), ("PostgreSQL", "accounts", None)):
        after = copy.deepcopy(BEFORE)
        after[part][name] = changed
        if changed is None:
            del after[part][name]
        found = picture.differences(BEFORE, after)
        assert len(found) == 1 and found[0].startswith(f"{part} {name}: "), found


def test_what_is_new_is_a_difference():
    after = copy.deepcopy(BEFORE)
    after["Redis"]["queues 1"] = (1, "00")
    assert picture.differences(BEFORE, after) == ["Redis queues 1: nothing before, 1 00 after"]


def see(**more):
    return {"what": "see", "user": "a" * 32, "device": 1, "sender": "b" * 32, "sdev": 1, "client_seq": 7, "conv": "c" * 32, "seq": 3, **more}


def test_shown_twice():
    assert picture.shown_twice([see(), see(), see(device=2), see(client_seq=8, seq=4), see(client_seq=0), see(client_seq=0, seq=9)]) == []
    assert len(picture.shown_twice([see(), see(seq=4)])) == 1
    assert len(picture.shown_twice([see(), see(conv="d" * 32)])) == 1
    assert picture.shown_twice([{"what": "ok", "client_seq": 7}]) == []


def test_only_lines_of_stores_count():
    text = '{"rebuilt": "queues", "partition": 0, "live": "x", "shadow": "x", "rows": 1, "equal": true}\n{"swapped": "queues"}\nqueues: agree\n'
    assert [j["partition"] for j in picture.store_lines(text)] == [0]


if __name__ == "__main__":
    sys.exit(tap.run(globals()))
