"""The table of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.kubernetes.durations import NONE, UNKNOWN, age
from kubeedge_actors.kubernetes.objects import get_condition

from ..errors import Json
from .columns import TablePrinter, columns

ROLE = "node-role.kubernetes.io/"
COLUMNS = columns(
    "Name",
    "Status",
    "Roles",
    "Age",
    "Version",
    "Internal-IP*",
    "External-IP*",
    "OS-Image*",
    "Kernel-Version*",
    "Container-Runtime*",
)


def node_cells(node: Json, now: float) -> Sequence[Any]:
    """The row of a node."""
    meta, status = node["metadata"], node.get("status", {})
    info = status.get("nodeInfo", {})
    return (
        meta["name"],
        status_cell(node),
        roles_cell(meta.get("labels", {})),
        age(meta.get("creationTimestamp"), now),
        info.get("kubeletVersion", ""),
        first_address(status, "InternalIP"),
        first_address(status, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        kernel_cell(info),
        info.get("containerRuntimeVersion") or UNKNOWN,
    )


def status_cell(node: Json) -> str:
    """Ready or not, and whether pods are kept away."""
    ready = get_condition(node, "Ready")
    text = "Unknown" if not ready else "Ready" if ready.get("status") == "True" else "NotReady"
    return text + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else "")


def roles_cell(labels: Json) -> str:
    """The roles that labels give."""
    roles = {key[len(ROLE) :] for key in labels if key.startswith(ROLE) and len(key) > len(ROLE)}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return ",".join(sorted(roles)) or NONE


def first_address(status: Json, kind: str) -> str:
    """The first address of a type."""
    return next((a.get("address", NONE) for a in status.get("addresses", ()) if a.get("type") == kind), NONE)


def kernel_cell(info: Json) -> str:
    """The kernel, and the architecture when the node tells it."""
    version = info.get("kernelVersion")
    if not version:
        return UNKNOWN
    return f"{version} ({info['architecture']})" if info.get("architecture") else str(version)


NODES = TablePrinter(COLUMNS, node_cells)
