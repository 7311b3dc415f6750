"""What an operator does and asks through the control socket is so: hung, suspended, missing and waiting actors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.__main__ import main
from kubeedge_actors.control import SOCKET, ControlSocket, commands
from kubeedge_actors.control.actor_table import actor_rows
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    ActorSystem,
    Backoff,
    Crashed,
    Intensity,
    MailboxSpec,
    OneForOne,
    SupervisorSpec,
    ThreadsEngine,
)
from kubeedge_actors.supervisors.telemetry import health as probing
from tests.support.waiting import PATIENCE, eventually


class Gates:
    """What the modules of one test wait for, and what they have done."""

    def __init__(self) -> None:
        self.entered, self.leave = threading.Event(), threading.Event()
        self.starts_fail = False


class Hangs(Module):
    """Does not come back from `hang`."""

    name = "hangs"

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    def on_start(self) -> None:
        if self._gates.starts_fail:
            raise OSError("no such port")

    @on
    def on_text(self, text: str) -> str:
        if text == "hang":
            self._gates.entered.set()
            self._gates.leave.wait(PATIENCE)
        return text

    @on
    def on_published(self, number: int) -> None: ...


class Victim(Module):
    """Waits for others: for the answer to a text, for room for a number."""

    name, emits = "victim", (str, int)

    @on
    def on_question(self, question: tuple) -> object:  # type: ignore[type-arg]
        (to,) = question
        return self.ask(to, "then", PATIENCE).get()

    @on
    def on_order(self, order: list) -> None:  # type: ignore[type-arg]
        for number in order:
            self.tell("hangs", number)


class Second(Victim):
    """Waits for the victim."""

    name = "second"

    @on
    def on_question(self, question: tuple) -> object:  # type: ignore[type-arg]
        return self.ask("victim", question, PATIENCE).get()


class Vital(Module):
    """Plays a module that is built in."""

    name, group = "vital", "hub"

    @on
    def on_text(self, text: bytes) -> None: ...


class Operator:
    """A tree with these modules, and a shell beside it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.gates = Gates()
        self.system = ActorSystem(ThreadsEngine(), optional_types=(str, int, tuple, list, bytes))
        mailbox = MailboxSpec(capacity=2)
        hangs = Hangs.spec(lambda: Hangs(self.gates), backoff=NO_BACKOFF, shutdown=0.1, mailbox=mailbox)
        specs = [hangs, Victim.spec(), Second.spec(), Vital.spec()]
        self.system.start(SupervisorSpec("root", specs, OneForOne(Intensity(max_restarts=100, period=10.0))))
        self._control = ControlSocket(folder / SOCKET, self.system, allow_faults=True)
        self._control.start()
        self.client = ControlClient(folder / SOCKET)
        self._folder, self._capsys = folder, capsys

    def type(self, *words: str, status: int = 0) -> str:
        """Type a command; what it prints, on standard error if it is to fail."""
        self._capsys.readouterr()
        assert main(["control", *words, "--data-dir", str(self._folder)]) == status, self._capsys.readouterr()
        out, err = self._capsys.readouterr()
        return err if status else out

    def health(self) -> dict[str, tuple[str, str]]:
        """State and reason of each that is not ok."""
        answer = self.client.ask("health", patience=0.05)
        return {
            name: (actor_health["state"], actor_health["reason"])
            for name, actor_health in answer.items()
            if actor_health["state"] != "ok"
        }

    def hang(self) -> None:
        """Let `hangs` not come back."""
        self.system.ref("hangs").tell("hang")
        assert self.gates.entered.wait(PATIENCE)
        eventually(lambda: self.health().get("hangs", ("",))[0] == "hung", "it is hung")

    def close(self) -> None:
        self.gates.leave.set()
        self.client.close()
        self._control.close()
        self.system.stop(PATIENCE)


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    for where in (probing, commands):
        monkeypatch.setattr(where, "HUNG_SECONDS", 0.05)
    operator = Operator(tmp_path, capsys)
    yield operator
    operator.close()


# --- restart and resume -----------------------------------------------------------------------------------------------


def test_a_hung_actor_that_is_restarted_runs_when_the_command_says_so(operator: Operator) -> None:
    operator.hang()
    operator.gates.entered.clear()
    assert operator.type("restart", "hangs") == "hangs: restarted\n"
    cell = operator.system.cell("hangs")
    assert cell.incarnations == 2
    assert cell.stats.crashes == 0 and not cell.suspension, "an operator's order is no failure"
    assert operator.gates.entered.wait(PATIENCE), "what it had in hand is delivered again"


def test_however_often_an_operator_replaces_it_it_is_not_suspended(operator: Operator) -> None:
    operator.hang()
    for _ in range(2):
        operator.type("restart", "hangs")
    eventually(lambda: operator.system.dead_letters.total == 1 or operator.type("restart", "hangs"), "a dead letter")
    assert operator.system.ref("hangs").ask("then", PATIENCE).get() == "then"
    assert operator.health() == {}


def test_a_restart_that_fails_says_why(operator: Operator) -> None:
    operator.gates.starts_fail = True
    output = operator.type("restart", "hangs", status=1)
    assert output == "control: hangs does not run: OSError: no such port\n"


def test_a_start_that_does_not_come_back_is_told_within_bounds(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "START_TIMEOUT", 0.2)
    inside = threading.Event()

    def stay(module: Hangs) -> None:
        inside.set()
        module._gates.leave.wait(PATIENCE)

    monkeypatch.setattr(Hangs, "on_start", stay)
    output = operator.type("restart", "hangs", status=1)
    assert inside.is_set() and "hangs does not run after" in output and "a hook does not come back" in output


def test_an_actor_whose_start_hangs_is_replaced_as_well(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, starts = threading.Event(), iter([True, False])

    def stay_once(module: Hangs) -> None:
        if next(starts):
            inside.set()
            module._gates.leave.wait(PATIENCE)

    monkeypatch.setattr(Hangs, "on_start", stay_once)
    operator.system.restart("hangs")
    assert inside.wait(PATIENCE)
    assert operator.type("restart", "hangs") == "hangs: restarted\n"
    assert operator.system.ref("hangs").ask("runs", PATIENCE).get() == "runs"


def test_an_idle_or_a_busy_actor_is_restarted_as_well(operator: Operator) -> None:
    assert operator.type("restart", "vital") == "vital: restarted\n"
    operator.system.ref("hangs").tell("quick")
    assert operator.type("restart", "hangs") == "hangs: restarted\n"


def test_a_suspended_actor_is_resumed_not_restarted(operator: Operator) -> None:
    operator.system.suspend("hangs", "it harms others")
    eventually(lambda: operator.system.cell("hangs").state.value == "stopped", "it has stopped")
    assert operator.health() == {"hangs": ("suspended", "it harms others")}
    assert "not ok: hangs (suspended)" in operator.type("health", status=1)
    assert "it harms others; resume it" in operator.type("restart", "hangs", status=1)
    assert operator.type("resume", "hangs") == "hangs: resumed\n"
    assert operator.system.ref("hangs").ask("back", PATIENCE).get() == "back"
    assert operator.health() == {}
    assert "hangs is not suspended, it is running" in operator.type("resume", "hangs", status=1)


def test_one_that_is_suspended_and_has_not_stopped_yet_is_resumed_when_it_has(operator: Operator) -> None:
    operator.hang()
    operator.system.suspend("hangs", "it harms others")
    operator.gates.entered.clear()
    assert operator.type("resume", "hangs") == "hangs: resumed\n"
    assert operator.gates.entered.wait(PATIENCE) and operator.system.cell("hangs").incarnations == 2


# --- remove and what ought to be there --------------------------------------------------------------------------------


def test_a_hung_actor_that_is_removed_is_gone_when_the_command_says_so(operator: Operator) -> None:
    operator.hang()
    assert operator.type("remove", "hangs") == "hangs: removed\n"
    assert "hangs" not in operator.system.registry.names()


def test_a_part_of_the_node_is_removed_only_with_force_and_with_a_warning_and_is_missed(
    operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    output = operator.type("remove", "vital", status=1)
    assert "--force" in output and "vital" in operator.system.registry.names()
    assert operator.type("remove", "vital", "--force") == "vital: removed\n"
    (warning,) = [record for record in caplog.records if "removes vital" in record.getMessage()]
    assert warning.levelname == "WARNING"
    assert operator.health() == {"vital": ("removed", "an operator removed it")}
    assert "not ok: vital (removed)" in operator.type("health", status=1)
    assert "not ok: vital (removed)" in operator.type("health", "vital", status=1)
    assert "vital is removed" in operator.type("restart", "vital", status=1)
    assert operator.type("errors", "vital") == "there were none\n"
    assert actor_rows(operator.client.ask("tree", health=True))[-1].name == "vital"
    assert "removed" in operator.type("tree")


def test_a_module_that_an_operator_has_added_is_not_missed_when_he_removes_it(operator: Operator) -> None:
    operator.type("add", "tests.support.fakes.late_module:Late")
    operator.type("remove", "late")
    assert operator.health() == {}
    operator.type("add", "tests.support.fakes.late_module:Late")
    operator.system.remove("late", PATIENCE)
    assert operator.health() == {"late": ("missing", "it ought to be there")}


# --- health names the cause -------------------------------------------------------------------------------------------


def test_who_waits_for_a_hung_actors_answer_is_blocked_along_the_whole_chain(operator: Operator) -> None:
    operator.hang()
    operator.system.ref("second").tell(("hangs",))
    expected = {
        "hangs": ("hung", "the handler of str does not come back"),
        "victim": ("blocked", "waits for hangs"),
        "second": ("blocked", "waits for hangs"),
    }
    eventually(lambda: operator.health() == expected, "the cause is named")
    output = operator.type("health", status=1)
    assert output.endswith("not ok: hangs (hung), victim (waits for hangs), second (waits for hangs)\n")


def test_who_waits_for_room_is_blocked(operator: Operator) -> None:
    operator.hang()
    operator.system.ref("victim").tell([1, 2, 3])
    eventually(lambda: operator.health().get("victim") == ("blocked", "waits for hangs"), "it waits for room")


def test_one_that_answers_while_others_wait_for_it_is_slow(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[object] = []
    monkeypatch.setattr(Hangs, "on_text", on(lambda self, text: taken.append(self.reply_later())))
    monkeypatch.setattr(Hangs, "_functions", {**Hangs._functions, str: Hangs.on_text})
    operator.system.ref("victim").tell(("hangs",))
    expected = {"hangs": ("slow", "holds up victim"), "victim": ("blocked", "waits for hangs")}
    eventually(lambda: operator.health() == expected, "the one that keeps the answer back")
    (reply,) = taken
    reply.send("at last")  # type: ignore[attr-defined]
    eventually(lambda: operator.health() == {}, "all is well again")


def test_an_actor_that_published_messages_are_dropped_for_is_slow(operator: Operator) -> None:
    operator.hang()
    for number in range(5):
        operator.system.publish(number)
    assert operator.health()["hangs"][0] == "hung"
    operator.gates.leave.set()
    eventually(lambda: operator.health().get("hangs", ("",))[0] == "slow", "it is slow")
    assert "/s that were published are dropped" in operator.health()["hangs"][1]


def test_one_that_can_not_be_started_is_ill_only_after_a_minute(operator: Operator) -> None:
    cell = operator.system.cell("victim")
    assert isinstance(cell.spec.backoff, Backoff)
    crashed = threading.Event()
    operator.system.events.subscribe(lambda event: crashed.set() if isinstance(event, Crashed) else None)
    with operator.system.decision_lock():
        cell.stop(terminate=False)
    eventually(lambda: cell.state.value == "stopped", "it has stopped")
    with operator.system.decision_lock():
        cell.start(delay=PATIENCE, attempt=1)
        cell.failing_since -= 59.0
    assert operator.type("health").split("victim")[1].split()[0] == "restarting"
    cell.failing_since -= 60.0
    assert "not ok: victim (restarting)" in operator.type("health", status=1)
    assert json.loads(operator.type("tree", "--json"))["health"]["victim"]["well"] is False


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("health", "vitla"),
        ("errors", "vitla"),
        ("restart", "vitla"),
        ("resume", "vitla"),
        ("remove", "vitla"),
        ("crash", "vitla"),
        ("trace", "--actor", "vitla"),
    ],
)
def test_a_misspelt_actor_is_a_mistake_that_names_what_there_is(operator: Operator, words: tuple[str, ...]) -> None:
    output = operator.type(*words, status=1)
    assert output == "control: no actor is called 'vitla'; there are: hangs, victim, second, vital\n"
