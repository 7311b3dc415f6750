"""The machine that carries out decisions: starts, stops and restarts children, and never waits."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.cell import Cell, State
from kubeedge_actors.supervisors.child import ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.strategy import Ending, OneForOne, Restart, Verdict, decide

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.runtime import Runtime

log = logging.getLogger(__name__)

Node = "Cell | Supervisor"


class Plan:
    """Children to stop, then to start, one after the other; the last step done calls the next."""

    __slots__ = ("attempt", "delay", "dropped", "start", "stop")

    def __init__(self, stop: list[Cell | Supervisor], start: list[Cell | Supervisor], delay: float, attempt: int) -> None:
        self.stop, self.start, self.delay, self.attempt = stop, start, delay, attempt
        self.dropped = False


class Supervisor:
    """A node of the tree. All methods are called under the runtime's lock and only order; reports come back as calls."""

    def __init__(self, spec: SupervisorSpec, parent: Supervisor | None, runtime: Runtime) -> None:
        self.spec, self.name, self.parent, self.runtime = spec, spec.name, parent, runtime
        self.children: list[Cell | Supervisor] = []
        self.state = State.NEW
        self.history: tuple[float, ...] = ()
        self.error = ""
        self._plans: list[Plan] = []
        self._final = False
        self._timeout: float | None = None
        self._halted_at = 0.0
        self._streaks: dict[str, tuple[int, float]] = {}

    # --- orders from above ----------------------------------------------------------------------------------------

    def start(self, delay: float = 0.0, attempt: int = 0) -> None:
        """Start all children in list order, after `delay` seconds."""
        self.state = State.STARTING
        self.history, self.error = (), ""
        self._pursue(Plan([], list(self.children), delay, attempt))

    def halt(self, *, final: bool, timeout: float | None = None) -> None:
        """Stop all children in reverse order; ends in `parent.child_stopped`."""
        self._final, self._timeout = final, timeout
        self._halted_at = self.runtime.clock.monotonic()
        self.state = State.STOPPING
        self._pursue(Plan(list(reversed(self.children)), [], 0.0, 0))

    # --- reports from below ---------------------------------------------------------------------------------------

    def child_started(self, child: Cell | Supervisor) -> None:
        """A child has begun."""
        self._stepped(child)

    def child_stopped(self, child: Cell | Supervisor) -> None:
        """A child has done what `halt` ordered."""
        self._stepped(child)

    def child_ended(self, child: Cell | Supervisor, ending: Ending, why: str) -> None:
        """A child ended without having been told to: decide, and act."""
        now = self.runtime.clock.monotonic()
        names = [each.name for each in self.children]
        decision = decide(
            self.spec.strategy, child.spec.restart, ending, children=names, failed=child.name, history=self.history, now=now
        )  # fmt: skip
        self.history = decision.history
        if decision.verdict is Verdict.RESTART:
            self._restart(child, decision.restart, now)
        elif decision.verdict is Verdict.ESCALATE:
            self._escalate(child, why)
        else:
            self._leave(child)
        # a child that failed while starting has had its turn: the next ones of the list do not wait for its back-off
        self._stepped(child)

    def _restart(self, child: Cell | Supervisor, affected: tuple[str, ...], now: float) -> None:
        attempts, last = self._streaks.get(child.name, (0, now))
        backoff = child.spec.backoff
        attempt = backoff.attempt(attempts, now - last)
        self._streaks[child.name] = (attempt, now)
        delay = backoff.delay(attempt, self.runtime.chance())
        group = [each for each in self.children if each.name in affected and self._comes_back(each, child)]
        stop = [each for each in reversed(self.children) if each.name in affected and each is not child]
        if isinstance(self.spec.strategy, OneForOne):
            child.start(delay, attempt)
        else:
            self._pursue(Plan(stop, group, delay, attempt))

    def _comes_back(self, child: Cell | Supervisor, failed: Cell | Supervisor) -> bool:
        """Temporary siblings that are stopped for a group restart are not started again; nor is one that had ended."""
        if child is failed:
            return True
        return child.state is not State.ENDED and child.spec.restart is not Restart.TEMPORARY

    def _leave(self, child: Cell | Supervisor) -> None:
        if isinstance(child, Cell):
            child.close()
            self.runtime.events.emit(
                events.Stopped(name=child.name, at=self.runtime.clock.now(), reason="it is not restarted")
            )
            if child.spec.restart is Restart.TEMPORARY:
                self.forget(child)
        else:
            child.halt(final=True)

    def forget(self, child: Cell | Supervisor) -> None:
        """Take a child that has ended off the list."""
        if child in self.children:
            self.children.remove(child)
        if isinstance(child, Cell):
            self.runtime.registry.unregister(child.name)

    def _escalate(self, child: Cell | Supervisor, why: str) -> None:
        self.error = f"{child.name}: {why}"
        log.error("%s gives up: %d restarts in its window, the last of %s", self.name, len(self.history), self.error)
        self.runtime.events.emit(
            events.Escalated(
                name=self.name, at=self.runtime.clock.now(), child=child.name, error=why, restarts=len(self.history) - 1
            )
        )
        self.halt(final=self.parent is None)

    # --- plans ----------------------------------------------------------------------------------------------------

    def _pursue(self, plan: Plan) -> None:
        for other in self._plans:
            other.dropped = True
        self._plans = [plan]
        self._advance(plan)

    def _advance(self, plan: Plan) -> None:
        while not plan.dropped:
            if plan.stop:
                child = plan.stop[0]
                if child.state in (State.ENDED, State.STOPPED) and not self._final:
                    plan.stop.pop(0)
                    continue
                if child.state is State.ENDED:
                    plan.stop.pop(0)
                    continue
                child.halt(final=self._final or child.spec.restart is Restart.TEMPORARY, timeout=self._timeout)
                return
            if plan.delay > 0:
                delay, plan.delay = plan.delay, 0.0
                self.runtime.engine.call_later(delay, partial(self._resume, plan))
                return
            if plan.start:
                plan.start[0].start(0.0, plan.attempt)
                return
            plan.dropped = True
            self._plans.remove(plan)
            self._finished()

    def _resume(self, plan: Plan) -> None:
        with self.runtime.deciding():
            self._advance(plan)

    def _stepped(self, child: Cell | Supervisor) -> None:
        for plan in list(self._plans):
            steps = plan.stop or plan.start
            if not plan.dropped and steps and steps[0] is child:
                steps.pop(0)
                self._advance(plan)

    def _finished(self) -> None:
        if self.state is State.STARTING:
            self.state = State.RUNNING
            if self.parent is None:
                self.runtime.root_started()
            else:
                self.parent.child_started(self)
        elif self.state is State.STOPPING:
            self._halted()

    def _halted(self) -> None:
        self.state = State.ENDED if self._final else State.STOPPED
        spent = self.runtime.clock.monotonic() - self._halted_at
        why = self.error or "ordered"
        self.runtime.events.emit(
            events.Stopped(name=self.name, at=self.runtime.clock.now(), reason=why, duration=spent)
        )
        if self.parent is None:
            self.runtime.root_stopped(self.error)
        elif self.error and not self._final:
            self.parent.child_ended(self, Ending.CRASH, self.error)
        else:
            self.parent.child_stopped(self)
