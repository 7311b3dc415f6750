"""One running system: engine, registry, root supervisor, dead letters, events and clock, as an object."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from kubeedge_actors.errors import RegistrationError, Stopped
from kubeedge_actors.supervisors import events as occurrences
from kubeedge_actors.supervisors.cell import Cell
from kubeedge_actors.supervisors.child import ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import DeadLetter, DeadLetterOffice, DeadLetters, Reason
from kubeedge_actors.supervisors.engines.base import Engine
from kubeedge_actors.supervisors.events import Events
from kubeedge_actors.supervisors.lifecycle import State
from kubeedge_actors.supervisors.promise import LocalPromise
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.registry import Finding, Registry
from kubeedge_actors.supervisors.supervisor import Supervisor
from kubeedge_actors.supervisors.tracing import Tracer
from kubeedge_actors.supervisors.tree import describe

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds that whoever waits for a stop adds to the time that the actors have."""


class Runtime:
    """A supervision tree on an engine. Several can live in one process; nothing is shared between them.

    `groups`: the group names that specs may use, None for any. `optional`: see Registry. `failed`: the reason, once the
    root supervisor gave up.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock | None = None,
        dead_letters: DeadLetterOffice | None = None,
        groups: Collection[str] | None = None,
        seed: int | None = None,
        optional: Collection[type] = (),
    ) -> None:
        self.engine = engine
        self.clock = engine.use_clock(clock)
        self.dead_letters: DeadLetterOffice = DeadLetters() if dead_letters is None else dead_letters
        self.events = Events()
        self.events.subscribe(occurrences.log_event)
        self.registry = Registry(groups, optional)
        self.lock = threading.RLock()
        self.tracer: Tracer | None = None
        self.root: Supervisor | None = None
        self.failed: str | None = None
        self.findings: list[Finding] = []
        self._random = random.Random(seed)
        self._depth = 0
        self._started = LocalPromise(engine, "the root supervisor", 60.0)
        self._stopped = LocalPromise(engine, "the root supervisor", 60.0)

    def start(self, spec: SupervisorSpec, timeout: float = 60.0) -> None:
        """Register and start the tree. Returns when each child was started once (one that failed is being restarted),
        or when the root gave up (see `failed`). RegistrationError when the specs do not fit together.
        """
        with self.deciding():
            if self.root is not None:
                raise RegistrationError("this runtime was started before")
            root = self._build(spec, None)
            self._check_findings()
            self.root = root
            root.start()
        self._started.get(timeout)
        self.events.catch_up()

    def stop(self, timeout: float = 30.0) -> None:
        """Stop the tree, last child first; each may drain for its `shutdown`, all together for `timeout` seconds. Not
        to be called by an actor. Idempotent.
        """
        with self.deciding():
            root = self.root
            if root is not None and root.state is not State.TERMINATED:
                root.halt(final=True, deadline=self.clock.monotonic() + timeout)
        try:
            if root is not None:
                self._stopped.get(timeout + GRACE)
                self.events.catch_up()
        finally:
            self.engine.shut_down()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the tree has stopped, by order or because it gave up (see `failed`); False after `timeout`
        seconds.
        """
        self.engine.wait(self._stopped, float("inf") if timeout is None else timeout)
        return self._stopped.done

    def add(self, spec: ChildSpec, to: str | None = None) -> Ref:
        """Start one more actor, under the supervisor called `to` (default: the root)."""
        with self.deciding():
            cell = self._build_cell(spec, self._supervisor(to))
            self._check_findings()
            cell.start()
            return cell.ref

    def remove(self, name: str, timeout: float = 30.0) -> None:
        """Stop an actor for good: it drains, the rest is dead letters, its name is free again."""
        with self.deciding():
            cell = self.cell(name)
            halted = cell.on_halted()
            cell.halt(final=True, deadline=self.clock.monotonic() + timeout)
        halted.get(timeout + GRACE)
        with self.deciding():
            cell.parent.forget(cell)

    def restart(self, name: str) -> None:
        """Give an actor a new incarnation after the message in hand, mailbox kept; one that had ended starts again."""
        with self.deciding():
            cell = self.cell(name)
            if cell.parent.state in (State.STOPPING, State.STOPPED, State.TERMINATED):
                raise Stopped(f"the supervisor {cell.parent.name} is {cell.parent.state.value}")
            cell.renew()

    def crash(self, name: str, error: BaseException) -> None:
        """Make an actor crash with `error` between two messages: to see what happens."""
        cell = self.cell(name)
        if cell.state is State.TERMINATED:
            raise Stopped(f"{name} has stopped")
        cell.box.post(partial(cell.inject_failure, error))

    def health(self, name: str, timeout: float = 5.0) -> LocalPromise:
        """Ask an actor for its figures through the system lane: it answers before the next message, unless hung."""
        cell = self.cell(name)
        promise = LocalPromise(self.engine, name, timeout, cell)
        if cell.state is State.TERMINATED:
            promise.settle(None, Stopped(f"{name} has stopped"))
        else:
            cell.box.post(lambda: promise.settle(describe(cell)))
        return promise

    def ref(self, name: str) -> Ref:
        """The handle of an actor; RegistrationError when there is none of that name."""
        ref = self.registry.get(name)
        if ref is None:
            raise RegistrationError(f"no actor is called {name!r}; there are: {', '.join(self.registry.names())}")
        return ref

    def publish(self, message: object, sender: str = "") -> int:
        """Tell everybody who accepts exactly this type; how many. Nobody: a dead letter."""
        refs = self.registry.accepting(type(message))
        for ref in refs:
            ref.tell(message, sender)
        if not refs:
            self.bury("", message, Reason.NOBODY_ACCEPTS, sender)
        return len(refs)

    def tree(self) -> dict[str, Any]:
        """The tree as plain data, for the control socket: names, states, figures."""
        with self.lock:
            return {} if self.root is None else describe(self.root)

    def follow(self, tracer: Tracer | None) -> None:
        """Have a tracer follow messages from now on, None for nobody: no message pays for it then."""
        with self.lock:
            self.tracer = tracer
            for node in self._nodes():
                if isinstance(node, Cell):
                    node.follow(tracer)

    # --- for the parts --------------------------------------------------------------------------------------------

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Hold the lock of all decisions; events are handed out when the last holder of this thread lets go."""
        with self.lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                outermost = self._depth == 0
        if outermost:
            self.events.flush()

    def bury(
        self, recipient: str, message: object, reason: Reason, sender: str = "", deliveries: int = 0, error: str = "",
        text: str = "", trace: str = "",
    ) -> None:  # fmt: skip
        """Record a dead letter and say so."""
        if self.tracer is not None:
            self.tracer.buried(recipient, message, reason, sender, deliveries, trace)
        at = self.clock.now()
        letter = DeadLetter(
            recipient=recipient, message=message, reason=reason, at=at, sender=sender, deliveries=deliveries,
            error=error, traceback=text,
        )  # fmt: skip
        try:
            self.dead_letters.record(letter)
        except Exception:
            log.exception("a dead letter for %s could not be kept", recipient or "nobody")
        self.events.emit(occurrences.DeadLettered(name=recipient, at=at, letter=letter))
        if self._depth == 0:
            self.events.flush()

    def chance(self) -> float:
        """A random number in [0, 1), for jitter."""
        return self._random.random()

    def cell(self, name: str) -> Cell:
        """The place of an actor in the tree; RegistrationError when there is none of that name."""
        for node in self._nodes():
            if isinstance(node, Cell) and node.name == name:
                return node
        raise RegistrationError(f"no actor is called {name!r}")

    def root_started(self) -> None:
        """The root's first plan is done."""
        self._started.settle(None)

    def root_stopped(self, error: str) -> None:
        """The root has stopped: ordered, or because it gave up."""
        self.failed = error or None
        self._started.settle(None)
        self._stopped.settle(None)

    def _check_findings(self) -> None:
        known, self.findings = self.findings, self.registry.findings()
        for finding in self.findings:
            if finding not in known:
                log.warning("%s", finding.text)

    def _build(self, spec: SupervisorSpec, parent: Supervisor | None) -> Supervisor:
        supervisor = Supervisor(spec, parent, self)
        for child in spec.children:
            if isinstance(child, SupervisorSpec):
                supervisor.children.append(self._build(child, supervisor))
            else:
                self._build_cell(child, supervisor)
        return supervisor

    def _build_cell(self, spec: ChildSpec, parent: Supervisor) -> Cell:
        self.registry.check(spec)
        self.engine.check(spec)
        cell = Cell(spec, parent, self)
        self.registry.register(spec, cell.ref)
        parent.children.append(cell)
        return cell

    def _nodes(self) -> Iterator[Cell | Supervisor]:
        waiting: list[Cell | Supervisor] = [] if self.root is None else [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            if isinstance(node, Supervisor):
                waiting += node.children

    def _supervisor(self, name: str | None) -> Supervisor:
        for node in self._nodes():
            if isinstance(node, Supervisor) and name in (None, node.name):
                if node.state in (State.STOPPING, State.TERMINATED):
                    raise Stopped(f"the supervisor {node.name} takes no more children")
                return node
        raise RegistrationError(f"no supervisor is called {name!r}")
