"""The machine that carries out decisions: it orders starts and stops, hears reports, and never waits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.cell import Cell
from kubeedge_actors.supervisors.child import SupervisorSpec
from kubeedge_actors.supervisors.engines.base import System
from kubeedge_actors.supervisors.lifecycle import State
from kubeedge_actors.supervisors.plan import Plan
from kubeedge_actors.supervisors.strategy import Ending, OneForOne, Restart, Verdict, decide


class Supervisor:
    """A node of the tree. Every method is called under the runtime's lock; it orders, and reports come back as calls.

    A child that is told to stop or start reports when it has; one that ends by itself is decided on. While a plan is to
    stop it, its end is what was wanted.
    """

    def __init__(self, spec: SupervisorSpec, parent: Supervisor | None, runtime: System) -> None:
        self.spec, self.name, self.parent, self.runtime = spec, spec.name, parent, runtime
        self.children: list[Cell | Supervisor] = []
        self.state = State.NEW
        self.history: tuple[float, ...] = ()
        self.error = ""
        """Why it gave up."""
        self.births = 0
        self._plan: Plan[Cell | Supervisor] | None = None
        self._final = False
        self._deadline: float | None = None
        self._since = 0.0
        self._streaks: dict[str, tuple[int, float]] = {}

    # --- orders from above ----------------------------------------------------------------------------------------

    def start(self, delay: float = 0.0, attempt: int = 0) -> None:
        """Start all children in list order, in `delay` seconds."""
        self.state = State.STARTING
        self.history, self.error = (), ""
        self.births += 1
        self._since = self.runtime.clock.monotonic() + delay
        self._pursue(Plan([], list(self.children), delay, attempt))

    def halt(self, *, final: bool, deadline: float | None = None) -> None:
        """Stop all children in reverse order; `final`: for good, until `deadline` (monotonic). Ends in
        `parent.child_stopped`.
        """
        self.error = ""
        self._halt(final, deadline)

    def _halt(self, final: bool, deadline: float | None) -> None:
        self._final, self._deadline = final, deadline
        self._since = self.runtime.clock.monotonic()
        self.state = State.STOPPING
        self._pursue(Plan(list(reversed(self.children)), [], 0.0, 0))

    # --- reports from below ---------------------------------------------------------------------------------------

    def child_started(self, child: Cell | Supervisor) -> None:
        """A child has begun."""
        self._done(child)

    def child_stopped(self, child: Cell | Supervisor) -> None:
        """A child has carried out the order to stop."""
        if (
            child.state is State.TERMINATED
            and child.spec.restart is Restart.TEMPORARY
            and self.state is not State.STOPPING
        ):
            self.forget(child)
        self._done(child)

    def child_ended(self, child: Cell | Supervisor, ending: Ending, why: str) -> None:
        """A child ended by itself: decide, and act."""
        plan = self._plan
        if plan is not None and child in plan.stop:
            return
        now = self.runtime.clock.monotonic()
        names = [each.name for each in self.children]
        decision = decide(
            self.spec.strategy, child.spec.restart, ending, children=names, failed=child.name, history=self.history,
            now=now
        )  # fmt: skip
        self.history = decision.history
        if decision.verdict is Verdict.RESTART:
            self._restart(child, decision.restart, now)
        elif decision.verdict is Verdict.ESCALATE:
            self._escalate(child, why)
        else:
            self._leave(child, ending)
        # one that failed while starting has had its turn: those behind it do not wait for its back-off
        self._done(child)

    def _restart(self, child: Cell | Supervisor, affected: Iterable[str], now: float) -> None:
        count, last = self._streaks.get(child.name, (0, now))
        attempt = child.spec.backoff.attempt(count, now - last)
        self._streaks[child.name] = (attempt, now)
        delay = child.spec.backoff.delay(attempt, self.runtime.chance())
        if isinstance(self.spec.strategy, OneForOne):
            child.start(delay, attempt)
            return
        group = [each for each in self.children if each.name in affected]
        stop = [each for each in reversed(group) if each is not child]
        # a temporary sibling is stopped with the others and forgotten (source: OTP supervisor, terminate_children)
        self._pursue(Plan(stop, group, delay, attempt))

    def _leave(self, child: Cell | Supervisor, ending: Ending) -> None:
        if isinstance(child, Supervisor):
            child.halt(final=True)
        else:
            child.emit(events.Stopped, reason=f"{ending.value}, not restarted", left=len(child.box.queue))
            child.close()
        if child.spec.restart is Restart.TEMPORARY:
            self.forget(child)

    def forget(self, child: Cell | Supervisor) -> None:
        """Take a child off the list, and its names out of the registry."""
        if child in self.children:
            self.children.remove(child)
        self._streaks.pop(child.name, None)
        if isinstance(child, Cell):
            self.runtime.registry.unregister(child.name)
        else:
            for each in list(child.children):
                child.forget(each)

    def _escalate(self, child: Cell | Supervisor, why: str) -> None:
        self.error = f"{child.name}: {why}"
        self.runtime.events.emit(
            events.Escalated(
                name=self.name, at=self.runtime.clock.now(), child=child.name, error=why, restarts=len(self.history) - 1
            )
        )
        self._halt(self.parent is None, None)

    # --- plans ----------------------------------------------------------------------------------------------------

    def _pursue(self, plan: Plan[Cell | Supervisor]) -> None:
        self._plan = plan  # what the old one still had to do is part of the new one: see Plan
        self._advance(plan)

    def _advance(self, plan: Plan[Cell | Supervisor]) -> None:
        if plan.advancing:  # a step was done before its order returned: the loop further up the stack goes on
            return
        plan.advancing = True
        while self._plan is plan and self._order(plan):
            pass
        plan.advancing = False

    def _order(self, plan: Plan[Cell | Supervisor]) -> bool:
        """Order the next step; True when it is done already."""
        child, steps = plan.next(), plan.steps
        if child is None and plan.delay > 0:
            delay, plan.delay = plan.delay, 0.0
            self.runtime.engine.call_later(delay, partial(self._resume, plan))
            return False
        if child is None:
            self._plan = None
            self._finished()
            return False
        if plan.stop:
            final = self._final or child.spec.restart is Restart.TEMPORARY
            if child.state is State.TERMINATED or (not final and child.state in (State.STOPPED, State.NEW)):
                plan.done(child)
            else:
                child.halt(final=final, deadline=self._deadline)
        elif child in self.children:
            if self.spec.patience is not None:
                self.runtime.engine.call_later(self.spec.patience, partial(self._pass_over, plan, child))
            child.start(0.0, plan.attempt)
        else:  # forgotten meanwhile
            plan.done(child)
        return plan.steps > steps

    def _resume(self, plan: Plan[Cell | Supervisor]) -> None:
        with self.runtime.deciding():
            if self._plan is plan:
                self._advance(plan)

    def _pass_over(self, plan: Plan[Cell | Supervisor], child: Cell | Supervisor) -> None:
        """Those behind a child whose start has not returned have waited long enough; it may still come."""
        with self.runtime.deciding():
            if self._plan is plan and plan.next() is child and not plan.stop:
                seconds = self.spec.patience or 0.0
                self.runtime.events.emit(events.Slow(name=child.name, at=self.runtime.clock.now(), duration=seconds))
                self._done(child)

    def _done(self, child: Cell | Supervisor) -> None:
        plan = self._plan
        if plan is not None and plan.done(child):
            self._advance(plan)

    def _finished(self) -> None:
        if self.state is State.STARTING:
            self.state = State.RUNNING
            self._emit_started()
            if self.parent is None:
                self.runtime.root_started()
            else:
                self.parent.child_started(self)
        elif self.state is State.STOPPING:
            self._halted()

    def _emit_started(self) -> None:
        spent, now = self.runtime.clock.monotonic() - self._since, self.runtime.clock.now()
        if self.births == 1:
            self.runtime.events.emit(events.Started(name=self.name, at=now, duration=spent))
        else:
            again = events.Restarted(
                name=self.name, at=now, incarnation=self.births, attempt=0, duration=spent, downtime=0.0
            )
            self.runtime.events.emit(again)

    def _halted(self) -> None:
        self.state = State.TERMINATED if self._final else State.STOPPED
        spent = self.runtime.clock.monotonic() - self._since
        why = self.error or "ordered"
        self.runtime.events.emit(
            events.Stopped(name=self.name, at=self.runtime.clock.now(), reason=why, duration=spent)
        )
        if self.parent is None:
            self.runtime.root_stopped(self.error)
        elif self.error:
            self.parent.child_ended(self, Ending.CRASH, self.error)
        else:
            self.parent.child_stopped(self)
