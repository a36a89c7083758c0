#!/usr/bin/env python3
"""Records what a real API server answers to a fixed sequence of writes, for ../tests/recorded.rs to compare with.

Needs a kube-apiserver (no controllers) whose base URL and bearer token (of a cluster admin) are given, and writes
../data/recorded-writes.json: a list of {"name", "request", "before", "code", "after"}; `before` and `after` are the object as
stored before and as answered. Steps are more than a second apart, so that times of managedFields tell who wrote when.

    python3 crates/model/tools/record-writes.py https://127.0.0.1:6443 TOKEN
"""

import copy
import json
import pathlib
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

BASE, TOKEN = sys.argv[1].rstrip("/"), sys.argv[2]
CONTEXT = ssl._create_unverified_context()
NAMESPACE = "rec"
TYPES = {"json": "application/json-patch+json", "merge": "application/merge-patch+json",
         "strategic": "application/strategic-merge-patch+json", "apply": "application/apply-patch+yaml"}
OUT = []


def call(method, path, body=None, content_type="application/json"):
    request = urllib.request.Request(BASE + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + TOKEN)
    request.add_header("Content-Type", content_type)
    request.add_header("User-Agent", "recorder/1")
    try:
        with urllib.request.urlopen(request, context=CONTEXT) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        try:
            return error.code, json.loads(text)
        except ValueError:
            return error.code, {"text": text}


PREFIX = {"v1": "/api/v1"}


def path_of(kind, name="", subresource=""):
    api_version, plural, _, namespaced = kind
    base = PREFIX.get(api_version, "/apis/" + api_version)
    parts = [base] + (["namespaces", NAMESPACE] if namespaced else []) + [plural] + [x for x in (name, subresource) if x]
    return "/".join(parts)


CM = ("v1", "configmaps", "ConfigMap", True)
DEPLOYMENT = ("apps/v1", "deployments", "Deployment", True)
SERVICE = ("v1", "services", "Service", True)
PDB = ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", True)
HPA2 = ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True)
CRD = ("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", False)
TYPED = ("rec.io/v1", "typeds", "Typed", True)
FREE = ("rec.io/v1", "frees", "Free", True)
SA = ("v1", "serviceaccounts", "ServiceAccount", True)


def step(name, kind, verb, body, manager="", object_name="o", subresource="", force=False, **query):
    """One write; verb is create, update or a patch type."""
    time.sleep(1.05)
    _, before = call("GET", path_of(kind, object_name))
    before = None if before.get("kind") == "Status" else before
    if manager:
        query["fieldManager"] = manager
    if force:
        query["force"] = "true"
    if verb in ("create", "update", "apply") and "apiVersion" not in body:
        body = {"apiVersion": kind[0], "kind": kind[2], **body}
        body["metadata"] = {"name": object_name, **body.get("metadata", {})}
    target = path_of(kind, "" if verb == "create" else object_name, subresource)
    url = target + ("?" + urllib.parse.urlencode(query) if query else "")
    method = {"create": "POST", "update": "PUT"}.get(verb, "PATCH")
    code, after = call(method, url, body, TYPES.get(verb, "application/json"))
    # The scale subresource answers with a Scale: what counts is the object.
    if subresource == "scale" and code < 300:
        _, after = call("GET", path_of(kind, object_name))
    request = {"verb": verb, "apiVersion": kind[0], "kind": kind[2], "manager": manager or "recorder",
               "subresource": subresource, "force": force, "body": copy.deepcopy(body)}
    OUT.append({"name": name, "request": request, "before": before, "code": code, "after": after})


def wipe(kind, name="o"):
    call("DELETE", path_of(kind, name))


def data(**entries):
    return {"data": entries}


def config_maps():
    step("T-041 first apply", CM, "apply", data(a="1"), "m1")
    step("T-042 apply again", CM, "apply", data(a="1"), "m1")
    step("T-043 conflict", CM, "apply", data(a="2"), "m2")
    step("T-044 same value is shared", CM, "apply", data(a="1"), "m2")
    step("an apply that changes what one owns and no field", CM, "apply", {"metadata": {"labels": {}}, "data": {"a": "1"}}, "m2")
    step("T-045 one gives up", CM, "apply", {"data": {}}, "m1")
    step("T-046 the other gives up", CM, "apply", {}, "m2")
    step("apply of nothing to nothing", CM, "apply", {}, "m2")
    step("apply after nothing", CM, "apply", data(a="1", b="1"), "m1")
    step("T-047 force", CM, "apply", data(a="2"), "m2", force=True)
    step("T-051 several conflicts", CM, "apply", data(a="3", b="3"), "m3")
    step("an update takes fields", CM, "merge", data(a="9"), "u1")
    step("a conflict with an update", CM, "apply", data(a="8"), "m2")
    step("a removal by another", CM, "merge", data(b=None), "u1")
    step("T-049 managedFields in the body", CM, "apply", {"metadata": {"managedFields": []}}, "m1")
    step("T-050 another version", CM, "apply", {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "o"}}, "m1")
    step("another kind", CM, "apply", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "o"}}, "m1")
    step("a number where text is due", CM, "apply", {"data": {"a": 1}}, "m1")
    step("an unknown field", CM, "apply", {"spec": {"x": 1}}, "m1")
    step("null in a configuration", CM, "apply", {"data": {"a": None, "c": "1"}}, "m4")
    step("a null map in a configuration", CM, "apply", {"data": None}, "m4")
    step("labels and annotations by update", CM, "merge", {"metadata": {"labels": {"x": "1"}, "annotations": {"y": "1"}}}, "u2")
    step("an empty map set by apply", CM, "apply", {"metadata": {"labels": {}, "annotations": {"z": "1"}}}, "m4")
    step("managedFields cleared", CM, "merge", {"metadata": {"managedFields": []}}, "u2")
    step("an update of an untracked object", CM, "merge", data(q="1"), "u2")
    step("T-055 before-first-apply", CM, "apply", data(n="1"), "m1")
    entry = {"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:q": {}}}}
    step("managedFields written by a client", CM, "merge", {"metadata": {"managedFields": [entry]}}, "u2")
    step("managedFields and data written by a client", CM, "merge",
         {"metadata": {"managedFields": [entry]}, "data": {"q": "2"}}, "u3")
    step("undecodable managedFields", CM, "merge", {"metadata": {"managedFields": [{"manager": "x", "operation": "Jump"}]}}, "u3")
    wipe(CM)
    step("create", CM, "create", {"metadata": {"labels": {"a": "1"}, "finalizers": []}, "data": {"a": "1"}, "immutable": False}, "u")
    step("finalizers are a set", CM, "merge", {"metadata": {"finalizers": ["rec.io/a", "rec.io/b"]}}, "u")
    step("finalizers by apply", CM, "apply", {"metadata": {"finalizers": ["rec.io/c", "rec.io/b"]}}, "m1")
    step("fewer finalizers by apply", CM, "apply", {"metadata": {"finalizers": ["rec.io/c"]}}, "m1")
    step("a repeated finalizer", CM, "apply", {"metadata": {"finalizers": ["rec.io/c", "rec.io/c"]}}, "m1")
    step("update without change", CM, "merge", {"data": {"a": "1"}}, "other")
    step("update by PUT", CM, "update", {"data": {"a": "2", "z": "1"}}, "putter")
    for number in range(12):
        step(f"ancient changes {number}", CM, "merge", data(**{f"k{number:02}": "1"}), f"m{number:02}")
    call("PATCH", path_of(CM, "o"), {"metadata": {"finalizers": None}}, TYPES["merge"])
    wipe(CM)
    last = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o"}, "data": {"a": "1", "b": "1"}})
    step("client-side create", CM, "create",
         {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": last}}, "data": {"a": "1", "b": "1"}},
         "kubectl-client-side-apply")
    step("migration: other manager conflicts", CM, "apply", data(a="2"), "argocd-controller")
    step("migration: kubectl takes over", CM, "apply", data(a="2", b="1"), "kubectl")
    step("migration: kubectl drops a field", CM, "apply", data(a="2"), "kubectl")
    wipe(CM)


def pod_template(containers, **spec):
    return {"metadata": {"labels": {"a": "1"}}, "spec": {"containers": containers, **spec}}


def deployments():
    container = {"name": "a", "image": "x", "ports": [{"containerPort": 80}], "env": [{"name": "E", "value": "1"}], "args": ["1"]}
    spec = {"selector": {"matchLabels": {"a": "1"}}, "template": pod_template([container], volumes=[{"name": "v", "emptyDir": {}}])}
    step("create a Deployment", DEPLOYMENT, "create", {"metadata": {"labels": {"a": "1"}}, "spec": spec}, "kubectl-create")
    of_spec = lambda body: {"spec": {"template": {"spec": body}}}
    step("status by PUT", DEPLOYMENT, "merge", {"status": {"replicas": 1, "conditions": [
        {"type": "Available", "status": "True", "lastTransitionTime": None, "reason": "r"}]}}, "kcm", subresource="status")
    step("status and labels through status", DEPLOYMENT, "merge", {"metadata": {"labels": {"b": "2"}, "annotations": {"rev": "1"}},
         "status": {"readyReplicas": 1}}, "kcm", subresource="status")
    step("scale", DEPLOYMENT, "merge", {"spec": {"replicas": 3}}, "scaler", subresource="scale")
    step("T-034 a new container", DEPLOYMENT, "strategic", of_spec({"containers": [{"name": "b", "image": "y"}]}), "k")
    step("T-036 order", DEPLOYMENT, "strategic", of_spec({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
         "containers": [{"name": "b", "image": "z"}]}), "k")
    step("order with server-only items", DEPLOYMENT, "strategic", of_spec({"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
         "containers": [{"name": "c", "image": "z"}]}), "k")
    step("T-035 delete an item", DEPLOYMENT, "strategic", of_spec({"containers": [{"name": "b", "$patch": "delete"}]}), "k")
    step("nested lists and nulls", DEPLOYMENT, "strategic", of_spec({"containers": [{"name": "a", "args": None,
         "env": [{"name": "F", "value": "2"}, {"name": "E", "$patch": "delete"}], "ports": [{"containerPort": 81}]}]}), "k")
    step("replace a list", DEPLOYMENT, "strategic", of_spec({"containers": [{"name": "a", "env": [{"name": "G", "value": "1"}, {"$patch": "replace"}]}]}), "k")
    step("T-037 retainKeys", DEPLOYMENT, "strategic", {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}, "k")
    step("retainKeys of a volume", DEPLOYMENT, "strategic", of_spec({"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}), "k")
    step("replace a map", DEPLOYMENT, "strategic", of_spec({"securityContext": {"$patch": "replace", "runAsUser": 1}}), "k")
    step("delete a map", DEPLOYMENT, "strategic", of_spec({"securityContext": {"$patch": "delete"}}), "k")
    step("primitive lists", DEPLOYMENT, "strategic", {"metadata": {"finalizers": ["rec.io/b", "rec.io/a"]}}, "k")
    step("more primitives", DEPLOYMENT, "strategic", {"metadata": {"finalizers": ["rec.io/c"]}}, "k")
    step("delete primitives", DEPLOYMENT, "strategic", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["rec.io/a", "rec.io/x"]}}, "k")
    step("order of primitives", DEPLOYMENT, "strategic", {"metadata": {"$setElementOrder/finalizers": ["rec.io/c", "rec.io/b"]}}, "k")
    step("no finalizers", DEPLOYMENT, "strategic", {"metadata": {"finalizers": None}}, "k")
    for name, body in [
        ("an item without key", of_spec({"containers": [{"image": "y"}]})),
        ("an unknown directive in a list", of_spec({"containers": [{"name": "a", "$patch": "jump"}]})),
        ("an unknown directive in a map", of_spec({"securityContext": {"$patch": "jump"}})),
        ("a merge directive in a list", of_spec({"containers": [{"name": "a", "$patch": "merge"}]})),
        ("an order without field", of_spec({"$setElementOrder": []})),
        ("an order that is no list", of_spec({"$setElementOrder/containers": "a"})),
        ("a deletion without field", {"metadata": {"$deleteFromPrimitiveList": ["a"]}}),
        ("retainKeys that lack a field", {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}),
        ("an order that contradicts", of_spec({"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
                                                "containers": [{"name": "a", "image": "1"}, {"name": "c", "image": "1"}]})),
        ("a list of mixed types", of_spec({"containers": ["a"]})),
        ("a patch that is no object", [1]),
    ]:
        step("strategic error: " + name, DEPLOYMENT, "strategic", body, "k")
    applied = {"spec": {"selector": {"matchLabels": {"a": "1"}}, "template": pod_template([{"name": "s", "image": "s", "ports": [{"containerPort": 9}]}])}}
    step("T-052 another container by apply", DEPLOYMENT, "apply", applied, "m1")
    applied["spec"]["template"]["spec"]["containers"] = [{"name": "t", "image": "t"}]
    step("T-052 it is given up for another", DEPLOYMENT, "apply", applied, "m1")
    applied["spec"]["template"]["spec"]["containers"] = [{"name": "c", "image": "z"}, {"name": "t", "image": "t"}, {"name": "a", "image": "x"}]
    step("API-156 reordered by apply", DEPLOYMENT, "apply", applied, "m1", force=True)
    step("T-054 status on the main resource", DEPLOYMENT, "apply", {**applied, "status": {"replicas": 7}}, "m1")
    step("status by apply", DEPLOYMENT, "apply", {"status": {"replicas": 7}}, "m1", subresource="status", force=True)
    step("status by apply creates nothing", DEPLOYMENT, "apply", {"status": {"replicas": 7}}, "m1", "none", subresource="status")
    step("an unknown field", DEPLOYMENT, "apply", {"spec": {"foo": 1, "template": {"spec": {"bar": 1}}}}, "m1")
    step("an item without key", DEPLOYMENT, "apply", of_spec({"containers": [{"image": "y"}]}), "m1")
    step("a repeated item", DEPLOYMENT, "apply", of_spec({"containers": [{"name": "a"}, {"name": "a"}]}), "m1")
    step("a list where a map is due", DEPLOYMENT, "apply", {"spec": []}, "m1")
    step("text where a number is due", DEPLOYMENT, "apply", {"spec": {"replicas": "1"}}, "m1")
    step("text where a flag is due", DEPLOYMENT, "apply", {"spec": {"paused": "yes"}}, "m1")
    step("a map where a list is due", DEPLOYMENT, "apply", of_spec({"containers": {}}), "m1")
    step("null for a scalar", DEPLOYMENT, "apply", {"spec": {**applied["spec"], "minReadySeconds": 5, "replicas": None}}, "m1", force=True)
    step("a given up scalar", DEPLOYMENT, "apply", applied, "m1")
    wipe(DEPLOYMENT)
    step("a Deployment by apply", DEPLOYMENT, "apply", applied, "m1")
    step("another changes a field of an item", DEPLOYMENT, "strategic", of_spec({"containers": [{"name": "t", "image": "u"}]}), "editor")
    applied = {"spec": {**applied["spec"], "template": pod_template([{"name": "c", "image": "z"}])}}
    step("the item is given up, in which another owns a field", DEPLOYMENT, "apply", applied, "m1")
    step("without a field manager", DEPLOYMENT, "merge", {"spec": {"replicas": 2}})
    step("scale by apply's manager", DEPLOYMENT, "merge", {"spec": {"replicas": 5}}, "m1", subresource="scale")
    step("scale again", DEPLOYMENT, "merge", {"spec": {"replicas": 6}}, "m1", subresource="scale")
    wipe(DEPLOYMENT)


def others():
    ports = lambda *protocols: {"spec": {"ports": [{"name": p.lower(), "port": 80, "protocol": p} for p in protocols]}}
    step("T-053 a Service by apply", SERVICE, "apply", ports("TCP"), "m1")
    step("T-053 the other protocol", SERVICE, "apply", ports("UDP"), "m2")
    step("a selector is atomic", SERVICE, "apply", {"spec": {"selector": {"a": "1"}}}, "m3")
    step("a selector is in conflict whole", SERVICE, "apply", {"spec": {"selector": {"b": "1"}}}, "m4")
    step("the protocol is defaulted in keys", SERVICE, "apply", {"spec": {"ports": [{"port": 81, "name": "x"}]}}, "m3", force=True)
    step("ports by strategic patch", SERVICE, "strategic", {"spec": {"ports": [{"port": 82, "name": "y"}]}}, "k")
    wipe(SERVICE)
    selector = lambda **labels: {"spec": {"selector": {"matchLabels": labels}, "minAvailable": 1}}
    step("create a PDB", PDB, "create", selector(a="1"), "u")
    step("a map that is replaced", PDB, "strategic", selector(b="1"), "k")
    wipe(PDB)
    step("create an HPA", HPA2, "create", {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
         "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}}, "u")
    wipe(HPA2)
    step("secrets of a ServiceAccount", SA, "apply", {"imagePullSecrets": [{"name": "b"}, {"name": "a"}]}, "m1")
    step("more secrets", SA, "apply", {"imagePullSecrets": [{"name": "c"}, {"name": "a"}, {"name": "b"}]}, "m2")
    step("other order and fewer", SA, "apply", {"imagePullSecrets": [{"name": "b"}, {"name": "d"}]}, "m1")
    wipe(SA)


def crd(plural, kind, schema):
    return {"metadata": {"name": f"{plural}.rec.io"}, "spec": {"group": "rec.io", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}}]}}


def custom_resources():
    text, whole = {"type": "string"}, {"type": "integer"}
    item = {"type": "object", "required": ["name"], "properties": {"name": text, "port": {"type": "integer", "default": 80}, "v": text}}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "n": whole, "atomic": {"type": "array", "items": text}, "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "map": {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"]},
        "keyed": {"type": "array", "items": {"type": "object", "required": ["k"], "properties": {"k": text, "v": text}},
                  "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": text},
        "labels": {"type": "object", "additionalProperties": text}, "ios": {"x-kubernetes-int-or-string": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}},
        "status": {"type": "object", "properties": {"x": whole}}}}
    step("create a CRD", CRD, "create", crd("typeds", "Typed", schema), "u", "typeds.rec.io")
    step("a free CRD", CRD, "create", crd("frees", "Free", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}), "u", "frees.rec.io")
    time.sleep(6)
    spec = {"n": 1, "atomic": ["a"], "set": ["b", "a"], "map": [{"name": "x"}, {"name": "y", "port": 1, "v": "1"}], "whole": {"a": "1"},
            "labels": {"a": "1"}, "ios": "50%", "free": {"a": {"b": [1], "c": 1}}}
    step("create a custom resource", TYPED, "create", {"metadata": {"labels": {"l": "1"}}, "spec": spec, "status": {"x": 1}}, "u")
    step("its status", TYPED, "merge", {"status": {"x": 2}, "spec": {"n": 5}}, "c", subresource="status")
    step("a custom resource by update", TYPED, "merge", {"spec": {"n": 2, "set": ["a", "c"], "labels": {"b": "2"}, "free": {"a": 1}}}, "u2")
    step("a custom resource by apply", TYPED, "apply", {"spec": {"map": [{"name": "z"}, {"name": "x", "port": 80, "v": "2"}], "set": ["z"]}}, "m1", force=True)
    step("an apply with an unknown field", TYPED, "apply", {"spec": {"unknown": 1, "n": 2}}, "m2")
    step("an apply with a wrong type", TYPED, "apply", {"spec": {"n": "x"}}, "m2", force=True)
    step("an item without its key", TYPED, "apply", {"spec": {"map": [{"v": "1"}]}}, "m2", force=True)
    step("an item without any key", TYPED, "apply", {"spec": {"keyed": [{"v": "1"}]}}, "m2", force=True)
    step("a set of maps", TYPED, "apply", {"spec": {"set": [{"v": "1"}]}}, "m2", force=True)
    step("null for a scalar of a custom resource", TYPED, "apply", {"spec": {"n": None, "labels": None, "whole": None}}, "m5", force=True)
    step("an empty list by apply", TYPED, "apply", {"spec": {"map": [], "atomic": []}}, "m6", force=True)
    step("given up", TYPED, "apply", {"spec": {"map": [{"name": "x", "port": 80}]}}, "m1")
    wipe(TYPED)
    step("a custom resource by apply, new", TYPED, "apply", {"metadata": {"labels": {"l": "1"}}, "spec": spec}, "m1")
    wipe(TYPED)
    step("a free resource", FREE, "create", {"spec": {"a": {"b": 1, "l": [{"name": "x"}]}, "e": {}}, "more": 1}, "u")
    step("a free resource by apply", FREE, "apply", {"spec": {"a": {"c": 1}}, "more": 1}, "m1")
    step("a free field changes its type", FREE, "merge", {"spec": {"a": 3}, "more": {"x": 1}}, "u2")
    step("a free resource given up", FREE, "apply", {"more": {"x": 1}}, "m1", force=True)
    wipe(FREE)
    wipe(CRD, "typeds.rec.io")
    wipe(CRD, "frees.rec.io")


def patches():
    step("patches: create", CM, "create", data(a="1", b="1"))
    step("patches: a merge patch", CM, "merge", {"data": {"a": None, "c": {}}}, "k")
    step("patches: a merge patch of nothing", CM, "merge", {"data": {"b": "1"}}, "k")
    step("patches: a merge patch that is a list", CM, "merge", [1], "k")
    step("patches: a JSON patch", CM, "json", [{"op": "add", "path": "/data/d", "value": "1"}, {"op": "remove", "path": "/data/b"},
         {"op": "copy", "from": "/data/d", "path": "/data/e"}, {"op": "test", "path": "/data/e", "value": "1"}], "k")
    step("patches: a failed test", CM, "json", [{"op": "test", "path": "/data/d", "value": "2"}], "k")
    step("patches: a missing parent", CM, "json", [{"op": "add", "path": "/metadata/annotations/x", "value": "1"}], "k")
    step("patches: a missing path", CM, "json", [{"op": "remove", "path": "/data/none"}], "k")
    step("patches: replace of nothing", CM, "json", [{"op": "replace", "path": "/data/none", "value": "1"}], "k")
    step("patches: an unknown operation", CM, "json", [{"op": "jump", "path": "/data/d"}], "k")
    step("patches: an operation without path", CM, "json", [{"op": "remove"}], "k")
    step("patches: a JSON patch that is no list", CM, "json", {"op": "add"}, "k")
    step("patches: an operation that is text", CM, "json", ["x"], "k")
    step("patches: add a value without one", CM, "json", [{"op": "add", "path": "/data/n"}], "k")
    step("patches: too many operations", CM, "json", [{"op": "test", "path": "/data/d", "value": "1"}] * 10001, "k")
    OUT[-1]["request"]["body"] = "too many"
    wipe(CM)


def bodies():
    """Bodies that do not decode, and such that are brought into another form."""
    for name, kind, body in [
        ("T-012 a number as text", CM, {"data": {"a": 1}}),
        ("data is a list", CM, {"data": ["a"]}),
        ("binaryData is no base64", CM, {"binaryData": {"a": "%%"}}),
        ("binaryData is cut", CM, {"binaryData": {"a": "YQ"}}),
        ("null as text", CM, {"data": {"a": None, "b": ""}}),
        ("a flag as text", CM, {"immutable": "yes"}),
        ("labels with a number", CM, {"metadata": {"labels": {"a": 1}}}),
        ("a time that is none", CM, {"metadata": {"deletionTimestamp": "soon"}}),
        ("a time that is a number", CM, {"metadata": {"creationTimestamp": 1}}),
        ("replicas as text", DEPLOYMENT, {"spec": {"replicas": "3"}}),
        ("replicas with a fraction", DEPLOYMENT, {"spec": {"replicas": 1.5}}),
        ("replicas too large", DEPLOYMENT, {"spec": {"replicas": 3000000000}}),
        ("an env value as number", DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": 1}]}]}}}}),
        ("containers as a map", DEPLOYMENT, {"spec": {"template": {"spec": {"containers": {}}}}}),
        ("a pull policy as number", DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"imagePullPolicy": 1}]}}}}),
        ("spec as text", DEPLOYMENT, {"spec": "x"}),
        ("maxSurge as flag", DEPLOYMENT, {"spec": {"strategy": {"rollingUpdate": {"maxSurge": True}}}}),
        ("a quantity that is none", DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "x"}}}]}}}}),
        ("a quantity that is a flag", DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": True}}}]}}}}),
    ]:
        step("body: " + name, kind, "create", body, "u")
        wipe(kind)
    limits = {"cpu": "1000m", "memory": "1024Mi", "ephemeral-storage": 1024, "x.io/a": "1500", "x.io/b": "1"}
    step("body: quantities and empties", DEPLOYMENT, "create", {"metadata": {"labels": {"a": "1"}, "creationTimestamp": None, "annotations": {}},
        "spec": {"paused": False, "minReadySeconds": 0, "selector": {"matchLabels": {"a": "1"}},
        "template": {"metadata": {"labels": {"a": "1"}, "creationTimestamp": None}, "spec": {"nodeSelector": {}, "tolerations": [],
        "containers": [{"name": "c", "image": "x", "env": [{"name": "A", "value": ""}], "resources": {"limits": limits}, "stdin": False}]}}}, "status": {}}, "u")
    wipe(DEPLOYMENT)


def selectors():
    for query in ["labelSelector=a in (b", "labelSelector=a in b", "labelSelector=a b", "labelSelector==b", "labelSelector=a,", "labelSelector=n>x",
                  "labelSelector=a=$", "labelSelector=a$=b", "labelSelector=a in (b c)", "labelSelector=a in (", "labelSelector=a/b/c=1", "labelSelector=!",
                  "labelSelector=a=b c", "labelSelector=/a", "labelSelector=)",
                  "fieldSelector=name", "fieldSelector=spec.foo=1", "fieldSelector=a=b=c", "fieldSelector=metadata.name=\\x"]:
        key, value = query.split("=", 1)
        code, after = call("GET", path_of(CM) + "?" + urllib.parse.urlencode({key: value}))
        OUT.append({"name": "selector: " + query, "request": {"verb": "list", key: value}, "before": None, "code": code, "after": after})


def main():
    call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for kind in (CM, DEPLOYMENT, SERVICE, PDB, HPA2, SA, TYPED, FREE):
        call("PATCH", path_of(kind, "o"), {"metadata": {"finalizers": None}}, TYPES["merge"])
        wipe(kind)
    for part in (config_maps, deployments, others, custom_resources, patches, bodies, selectors):
        part()
    lines = ",\n".join(json.dumps(entry, separators=(",", ":"), sort_keys=True) for entry in OUT)
    path = pathlib.Path(__file__).resolve().parent.parent / "data" / "recorded-writes.json"
    path.write_text(f"[\n{lines}\n]\n")


main()
