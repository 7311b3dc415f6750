"""`kubeedge_actors.ActorSystem`: the short entry of a program of one's own, its end, and its data directory."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubeedge_actors import (
    ActorSystem,
    ChildSpec,
    InlineEngine,
    Intensity,
    Module,
    OneForAll,
    OneForOne,
    RegistrationError,
    RestForOne,
    SupervisionError,
    SupervisorSpec,
    ThreadsEngine,
    UsageError,
    on,
)
from kubeedge_actors.__main__ import main
from kubeedge_actors.actorsystem import root_spec
from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.supervisors import Actor, Reason
from tests.support.waiting import PATIENCE, eventually


@dataclass(frozen=True)
class Add:
    """Adds to the total."""

    amount: int


class Total:
    """Asks for it."""


class Counter(Module):
    """Counts, and crashes at a negative amount."""

    name = "counter"

    def __init__(self, record: list[str] | None = None) -> None:
        self.total = 0
        self.record: list[str] = [] if record is None else record

    @on
    def on_add(self, message: Add) -> None:
        """Count."""
        if message.amount < 0:
            raise ValueError(f"{message.amount} is negative")
        self.total += message.amount

    @on
    def on_total(self, message: Total) -> int:
        """Answer."""
        return self.total

    def on_stop(self) -> None:
        """Say how far it came."""
        self.record.append(f"{self.context.name} stops at {self.total}")


class Killer(Actor):
    """Sends the process the signal that it is told."""

    def receive(self, message: object) -> object:
        """As Ctrl-C would, when somebody has begun to wait for it."""
        assert isinstance(message, tuple)
        number, before = message
        eventually(lambda: signal.getsignal(number) != before)
        os.kill(os.getpid(), number)
        return None


def poison(system: ActorSystem, times: int) -> None:
    """Crash the counter so many times, with a message for each."""
    for _ in range(times):
        system.tell("counter", Add(-1))


# --- the entry ------------------------------------------------------------------------------------------------------


def test_the_short_entry_tells_and_asks() -> None:
    with ActorSystem([Counter.spec()]) as system:
        system.tell("counter", Add(2))
        system.tell(system.ref("counter"), Add(3))
        assert system.ask("counter", Total()).get(PATIENCE) == 5
        assert system.ask(system.ref("counter"), Total(), timeout=PATIENCE).get() == 5
    assert list(system.dead_letters) == []


def test_a_misspelt_name_is_an_error_that_names_those_there_are() -> None:
    with ActorSystem([Counter.spec()], engine=InlineEngine()) as system:
        with pytest.raises(RegistrationError, match="no actor is called 'countr'; there are: counter"):
            system.tell("countr", Add(1))
        with pytest.raises(RegistrationError, match="countr"):
            system.ask("countr", Total())


def test_what_is_accepted_may_come_from_outside_so_nobody_is_warned() -> None:
    with ActorSystem([Counter.spec()], engine=InlineEngine()) as system:
        assert system.wiring_warnings == []


def test_leaving_drains_and_stops_in_reverse_order_on_errors_too() -> None:
    record: list[str] = []
    specs = [Counter.spec(lambda: Counter(record), name=name) for name in ("first", "second")]
    with pytest.raises(KeyboardInterrupt), ActorSystem(specs) as system:
        for _ in range(100):
            system.tell("first", Add(1))
        raise KeyboardInterrupt
    assert record == ["second stops at 0", "first stops at 100"]
    system.stop()
    system.tell("first", Add(1))
    assert [letter.reason for letter in system.dead_letters] == [Reason.STOPPED]


def test_the_long_form_stays() -> None:
    system = ActorSystem(ThreadsEngine(), seed=1)
    system.start(SupervisorSpec("mine", [Counter.spec()]))
    assert system.ask("counter", Total()).get(PATIENCE) == 0
    system.stop()
    assert system.tree()["name"] == "mine"


def test_the_root_supervisor_is_said_in_words_or_as_a_spec() -> None:
    spec = Counter.spec()
    assert root_spec([spec]) == SupervisorSpec("root", [spec], OneForOne(Intensity(5, 10.0)))
    assert root_spec([spec], "app", RestForOne(Intensity(1, 1.0))).strategy == RestForOne(Intensity(1, 1.0))
    assert root_spec([spec], strategy=OneForAll(), intensity=Intensity(2, 3.0)).strategy == OneForAll(Intensity(2, 3.0))
    whole = SupervisorSpec("app", [spec], OneForAll())
    assert root_spec(whole) is whole
    with pytest.raises(RegistrationError, match="'app' has its own name, strategy and intensity"):
        root_spec(whole, intensity=Intensity())


@pytest.mark.parametrize(
    ("child", "sentence"),
    [(Counter, r"write Counter\.spec\(\)"), ("counter", "a ChildSpec or a SupervisorSpec, not 'counter'")],
)
def test_a_child_that_is_no_spec_is_a_sentence(child: object, sentence: str) -> None:
    with pytest.raises(RegistrationError, match=sentence):
        ActorSystem([child])  # type: ignore[list-item]


def test_what_does_not_fit_together_ends_the_entry_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="two actors"), ActorSystem([Counter.spec()] * 2, data_dir=tmp_path):
        pass
    assert not (tmp_path / SOCKET).exists()
    with ActorSystem([Counter.spec()], data_dir=tmp_path):
        assert (tmp_path / SOCKET).exists()


def test_a_class_of_the_started_file_can_not_have_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counter, "__module__", "__main__")
    with pytest.raises(RegistrationError, match="in a file that can be imported"):
        ActorSystem([Counter.spec(isolation="process")]).start()


# --- the end --------------------------------------------------------------------------------------------------------


def fragile() -> ActorSystem:
    """Gives up at the second crash."""
    return ActorSystem([Counter.spec(max_deliveries=1)], intensity=Intensity(1, 60.0))


def test_a_root_that_gave_up_ends_the_wait_with_the_reason() -> None:
    with pytest.raises(SupervisionError, match="gave up: counter: ValueError: -1 is negative"), fragile() as system:
        poison(system, 2)
        system.wait()
    assert system.failure == "counter: ValueError: -1 is negative"


def test_a_root_that_gave_up_is_told_at_the_end_of_the_block_at_the_latest() -> None:
    with pytest.raises(SupervisionError, match="gave up"), fragile() as system:
        poison(system, 2)
        assert eventually(lambda: system.failure)


def test_an_error_of_the_block_is_not_covered_by_that() -> None:
    with pytest.raises(LookupError), fragile() as system:
        poison(system, 2)
        assert eventually(lambda: system.failure)
        raise LookupError


def test_a_tree_that_gives_up_while_it_starts_is_not_entered() -> None:
    def factory() -> Actor:
        raise OSError("no such port")

    refused = pytest.raises(SupervisionError, match="broken: OSError: no such port")
    with refused, ActorSystem([ChildSpec("broken", factory)], intensity=Intensity(0, 1.0)):
        pytest.fail("it was entered")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_and_the_actors_end_in_order(
    number: signal.Signals, heard: Callable[..., object]
) -> None:
    with ActorSystem([ChildSpec("killer", Killer)]) as system:
        system.tell("killer", (number, heard))
        assert system.wait() is False
        assert signal.getsignal(number) == heard
    assert system.wait() is True


@pytest.fixture
def heard(number: signal.Signals) -> Iterator[Callable[..., object]]:
    """A handler of the signal while the test lasts: who runs the suite in the background may have it ignored, and so does the suite then."""

    def handler(*_: object) -> None:
        """Nothing: the test is about another handler."""

    before = signal.signal(number, handler)
    yield handler
    signal.signal(number, before)


def test_the_wait_is_over_after_its_time_and_in_any_thread() -> None:
    with ActorSystem([Counter.spec()]) as system:
        assert system.wait(0.01) is False
        seen: list[bool] = []
        waiting = threading.Thread(target=lambda: seen.append(system.wait(PATIENCE)))
        waiting.start()
        system.stop()
        waiting.join()
    assert seen == [True]


# --- the data directory ---------------------------------------------------------------------------------------------


def test_the_commands_attach_to_a_program_with_a_data_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "D"
    with ActorSystem([Counter.spec(), ChildSpec("plain", Killer)], name="app", data_dir=str(folder)) as system:
        poison(system, 1)
        assert system.ask("counter", Total()).get(PATIENCE) == 0
        assert main(["control", "health", "--data-dir", str(folder)]) == 0
        assert main(["control", "restart", "counter", "--data-dir", str(folder)]) == 0
        assert main(["control", "remove", "plain", "--data-dir", str(folder)]) == 0
        assert main(["control", "tree", "--data-dir", str(folder)]) == 0
        out = capsys.readouterr().out
        assert "counter  ok" in out
        assert "app (OneForOne)" in out
        assert "program app" in out
        assert "no cloud" not in out
        with closing(ControlClient(folder / SOCKET)) as control:
            (letter,) = control.ask("deadletters")
            assert (letter["recipient"], letter["deliveries"]) == ("counter", 3)
    assert not (folder / SOCKET).exists()
    assert main(["deadletters", "list", "--json", "--data-dir", str(folder)]) == 0
    assert [row["recipient"] for row in json.loads(capsys.readouterr().out)] == ["counter"]


def test_a_data_directory_is_one_programs_alone(tmp_path: Path) -> None:
    with ActorSystem([Counter.spec()], data_dir=tmp_path):
        with pytest.raises(UsageError, match="in use by another"), ActorSystem([Counter.spec()], data_dir=tmp_path):
            pytest.fail("it was entered")
        assert (tmp_path / SOCKET).exists()
