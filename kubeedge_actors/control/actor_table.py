"""The supervision tree as rows of text. Pure: one answer of the control socket in, rows out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeedge_actors.control.formatting import (
    aligned,
    ellipsize_middle,
    format_seconds,
    process_summary,
    worker_process_text,
)

HEADINGS = ("actor", "health", "depth", "oldest", "msg/s", "p50", "p99", "restarts", "last error")
NARROW = ("actor", "health", "queue", "msg/s", "p50", "p99", "restarts")
WIDEST = 17
"""Characters that a name has on a screen of 80 columns."""
RUNNING, OK = "running", "ok"
AGED = ("hung", "slow", "down")
"""States that are told with their age: the others would not fit the column."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: the actor's name (empty for a supervisor's line) and its cells, in the order of HEADINGS."""

    name: str
    cells: tuple[str, ...]
    rate: float = 0.0
    healthy: bool = True
    depth: int = 0

    @property
    def error(self) -> str:
        """Why it is not ok, or else the last error; empty if there was none."""
        return self.cells[-1]


def actor_rows(answer: Mapping[str, Any]) -> list[Row]:
    """All lines of the tree, in start order, children indented below their supervisor; then the actors that are missing."""
    health = answer.get("health") or {}
    shown = list(_walk(answer["tree"], "", health))
    shown_names = {row.name for row in shown}
    return shown + [_missing(name, actor_health) for name, actor_health in health.items() if name not in shown_names]


def _missing(name: str, health: Mapping[str, Any]) -> Row:
    """The line of an actor that ought to be there."""
    return Row(name, (f"  {name}", _state({}, health), "", "", "0.0", "", "", "", health["reason"]), healthy=False)


def _walk(node: Mapping[str, Any], indent: str, health: Mapping[str, Any]) -> Iterator[Row]:
    if not node:
        return
    if node["kind"] == "supervisor":
        label = f"{indent}{node['name']} ({node['strategy']})"
        state = "" if node["state"] == RUNNING else node["state"]
        cells = (label, state, "", "", "", "", "", str(node["restarts"]), node.get("last_error") or "")
        yield Row("", cells, healthy=not state)
        for child in node["children"]:
            yield from _walk(child, indent + "  ", health)
        return
    used, actor_health = node["handled"] > 0, health.get(node["name"])
    state = _state(node, actor_health)
    cells = (
        indent + node["name"] + worker_process_text(node),
        state,
        f"{node['depth']}/{node['capacity']}",
        format_seconds(node["oldest"]) if node["depth"] else "",
        f"{node['rate']:.1f}",
        format_seconds(node["p50"]) if used else "",
        format_seconds(node["p99"]) if used else "",
        str(node["restarts"]),
        (actor_health or {}).get("reason") or node.get("suspension") or node["last_error"] or "",
    )
    healthy = state in (OK, RUNNING) and not node["restarts"]
    yield Row(node["name"], cells, node["rate"], healthy, node["depth"])


def _state(node: Mapping[str, Any], health: Mapping[str, Any] | None) -> str:
    """How an actor is: as its probe said, with the age of what is wrong; without a probe, where it is in its life."""
    if health is None:
        return str(node["state"])
    state = str(health["state"])
    return f"{state} {format_seconds(health['age'])}" if state in AGED else state


def narrow_cells(row: Row) -> tuple[str, ...]:
    """The cells for a screen of 80 columns: name, health, queued, messages a second, p50, p99, restarts.

    >>> narrow_cells(Row("a", ("  a", "ok", "3/1000", "1s", "1234.5", "1.2ms", "12ms", "2", "ValueError: no")))
    ('  a', 'ok', '3', '1234', '1.2ms', '12ms', '2')
    """
    name, state, depth, _, rate, p50, p99, restarts, _ = row.cells
    brief = rate if len(rate) < 6 else rate.partition(".")[0]
    name = name.partition(" (")[0]
    indent = len(name) - len(name.lstrip())
    return (
        name[:indent] + ellipsize_middle(name[indent:], WIDEST - indent),
        state,
        depth.partition("/")[0],
        brief,
        p50,
        p99,
        restarts,
    )


def table_text(answer: Mapping[str, Any]) -> str:
    """The whole as plain text, columns aligned."""
    lines: list[Sequence[str]] = [HEADINGS, *(row.cells for row in actor_rows(answer))]
    return "\n".join([aligned(lines), "", *process_summary(answer)])


def summary_text(answer: Mapping[str, Any]) -> str:
    """How many actors there are, how many of them are not as they should be, what they do."""
    actors = [row for row in actor_rows(answer) if row.name]
    ill = sum(not row.healthy for row in actors)
    rate, queued = sum(row.rate for row in actors), sum(row.depth for row in actors)
    dead = answer.get("dead_letters", 0)
    parts = [
        f"{len(actors)} actor{'s' * (len(actors) != 1)}",
        f"{ill} in trouble" if ill else "all well",
        f"{rate:.0f} msg/s",
        f"{queued} queued",
        f"{dead} dead letter{'s' * (dead != 1)}",
    ]
    return "   ".join(parts)
