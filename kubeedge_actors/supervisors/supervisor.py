"""Supervisor and its restart plans."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Generic, TypeVar

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.engines.base import System
from kubeedge_actors.supervisors.specs import SupervisorSpec
from kubeedge_actors.supervisors.strategy import Action, ExitReason, OneForOne, Restart, decide

Child = TypeVar("Child")


class RestartPlan(Generic[Child]):
    """Children to stop, a delay, then children to start: one after the other, each step when the one before is done.

    A supervisor has one plan at a time. A newer plan replaces the current one and must cover its remaining steps. It
    does: the child that failed is in the old group or before it, so the new group includes the old one.

    >>> plan = RestartPlan(["b", "a"], ["a", "b"], delay=0.0, attempt=1)
    >>> plan.current_child(), plan.on_step_done("b"), plan.current_child(), plan.on_step_done("a"), plan.stop, plan.current_child()
    ('b', True, 'a', True, [], 'a')
    """

    __slots__ = ("attempt", "delay", "running", "start", "steps", "stop")

    def __init__(self, stop: list[Child], start: list[Child], delay: float, attempt: int) -> None:
        self.stop, self.start, self.delay, self.attempt = stop, start, delay, attempt
        self.running = False
        self.steps = 0

    def current_child(self) -> Child | None:
        """The child of the current step; None for the delay, and at the end."""
        if self.stop:
            return self.stop[0]
        return self.start[0] if self.start and self.delay <= 0 else None

    def on_step_done(self, child: Child) -> bool:
        """The present step is done, if it is this child's; False otherwise."""
        if self.current_child() is not child:
            return False
        del (self.stop or self.start)[0]
        self.steps += 1
        return True


# --- The machine that carries out decisions: it orders starts and stops, hears reports, and never waits ---------------


class Supervisor:
    """A node of the tree. Every method is called under the actor system's lock; it orders, and reports come back as calls.

    Children report back when a start or stop is done. An exit that nobody ordered goes to `decide`, unless the current
    plan was about to stop that child.
    """

    def __init__(self, spec: SupervisorSpec, parent: Supervisor | None, runtime: System) -> None:
        self.spec, self.name, self.parent, self.system = spec, spec.name, parent, runtime
        self.children: list[Cell | Supervisor] = []
        self.state = State.NEW
        self.history: tuple[float, ...] = ()
        self.error = ""
        """Why it gave up."""
        self.incarnations = 0
        self._plan: RestartPlan[Cell | Supervisor] | None = None
        self._terminate = False
        self._deadline: float | None = None
        self._state_since = 0.0
        self._restarts_in_a_row: dict[str, tuple[int, float]] = {}

    # --- orders from above ----------------------------------------------------------------------------------------

    def start(self, delay: float = 0.0, attempt: int = 0) -> None:
        """Start all children in list order, in `delay` seconds."""
        self.state = State.STARTING
        self.history, self.error = (), ""
        self.incarnations += 1
        self._state_since = self.system.clock.monotonic() + delay
        self._run_plan(RestartPlan([], list(self.children), delay, attempt))

    def stop(self, *, terminate: bool, deadline: float | None = None) -> None:
        """Stop all children in reverse order; `terminate`: for good, until `deadline` (monotonic). Ends in
        `parent.on_child_stopped`.
        """
        self.error = ""
        self._stop(terminate, deadline)

    def _stop(self, terminate: bool, deadline: float | None) -> None:
        self._terminate, self._deadline = terminate, deadline
        self._state_since = self.system.clock.monotonic()
        self.state = State.STOPPING
        self._run_plan(RestartPlan(list(reversed(self.children)), [], 0.0, 0))

    # --- reports from below ---------------------------------------------------------------------------------------

    def on_child_started(self, child: Cell | Supervisor) -> None:
        """A child has begun."""
        self._done(child)

    def on_child_stopped(self, child: Cell | Supervisor) -> None:
        """A child has carried out the order to stop."""
        if (
            child.state is State.TERMINATED
            and child.spec.restart is Restart.TEMPORARY
            and self.state is not State.STOPPING
        ):
            self.delete_child(child)
        self._done(child)

    def on_child_exited(self, child: Cell | Supervisor, reason: ExitReason, why: str, *, counted: bool = True) -> None:
        """A child ended by itself: decide, and act."""
        plan = self._plan
        if plan is not None and child in plan.stop:
            return
        now = self.system.clock.monotonic()
        names = [sibling.name for sibling in self.children]
        decision = decide(
            self.spec.strategy, child.spec.restart, reason, children=names, failed=child.name, history=self.history,
            now=now, counted=counted,
        )  # fmt: skip
        self.history = decision.history
        if decision.action is Action.RESTART:
            self._restart(child, decision.restart, now)
        elif decision.action is Action.ESCALATE:
            self._escalate(child, why)
        else:
            self._give_up_child(child, reason)
        # one that failed while starting has had its turn: those behind it do not wait for its back-off
        self._done(child)

    def _restart(self, child: Cell | Supervisor, affected: Iterable[str], now: float) -> None:
        count, last = self._restarts_in_a_row.get(child.name, (0, now))
        attempt = child.spec.backoff.attempt(count, now - last)
        self._restarts_in_a_row[child.name] = (attempt, now)
        delay = child.spec.backoff.delay(attempt, self.system.random())
        if isinstance(self.spec.strategy, OneForOne):
            child.start(delay, attempt)
            return
        group = [sibling for sibling in self.children if sibling.name in affected]
        stop = [sibling for sibling in reversed(group) if sibling is not child]
        # a temporary sibling is stopped with the others and forgotten (source: OTP supervisor, terminate_children)
        self._run_plan(RestartPlan(stop, group, delay, attempt))

    def _give_up_child(self, child: Cell | Supervisor, reason: ExitReason) -> None:
        if isinstance(child, Supervisor):
            child.stop(terminate=True)
        else:
            child.emit(events.Stopped, reason=f"{reason.value}, not restarted", left=len(child.mailbox.queue))
            child.close()
        if child.spec.restart is Restart.TEMPORARY:
            self.delete_child(child)

    def delete_child(self, child: Cell | Supervisor) -> None:
        """Take a child off the list, and its names out of the registry."""
        if child in self.children:
            self.children.remove(child)
        self._restarts_in_a_row.pop(child.name, None)
        if isinstance(child, Cell):
            self.system.registry.unregister(child.name)
        else:
            for grandchild in list(child.children):
                child.delete_child(grandchild)

    def _escalate(self, child: Cell | Supervisor, why: str) -> None:
        self.error = f"{child.name}: {why}"
        self.system.events.emit(
            events.Escalated(
                name=self.name, at=self.system.clock.now(), child=child.name, error=why, restarts=len(self.history) - 1
            )
        )
        self._stop(self.parent is None, None)

    # --- plans ----------------------------------------------------------------------------------------------------

    def _run_plan(self, plan: RestartPlan[Cell | Supervisor]) -> None:
        self._plan = plan  # what the old one still had to do is part of the new one: see Plan
        self._run_steps(plan)

    def _run_steps(self, plan: RestartPlan[Cell | Supervisor]) -> None:
        if plan.running:  # a step was done before its order returned: the loop further up the stack goes on
            return
        plan.running = True
        while self._plan is plan and self._run_step(plan):
            pass
        plan.running = False

    def _run_step(self, plan: RestartPlan[Cell | Supervisor]) -> bool:
        """Order the next step; True when it is done already."""
        child, steps = plan.current_child(), plan.steps
        if child is None and plan.delay > 0:
            delay, plan.delay = plan.delay, 0.0
            self.system.engine.call_later(delay, partial(self._resume, plan))
            return False
        if child is None:
            self._plan = None
            self._finished()
            return False
        if plan.stop:
            terminate = self._terminate or child.spec.restart is Restart.TEMPORARY
            if child.state is State.TERMINATED or (not terminate and child.state in (State.STOPPED, State.NEW)):
                plan.on_step_done(child)
            else:
                child.stop(terminate=terminate, deadline=self._deadline)
        elif isinstance(child, Cell) and child.suspension:
            plan.on_step_done(child)
        elif child in self.children:
            if self.spec.start_timeout is not None:
                self.system.engine.call_later(self.spec.start_timeout, partial(self._skip_slow_start, plan, child))
            child.start(0.0, plan.attempt)
        else:  # forgotten meanwhile
            plan.on_step_done(child)
        return plan.steps > steps

    def _resume(self, plan: RestartPlan[Cell | Supervisor]) -> None:
        with self.system.decision_lock():
            if self._plan is plan:
                self._run_steps(plan)

    def _skip_slow_start(self, plan: RestartPlan[Cell | Supervisor], child: Cell | Supervisor) -> None:
        """Those behind a child whose start has not returned have waited long enough; it may still come."""
        with self.system.decision_lock():
            if self._plan is plan and plan.current_child() is child and not plan.stop:
                seconds = self.spec.start_timeout or 0.0
                self.system.events.emit(
                    events.StartTimedOut(name=child.name, at=self.system.clock.now(), duration=seconds)
                )
                self._done(child)

    def _done(self, child: Cell | Supervisor) -> None:
        plan = self._plan
        if plan is not None and plan.on_step_done(child):
            self._run_steps(plan)

    def _finished(self) -> None:
        if self.state is State.STARTING:
            self.state = State.RUNNING
            self._emit_started()
            if self.parent is None:
                self.system.on_root_started()
            else:
                self.parent.on_child_started(self)
        elif self.state is State.STOPPING:
            self._stop_completed()

    def _emit_started(self) -> None:
        spent, now = self.system.clock.monotonic() - self._state_since, self.system.clock.now()
        if self.incarnations == 1:
            self.system.events.emit(events.Started(name=self.name, at=now, duration=spent))
        else:
            again = events.Restarted(
                name=self.name, at=now, incarnation=self.incarnations, attempt=0, duration=spent, downtime=0.0
            )
            self.system.events.emit(again)

    def _stop_completed(self) -> None:
        self.state = State.TERMINATED if self._terminate else State.STOPPED
        spent = self.system.clock.monotonic() - self._state_since
        why = self.error or "ordered"
        self.system.events.emit(events.Stopped(name=self.name, at=self.system.clock.now(), reason=why, duration=spent))
        if self.parent is None:
            self.system.on_root_stopped(self.error)
        elif self.error:
            self.parent.on_child_exited(self, ExitReason.CRASH, self.error)
        else:
            self.parent.on_child_stopped(self)
