"""Dead letters survive the process, and come back into the mailbox they came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubeedge_actors.__main__ import main
from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.deadletters import __main__ as deadletters
from kubeedge_actors.deadletters.durable_dead_letters import FILE, DurableDeadLetters, message_of, row_of
from kubeedge_actors.errors import KubeEdgeActorsError, RegistrationError, UsageError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    ActorSystem,
    DeadLetter,
    Intensity,
    OneForOne,
    Reason,
    SupervisorSpec,
    ThreadsEngine,
)
from kubeedge_actors.wire.messages import MqttPublish, TwinUpdated
from tests.support.waiting import PATIENCE

HOT = TwinUpdated(device="t1", twin={"temperature": {"actual": {"value": "81"}}})


class Picky(Module):
    """Crashes on every update until it is cured; keeps those it took."""

    name = "picky"

    def __init__(self, state: SimpleNamespace) -> None:
        self.state = state

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        if not self.state.cured:
            raise ValueError(f"I do not like {update.device}")
        self.state.taken.append(update)

    @on
    def sync(self, _: str) -> int:
        return len(self.state.taken)


class Taker(Module):
    """Takes what is published."""

    name = "taker"

    @on
    def on_mqtt_publish(self, _: MqttPublish) -> None: ...


class DeadLetterEnv:
    """A runtime with an office and a control socket over one data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = SimpleNamespace(cured=False, taken=[])
        self.office = DurableDeadLetters(folder / FILE)
        self.runtime = ActorSystem(
            ThreadsEngine(), dead_letters=self.office, optional_types=(TwinUpdated, MqttPublish, str)
        )
        picky = Picky.spec(lambda: Picky(self.state), backoff=NO_BACKOFF)
        self.runtime.start(SupervisorSpec("root", [picky], OneForOne(Intensity(max_restarts=100, period=10.0))))
        self.control = ControlSocket(folder / SOCKET, self.runtime, dead_letters=self.office)
        self.control.start()
        self.client = ControlClient(folder / SOCKET)

    def poison(self) -> dict[str, Any]:
        """Make one dead letter; as the control socket shows it."""
        self.runtime.ref("picky").tell(HOT, "somebody")
        self.runtime.ref("picky").ask("done", PATIENCE).get()
        return dict(self.client.ask("deadletters")[-1])

    def close(self) -> None:
        self.client.close()
        self.control.close()
        self.runtime.stop(PATIENCE)
        self.office.close()


@pytest.fixture
def env(tmp_path: Path) -> Iterator[DeadLetterEnv]:
    env = DeadLetterEnv(tmp_path)
    yield env
    env.close()


def test_a_message_that_crashed_its_actor_too_often_is_kept_with_all_that_is_known(env: DeadLetterEnv) -> None:
    shown = env.poison()
    assert (shown["recipient"], shown["sender"], shown["type"]) == ("picky", "somebody", "TwinUpdated")
    assert (shown["reason"], shown["deliveries"]) == (Reason.CRASH_LIMIT.value, 3)
    row = env.office.file.get(shown["id"])
    assert row is not None
    assert "I do not like t1" in row.traceback
    assert message_of(row) == HOT


def test_a_replayed_message_is_handled_by_the_actor_it_was_for(env: DeadLetterEnv) -> None:
    number = env.poison()["id"]
    env.state.cured = True
    assert env.client.ask("replay", id=number) == "picky"
    assert env.runtime.ref("picky").ask("done", PATIENCE).get() == 1
    assert env.state.taken == [HOT]
    (shown,) = env.client.ask("deadletters")
    assert shown["replayed"] > 0
    with pytest.raises(KubeEdgeActorsError, match="replayed before"):
        env.client.ask("replay", id=number)


def test_what_nobody_accepted_is_published_again(env: DeadLetterEnv) -> None:
    env.runtime.publish(MqttPublish(topic="alarms/t1", payload=b"\x00hot"))
    (letter,) = env.office.letters()
    with pytest.raises(UsageError, match="nobody accepts MqttPublish"):
        env.office.replay(letter.id, env.runtime)
    env.runtime.add(Taker.spec())
    assert env.office.replay(letter.id, env.runtime) == "taker"


def test_a_letter_for_somebody_who_is_gone_stays(env: DeadLetterEnv) -> None:
    number = env.poison()["id"]
    env.runtime.remove("picky")
    with pytest.raises(RegistrationError, match="picky"):
        env.office.replay(number, env.runtime)
    assert [row.replayed for row in env.office.letters()] == [0.0]


@pytest.mark.parametrize("question", [{"id": 77}, {"id": "one"}, {}])
def test_a_bad_replay_is_answered_with_one_sentence(env: DeadLetterEnv, question: dict[str, object]) -> None:
    with pytest.raises(KubeEdgeActorsError, match=r"there is no dead letter 77|is a number|needs 'id'"):
        env.client.ask("replay", **question)


def test_letters_survive_the_process(tmp_path: Path) -> None:
    first = DeadLetterEnv(tmp_path)
    number = first.poison()["id"]
    first.close()
    second = DeadLetterEnv(tmp_path)
    second.state.cured = True
    try:
        assert second.client.ask("replay", id=number) == "picky"
        assert second.runtime.ref("picky").ask("done", PATIENCE).get() == 1
    finally:
        second.close()


class Rude:
    """Can neither be shown nor written."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "message", [object(), Rude(), lambda: 1, type("Local", (), {})(), {1, 2}, float("nan"), "\ud800"]
)
def test_any_message_makes_a_row(message: object) -> None:
    row = row_of(DeadLetter(recipient="a", message=message, reason=Reason.UNHANDLED, at=1.0))
    row.payload.encode()
    if row.message is None:
        with pytest.raises(UsageError, match="can not be replayed"):
            message_of(row)
    else:
        assert message_of(row) == message


def test_a_long_payload_is_truncated_and_still_replayed_whole() -> None:
    message = MqttPublish(topic="t", payload=b"x" * 5_000)
    row = row_of(DeadLetter(recipient="a", message=message, reason=Reason.UNHANDLED, at=1.0))
    assert len(row.payload) < 1_100
    assert message_of(row) == message


# --- the command ----------------------------------------------------------------------------------------------------


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["deadletters", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_list_show_and_drop_work_when_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = DeadLetterEnv(tmp_path)
    number = env.poison()["id"]
    env.close()
    status, out, _ = said(capsys, "list", "--data-dir", tmp_path)
    assert status == 0
    assert "picky" in out
    assert "its handler crashed too often (ValueError: I do not like t1)" in out
    (letter,) = json.loads(said(capsys, "list", "--json", "--data-dir", tmp_path)[1])
    assert letter["type"] == "kubeedge_actors.wire.local_messages:TwinUpdated"
    out = said(capsys, "show", number, "--data-dir", tmp_path)[1]
    assert "Traceback" in out
    assert "raise ValueError" in out
    assert said(capsys, "drop", number, "--data-dir", tmp_path)[0] == 0
    assert said(capsys, "list", "--data-dir", tmp_path)[1] == "there are no dead letters\n"
    assert said(capsys, "list", "--json", "--data-dir", tmp_path)[1] == "[]\n"


def test_replay_goes_through_the_running_process(env: DeadLetterEnv, capsys: pytest.CaptureFixture[str]) -> None:
    number = env.poison()["id"]
    env.state.cured = True
    status, out, err = said(capsys, "replay", number, "--data-dir", env.folder)
    assert (status, out, err) == (0, f"{number}: back in the mailbox of picky\n", "")
    assert env.runtime.ref("picky").ask("done", PATIENCE).get() == 1
    status, _, err = said(capsys, "replay", number, "--data-dir", env.folder)
    assert (status, err) == (1, f"deadletters: the dead letter {number} was replayed before\n")


def test_all_can_be_dropped(env: DeadLetterEnv, capsys: pytest.CaptureFixture[str]) -> None:
    env.poison()
    env.poison()
    assert said(capsys, "drop", "--all", "--data-dir", env.folder) == (0, "2 dropped\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("show", 5), "no dead letter 5"), (("drop", 5), "no dead letter 5"), (("replay", 5), "nothing answers at")],
)
def test_a_mistake_is_answered_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[object, ...], words: str
) -> None:
    status, out, err = said(capsys, *arguments, "--data-dir", tmp_path)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deadletters.main(["list", "--data-dir", str(tmp_path / "no")]) == 2
    assert "there is no data directory" in capsys.readouterr().err
