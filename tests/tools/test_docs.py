#!/usr/bin/env python3
"""What the pages claim is there: tests and files they name, and the generated ones are as their source says."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(os.environ.get("PARLEY_BUILD") or os.path.join(TREE, "build"), "bin")


def run(*args):
    r = subprocess.run([os.path.join(TREE, "tools", args[0]), *args[1:]], capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stderr


def test_named_tests_and_linked_files_exist():
    run("lint-docs")


def test_error_page_is_fresh():
    run("make-errors", "--check")


def test_configuration_page_is_fresh():
    run("make-configuration", BIN, "--check")


sys.exit(tap.run(dict(globals())))
