#!/usr/bin/env python3
"""Plays cases on a real control plane and writes down what its controllers did.

  KUBEBUILDER_ASSETS=DIR tools/record.py [--into FOLDER] [NAME...]

Starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler of that directory on free ports of loopback, with one
node whose kubelet is the small stand-in below, plays the cases of tests/recorded/cases.yaml side by side, each in a
namespace of its own, and adds to tests/recorded/NAME.json: the case, what each object was in turn, and the Events, all of
them in as many variants as runs have shown: controllers race with each other. The test `recorded` plays the same cases on
the simulated cluster, which has to do what one of the runs did; with WAVETANK_RECORDINGS=FOLDER it reads what was recorded
into another folder: `.ci/run` compares with fresh recordings so."""
import difflib, http.client, json, os, re, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading, time
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent.parent / "tests" / "recorded"
ASSETS = Path(os.environ["KUBEBUILDER_ASSETS"])
KINDS = {
    "Pod": ("/api/v1", "pods"),
    "Event": ("/api/v1", "events"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Service": ("/api/v1", "services"),
    "Job": ("/apis/batch/v1", "jobs"),
    "CronJob": ("/apis/batch/v1", "cronjobs"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "DaemonSet": ("/apis/apps/v1", "daemonsets"),
    "ControllerRevision": ("/apis/apps/v1", "controllerrevisions"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
}
AT_ONCE = 12


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ControlPlane:
    """The programs, in a directory that vanishes with them."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="controllers-"))
        self.programs = []
        self.port, client, peer = free_port(), free_port(), free_port()
        key = self.dir / "sa.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        (self.dir / "tokens.csv").write_text('secret,recorder,recorder,"system:masters"\n')
        self.start("etcd", "--data-dir", self.dir / "etcd", "--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls",
                   f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--unsafe-no-fsync")
        self.start("kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{client}", "--secure-port", str(self.port), "--bind-address", "127.0.0.1",
                   "--cert-dir", self.dir / "certs", "--token-auth-file", self.dir / "tokens.csv", "--authorization-mode", "RBAC",
                   "--service-account-key-file", key, "--service-account-signing-key-file", key, "--service-account-issuer", "https://localhost",
                   "--service-cluster-ip-range", "10.96.0.0/16", "--disable-admission-plugins", "TaintNodesByCondition", "--event-ttl", "2h",
                   "--endpoint-reconciler-type", "none", "--advertise-address", "127.0.0.1")
        self.wait_ready()
        config = self.dir / "kubeconfig"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "c", "user": {"token": "secret"}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        }))
        self.start("kube-controller-manager", "--kubeconfig", config, "--controllers", "*,-node-lifecycle-controller,-node-ipam-controller",
                   "--leader-elect=false", "--service-account-private-key-file", key, "--secure-port", str(free_port()), "--bind-address",
                   "127.0.0.1", "--cert-dir", self.dir / "kcm", "--use-service-account-credentials=false", "--kube-api-qps", "2000",
                   "--kube-api-burst", "2000")
        self.start("kube-scheduler", "--kubeconfig", config, "--leader-elect=false", "--secure-port", str(free_port()), "--bind-address",
                   "127.0.0.1", "--cert-dir", self.dir / "sched")

    def start(self, name, *arguments):
        log = open(self.dir / f"{name}.log", "wb")
        self.programs.append(subprocess.Popen([ASSETS / name, *map(str, arguments)], stdout=log, stderr=log, start_new_session=True))

    def wait_ready(self):
        for _ in range(600):
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"the API server did not get ready, see {self.dir}")

    def connection(self):
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=400)

    def ask(self, method, path, body=None, content_type="application/json"):
        connection = self.connection()
        try:
            # As the server writes it anew: the data of a ControllerRevision is compared byte by byte.
            text = None if body is None else json.dumps(body, separators=(",", ":"), sort_keys=True)
            connection.request(method, path, text, {"Authorization": "Bearer secret", "Content-Type": content_type})
            response = connection.getresponse()
            data = response.read()
            try:
                return response.status, json.loads(data)
            except ValueError:
                return response.status, data.decode(errors="replace")
        finally:
            connection.close()

    def stop(self):
        for program in reversed(self.programs):
            program.terminate()
        for program in self.programs:
            try:
                program.wait(20)
            except subprocess.TimeoutExpired:
                program.kill()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


class Node(threading.Thread):
    """A kubelet: Pods start after a second, do what the case says or their command, and stop within a second."""

    def __init__(self, plane, cases):
        super().__init__(daemon=True)
        self.plane, self.cases, self.pods, self.played, self.over = plane, {case["namespace"]: case for case in cases}, {}, {}, False
        self.busy = set(self.cases)
        plane.ask("POST", "/api/v1/nodes", {"metadata": {"name": "node-1", "labels": {"kubernetes.io/hostname": "node-1", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}}})
        plane.ask("PATCH", "/api/v1/nodes/node-1/status", {"status": {
            "capacity": {"cpu": "64", "memory": "256Gi", "pods": "500"}, "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "500"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready", "lastHeartbeatTime": now(), "lastTransitionTime": now()}],
            "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]}}, "application/merge-patch+json")

    def run(self):
        while not self.over:
            status, pods = self.plane.ask("GET", "/api/v1/pods?resourceVersion=0")
            for pod in pods.get("items", []) if status == 200 else []:
                if pod["spec"].get("nodeName") == "node-1" and pod["metadata"]["namespace"] in self.busy:
                    self.look(pod)
            time.sleep(0.05)

    def script(self, pod):
        """What the Pod does: (verb, seconds, exit code)."""
        case = self.cases[pod["metadata"]["namespace"]]
        for owner in self.owners(pod):
            attempts = case.get("attempts", {}).get(owner)
            if attempts:
                number = self.played.get((case["name"], owner), 0)
                self.played[(case["name"], owner)] = number + 1
                verb, *rest = attempts[min(number, len(attempts) - 1)].split()
                return verb, float(rest[0]) if rest else 0, int(rest[1]) if len(rest) > 1 else 1
        command = pod["spec"]["containers"][0].get("command") or ["sleep", "infinity"]
        if command[0] == "sleep" and command[1] != "infinity":
            return "succeed", float(command[1]), 0
        if command[:2] == ["sh", "-c"]:
            found = re.match(r"sleep (\d+); exit (\d+)$", command[2])
            return "fail", float(found[1]), int(found[2])
        return "ready", 0, 0

    def owners(self, pod):
        meta = pod["metadata"]
        yield "Pod/" + meta["name"]
        for owner in meta.get("ownerReferences", []):
            yield owner["kind"] + "/" + owner["name"]
            if owner["kind"] == "ReplicaSet":
                yield "Deployment/" + owner["name"].rsplit("-", 1)[0]

    def look(self, pod):
        meta = pod["metadata"]
        state = self.pods.get(meta["uid"])
        moment = time.monotonic()
        if state is None:
            state = self.pods[meta["uid"]] = {"since": moment, "script": self.script(pod), "phase": "Pending"}
            self.write(pod, "Pending", False, {"waiting": {"reason": "ContainerCreating"}})
        verb, seconds, code = state["script"]
        started = state["since"] + 1
        if meta.get("deletionTimestamp"):
            state.setdefault("stop", moment + 1)
            if moment >= state["stop"] or state["phase"] in ("Succeeded", "Failed"):
                if state["phase"] == "Running":
                    self.end(pod, state, 143)
                if not state.get("gone"):
                    state["gone"] = True
                    self.plane.ask("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}})
        elif state["phase"] == "Pending" and moment >= started and verb != "pend":
            state["phase"] = "Running"
            state["ready"] = verb not in ("ready",) or seconds == 0
            self.write(pod, "Running", state["ready"], {"running": {"startedAt": now()}})
        elif state["phase"] == "Running" and moment >= started + seconds:
            if verb in ("succeed", "fail"):
                self.end(pod, state, 0 if verb == "succeed" else code)
            elif verb == "ready" and not state["ready"]:
                state["ready"] = True
                self.write(pod, "Running", True, {"running": {"startedAt": now()}})

    def end(self, pod, state, code):
        state["phase"] = "Failed" if code else "Succeeded"
        self.write(pod, state["phase"], False, {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": now(), "finishedAt": now()}})

    def write(self, pod, phase, ready, state):
        meta, value = pod["metadata"], "True" if ready else "False"
        conditions = [{"type": kind, "status": status, "lastTransitionTime": now()} for kind, status in
                      [("PodReadyToStartContainers", "True" if phase == "Running" else "False"), ("Initialized", "True"), ("Ready", value), ("ContainersReady", value)]]
        status = {"phase": phase, "conditions": conditions, "startTime": pod["status"].get("startTime") or now(), "hostIP": "172.18.0.2", "hostIPs": [{"ip": "172.18.0.2"}],
                  "containerStatuses": [{"name": container["name"], "image": container["image"], "imageID": "x", "ready": ready, "restartCount": 0, "started": phase == "Running", "lastState": {}, "state": {**{"waiting": None, "running": None, "terminated": None}, **state}}
                                        for container in pod["spec"]["containers"]]}
        if phase == "Running":
            status["podIP"] = "10.244.0.9"
            status["podIPs"] = [{"ip": "10.244.0.9"}]
        self.plane.ask("PATCH", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status", {"metadata": {"uid": meta["uid"]}, "status": status}, "application/strategic-merge-patch+json")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Watch(threading.Thread):
    """Everything that happens to one kind."""

    def __init__(self, plane, kind, sink):
        super().__init__(daemon=True)
        self.plane, self.kind, self.sink = plane, kind, sink

    def run(self):
        base, resource = KINDS[self.kind]
        version = self.plane.ask("GET", f"{base}/{resource}")[1]["metadata"]["resourceVersion"]
        connection = self.plane.connection()
        connection.request("GET", f"{base}/{resource}?watch=true&resourceVersion={version}&timeoutSeconds=3000", headers={"Authorization": "Bearer secret"})
        try:
            for line in connection.getresponse():
                event = json.loads(line)
                self.sink.append((event["type"], self.kind, event["object"]))
        except (OSError, ValueError, http.client.HTTPException):
            return


def locate(reference, namespace, seen):
    kind, name = reference.split("/")
    if "#" in name:
        base, number = name.split("#")
        names = [o["metadata"]["name"] for t, k, o in list(seen) if t == "ADDED" and k == kind and o["metadata"]["namespace"] == namespace and o["metadata"].get("generateName") == base]
        name = names[int(number) - 1]
    base, resource = KINDS[kind]
    return f"{base}/namespaces/{namespace}/{resource}/{name}"


def play(plane, case, seen):
    namespace = case["namespace"]
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for _ in range(200):
        if plane.ask("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")[0] == 200:
            break
        time.sleep(0.1)
    start = time.monotonic()
    for action in [{"at": 0, "create": case["objects"]}, *case.get("actions", [])]:
        time.sleep(max(0, start + action["at"] - time.monotonic()))
        for item in action.get("create", []):
            base, resource = KINDS[item["kind"]]
            status, answer = plane.ask("POST", f"{base}/namespaces/{namespace}/{resource}", item)
            if status >= 300:
                raise SystemExit(f"{case['name']}: {status} {answer}")
        if "merge" in action:
            path = locate(action["merge"], namespace, seen) + ("/" + action["subresource"] if action.get("subresource") else "")
            status, answer = plane.ask("PATCH", path, action["patch"], "application/merge-patch+json")
            if status >= 300:
                print(f"{case['name']}: {status} {answer}", file=sys.stderr)
        if "delete" in action:
            plane.ask("DELETE", locate(action["delete"], namespace, seen), {"propagationPolicy": action.get("propagation", "Background")})
    time.sleep(max(0, start + case["end"] - time.monotonic()))


def main():
    arguments, folder = sys.argv[1:], HERE
    if arguments[:1] == ["--into"]:
        folder, arguments = Path(arguments[1]), arguments[2:]
        folder.mkdir(parents=True, exist_ok=True)
    cases = [case for case in yaml.safe_load((HERE / "cases.yaml").read_text()) if not arguments or case["name"] in arguments]
    for case in cases:
        case["namespace"] = case["name"]
    plane = ControlPlane()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for _ in range(300):
            if plane.ask("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200:
                break
            time.sleep(0.1)
        seen = []
        for kind in KINDS:
            Watch(plane, kind, seen).start()
        node = Node(plane, cases)
        node.start()
        time.sleep(1)
        for first in range(0, len(cases), AT_ONCE):
            players = [threading.Thread(target=play, args=(plane, case, seen)) for case in cases[first : first + AT_ONCE]]
            for player in players:
                player.start()
            for player in players:
                player.join()
            time.sleep(0.5)
            node.busy -= {case["namespace"] for case in cases[first : first + AT_ONCE]}
        node.over = True
    finally:
        plane.stop()
    for case in cases:
        here = [entry for entry in seen if entry[2]["metadata"].get("namespace") == case["namespace"]]
        del case["namespace"]
        note(case, view(sorted(here, key=lambda entry: int(entry[2]["metadata"]["resourceVersion"]))), folder)


def note(case, run, folder):
    """Adds a run to the recording of its case, and shows what it has that no earlier one had."""
    file = folder / (case["name"] + ".json")
    recording = json.loads(file.read_text()) if file.exists() else {}
    if recording.get("case") != case:
        recording = {"case": case, "objects": {}, "events": []}
    news = []
    for subject in sorted({*recording["objects"], *run["objects"]}):
        turns, known = run["objects"].get(subject, []), recording["objects"].setdefault(subject, [])
        if turns not in known:
            news += [subject, *difference(known[0] if known else [], turns)]
            known.append(turns)
    if run["events"] not in recording["events"]:
        news += ["events", *difference(recording["events"][:1], [run["events"]])]
        recording["events"].append(run["events"])
    if news:
        print("\n".join([case["name"] + ": new", *news]))
    file.write_text(json.dumps(recording, indent=1, sort_keys=True) + "\n")


def difference(before, now):
    flat = lambda lists: [line for lines in lists for line in lines]
    return [line for line in difflib.unified_diff(flat(before), flat(now), lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))]


# The view of a run: the Rust side (tests/recorded/view.rs) makes the same.

def view(seen):
    names = Names(seen[0][2]["metadata"]["namespace"] if seen else "")
    objects, last, events = {}, {}, {}
    # What a set makes for itself and keeps is told by its Pods.
    stray = {item["metadata"]["uid"] for _, kind, item in seen if kind == "ControllerRevision" and not item["metadata"].get("ownerReferences")}
    for verb, kind, item in seen:
        meta = item["metadata"]
        if kind == "Event":
            continue
        name = names.of(kind, meta)
        if kind == "ControllerRevision" and meta["uid"] not in stray:
            continue
        state = "deleted" if verb == "DELETED" else describe(kind, item, names)
        if last.get((kind, meta["uid"])) != state:
            last[(kind, meta["uid"])] = state
            objects.setdefault((kind, name, meta["uid"]), []).append(state)
    for verb, kind, item in seen:
        if kind == "Event" and verb != "DELETED":
            about = item["involvedObject"]
            source = item.get("source", {}).get("component") or item.get("reportingComponent")
            series = item.get("series") or {}
            count = series.get("count") or item.get("count") or 1
            events[item["metadata"]["name"]] = f"{about['kind']}/{names.known(about['name'])} {item['type']} {item['reason']} by {source} x{count}: {names.clean(item['message'])}"
    lines = {}
    for (kind, name, _), states in objects.items():
        lines.setdefault(f"{kind}/{name}", []).append(states)
    return {"objects": {key: sorted(value, key=json.dumps) for key, value in sorted(lines.items())}, "events": sorted(events.values())}


class Names:
    """Generated names, replaced by what they were generated from."""

    def __init__(self, namespace):
        self.shown = {}
        self.numbers = {}
        self.namespace = namespace

    def of(self, kind, meta):
        name = meta["name"]
        if name in self.shown:
            return self.shown[name]
        shown = re.sub(r"-\d{8}$", "-@", name) if kind == "Job" else name
        base = meta.get("generateName", "")
        if kind == "Pod" and base and name.startswith(base):
            shown = self.clean(base) + "#"
        elif kind in ("ReplicaSet", "ControllerRevision") and meta.get("ownerReferences"):
            owner = meta["ownerReferences"][0]["name"]
            number = self.numbers[owner] = self.numbers.get(owner, 0) + 1
            shown = f"{owner}-r{number}"
            if kind == "ReplicaSet":
                self.shown[name.rsplit("-", 1)[1]] = f"r{number}"
        self.shown[name] = shown
        return shown

    def known(self, name):
        return self.clean(name)

    def clean(self, text):
        for name in sorted(self.shown, key=len, reverse=True):
            text = text.replace(name, self.shown[name])
        return text.replace(self.namespace + "/", "default/")


def describe(kind, item, names):
    meta, spec, status = item["metadata"], item.get("spec", {}), item.get("status", {})
    parts = []
    if meta.get("deletionTimestamp"):
        parts.append("deleting")
    owners = meta.get("ownerReferences", [])
    if owners and kind in ("Pod", "ReplicaSet", "PersistentVolumeClaim", "ControllerRevision"):
        parts.append("of " + ",".join(names.clean(owner["kind"] + "/" + owner["name"]) + ("" if owner.get("controller") else "?") for owner in owners))
    if kind == "Pod":
        # Which generation of the template it is from, its index, whether a Job still counts on it.
        labels, annotations = meta.get("labels", {}), meta.get("annotations", {})
        for key in ("controller-revision-hash", "batch.kubernetes.io/job-completion-index", "batch.kubernetes.io/job-index-failure-count", "batch.kubernetes.io/job-index-ignored-failure-count", "apps.kubernetes.io/pod-index"):
            value = labels.get(key, annotations.get(key))
            if value is not None:
                parts.append(key.split("/")[-1] + "=" + revision(value, meta, names))
        if any("job-tracking" in finalizer for finalizer in meta.get("finalizers", [])):
            parts.append("tracked")
        phase = status.get("phase")
        parts.append({"Pending": "runs", "Running": "runs"}.get(phase, phase))
        parts += [f"{c['type']} {c.get('reason')}: {names.clean(c.get('message', ''))}" for c in status.get("conditions", []) if c["type"] == "DisruptionTarget"]
        return " ".join(parts)
    if kind == "ControllerRevision":
        parts.append(f"revision {item['revision']}")
    if "replicas" in spec and kind in ("ReplicaSet",):
        parts.append(f"wants {spec['replicas']}")
    for key in ("deployment.kubernetes.io/revision", "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas", "deployment.kubernetes.io/revision-history"):
        if key in meta.get("annotations", {}):
            parts.append(key.split("/")[1] + "=" + meta["annotations"][key])
    for key in sorted(status):
        value = status[key]
        if key == "conditions":
            value = ", ".join(names.clean(f"{c['type']}={c['status']} {c.get('reason', '')}: {c.get('message', '')}") for c in value)
            parts.append(f"[{value}]")
        elif key in ("startTime", "completionTime", "lastScheduleTime", "lastSuccessfulTime"):
            parts.append(key)
        elif key == "uncountedTerminatedPods":
            parts += [f"uncounted-{name} {len(uids)}" for name, uids in sorted(value.items())]
        elif key in ("currentRevision", "updateRevision"):
            parts.append(f"{key} {names.clean(value)}")
        elif key == "active" and isinstance(value, list):
            parts.append(f"active {len(value)}")
        elif key in ("capacity", "accessModes", "observedGeneration", "loadBalancer") and kind != "Deployment":
            continue
        elif isinstance(value, str):
            parts.append(f"{key} {value}")
        else:
            parts.append(f"{key} {json.dumps(value, sort_keys=True, separators=(',', ':'))}")
    return " ".join(parts)


def revision(value, meta, names):
    """The hash of a revision, as the number of its ControllerRevision."""
    for owner in meta.get("ownerReferences", []):
        full = f"{owner['name']}-{value}"
        if full in names.shown:
            return names.shown[full].rsplit("-", 1)[1]
    # A Pod that nobody controls for a while.
    for full, shown in names.shown.items():
        if full.endswith(f"-{value}"):
            return shown.rsplit("-", 1)[1]
    return names.clean(value)


if __name__ == "__main__":
    main()
