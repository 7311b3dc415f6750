"""Builds `apiserver/codec/types.json` from the typed models of the Kubernetes client library.

Run `python -m tests.support.schema_source` after that library was updated; a test checks that the file is current.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import msgspec

TARGET = Path(__file__).parents[2] / "kubeedge_actors" / "apiserver" / "codec" / "types.json"

ROOTS = {
    "core_v1": "Pod Node Namespace ConfigMap Secret ServiceAccount Event Binding Service Endpoints PersistentVolume PersistentVolumeClaim",
    "apps_v1": "Deployment ReplicaSet DaemonSet StatefulSet ControllerRevision",
    "batch_v1": "Job",
    "coordination_v1": "Lease",
    "storage_v1": "VolumeAttachment",
    "policy_v1": "Eviction PodDisruptionBudget",
    "autoscaling_v1": "Scale",
    "rbac_v1": "Role RoleBinding ClusterRole ClusterRoleBinding",
    "apiextensions_v1": "CustomResourceDefinition",
    "authorization_v1": "SelfSubjectAccessReview SelfSubjectRulesReview",
    "authentication_v1": "SelfSubjectReview TokenRequest",
    "events_v1": "Event",
}
LEAVES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "dict": "{string}",
    "MicroTime": "microtime",
    "Time": "time",
    "datetime": "time",
    "Quantity": "quantity",
    "IntOrString": "intstr",
    "FieldsV1": "any",
    "RawExtension": "any",
    "JSONSchemaProps": "any",
}
RENAMED = {("events_v1", "Event"): "events.k8s.io/Event"}
# The models say `dict` for every map; these are the ones that do not map text to text.
MAPS = {
    ("Secret", "data"): "{bytes}",
    ("ConfigMap", "binaryData"): "{bytes}",
    ("FlexPersistentVolumeSource", "options"): "{string}",
    ("UserInfo", "extra"): "{[string]}",
    ("ControllerRevision", "data"): "any",
    ("PodDisruptionBudgetStatus", "disruptedPods"): "{time}",
}
MEASURED = {"kind": "string", "apiVersion": "string", "metadata": "ObjectMeta", "timestamp": "time", "window": "string"}
OTHERS = {
    "ContainerMetrics": {"name": "string", "usage": "{quantity}"},
    "NodeMetrics": {**MEASURED, "usage": "{quantity}"},
    "PodMetrics": {**MEASURED, "containers": "[ContainerMetrics]"},
}
"""Types of metrics.k8s.io, which the library does not have (source: k8s.io/metrics)."""
QUANTITIES = {"limits", "requests", "capacity", "allocatable", "overhead", "allocatedResources", "consumedCapacity"}

Wanted = list[tuple[str, str]]


def short(module: str, annotation: str, wanted: Wanted) -> str:
    """One annotation in the compact notation; types it refers to are added to `wanted`."""
    text = annotation.strip().strip("'")
    if inner := re.fullmatch(r"Optional\[(.*)\]", text):
        return short(module, inner[1], wanted)
    if inner := re.fullmatch(r"List\[(.*)\]", text):
        return f"[{short(module, inner[1], wanted)}]"
    home, _, name = text.rpartition(".")
    home = home or module
    if name in LEAVES:
        return LEAVES[name]
    if not hasattr(model(home, name), "__struct_fields__"):
        return "any"
    wanted.append((home, name))
    return RENAMED.get((home, name), name)


def model(module: str, name: str) -> Any:
    """The library's class."""
    return getattr(importlib.import_module(f"lightkube.models.{module}"), name)


def fields(module: str, name: str, key: str, wanted: Wanted) -> dict[str, str]:
    """The wire fields of one type in the compact notation."""
    cls = model(module, name)
    wire_fields = {}
    for attribute, field in zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True):
        compact = short(module, cls.__annotations__[attribute], wanted)
        if compact == "{string}" and field in QUANTITIES:
            compact = "{quantity}"
        wire_fields[field] = MAPS.get((key, field), compact)
    return wire_fields


def build() -> dict[str, dict[str, str]]:
    """All types that the roots reach: type name -> field -> compact type."""
    wanted = [(module, name) for module, names in ROOTS.items() for name in names.split()]
    types: dict[str, dict[str, str]] = {}
    while wanted:
        module, name = wanted.pop()
        key = RENAMED.get((module, name), name)
        if key not in types:
            types[key] = fields(module, name, key, wanted)
    return dict(sorted((types | OTHERS).items()))


def text() -> str:
    """The file's content: one type a line."""
    lines = [f"{msgspec.json.encode(k).decode()}: {msgspec.json.encode(v).decode()}" for k, v in build().items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(text())
