"""Objects as kubectl prints them: tables, JSON, YAML, names. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubeedge_actors.kubernetes.durations import NONE, age
from kubeedge_actors.kubernetes.pod_columns import NARROW, WIDE, pod_cells
from kubeedge_actors.yaml_documents import import_yaml

Json = dict[str, Any]
GAP = 3
"""Spaces between two columns."""


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows, the headings among them, with columns as wide as their longest cell.

    >>> print(table([("NAME", "AGE"), ("web", "5s")]))
    NAME   AGE
    web    5s
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) + GAP for column in zip(*cells, strict=True)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def pod_table(pods: Sequence[Json], now: float, *, wide: bool, namespaces: bool, headings: bool) -> str:
    """Pods, a line each; `now` in epoch seconds."""
    columns = NARROW + WIDE if wide else NARROW
    rows = [pod_cells(pod, now)[: len(columns)] for pod in pods]
    if namespaces:
        columns = ("Namespace", *columns)
        rows = [(pod["metadata"].get("namespace", ""), *row) for pod, row in zip(pods, rows, strict=True)]
    heading = [[name.upper() for name in columns]] if headings else []
    return table([*heading, *rows])


def device_table(devices: Sequence[Json], now: float, *, namespaces: bool, headings: bool) -> str:
    """Devices, a line each; `now` in epoch seconds."""
    columns: tuple[str, ...] = ("NAME", "MODEL", "PROTOCOL", "STATE", "AGE")
    rows: list[tuple[str, ...]] = [_device_cells(device, now) for device in devices]
    if namespaces:
        columns = ("NAMESPACE", *columns)
        rows = [(device["metadata"]["namespace"], *row) for device, row in zip(devices, rows, strict=True)]
    return table([*([columns] if headings else []), *rows])


def _device_cells(device: Json, now: float) -> tuple[str, ...]:
    spec, meta = device.get("spec") or {}, device["metadata"]
    model, protocol = (spec.get("deviceModelRef") or {}).get("name"), (spec.get("protocol") or {}).get("protocolName")
    state = device["status"].get("state")
    return (meta["name"], or_none(model), or_none(protocol), or_none(state), age(meta.get("creationTimestamp"), now))


def event_table(events: Sequence[Json], now: float, *, namespaces: bool) -> str:
    """Events, a line each, as kubectl events has them."""
    columns = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")
    rows = [
        (
            age_of_event(event, now),
            event["type"],
            event["reason"],
            f"{event['involvedObject']['kind']}/{event['involvedObject']['name']}",
            str(event["message"]).strip(),
        )
        for event in events
    ]
    if not namespaces:
        return table([columns, *rows])
    spaces = [event["metadata"]["namespace"] for event in events]
    return table([("NAMESPACE", *columns), *((space, *row) for space, row in zip(spaces, rows, strict=True))])


def age_of_event(event: Json, now: float) -> str:
    """When it happened last, and since when how often."""
    last, first = age(event.get("lastTimestamp"), now), age(event.get("firstTimestamp"), now)
    return f"{last} (x{event['count']} over {first})" if int(event.get("count") or 1) > 1 else first


def names(objects: Sequence[Json], kind: str = "pod") -> str:
    """What `-o name` prints."""
    return "\n".join(f"{kind}/{each['metadata']['name']}" for each in objects)


def as_list(items: Sequence[Json]) -> Json:
    """The v1.List of objects."""
    return {"apiVersion": "v1", "items": list(items), "kind": "List", "metadata": {"resourceVersion": ""}}


def document(value: Json, form: str) -> str:
    """One document, `json` or `yaml`, with sorted keys."""
    if form == "json":
        return json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False)
    return str(import_yaml().safe_dump(value, sort_keys=True, allow_unicode=True, default_flow_style=False)).rstrip()


def or_none(text: object) -> str:
    """The text, or `<none>`."""
    return str(text) if text else NONE
