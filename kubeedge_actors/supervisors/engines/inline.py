"""One thread, a clock moved by hand, one message at a time: tests and doctests are deterministic."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count

from kubeedge_actors.supervisors.cell import Cell
from kubeedge_actors.supervisors.clock import Clock, ManualClock
from kubeedge_actors.supervisors.envelope import Promise
from kubeedge_actors.supervisors.mailbox import Room


class InlineEngine:
    """Runs actors in the thread that calls `run` or `advance`; cells take turns, one message each."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._ready: deque[Cell] = deque()
        self._queued: set[Cell] = set()
        self._stack: list[Cell] = []
        self._timers: list[tuple[float, int, list[Callable[[], None]]]] = []
        self._numbers = count()

    def attach(self, clock: Clock | None) -> Clock:
        """The engine's clock is always a manual one."""
        if clock is not None:
            if not isinstance(clock, ManualClock):
                raise TypeError("the inline engine needs a ManualClock")
            self.clock = clock
        return self.clock

    def run(self) -> int:
        """Give turns until nobody has work; how many turns that took."""
        turns = 0
        while self._step():
            turns += 1
        return turns

    def advance(self, seconds: float) -> None:
        """Move the clock on, firing each timer at its time and running what follows from it."""
        until = self.clock.monotonic() + seconds
        self.run()
        while self._fire_next(until):
            self.run()
        self._move_to(until)

    def _move_to(self, moment: float) -> None:
        ahead = moment - self.clock.monotonic()
        if ahead > 0:
            self.clock.advance(ahead)

    def _fire_next(self, until: float) -> bool:
        while self._timers and self._timers[0][0] <= until:
            due, _, action = heapq.heappop(self._timers)
            if action:
                self._move_to(due)
                action.pop()()
                return True
        return False

    def _step(self) -> bool:
        for _ in range(len(self._ready)):
            cell = self._ready.popleft()
            if cell in self._stack:  # it waits further down this very call stack: its turn comes when that returns
                self._ready.append(cell)
                continue
            self._queued.discard(cell)
            self._turn(cell)
            return True
        return False

    def _turn(self, cell: Cell) -> None:
        cell.box.idle = False
        self._stack.append(cell)
        try:
            more = cell.drain(1)
        finally:
            self._stack.pop()
        cell.box.idle = True
        if (more or cell.has_work()) and cell.seat is not None:
            self.wake(cell)

    def open(self, cell: Cell) -> None:
        """Give the cell turns."""
        cell.seat = object()
        cell.box.idle = True

    def close(self, cell: Cell) -> None:
        """Nothing to do: a cell without work gets no turns."""

    def wake(self, cell: Cell) -> None:
        """Put the cell at the end of those that are ready."""
        if cell not in self._queued:
            self._queued.add(cell)
            self._ready.append(cell)

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Keep the action until `advance` passes its time."""
        entry = [action]
        heapq.heappush(self._timers, (self.clock.monotonic() + seconds, next(self._numbers), entry))
        return entry.clear

    def wait(self, promise: Promise, timeout: float) -> None:
        """Run the others until the promise is settled, moving the clock when only time can help."""
        until = self.clock.monotonic() + timeout
        while not promise.done:
            if not self._step() and not self._fire_next(until):
                self._move_to(until)
                return

    def await_room(self, cell: Cell) -> Room:
        """Let the full actor work, if it is not the one that waits."""
        while cell.box.full():
            if cell in self._stack:
                return Room.WOULD_BE_FOR_EVER
            if not cell.has_work():
                return Room.CANNOT_WAIT
            self._turn(cell)
        return Room.LOOK_AGAIN

    def release(self, cell: Cell) -> None:
        """Nobody waits here."""

    def current(self) -> Cell | None:
        """The innermost running cell."""
        return self._stack[-1] if self._stack else None

    def shut_down(self) -> None:
        """Forget the timers."""
        self._timers.clear()
