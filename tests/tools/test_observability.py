#!/usr/bin/env python3
"""What is exported, alerted on and drawn: names, units, rules, runbooks, dashboards. Needs no server; promtool, when it is there, tries the rules."""
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(os.environ.get("PARLEY_BUILD") or os.path.join(TREE, "build"), "bin")
FOLDER = os.path.join(TREE, "compose/observability")
KINDS = ("edge", "router", "fanout", "persister", "offline", "query", "auditor", "webhooks")
WAIT_S = 60


def read(*path):
    with open(os.path.join(TREE, *path), encoding="utf-8") as f:
        return f.read()


def tool(*args, **kw):
    return subprocess.run([os.path.join(TREE, "tools", args[0]), *args[1:]], capture_output=True, text=True, check=False, **kw)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def page(port, process):
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as r:
                return r.read().decode()
        except OSError:
            assert process.poll() is None, f"ended with {process.returncode}"
            assert time.monotonic() < deadline, "no metrics"
            time.sleep(0.05)


def exported():
    """kind → its page. Servers are away: processes wait for them, and answer."""
    pages, running = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([os.path.join(BIN, "parleyctl"), "init", "--dir", folder], check=True, capture_output=True)
        env = dict(os.environ, PARLEY_CONFIG=os.path.join(folder, "parley.json"), PARLEY_KAFKA="127.0.0.1:1",
                   PARLEY_REDIS="redis://127.0.0.1:1", PARLEY_POSTGRES="host=127.0.0.1 port=1", PARLEY_EDGE_LISTEN="127.0.0.1:0",
                   PARLEY_TOPICS=os.path.join(TREE, "schema/topics.json"))
        try:
            for kind in KINDS:
                port = free_port()
                running[kind] = (port, subprocess.Popen([os.path.join(BIN, "parley-" + kind)], stderr=subprocess.DEVNULL,
                                                        env=dict(env, **{f"PARLEY_{kind.upper()}_HTTP": f"127.0.0.1:{port}"})))
            for kind, (port, process) in running.items():
                pages[kind] = page(port, process)
        finally:
            for _, process in running.values():
                process.kill()
                process.wait()
    return pages


_pages = {}


def pages():
    if not _pages:
        _pages.update(exported())
    return _pages


def rules():
    """alert → its lines"""
    text = read("compose/observability/rules/parley.yml")
    return {m.group(1): m.group(0) for m in re.finditer(r"- alert: (\w+)\n(?: {8}.*\n)+", text)}


def test_every_process_exports_well_named_metrics():
    with tempfile.TemporaryDirectory() as folder:
        for kind, text in pages().items():
            path = os.path.join(folder, kind)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            r = tool("lint-metrics", path)
            assert r.returncode == 0, r.stderr
            for name in ("parley_build_info{", "parley_loop_turn_seconds_count ", "parley_ready 0", "process_open_fds "):
                assert "\n" + name in text, f"{kind} has no {name}"


def test_bad_names_are_noticed():
    bad = ("# HELP parley_x_ms A time.\n# TYPE parley_x_ms gauge\nparley_x_ms 1\n", "# TYPE parley_y gauge\nparley_y 1\n",
           "# HELP parley_z Things.\n# TYPE parley_z counter\nparley_z 1\n", "# HELP other Things.\n# TYPE other gauge\nother 1\n",
           "parley_v 1\n", '# HELP parley_w Things.\n# TYPE parley_w gauge\nparley_w{user="ann"} 1\n')
    for text in bad:
        assert tool("lint-metrics", input=text).returncode == 1, text
    assert tool("lint-metrics", input="# HELP parley_good_total Good.\n# TYPE parley_good_total counter\nparley_good_total 1\n").returncode == 0


def test_the_page_and_the_dashboards_are_fresh():
    for name in ("make-metrics", "make-dashboards"):
        r = tool(name, "--check")
        assert r.returncode == 0, r.stderr


def queries():
    for path in glob.glob(os.path.join(FOLDER, "grafana/dashboards/*.json")):
        with open(path, encoding="utf-8") as f:
            board = json.load(f)
        assert board["uid"] and board["schemaVersion"] >= 36
        for p in board["panels"]:
            for target in p.get("targets", []):
                assert target["datasource"]["uid"] == "prometheus"
                yield path, target["expr"]
    yield "rules", read("compose/observability/rules/parley.yml")


def test_queries_ask_for_metrics_that_exist():
    names = set(re.findall(r"^# TYPE (\S+)", "\n".join(pages().values()), re.M))
    for path, text in queries():
        for name in set(re.findall(r"\b(?:parley|process)_[a-z0-9_]+", text)) - {"process_instance"}:
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            recorded = re.search(rf"record: \S*{name}", read("compose/observability/rules/parley.yml"))
            assert name in names or base in names or recorded, f"{path}: nobody exports {name}"


def test_every_alert_has_its_page():
    runbooks = read("docs/runbooks.md")
    headings = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^## (.+)$", runbooks, re.M)}
    found = rules()
    assert len(found) > 15
    for name, text in found.items():
        assert re.search(r"severity: (critical|warning|info)\b", text), name
        assert "summary:" in text, name
        anchor = re.search(r"runbook: docs/runbooks\.md#(\S+)", text)
        assert anchor and anchor.group(1) in headings, f"{name}: no such runbook"


def test_rules_do_what_they_should():
    tests = sorted(glob.glob(os.path.join(TREE, "tests/observability/*.test.yml")))
    tried = set(re.findall(r"alertname: (\w+)", "".join(read(t) for t in tests)))
    assert tried == set(rules()), f"not tried: {set(rules()) ^ tried}"
    if not shutil.which("promtool"):
        return  # Debian's package prometheus; the rest is checked without
    r = subprocess.run(["promtool", "check", "rules", os.path.join(FOLDER, "rules/parley.yml")], capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stderr
    r = subprocess.run(["promtool", "check", "config", "--syntax-only", os.path.join(FOLDER, "prometheus.yml")], capture_output=True,
                       text=True, check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    r = subprocess.run(["promtool", "test", "rules", *tests], capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stdout + r.stderr


sys.exit(tap.run(dict(globals())))
