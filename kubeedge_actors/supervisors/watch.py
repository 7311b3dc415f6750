"""Notices handlers that run past their deadline, at the price of one timer per actor that has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell


class Watch:
    """Looks at a cell when the turn it saw last would be over its deadline, and has a hung incarnation replaced.

    A turn that begins right after a look is over its deadline at the next one at the earliest, so none is noticed late.
    """

    __slots__ = ("_allowed", "_cell", "_looking")

    def __init__(self, cell: Cell, allowed: float) -> None:
        self._cell, self._allowed = cell, allowed
        self._looking = False

    def start(self) -> None:
        """Look from now on, until the cell has ended."""
        if not self._looking:
            self._looking = True
            self._cell.engine.call_later(self._allowed, self._look)

    def _look(self) -> None:
        cell = self._cell
        with cell.runtime.deciding():
            if cell.seat is None:
                self._looking = False
                return
            one = cell.incarnation
            again = self._allowed
            # `turn` is read before `began`: a turn that begins in between only looks younger
            if one is not None and one.turn is not None:
                ran = cell.clock.monotonic() - one.began
                if ran >= self._allowed:
                    cell.replace_hung(one, ran)
                else:
                    again = self._allowed - ran
        cell.engine.call_later(again, self._look)
