"""The views that are plain lists. An answer of the control socket in, lines out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubeedge_actors.dashboard.lines import Column, TableLine
from kubeedge_actors.dashboard.views import cluster, records

ACTORS, NODES, PODS, DEVICES, LETTERS, EVENTS, LINK, STORE = (
    "actors",
    "nodes",
    "pods",
    "devices",
    "deadletters",
    "events",
    "link",
    "store",
)
NO_COMMAND = "there is no command"
"""How a process says that it does not have what a view asks for."""
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


TABLES = {
    table.name: table
    for table in (
        Table(NODES, "nodes", cluster.NODE_COLUMNS, cluster.node_lines, "no node has joined"),
        Table(PODS, "pods", cluster.POD_COLUMNS, cluster.pod_lines, "no pods are here"),
        Table(DEVICES, "twins", cluster.TWIN_COLUMNS, cluster.twin_lines, "there are no devices"),
        Table(LETTERS, "deadletters", records.LETTER_COLUMNS, records.letter_lines, "every message was taken", (("newest", NEWEST),)),
        Table(EVENTS, "", records.EVENT_COLUMNS, records.event_lines, "nothing has happened since the dashboard began"),
        Table(LINK, "outbox", records.LINK_COLUMNS, records.outbox_lines, "nothing waits, and nothing went over the link"),
        Table(STORE, "stores", records.STORE_COLUMNS, records.store_lines, "no database is open"),
    )
}  # fmt: skip
VIEWS = (ACTORS, *TABLES)
