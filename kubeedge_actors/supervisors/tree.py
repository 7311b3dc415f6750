"""The supervision tree as plain data."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.supervisors.cell import Cell
from kubeedge_actors.supervisors.supervisor import Supervisor


def describe(node: Cell | Supervisor) -> dict[str, Any]:
    """One node and what is below it; times in seconds."""
    if isinstance(node, Supervisor):
        window = node.spec.strategy.intensity.within
        now = node.runtime.clock.monotonic()
        return {
            "name": node.name,
            "kind": "supervisor",
            "strategy": type(node.spec.strategy).__name__,
            "state": node.state.value,
            "incarnation": node.births,
            "restarts": sum(now - at < window for at in node.history),
            "last_error": node.error,
            "children": [describe(child) for child in node.children],
        }
    return _describe_cell(node)


def _describe_cell(cell: Cell) -> dict[str, Any]:
    box, stats, handled = cell.box, cell.stats, cell.handled
    now = cell.clock.monotonic()
    incarnation = cell.incarnation
    busy = 0.0 if incarnation is None or incarnation.turn is None else now - incarnation.began
    return {
        "name": cell.name,
        "kind": "actor",
        "group": cell.spec.group,
        "version": cell.spec.version,
        **cell.engine.where(cell),
        "state": cell.state.value,
        "incarnation": cell.births,
        "attempt": cell.attempt,
        "depth": len(box.queue),
        "capacity": box.capacity,
        "oldest": box.oldest(),
        "handled": handled,
        "rate": stats.rate(now, handled),
        "p50": stats.quantile(0.5),
        "p99": stats.quantile(0.99),
        "sampled": stats.sampled,
        "sampled_seconds": stats.spent,
        "busy": busy,
        "crashes": stats.crashes,
        "restarts": stats.crashes_within(cell.parent.spec.strategy.intensity.within, now),
        "last_error": stats.last_error,
        "last_error_at": stats.failed_at,
        "dead_letters": stats.buried,
        "mailbox": {
            "rejected": box.rejected,
            "dropped": box.dropped,
            "coalesced": 0 if box.keyed is None else box.keyed.displaced,
            "blocked": box.blocked,
            "forced": box.forced,
        },
    }
