#!/usr/bin/env python3
"""Records the table rows a real API server gives for ../src/table/recorded/cases.yaml.

  tools/record-tables.py https://127.0.0.1:6443 TOKEN > src/table/recorded/rows.jsonl

Run record.py first: it makes the namespace. One line per case: {"object", "columns": [[name, type, format, priority]],
"cells"}; the object as stored, without what differs from run to run."""
import json, os, subprocess, sys
import yaml

HERE = sys.path[0]
sys.argv = [sys.argv[0], sys.argv[1], sys.argv[2]]
source = open(HERE + "/record.py").read().split("call(\"POST\", \"/api/v1/namespaces\"")[0]
exec(source)

def table(path):
    request = urllib.request.Request(SERVER + path, None, {"Authorization": "Bearer " + TOKEN,
        "Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    with urllib.request.urlopen(request, context=CONTEXT) as response:
        return json.load(response)

for number, case in enumerate(yaml.load(open(HERE + "/../src/table/recorded/cases.yaml"), yaml.SafeLoader)):
    body = case["create"]
    path = resource(body["apiVersion"], body["kind"])
    name = body.get("metadata", {}).get("name", "t%d" % number)
    code, answer, _ = call("POST", path, {**body, "metadata": {**body.get("metadata", {}), "name": name}})
    if code != 201:
        sys.exit("%s: %s" % (name, answer))
    item = path + "/" + name
    if "status" in case:
        code, answer, _ = call("PATCH", item + "/status", {"status": case["status"]}, "application/merge-patch+json")
        if code != 200:
            sys.exit("%s: %s" % (name, answer))
    if case.get("delete"):
        call("DELETE", item)
    rows = table(item)
    stored = clean(call("GET", item)[1])
    columns = [[c["name"], c["type"], c["format"], c["priority"]] for c in rows["columnDefinitions"]]
    print(json.dumps({"object": stored, "columns": columns, "cells": rows["rows"][0]["cells"]}, sort_keys=True))
    call("PATCH", item, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    call("DELETE", item, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
    if body["kind"] == "Namespace":
        call("PUT", item + "/finalize", {"metadata": {"name": name}})
