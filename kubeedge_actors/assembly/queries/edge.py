"""Answers of an edge: its devices, and what waits for the cloud. Read from its database, so that no actor is asked or waited for."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from kubeedge_actors.actors.devicetwin.dttypes import DELETED
from kubeedge_actors.actors.edgehub.outbox import is_mqtt_upload
from kubeedge_actors.actors.edgehub.traffic import frame_label
from kubeedge_actors.assembly.queries.devices import DeviceQuery, parse_last_online, seconds_of_ms
from kubeedge_actors.control.process_info import ProcessInfo
from kubeedge_actors.control.streams import MoreCommands
from kubeedge_actors.drivers.store.base import DeviceRow, OutboxRow, OutboxStore, Store, TwinRow, TwinStore

Json = dict[str, Any]
LOOKED_AT = 1_000
"""Messages of the outbox that are looked at; of those behind them only the number is known."""
HISTORY_VALUES, HISTORIES = 30, 200
"""The newest values of a property, and how many properties have theirs told."""
REPORTS, UPLOADS, MESSAGES = "reports", "uploads", "messages"


def edge_queries(store: Store, info: ProcessInfo) -> MoreCommands:
    """The questions about twins and the outbox."""
    return MoreCommands({"twins": partial(twins, store.twin), "outbox": partial(outbox, store.outbox, info)}, {})


# --- twins ------------------------------------------------------------------------------------------------------------


def twins(store: TwinStore, request: Json) -> list[Json]:
    """The devices of this node with their twins. Errors: UsageError, StoreError."""
    rows = DeviceQuery.of(request).chosen(store.devices(), lambda row: row.id)
    left = HISTORIES
    found = []
    for row in rows:
        device = _device(store, row, left)
        left -= sum(bool(twin["history"]) for twin in device["twins"])
        found.append(device)
    return found


def _device(store: TwinStore, row: DeviceRow, histories: int) -> Json:
    namespace, _, name = row.id.rpartition("/")
    properties, _ = store.device(row.id)
    kept = list(store.last_history_numbers(row.id))[:histories] if histories > 0 else []
    return {
        "name": row.name or name,
        "namespace": namespace,
        "state": row.state,
        "last_online": parse_last_online(row.last_online),
        "twins": [_twin(store, twin, kept) for twin in properties if twin.attr_type != DELETED],
    }


def _twin(store: TwinStore, twin: TwinRow, kept: Iterable[str]) -> Json:
    values = store.history(twin.device, twin.name, limit=HISTORY_VALUES) if twin.name in kept else []
    return {
        "property": twin.name,
        "actual": twin.actual,
        "actual_at": _at(twin.actual_meta),
        "expected": twin.expected,
        "expected_at": _at(twin.expected_meta),
        "delta": twin.expected not in (None, "", twin.actual),
        "history": [[seconds_of_ms(value.at), value.actual] for value in values],
    }


class _Stamped(msgspec.Struct):
    """The time in the metadata of a value, ms since the epoch."""

    timestamp: float | None = None


def _at(metadata: str) -> float | None:
    try:
        return seconds_of_ms(msgspec.json.decode(metadata, type=_Stamped).timestamp) if metadata else None
    except msgspec.MsgspecError:  # a node that was KubeEdge's may have anything there
        return None


# --- what waits for the cloud -----------------------------------------------------------------------------------------


def outbox(store: OutboxStore, info: ProcessInfo, request: Json) -> Json:
    """What waits for the cloud by lane and kind, and the link. Error: StoreError."""
    rows, now = store.pending(limit=LOOKED_AT), time.time()
    waiting = max(len(rows), store.count())
    lanes = _lanes(rows, now)
    oldest = [lane["oldest"] for lane in lanes if lane["oldest"] is not None]
    return {
        **({"state": "none"} if info.link is None else info.link()),
        "waiting": waiting,
        "bytes": sum(lane["bytes"] for lane in lanes),
        "looked_at": len(rows),
        "oldest": max(oldest, default=None),
        "lanes": lanes,
        "traffic": {} if info.traffic is None else info.traffic(),
    }


class _Header(msgspec.Struct, frozen=True):
    timestamp: float = 0


class _Dated(msgspec.Struct, frozen=True):
    """As much of a frame as tells when it was made."""

    header: _Header = _Header()


def _lanes(rows: Iterable[OutboxRow], now: float) -> list[Json]:
    """The rows by lane and kind, most bytes first; `oldest`: seconds since the first of them was made."""
    lanes: dict[tuple[str, str], Json] = {}
    for row in rows:
        lane = REPORTS if row.key else UPLOADS if is_mqtt_upload(row) else MESSAGES
        kind = frame_label(row.frame)
        found = lanes.setdefault(
            (lane, kind), {"lane": lane, "kind": kind, "waiting": 0, "bytes": 0, "oldest": _age(row.frame, now)}
        )
        found["waiting"] += 1
        found["bytes"] += len(row.frame.encode())
    return sorted(lanes.values(), key=lambda lane: -lane["bytes"])


def _age(frame: str, now: float) -> float | None:
    try:
        made = msgspec.json.decode(frame, type=_Dated).header.timestamp
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return max(0.0, now - made / 1000) if made else None
