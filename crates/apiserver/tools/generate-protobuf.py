#!/usr/bin/env python3
"""Writes ../data/protobuf.txt: the field numbers of the built-in kinds, as facts without prose.

Run by hand when the baseline of Kubernetes moves (needs the Go module cache to hold the k8s.io modules of that version):

    python3 crates/apiserver/tools/generate-protobuf.py "$(go env GOMODCACHE)" 1.36.2

Sources: the generated.proto files (numbers and types) and the struct tags of the Go types beside them (JSON names, and
which fields are inlined). The kinds are those of crates/model/src/kinds.rs, and bodies of subresources and options.

Format, one line each, read by src/protobuf/table.rs:

    # comment
    =apps/v1 Deployment 17          kind, and the number of its message
    1 metadata @0|2 spec @5         message: number, JSON name and type of each field

Types: `s` string, `b` boolean, `i` integer, `n` double, `y` bytes, `t` time, `u` time with microseconds, `q`
quantity, `o` int-or-string, `r` raw extension, `j` JSON text, `e` message that stands for a list of strings, `@N` message
N, `!N` message N whose fields stand beside this one, `~N` message N that stands for the one of its fields that is set
(`schema` before the other), `[T` list of T, `{T` map of T.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
VERSION = sys.argv[2]
STAGING = "v0." + VERSION.split(".", 1)[1]
K8S = pathlib.Path(sys.argv[1]) / "k8s.io"

EXTRA = [("autoscaling", "v1", "Scale"), ("policy", "v1", "Eviction"), ("authentication.k8s.io", "v1", "TokenRequest"),
         ("", "v1", "DeleteOptions"), ("", "v1", "Status"), ("meta.k8s.io", "v1", "PartialObjectMetadata"),
         ("meta.k8s.io", "v1", "ListMeta")]
OF_META = {"DeleteOptions", "Status", "PartialObjectMetadata", "ListMeta"}
SCALARS = {"string": "s", "bool": "b", "int32": "i", "int64": "i", "double": "n", "bytes": "y"}
META = "k8s.io.apimachinery.pkg.apis.meta.v1."
SCHEMA = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
SPECIAL = {
    META + "Time": "t", META + "MicroTime": "u", META + "FieldsV1": "j", META + "Verbs": "e",
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "q", "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "o",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "r", SCHEMA + "JSON": "j",
    "k8s.io.api.authentication.v1.ExtraValue": "e", "k8s.io.api.authorization.v1.ExtraValue": "e",
    "k8s.io.api.certificates.v1.ExtraValue": "e",
}
UNIONS = {"JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray"}


def kinds():
    text = (HERE.parents[1] / "model" / "src" / "kinds.rs").read_text()
    for group, versions, kind in re.findall(r'^    kind\("([^"]*)", &\[([^\]]*)\], "[^"]*", "[^"]*", "([^"]*)"', text, re.M):
        for version in re.findall(r'"([^"]+)"', versions):
            yield group, version, kind
    yield from EXTRA


def folders():
    for module in ("api", "apimachinery", "apiextensions-apiserver", "kube-aggregator"):
        for path in sorted((K8S / f"{module}@{STAGING}").rglob("generated.proto")):
            yield path.parent


def json_names(folder):
    """(Go struct, field number) -> JSON name, empty where inlined."""
    names = {}
    for path in sorted(folder.glob("*.go")):
        struct = None
        for line in path.read_text().splitlines():
            opened = re.match(r"type (\w+) struct \{", line)
            if opened:
                struct = opened.group(1)
            tags = re.search(r'json:"([^",]*)(,inline)?[^"]*"[^`]*protobuf:"\w+,(\d+)', line)
            if struct and tags:
                names[struct, int(tags.group(3))] = tags.group(1)
    return names


MESSAGES = {}  # full name -> list of (number, JSON name, repeated or map key, full type name or scalar)
GROUPS = {}  # group/version -> package


def read(folder):
    package, message, names = None, None, json_names(folder)
    for path in sorted(folder.glob("register.go")):
        group = re.search(r'GroupName\s*=\s*"([^"]*)"', path.read_text())
        if group:
            GROUPS[group.group(1), folder.name] = folder
    for line in (folder / "generated.proto").read_text().splitlines():
        if found := re.match(r"package (.*);", line):
            package = found.group(1)
            GROUPS.update({key: package for key, value in GROUPS.items() if value == folder})
        if found := re.match(r"message (\w+) \{", line):
            message = found.group(1)
            fields = MESSAGES.setdefault(f"{package}.{message}", [])
        found = re.match(r"  (optional|repeated|map<string, ([\w.]+)>) ?([\w.]*) (\w+) = (\d+);", line)
        found = found or re.match(r"  (map<string, ([\w.]+)>)( )(\w+) = (\d+);", line)
        if found and message:
            shape, value, kind, name, number = found.groups()
            kind = (value or kind).strip()
            if kind.startswith("."):
                kind = kind[1:]
            elif kind not in SCALARS:
                kind = f"{package}.{kind}"
            prefix = "{" if value else "[" if shape == "repeated" else ""
            fields.append((int(number), names.get((message, int(number)), name), prefix, kind))


ORDER = {}


def number(name):
    if name not in ORDER:
        ORDER[name] = len(ORDER)
    return ORDER[name]


def code(kind):
    if kind in SCALARS:
        return SCALARS[kind]
    if kind in SPECIAL:
        return SPECIAL[kind]
    short = kind.split(".")[-1]
    return f"{'~' if short in UNIONS else '@'}{number(kind)}"


def main():
    for folder in folders():
        read(folder)
    number(META + "ObjectMeta")
    roots = []
    for group, version, kind in kinds():
        package = META[:-1] if kind in OF_META else GROUPS.get((group, version))
        if f"{package}.{kind}" not in MESSAGES:
            sys.exit(f"no message for {group}/{version} {kind}")
        api_version = f"{group}/{version}" if group else version
        roots.append(f"={api_version} {kind} {number(f'{package}.{kind}')}")
    lines, done = [], 0
    while done < len(ORDER):
        fields = []
        for field, name, prefix, kind in sorted(MESSAGES[list(ORDER)[done]]):
            text = code(kind)
            if not name:
                text, name = text.replace("@", "!"), "-"
            fields.append(f"{field} {name} {prefix}{text}")
        lines.append("|".join(fields))
        done += 1
    head = f"# Field numbers of Kubernetes v{VERSION}, made by tools/generate-protobuf.py; see there for the format."
    (HERE.parent / "data").mkdir(exist_ok=True)
    (HERE.parent / "data" / "protobuf.txt").write_text("\n".join([head, *roots, *lines]) + "\n")


main()
