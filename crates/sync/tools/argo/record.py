#!/usr/bin/env python3
"""Asks Argo CD's comparison about the pairs of cases.yaml, or about random ones.

  KUBEBUILDER_ASSETS=DIR tools/argo/record.py                     writes src/diff/recorded.json
  KUBEBUILDER_ASSETS=DIR tools/argo/record.py --fuzz N SEED       N random pairs: Argo CD's answers beside ours
  KUBEBUILDER_ASSETS=DIR tools/argo/record.py --respected N SEED  what is sent where ignored differences are respected
  KUBEBUILDER_ASSETS=DIR tools/argo/record.py --server N SEED     comparisons by dry runs of the server, N at most
  KUBEBUILDER_ASSETS=DIR tools/argo/record.py --merged N SEED     objects that are applied from the server (3.5), N at most
  tools/argo/record.py --health N SEED                            the health of random objects
  tools/argo/record.py --windows N SEED                           whether random sync windows permit a sync
  tools/argo/record.py --projects N SEED                          whether random projects permit an object
  tools/argo/record.py --overruns N SEED                          whether random windows let a sync go on that is under way
  tools/argo/record.py --auto-sync N SEED                         what auto-sync does with random apps
  tools/argo/record.py --app-health N SEED                        the health of apps with random objects
  tools/argo/record.py --operations N SEED                        what is done with random operations, and how they stand then
  tools/argo/record.py --retries N SEED                           the wait of random retries
  tools/argo/record.py --deletions N SEED                         one pass of the deletion of random apps
  tools/argo/record.py --apps N SEED                              what a comparison finds of random apps

With `--argo 3.5` before them that version is asked instead of 3.6.

Starts the control plane of that directory, which says what each object of cases.yaml is once it is stored, and builds the
program in this folder, which is Argo CD's own code (Go fetches it). The test `recorded` of `src/diff.rs` has to answer as
recorded. With a number and a seed the objects are changed at random, and the example `argo` of this crate is asked the same: pairs
that the two see otherwise are printed, and the exit code is 1."""
import copy, json, os, random, re, subprocess, sys, time
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
CRATE = HERE.parent.parent
APPLIED, TRACKING = "kubectl.kubernetes.io/last-applied-configuration", "argocd.argoproj.io/tracking-id"
OURS = ["cargo", "run", "--quiet", "--package", "wavetank-sync", "--example", "argo"]
NEWEST, MANAGER = "3.6", "argocd-controller"
PLURALS = {"Endpoints": "endpoints", "NetworkPolicy": "networkpolicies"}


def plural(kind):
    return PLURALS.get(kind, kind.lower() + "s")


def store(plane, objects):
    """What Argo CD would send of each object, and what the server makes of it."""
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "demo"}})
    out = {}
    for name, target in objects.items():
        api, kind, meta = target["apiVersion"], target["kind"], target["metadata"]
        namespace = meta.get("namespace", "")
        group = api.rpartition("/")[0]
        meta.setdefault("annotations", {})[TRACKING] = f"app:{group}/{kind}:{namespace}/{meta['name']}"
        sent = copy.deepcopy(target)
        sent["metadata"]["annotations"][APPLIED] = json.dumps(target, sort_keys=True, separators=(",", ":")) + "\n"
        place = address(target)
        definition = kind == "CustomResourceDefinition"
        code, live = plane.ask("POST", place + ("" if definition else "?dryRun=All"), sent)
        if definition:
            for _ in range(100):
                time.sleep(0.1)
                live = plane.ask("GET", f"{place}/{meta['name']}")[1]
                if any(one["type"] == "Established" for one in live.get("status", {}).get("conditions", [])):
                    break
        if code != 201:
            raise SystemExit(f"{name}: {live}")
        out[name] = {"target": target, "live": live}
    return out


def parts(pointer):
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def place(document, pointer):
    *path, last = parts(pointer)
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document, int(last) if isinstance(document, list) else last


def patch(document, operations):
    for operation in operations:
        if operation["op"] == "move":
            owner, key = place(document, operation["from"])
            operation = {"op": "add", "path": operation["path"], "value": owner.pop(key)}
        owner, key = place(document, operation["path"])
        if operation["op"] == "remove":
            del owner[key]
        elif operation["op"] == "add" and isinstance(owner, list):
            owner.insert(key, operation["value"])
        else:
            owner[key] = operation["value"]


def pair(objects, case):
    target, live = copy.deepcopy(objects[case["of"]]["target"]), copy.deepcopy(objects[case["of"]]["live"])
    live["metadata"].pop("managedFields", None)
    annotations = live["metadata"]["annotations"]
    if "applied" in case and case["applied"] is None:
        del annotations[APPLIED]
    elif case.get("applied"):
        applied = json.loads(annotations[APPLIED])
        patch(applied, case["applied"])
        annotations[APPLIED] = json.dumps(applied)
    patch(target, case.get("target", []))
    patch(live, case.get("live", []))
    if "owners" in case:
        live["metadata"]["managedFields"] = [
            {"manager": name, "operation": "Apply" if name == MANAGER else "Update", "apiVersion": live["apiVersion"], "fieldsType": "FieldsV1", "fieldsV1": fields}
            for name, fields in case["owners"].items()
        ]
    way = next((way for way in ("merged", "respected") if case.get(way)), "compared")
    return {"target": target, "live": live, "ignored": case.get("ignored", []), "way": way}


def address(target):
    """The path of an object, and that of its kind."""
    api, meta = target["apiVersion"], target["metadata"]
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    namespace = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{root}{namespace}/{plural(target['kind'])}"


def applied(plane, chance, number, kind):
    """A random change of an object that was applied from the server and changed by somebody: the question, and a dry run."""
    base = copy.deepcopy(chance.random.choice(list(chance.objects.values()))["target"])
    if base["kind"] == "CustomResourceDefinition":
        return None, None
    base["metadata"]["name"] = f"n{number}"
    annotations = base["metadata"]["annotations"]
    annotations[TRACKING] = annotations[TRACKING].rpartition("/")[0] + f"/n{number}"
    place, apply = f"{address(base)}/n{number}", "application/apply-patch+yaml"
    first = copy.deepcopy(base)
    if chance.random.random() < 0.4:
        chance.change(first, False)
    if plane.ask("PATCH", place + f"?fieldManager={MANAGER}&force=true", first, apply)[0] not in (200, 201):
        return None, None
    for manager in chance.random.choice([[], ["hpa"], ["hpa", "somebody"]]):
        changed = plane.ask("GET", place)[1]
        if changed["metadata"].get("managedFields"):
            del changed["metadata"]["managedFields"]
        chance.change(changed, True)
        plane.ask("PUT", place + f"?fieldManager={manager}", changed)
    live = plane.ask("GET", place)[1]
    target = copy.deepcopy(base)
    for _ in range(chance.random.choice([0, 0, 1, 1, 2, 3])):
        chance.change(target, False)
    ignored = [chance.ignored(target, live, ["hpa", "somebody"])] if chance.random.random() < 0.4 else []
    question = {"target": target, "live": live, "ignored": ignored, "way": kind}
    return question, lambda sent: plane.ask("PATCH", place + f"?fieldManager={MANAGER}&force=true&dryRun=All", sent, apply)[1]


class Program:
    """A program that answers lines with lines, and asks for dry runs between."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question, dry_run=None):
        self.say(question)
        while "dryRun" in (answer := json.loads(self.process.stdout.readline())):
            self.say(dry_run(answer["dryRun"]))
        return answer

    def say(self, value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()


def record(objects, cases, types):
    asked = {version: Program(build(version), types) for version in {case.get("argo", NEWEST) for case in cases}}
    for case in cases:
        answer = asked[case.get("argo", NEWEST)].ask(pair(objects, case))
        answered = "sent" if case.get("respected") else "modified"
        case[answered] = answer.get("error") or answer[answered]
    for one in objects.values():
        one["live"]["metadata"].pop("managedFields", None)
    lines = [f'    {json.dumps(name)}: {json.dumps(one, sort_keys=True)}' for name, one in objects.items()]
    text = '{\n  "objects": {\n' + ",\n".join(lines) + '\n  },\n  "cases": [\n'
    text += ",\n".join("    " + json.dumps(case) for case in cases) + "\n  ]\n}\n"
    (CRATE / "src" / "diff" / "recorded.json").write_text(text)


class Chance:
    """Random changes of the pairs."""

    def __init__(self, seed, objects):
        self.random, self.objects = random.Random(seed), objects

    def paths(self, value, path=()):
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, below in inner:
            if path + (key,) not in {("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace"), ("metadata", "managedFields")} and key != APPLIED:
                yield path + (key,)
            if path + (key,) != ("metadata", "managedFields"):
                yield from self.paths(below, path + (key,))

    def owner(self, document, path):
        for key in path[:-1]:
            document = document[key]
        return document

    def change(self, document, stored):
        paths = list(self.paths(document))
        if not paths:
            return
        path = self.random.choice(paths)
        owner, key = self.owner(document, path), path[-1]
        value = owner[key]
        kinds = ["remove", "other", "label", "field"] + ([] if stored else ["empty", "null", "quantity"])
        kinds += ["turn", "twice"] * (2 if isinstance(value, list) else isinstance(owner, list))
        kind = self.random.choice(kinds)
        if kind == "remove":
            del owner[key]
        elif kind == "other" and not isinstance(value, (dict, list)):
            owner[key] = (not value) if isinstance(value, bool) else value + 1 if isinstance(value, (int, float)) else (value or "") + "x"
        elif kind == "label" and isinstance(document["metadata"].setdefault("labels", {}), dict):
            document["metadata"]["labels"]["new"] = "1"
        elif kind == "field" and isinstance(owner, dict):
            owner["newField"] = "x"
        elif kind == "empty" and value is not None:
            owner[key] = type(value)()
        elif kind == "null":
            owner[key] = None
        elif kind == "quantity" and key in ("cpu", "memory", "storage", "averageValue"):
            owner[key] = self.random.choice(["1", "1000m", "1024Mi", "1Gi", "0.5", "500m", 1, 0.5, 2, "1e3", "1.5Gi"])
        elif kind in ("turn", "twice"):
            items = value if isinstance(value, list) else owner
            if kind == "turn":
                items.reverse()
            elif items:
                items.append(copy.deepcopy(self.random.choice(items)))

    def ignored(self, target, live, managers=("Python-urllib", "hpa")):
        # The live object has its labels and annotations.
        path = self.random.choice(list(self.paths(self.random.choice([target, live]))) or [("metadata", "uid")])
        entry = {"group": target["apiVersion"].rpartition("/")[0], "kind": target["kind"]}
        kind = self.random.choice(["pointer", "jq", "manager"])
        if kind == "pointer":
            entry["jsonPointers"] = ["".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)]
        elif kind == "jq":
            entry["jqPathExpressions"] = ["." + "".join(f"[{json.dumps(key)}]" for key in path)]
        else:
            entry["managedFieldsManagers"] = [self.random.choice(managers)]
        return entry

    def pair(self, respected=False):
        base = self.random.choice(list(self.objects.values()))
        target, live = copy.deepcopy(base["target"]), copy.deepcopy(base["live"])
        annotations = live["metadata"]["annotations"]
        way = self.random.random()
        if way < 0.35:
            del annotations[APPLIED]
        elif way < 0.6:
            applied = json.loads(annotations[APPLIED])
            self.change(applied, False)
            annotations[APPLIED] = json.dumps(applied)
        for _ in range(self.random.choice([0, 0, 1, 1, 2, 3])):
            self.change(target, False)
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            self.change(live, True)
        for owner in live["metadata"].get("managedFields", [])[:1]:
            owner["manager"] = self.random.choice(["Python-urllib", "hpa"])
        some = self.random.choice([1, 2] if respected else [0, 0, 1, 2])
        return {"target": target, "live": live, "ignored": [self.ignored(target, live) for _ in range(some)], "way": "respected" if respected else "compared"}


class Statuses:
    """Random changes of the objects of health.yaml: values of one name and type move between all of them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.objects = [one for one in yaml.safe_load_all((HERE / "health.yaml").read_text()) if one]
        self.values = {}
        for one in self.objects:
            self.learn(one)

    def learn(self, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                known = self.values.setdefault(key, [])
                if inner not in known:
                    known.append(inner)
                self.learn(inner)
        elif isinstance(value, list):
            for inner in value:
                self.learn(inner)

    def places(self, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key not in ("apiVersion", "kind"):
                    yield value, key
                    yield from self.places(inner)
        elif isinstance(value, list):
            for at, inner in enumerate(value):
                yield value, at
                yield from self.places(inner)

    def change(self, value):
        places = list(self.places(value))
        if not places:
            return
        owner, key = self.random.choice(places)
        way = self.random.random()
        if way < 0.25:
            del owner[key]
        elif way < 0.3:
            owner[key] = type(owner[key])()
        elif isinstance(owner, list) and way < 0.4:
            owner.append(copy.deepcopy(self.random.choice(owner)))
        elif type(owner[key]) is int and way < 0.7:
            owner[key] = self.random.randrange(4)
        elif isinstance(owner, dict):
            other = self.random.choice([name for name in owner if name not in ("apiVersion", "kind")] + [key] * 3)
            same = [value for value in self.values.get(other, []) if type(value) is type(owner[other]) is not dict]
            owner[other] = copy.deepcopy(self.random.choice(same or [owner[other]]))

    def question(self):
        live = copy.deepcopy(self.random.choice(self.objects))
        for _ in range(self.random.choice([0, 1, 1, 2, 3, 5])):
            self.change(live)
        if not isinstance(live.get("metadata"), dict):
            live["metadata"] = {}
        live["metadata"].update(name="n", namespace="demo")
        if self.random.random() < 0.05:
            live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        return {"live": live, "way": "assessed"}


class Windows:
    """Random sync windows and times. Zones count by their offset at the time of asking: times are of the days around."""

    FIELDS = [(0, 59, []), (0, 23, []), (1, 31, []), (1, 12, ["jan", "NOV", "dec"]), (0, 6, ["sun", "mon", "Sat"])]
    DURATIONS = ["1h", "30m", "90s", "24h", "1h30m", "36h", "200h", "0s"]
    ZONES = ["", "UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Nowhere/Land"]

    def __init__(self, seed):
        self.random, self.day = random.Random(seed), int(time.time() // 86400) * 86400

    def field(self, low, high, names):
        one = lambda: str(self.random.randint(low, high)) if not names or self.random.random() < 0.7 else self.random.choice(names)
        kind = self.random.random()
        if kind < 0.45:
            return "*"
        if kind < 0.6:
            return f"*/{self.random.choice([1, 2, 3, 5, 7, 15, 40])}"
        if kind < 0.8:
            return one()
        if kind < 0.9:
            return f"{one()}-{one()}" + self.random.choice(["", "/2", "/3"])
        return self.random.choice([f"{one()},{one()},{one()}", f"{one()}/4", "?", f"{high + 1}", "x", f"{one()}-{one()},{one()}"])

    def window(self):
        schedule = " ".join(self.field(*field) for field in self.FIELDS)
        if self.random.random() < 0.02:
            schedule = self.random.choice(["", "@daily", "* * * *", "* * * * * *", "  5  *  * * * "])
        return {
            "kind": self.random.choice(["allow", "deny"]),
            "schedule": schedule,
            "duration": self.random.choice(self.DURATIONS if self.random.random() < 0.9 else ["1.5h", "-1h", "1", ""]),
            "applications": ["*"],
            "manualSync": self.random.random() < 0.4,
            "timeZone": self.random.choice(self.ZONES),
        }

    def question(self):
        at = self.day + self.random.choice([self.random.randrange(86400 * 3), self.random.randrange(48) * 3600])
        # A moment later than ours: there a window opens just after the time that its schedule names.
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + self.random.choice([".000000001Z", ".5Z"])
        windows = [self.window() for _ in range(self.random.choice([1, 1, 2, 3]))]
        return {"windows": windows, "manual": self.random.random() < 0.4, "at": at, "way": "permitted"}


class Overruns(Windows):
    """Random windows that are perhaps open now, and when a sync began."""

    def window(self):
        window = super().window()
        if self.random.random() < 0.8:
            around = time.gmtime(time.time() + self.random.randrange(-7200, 1800))
            window["schedule"] = f"{around.tm_min} {around.tm_hour} * * *"
            window["timeZone"] = ""
        window["syncOverrun"] = self.random.random() < 0.7
        return window

    def question(self):
        # Not within a moment at which a window may open or close: each asks its own clock.
        if not 0.2 < (now := time.time()) % 30 < 29.5:
            time.sleep(1)
            now = time.time()
        stamp = lambda at: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".5Z"
        started = {"started": stamp(now - self.random.randrange(14400))} if self.random.random() < 0.9 else {}
        windows = [self.window() for _ in range(self.random.choice([1, 1, 2, 3]))]
        return {"windows": windows, "manual": self.random.random() < 0.4, "at": stamp(now), "way": "overrun", **started}


class AutoSyncs:
    """Random apps that were perhaps synced before, and how they compare."""

    SOURCE = {"repoURL": "https://example.com/repo.git", "path": "app", "targetRevision": "main"}

    def __init__(self, seed):
        self.random = random.Random(seed)

    def maybe(self, chance, **values):
        return values if self.random.random() < chance else {}

    def policy(self):
        switches = {name: self.random.random() < 0.6 for name in ("prune", "selfHeal", "allowEmpty", "enabled") if self.random.random() < 0.8}
        retry = {"limit": self.random.randrange(-1, 6), **self.maybe(0.5, backoff={"duration": "5s", "factor": 2, "maxDuration": "3m"})}
        return {**self.maybe(0.95, automated=switches), **self.maybe(0.3, retry=retry)}

    def state(self, now):
        over = now - self.random.choice([0, 1, 3, 7, 20, 50, 100, 200, 290, 400])
        phase = self.random.choice(["Succeeded"] * 5 + ["Failed", "Error", "Running", "Terminating"])
        sync = self.maybe(0.7, autoHealAttemptsCount=self.random.choice([1, 2, 3, 4, 5, 6, 7, 30]))
        source = {**self.SOURCE, **self.maybe(0.15, path="other")}
        ended = self.maybe(1 if phase in ("Succeeded", "Failed", "Error") else 0, finishedAt=self.stamp(over))
        result = self.maybe(0.9, syncResult={"revision": self.random.choice(["r1", "r1", "r2"]), "source": source})
        return {"phase": phase, "message": "why", "startedAt": self.stamp(over - 5), "operation": {"sync": sync}, **ended, **result}

    def stamp(self, at):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

    def resource(self, number):
        status, pruned = self.random.choice([("Synced", False), ("OutOfSync", False), ("OutOfSync", True), ("Unknown", False), ("", False)])
        group, kind = self.random.choice([("", "ConfigMap"), ("apps", "Deployment"), ("batch", "Job")])
        return {"group": group, "kind": kind, "namespace": "demo", "name": f"n{number}", "status": status, "requiresPruning": pruned}

    def moment(self):
        """Now, away from the moments at which a wait is over: each asks its own clock."""
        if not 0.3 < (now := time.time()) % 1 < 0.7:
            time.sleep((1.4 - now % 1) % 1)
            now = time.time()
        return now

    def exactly(self, now):
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f"{now % 1:.6f}"[1:] + "Z"

    def question(self):
        now = self.moment()
        state = self.maybe(0.85, operationState=self.state(int(now)))
        under_way = state and state["operationState"]["phase"] in ("Running", "Terminating")
        app = {
            "metadata": {"name": "app", "namespace": "argocd", **self.maybe(0.05, deletionTimestamp=self.stamp(now))},
            "spec": {"source": self.SOURCE, "destination": {"server": "https://kubernetes.default.svc"}, "project": "default", "syncPolicy": self.policy()},
            "status": state,
            **self.maybe(1 if under_way else 0.05, operation={"sync": {}}),
        }
        sync = {"status": self.random.choice(["OutOfSync"] * 8 + ["Synced", "Unknown"]), "revision": "r1"}
        only = self.random.choice([None, None, {"status": "OutOfSync", "requiresPruning": True}])
        resources = [{**self.resource(number), **(only or {})} for number in range(self.random.choice([0, 1, 2, 3, 5]))]
        return {"app": app, "sync": sync, "resources": resources, "at": self.exactly(now), "way": "decided"}


class AppHealths(Statuses):
    """Apps with random objects: some desired, some in the cluster, hooks and copies among them."""

    MARKS = [{}] * 12 + [{"argocd.argoproj.io/hook": "PreSync"}, {"argocd.argoproj.io/hook": "Skip"}, {"helm.sh/hook": "post-install"}, {"helm.sh/hook": "crd-install"}, {"argocd.argoproj.io/ignore-healthcheck": "true"}, {"argocd.argoproj.io/ignore-healthcheck": "True"}]

    def pair(self, number):
        live = super().question()["live"]
        live["metadata"].update(name=self.random.choice(["app", f"n{number}"]), namespace=self.random.choice(["demo", "argocd"]))
        live["metadata"]["annotations"] = dict(self.random.choice(self.MARKS))
        target = copy.deepcopy(live)
        target["metadata"]["annotations"] = dict(self.random.choice(self.MARKS))
        # A hook that is desired and not there is none of the objects that are compared.
        way = self.random.random()
        if way < 0.2 and not any(key.endswith("/hook") for key in target["metadata"]["annotations"]):
            return {"target": target}
        return {"live": live} if way < 0.35 else {"live": live, "target": target}

    def question(self):
        pairs = [self.pair(number) for number in range(self.random.choice([0, 1, 1, 2, 3, 5, 8]))]
        return {"app": {"metadata": {"name": "app", "namespace": "argocd"}}, "pairs": pairs, "way": "appHealth"}


class Deletions:
    """Random apps that are being deleted, with hooks, waves and objects that stay; some names say what a request brings."""

    CASCADE = ["resources-finalizer.argocd.argoproj.io", "resources-finalizer.argocd.argoproj.io/foreground", "resources-finalizer.argocd.argoproj.io/background"]
    PHASES = ["pre-delete-finalizer.argocd.argoproj.io", "post-delete-finalizer.argocd.argoproj.io", "post-delete-finalizer.argocd.argoproj.io/cleanup", "pre-delete-finalizer.argocd.argoproj.io/cleanup"]
    HOOKS = [{"argocd.argoproj.io/hook": text} for text in ("PreDelete", "PostDelete", "PreDelete,PostDelete", " PostDelete , Sync", "PreSync", "predelete", "Skip")]
    HOOKS += [{"helm.sh/hook": text} for text in ("pre-delete", "post-delete", "pre-delete,post-install", "pre-install")]
    POLICIES = [{"argocd.argoproj.io/hook-delete-policy": text} for text in ("HookSucceeded", "HookFailed", "BeforeHookCreation", "HookFailed,HookSucceeded", "HookFailed, BeforeHookCreation", "never")]
    POLICIES += [{"helm.sh/hook-delete-policy": text} for text in ("hook-succeeded", "hook-failed", "before-hook-creation,hook-succeeded")]
    OPTIONS = [{"argocd.argoproj.io/sync-options": text} for text in ("Delete=false", "Delete=confirm", "Prune=confirm", "Prune=false", "Delete=false,Prune=confirm", "Delete=true")]
    OPTIONS += [{"helm.sh/resource-policy": "keep"}, {"helm.sh/resource-policy": "stay"}]
    KINDS = [("batch/v1", "Job"), ("batch/v1", "Job"), ("v1", "Pod"), ("v1", "ConfigMap"), ("rbac.authorization.k8s.io/v1", "ClusterRole"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")]
    ENDS = {
        "Job": [{}, {"active": 1}, {"conditions": [{"type": "Complete", "status": "True"}]}, {"conditions": [{"type": "Failed", "status": "True"}]}, {"conditions": [{"type": "Suspended", "status": "True"}]}],
        "Pod": [{"phase": phase} for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown", "")],
    }

    def __init__(self, seed):
        self.random = random.Random(seed)

    def some(self, chance, choices):
        return dict(self.random.choice(choices)) if self.random.random() < chance else {}

    def pair(self, number, alike):
        api, kind = self.random.choice(self.KINDS)
        scoped = kind in ("ClusterRole", "CustomResourceDefinition")
        name = self.random.choice([f"n{number}"] * 6 + ["there", "gone", "forbidden"])
        marks = {**self.some(alike, self.HOOKS), **self.some(0.4, self.POLICIES), **self.some(0.2, self.OPTIONS)}
        marks.update({"argocd.argoproj.io/sync-wave": self.random.choice(["-1", "1", "2", "x"])} if self.random.random() < 0.3 else {})
        space = {} if scoped or self.random.random() < 0.2 else {"namespace": self.random.choice(["demo", "demo", "other"])}
        target = {"apiVersion": api, "kind": kind, "metadata": {"name": name, **space, "annotations": marks}}
        if kind == "CustomResourceDefinition":
            target["spec"] = {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}}
        live = copy.deepcopy(target)
        live["metadata"].update({} if scoped else {"namespace": space.get("namespace", "demo")}, uid=f"u{number}")
        # A hook that is desired is not compared, and what it asks for is not known.
        is_hook = any(key.endswith("/hook") for key in marks)
        live["metadata"]["annotations"].update({TRACKING: "app:x/y:z/n"}, **self.some(0 if is_hook else 0.1, self.OPTIONS))
        if self.random.random() < 0.05:
            live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:10Z"
        if kind == "Pod":
            target["spec"] = live["spec"] = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "a"}]}
        live["status"] = self.random.choice(self.ENDS.get(kind, [{}]))
        way = self.random.random()
        return {"target": target} if way < 0.25 else {"live": live} if way < 0.45 else {"target": target, "live": live}

    def project(self):
        project = {"name": "default", "destinations": [{"server": "*", "namespace": self.random.choice(["*"] * 5 + ["demo"])}], "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}
        if self.random.random() < 0.1:
            project["namespaceResourceBlacklist"] = [{"group": "batch", "kind": "Job"}]
        if self.random.random() < 0.1:
            project["clusterResourceWhitelist"] = []
        return project

    def question(self):
        # Behind the first ones there is something that ends the pass.
        phases = [phase for phase in self.PHASES[:1] if self.random.random() < 0.4]
        rest = self.random.choice([self.CASCADE] * 2 + [self.PHASES[1:]])
        finalizers = phases + self.random.sample(rest, self.random.choice([1, 1, 2, 3]))
        alike = self.random.choice([0.2, 0.7, 0.95])
        pairs, known = [], set()
        for number in range(self.random.choice([0, 1, 2, 2, 3, 5])):
            pair = self.pair(number, alike)
            of = (pair.get("live") or pair["target"])
            key = (of["kind"], of["metadata"].get("namespace", "demo"), of["metadata"]["name"])
            if key not in known:
                known.add(key)
                pairs.append(pair)
        options = [option for option in ("Delete=confirm", "Delete=false", "Prune=confirm") if self.random.random() < 0.05]
        approved = self.random.choice([{}, {}, {"argocd.argoproj.io/deletion-approved": "2026-01-01T00:00:00Z"}, {"argocd.argoproj.io/deletion-approved": "2025-12-31T23:59:59Z"}])
        app = {
            "metadata": {"name": "app", "namespace": "argocd", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers, "annotations": approved},
            "spec": {"source": AutoSyncs.SOURCE, "destination": {"server": "https://kubernetes.default.svc", "namespace": "demo"}, "project": "default", "syncPolicy": {"syncOptions": options}},
        }
        unknown = ["Job"] if self.random.random() < 0.03 else []
        return {"app": app, "pairs": pairs, "project": self.project(), "unknown": unknown, "way": "deleted"}


class Apps(Deletions):
    """Random apps, and what is there of them: hooks and copies, objects of other apps, doubles, owned ones and namespaces."""

    KINDS = [("v1", "ConfigMap"), ("v1", "ConfigMap"), ("batch/v1", "Job"), ("rbac.authorization.k8s.io/v1", "ClusterRole"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition"), ("v1", "Namespace")]
    COMPARED = [{"argocd.argoproj.io/compare-options": text} for text in ("IgnoreExtraneous", "IgnoreExtraneous,ServerSideDiff=false", "other")]

    def pair(self, number, alike):
        api, kind = self.random.choice(self.KINDS)
        group = api.rpartition("/")[0]
        scoped = kind in ("ClusterRole", "CustomResourceDefinition", "Namespace")
        name = self.random.choice(["demo", "demo", "other"]) if kind == "Namespace" else f"n{self.random.choice([number, number, number, 0])}"
        stated = self.random.choice(["", "", "", "demo", "other"] if scoped else ["", "demo", "demo", "other"])
        marks = {**self.some(alike, self.HOOKS), **self.some(0.2, self.COMPARED), **self.some(0.1, self.OPTIONS)}
        target = {"apiVersion": api, "kind": kind, "metadata": {"name": name, **({"namespace": stated} if stated else {}), "annotations": marks}}
        if kind == "ConfigMap":
            target["data"] = {"k": self.random.choice("12")}
        live = copy.deepcopy(target)
        meta = live["metadata"]
        space = "" if scoped else stated or "demo"
        meta.pop("namespace", None)
        meta.update({"namespace": space} if space else {}, uid=f"u{number}")
        place = space or self.random.choice(["demo", stated or "demo"])
        own = f"app:{group}/{kind}:{place}/{name}"
        ids = [own] * 6 + [None, own.replace("app:", "other:", 1), own + "x", own.replace(kind, "Pod"), own.replace(place, "elsewhere"), "app"]
        if (chosen := self.random.choice(ids)) and (kind != "CustomResourceDefinition" or self.random.random() < 0.5):
            meta["annotations"][TRACKING] = chosen
        if self.random.random() < 0.1:
            meta["labels"] = {"app.kubernetes.io/instance": self.random.choice(["app", "other"])}
        if self.random.random() < 0.1:
            meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "o"}]
        if kind == "CustomResourceDefinition":
            live["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        if kind == "ConfigMap" and self.random.random() < 0.3:
            live["data"]["k"] = "3"
        if self.random.random() < 0.15:
            meta["annotations"].update(self.some(1, self.HOOKS + self.COMPARED))
        way = self.random.random()
        return {"target": target} if way < 0.2 else {"live": live} if way < 0.45 else {"target": target, "live": live}

    def question(self):
        alike, pairs, known = self.random.choice([0.05, 0.2, 0.6]), [], set()
        for number in range(self.random.choice([1, 1, 2, 3, 5])):
            pair = self.pair(number, alike)
            if live := pair.get("live"):
                key = (live["kind"], live["metadata"].get("namespace"), live["metadata"]["name"])
                if key in known:
                    pair.pop("live")
                known.add(key)
            if pair:
                pairs.append(pair)
        if not any("target" in pair for pair in pairs):
            pairs.append({"target": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}})
        policy = {"syncOptions": self.random.choice([[], [], ["CreateNamespace=true"]])}
        if self.random.random() < 0.15:
            policy["managedNamespaceMetadata"] = {"labels": {"a": "b"}}
        app = {
            "metadata": {"name": "app", "namespace": "argocd"},
            "spec": {"source": AutoSyncs.SOURCE, "destination": {"server": "https://kubernetes.default.svc", "namespace": "demo"}, "project": "default", "syncPolicy": policy},
        }
        return {"app": app, "pairs": pairs, "project": self.project(), "way": "refreshed"}


class Retries:
    """Random back-offs."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def question(self):
        duration = lambda: self.random.choice(["", "5s", "1m30s", "7", "0", "0s", "1.5h", "250ms", "2h", "soon", "1d", " 5s", "+4", "5.5"])
        backoff = {name: duration() for name in ("duration", "maxDuration") if self.random.random() < 0.7}
        if self.random.random() < 0.7:
            backoff["factor"] = self.random.choice([0, 1, 2, 3, 5, 10, -1])
        retry = {"limit": 5, **({"backoff": backoff} if self.random.random() < 0.95 else {})}
        # Without a limit a wait goes beyond what Go has durations for, and is any time then.
        limited = backoff.get("maxDuration") not in ("0", "0s")
        return {"retry": retry, "count": self.random.randrange(40 if limited else 6), "at": "2026-01-01T00:00:00Z", "way": "retried"}


class Operations(AutoSyncs):
    """Random operations, to be begun, under way or waiting for a retry, and what a step brings."""

    def question(self):
        now = self.moment()
        chosen = self.random.choice
        backoff = {name: chosen(["5s", "1m30s", "7", "0", "2h", ""]) for name in ("duration", "maxDuration") if self.random.random() < 0.6}
        backoff.update(self.maybe(0.5, factor=chosen([1, 2, 3])))
        retry = {"limit": chosen([-1, 0, 1, 2, 3]), **self.maybe(0.3, refresh=True), **self.maybe(0.8, backoff=backoff)}
        state = {}
        if self.random.random() < 0.85:
            begun, phase = int(now) - self.random.randrange(400), chosen(["Running"] * 6 + ["Terminating", "Succeeded", "Failed"])
            ended = phase in ("Succeeded", "Failed") or self.random.random() < 0.5
            result = {"revision": "r1", "source": self.SOURCE, "resources": [{"version": "v1", "group": "", "kind": "ConfigMap", "namespace": "demo", "name": "a", "status": "Synced"}]}
            state = {
                "phase": phase, "message": "before", "startedAt": self.stamp(begun), "retryCount": self.random.randrange(4),
                **self.maybe(1 if ended else 0, finishedAt=self.stamp(self.random.randint(begun, int(now)))),
                **self.maybe(0.9, syncResult=result),
            }
        elif self.random.random() < 0.2:
            # Nothing can be waited for with such a back-off, so that no retry is awaited yet.
            retry["backoff"] = {"duration": "soon"}
        operation = {"sync": {"revision": "r1", **self.maybe(0.2, dryRun=True)}, "retry": retry, **self.maybe(0.3, initiatedBy={"automated": True})}
        if state:
            state["operation"] = operation
        app = {
            "metadata": {"name": "app", "namespace": "argocd"},
            "spec": {"source": self.SOURCE, "destination": {"server": "https://localhost"}, "project": "default"},
            "status": {"operationState": state} if state else {},
            "operation": operation,
        }
        # A termination ends in one step.
        ends = state.get("phase") == "Terminating"
        phases = ["Failed", "Error"] if ends else ["Running", "Running", "Succeeded", "Failed", "Error"]
        outcome = {"phase": chosen(phases), "message": chosen(["before", "after"]), "terminated": not ends and self.random.random() < 0.2}
        timeout = chosen([0, 0, 60, 300, 500])
        if not ends and timeout and state.get("phase") == "Running" and now > begun + timeout and outcome["phase"] in ("Running", "Succeeded"):
            outcome["phase"] = "Failed"
        return {"app": app, "timeout": timeout, "outcome": outcome, "at": self.exactly(now), "way": "operated"}


class Projects:
    """Random projects, and an object."""

    SERVERS = ["https://kubernetes.default.svc", "https://kubernetes.*", "https://*", "*", "https://other", "!https://other", "!*.svc", ""]
    NAMES = ["", "", "in-cluster", "in-*", "other", "!other", "!in-cluster", "*"]
    GROUPS, KINDS = ["", "apps", "batch", "*", "a*", "{apps,batch}", "[a-b]*"], ["ConfigMap", "Job", "Namespace", "*", "*Map", "Jo?", "{Job,Namespace}"]
    TEXTS = ["team-a", "team-b", "team-*", "*", "t?am-a", "team-[ab]", "team-[!b]", "{team-a,prod}", "prod", "team-a*b", "**", "te*-a", "", "[", "team-\\*"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def some(self, make):
        return [make() for _ in range(self.random.choice([0, 1, 1, 2]))]

    def kind(self):
        named = {"name": self.random.choice(self.TEXTS)} if self.random.random() < 0.4 else {}
        return {"group": self.random.choice(self.GROUPS), "kind": self.random.choice(self.KINDS), **named}

    def destination(self):
        return {"server": self.random.choice(self.SERVERS), "name": self.random.choice(self.NAMES), "namespace": self.random.choice(["", "", "!"]) + self.random.choice(self.TEXTS)}

    def question(self):
        lists = ["clusterResourceWhitelist", "clusterResourceBlacklist", "namespaceResourceWhitelist", "namespaceResourceBlacklist"]
        project = {name: self.some(self.kind) for name in lists if self.random.random() < 0.7}
        project["destinations"] = self.some(self.destination) + self.some(self.destination)
        api, kind = self.random.choice([("v1", "ConfigMap"), ("batch/v1", "Job"), ("v1", "Namespace"), ("apps/v1", "Deployment")])
        live = {"apiVersion": api, "kind": kind, "metadata": {"name": self.random.choice(["team-a", "prod", "x"])}}
        if kind != "Namespace":
            live["metadata"]["namespace"] = self.random.choice(["team-a", "team-b", "prod", "team-axb"])
        return {"project": project, "live": live, "way": "inProject"}


def started(operation):
    """What is looked at of an operation that Argo CD starts: what is skipped has no status, and is no part of a sync."""
    if "attempts" in operation:
        return operation
    sync, retry = operation["sync"], operation.get("retry", {})
    resources = [{"group": "", **one} for one in sync.get("resources") or []]
    return {"prune": sync.get("prune", False), "attempts": sync.get("autoHealAttemptsCount", 0), "resources": resources, "retry": retry}


def seen(question, answer):
    """What has to be the same of two answers."""
    if answer.get("error"):
        return "error"
    way = question["way"]
    if way == "decided":
        decision = dict(answer["decision"])
        if "start" in decision:
            decision["start"] = operation = dict(started(decision["start"]))
            counted = {(one["kind"], one["name"]) for one in question["resources"] if one["status"]}
            operation["resources"] = [one for one in operation["resources"] if (one["kind"], one["name"]) in counted]
            operation["retry"] = {"refresh": False, "limit": 0, **operation["retry"]}
        return decision
    if way == "appHealth":
        # What a script breaks at is told without its line.
        app = json.loads(re.sub(r"<string>:\d+: ", "", json.dumps(answer["app"])))
        app["resources"] = [one and {part: text for part, text in one.items() if text} for one in app["resources"] or []]
        return app
    if way == "refreshed":
        found = answer["found"]
        # Hooks, copies and what is skipped have no status.
        resources = [one for one in found["resources"] or [] if one.get("status")]
        named = lambda one: (one["kind"], one.get("namespace", ""), one["name"], one["status"], one.get("requiresPruning", False))
        told = {name: sorted(texts) for name, texts in found["conditions"].items() if texts}
        return {"status": found["status"], "resources": sorted(map(named, resources)), "conditions": told}
    if way == "deleted":
        passed = dict(answer["passed"])
        if passed["failure"] and " hook" not in passed["failure"]:
            # No more requests are made once one has failed: which ones were is chance.
            return {"failed": True, "finalizers": passed["finalizers"]}
        # The words for a kind that is not served are the cluster's; failed hooks are told in any order.
        before, told, names = passed["failure"].partition("failed: ")
        passed["failure"] = before + told + ", ".join(sorted(names.split(", ")))
        passed["failure"] = re.sub(r"(failed to determine scope of [^:]*):.*", r"\1", passed["failure"])
        return passed
    if way == "operated":
        return answer["standing"]
    if way == "retried":
        return round(answer["wait"], 3)
    value = answer["health" if way == "assessed" else "permitted"]
    return {part: text for part, text in value.items() if text} if isinstance(value, dict) else value


def fuzz_alone(kind, reference, version, number, seed):
    source, ours = ALONE[kind](seed), Program(*OURS, version)
    refused = others = 0
    for _ in range(number):
        question = source.question()
        theirs, our = reference.ask(question), ours.ask(question)
        refused += bool(theirs.get("error"))
        if seen(question, theirs) != seen(question, our):
            others += 1
            print(json.dumps({"question": question, "argo": theirs, "ours": our}))
    print(f"{number} questions, {refused} that Argo CD refuses, {others} differ", file=sys.stderr)
    return bool(others)


ALONE = {
    "--health": Statuses,
    "--windows": Windows,
    "--projects": Projects,
    "--overruns": Overruns,
    "--auto-sync": AutoSyncs,
    "--app-health": AppHealths,
    "--retries": Retries,
    "--operations": Operations,
    "--deletions": Deletions,
    "--apps": Apps,
}


def fuzz(objects, reference, version, plane, kind, number, seed):
    chance, ours = Chance(seed, objects), Program(*OURS, version)
    answered = "sent" if kind == "--respected" else "modified"
    asked = refused = modified = others = 0
    for one in range(number):
        if kind in ("--fuzz", "--respected"):
            question, dry_run = chance.pair(respected=kind == "--respected"), None
        else:
            question, dry_run = applied(plane, chance, one, "byServer" if kind == "--server" else "merged")
        if not question:
            continue
        theirs, our = reference.ask(question, dry_run), ours.ask(question, dry_run)
        asked, refused, modified = asked + 1, refused + bool(theirs.get("error")), modified + theirs["modified"]
        # What Argo CD cannot compare has no answer.
        if not theirs.get("error") and theirs[answered] != our[answered]:
            others += 1
            print(json.dumps({"question": question, "argo": theirs, "ours": our}))
        if dry_run:
            plane.ask("DELETE", f"{address(question['target'])}/n{one}")
    print(f"{asked} pairs, {modified} modified, {refused} that Argo CD cannot compare, {others} differ", file=sys.stderr)
    return bool(others)


def build(version):
    """Argo CD's code of a version behind main.go; that of before 3.6 has other paths."""
    folder, flags = HERE, []
    if version != NEWEST:
        folder, flags = HERE / "build" / version, ["-tags", "before_3_6"]
        folder.mkdir(parents=True, exist_ok=True)
        for file in [*HERE.glob("*.go"), *HERE.glob("*.s"), *(HERE / "versions" / f"argocd-{version}").iterdir()]:
            (folder / file.name).write_text(file.read_text().replace("/gitops-engine/v3/", "/gitops-engine/") if file.suffix == ".go" else file.read_text())
    environment = dict(os.environ, CGO_ENABLED="0", GOTOOLCHAIN="go1.27.0")
    subprocess.run(["go", "build", *flags, "-o", "argo", "."], cwd=folder, env=environment, check=True)
    return folder / "argo"


def main():
    arguments = sys.argv[1:]
    version = NEWEST
    if arguments[:1] == ["--argo"]:
        _, version, *arguments = arguments
    if arguments and arguments[0] in ALONE:
        kind, number, seed = arguments
        return fuzz_alone(kind, Program(build(version)), version, int(number), int(seed))
    sys.path.insert(0, str(CRATE.parent / "workload" / "tools"))
    from record import ControlPlane

    given = yaml.safe_load((HERE / "cases.yaml").read_text())
    plane = ControlPlane()
    try:
        objects = store(plane, given["objects"])
        types = plane.dir / "openapi.json"
        types.write_text(json.dumps(plane.ask("GET", "/openapi/v2")[1]))
        if arguments:
            kind, number, seed = arguments
            return fuzz(objects, Program(build(version), types), version, plane, kind, int(number), int(seed))
        record(objects, given["cases"], types)
    finally:
        plane.stop()


if __name__ == "__main__":
    sys.exit(main())
