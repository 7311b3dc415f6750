"""A thread per actor, on Pykka: the default engine."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pykka

from kubeedge_actors.supervisors.cell import Cell
from kubeedge_actors.supervisors.clock import Clock, ManualClock, SystemClock
from kubeedge_actors.supervisors.envelope import Promise
from kubeedge_actors.supervisors.mailbox import Mailbox, Room

log = logging.getLogger(__name__)

TURN = 1_000_000


class Seat(pykka.ThreadingActor):
    """A Pykka actor whose inbox is our mailbox and whose loop gives one cell its turns."""

    use_daemon_thread = True  # an abandoned handler that never returns must not keep the process alive

    def __init__(self, cell: Cell, engine: ThreadsEngine) -> None:
        super().__init__()
        self.cell, self.engine = cell, engine
        self.gate = threading.Lock()
        self.gate.acquire()
        self.thread: threading.Thread | None = None

    def _start_actor_loop(self) -> None:
        self.thread = threading.Thread(target=self._actor_loop, name=f"actor-{self.cell.name}", daemon=True)
        self.thread.start()

    def _actor_loop(self) -> None:
        cell, box = self.cell, self.cell.box
        self.engine.cells[threading.get_ident()] = cell
        try:
            while cell.seat is self:
                if cell.drain(TURN):
                    continue
                box.idle = cell.incarnation is not None
                if cell.seat is not self:
                    break
                if not cell.has_work():
                    self.gate.acquire()
                box.idle = False
        finally:
            self.engine.cells.pop(threading.get_ident(), None)
            self.actor_stopped.set()
            pykka.ActorRegistry.unregister(self.actor_ref)

    def knock(self) -> None:
        """Open the gate; harmless when it is open."""
        try:
            self.gate.release()
        except RuntimeError:  # somebody knocked before, and the thread has not looked yet
            return


class ThreadsEngine:
    """Actors on threads of their own, timers on one more."""

    def __init__(self) -> None:
        self.cells: dict[int, Cell] = {}
        self._timers = Timers()
        self._seats: list[Seat] = []

    def attach(self, clock: Clock | None) -> Clock:
        """The machine's clock, unless a test moves one by hand."""
        self._timers.clock = SystemClock() if clock is None else clock
        if isinstance(clock, ManualClock):
            clock.subscribe(self._timers.look)
        return self._timers.clock

    def open(self, cell: Cell) -> None:
        """Start a thread for the cell."""
        seat = Seat(cell, self)
        cell.seat = seat
        self._seats = [each for each in self._seats if each.thread is None or each.thread.is_alive()]
        self._seats.append(seat)
        pykka.ActorRegistry.register(seat.actor_ref)
        seat._start_actor_loop()

    def close(self, cell: Cell) -> None:
        """Let the cell's thread end."""
        seat, cell.seat = cell.seat, None
        if isinstance(seat, Seat):
            seat.knock()

    def wake(self, cell: Cell) -> None:
        """Wake the cell's thread."""
        seat = cell.seat
        if isinstance(seat, Seat):
            seat.knock()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Have the timer thread call `action`."""
        return self._timers.add(seconds, action)

    def wait(self, promise: Promise, timeout: float) -> None:
        """Block this thread until the promise is settled, at most `timeout` seconds."""
        gate = threading.Lock()
        gate.acquire()
        promise.listen(gate.release)
        gate.acquire(timeout=max(0.0, timeout))

    def await_room(self, cell: Cell) -> Room:
        """Block this thread until the mailbox may have room; an actor never waits for itself."""
        box: Mailbox = cell.box
        if self.current() is cell:
            return Room.WOULD_BE_FOR_EVER
        with box.room:
            box.waiting += 1
            try:
                while box.full():
                    box.room.wait()
            finally:
                box.waiting -= 1
        return Room.LOOK_AGAIN

    def release(self, cell: Cell) -> None:
        """Nothing yet to release."""

    def current(self) -> Cell | None:
        """The cell of this thread."""
        return self.cells.get(threading.get_ident())

    def shut_down(self) -> None:
        """End the timer thread and wait for the actors' threads, except those that do not return."""
        self._timers.shut_down()
        for seat in self._seats:
            if seat.thread is not None and seat.thread is not threading.current_thread():
                seat.thread.join(timeout=1.0)


class Timers:
    """A heap of moments and a thread that waits for the first."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self._heap: list[tuple[float, int, list[Callable[[], None]]]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False

    def add(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call `action` in `seconds`; returns what cancels it."""
        entry = [action]
        due = self.clock.monotonic() + seconds
        with self._changed:
            heapq.heappush(self._heap, (due, next(self._numbers), entry))
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(target=self._run, name="timers", daemon=True)
                self._thread.start()
            elif self._heap[0][2] is entry:
                self._changed.notify()
        return entry.clear

    def look(self) -> None:
        """Look at the clock again."""
        with self._changed:
            self._changed.notify()

    def shut_down(self) -> None:
        """End the thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        manual = isinstance(self.clock, ManualClock)
        while True:
            with self._changed:
                if self._ended:
                    return
                ahead = self._heap[0][0] - self.clock.monotonic() if self._heap else None
                if ahead is None or ahead > 0:
                    self._changed.wait(None if manual else ahead)
                    continue
                entry: list[Any] = heapq.heappop(self._heap)[2]
            self._call(entry)

    def _call(self, entry: list[Callable[[], None]]) -> None:
        try:
            action = entry.pop()
        except IndexError:  # cancelled
            return
        try:
            action()
        except Exception:
            log.exception("a timer's action failed")
