#!/usr/bin/env python3
"""Runs the health scripts that Argo CD ships, on the objects and with the results of its own tests.

  tools/scripts.py FOLDER    the folder `resource_customizations` of Argo CD's sources, which `go mod download` fetches

Each case whose status or message is another here is printed, and the exit code is 1."""
import json, subprocess, sys
from pathlib import Path

import yaml


class Loader(yaml.SafeLoader):
    """Times stay text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(file):
    return next(yaml.load_all(file.read_text(), Loader=Loader))


def main():
    root = Path(sys.argv[1])
    command = ["cargo", "run", "--quiet", "--package", "wavetank-health", "--features", "lua", "--example", "script"]
    ours = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    cases = others = 0
    for file in sorted(root.rglob("health_test.yaml")):
        for case in load(file)["tests"]:
            if "inputPath" not in case:
                continue
            live = load(file.parent / case["inputPath"])
            # A script for all kinds of a group gives way to that of the kind.
            own = root / live["apiVersion"].rpartition("/")[0] / live["kind"] / "health.lua"
            script = (own if own.exists() else file.parent / "health.lua").read_text()
            ours.stdin.write(json.dumps({"script": script, "live": live}) + "\n")
            ours.stdin.flush()
            answer, wanted = json.loads(ours.stdout.readline()), case["healthStatus"]
            cases += 1
            if any((answer.get(key) or "") != (wanted.get(key) or "") for key in ("status", "message")):
                others += 1
                print(file.parent.relative_to(root), case["inputPath"], wanted, answer)
    print(f"{cases} cases, {others} differ", file=sys.stderr)
    return bool(others)


if __name__ == "__main__":
    sys.exit(main())
