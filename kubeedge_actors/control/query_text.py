"""Nodes, devices, what waits for the cloud, databases: answers of the control socket as tables of text. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeedge_actors.control.formatting import aligned, format_bytes, format_seconds

Json = Mapping[str, Any]


def nodes_text(answer: Sequence[Json], now: float | None = None) -> str:
    """The answer to `nodes`."""
    moment = time.time() if now is None else now
    headings = (
        "node",
        "link",
        "for",
        "ready",
        "sessions",
        "up",
        "down",
        "waiting",
        "version",
        "kind",
        "address",
        "why",
    )
    return _table(headings, answer, lambda node: _node_cells(node, moment))


def _node_cells(node: Json, now: float) -> tuple[str, ...]:
    traffic = (format_bytes(node["up"]), format_bytes(node["down"]), str(node["backlog"]))
    known = (node["version"], node["kind"], node["address"], node["reason"])
    return (
        node["name"],
        node["state"],
        _age(node["since"], now),
        node["ready"],
        str(node["attempts"]),
        *traffic,
        *known,
    )


def twins_text(answer: Sequence[Json], now: float | None = None) -> str:
    """The answer to `twins`: a line for each property, and one for a device without any."""
    moment = time.time() if now is None else now
    headings = ("device", "node", "state", "property", "actual", "for", "expected", "")
    rows = [
        (f"{device['namespace']}/{device['name']}".lstrip("/"), device.get("node", ""), device["state"], *cells)
        for device in answer
        for cells in [_twin_cells(twin, moment) for twin in device["twins"]] or [("", "", "", "", "")]
    ]
    return aligned([headings, *rows]) if rows else "there are none"


def _twin_cells(twin: Json, now: float) -> tuple[str, ...]:
    delta = "differs" if twin["delta"] else ""
    return twin["property"], twin["actual"] or "", _age(twin["actual_at"], now), twin["expected"] or "", delta


def outbox_text(answer: Json, now: float | None = None) -> str:
    """The answer to `outbox`."""
    age = _age(answer.get("since"), time.time() if now is None else now)
    link = (
        f"link {answer['state']}"
        + (f" for {age}" if age else "")
        + (f": {answer['reason']}" if answer.get("reason") else "")
    )
    behind = answer["waiting"] - answer["looked_at"]
    more = f"; {behind} of them were not looked at" if behind > 0 else ""
    head = f"{link}\n{answer['waiting']} messages wait for the cloud, {format_bytes(answer['bytes'])}{more}"
    if not answer["lanes"]:
        return head
    lanes = [
        (lane["lane"], lane["kind"], str(lane["waiting"]), format_bytes(lane["bytes"]), format_seconds(lane["oldest"]))
        for lane in answer["lanes"]
    ]
    return f"{head}\n{aligned([('lane', 'kind', 'waiting', 'bytes', 'oldest'), *lanes])}"


def stores_text(answer: Sequence[Json], now: float | None = None) -> str:
    """The answer to `stores`."""
    moment = time.time() if now is None else now
    headings = ("database", "size", "log", "commits", "commits/s", "p50", "p99", "checkpoint")
    return _table(headings, answer, lambda store: _store_cells(store, moment))


def _store_cells(store: Json, now: float) -> tuple[str, ...]:
    age = _age(store["checkpoint_at"], now)
    sizes = (format_bytes(store["bytes"]), format_bytes(store["wal_bytes"]), str(store["commits"]))
    times = (f"{store['commit_rate']:.1f}", format_seconds(store["commit_p50"]), format_seconds(store["commit_p99"]))
    return (store["name"], *sizes, *times, f"{age} ago" if age else "")


def _table(headings: tuple[str, ...], answer: Sequence[Json], cells: Callable[[Json], tuple[str, ...]]) -> str:
    return aligned([headings, *map(cells, answer)]) if answer else "there are none"


def _age(moment: float | None, now: float) -> str:
    return "" if moment is None else format_seconds(max(0.0, now - moment))
