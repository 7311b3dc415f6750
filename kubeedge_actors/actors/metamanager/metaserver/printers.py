"""Printers: lists as kubectl shows them. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

from kubeedge_actors.kubernetes.objects import get_condition
from kubeedge_actors.wire.messages import Json

Cells = Callable[[Json, float], list[Any]]


def convert_to_table(plural: str, objects: Sequence[Json], now: float, version: str) -> Json:
    """The objects as a meta.k8s.io Table; `now` in epoch seconds."""
    columns, cells = PRINTERS.get(plural, (("Name", "Age"), _default_cells))
    kinds = {"Restarts": "integer"}
    definitions = [
        {"name": name, "type": kinds.get(name, "string"), "format": "name" if name == "Name" else "", "priority": 0}
        for name in columns
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
    return [object["metadata"].get("name", ""), age_text(object, now)]


def _pod(pod: Json, now: float) -> list[Any]:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready = sum(1 for container in containers if container.get("ready"))
    total = len((pod.get("spec") or {}).get("containers") or containers)
    reasons = [
        detail["reason"]
        for container in containers
        for detail in (container.get("state") or {}).values()
        if isinstance(detail, dict) and detail.get("reason")
    ]
    shown = status.get("reason") or (reasons[0] if reasons else status.get("phase") or "Unknown")
    if pod["metadata"].get("deletionTimestamp"):
        shown = "Terminating"
    restarts = sum(int(container.get("restartCount") or 0) for container in containers)
    return [pod["metadata"].get("name", ""), f"{ready}/{total}", shown, restarts, age_text(pod, now)]


def _node(node: Json, now: float) -> list[Any]:
    status, labels = node.get("status") or {}, node["metadata"].get("labels") or {}
    ready = str(get_condition(node, "Ready").get("status") or "")
    prefix = "node-role.kubernetes.io/"
    roles = ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"
    version = (status.get("nodeInfo") or {}).get("kubeletVersion", "")
    shown = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return [node["metadata"].get("name", ""), shown, roles, age_text(node, now), version]


PRINTERS: dict[str, tuple[tuple[str, ...], Cells]] = {
    "pods": (("Name", "Ready", "Status", "Restarts", "Age"), _pod),
    "nodes": (("Name", "Status", "Roles", "Age", "Version"), _node),
}


def age_text(item: Json, now: float) -> str:
    """The age of an object as kubectl shows it.

    >>> age_text({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}, 1767225600.0 + 7300)
    '121m'
    """
    try:
        born = datetime.datetime.fromisoformat(str(item["metadata"]["creationTimestamp"])).timestamp()
    except (KeyError, ValueError):
        return "<unknown>"
    seconds = max(0, int(now - born))
    for limit, size, unit in ((120, 1, "s"), (3 * 3600, 60, "m"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"
