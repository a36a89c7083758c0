#!/usr/bin/env python3
"""Writes ../data/types.txt: the types of the built-in kinds, as facts without prose.

Run by hand when the baseline of Kubernetes moves (needs the Go module cache to hold k8s.io/kubernetes and its staging
modules of that version, as `go mod download k8s.io/kubernetes@v1.36.2` in a module that requires it leaves them):

    python3 crates/model/tools/generate-types.py "$(go env GOMODCACHE)" 1.36.2

Sources: the OpenAPI v3 documents in api/openapi-spec/v3 (types, list types, map types, merge keys, patch strategies,
defaults of list-map keys), and the struct fields of the Go API packages (Go type names as they stand in decode errors,
which fields are pointers, omitempty or omitzero). The kinds are those of ../src/kinds.rs.

Format, one line each, read by src/schema/table.rs:

    # comment
    =apps/v1 Deployment 17          kind, and the number of its definition
    Deployment|v1|flags|field|...   definition: Go name, Go package, flags, fields sorted by name

Flags: `A` an atomic map. A field is `name:TYPE attribute ...`. Types: `s` string, `b` boolean, `i` int32, `l` int64,
`n` float64, `y` bytes, `t` time, `u` time with microseconds, `d` duration, `q` quantity, `o` int-or-string, `r` raw
extension, `*` any JSON, `@N` definition N, `[T` list of T, `{T` map of T. Attributes: `~` omitempty, `0` omitzero, `*`
pointer, `L=set` or `L=key,key` list type (atomic when absent), `A` or `G` atomic or granular whatever the referred type
says, `M=key` merges by key (`M` as a set) in strategic merge patches, `R` retainKeys, `W` replace, `D=JSON` default of a
list-map key, `T=type` Go type where it does not follow from the shape.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(sys.argv[1])
VERSION = sys.argv[2]
STAGING = "v0." + VERSION.split(".", 1)[1]
K8S = CACHE / "k8s.io"

# Kinds that are bodies of subresources, options and wrappers, beside those of kinds.rs.
EXTRA = [("autoscaling", "v1", "Scale"), ("policy", "v1", "Eviction"), ("authentication.k8s.io", "v1", "TokenRequest"),
         ("", "v1", "DeleteOptions")]

SPECIAL = {
    "Quantity": "q", "Time": "t", "MicroTime": "u", "Duration": "d", "IntOrString": "o", "RawExtension": "r", "FieldsV1": "*",
    "JSON": "*", "JSONSchemaPropsOrArray": "*", "JSONSchemaPropsOrBool": "*", "JSONSchemaPropsOrStringArray": "*",
}
GO_SCALAR = {"s": "string", "b": "bool", "i": "int32", "l": "int64", "n": "float64", "y": "[]uint8", "t": "v1.Time",
             "u": "v1.MicroTime", "d": "v1.Duration", "q": "resource.Quantity", "o": "intstr.IntOrString",
             "r": "runtime.RawExtension"}


def kinds():
    text = (HERE.parent / "src" / "kinds.rs").read_text()
    for group, versions, kind in re.findall(r'^    kind\("([^"]*)", &\[([^\]]*)\], "[^"]*", "[^"]*", "([^"]*)"', text, re.M):
        for version in re.findall(r'"([^"]+)"', versions):
            yield group, version, kind


def documents():
    definitions = {}
    folder = K8S / f"kubernetes@v{VERSION}" / "api" / "openapi-spec" / "v3"
    for path in sorted(folder.glob("api*_openapi.json")):
        for name, schema in json.loads(path.read_text()).get("components", {}).get("schemas", {}).items():
            definitions.setdefault(name, schema)
    return definitions


def go_folder(name):
    parts = name.split(".")
    package, version = parts[-3], parts[-2]
    if name.startswith("io.k8s.api."):
        return K8S / f"api@{STAGING}" / package / version
    if ".apimachinery.pkg.apis.meta." in name:
        return K8S / f"apimachinery@{STAGING}" / "pkg" / "apis" / "meta" / version
    if ".apiextensions-apiserver." in name:
        return K8S / f"apiextensions-apiserver@{STAGING}" / "pkg" / "apis" / "apiextensions" / version
    if ".kube-aggregator." in name:
        return K8S / f"kube-aggregator@{STAGING}" / "pkg" / "apis" / "apiregistration" / version
    return None


GO = {}


def go_structs(folder):
    """Struct name -> list of (json name or None for inlined, type text, options)."""
    if folder in GO:
        return GO[folder]
    structs = {}
    for path in sorted(folder.glob("*.go")):
        if path.name.startswith("zz_") or "generated" in path.name or path.name.endswith("_test.go"):
            continue
        current = None
        for line in path.read_text().splitlines():
            opened = re.match(r"type (\w+) struct \{", line)
            if opened:
                current = structs.setdefault(opened.group(1), [])
                continue
            if line.startswith("}"):
                current = None
            if current is None:
                continue
            field = re.match(r'\t(?:(\w+)\s+)?([\w.\[\]*]+)\s+`.*?json:"([^"]*)"', line)
            if not field:
                continue
            json_name, *options = field.group(3).split(",")
            if json_name == "-":
                continue
            current.append((json_name or None, field.group(2), options))
    GO[folder] = structs
    return structs


def go_fields(name):
    """Json name -> (qualified Go type, options) of the definition `name`."""
    folder = go_folder(name)
    if folder is None:
        return {}
    return fields_of(folder, name.split(".")[-1])


def fields_of(folder, struct):
    out = {}
    for json_name, text, options in go_structs(folder).get(struct, []):
        if json_name is None:
            alias = text.lstrip("*")
            if "." not in alias:
                out.update(fields_of(folder, alias))
            elif alias.endswith("TypeMeta"):
                out.update({"kind": ("string", ["omitempty"]), "apiVersion": ("string", ["omitempty"])})
            else:
                out.update(fields_of(K8S / f"api@{STAGING}" / "core" / "v1", alias.split(".")[-1]))
        else:
            out[json_name] = (qualify(text, folder.name), options)
    return out


PLAIN = {"string", "bool", "int", "int32", "int64", "uint8", "byte", "float64"}


def qualify(text, package):
    """Go's reflect spelling: own types get the package, import aliases become package names."""
    def one(match):
        word = match.group(0)
        if word in PLAIN or word == "map":
            return {"byte": "uint8"}.get(word, word)
        if "." in word:
            alias, kind = word.split(".")
            version = re.search(r"v\d+(?:(?:alpha|beta)\d+)?$", alias)
            return f"{version.group(0) if version else alias}.{kind}"
        return f"{package}.{word}"
    return re.sub(r"[\w.]+", one, text)


class Writer:
    def __init__(self, definitions):
        self.definitions = definitions
        self.numbers = {}
        self.queue = []
        self.map_keys = set()
        for schema in definitions.values():
            for field in schema.get("properties", {}).values():
                self.map_keys.update(field.get("x-kubernetes-list-map-keys", []))

    def number(self, name):
        if name not in self.numbers:
            self.numbers[name] = len(self.numbers)
            self.queue.append(name)
        return self.numbers[name]

    def shape(self, schema):
        """(type text, Go type that follows from it)"""
        reference = schema.get("$ref")
        if reference is None and len(schema.get("allOf", [])) == 1:
            reference = schema["allOf"][0].get("$ref")
        if reference is not None:
            name = reference.rsplit("/", 1)[1]
            last = name.rsplit(".", 1)[1]
            if last in SPECIAL and "properties" not in self.definitions[name]:
                code = SPECIAL[last]
                return code, GO_SCALAR.get(code, "v1." + last)
            return f"@{self.number(name)}", f"{name.split('.')[-2]}.{last}"
        kind = schema.get("type")
        if kind == "array":
            text, go = self.shape(schema["items"])
            return "[" + text, "[]" + go
        if kind == "object":
            more = schema.get("additionalProperties")
            if more is None:
                return "{*", "map[string]interface {}"
            text, go = self.shape(more)
            return "{" + text, "map[string]" + go
        if kind is None:
            return "*", "interface {}"
        code = {("string", None): "s", ("string", "byte"): "y", ("string", "date-time"): "t", ("boolean", None): "b",
                ("integer", "int32"): "i", ("integer", "int64"): "l", ("number", "double"): "n"}[kind, schema.get("format")]
        return code, GO_SCALAR[code]

    def field(self, name, schema, go):
        text, follows = self.shape(schema)
        attributes = []
        go_type, options = go.get(name, (None, []))
        if "omitempty" in options:
            attributes.append("~")
        if "omitzero" in options:
            attributes.append("0")
        if go_type and go_type.startswith("*"):
            attributes.append("*")
        list_type = schema.get("x-kubernetes-list-type")
        if list_type == "set":
            attributes.append("L=set")
        if list_type == "map":
            attributes.append("L=" + ",".join(schema["x-kubernetes-list-map-keys"]))
        map_type = schema.get("x-kubernetes-map-type")
        if map_type:
            attributes.append({"atomic": "A", "granular": "G"}[map_type])
        strategies = schema.get("x-kubernetes-patch-strategy", "").split(",")
        key = schema.get("x-kubernetes-patch-merge-key")
        if "merge" in strategies:
            attributes.append(f"M={key}" if key else "M")
        if "retainKeys" in strategies:
            attributes.append("R")
        if "replace" in strategies:
            attributes.append("W")
        default = schema.get("default")
        if name in self.map_keys and default is not None and not isinstance(default, (dict, list)):
            attributes.append("D=" + json.dumps(default, separators=(",", ":")))
        plain = go_type.replace("*", "") if go_type else follows
        if plain != follows:
            attributes.append("T=" + plain.replace(" ", ""))
        return f"{name}:{text}" + "".join(" " + attribute for attribute in attributes)

    def definition(self, name):
        schema = self.definitions[name]
        go = go_fields(name)
        properties = schema.get("properties", {})
        missing = sorted(set(properties) - set(go))
        if missing and go_folder(name) is not None:
            print(f"no Go field for {name}: {missing}", file=sys.stderr)
        fields = [self.field(field, properties[field], go) for field in sorted(properties)]
        flags = "A" if schema.get("x-kubernetes-map-type") == "atomic" else ""
        return "|".join([name.split(".")[-1], name.split(".")[-2], flags, *fields])


def main():
    definitions = documents()
    by_kind = {}
    for name, schema in definitions.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            if name.rsplit(".", 1)[1] == gvk["kind"]:
                by_kind.setdefault((gvk["group"], gvk["version"], gvk["kind"]), name)
    writer = Writer(definitions)
    roots = []
    meta = writer.number("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    assert meta == 0, "CRD schemas refer to ObjectMeta as definition 0"
    for group, version, kind in [*kinds(), *EXTRA]:
        name = by_kind.get((group, version, kind))
        if name is None:
            print(f"no schema for {group}/{version} {kind}", file=sys.stderr)
            continue
        roots.append(f"={group + '/' if group else ''}{version} {kind} {writer.number(name)}")
    lines = []
    while writer.queue:
        lines.append(writer.definition(writer.queue.pop(0)))
    head = [f"# Types of the built-in kinds of Kubernetes v{VERSION}, made by tools/generate-types.py; see there for the format."]
    (HERE.parent / "data" / "types.txt").write_text("\n".join([*head, *roots, *lines]) + "\n")


main()
