"""A thread per actor, on Pykka: the default engine."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeedge_actors.errors import RegistrationError
from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.cell.incarnation import Incarnation
from kubeedge_actors.supervisors.clock import Clock, ManualClock, SystemClock
from kubeedge_actors.supervisors.deadletters import TRACEBACK_LIMIT, shorten
from kubeedge_actors.supervisors.engines.actor_thread import ActorThread
from kubeedge_actors.supervisors.engines.base import Runnable, would_deadlock_on_start
from kubeedge_actors.supervisors.engines.timers import TimerThread
from kubeedge_actors.supervisors.engines.wait_graph import WaitForGraph
from kubeedge_actors.supervisors.future import LocalFuture
from kubeedge_actors.supervisors.mailbox import WaitResult
from kubeedge_actors.supervisors.specs import ChildSpec

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.engines.process.launcher import Convention
    from kubeedge_actors.supervisors.engines.process.placement import ProcessPlacement
    from kubeedge_actors.supervisors.engines.process.serialization import Serializer

log = logging.getLogger(__name__)

JOIN_TIMEOUT = 1.0
"""Seconds that `shut_down` gives all threads together; those that do not return are daemons."""


class ThreadsEngine:
    """Actors on threads of their own, timers on one more, which is started with the first timer.

    An actor whose spec says `isolation="process"` lives in a process of its own; `convention` and `serializer` are for
    those, see ProcessEngine.
    """

    isolation = "thread"
    """Where actors live whose spec does not say it."""

    def __init__(self, convention: Convention | None = None, serializer: Serializer | None = None) -> None:
        self._convention, self._serializer = convention, serializer
        self._processes: ProcessPlacement | None = None
        self.threads_by_ident: dict[int, ActorThread] = {}
        """The worker of each of our threads, by its identifier."""
        self._launcher_lock = threading.Lock()
        self._threads: list[ActorThread] = []
        self._timers = TimerThread()
        self._waits = WaitForGraph()

    def use_clock(self, clock: Clock | None) -> Clock:
        """The machine's clock, unless a test moves one by hand."""
        self._timers.clock = SystemClock() if clock is None else clock
        if isinstance(clock, ManualClock):
            clock.subscribe(self._timers.on_clock_moved)
        return self._timers.clock

    def _processes_of(self, spec: ChildSpec) -> ProcessPlacement | None:
        """Who places such an actor in a process of its own; None for one that lives here. Made, and imported, when it is
        first needed.
        """
        if (spec.isolation or self.isolation) != "process":
            return None
        with self._launcher_lock:
            if self._processes is None:
                from kubeedge_actors.supervisors.engines.process.launcher import Launcher
                from kubeedge_actors.supervisors.engines.process.placement import ProcessPlacement

                self._processes = ProcessPlacement(Launcher(self._convention, self._serializer))
            return self._processes

    def check_childspec(self, spec: ChildSpec) -> None:
        """For a process: Thespian has to be there for another host, and the factory importable. Only a process has a memory limit."""
        processes = self._processes_of(spec)
        if processes is None and spec.memory is not None:
            raise RegistrationError(f"{spec.name} has a memory limit, which needs a process of its own (@process)")
        if processes is not None:
            processes.check_childspec(spec)

    def create_actor(self, cell: Runnable) -> Actor:
        """The instance itself, or its proxy."""
        processes = self._processes_of(cell.spec)
        return cell.spec.factory() if processes is None else processes.create_actor(cell)

    def kill(self, incarnation: Incarnation) -> None:
        """Kill its process, if it has one; a thread can not be killed."""
        if self._processes is not None:
            self._processes.kill(incarnation)

    def location(self, cell: Runnable) -> dict[str, Any]:
        """Its isolation, and the process it has at the moment."""
        processes = self._processes_of(cell.spec)
        return {"isolation": "thread"} if processes is None else processes.location(cell)

    def attach(self, cell: Runnable) -> None:
        """Start a thread for the cell."""
        worker = ActorThread(cell, self.threads_by_ident)
        self._threads = [thread for thread in self._threads if thread.thread.is_alive()] + [worker]
        cell.worker = worker
        cell.mailbox.wake = worker.wake
        worker.start_thread()

    def detach(self, cell: Runnable) -> None:
        """Let the cell's thread end."""
        worker, cell.worker = cell.worker, None
        if isinstance(worker, ActorThread):
            worker.wake()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Have the timer thread call `action`."""
        entry = self._timers.add(seconds, action)
        return lambda: self._timers.cancel(entry)

    def wait(self, future: LocalFuture, timeout: float) -> None:
        """Block this thread until the future is done, at most `timeout` seconds."""
        gate = threading.Lock()
        gate.acquire()
        wake = gate.release
        future.add_done_callback(wake)
        with self._waits.waiting(self.current(), future.responder_cell, for_room=False):
            gate.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))
        future.remove_done_callback(wake)  # who looks again and again must not leave a heap of them

    def await_room(self, cell: Runnable) -> WaitResult:
        """Block this thread until the mailbox may have room. An actor never waits for itself, nor the timers for
        anybody.
        """
        me, mailbox = self.current(), cell.mailbox
        incarnation = None if me is None else me.incarnation
        if me is cell or self._timers.is_current() or (me is not None and would_deadlock_on_start(me, cell)):
            return WaitResult.DEADLOCK
        with self._waits.waiting(me, cell, for_room=True) as wait, mailbox.not_full:
            # `released` and `stopping` are looked at when it can be seen to wait: whoever sets them wakes it after that
            while not ((wait is not None and wait.released) or (me is not None and me.is_stopping_or_stopped)):
                mailbox.blocked_producers += (
                    1  # before the check: a consumer that makes room after it sees that somebody waits
                )
                if not mailbox.full():
                    break
                mailbox.not_full.wait()
        if incarnation is not None and incarnation.revoked:
            return WaitResult.SUPERSEDED
        return WaitResult.DEADLOCK if mailbox.full() else WaitResult.RETRY

    def waits_for(self, cell: Runnable) -> str:
        """The next one in the chain."""
        target = self._waits.target(cell)
        return "" if target is None else target.name

    def blocked_by(self, cell: Runnable) -> str:
        """Follow who waits for whom to the end."""
        last = self._waits.end_of_chain(cell)
        return "" if last is None else last.name

    def unblock(self, cell: Runnable) -> None:
        """Let the cell's handler into the mailbox it waits for."""
        self._waits.unblock(cell)

    def current(self) -> Runnable | None:
        """The cell of this thread; None in a thread whose incarnation was replaced, which is nobody's any more."""
        worker = self.threads_by_ident.get(threading.get_ident())
        return worker.cell if worker is not None and worker.cell.worker is worker else None

    def stack_trace(self, cell: Runnable) -> str:
        """Where the cell's thread is at the moment."""
        worker = cell.worker
        ident = worker.thread.ident if isinstance(worker, ActorThread) else None
        frame = None if ident is None else sys._current_frames().get(ident)
        return "" if frame is None else shorten("".join(traceback.format_stack(frame)), TRACEBACK_LIMIT)

    def shut_down(self) -> None:
        """End the timer thread and wait a moment for the actors' threads."""
        self._timers.shut_down()
        until = time.monotonic() + JOIN_TIMEOUT
        for worker in self._threads:
            if worker.thread is not threading.current_thread():
                worker.thread.join(max(0.0, until - time.monotonic()))
        if self._processes is not None:
            self._processes.close()


class ProcessEngine(ThreadsEngine):
    """A process per actor, here or on another host: mailboxes, supervision and timers stay here, on a thread for each
    actor; the actors live elsewhere unless their spec says `isolation="thread"`.

    `convention`: where hosts elsewhere reach this machine. `carrier`: how messages are serialized (default: pickled).
    """

    isolation = "process"
