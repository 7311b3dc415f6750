"""Nodes, pods and devices as lists. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kubeedge_actors.control.formatting import format_bytes, format_seconds
from kubeedge_actors.dashboard.lines import FINE, NOTED, TROUBLE, Column, TableLine, trend
from kubeedge_actors.dashboard.views.fields import moment

Json = Mapping[str, Any]
HISTORY = 12

# --- nodes ----------------------------------------------------------------------------------------------------------

NODE_COLUMNS = (
    Column("node", 12, 40, middle=True),
    Column("link", 12),
    Column("since", 5, right=True),
    Column("ready", 7),
    Column("backlog", 7, right=True),
    Column("up", 7, rank=3, right=True),
    Column("down", 7, rank=4, right=True),
    Column("sessions", 8, rank=5, right=True),
    Column("kind", 7, rank=1),
    Column("version", 8, 40, rank=6),
    Column("address", 9, 40, rank=7),
    Column("why", 10, 80, rank=8),
)


def node_lines(nodes: Sequence[Json], now: float) -> list[TableLine]:
    """Those that are away or not ready first."""
    made = [_node(node, now) for node in nodes]
    return sorted(made, key=lambda line: (-line.severity, line.key))


def _node(node: Json, now: float) -> TableLine:
    since = now - node["since"] if node["since"] else None
    ready = str(node.get("ready") or "")
    away = node["state"] != "connected"
    cells = (
        node["name"], node["state"], format_seconds(since), ready, str(node["backlog"]), format_bytes(node["up"]), format_bytes(node["down"]),
        str(node["attempts"] or ""), node["kind"] or "", node["version"] or "", node["address"] or "", node.get("reason") or "",
    )  # fmt: skip
    order = (*cells[:2], since, ready, node["backlog"], node["up"], node["down"], node["attempts"], *cells[8:])
    trouble = TROUBLE if ready != "True" else NOTED if away or node["backlog"] else FINE
    return TableLine(node["name"], cells, order, trouble, cells[-1], node)


# --- pods -----------------------------------------------------------------------------------------------------------

POD_COLUMNS = (
    Column("pod", 22, 60, middle=True),
    Column("ready", 5),
    Column("status", 17, 24),
    Column("restarts", 8, right=True),
    Column("age", 4, right=True),
    Column("last state", 16, 50, rank=1),
    Column("ip", 10, 15, rank=2),
)


def pod_lines(pods: Sequence[Json], now: float) -> list[TableLine]:
    """The pods that are not well first; a line for each container below its pod when there are several; `data`: pod, container."""
    made = [_pod(pod, now) for pod in pods]
    return [line for lines in sorted(made, key=lambda lines: (-lines[0].severity, lines[0].key)) for line in lines]


def _pod(pod: Json, now: float) -> list[TableLine]:
    meta, status = pod["metadata"], pod.get("status", {})
    containers = status.get("containerStatuses", [])
    name = f"{meta.get('namespace', 'default')}/{meta['name']}"
    ready, restarts = (
        sum(bool(each.get("ready")) for each in containers),
        sum(each.get("restartCount", 0) for each in containers),
    )
    wrong = next((_state(each["state"])[0] for each in containers if "waiting" in each.get("state", {})), "")
    word = wrong or status.get("reason") or status.get("phase", "")
    age = now - _seconds(meta.get("creationTimestamp"), now)
    last = next((_state(each["lastState"])[1] for each in containers if each.get("lastState")), "")
    cells = (
        name,
        f"{ready}/{len(pod['spec']['containers'])}",
        word,
        str(restarts),
        format_seconds(age),
        last,
        status.get("podIP", ""),
    )
    fine = word in ("Running", "Succeeded") and (word == "Succeeded" or ready == len(containers))
    data = {"namespace": meta.get("namespace", "default"), "pod": meta["name"], "container": "", "object": pod}
    first = TableLine(
        name,
        cells,
        (name, ready, word, restarts, age, last, cells[-1]),
        FINE if fine else TROUBLE,
        status.get("message") or _message(containers),
        data,
    )
    several = len(pod["spec"]["containers"]) > 1
    return [first, *(_container(each, name, data) for each in containers if several)]


def _message(containers: Sequence[Json]) -> str:
    """Why the first that waits does so."""
    waiting = (each.get("state", {}).get("waiting") for each in containers)
    return next((str(facts["message"]) for facts in waiting if facts and facts.get("message")), "")


def _container(status: Json, pod: str, data: Json) -> TableLine:
    word, _ = _state(status.get("state", {}))
    last = _state(status["lastState"])[1] if status.get("lastState") else ""
    ready = "yes" if status.get("ready") else "no"
    cells = (f"  {status['name']}", ready, word, str(status.get("restartCount", 0)), "", last, "")
    return TableLine(
        f"{pod}/{status['name']}",
        cells,
        (pod, ready, word, status.get("restartCount", 0)),
        FINE,
        _message([status]) or last,
        {**data, "container": status["name"]},
    )


def _state(state: Json) -> tuple[str, str]:
    """One word, and what there is to say."""
    for kind, facts in state.items():
        if kind == "running":
            return "Running", ""
        reason = facts.get("reason", kind)
        code = f", exit {facts['exitCode']}" if "exitCode" in facts else ""
        return reason, f"{reason}{code}"
    return "", ""


def _seconds(text: str | None, otherwise: float) -> float:
    """An RFC 3339 time as seconds since 1970."""
    if not text:
        return otherwise
    return datetime.fromisoformat(text).timestamp()


# --- twins ----------------------------------------------------------------------------------------------------------

TWIN_COLUMNS = (
    Column("device", 14, 40, middle=True),
    Column("node", 6, 30, rank=4),
    Column("state", 7, 10, rank=2),
    Column("property", 12, 30),
    Column("actual", 8, 30),
    Column("at", 8, 14, rank=1),
    Column("expected", 8, 30),
    Column("at", 8, 14, rank=5),
    Column("differs", 7),
    Column("history", HISTORY, rank=3),
)


def twin_lines(devices: Sequence[Json], now: float) -> list[TableLine]:
    """A line for each property of each device."""
    return [line for device in devices for line in _device(device, now)]


def _device(device: Json, now: float) -> list[TableLine]:
    name = f"{device['namespace']}/{device['name']}"
    facts = {"device": name, "node": device.get("node") or "", "state": str(device.get("state") or "")}
    if not device["twins"]:
        return [TableLine(name, (*facts.values(), *[""] * 7), (), FINE, "it has no properties", device)]
    return [_twin(twin, {**facts, "last_online": device.get("last_online")}, now) for twin in device["twins"]]


def _twin(twin: Json, device: Json, now: float) -> TableLine:
    numbers = [_number(value) for _, value in twin.get("history", [])]
    low, high = _ends(numbers[-HISTORY:])
    bars = trend([None if number is None else number - low for number in numbers], HISTORY, high - low)
    lately = f"its history is from {low:g} to {high:g}" if high > low else ""
    actual, expected, place = (
        _text(twin["actual"]),
        _text(twin["expected"]),
        (device["device"], device["node"], device["state"]),
    )
    cells = (
        *place, twin["property"], actual, moment(twin["actual_at"], now), expected, moment(twin["expected_at"], now), "yes" if twin["delta"] else "", bars,
    )  # fmt: skip
    order = (
        *place, twin["property"], _number(actual) or actual, twin["actual_at"], expected, twin["expected_at"], twin["delta"], "",
    )  # fmt: skip
    past = [f"{moment(at, now)} {_text(value)}" for at, value in twin.get("history", [])]
    key = f"{device['device']}/{twin['property']}"
    return TableLine(key, cells, order, NOTED if twin["delta"] else FINE, lately, {**device, **twin, "history": past})


def _ends(numbers: Sequence[float | None]) -> tuple[float, float]:
    known = [number for number in numbers if number is not None]
    return min(known, default=0.0), max(known, default=0.0)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
