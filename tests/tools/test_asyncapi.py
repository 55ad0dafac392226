#!/usr/bin/env python3
"""docs/asyncapi.yaml is fresh, says what schema/topics.json says, and keeps the rules of AsyncAPI 3.0.

The rules are those of the specification's fixed fields, patterns and references, written down here: the official JSON
schema is not needed for the test. When PyYAML is there, the page itself is read with it.
"""
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(TREE, "tools", "make-asyncapi")
# object → (fields it must have, fields it may have besides); x-… is allowed everywhere
FIXED = {
    "root": ({"asyncapi", "info"}, {"id", "servers", "defaultContentType", "channels", "operations", "components"}),
    "info": ({"title", "version"}, {"description", "termsOfService", "contact", "license", "tags", "externalDocs"}),
    "license": ({"name"}, {"url"}),
    "server": ({"host", "protocol"}, {"protocolVersion", "pathname", "description", "title", "summary", "variables", "security",
                                      "tags", "externalDocs", "bindings"}),
    "channel": (set(), {"address", "messages", "title", "summary", "description", "servers", "parameters", "tags", "externalDocs",
                        "bindings"}),
    "operation": ({"action", "channel"}, {"title", "summary", "description", "security", "tags", "externalDocs", "bindings", "traits",
                                          "messages", "reply"}),
    "message": (set(), {"headers", "payload", "correlationId", "contentType", "name", "title", "summary", "description", "tags",
                        "externalDocs", "bindings", "examples", "traits"}),
    "schema": ({"schemaFormat", "schema"}, set()),
    "parameter": (set(), {"enum", "default", "description", "examples", "location"}),
    "components": (set(), {"schemas", "servers", "channels", "operations", "messages", "securitySchemes", "serverVariables",
                           "parameters", "correlationIds", "replies", "replyAddresses", "externalDocs", "tags", "operationTraits",
                           "messageTraits", "serverBindings", "channelBindings", "operationBindings", "messageBindings"}),
    "kafka channel": (set(), {"topic", "partitions", "replicas", "topicConfiguration", "bindingVersion"}),
    "kafka topic": (set(), {"cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes"}),
    "kafka operation": (set(), {"groupId", "clientId", "bindingVersion"}),
}


def document():
    return json.loads(subprocess.run([TOOL, "--json"], capture_output=True, text=True, check=True).stdout)


def spec():
    with open(os.path.join(TREE, "schema", "topics.json"), encoding="utf-8") as f:
        return json.load(f)


def fixed(kind, o, where):
    must, may = FIXED[kind]
    have = {k for k in o if not k.startswith("x-")}
    assert must <= have, f"{where}: misses {must - have}"
    assert have <= must | may, f"{where}: has {have - must - may}"


def resolve(doc, ref):
    assert ref.startswith("#/"), ref
    at = doc
    for step in ref[2:].split("/"):
        assert step in at, f"{ref} points nowhere"
        at = at[step]
    return at


def target(doc, o):
    return resolve(doc, o["$ref"]) if "$ref" in o else o


def check(doc):
    fixed("root", doc, "document")
    assert re.fullmatch(r"3\.0\.\d+", doc["asyncapi"])
    fixed("info", doc["info"], "info")
    fixed("license", doc["info"]["license"], "license")
    fixed("components", doc["components"], "components")
    for section in doc["components"].values():
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", k) for k in section)
    for name, server in doc["servers"].items():
        fixed("server", server, name)
        used = set(re.findall(r"\{(\w+)\}", server["host"]))
        assert used == set(server.get("variables", {})), name
    for name, m in doc["components"]["messages"].items():
        fixed("message", m, name)
        fixed("schema", m["payload"], name)
        assert m["headers"]["type"] == "object", name
    for name, channel in doc["channels"].items():
        check_channel(doc, name, channel)
    for name, operation in doc["operations"].items():
        check_operation(doc, name, operation)
    addresses = [c["address"] for c in doc["channels"].values()]
    assert len(addresses) == len(set(addresses))


def check_channel(doc, name, channel):
    fixed("channel", channel, name)
    assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel["parameters"]), name
    for p in channel["parameters"].values():
        fixed("parameter", target(doc, p), name)
    for m in channel["messages"].values():
        assert "payload" in target(doc, m), name
    kafka = channel["bindings"]["kafka"]
    fixed("kafka channel", kafka, name)
    fixed("kafka topic", kafka["topicConfiguration"], name)
    assert kafka["partitions"] > 0 and set(kafka["topicConfiguration"]["cleanup.policy"]) <= {"delete", "compact"}


def check_operation(doc, name, o):
    fixed("operation", o, name)
    assert o["action"] in ("send", "receive"), name
    resolve(doc, o["channel"]["$ref"])
    assert o["channel"]["$ref"].startswith("#/channels/"), name
    for m in o["messages"]:
        assert m["$ref"].startswith(o["channel"]["$ref"] + "/messages/"), f"{name}: a message of another channel"
        resolve(doc, m["$ref"])
    if "bindings" in o:
        fixed("kafka operation", o["bindings"]["kafka"], name)


def test_page_is_fresh():
    r = subprocess.run([TOOL, "--check"], capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stderr


def test_rules_of_asyncapi():
    check(document())


def test_page_reads_as_the_same_document():
    try:
        import yaml
    except ImportError:
        return
    with open(os.path.join(TREE, "docs", "asyncapi.yaml"), encoding="utf-8") as f:
        assert yaml.safe_load(f) == document()


def test_the_check_notices():
    def broken(change):
        doc = document()
        change(doc)
        try:
            check(doc)
        except (AssertionError, KeyError):
            return
        raise AssertionError("passed")
    broken(lambda d: d["channels"]["inbound"].update(subscribe={}))
    broken(lambda d: d["channels"]["inbound"].update(address="{other}im.inbound"))
    broken(lambda d: d["channels"]["user"].update(address=d["channels"]["vault"]["address"]))
    broken(lambda d: d["components"]["messages"].pop("Inbound"))
    broken(lambda d: d["operations"]["edge-sends-inbound"].update(action="publish"))
    broken(lambda d: d["operations"]["edge-sends-inbound"]["messages"][0].update({"$ref": "#/channels/user/messages/UserRecord"}))
    broken(lambda d: d.update(asyncapi="2.6.0"))


def test_every_topic_and_reader_is_there():
    doc, topics = document(), spec()
    assert set(doc["channels"]) == {t["id"] for t in topics["topics"]}
    for t in topics["topics"]:
        channel = doc["channels"][t["id"]]
        assert channel["x-key"] == t["key"] and channel["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] == t["retention_ms"]
        actions = [(o["action"], name.split("-")[0]) for name, o in doc["operations"].items()
                   if o["channel"]["$ref"] == "#/channels/" + t["id"]]
        readers = ["edge" if g == "slot" else g for g in t["readers"]] + t["viewers"]
        assert sorted(actions) == sorted([("send", w) for w in t["writers"]] + [("receive", r) for r in readers]), t["id"]


def test_processes_and_records_exist():
    with open(os.path.join(TREE, "Makefile"), encoding="utf-8") as f:
        processes = set(re.search(r"^PROC_NAMES := (.*)$", f.read(), re.M).group(1).split()) | {"parleyctl"}
    with open(os.path.join(TREE, "proto", "record.proto"), encoding="utf-8") as f:
        records = set(re.findall(r"^message (\w+) \{", f.read(), re.M))
    topics = spec()
    for t in topics["topics"]:
        assert t["record"] in records, t["id"]
        assert set(t["writers"]) | set(t["viewers"]) <= processes, t["id"]
        assert set(t["readers"]) <= set(topics["groups"]), t["id"]


sys.exit(tap.run(dict(globals())))
