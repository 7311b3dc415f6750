"""One thread, a clock moved by hand, one message at a time: tests and doctests are deterministic."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.child import ChildSpec
from kubeedge_actors.supervisors.clock import Clock, ManualClock
from kubeedge_actors.supervisors.engines.base import Runnable, starts_before
from kubeedge_actors.supervisors.engines.timers import Schedule
from kubeedge_actors.supervisors.incarnation import Incarnation
from kubeedge_actors.supervisors.mailbox import Room
from kubeedge_actors.supervisors.promise import LocalPromise


class InlineEngine:
    """Runs actors in the thread that calls `run` or `advance`; they take turns, one message each.

    Where another thread would wait (`Promise.get`, a full mailbox) it runs the other actors meanwhile, and moves the
    clock to the next timer when only time can help.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._ready: deque[Runnable] = deque()
        self._queued: set[Runnable] = set()
        self._stack: list[Runnable] = []
        self._seats: list[object] = []
        self._schedule = Schedule()

    def use_clock(self, clock: Clock | None) -> Clock:
        """The engine's clock, unless another manual one is given."""
        if clock is not None:
            if not isinstance(clock, ManualClock):
                raise TypeError("the inline engine needs a ManualClock")
            self.clock = clock
        return self.clock

    def run(self) -> int:
        """Give turns until nobody has work; how many that took."""
        turns = 0
        while self._step():
            turns += 1
        return turns

    def advance(self, seconds: float) -> None:
        """Move the clock on, firing each timer at its time and running what follows from it."""
        until = self.clock.monotonic() + seconds
        self.run()
        until = max(until, self.clock.monotonic())  # a handler may have moved the clock as well
        while self._fire_next(until):
            self.run()
        self._move_to(until)

    def _move_to(self, moment: float) -> None:
        ahead = moment - self.clock.monotonic()
        if ahead > 0:
            self.clock.advance(ahead)

    def _fire_next(self, until: float) -> bool:
        due = self._schedule.first_due()
        if due is None or due > until:
            return False
        self._move_to(due)
        action = self._schedule.take(max(due, self.clock.monotonic()))
        if action is not None:
            action()
        return True

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

    def _turn(self, cell: Runnable) -> None:
        cell.box.idle = False
        self._stack.append(cell)
        self._seats.append(cell.seat)
        try:
            more = cell.run(1)
        finally:
            self._stack.pop()
            self._seats.pop()
        if cell.seat is None:
            return
        cell.box.idle = True
        if more or cell.has_work():
            self._wake(cell)

    def _wake(self, cell: Runnable) -> None:
        if cell not in self._queued:
            self._queued.add(cell)
            self._ready.append(cell)

    def check(self, spec: ChildSpec) -> None:
        """Any will do."""

    def make(self, cell: Runnable) -> Actor:
        """The instance itself, whatever isolation it asks for: a test wants to look at it."""
        return cell.spec.factory()

    def abandon(self, incarnation: Incarnation) -> None:
        """Nothing can be ended: who asks is further up the same stack."""

    def where(self, cell: Runnable) -> dict[str, Any]:
        """In the thread of whoever runs the engine."""
        return {"isolation": "inline"}

    def open(self, cell: Runnable) -> None:
        """Give the cell turns."""
        cell.seat = object()
        cell.box.wake = partial(self._wake, cell)
        cell.box.idle = True
        self._wake(cell)

    def close(self, cell: Runnable) -> None:
        """Nothing to do: without a seat it gets no turns."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Keep the action until `advance` passes its time."""
        return partial(self._schedule.cancel, self._schedule.add(self.clock.monotonic() + seconds, action))

    def wait(self, promise: LocalPromise, timeout: float) -> None:
        """Run the others until the promise is settled, moving the clock when only time can help."""
        until = self.clock.monotonic() + timeout
        while not promise.done:
            if not self._step() and not self._fire_next(until):
                self._move_to(until)
                return

    def await_room(self, cell: Runnable) -> Room:
        """Let the actor with the full mailbox work; one that is waiting itself can not."""
        while cell.box.full():
            me = self.current()
            if cell in self._stack or (me is not None and starts_before(me, cell)):
                return Room.WOULD_BE_FOR_EVER
            if not cell.has_work():
                return Room.CANNOT_WAIT
            self._turn(cell)
        return Room.LOOK_AGAIN

    def release(self, cell: Runnable) -> None:
        """Nobody waits: there is one thread."""

    def current(self) -> Runnable | None:
        """The innermost running cell; None when its incarnation was replaced, and what runs is nobody's any more."""
        return self._stack[-1] if self._stack and self._stack[-1].seat is self._seats[-1] else None

    def stack(self, cell: Runnable) -> str:
        """Not known: who asks is further up the same stack."""
        return ""

    def shut_down(self) -> None:
        """Forget the timers."""
        self._schedule.clear()
