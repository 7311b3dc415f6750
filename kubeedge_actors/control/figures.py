"""What changes from second to second of all actors, in columns: a look at it is a fifth of one at the tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.telemetry.health import OK, Health

Json = dict[str, Any]
COLUMNS = ("name", "health", "depth", "oldest", "handled", "rate", "p50", "p99", "busy", "restarts", "dead_letters")


def figures(cells: Sequence[Cell], look: Callable[[list[str]], Mapping[str, Health]]) -> Json:
    """A list for each of COLUMNS, one value an actor; `reasons` and `waits_for` by name, of the few that have some. `look`: the health of those
    that are not plainly well; nobody is waited for.
    """
    odd = [cell.name for cell in cells if not _is_plainly_well(cell)]
    ill = {name: health for name, health in (look(odd) if odd else {}).items() if health.state != OK}
    rows = [_row(cell, ill) for cell in cells]
    columns = map(list, zip(*rows, strict=True)) if rows else ([] for _ in COLUMNS)
    waits = {cell.name: cell.engine.waits_for(cell) for cell in cells if cell.name in odd}
    return {
        **dict(zip(COLUMNS, columns, strict=True)),
        "reasons": {name: health.reason for name, health in ill.items() if health.reason},
        "waits_for": {name: other for name, other in waits.items() if other},
    }


def _is_plainly_well(cell: Cell) -> bool:
    """Whether it runs, has nothing in hand, and has never dropped anything: then nothing else has to be looked at."""
    incarnation, mailbox = cell.incarnation, cell.mailbox
    idle = incarnation is not None and incarnation.turn is None
    return idle and cell.state is State.RUNNING and not mailbox.dropped and not cell.suspension


def _row(cell: Cell, ill: Mapping[str, Health]) -> tuple[Any, ...]:
    now, stats, handled, incarnation = cell.clock.monotonic(), cell.stats, cell.handled, cell.incarnation
    depth = len(cell.mailbox.queue)
    middle, slowest = stats.p50_and_p99()
    busy = 0.0 if incarnation is None or incarnation.turn is None else now - incarnation.turn_started_at
    period = cell.parent.spec.strategy.intensity.period
    return (
        cell.name,
        ill[cell.name].state if cell.name in ill else OK,
        depth,
        cell.mailbox.oldest() if depth else 0.0,
        handled,
        stats.rate(now, handled),
        middle,
        slowest,
        busy,
        stats.crashes_within(period, now),
        stats.dead_letters,
    )
