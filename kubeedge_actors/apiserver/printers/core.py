"""The tables of the small built-in kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.kubernetes.durations import NONE, UNKNOWN, age
from kubeedge_actors.kubernetes.pod_columns import NARROW, WIDE, pod_cells

from ..errors import Json
from .columns import TablePrinter, column, columns

Row = Sequence[Any]


def age_cell(body: Json, now: float) -> str:
    """The age of an object."""
    return age(body["metadata"].get("creationTimestamp"), now)


def default_cells(body: Json, now: float) -> Row:
    """Name and age."""
    return body["metadata"]["name"], age_cell(body, now)


def namespace_cells(body: Json, now: float) -> Row:
    """The row of a namespace."""
    return body["metadata"]["name"], body.get("status", {}).get("phase", ""), age_cell(body, now)


def config_map_cells(body: Json, now: float) -> Row:
    """The row of a config map."""
    count = len(body.get("data", ())) + len(body.get("binaryData", ()))
    return body["metadata"]["name"], count, age_cell(body, now)


def secret_cells(body: Json, now: float) -> Row:
    """The row of a secret."""
    return body["metadata"]["name"], body.get("type", ""), len(body.get("data", ())), age_cell(body, now)


def lease_cells(body: Json, now: float) -> Row:
    """The row of a lease."""
    return body["metadata"]["name"], body.get("spec", {}).get("holderIdentity", ""), age_cell(body, now)


def event_cells(body: Json, now: float) -> Row:
    """The row of an event."""
    about, source = body.get("involvedObject", {}), body.get("source", {})
    first = body.get("firstTimestamp") or body.get("eventTime")
    series = body.get("series") or {}
    last = series.get("lastObservedTime") or body.get("lastTimestamp") or first
    component = source.get("component") or body.get("reportingComponent", "")
    host = source.get("host") or body.get("reportingInstance", "")
    return (
        age(last, now),
        body.get("type", ""),
        body.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        body.get("message", "").strip(),
        age(first, now),
        series.get("count") or body.get("count") or 1,
        body["metadata"]["name"],
    )


def custom_resource_definition_cells(body: Json, now: float) -> Row:
    """The row of a custom resource definition."""
    return body["metadata"]["name"], body["metadata"].get("creationTimestamp", UNKNOWN)


def service_cells(body: Json, now: float) -> Row:
    """The row of a service."""
    spec = body.get("spec", {})
    ports = ",".join(port_text(port) for port in spec.get("ports", ())) or NONE
    selector = ",".join(f"{key}={value}" for key, value in sorted(spec.get("selector", {}).items())) or NONE
    name, kind = body["metadata"]["name"], spec.get("type", "")
    outside = ",".join(spec.get("externalIPs", ())) or NONE
    return name, kind, spec.get("clusterIP") or NONE, outside, ports, age_cell(body, now), selector


def port_text(port: Json) -> str:
    """One port of a service."""
    outer = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{outer}/{port.get('protocol', 'TCP')}"


EVENT_COLUMNS = columns(
    "Last Seen", "Type", "Reason", "Object", "Subobject*", "Source*", "Message", "First Seen*", "Count*", "Name*"
)
DATED = (*columns("Name"), column("Created At", "date"))
CUSTOM_COLUMNS = (*columns("Name"), column("Age", "date"))

DEFAULT_PRINTER = TablePrinter(columns("Name", "Age"), default_cells)
CUSTOM_RESOURCE_PRINTER = TablePrinter(CUSTOM_COLUMNS, default_cells)
PODS = TablePrinter(columns(*NARROW, *(f"{name}*" for name in WIDE)), pod_cells)
NAMESPACES = TablePrinter(columns("Name", "Status", "Age"), namespace_cells)
CONFIG_MAPS = TablePrinter(columns("Name", "Data", "Age"), config_map_cells)
SECRETS = TablePrinter(columns("Name", "Type", "Data", "Age"), secret_cells)
LEASES = TablePrinter(columns("Name", "Holder", "Age"), lease_cells)
EVENTS = TablePrinter(EVENT_COLUMNS, event_cells)
DEFINITIONS = TablePrinter(DATED, custom_resource_definition_cells)
SERVICES = TablePrinter(
    columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector*"), service_cells
)
