"""Dead letters, events, what waits for the link, databases as lists. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubeedge_actors.control.formatting import aligned, format_bytes, format_seconds, traffic_rows
from kubeedge_actors.dashboard.lines import FINE, NOTED, TROUBLE, Column, TableLine
from kubeedge_actors.dashboard.views.fields import moment, value_text

Json = Mapping[str, Any]

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
        facts = {**{name: letter.get(name) for name in LETTER_FIELDS}, **letter}
        detail = letter.get("error") or f"{letter['sender'] or 'somebody outside'} told {letter['payload']}"
        made.append(TableLine(number or f"{letter['at']}", cells, order, FINE, detail, facts))
    return made


LETTER_FIELDS = ("id", "at", "type", "recipient", "sender", "reason", "error", "deliveries", "payload")
"""The order in which a letter's page has them."""
EVENT_COLUMNS = (
    Column("time", 8, 14),
    Column("event", 16, 24),
    Column("of", 20, 40, middle=True),
    Column("what", 30, 200),
)
ALARMING = ("Failed", "Hung", "Slow", "Escalated", "Suspended", "Overflowed", "NotKept", "DeadLettered")
NOT_TOLD = ("event", "name", "at", "lost", "traceback", "letter")


def event_lines(events: Sequence[Json], now: float) -> list[TableLine]:
    """The newest first."""
    return [_event(event, now) for event in reversed(events)]


def _event(event: Json, now: float) -> TableLine:
    shown = {key: value for key, value in event.items() if key not in NOT_TOLD and value not in ("", None, 0, 0.0)}
    letter = event.get("letter") or {}
    about = f"{letter['type']}: {letter['reason']}" if letter.get("type") else ""
    facts = ", ".join(f"{key} {value_text(key, value)}" for key, value in shown.items())
    what = str(event.get("error") or event.get("reason") or about or facts)
    cells = (moment(event["at"], now), event["event"], event["name"], what)
    key = f"{event['event']} {event['name']} {event['at']:.6f}"
    return TableLine(
        key,
        cells,
        (event["at"], *cells[1:]),
        NOTED if event["event"] in ALARMING else FINE,
        what,
        event,
        f"{event['event']} {event['name']}",
    )


# --- link, databases ------------------------------------------------------------------------------------------------

LINK_COLUMNS = (
    Column("what", 14, 30),
    Column("kind", 24, 90),
    Column("frames", 8, right=True),
    Column("bytes", 8, right=True),
    Column("oldest", 8, right=True),
)


def _link(outbox: Json, now: float) -> TableLine:
    state, is_up = outbox["state"], outbox["state"] in ("connected", "none")
    if outbox.get("attempts") is None:
        return TableLine("link", ("link", "this node works alone", "", "", ""), (), FINE, "", outbox)
    since = format_seconds(max(0.0, now - outbox["since"]))
    about = f"{state} for {since}, attempt {outbox['attempts']}, {outbox.get('url', '')}"
    cells = ("link", about, str(outbox["waiting"]), format_bytes(outbox["bytes"]), format_seconds(outbox["oldest"]))
    waits = f"waiting for the cloud's acknowledgement: {outbox['waiting']}"
    facts = {name: value for name, value in outbox.items() if name not in ("lanes", "traffic")}
    return TableLine(
        "link", cells, (), FINE if is_up else TROUBLE, waits if is_up else outbox.get("reason") or "", facts
    )


def outbox_lines(outbox: Json, now: float) -> list[TableLine]:
    """The link; what waits for it, by lane and kind; then what went over it."""
    made = [_link(outbox, now)]
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
                (f"went {direction}", f"{module} {kind}", int(frames)),
                FINE,
                "since the process began",
                {"direction": direction, "module": module, "kind": kind, "frames": frames, "bytes": size},
            )
        )
    return made


STORE_COLUMNS = (
    Column("database", 16, 40),
    Column("size", 8, right=True),
    Column("WAL", 8, right=True),
    Column("commits", 8, right=True),
    Column("/s", 6, right=True),
    Column("p50", 6, right=True),
    Column("p99", 6, right=True),
    Column("checkpoint", 10, 14, rank=1),
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


# --- events of pods -------------------------------------------------------------------------------------------------


def pod_events_text(events: Sequence[Json], pod: str) -> str:
    """Those of one pod, as Kubernetes has them, the newest first."""
    rows = [
        (_last(event), event.get("type", ""), event.get("reason", ""), f"x{event.get('count') or 1}", event.get("message", ""))
        for event in reversed(events)
        if event.get("involvedObject", {}).get("name") == pod
    ]  # fmt: skip
    return aligned([("time", "type", "reason", "", "message"), *rows]) if rows else "none since the edge was started"


def _last(event: Json) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
