"""The views that are plain lists: nodes, pods, twins, dead letters, events, what waits for the link, databases. An answer of the control socket in,
lines out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubeedge_actors.control.formatting import format_bytes, format_seconds, traffic_rows
from kubeedge_actors.dashboard.lines import FINE, NOTED, TROUBLE, Column, TableLine, trend

Json = Mapping[str, Any]
ACTORS, PODS, LETTERS, EVENTS = "actors", "pods", "deadletters", "events"
"""Names of views that have keys or questions of their own."""
NO_COMMAND = "there is no command"
"""How a process says that it does not have what a view asks for."""
HISTORY = 12
NEWEST = 1_000
"""Dead letters that are asked for."""


@dataclass(frozen=True, slots=True)
class Table:
    """One list: what is asked for it, its columns, how an answer becomes lines (`now`: a moment), and what is said when it is empty."""

    name: str
    command: str
    columns: tuple[Column, ...]
    lines: Callable[[Any, float], list[TableLine]]
    empty: str
    arguments: tuple[tuple[str, Any], ...] = ()


def moment(at: float | None, now: float) -> str:
    """A moment on this machine's clock; with its date unless that is today's.

    >>> moment(None, 0.0)
    ''
    """
    if not at:
        return ""
    there, here = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M:%S" if there[:3] == here[:3] else "%m-%d %H:%M:%S", there)


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
    """A line for each container below its pod when there are several; `data`: pod, container."""
    return [line for pod in pods for line in _pod(pod, now)]


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
        status.get("message", ""),
        data,
    )
    return [first, *(_container(each, name, data) for each in containers)]


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
        last,
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
    Column("actual", 10, 30),
    Column("at", 8, 14, rank=1),
    Column("expected", 10, 30),
    Column("differs", 7),
    Column("history", HISTORY, rank=3),
)


def twin_lines(devices: Sequence[Json], now: float) -> list[TableLine]:
    """A line for each property of each device."""
    return [line for device in devices for line in _device(device, now)]


def _device(device: Json, now: float) -> list[TableLine]:
    name = f"{device['namespace']}/{device['name']}"
    node, state = device.get("node") or "", str(device.get("state") or "")
    if not device["twins"]:
        return [TableLine(name, (name, node, state, "", "", "", "", "", ""), (), FINE, "it has no properties", device)]
    made = []
    for twin in device["twins"]:
        numbers = [_number(value) for _, value in twin.get("history", [])]
        low = min((number for number in numbers if number is not None), default=0.0)
        above = [None if number is None else number - low for number in numbers]
        bars = trend(above, HISTORY, max((number or 0.0 for number in above), default=0.0))
        actual, expected = _text(twin["actual"]), _text(twin["expected"])
        cells = (
            name,
            node,
            state,
            twin["property"],
            actual,
            moment(twin["actual_at"], now),
            expected,
            "yes" if twin["delta"] else "",
            bars,
        )
        order = (
            name,
            node,
            state,
            twin["property"],
            _number(actual) or actual,
            twin["actual_at"],
            expected,
            twin["delta"],
            "",
        )
        made.append(TableLine(f"{name}/{twin['property']}", cells, order, NOTED if twin["delta"] else FINE, "", twin))
    return made


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


# --- dead letters, events -------------------------------------------------------------------------------------------

LETTER_COLUMNS = (
    Column("id", 4, 8, right=True),
    Column("time", 8, 14),
    Column("recipient", 15, 40, middle=True),
    Column("message", 16, 40),
    Column("reason", 24, 60),
    Column("sender", 9, 40, rank=1, middle=True),
    Column("payload", 20, 120, rank=2),
)


def letter_lines(letters: Sequence[Json], now: float) -> list[TableLine]:
    """The newest first."""
    made = []
    for letter in reversed(letters):
        status = "replayed" if letter["replayed"] else letter["reason"]
        recipient, number = letter["recipient"] or "(nobody)", str(letter["id"] or "")
        cells = (
            number,
            moment(letter["at"], now),
            recipient,
            letter["type"],
            status,
            letter["sender"] or "",
            str(letter["payload"]),
        )
        order = (letter["id"], letter["at"], *cells[2:])
        made.append(TableLine(number or f"{letter['at']}", cells, order, FINE, letter.get("error") or "", letter))
    return made


EVENT_COLUMNS = (
    Column("time", 8, 14),
    Column("event", 16, 24),
    Column("of", 20, 40, middle=True),
    Column("what", 30, 200),
)
ALARMING = ("Failed", "Hung", "Slow", "Escalated", "Suspended", "Overflowed", "NotKept", "DeadLettered")
NOT_TOLD = ("event", "name", "at", "lost", "traceback", "letter")


def event_lines(events: Sequence[Json], now: float) -> list[TableLine]:
    """The newest last."""
    return [_event(event, now, at) for at, event in enumerate(events)]


def _event(event: Json, now: float, at: int) -> TableLine:
    shown = {key: value for key, value in event.items() if key not in NOT_TOLD and value not in ("", None, 0, 0.0)}
    what = str(event.get("error") or event.get("reason") or "") or ", ".join(
        f"{key} {value}" for key, value in shown.items()
    )
    cells = (moment(event["at"], now), event["event"], event["name"], what)
    return TableLine(str(at), cells, (at, *cells[1:]), NOTED if event["event"] in ALARMING else FINE, what, event)


# --- link, databases ------------------------------------------------------------------------------------------------

LINK_COLUMNS = (
    Column("what", 14, 30),
    Column("kind", 24, 40),
    Column("frames", 8, right=True),
    Column("bytes", 8, right=True),
    Column("oldest", 8, right=True),
)


def outbox_lines(outbox: Json, now: float) -> list[TableLine]:
    """What waits for the link, by lane and kind; then what went over it."""
    made = []
    for lane in outbox["lanes"]:
        cells = (
            f"waits {lane['lane']}",
            lane["kind"],
            str(lane["waiting"]),
            format_bytes(lane["bytes"]),
            format_seconds(lane["oldest"]),
        )
        order = (lane["lane"], lane["kind"], lane["waiting"], lane["bytes"], lane["oldest"])
        made.append(
            TableLine(
                f"{lane['lane']} {lane['kind']}", cells, order, NOTED, "it waits for the cloud's acknowledgement", lane
            )
        )
    for direction, module, kind, frames, size in traffic_rows(outbox):
        made.append(
            TableLine(
                f"{direction} {module} {kind}",
                (f"went {direction}", f"{module} {kind}", frames, size, ""),
                (),
                FINE,
                "since the process began",
                {},
            )
        )
    return made


STORE_COLUMNS = (
    Column("database", 16, 40),
    Column("size", 8, right=True),
    Column("log", 8, right=True),
    Column("commits", 8, right=True),
    Column("/s", 6, right=True),
    Column("p50", 6, right=True),
    Column("p99", 6, right=True),
    Column("log worked in", 13, rank=1),
)


def store_lines(stores: Sequence[Json], now: float) -> list[TableLine]:
    """One line for each database."""
    made = []
    for store in stores:
        cells = (
            store["name"], format_bytes(store["bytes"]), format_bytes(store["wal_bytes"]), str(store["commits"]), f"{store['commit_rate']:.1f}",
            format_seconds(store["commit_p50"]), format_seconds(store["commit_p99"]), moment(store["checkpoint_at"], now),
        )  # fmt: skip
        keys = ("name", "bytes", "wal_bytes", "commits", "commit_rate", "commit_p50", "commit_p99", "checkpoint_at")
        made.append(TableLine(store["name"], cells, tuple(store[key] for key in keys), FINE, "", store))
    return made


TABLES = {
    table.name: table
    for table in (
        Table("nodes", "nodes", NODE_COLUMNS, node_lines, "no node has joined"),
        Table("pods", "pods", POD_COLUMNS, pod_lines, "no pods are here"),
        Table("devices", "twins", TWIN_COLUMNS, twin_lines, "there are no devices"),
        Table(
            "deadletters", "deadletters", LETTER_COLUMNS, letter_lines, "every message was taken",
            (("newest", NEWEST),),
        ),
        Table("events", "", EVENT_COLUMNS, event_lines, "nothing has happened since this view was opened"),
        Table("link", "outbox", LINK_COLUMNS, outbox_lines, "nothing waits, and nothing went over the link"),
        Table("store", "stores", STORE_COLUMNS, store_lines, "no database is open"),
    )
}  # fmt: skip
VIEWS = (ACTORS, *TABLES)
