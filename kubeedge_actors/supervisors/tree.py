"""The supervision tree as plain data."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.supervisors.cell import Cell
from kubeedge_actors.supervisors.supervisor import Supervisor


def describe(node: Cell | Supervisor) -> dict[str, Any]:
    """One node and what is below it; times in seconds."""
    if isinstance(node, Supervisor):
        now = node.runtime.clock.monotonic()
        return {
            "name": node.name,
            "kind": "supervisor",
            "strategy": type(node.spec.strategy).__name__,
            "state": node.state.value,
            "restarts": sum(now - at < node.spec.strategy.intensity.within for at in node.history),
            "children": [describe(child) for child in node.children],
        }
    return _cell(node)


def _cell(cell: Cell) -> dict[str, Any]:
    box, stats = cell.box, cell.stats
    now = cell.clock.monotonic()
    handled = cell.handled
    return {
        "name": cell.name,
        "kind": "actor",
        "group": cell.spec.group,
        "state": cell.state.value,
        "incarnation": cell.births,
        "depth": len(box.queue),
        "capacity": box.capacity,
        "oldest": box.oldest(),
        "handled": handled,
        "rate": stats.rate(now, handled),
        "p50": stats.quantile(0.5),
        "p99": stats.quantile(0.99),
        "restarts": cell.restarts,
        "last_error": stats.last_error,
        "mailbox": cell.outcomes(),
    }
