#!/usr/bin/env python3
"""Records what a real API server answers to ../src/kinds/recorded/cases.yaml.

  tools/record.py https://127.0.0.1:6443 TOKEN > src/kinds/recorded/answers.jsonl

The server needs no controllers; namespace `shop` and its ServiceAccount `default` are made here. One line per case:
{"name", "create", "then", "steps": [{"code", "object" | "message", "warnings"}]}, without what differs from run to run."""
import json, ssl, sys, urllib.error, urllib.request
import yaml

SERVER, TOKEN = sys.argv[1], sys.argv[2]
CONTEXT = ssl._create_unverified_context()

def call(method, path, body=None, content="application/json"):
    data = None if body is None else json.dumps(body, default=str).encode()
    request = urllib.request.Request(SERVER + path, data, {"Authorization": "Bearer " + TOKEN, "Content-Type": content}, method=method)
    try:
        with urllib.request.urlopen(request, context=CONTEXT) as response:
            return response.status, json.load(response), response.headers.get_all("Warning") or []
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        try:
            return error.code, json.loads(text), error.headers.get_all("Warning") or []
        except ValueError:
            return error.code, {"message": text}, []

PLURALS = {}
def resource(api_version, kind):
    base = "/api/v1" if api_version == "v1" else "/apis/" + api_version
    if base not in PLURALS:
        PLURALS[base] = {r["kind"]: r for r in call("GET", base)[1]["resources"] if "/" not in r["name"]}
    found = PLURALS[base][kind]
    return base + ("/namespaces/shop/" if found["namespaced"] else "/") + found["name"]

def clean(answer):
    meta = answer.get("metadata", {})
    for key in ("managedFields", "resourceVersion"):
        meta.pop(key, None)
    return answer

call("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
call("POST", "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "default"}})
for case in yaml.load(open(sys.path[0] + "/../src/kinds/recorded/cases.yaml"), yaml.SafeLoader):
    body = case["create"]
    path, name, steps = resource(body["apiVersion"], body["kind"]), case["name"], []
    def note(result):
        code, answer, warnings = result
        step = {"code": code}
        if code < 300:
            step["object"] = clean(answer)
        else:
            step["message"] = answer.get("message", "")
        if warnings:
            step["warnings"] = warnings
        steps.append(step)
    body = {**body, "metadata": {**body.get("metadata", {}), "name": name}}
    note(call("POST", path, body))
    for step in case.get("then", []):
        item = path + "/" + name + ("/" + step["sub"] if "sub" in step else "")
        if "patch" in step:
            note(call("PATCH", item, step["patch"], "application/merge-patch+json"))
        else:
            update = {**step["update"], "metadata": {"name": name}}
            note(call("PUT", item, update))
    call("PATCH", path + "/" + name, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    call("DELETE", path + "/" + name, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
    if body["kind"] == "Namespace":
        call("PUT", path + "/" + name + "/finalize", {"metadata": {"name": name}})
    print(json.dumps({**case, "steps": steps}, sort_keys=True))
