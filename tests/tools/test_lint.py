#!/usr/bin/env python3
"""The layer and proto checks refuse what they must refuse, and pass what is right."""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def lint(tool, path, text):
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(folder, path), "w", encoding="utf-8") as f:
            f.write(text)
        r = subprocess.run([os.path.join(TREE, "tools", tool), path], cwd=folder, capture_output=True, text=True, check=False)
        return r.returncode, r.stderr


def refused(tool, path, text, word):
    status, message = lint(tool, path, text)
    assert status == 1 and word in message and path + ":" in message, (status, message)


def passed(tool, path, text):
    status, message = lint(tool, path, text)
    assert status == 0 and message == "", (status, message)


def include(what):
    return f'/* text */\n#include <stdio.h>\n#include "{what}"\n'


def test_base_must_not_know_im():
    refused("lint-layers", "common/base/x.c", include("common/im/conv.h"), "common/base must not include")


def test_process_must_not_know_another():
    refused("lint-layers", "router/x.c", include("edge/conn.h"), "router must not include")
    refused("lint-layers", "client/lib/x.h", include("edge/conn.h"), "client/lib must not include")


def test_includes_are_rooted():
    refused("lint-layers", "edge/x.c", include("conn.h"), "not rooted")
    refused("lint-layers", "edge/x.c", include("../common/base/core.h"), "not rooted")


def test_right_includes_pass():
    passed("lint-layers", "edge/x.c", include("edge/conn.h") + include("common/im/conv.h") + include("proto/record.pb-c.h"))
    passed("lint-layers", "tests/unit/test_x.c", include("edge/conn.h") + include("router/r.h"))


def proto(body):
    return 'syntax = "proto3";\npackage im;\n' + body


def test_recursive_messages():
    refused("lint-proto", "p/x.proto", proto("message A { A a = 1; }"), "recursive")
    refused("lint-proto", "p/x.proto", proto("message A { repeated B b = 1; }\nmessage B { oneof x { int32 i = 1; im.A a = 2; } }"),
            "recursive")
    refused("lint-proto", "p/x.proto", proto("message A { message In { A up = 1; } In in = 1; }"), "recursive")


def test_optional_maps_and_numbers():
    refused("lint-proto", "p/x.proto", proto("message A { optional int32 i = 1; }"), "optional")
    refused("lint-proto", "p/x.proto", proto("message A { map<string, int32> m = 1; }"), "map")
    refused("lint-proto", "p/x.proto", proto("message A { int32 i = 1; oneof x { int32 j = 1; } }"), "number 1")
    refused("lint-proto", "p/x.proto", 'syntax = "proto2";\nmessage A { required int32 i = 1; }', "proto3")


def test_right_protos_pass():
    passed("lint-proto", "p/x.proto", proto(
        "// optional words in comments\nenum E { E_NO = 0; }\nmessage A { E e = 1; repeated B b = 2 [packed = true]; reserved 4, 5; }\n"
        "message B { message C { bytes x = 1; } C c = 1; oneof k { C d = 2; string s = 3; } option deprecated = true; }"))


MATRIX = ["common/im/frame.c", "proto/client.proto", "tests/matrix/matrix.tsv", "tests/matrix/cells.py"]


def matrix(change):
    """What lint-matrix says of the tree with one file changed: (index, from, to)."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, path in enumerate(MATRIX):
            with open(os.path.join(TREE, path), encoding="utf-8") as f:
                text = f.read()
            if change and change[0] == i:
                assert change[1] in text, change
                text = text.replace(change[1], change[2], 1)
            paths.append(os.path.join(folder, os.path.basename(path)))
            with open(paths[-1], "w", encoding="utf-8") as f:
                f.write(text)
        r = subprocess.run([os.path.join(TREE, "tools", "lint-matrix"), *paths], capture_output=True, text=True, check=False)
        return r.returncode, r.stderr


def test_a_new_request_needs_a_row():
    assert matrix(None) == (0, "")
    for change, word in (
            ((0, "    T(ANNOUNCE,", "    T(LISTEN, A(MSG_ACK), AFTER, D(announce), NULL),\n    T(ANNOUNCE,"), "LISTEN: no row"),
            ((1, "  CONV_GROUP_MUTE = 27;", "  CONV_GROUP_PAINT = 99;\n  CONV_GROUP_MUTE = 27;"), "CONV_GROUP_PAINT: no row"),
            ((2, "GROUP_CHAT\tSEQUENCED", "GROUP_CHAT\tPERHAPS"), "what is 'PERHAPS'"),
            ((2, "\tNOT_A_MEMBER\tyes\n", "\tNOT_A_MEMBER\tno\n"), "a stranger could tell"),
            ((2, "MEMBERS_REQ\t", "MEMBERS_REQ other\t"), "not both in the table and in the cells")):
        status, message = matrix(change)
        assert status == 1 and word in message, (change, status, message)


def test_features_name_tests_that_exist():
    page = "| feature | tested by |\n|---|---|\n"
    passed("lint-features", "docs/features.md", page)
    refused("lint-features", "docs/features.md", page + "| talk | `test_talk: loudly` |\n", "there is no test_talk")
    refused("lint-features", "docs/features.md", page + "| talk | yes |\n", "a feature without a test")


sys.exit(tap.run(dict(globals())))
