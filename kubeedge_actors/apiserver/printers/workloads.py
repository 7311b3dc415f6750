"""The tables of deployments, replica sets, daemon sets and stateful sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.kubernetes.durations import NONE

from ..errors import Json
from ..strategies.workloads import selector_text
from .columns import TablePrinter, columns
from .core import age_cell

Row = Sequence[Any]
WIDE_COLUMNS = ("Containers*", "Images*", "Selector*")


def wide_cells(spec: Json) -> Row:
    """Containers, images and selector."""
    containers = spec.get("template", {}).get("spec", {}).get("containers", ())
    names = ",".join(container.get("name", "") for container in containers)
    images = ",".join(container.get("image", "") for container in containers)
    return names, images, selector_text(spec.get("selector", {})) or NONE


def deployment_cells(body: Json, now: float) -> Row:
    """The row of a deployment."""
    spec, status = body.get("spec", {}), body.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    counts = (status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    return body["metadata"]["name"], ready, *counts, age_cell(body, now), *wide_cells(spec)


def replica_set_cells(body: Json, now: float) -> Row:
    """The row of a replica set."""
    spec, status = body.get("spec", {}), body.get("status", {})
    counts = (spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0))
    return body["metadata"]["name"], *counts, age_cell(body, now), *wide_cells(spec)


def daemon_set_cells(body: Json, now: float) -> Row:
    """The row of a daemon set."""
    spec, status = body.get("spec", {}), body.get("status", {})
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    counts = [status.get(field, 0) for field in (*fields, "numberAvailable")]
    selector = spec.get("template", {}).get("spec", {}).get("nodeSelector", {})
    nodes = ",".join(f"{key}={value}" for key, value in sorted(selector.items())) or NONE
    return body["metadata"]["name"], *counts, nodes, age_cell(body, now), *wide_cells(spec)


def stateful_set_cells(body: Json, now: float) -> Row:
    """The row of a stateful set."""
    spec, status = body.get("spec", {}), body.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return body["metadata"]["name"], ready, age_cell(body, now), *wide_cells(spec)[:2]


def controller_revision_cells(body: Json, now: float) -> Row:
    """The row of a controller revision."""
    owners = (owner for owner in body["metadata"].get("ownerReferences", ()) if owner.get("controller"))
    owner = next((f"{each['kind'].lower()}.apps/{each['name']}" for each in owners), NONE)
    return body["metadata"]["name"], owner, body.get("revision", 0), age_cell(body, now)


DEPLOYMENTS = TablePrinter(columns("Name", "Ready", "Up-to-date", "Available", "Age", *WIDE_COLUMNS), deployment_cells)
REPLICA_SETS = TablePrinter(columns("Name", "Desired#", "Current#", "Ready#", "Age", *WIDE_COLUMNS), replica_set_cells)
DAEMON_COUNTS = ("Desired#", "Current#", "Ready#", "Up-to-date#", "Available#")
DAEMON_SETS = TablePrinter(columns("Name", *DAEMON_COUNTS, "Node Selector", "Age", *WIDE_COLUMNS), daemon_set_cells)
STATEFUL_SETS = TablePrinter(columns("Name", "Ready", "Age", *WIDE_COLUMNS[:2]), stateful_set_cells)
CONTROLLER_REVISIONS = TablePrinter(columns("Name", "Controller", "Revision#", "Age"), controller_revision_cells)
