#!/usr/bin/env python3
"""Sends the cases in ../cases to a real API server and says where it answers otherwise.

  tools/compare.py https://127.0.0.1:6443 TOKEN [FILTER]

Each case runs in a namespace of its own, which stands wherever the case says `t`. `advance` waits. Cases that compact the
history are left out. The garbage collector and the namespace controller must run for the cases about them."""
import copy, json, queue, re, ssl, sys, threading, time, urllib.error, urllib.request
from pathlib import Path

import yaml

SERVER, TOKEN = sys.argv[1], sys.argv[2]
FILTER = sys.argv[3] if len(sys.argv) > 3 else ""
CONTEXT = ssl._create_unverified_context()
PATCHES = {
    "apply": "application/apply-patch+yaml",
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
}


class Loader(yaml.SafeLoader):
    pass


Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"] for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(urllib.request.HTTPSHandler(context=CONTEXT), NoRedirect)


def send(method, path, body=None, headers=None):
    headers = {"Authorization": "Bearer " + TOKEN, "User-Agent": "", **(headers or {})}
    headers.setdefault("Content-Type", "application/json")
    data = body.encode() if body is not None else None
    request = urllib.request.Request(SERVER + path.replace(" ", "%20").replace('"', "%22"), data, headers, method=method)
    try:
        return OPENER.open(request, timeout=40)
    except urllib.error.HTTPError as error:
        return error


class Failure(Exception):
    pass


class Run:
    def __init__(self, number):
        self.namespace, self.captured, self.watches = f"t{number}", {}, {}
        send("POST", "/api/v1/namespaces", json.dumps({"metadata": {"name": self.namespace}}))
        for _ in range(50):
            if send("GET", f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default").status == 200:
                break
            time.sleep(0.1)

    def fill(self, text):
        text = re.sub(r"\$\{(\w+)\}", lambda found: self.captured[found.group(1)], text)
        text = re.sub(r"/namespaces/t(?=[/?]|$)", f"/namespaces/{self.namespace}", text)
        text = re.sub(r'("namespace": ?)"t"', rf'\1"{self.namespace}"', text)
        return text.replace("(t/", f"({self.namespace}/")

    def step(self, step):
        if "advance" in step:
            number, unit = re.match(r"(\d+)(ms|s)", step["advance"]).groups()
            time.sleep(min(int(number) / (1000 if unit == "ms" else 1), 12))
        if "request" in step:
            self.ask(step)
        if "events" in step:
            self.look(step)

    def ask(self, step):
        method, path = self.fill(step["request"]).split(" ", 1)
        headers = {name.title(): self.fill(value) for name, value in step.get("headers", {}).items()}
        if "patch" in step:
            headers["Content-Type"] = PATCHES[step["patch"]]
        body = step.get("bodyText")
        if "body" in step:
            body = json.dumps(step["body"])
        response = send(method, path, self.fill(body) if body is not None else None, headers)
        if "watch" in step:
            return self.open(step, response)
        text = response.read().decode()
        if "code" in step and step["code"] != response.status:
            raise Failure(f"code {response.status}, expected {step['code']}: {text[:600]}")
        if "text" in step and step["text"] != text:
            raise Failure(f"text {text!r}, expected {step['text']!r}")
        for name, expected in step.get("responseHeaders", {}).items():
            found = response.headers.get_all(name) or []
            if (expected is None and found) or (expected is not None and not any(expected in one for one in found)):
                raise Failure(f"header {name} is {found}, expected {expected!r}")
        if "expect" in step or "capture" in step:
            answer = json.loads(text)
            self.match(step.get("expect", {}), answer, "")
            for name, pointer in step.get("capture", {}).items():
                for part in pointer.split("/")[1:]:
                    answer_part = part.replace("~1", "/")
                    answer = answer[answer_part]
                self.captured[name], answer = str(answer), json.loads(text)

    def open(self, step, response):
        if "code" in step and step["code"] != response.status:
            raise Failure(f"code {response.status}, expected {step['code']}: {response.read()[:400]}")
        lines = queue.Queue()

        def read():
            try:
                for line in response:
                    lines.put(json.loads(line))
            except Exception:
                pass
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        self.watches[step["watch"]] = lines

    def look(self, step):
        time.sleep(0.5)
        lines, seen, closed = self.watches[step["events"]], [], False
        while not lines.empty():
            event = lines.get()
            if event is None:
                closed = True
            else:
                seen.append(event)
        self.match(step["seen"], seen, "events")
        if step.get("closed", closed) != closed:
            raise Failure(f"closed is {closed}")

    def match(self, expected, found, at):
        if isinstance(expected, dict):
            if not isinstance(found, dict):
                raise Failure(f"{at} is {found!r}, expected {expected!r}")
            for name, value in expected.items():
                if value is None:
                    if found.get(name) is not None:
                        raise Failure(f"{at}/{name} is {found[name]!r}, expected none")
                elif name not in found:
                    raise Failure(f"{at}/{name} is missing in {json.dumps(found)[:700]}")
                else:
                    self.match(value, found[name], f"{at}/{name}")
        elif isinstance(expected, list):
            if not isinstance(found, list) or len(found) != len(expected):
                raise Failure(f"{at} is {json.dumps(found)[:1500]}, expected {len(expected)} items")
            for index, (one, other) in enumerate(zip(expected, found)):
                self.match(one, other, f"{at}/{index}")
        elif isinstance(expected, str):
            expected, text = self.fill(expected), found if isinstance(found, str) else json.dumps(found)
            expected = re.sub(r"in namespace t\b", f"in namespace {self.namespace}", expected)
            if expected == "t":
                expected = self.namespace
            fits = (
                re.search(expected[1:], text) if expected.startswith("~")
                else int(text) > int(expected[1:]) if expected.startswith(">")
                else expected in ("*", text)
            )
            if not fits:
                raise Failure(f"{at} is {text!r}, expected {expected!r}")
        elif expected != found:
            raise Failure(f"{at} is {found!r}, expected {expected!r}")


def main():
    number, failed, ran = int(time.time()) % 100000 * 1000, 0, 0
    for file in sorted((Path(__file__).parent.parent / "cases").glob("*.yaml")):
        # PyYAML wants quotes around a `?` inside braces.
        text = re.sub(r"request: ([A-Z]+ /[^,}\"\n]*)(?=[,}])", r'request: "\1"', file.read_text())
        for case in yaml.load(text, Loader):
            name = f"{file.stem}::{case['case']}"
            if FILTER not in name or "differs" in case or any("compact" in step for step in case["steps"]):
                continue
            number, ran = number + 1, ran + 1
            run = Run(number)
            for index, step in enumerate(copy.deepcopy(case["steps"])):
                try:
                    run.step(step)
                except (Failure, KeyError, ValueError) as problem:
                    failed += 1
                    print(f"{name} step {index + 1}: {type(problem).__name__} {problem}\n    {step.get('request', '')}", flush=True)
                    break
            if file.stem == "custom":
                for definition in ("foos", "bars"):
                    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition}.example.com"
                    send("PATCH", f"/apis/example.com/v1/namespaces/{run.namespace}/foos/f", '{"metadata":{"finalizers":null}}', {"Content-Type": PATCHES["merge"]})
                    send("DELETE", path)
                    while send("GET", path).status == 200:
                        time.sleep(0.5)
            send("DELETE", f"/api/v1/namespaces/{run.namespace}")
            send("DELETE", "/api/v1/namespaces/n9")
    print(f"{ran} cases, {failed} otherwise")


main()
