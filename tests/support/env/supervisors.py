"""A runtime under test, the same on every engine: tests wait for what they expect, never for time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kubeedge_actors.drivers.store.mailboxes import MailboxFile
from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    Actor,
    ActorSystem,
    ChildSpec,
    DeadLetter,
    Event,
    InlineEngine,
    Intensity,
    ManualClock,
    OneForOne,
    Ref,
    Strategy,
    SupervisorSpec,
    ThreadsEngine,
)
from kubeedge_actors.supervisors.engines.base import Engine
from kubeedge_actors.supervisors.engines.process.launcher import Launcher
from kubeedge_actors.supervisors.engines.process.placement import ProcessPlacement
from kubeedge_actors.supervisors.engines.threads import ProcessEngine
from tests.support.fakes.by_value_serializer import ByValueSerializer, Shop
from tests.support.waiting import PATIENCE, Patience

PRELOAD = Path(__file__).parent / "preload"

AnyEvent = TypeVar("AnyEvent", bound=Event)


@cache
def workshop() -> tuple[Shop, Launcher]:
    """What all tests on `hosts` share, so that each need not start a fork server of its own, nor its processes import what they run."""
    shop = Shop()
    launcher = Launcher(serializer=ByValueSerializer(shop.address, shop))
    launcher._listener(False)
    with preloading():
        launcher._open_fork_server()
    return shop, launcher


@contextmanager
def preloading() -> Iterator[None]:
    """A fork server that is started inside the block imports at its start what tests consist of, and each of its processes no more."""
    sys.path.insert(0, str(PRELOAD))
    try:
        yield
    finally:
        sys.path.remove(str(PRELOAD))


class HostsUnderTest(ProcessEngine):
    """The engine as it is, but for the shared launcher."""

    def __init__(self) -> None:
        super().__init__()
        self._processes = ProcessPlacement(workshop()[1])

    def check(self, spec: ChildSpec) -> None:
        """What tests make on the spot can be carried by their own carrier."""

    def shut_down(self) -> None:
        """Leave the launcher to the next test."""
        self._processes = None
        super().shut_down()
        workshop()[0].clear()


ENGINES: dict[str, Callable[[], Engine]] = {
    "inline": InlineEngine,
    "threads": ThreadsEngine,
    "hosts": HostsUnderTest,
}

in_one_process = pytest.mark.parametrize("env", ["inline", "threads"], indirect=True)
"""For tests in which the test itself holds a Reply or a Timer, or that are about hundreds of actors: on `hosts` a Reply and a Timer
do not leave the process of their actor (it may keep and use them), and an actor costs a process."""


class Boom(Exception):
    """What actors under test crash with."""


class Stop(BaseException):
    """Not even an Exception."""


class ActorSystemEnv:
    """One runtime, a clock moved by hand, a common record of what actors did, and waits for anything."""

    def __init__(self, engine: Engine, path: Path | None = None) -> None:
        self.engine = engine
        self.clock = ManualClock()
        self.runtime = ActorSystem(engine, clock=self.clock, seed=7, journal=MailboxFile(path))
        self.changed = threading.Condition()
        self.events: list[Event] = []
        self.record: list[Any] = []
        self.runtime.events.subscribe(self._on_event)

    @property
    def inline(self) -> bool:
        """True on the engine that runs actors only when it is told to."""
        return isinstance(self.engine, InlineEngine)

    def _on_event(self, event: Event) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def note(self, what: Any) -> None:
        """Write into the common record."""
        with self.changed:
            self.record.append(what)
            self.changed.notify_all()

    def start(self, *children: ChildSpec | SupervisorSpec, strategy: Strategy | None = None) -> None:
        """Start a root with these children; it escalates only if `strategy` says so."""
        strategy = strategy or OneForOne(Intensity(max_restarts=100_000, period=10.0))
        self.runtime.start(SupervisorSpec("root", children, strategy), PATIENCE)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Keep an actor busy inside the block: what it is told and ordered meanwhile waits in its mailbox."""
        if isinstance(self.engine, InlineEngine):
            yield  # nothing runs inside the block anyway
            return
        entered, go = threading.Event(), threading.Event()

        def wait(actor: Actor) -> None:
            entered.set()
            go.wait(PATIENCE)

        self.ref(name).tell(wait)
        assert entered.wait(PATIENCE)
        try:
            yield
        finally:
            go.set()

    def order_stop(self, name: str = "", seconds: float | None = None) -> None:
        """Order the actor, or all of them, to stop for good, and do not wait for it."""
        deadline = None if seconds is None else self.clock.monotonic() + seconds
        with self.runtime.decision_lock():
            node = self.runtime.cell(name) if name else self.runtime.root
            assert node is not None
            node.stop(terminate=True, deadline=deadline)

    def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Let actors work until `condition()` is true; AssertionError when it does not become true."""
        if isinstance(self.engine, InlineEngine):
            self.engine.run()
            found = condition()
        else:
            found = self.wait_for(condition, PATIENCE)
        assert found, f"{what or 'it'} did not happen; record: {self.record[-20:]}, events: {self.events[-20:]}"
        return found

    def wait_for(self, condition: Callable[[], Any], patience: float) -> Any:
        """What `condition()` is when it is true or `patience` seconds are over; for threads."""
        time_left = Patience(patience)
        while not (found := condition()) and not time_left.over:
            with self.changed:
                self.changed.wait(0.01)  # not everything that a test waits for is noted or an event
        return found

    def advance(self, seconds: float) -> None:
        """Move the clock; what is due is fired."""
        if isinstance(self.engine, InlineEngine):
            self.engine.advance(seconds)
        else:
            self.clock.advance(seconds)

    def fire(self, seconds: float) -> None:
        """Move the clock and fire what is due, without letting anybody work on it."""
        self.clock.advance(seconds)
        if isinstance(self.engine, InlineEngine):
            while self.engine._fire_next(self.clock.monotonic()):
                pass

    def ref(self, name: str) -> Ref:
        """The handle of an actor."""
        return self.runtime.ref(name)

    def tell(self, name: str, *messages: object) -> None:
        """Tell an actor several messages."""
        ref = self.ref(name)
        for message in messages:
            ref.tell(message)

    def until_seen(self, kind: type[Event], count: int) -> None:
        """Wait for so many events of this kind."""
        self.until(lambda: len(self.of(kind)) >= count, f"{count} {kind.__name__}")
        assert len(self.of(kind)) == count

    def until_depth(self, name: str, depth: int) -> None:
        """Wait until so many messages are queued for an actor."""
        mailbox = self.runtime.cell(name).mailbox
        if not isinstance(self.engine, InlineEngine):
            self.wait_for(lambda: len(mailbox.queue) >= depth, PATIENCE)
        assert len(mailbox.queue) >= depth, f"{len(mailbox.queue)} messages are queued for {name}"

    def of(self, kind: type[AnyEvent], name: str | None = None) -> list[AnyEvent]:
        """The events of this kind so far, of one actor or of all; everything decided before is in it."""
        self.runtime.events.wait_delivered()
        return [each for each in list(self.events) if isinstance(each, kind) and name in (None, each.name)]

    def node(self, name: str) -> dict[str, Any]:
        """What the tree says about an actor or a supervisor."""
        waiting = [self.runtime.tree()]
        while waiting:
            node = waiting.pop()
            if node["name"] == name:
                return node
            waiting += node.get("children", [])
        raise KeyError(name)

    def wait_for_letters(self, count: int) -> list[DeadLetter]:
        """The dead letters, once there are `count`."""
        self.until(lambda: len(self.letters) >= count, f"{count} dead letters")
        return self.letters

    @property
    def letters(self) -> list[DeadLetter]:
        """The dead letters so far."""
        return list(self.runtime.dead_letters)

    def close(self) -> None:
        """Stop everything."""
        if self.runtime.root is not None:
            stopper = threading.Thread(target=self.runtime.stop)
            if isinstance(self.engine, InlineEngine):
                self.runtime.stop()
                return
            stopper.start()
            patience = Patience()
            while stopper.is_alive() and not patience.over:
                self.clock.advance(1.0)  # so that shutdown deadlines pass
                stopper.join(0.05)
            assert not stopper.is_alive(), "the runtime did not stop"


class Recorder(Actor):
    """Notes what it handles. Told "boom" it crashes, "stop": with a BaseException; an Exception instance is raised; a
    function is called with the actor, and its result is the answer. Answers ("answer", message) otherwise.
    """

    def __init__(self, env: ActorSystemEnv, tag: str = "") -> None:
        self.env, self.tag = env, tag

    def receive(self, message: object) -> object:
        """Handle a message as said above."""
        if message == "boom":
            raise Boom("asked for")
        if message == "stop":
            raise Stop("asked for")
        if isinstance(message, BaseException):
            raise message
        if callable(message):
            return message(self)
        self.env.note((self.tag, message) if self.tag else message)
        return ("answer", message)


class Lively(Recorder):
    """A recorder that notes its start and stop as well."""

    def on_start(self) -> None:
        """Note it."""
        self.env.note(f"{self.tag} starts")

    def on_stop(self) -> None:
        """Note it."""
        self.env.note(f"{self.tag} stops")


def spec(name: str, factory: Callable[[], Actor], **more: Any) -> ChildSpec:
    """A child without back-off, unless `more` says otherwise."""
    return replace(ChildSpec(name, factory, backoff=NO_BACKOFF), **more)


def names(events: Sequence[Event]) -> list[str]:
    """Whom the events are about."""
    return [each.name for each in events]
