"""One running system: engine, registry, root supervisor, dead letters, events and clock, as an object."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from kubeedge_actors.errors import ActorStopped, RegistrationError
from kubeedge_actors.supervisors import events as occurrences
from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import DeadLetter, DeadLetters, DeadLetterSink, Reason
from kubeedge_actors.supervisors.durable.journal import JournalFile, MailboxJournal
from kubeedge_actors.supervisors.engines.base import Engine
from kubeedge_actors.supervisors.events import Events
from kubeedge_actors.supervisors.future import Future, LocalFuture
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.registry import Registry, WiringWarning
from kubeedge_actors.supervisors.sliding_window import SlidingWindow
from kubeedge_actors.supervisors.specs import ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.supervisor import Supervisor
from kubeedge_actors.supervisors.telemetry.snapshot import snapshot
from kubeedge_actors.supervisors.telemetry.tracing import Tracer

log = logging.getLogger(__name__)

POISON_LIMIT, POISON_PERIOD = 5, 60.0
"""An untrusted sender is suspended when so many of its messages became dead letters of others, by crashes, within so many seconds."""
GRACE = 5.0
"""Seconds that whoever waits for a stop adds to the time that the actors have."""


class ActorSystem:
    """A supervision tree on an engine. Several can live in one process; nothing is shared between them. Programs of one's own take
    `kubeedge_actors.ActorSystem`, which is this one with defaults and a with block.

    `groups`: the group names that specs may use, None for any. `optional_types`: see Registry. `failure`: the reason, once the
    root supervisor gave up. `journal`: the file for durable mailboxes and the stores of actors (drivers.store.mailboxes.MailboxFile), closed by
    `stop`; None: there are none.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock | None = None,
        dead_letters: DeadLetterSink | None = None,
        groups: Collection[str] | None = None,
        seed: int | None = None,
        optional_types: Collection[type] = (),
        journal: JournalFile | None = None,
    ) -> None:
        self.engine = engine
        self.journal = None if journal is None else MailboxJournal(journal, engine.call_later)
        self.clock = engine.use_clock(clock)
        self.dead_letters: DeadLetterSink = DeadLetters() if dead_letters is None else dead_letters
        self.events = Events()
        self.events.subscribe(occurrences.log_event)
        self.registry = Registry(groups, optional_types)
        self.lock = threading.RLock()
        self.tracer: Tracer | None = None
        self.root: Supervisor | None = None
        self.failure: str | None = None
        self.wiring_warnings: list[WiringWarning] = []
        self._poison: dict[str, SlidingWindow] = {}
        self._random = random.Random(seed)
        self._depth = 0
        self._started = LocalFuture(engine, "the root supervisor", 60.0)
        self._stopped = LocalFuture(engine, "the root supervisor", 60.0)

    def start(self, spec: SupervisorSpec, timeout: float = 60.0) -> None:
        """Register and start the tree. Returns when each child was started once (one that failed is being restarted),
        or when the root gave up (see `failure`). RegistrationError when the specs do not fit together.
        """
        with self.decision_lock():
            if self.root is not None:
                raise RegistrationError("this actor system was started before")
            root = self._build(spec, None)
            self._check_wiring()
            self.root = root
            root.start()
        self._started.get(timeout)
        self.events.wait_delivered()
        if self.journal is not None:
            for name, count in self.journal.unclaimed(self.registry.names()).items():
                log.warning("%d messages are kept for %s, which is not there", count, name)

    def stop(self, timeout: float = 30.0) -> None:
        """Stop the tree, last child first; each may drain for its `shutdown`, all together for `timeout` seconds. Not
        to be called by an actor. Idempotent.
        """
        with self.decision_lock():
            root = self.root
            if root is not None and root.state is not State.TERMINATED:
                root.stop(terminate=True, deadline=self.clock.monotonic() + timeout)
        try:
            if root is not None:
                self._stopped.get(timeout + GRACE)
                self.events.wait_delivered()
        finally:
            self.engine.shut_down()
            if self.journal is not None:
                self.journal.close()

    @property
    def is_stopping(self) -> bool:
        """Whether the whole tree is being stopped, or has stopped: who ends now is not started again."""
        return self.root is not None and self.root.state in (State.STOPPING, State.TERMINATED)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the tree has stopped, by order or because it gave up (see `failure`); False after `timeout`
        seconds.
        """
        self.engine.wait(self._stopped, float("inf") if timeout is None else timeout)
        return self._stopped.done

    def add(self, spec: ChildSpec, to: str | None = None) -> Ref:
        """Start one more actor under the supervisor named `to` (default: the root). Error: RegistrationError."""
        with self.decision_lock():
            cell = self._build_cell(spec, self._supervisor(to))
            self._check_wiring()
            cell.start()
            return cell.ref

    def remove(self, name: str, timeout: float = 30.0) -> None:
        """Stop an actor for good: it drains, the rest is dead letters, its name is free again."""
        with self.decision_lock():
            cell = self.cell(name)
            stopped = cell.when_stopped()
            cell.stop(terminate=True, deadline=self.clock.monotonic() + timeout)
        stopped.get(timeout + GRACE)
        with self.decision_lock():
            cell.parent.delete_child(cell)

    def restart(self, name: str, patience: float | None = None) -> Future:
        """Give an actor a new incarnation after the message in hand, mailbox kept; one that had ended starts again. The future is completed
        when it runs. `patience`: see Cell.restart. Errors: RegistrationError, ActorStopped.
        """
        with self.decision_lock():
            cell = self._startable(name)
            if cell.suspension:
                raise ActorStopped(f"{name} is suspended: {cell.suspension}; resume it")
            return cell.restart(patience)

    def suspend(self, name: str, why: str) -> Future:
        """Stop an actor until `resume`; what is queued stays, what is sent to it meanwhile is a dead letter. The future is completed when it
        has stopped. Errors: RegistrationError; ActorStopped when it is suspended already or has ended.
        """
        with self.decision_lock():
            cell = self.cell(name)
            if cell.suspension or cell.state is State.TERMINATED:
                state = f"suspended already: {cell.suspension}" if cell.suspension else cell.state.value
                raise ActorStopped(f"{name} is {state}")
            stopped = cell.when_stopped()
            cell.suspend(why)
            return stopped

    def resume(self, name: str) -> Future:
        """Start an actor again that was suspended, when it has stopped; the future is completed when it runs. Errors: RegistrationError;
        ActorStopped when it is not suspended.
        """
        with self.decision_lock():
            cell = self._startable(name)
            if not cell.suspension:
                raise ActorStopped(f"{name} is not suspended, it is {cell.state.value}")
            return cell.resume()

    def _startable(self, name: str) -> Cell:
        cell = self.cell(name)
        if cell.parent.state in (State.STOPPING, State.STOPPED, State.TERMINATED):
            raise ActorStopped(f"the supervisor {cell.parent.name} is {cell.parent.state.value}")
        return cell

    def crash(self, name: str, error: BaseException) -> None:
        """Make an actor crash with `error` between two messages, for tests and drills. Errors: RegistrationError, ActorStopped."""
        cell = self.cell(name)
        if cell.state is State.TERMINATED:
            raise ActorStopped(f"{name} has stopped")
        cell.mailbox.post_system(partial(cell.inject_failure, error))

    def snapshot(self, name: str, timeout: float = 5.0) -> LocalFuture:
        """Ask an actor for its figures through the system lane: it answers before the next message, unless hung."""
        cell = self.cell(name)
        future = LocalFuture(self.engine, name, timeout, cell)
        if cell.state is State.TERMINATED:
            future.complete(None, ActorStopped(f"{name} has stopped"))
        else:
            cell.mailbox.post_system(lambda: future.complete(snapshot(cell)))
        return future

    def ref(self, name: str) -> Ref:
        """The handle of an actor; RegistrationError when there is none of that name."""
        ref = self.registry.get(name)
        if ref is None:
            raise self._unknown(name)
        return ref

    def tell(self, to: str | Ref, message: object) -> None:
        """Send a message to an actor, by name or Ref, from outside of actors. Errors: as `ref`; after that as Ref.tell."""
        self._recipient(to).tell(message)

    def ask(self, to: str | Ref, message: object, timeout: float = 5.0) -> Future:
        """Send a request from outside of actors: the future of its answer, whose `get` waits for it. Errors: as `ref`."""
        return self._recipient(to).ask(message, timeout)

    def _recipient(self, to: str | Ref) -> Ref:
        return self.ref(to) if isinstance(to, str) else to

    def publish(self, message: object, sender: str = "") -> int:
        """Send a message to every actor that accepts exactly this type; returns how many. 0: it is a dead letter."""
        refs = self.registry.subscribers(type(message))
        for ref in refs:
            ref.tell_published(message, sender)
        if not refs:
            self.to_dead_letters("", message, Reason.NO_SUBSCRIBER, sender)
        return len(refs)

    def publish_all(self, messages: Sequence[object], sender: str = "") -> None:
        """Publish messages of one type, at least one: durable mailboxes have them in their file by one commit."""
        refs = self.registry.subscribers(type(messages[0]))
        for ref in refs:
            ref.tell_all_published(messages, sender)
        if not refs:
            for message in messages:
                self.to_dead_letters("", message, Reason.NO_SUBSCRIBER, sender)

    def tree(self) -> dict[str, Any]:
        """The tree as plain data, for the control socket: names, states, figures."""
        with self.lock:
            return {} if self.root is None else snapshot(self.root)

    def cells(self) -> list[Cell]:
        """All actors that there are at the moment, in the order of the tree, for who looks at them."""
        return [node for node in self._nodes() if isinstance(node, Cell)]

    def set_tracer(self, tracer: Tracer | None) -> None:
        """Have a tracer follow messages from now on, None for nobody: no message pays for it then."""
        with self.lock:
            self.tracer = tracer
            for cell in self.cells():
                cell.set_tracer(tracer)

    # --- for the parts --------------------------------------------------------------------------------------------

    @contextmanager
    def decision_lock(self) -> Iterator[None]:
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

    def to_dead_letters(
        self, recipient: str, message: object, reason: Reason, sender: str = "", failed_deliveries: int = 0, error: str = "",
        text: str = "", trace: str = "",
    ) -> None:  # fmt: skip
        """Record a dead letter and emit its event."""
        if self.tracer is not None:
            self.tracer.on_dead_letter(recipient, message, reason, sender, failed_deliveries, trace)
        at = self.clock.now()
        letter = DeadLetter(
            recipient=recipient, message=message, reason=reason, at=at, sender=sender, failed_deliveries=failed_deliveries,
            error=error, traceback=text,
        )  # fmt: skip
        try:
            self.dead_letters.record(letter)
        except Exception:
            log.exception("a dead letter for %s could not be kept", recipient or "nobody")
        self.events.emit(occurrences.DeadLettered(name=recipient, at=at, letter=letter))
        if self._depth == 0:
            self.events.flush()

    def is_untrusted(self, sender: str) -> bool:
        """Whether what the messages of this actor do to others is laid to its charge."""
        spec = self.registry.spec(sender) if sender else None
        return spec is not None and spec.untrusted

    def record_poison_message(self, sender: str, recipient: str) -> None:
        """A message of an untrusted sender crashed `recipient` too often: with the last of too many it is suspended; under the lock."""
        window = self._poison.setdefault(sender, SlidingWindow(POISON_LIMIT, POISON_PERIOD))
        if window.add(self.clock.monotonic()):
            why = f"{POISON_LIMIT} of its messages crashed other actors within {POISON_PERIOD:.0f} s, the last of them {recipient}"
            self.cell(sender).suspend(why)

    def random(self) -> float:
        """A random number in [0, 1), for jitter."""
        return self._random.random()

    def cell(self, name: str) -> Cell:
        """The cell of an actor; RegistrationError when there is none of that name."""
        for node in self._nodes():
            if isinstance(node, Cell) and node.name == name:
                return node
        raise self._unknown(name)

    def _unknown(self, name: str) -> RegistrationError:
        return RegistrationError(f"no actor is called {name!r}; there are: {', '.join(self.registry.names())}")

    def on_root_started(self) -> None:
        """The root's first plan is done."""
        self._started.complete(None)

    def on_root_stopped(self, error: str) -> None:
        """The root has stopped: ordered, or because it gave up."""
        self.failure = error or None
        self._started.complete(None)
        self._stopped.complete(None)

    def _check_wiring(self) -> None:
        before, self.wiring_warnings = self.wiring_warnings, self.registry.wiring_warnings()
        for warning in self.wiring_warnings:
            if warning not in before:
                log.warning("%s", warning.text)

    def _build(self, spec: SupervisorSpec, parent: Supervisor | None) -> Supervisor:
        supervisor = Supervisor(spec, parent, self)
        for child in spec.children:
            if isinstance(child, SupervisorSpec):
                supervisor.children.append(self._build(child, supervisor))
            else:
                self._build_cell(child, supervisor)
        return supervisor

    def _build_cell(self, spec: ChildSpec, parent: Supervisor) -> Cell:
        self.registry.check_childspec(spec)
        self.engine.check_childspec(spec)
        if spec.mailbox.durable and self.journal is None:
            raise RegistrationError(
                f"{spec.name!r} has a durable mailbox, and this actor system was given no journal to keep it in"
            )
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
                waiting += reversed(node.children)

    def _supervisor(self, name: str | None) -> Supervisor:
        for node in self._nodes():
            if isinstance(node, Supervisor) and name in (None, node.name):
                if node.state in (State.STOPPING, State.TERMINATED):
                    raise ActorStopped(f"the supervisor {node.name} takes no more children")
                return node
        raise RegistrationError(f"no supervisor is called {name!r}")
