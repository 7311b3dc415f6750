"""One running system: engine, registry, root supervisor, dead letters, events and clock, as an object."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from kubeedge_actors.errors import RegistrationError, Stopped
from kubeedge_actors.supervisors import events as occurrences
from kubeedge_actors.supervisors.cell import Cell, State
from kubeedge_actors.supervisors.child import ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import DeadLetter, DeadLetterOffice, DeadLetters, Reason
from kubeedge_actors.supervisors.engines.base import Engine
from kubeedge_actors.supervisors.envelope import Promise
from kubeedge_actors.supervisors.events import Events
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.registry import Finding, Registry
from kubeedge_actors.supervisors.supervisor import Supervisor

log = logging.getLogger(__name__)


class Runtime:
    """A supervision tree on an engine. Several can live in one process; nothing is shared between them.

    `groups`: the group names that specs may use, None for any. `failed`: the reason, once the root supervisor gave up.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock | None = None,
        dead_letters: DeadLetterOffice | None = None,
        groups: Collection[str] | None = None,
        seed: int | None = None,
    ) -> None:
        self.engine = engine
        self.clock = engine.attach(clock)
        self.dead_letters: Any = DeadLetters() if dead_letters is None else dead_letters
        self.events = Events()
        self.registry = Registry(groups)
        self.lock = threading.RLock()
        self.root: Supervisor | None = None
        self.failed: str | None = None
        self.findings: list[Finding] = []
        self._random = random.Random(seed)
        self._depth = 0
        self._started = Promise(engine, "the root supervisor", 60.0)
        self._stopped = Promise(engine, "the root supervisor", 60.0)

    def start(self, spec: SupervisorSpec, timeout: float = 60.0) -> None:
        """Register and start the tree; returns when each child was started once (a failed one is being restarted)."""
        with self.deciding():
            if self.root is not None:
                raise RegistrationError("this runtime was started before")
            root = self._build(spec, None)
            self.root = root
            self.findings = self.registry.findings()
            for finding in self.findings:
                log.warning("%s", finding.text)
            root.start()
        self._started.get(timeout)

    def stop(self, timeout: float = 30.0) -> None:
        """Stop the tree, last child first; each may drain for its `shutdown`, all together for `timeout` seconds."""
        with self.deciding():
            root = self.root
            if root is not None and root.state not in (State.ENDED, State.STOPPING):
                root.halt(final=True, timeout=timeout)
        if root is not None:
            self._stopped.get(timeout + 5.0)
        self.engine.shut_down()

    def add(self, spec: ChildSpec, to: str | None = None) -> Ref:
        """Start one more actor, under the supervisor called `to` (default: the root)."""
        with self.deciding():
            parent = self._supervisor(to)
            cell = self._build_cell(spec, parent)
            cell.start()
            return cell.ref

    def remove(self, name: str, timeout: float = 30.0) -> None:
        """Stop an actor for good: it drains, the rest is dead letters, its name is free again."""
        stopped = Promise(self.engine, name, timeout)
        with self.deciding():
            cell = self.cell(name)
            cell.on_halted(stopped)
            if cell.state is State.ENDED:
                cell.parent.forget(cell)
                return
            cell.halt(final=True, timeout=timeout)
        stopped.get(timeout + 1.0)
        with self.deciding():
            cell.parent.forget(cell)

    def crash(self, name: str, error: BaseException) -> None:
        """Make an actor crash with `error` between two messages: to see what happens."""
        self.cell(name).crash(error)

    def ref(self, name: str) -> Ref:
        """The handle of an actor; RegistrationError when there is none of that name."""
        ref = self.registry.get(name)
        if ref is None:
            raise RegistrationError(f"no actor is called {name!r}; there are {', '.join(self.registry.names())}")
        return ref

    def cell(self, name: str) -> Cell:
        """The place of an actor in the tree."""
        for node in self._nodes():
            if isinstance(node, Cell) and node.name == name:
                return node
        raise RegistrationError(f"no actor is called {name!r}")

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
        from kubeedge_actors.supervisors.tree import describe

        with self.lock:
            return {} if self.root is None else describe(self.root)

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
        text: str = "",
    ) -> None:  # fmt: skip
        """Record a dead letter and say so."""
        at = self.clock.now()
        letter = DeadLetter(
            recipient=recipient, message=message, reason=reason, at=at, sender=sender, deliveries=deliveries,
            error=error, traceback=text,
        )  # fmt: skip
        self.dead_letters.record(letter)
        self.events.emit(occurrences.DeadLettered(name=recipient, at=at, letter=letter))
        if self._depth == 0:
            self.events.flush()

    def chance(self) -> float:
        """A random number in [0, 1), for jitter."""
        return self._random.random()

    def root_started(self) -> None:
        """The root's first plan is done."""
        self._started.settle(None)

    def root_stopped(self, error: str) -> None:
        """The root has stopped: ordered, or because it gave up."""
        self.failed = error or None
        self._started.settle(None)
        self._stopped.settle(None)

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
                if node.state in (State.STOPPING, State.ENDED):
                    raise Stopped(f"the supervisor {node.name} takes no more children")
                return node
        raise RegistrationError(f"no supervisor is called {name!r}")
