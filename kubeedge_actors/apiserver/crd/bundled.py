"""The definitions that ship with the program, written out as CustomResourceDefinitions.

`definitions.json` says a schema in short: `string`, `integer`, `boolean`, `number`; `any` is a free object, `[x]` a list,
`{x}` a map, `a|b` a choice, `~x` a text of this pattern; a key that ends in `!` is required, a key `...` keeps unknown fields. `older` are further
versions that are served, in which an object has the same fields.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from ..errors import Json

SCALARS = frozenset({"string", "integer", "boolean", "number"})
PRESERVE = "x-kubernetes-preserve-unknown-fields"


def definitions() -> list[Json]:
    """All of them, as CustomResourceDefinition objects without status."""
    data = files(__package__).joinpath("definitions.json").read_bytes()
    return [expand_definition(short) for short in msgspec.json.decode(data)]


def expand_definition(short: Json) -> Json:
    """One definition from its short form."""
    group, plural, kind = short["group"], short["plural"], short["kind"]
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    if "short" in short:
        names["shortNames"] = short["short"]
    status = bool(short.get("status"))
    versions = [_version(each, storage=False, status=status) for each in short.get("older", ())]
    versions.append(_version(short, storage=True, status=status))
    spec = {"group": group, "scope": short.get("scope", "Namespaced"), "names": names, "versions": versions}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": spec,
    }


def _version(short: Json, *, storage: bool, status: bool) -> Json:
    schema = expand_schema(short["schema"])
    for root in ("apiVersion", "kind"):
        schema["properties"][root] = {"type": "string"}
    schema["properties"]["metadata"] = {"type": "object"}
    version: Json = {"name": short["version"], "served": True, "storage": storage}
    version["schema"] = {"openAPIV3Schema": schema}
    return version | ({"subresources": {"status": {}}} if status else {})


def expand_schema(short: Any) -> Json:
    """A structural schema from its short form."""
    if isinstance(short, list):
        return {"type": "array", "items": expand_schema(short[0])}
    if isinstance(short, dict):
        return expand_object_schema(short)
    if short in SCALARS:
        return {"type": short}
    if short == "any":
        return {"type": "object", PRESERVE: True}
    if short[0] == "~":
        return {"type": "string", "pattern": short[1:]}
    if short[0] == "[":
        return {"type": "array", "items": expand_schema(short[1:-1])}
    if short[0] == "{":
        return {"type": "object", "additionalProperties": expand_schema(short[1:-1])}
    return {"type": "string", "enum": short.split("|")}


def expand_object_schema(short: Json) -> Json:
    """The schema of an object with named properties."""
    schema: Json = {"type": "object"}
    properties = {key.rstrip("!"): expand_schema(value) for key, value in short.items() if key != "..."}
    if properties:
        schema["properties"] = properties
    if required := [key[:-1] for key in short if key.endswith("!")]:
        schema["required"] = required
    if "..." in short:
        schema[PRESERVE] = True
    return schema


def as_yaml(value: Any, indent: str = "") -> str:
    """JSON as YAML of blocks: keys in their order, texts quoted, so that it needs no YAML library to write."""
    if isinstance(value, dict) and value:
        return "".join(f"{indent}{key}:{_inner(item, indent + '  ')}" for key, item in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{indent}- {as_yaml(item, indent + '  ').lstrip()}" for item in value)
    return f"{indent}{msgspec.json.encode(value).decode()}\n"


def _inner(value: Any, indent: str) -> str:
    flat = not isinstance(value, dict | list) or not value
    return f" {as_yaml(value)}" if flat else f"\n{as_yaml(value, indent)}"


def write_manifest(file: Path) -> None:
    """All definitions as a manifest for kubectl."""
    file.write_text("---\n".join(map(as_yaml, definitions())), encoding="utf-8")
