#!/usr/bin/env python3
"""tests/faults/result.py: several partial runs make one page, which says what was run again and at which commits."""
import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "faults")]
import tap  # noqa: E402
from result import page, read  # noqa: E402


def made(**changed):
    return json.dumps({"fault": 1, "title": "one", "holds": "I1", "seed": 5, "operations": 10, "fired": 2, "recovery_s": 1.5, "verdicts": [],
                       "notes": [], "seconds": 60, "commit": "aaaaaaa", "date": "2026-01-02", "machine": "m", **changed})


def files(folder, *texts):
    paths = [os.path.join(folder, f"{i}.jsonl") for i in range(len(texts))]
    for path, text in zip(paths, texts):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return paths


def test_a_later_result_replaces_an_earlier_one():
    with tempfile.TemporaryDirectory() as folder:
        first = made(verdicts=[["lost", "a message"]]) + "\n" + made(title="another") + "\n" + made(seed=6) + "\n"
        results, again = read(files(folder, first, made(commit="bbbbbbb", why="mended") + "\n"))
    assert [(r["title"], r["seed"], r["commit"]) for r in results] == [("another", 5, "aaaaaaa"), ("one", 5, "bbbbbbb"), ("one", 6, "aaaaaaa")]
    assert len(again) == 1 and again[0]["verdicts"]
    text = page(results, again)
    for word in ("every run clean", "aaaaaaa (2 runs); bbbbbbb (1 runs)", "**lost** a message", "again at commit bbbbbbb: clean: mended"):
        assert word in text, word


def test_what_is_missing_and_what_is_not_clean_is_said():
    with tempfile.TemporaryDirectory() as folder:
        results, again = read(files(folder, made(verdicts=[["gap", "a hole"]])))
    text = page(results, again, [(1, "one"), (2, "two")])
    assert "1 runs NOT clean" in text and "2 (two): 0 of 1 seeds" in text and "**gap** a hole" in text, text


def test_a_file_that_is_being_written_is_read_as_far_as_it_goes():
    with tempfile.TemporaryDirectory() as folder:
        results, _ = read(files(folder, made() + "\n" + made(seed=6)[:40]))
        assert len(results) == 1
        try:
            read(files(folder, made()[:40] + "\n" + made() + "\n"))
        except ValueError as e:
            assert "line 1" in str(e)
        else:
            raise AssertionError("a broken line in the middle was taken")


sys.exit(tap.run(globals()))
