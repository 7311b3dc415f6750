"""What authors of modules rely on: handlers by annotation, clear errors, and the twenty lines of the design."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import msgspec
import pytest

from kubeedge_actors import MqttPublish, TwinUpdated
from kubeedge_actors.errors import RegistrationError, UsageError
from kubeedge_actors.module import Module, load_module, on
from kubeedge_actors.supervisors import Actor, MailboxSpec, Overflow, ReplyTo, Restart
from kubeedge_actors.testing import Harness, inline

ALARM = '''
from kubeedge_actors import Module, TwinUpdated, MqttPublish, on

class Alarm(Module):
    """Raise an alarm topic when a device reports more than 80 degrees Celsius."""
    name, group = "alarm", "user"
    emits = (MqttPublish,)

    @on
    def check(self, update: TwinUpdated) -> None:
        if float(update.actual("temperature")) > 80:
            self.publish(MqttPublish(topic=f"alarms/{update.device}", payload=b"hot"))
'''


def reported(value: str) -> TwinUpdated:
    """A twin update of a thermometer."""
    return TwinUpdated(device="default/t1", twin={"temperature": {"actual": {"value": value}}})


def test_the_alarm_of_the_design_works_as_written() -> None:
    namespace: dict[str, Any] = {}
    exec(ALARM, namespace)
    with inline(namespace["Alarm"]) as harness:
        alarms = harness.probe(MqttPublish)
        harness.publish(reported("80"))
        harness.publish(reported("81.5"))
        assert alarms.only() == MqttPublish(topic="alarms/default/t1", payload=b"hot")
        assert harness.dead_letters == []


class Said:
    """A message."""


class Asked:
    """A question."""


class Scribe(Module):
    """Notes and answers."""

    name, emits, version = "scribe", (Said,), "2.1"

    def __init__(self) -> None:
        self.notes: list[Any] = []

    @on
    def note(self, message: Said | int) -> None:
        """Note it."""
        self.notes.append(message)

    @on
    def on_asked(self, question: Asked) -> list[Any]:
        """Say what was noted."""
        return self.notes

    def not_a_handler(self, message: str) -> None:
        """No `@on`."""


def test_a_module_accepts_the_types_of_its_handlers() -> None:
    assert set(Scribe.accepts()) == {Said, int, Asked}


def test_a_union_names_several_types_in_either_spelling() -> None:
    class Old(Module):
        name = "old"

        @on
        def on_union(self, message: Union[Said, Asked]) -> None:  # noqa: UP007
            """Take it."""

    assert set(Old.accepts()) == {Said, Asked}


def test_dispatch_is_by_exact_type_and_the_return_value_answers() -> None:
    with inline(Scribe) as harness:
        said = Said()
        harness.tell("scribe", said)
        harness.tell("scribe", 7)
        harness.tell("scribe", True)  # a bool is an int to Python, and another message here
        assert harness.ask("scribe", Asked()) == [said, 7]
        (letter,) = harness.dead_letters
        assert letter.message is True and "no handler for bool" in letter.error


def test_a_spec_is_made_of_what_the_module_declares() -> None:
    spec = Scribe.spec(restart=Restart.TRANSIENT, shutdown=1.0)
    assert (spec.name, spec.group, spec.emits, spec.version) == ("scribe", "user", (Said,), "2.1")
    assert set(spec.accepts) == {Said, int, Asked}
    assert (spec.restart, spec.shutdown, spec.factory) == (Restart.TRANSIENT, 1.0, Scribe)
    given = Scribe()
    assert Scribe.spec(lambda: given, name="other").factory() is given
    assert Scribe.spec(name="other").name == "other"


def test_a_module_without_a_name_has_no_spec() -> None:
    class Nameless(Module):
        """No name."""

    with pytest.raises(RegistrationError, match="Nameless has no name"):
        Nameless.spec()


def test_handlers_are_inherited_and_may_be_overridden() -> None:
    class Louder(Scribe):
        name = "louder"

        @on
        def note(self, message: Said | int) -> None:
            self.notes.append((message, "!"))

        @on
        def more(self, message: bytes) -> None:
            """One more type."""

    assert set(Louder.accepts()) == {Said, int, Asked, bytes}
    with inline(Louder) as harness:
        harness.tell("louder", 1)
        assert harness.ask("louder", Asked()) == [(1, "!")]


def test_a_handler_overridden_without_a_mark_stays_a_handler() -> None:
    class Quieter(Scribe):
        def note(self, message: Said | int) -> None:
            self.notes.append("...")

    with inline(Quieter) as harness:
        harness.tell("scribe", 1)
        assert harness.ask("scribe", Asked()) == ["..."]


def test_an_init_that_forgets_super_does_no_harm() -> None:
    class Forgetful(Scribe):
        def __init__(self) -> None:
            self.notes = ["mine"]

    with inline(Forgetful) as harness:
        assert harness.ask("scribe", Asked()) == ["mine"]


class Totals(Module):
    """Sums numbers in batches."""

    name = "totals"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    @on(batch=3)
    def add(self, numbers: list[int]) -> list[int]:
        """The squares."""
        self.batches.append(numbers)
        return [number * number for number in numbers]

    @on
    def on_asked(self, question: Asked) -> list[list[int]]:
        """The batches so far."""
        return self.batches


def test_a_batch_handler_gets_lists_and_answers_each() -> None:
    with inline(Totals) as harness:
        promises = [harness.ref("totals").ask(number) for number in range(5)]
        harness.run()
        assert [future.get() for future in promises] == [0, 1, 4, 9, 16]
        assert harness.ask("totals", Asked()) == [[0, 1, 2], [3, 4]]


def test_a_batch_handler_may_be_called_with_one_message() -> None:
    totals = Totals()
    assert totals.receive(3) == 9
    assert totals.batches == [[3]]


def test_only_modules_with_batch_handlers_are_asked_for_batches() -> None:
    assert Scribe.max_batch is Actor.max_batch
    assert Totals().max_batch(int) == 3 and Totals().max_batch(Asked) == 1 and Totals().max_batch(str) == 1


def test_a_subclass_may_add_the_first_batch_handler() -> None:
    class Adding(Scribe):
        @on(batch=2)
        def take(self, messages: list[bytes]) -> None:
            """Note them."""
            self.notes.append(messages)

    with inline(Adding) as harness:
        for each in (b"1", b"2", b"3"):
            harness.ref("scribe").tell(each)
        assert harness.ask("scribe", Asked()) == [[b"1", b"2"], [b"3"]]


def test_types_of_the_enclosing_function_are_found() -> None:
    class Local:
        """Known here only."""

    class Finder(Module):
        name = "finder"

        @on
        def on_local(self, message: Local) -> None:
            """Take it."""

    assert Finder.accepts() == (Local,)


WRONG = {
    "does not say by an annotation": "def take(self, message): ...",
    "has to take self and one message": "def take(self): ...",
    "which is unknown here": "def take(self, message: 'NoSuchType'): ...",
    "which is not a type of messages": "def take(self, message: 'Literal[1]'): ...",
    "needs @on.batch=": "def take(self, message: list[int]): ...",
    "is async": "async def take(self, message: int): ...",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_handler_that_can_not_be_registered_says_which_and_why(text: str) -> None:
    code = "from typing import Literal\nclass Wrong(Module):\n    name = 'wrong'\n    @on\n    " + WRONG[text]
    with pytest.raises(RegistrationError, match=rf"Wrong\.take.*{text}"):
        exec(code, {"Module": Module, "on": on})


@pytest.mark.parametrize("wrong", [int, (1,), [int]])
def test_what_is_emitted_has_to_be_a_tuple_of_types(wrong: object) -> None:
    class Wrong(Module):
        name = "wrong"
        emits = wrong  # type: ignore[assignment]

    with pytest.raises(RegistrationError, match=r"Wrong\.emits has to be a tuple of types"):
        Wrong.spec()


def test_two_handlers_for_a_type_are_refused_and_both_are_named() -> None:
    with pytest.raises(RegistrationError, match="two handlers for Said: first and second"):

        class Twice(Module):
            name = "twice"

            @on
            def first(self, message: Said) -> None:
                """One."""

            @on
            def second(self, message: Said | Asked) -> None:
                """Two."""


def test_a_batch_handler_has_to_take_a_list() -> None:
    with pytest.raises(RegistrationError, match=r"has to be a list\[\.\.\.\]"):

        class Unlisted(Module):
            name = "unlisted"

            @on(batch=10)
            def on_said(self, message: Said) -> None:
                """Not a list."""


class Talker(Module):
    """Uses all that a module can do."""

    name = "talker"

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @on
    def act(self, what: str) -> Any:
        """Do what is said."""
        if what == "tell":
            self.tell("other", "told")
        elif what == "ask":
            self.ask("other", "asked").then(self.heard.append)
        elif what == "publish":
            return self.publish(Said())
        elif what == "after":
            self.after(2.0, 2)
        elif what == "every":
            self.every(5.0, 5)
        elif what == "later":
            self.after(1.0, self.reply_later())
        return (self.ref.name, self.log.name.rpartition(".")[2], self.clock.monotonic())

    @on
    def hear(self, number: int) -> None:
        """A timer."""
        self.heard.append(number)

    @on
    def on_reply_to(self, reply_to: ReplyTo) -> None:
        """Answer what was put off."""
        reply_to.send("at last")


def test_the_context_is_within_reach() -> None:
    talker = Talker()
    with inline(talker) as harness:
        other, said = harness.probe("other", answer="answer"), harness.probe(Said)
        assert harness.ask("talker", "tell") == ("talker", "talker", 0.0)
        harness.ask("talker", "ask")
        assert other.take() == ["told", "asked"]
        assert talker.heard == ["answer"]
        assert harness.ask("talker", "publish") == 1
        assert len(said) == 1
        harness.tell("talker", "after")
        harness.tell("talker", "every")
        harness.advance(11.0)
        assert talker.heard == ["answer", 2, 5, 5]
        assert harness.ask("talker", "later") == "at last"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with the design's module and something that is none."""
    (tmp_path / "author").mkdir()
    (tmp_path / "author" / "__init__.py").write_text("")
    (tmp_path / "author" / "alarms.py").write_text(ALARM + "\nNOT_A_MODULE = 1\n")
    (tmp_path / "author" / "broken.py").write_text("import no_such_library\n")
    (tmp_path / "author" / "typo.py").write_text("import os\nclass Alarm(Module)\n")
    (tmp_path / "author" / "raises.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "author"
    for name in [each for each in sys.modules if each.partition(".")[0] == "author"]:
        del sys.modules[name]


def test_a_module_is_loaded_by_its_path(package: str) -> None:
    found = load_module(f"{package}.alarms:Alarm")
    assert found.name == "alarm" and issubclass(found, Module)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("alarms", "is given as package.file:Class, not 'alarms'"),
        ("author.alarms:", "is given as package.file:Class"),
        ("author.nothing:Alarm", "can not be loaded: No module named 'author.nothing'; looked in .*site-packages"),
        ("authors.alarms:Alarm", "can not be loaded: No module named 'authors'; looked in "),
        ("author.alarms:Nothing", r"can not be loaded: there is no Nothing in .*alarms\.py"),
        ("author.alarms:NOT_A_MODULE", "is not a subclass of kubeedge_actors.Module"),
        (
            "author.broken:Alarm",
            r"ModuleNotFoundError: No module named 'no_such_library' \(.*author/broken\.py, line 1\)$",
        ),
        ("author.typo:Alarm", r"can not be loaded: SyntaxError: .*\(typo.py, line 2\)"),
        ("author.raises:Alarm", r"can not be loaded: ZeroDivisionError: division by zero \(.*raises.py, line 1\)"),
    ],
)
def test_a_module_that_can_not_be_loaded_is_a_users_mistake_in_one_sentence(package: str, path: str, text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        load_module(path)
    assert "\n" not in str(caught.value)


# --- what a module sends is checked ---------------------------------------------------------------------------------


class Reading(msgspec.Struct):
    """A message with something inside."""

    sensor: str
    values: list[float]


class Careless(Module):
    """Sends what it is told to send, in each way there is."""

    name, emits = "careless", (Reading,)

    @on
    def on_text(self, way: str) -> None:
        reading = Reading("t1", [1.0, "hot"])  # type: ignore[list-item]
        if way == "publish":
            self.publish(reading)
        elif way == "tell":
            self.tell("careless", reading)
        else:
            self.ask("careless", reading)


class BuiltIn(Careless):
    """The same, trusted."""

    name, group = "builtin", "edged"


@pytest.mark.parametrize("way", ["publish", "tell", "ask"])
def test_a_message_with_a_field_of_another_type_is_a_type_error_at_its_sender(way: str) -> None:
    with (
        inline(Careless) as harness,
        pytest.raises(TypeError, match=r"Reading\.values\[1\]: expected `float`, got `str`"),
    ):
        _run(harness, way)


def _run(harness: Harness, way: str) -> None:
    module = harness.system.cell("careless").incarnation
    assert module is not None and isinstance(module.actor, Careless)
    module.actor.on_text(way)


def test_modules_that_are_built_in_do_not_pay_for_the_check() -> None:
    assert not BuiltIn._checks_fields
    assert BuiltIn.spec().mailbox.published is None
    assert not BuiltIn.spec().untrusted


def test_a_module_of_a_user_is_untrusted_never_waited_for_and_has_a_deadline() -> None:
    spec = Careless.spec(mailbox=MailboxSpec(capacity=7))
    assert (spec.mailbox.capacity, spec.mailbox.published) == (7, Overflow.DROP_OLDEST)
    assert spec.untrusted
    assert spec.handler_deadline == 30.0
    assert Careless.spec(handler_deadline=None).handler_deadline is None
