"""What changes from second to second of all actors, in columns: a look at it is a tenth of one at the tree."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.incarnation import Incarnation
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.telemetry.health import OK, Health

Json = dict[str, Any]
Look = Callable[[list[str]], Mapping[str, Health]]
COLUMNS = ("name", "health", "depth", "oldest", "handled", "rate", "p50", "p99", "busy", "restarts", "dead_letters")
HANDLED, RATE, RESTARTS = (COLUMNS.index(name) for name in ("handled", "rate", "restarts"))
RATE_OVER = 1.0
"""Seconds over which the first messages after a rest are reckoned, at least."""


@dataclass(slots=True)
class Measured:
    """An actor's row at the last look, by `number` the look at which it became what it is. `at_rest`: it remains so while nothing is told to the actor;
    `incarnation` and `turns` show whether something was.
    """

    row: tuple[Any, ...]
    number: int
    at_rest: bool
    incarnation: Incarnation | None
    turns: int


class Figures:
    """Of all actors of one system; any thread may ask. Of an actor that has rested since the last look nothing is measured, so a look costs what is at
    work. `look`: the health of those that are not plainly well; nobody is waited for.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._cells: Sequence[Cell] = ()
        self._measured: list[Measured | None] = []
        """By the place of the actor in `_cells`."""
        self._origin = secrets.token_hex(4)
        """Whoever has the number of a look at another process is told all."""
        self._number = 0
        self._same_since = 0
        """The look since which there are these actors."""
        self._looked_at = 0.0

    def answer(self, cells: Sequence[Cell], since: str = "") -> Json:
        """`look`, to be given as `since` at the next one, and `actors`: a list for each of COLUMNS, one value an actor; `reasons` and `waits_for` by
        name, of the few that have some. With `since`, which is repeated then, only of actors that have changed, if there are the same ones.
        """
        with self._lock:
            if cells != self._cells:
                self._cells, self._measured, self._same_since = cells, [None] * len(cells), self._number + 1
            self._number += 1
            actors, number = self._measure(cells), self._number_of(since)
            rows = [each.row for each in self._measured if each is not None and each.number > number]
            columns = map(list, zip(*rows, strict=True)) if rows else ([] for _ in COLUMNS)
            told = {"since": since} if number else {}
            return {
                "look": f"{self._origin}.{self._number}",
                **told,
                "actors": {**dict(zip(COLUMNS, columns, strict=True)), **actors},
            }

    def _number_of(self, since: str) -> int:
        """Of a look of ours, at the same actors; 0 for none."""
        origin, _, number = since.partition(".")
        known = int(number) if origin == self._origin and number.isdecimal() else 0
        return known if self._same_since <= known < self._number else 0

    def _measure(self, cells: Sequence[Cell]) -> Json:
        """Bring `_measured` up to now; the reasons and who waits for whom."""
        at_work = [at for at, cell in enumerate(cells) if not _has_rested(cell, self._measured[at])]
        odd = [cell for cell in (cells[at] for at in at_work) if not _is_plainly_well(cell)]
        found = self._look([cell.name for cell in odd]) if odd else {}
        ill = {name: health for name, health in found.items() if health.state != OK}
        for at in at_work:
            self._measured[at] = self._of(cells[at], self._measured[at], ill)
        if cells:
            self._looked_at = cells[0].clock.monotonic()
        waits = {cell.name: cell.engine.waits_for(cell) for cell in odd}
        return {
            "reasons": {name: health.reason for name, health in ill.items() if health.reason},
            "waits_for": {name: other for name, other in waits.items() if other},
        }

    def _of(self, cell: Cell, before: Measured | None, ill: Mapping[str, Health]) -> Measured:
        incarnation = cell.incarnation
        turns = incarnation.turns if incarnation is not None else 0
        now = cell.clock.monotonic()
        if before is not None and before.at_rest:
            cell.stats.reckon_rate_from(min(self._looked_at, now - RATE_OVER), before.row[HANDLED])
        row = _row(cell, now, ill)
        at_rest = not row[RATE] and not row[RESTARTS] and _is_plainly_well(cell)
        number = before.number if before is not None and before.row == row else self._number
        return Measured(row, number, at_rest, incarnation, turns)


def _has_rested(cell: Cell, before: Measured | None) -> bool:
    """Whether nothing can have changed: it is between two turns, and no turn was begun."""
    if before is None or not before.at_rest or cell.incarnation is not before.incarnation:
        return False
    incarnation = before.incarnation
    is_idle = incarnation is not None and incarnation.turns == before.turns and not cell.mailbox.queue
    return is_idle and _is_plainly_well(cell) and cell.stats.dead_letters == before.row[-1]


def _is_plainly_well(cell: Cell) -> bool:
    """Whether it runs, has nothing in hand, and has never dropped anything: then nothing else has to be looked at."""
    incarnation, mailbox = cell.incarnation, cell.mailbox
    idle = incarnation is not None and incarnation.turn is None
    return idle and cell.state is State.RUNNING and not mailbox.dropped and not cell.suspension


def _row(cell: Cell, now: float, ill: Mapping[str, Health]) -> tuple[Any, ...]:
    stats, handled, incarnation = cell.stats, cell.handled, cell.incarnation
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
