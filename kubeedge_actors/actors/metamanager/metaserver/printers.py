"""Printers: lists as kubectl shows them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubeedge_actors.kubernetes.durations import age
from kubeedge_actors.kubernetes.objects import get_condition
from kubeedge_actors.kubernetes.pod_columns import NARROW, pod_cells
from kubeedge_actors.wire.messages import Json

Cells = Callable[[Json, float], list[Any]]


def convert_to_table(plural: str, objects: Sequence[Json], now: float, version: str) -> Json:
    """The objects as a meta.k8s.io Table; `now` in epoch seconds."""
    columns, cells = PRINTERS.get(plural, (("Name", "Age"), _default_cells))
    definitions = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "priority": 0} for name in columns
    ]
    rows = [{"cells": cells(object, now), "object": _partial(object)} for object in objects]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _partial(object: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}


def _default_cells(object: Json, now: float) -> list[Any]:
    return [object["metadata"].get("name", ""), _age(object, now)]


def _age(object: Json, now: float) -> str:
    return age(object["metadata"].get("creationTimestamp"), now)


def _pod(pod: Json, now: float) -> list[Any]:
    return list(pod_cells(pod, now)[: len(NARROW)])


def _node(node: Json, now: float) -> list[Any]:
    status, labels = node.get("status") or {}, node["metadata"].get("labels") or {}
    ready = str(get_condition(node, "Ready").get("status") or "")
    prefix = "node-role.kubernetes.io/"
    roles = ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"
    version = (status.get("nodeInfo") or {}).get("kubeletVersion", "")
    shown = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return [node["metadata"].get("name", ""), shown, roles, _age(node, now), version]


PRINTERS: dict[str, tuple[tuple[str, ...], Cells]] = {
    "pods": (NARROW, _pod),
    "nodes": (("Name", "Status", "Roles", "Age", "Version"), _node),
}
