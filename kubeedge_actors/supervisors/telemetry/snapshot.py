"""The supervision tree as plain data."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.supervisor import Supervisor


def snapshot(node: Cell | Supervisor) -> dict[str, Any]:
    """One node and what is below it; times in seconds."""
    if isinstance(node, Supervisor):
        window = node.spec.strategy.intensity.period
        now = node.system.clock.monotonic()
        return {
            "name": node.name,
            "kind": "supervisor",
            "strategy": type(node.spec.strategy).__name__,
            "state": node.state.value,
            "incarnation": node.incarnations,
            "restarts": sum(now - at < window for at in node.history),
            "last_error": node.error,
            "children": [snapshot(child) for child in node.children],
        }
    return _cell_snapshot(node)


def _cell_snapshot(cell: Cell) -> dict[str, Any]:
    mailbox, stats, handled = cell.mailbox, cell.stats, cell.handled
    now = cell.clock.monotonic()
    incarnation = cell.incarnation
    middle, slowest = stats.p50_and_p99()
    busy = 0.0 if incarnation is None or incarnation.turn is None else now - incarnation.turn_started_at
    return {
        "name": cell.name,
        "kind": "actor",
        "group": cell.spec.group,
        "version": cell.spec.version,
        **cell.engine.location(cell),
        "state": "suspended" if cell.suspension and cell.state is State.STOPPED else cell.state.value,
        "since": cell.clock.now() - (now - cell.entered_at),
        "suspension": cell.suspension,
        "incarnation": cell.incarnations,
        "attempt": cell.attempt,
        "depth": len(mailbox.queue),
        "capacity": mailbox.capacity,
        "oldest": mailbox.oldest(),
        "handled": handled,
        "rate": stats.rate(now, handled),
        "p50": middle,
        "p99": slowest,
        "sampled": stats.samples,
        "sampled_seconds": stats.handling_seconds,
        "busy": busy,
        "crashes": stats.crashes,
        "restarts": stats.crashes_within(cell.parent.spec.strategy.intensity.period, now),
        "last_error": stats.last_error,
        "last_error_at": stats.failed_at,
        "dead_letters": stats.dead_letters,
        "mailbox": {
            "rejected": mailbox.rejected,
            "dropped": mailbox.dropped,
            "coalesced": 0 if mailbox.keyed is None else mailbox.keyed.coalesced,
            "blocked": mailbox.blocked,
            "forced": mailbox.over_capacity,
        },
    } | ({"waits_for": waits_for} if (waits_for := cell.engine.waits_for(cell)) else {})
