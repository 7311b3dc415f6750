"""One thread, a clock moved by hand, one message at a time: tests and doctests are deterministic."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.cell.incarnation import Incarnation
from kubeedge_actors.supervisors.clock import Clock, ManualClock
from kubeedge_actors.supervisors.engines.base import Runnable, would_deadlock_on_start
from kubeedge_actors.supervisors.engines.timers import TimerQueue
from kubeedge_actors.supervisors.future import LocalFuture
from kubeedge_actors.supervisors.mailbox import WaitResult
from kubeedge_actors.supervisors.specs import ChildSpec


class InlineEngine:
    """Runs actors in the thread that calls `run` or `advance`; they take turns, one message each.

    Where another thread would wait (`Future.get`, a full mailbox) it runs the other actors meanwhile, and moves the
    clock to the next timer when only time can help.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._ready: deque[Runnable] = deque()
        self._queued: set[Runnable] = set()
        self._stack: list[Runnable] = []
        self._workers: list[object] = []
        self._timers = TimerQueue()

    def use_clock(self, clock: Clock | None) -> Clock:
        """The engine's clock, unless another manual one is given."""
        if clock is not None:
            if not isinstance(clock, ManualClock):
                raise TypeError("the inline engine needs a ManualClock")
            self.clock = clock
        return self.clock

    def run(self) -> int:
        """Run actors until none has work; returns the number of turns."""
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
        due = self._timers.first_due()
        if due is None or due > until:
            return False
        self._move_to(due)
        action = self._timers.pop_due(max(due, self.clock.monotonic()))
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
        cell.mailbox.idle = False
        self._stack.append(cell)
        self._workers.append(cell.worker)
        try:
            has_more = cell.run(1)
        finally:
            self._stack.pop()
            self._workers.pop()
        if cell.worker is None:
            return
        cell.mailbox.idle = True
        if has_more or cell.has_work():
            self._wake(cell)

    def _wake(self, cell: Runnable) -> None:
        if cell not in self._queued:
            self._queued.add(cell)
            self._ready.append(cell)

    def check_childspec(self, spec: ChildSpec) -> None:
        """Every spec can be run here."""

    def create_actor(self, cell: Runnable) -> Actor:
        """The instance itself, whatever isolation it asks for: a test wants to look at it."""
        return cell.spec.factory()

    def kill(self, incarnation: Incarnation) -> None:
        """Nothing can be killed: the caller is further up the same stack."""

    def location(self, cell: Runnable) -> dict[str, Any]:
        """In the thread of whoever runs the engine."""
        return {"isolation": "inline"}

    def attach(self, cell: Runnable) -> None:
        """Give the cell turns."""
        cell.worker = object()
        cell.mailbox.wake = partial(self._wake, cell)
        cell.mailbox.idle = True
        self._wake(cell)

    def detach(self, cell: Runnable) -> None:
        """Nothing to do: without a worker it is not run."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Keep the action until `advance` passes its time."""
        return partial(self._timers.cancel, self._timers.add(self.clock.monotonic() + seconds, action))

    def wait(self, future: LocalFuture, timeout: float) -> None:
        """Run the others until the future is done, moving the clock when only time can help."""
        until = self.clock.monotonic() + timeout
        while not future.done:
            if not self._step() and not self._fire_next(until):
                self._move_to(until)
                return

    def await_room(self, cell: Runnable) -> WaitResult:
        """Let the actor with the full mailbox work; one that is waiting itself can not."""
        while cell.mailbox.full():
            me = self.current()
            if cell in self._stack or (me is not None and would_deadlock_on_start(me, cell)):
                return WaitResult.DEADLOCK
            if not cell.has_work():
                return WaitResult.IMPOSSIBLE
            self._turn(cell)
        return WaitResult.RETRY

    def waits_for(self, cell: Runnable) -> str:
        """Nobody: while one waits, the others are run."""
        return ""

    def blocked_by(self, cell: Runnable) -> str:
        """Nobody's: while one waits, the others are run."""
        return ""

    def unblock(self, cell: Runnable) -> None:
        """Nobody waits: there is one thread."""

    def current(self) -> Runnable | None:
        """The innermost running cell; None when its incarnation was replaced, and what runs is nobody's any more."""
        return self._stack[-1] if self._stack and self._stack[-1].worker is self._workers[-1] else None

    def stack_trace(self, cell: Runnable) -> str:
        """Not known: who asks is further up the same stack."""
        return ""

    def shut_down(self) -> None:
        """Forget the timers."""
        self._timers.clear()
