"""Modules in one thread with a clock moved by hand, and probes that record what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeedge_actors.drivers.store.mailboxes import MailboxFile
from kubeedge_actors.module import Module
from kubeedge_actors.supervisors import (
    Actor,
    ActorSystem,
    ChildSpec,
    Crashed,
    DeadLetter,
    Event,
    InlineEngine,
    Intensity,
    OneForOne,
    Ref,
    SupervisorSpec,
)
from kubeedge_actors.testing.mqtt import mqtt_specs

Runnable = Module | type[Module] | ChildSpec


class InjectedCrash(Exception):
    """A crash that a test asked for."""


class ActorCrashed(AssertionError):
    """An actor crashed and the test did not say that it may; the text is its traceback."""


class Probe(Actor):
    """Records what it is told. `answer`: what it answers an ask; a function is called with the message."""

    def __init__(self, answer: object = None) -> None:
        self.received: list[Any] = []
        self.answer = answer

    def receive(self, message: object) -> object:
        """Record the message."""
        self.received.append(message)
        return self.answer(message) if callable(self.answer) else self.answer

    def take(self) -> list[Any]:
        """What came since the last `take`."""
        taken, self.received = self.received, []
        return taken

    def only(self) -> Any:
        """The one message that came; AssertionError when it was none or several."""
        assert len(self.received) == 1, f"expected one message, got {self.received!r}"
        return self.received[0]

    def of(self, kind: type) -> list[Any]:
        """What came of this type."""
        return [message for message in self.received if type(message) is kind]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.received)

    def __len__(self) -> int:
        return len(self.received)


class Harness:
    """An inline runtime around some modules. It starts at the first use, so that probes can be put in before.

    Modules that listen to MQTT hear what modules publish, by an EventBus as on a node.

    A crash is raised here as ActorCrashed, unless `contain`: then supervision deals with it, as it would in production.
    """

    def __init__(self, runnables: tuple[Runnable, ...], *, contain: bool = False) -> None:
        self.engine = InlineEngine()
        self.clock = self.engine.clock
        self.contain = contain
        self.events: list[Event] = []
        self._specs = [as_spec(runnable) for runnable in runnables]
        self._system = ActorSystem(self.engine, seed=1, journal=MailboxFile(None))
        self._system.events.subscribe(self.events.append)
        self._started = False
        self._probes = 0
        self._seen = 0
        self._expected = {InjectedCrash.__name__}

    @property
    def system(self) -> ActorSystem:
        """The runtime, started."""
        if not self._started:
            self._started = True
            strategy = OneForOne(Intensity(max_restarts=1_000, period=10.0))
            self._system.start(SupervisorSpec("test", [*mqtt_specs(self._specs), *self._specs], strategy))
            self.run()
        return self._system

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """What nobody took, so far."""
        return list(self.system.dead_letters)

    @property
    def crashes(self) -> list[Crashed]:
        """Every crash so far."""
        return [event for event in self.events if isinstance(event, Crashed)]

    def probe(self, *what: str | type, answer: object = None) -> Probe:
        """A recorder of that name, or that accepts these types (or both). `answer`: what it answers."""
        names = [name for name in what if isinstance(name, str)]
        self._probes += 1
        probe = Probe(answer)
        spec = ChildSpec(
            names[0] if names else f"probe-{self._probes}",
            lambda: probe,
            accepts=tuple(kind for kind in what if isinstance(kind, type)),
        )
        if self._started:
            self._system.add(spec)
            self.run()
        else:
            self._specs.insert(0, spec)
        return probe

    def ref(self, name: str) -> Ref:
        """The handle of an actor."""
        return self.system.ref(name)

    def tell(self, name: str, message: object) -> None:
        """Tell an actor and run until nobody has work."""
        self.ref(name).tell(message)
        self.run()

    def ask(self, name: str, message: object, timeout: float = 5.0) -> Any:
        """Ask an actor, run, and give its answer."""
        future = self.ref(name).ask(message, timeout)
        self.run()
        return future.get()

    def publish(self, message: object) -> int:
        """Tell all who accept the type and run; how many they are."""
        count = self.system.publish(message)
        self.run()
        return count

    def advance(self, seconds: float) -> None:
        """Move the clock, fire what is due, and run."""
        assert self.system is not None  # started
        self.engine.advance(seconds)
        self._raise_crashes()

    def run(self) -> None:
        """Run until nobody has work at this moment of the clock."""
        assert self.system is not None  # started
        self.engine.run()
        self._raise_crashes()

    def crash(self, name: str, error: BaseException | None = None) -> None:
        """Make an actor crash between two messages, and run (`advance` lets its back-off pass)."""
        error = error or InjectedCrash("asked for by a test")
        self._expected.add(type(error).__name__)
        self.system.crash(name, error)
        self.run()

    def stop(self) -> None:
        """Stop everything."""
        if self._started:
            self._system.stop()

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _raise_crashes(self) -> None:
        crashes = self.crashes
        fresh, self._seen = crashes[self._seen :], len(crashes)
        for crash in fresh:
            if not self.contain and crash.error.partition(":")[0] not in self._expected:
                raise ActorCrashed(f"{crash.name} crashed\n{crash.traceback}")


def inline(*runnables: Runnable, contain: bool = False, config: object = None) -> Harness:
    """Run modules (classes, instances or child specs) in this thread, with a clock moved by hand.

    `config`: of the first one, a class; for others there is `Other.spec(config=...)`.

    >>> from kubeedge_actors.module import Module, on
    >>> class Greeter(Module):
    ...     name = "greeter"
    ...     @on
    ...     def greet(self, name: str) -> None:
    ...         self.after(2.0, len(name))
    ...     @on
    ...     def count(self, length: int) -> None:
    ...         self.publish(length / 1)
    >>> with inline(Greeter) as harness:
    ...     floats = harness.probe(float)
    ...     harness.tell("greeter", "edge")
    ...     harness.advance(2.0)
    ...     floats.only()
    4.0
    """
    if config is not None:
        first = runnables[0]
        if not isinstance(first, type):
            raise TypeError("a config goes with a class; a child spec is made with it: Alarm.spec(config=...)")
        runnables = (first.spec(config=config), *runnables[1:])
    return Harness(runnables, contain=contain)


def as_spec(runnable: Runnable) -> ChildSpec:
    """The child spec of a module class, an instance (which all its incarnations share) or a child spec."""
    if isinstance(runnable, ChildSpec):
        return runnable
    if isinstance(runnable, Module):
        return type(runnable).spec(lambda: runnable)
    return runnable.spec()
