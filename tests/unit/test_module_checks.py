"""What the author of a module has probably forgotten is said at registration, and nothing else is."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator

import pytest

import kubeedge_actors.actors
from kubeedge_actors.module import Module, on
from kubeedge_actors.module_checks import sent_to_itself, unmarked_handlers
from kubeedge_actors.supervisors import ActorSystem, InlineEngine, SupervisorSpec
from kubeedge_actors.testing import inline
from kubeedge_actors.wire.messages import MqttReceived, TwinUpdated

Start = Callable[..., list[str]]


@dataclasses.dataclass(frozen=True)
class Minute:
    """What a module tells itself."""


MINUTE = Minute()


@pytest.fixture
def findings() -> Iterator[Start]:
    """Start a tree of modules: what is found about them."""
    systems: list[ActorSystem] = []

    def start(*modules: type[Module]) -> list[str]:
        system = ActorSystem(InlineEngine(), optional_types=(TwinUpdated, MqttReceived))
        systems.append(system)
        system.start(SupervisorSpec("root", [module.spec() for module in modules]))
        return [finding.text for finding in system.wiring_warnings]

    yield start
    for system in systems:
        system.stop()


# --- without @on ------------------------------------------------------------------------------------------------------


class Deaf(Module):
    """Has forgotten one."""

    name = "deaf"

    @on
    def on_mqtt_received(self, message: MqttReceived) -> None: ...

    def on_twin_updated(self, update: TwinUpdated) -> None: ...


def test_a_method_that_takes_a_message_without_on_is_a_warning_with_its_place(
    findings: Start, caplog: pytest.LogCaptureFixture
) -> None:
    line = Deaf.on_twin_updated.__code__.co_firstlineno
    sentence = (
        f"deaf: Deaf.on_twin_updated ({__file__}, line {line}) takes a TwinUpdated, but without @on nothing calls it"
    )
    assert findings(Deaf) == [sentence]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [sentence]


class NotDeaf(Module):
    """Every one of its methods is meant."""

    name = "not-deaf"

    def __init__(self) -> None:
        self.listeners = [self.given_away]

    @on
    def on_mqtt_received(self, message: MqttReceived) -> None:
        self.called(TwinUpdated(device="d", twin={}))
        self.listeners.append(lambda update: self.called_within(update))

    def called(self, update: TwinUpdated) -> None: ...
    def called_within(self, update: TwinUpdated) -> None: ...
    def given_away(self, update: TwinUpdated) -> None: ...
    def another_view_of_what_is_handled(self, message: MqttReceived) -> None: ...
    def two(self, update: TwinUpdated, more: int) -> None: ...
    def text(self, text: str) -> None: ...
    def untyped(self, message) -> None: ...  # type: ignore[no-untyped-def]
    def unknown(self, message: NotImported) -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def _private(self, update: TwinUpdated) -> None: ...
    def receive(self, message: TwinUpdated) -> object: ...  # type: ignore[override]
    @staticmethod
    def static(first: int, update: TwinUpdated) -> None: ...
    @property
    def prop(self) -> int:
        return 1


def test_what_is_called_or_is_no_handler_is_left_alone(findings: Start) -> None:
    assert findings(NotDeaf) == []


class Heir(NotDeaf):
    """Overrides a handler without saying @on again: it stays one."""

    name = "heir"

    def on_mqtt_received(self, message: MqttReceived) -> None: ...


def test_an_override_of_a_handler_is_one(findings: Start) -> None:
    assert not [text for text in findings(Heir) if "on_mqtt_received" in text]


def test_no_module_that_is_built_in_gives_cause() -> None:
    for found in pkgutil.walk_packages(kubeedge_actors.actors.__path__, "kubeedge_actors.actors."):
        importlib.import_module(found.name)
    modules = [each for each in _heirs(Module) if each.__module__.startswith("kubeedge_actors.actors.")]
    assert len(modules) > 15
    for module in modules:
        marked = {entry.method for entry in module._handlings.values()}
        assert unmarked_handlers(module, Module, marked, module.accepts()) == []


def _heirs(module: type[Module]) -> Iterator[type[Module]]:
    for heir in module.__subclasses__():
        yield heir
        yield from _heirs(heir)


# --- timers -----------------------------------------------------------------------------------------------------------


class Texts(Module):
    """Sends itself a text."""

    name = "texts"

    def on_start(self) -> None:
        self.every(60, "tick")

    @on
    def on_text(self, text: str) -> None: ...


class Made(Module):
    """Makes the message on the spot, once, in a function within."""

    name = "made"

    @on
    def on_minute(self, minute: Minute) -> None:
        def again() -> None:
            self.after(1.0, Minute())

        again()


class Kept(Module):
    """Has the message somewhere else."""

    name = "kept"

    def on_start(self) -> None:
        self.every(60, MINUTE)

    @on
    def on_minute(self, minute: Minute) -> None: ...


class KeptInClass(Module):
    """Has it as an attribute."""

    name, TICK = "kept-in-class", 5

    def on_start(self) -> None:
        self.every(60, self.TICK)

    @on
    def on_tick(self, tick: int) -> None: ...


@pytest.mark.parametrize("module", [Texts, Made, Kept, KeptInClass])
def test_what_a_module_sends_itself_by_a_timer_is_not_emitted_by_nobody(findings: Start, module: type[Module]) -> None:
    assert findings(module) == []


def test_a_type_of_a_function_is_known_as_well() -> None:
    @dataclasses.dataclass(frozen=True)
    class Local:
        """Known in this function only."""

    class Localised(Module):
        name = "localised"

        def on_start(self) -> None:
            self.every(60, Local())

        @on
        def on_local(self, local: Local) -> None: ...

    assert sent_to_itself(Localised, Module, Localised.accepts()) == (Local,)


class Waiting(Module):
    """Has a timer, and waits for something else in vain."""

    name = "waiting"

    def on_start(self) -> None:
        self.every(60, "tick")

    @on
    def on_minute(self, minute: Minute) -> None: ...


def test_what_nobody_sends_is_still_found_in_a_module_with_timers(findings: Start) -> None:
    assert findings(Waiting) == ["waiting accepts Minute, which nobody emits"]


def test_the_harness_says_nothing_of_the_timers_of_a_module(caplog: pytest.LogCaptureFixture) -> None:
    with inline(Texts) as harness:
        harness.advance(60.0)
    assert not caplog.records
