"""python -m kubeedge_actors control: the same from a shell."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.__main__ import main
from kubeedge_actors.control import SOCKET, ControlSocket, trace_command
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.formatting import SPAN_HEADING
from kubeedge_actors.control.trace_command import TraceQuery
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import NO_BACKOFF, ActorSystem, SupervisorSpec, ThreadsEngine
from tests.support.waiting import PATIENCE


class Echo(Module):
    """Answers, or breaks."""

    name = "echo"

    @on
    def echo(self, text: str) -> str:
        if text == "boom":
            raise ValueError("boom")
        return text


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ActorSystem]:
    system = ActorSystem(ThreadsEngine(), optional_types=(str,))
    system.start(SupervisorSpec("root", [Echo.spec(backoff=NO_BACKOFF)]))
    control = ControlSocket(tmp_path / SOCKET, system, allow_faults=True)
    control.start()
    yield system
    control.close()
    system.stop(PATIENCE)


class Shell:
    """Runs the command against one data directory."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys

    def __call__(self, *words: str, status: int = 0) -> str:
        assert main(["control", *words, "--data-dir", str(self._folder)]) == status
        out, err = self._capsys.readouterr()
        assert (err == "") == (status == 0), err
        return out if status == 0 else err


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def test_tree_and_health_are_tables_or_json(runtime: ActorSystem, shell: Shell) -> None:
    assert "echo" in shell("tree")
    assert json.loads(shell("tree", "--json"))["tree"]["name"] == "root"
    heading, line = shell("health").splitlines()
    assert heading.split()[:2] == ["actor", "health"] and line.split()[:2] == ["echo", "ok"]
    assert json.loads(shell("health", "echo", "--json"))["echo"]["state"] == "ok"


def test_health_of_an_actor_that_has_ended_is_a_failure(runtime: ActorSystem, shell: Shell) -> None:
    with runtime.decision_lock():
        halted = runtime.cell("echo").when_stopped()
        runtime.cell("echo").stop(terminate=True)
    halted.get()
    assert shell("health", status=1).endswith("control: not ok: echo (down)\n")


def test_actors_are_restarted_crashed_added_and_removed(runtime: ActorSystem, shell: Shell) -> None:
    assert shell("restart", "echo") == "echo: restarted\n"
    assert shell("crash", "echo") == "echo: crashed\n"
    assert shell("add", "tests.support.fakes.late_module:Late") == "late: added\n"
    assert runtime.ref("late").ask("x", PATIENCE).get() == "x!"
    assert "two actors are called 'late'" in shell("add", "tests.support.fakes.late_module:Late", status=1)
    assert shell("remove", "late") == "late: removed\n"
    assert "late" not in shell("tree")


def test_a_module_that_does_not_fit_the_others_is_added_with_a_warning(runtime: ActorSystem, shell: Shell) -> None:
    output = shell("add", "tests.support.fakes.late_module:Talker")
    assert output == "talker: added\nwarning: talker emits Said, which nobody accepts\n"
    assert "warning: talker emits Said" in shell("tree")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("restart", "nobody"), 1, "no actor is called 'nobody'"),
        (("add", "nowhere:Nothing"), 1, "can not be loaded"),
        (("health", "nobody"), 1, "nobody"),
    ],
)
def test_a_mistake_is_one_sentence(
    runtime: ActorSystem, shell: Shell, words: tuple[str, ...], status: int, text: str
) -> None:
    output = shell(*words, status=status)
    assert text in output and output.count("\n") == 1


def test_nobody_there_is_a_users_mistake(shell: Shell) -> None:
    assert "nothing answers at" in shell("tree", status=2)


def test_errors_are_shown_with_tracebacks(runtime: ActorSystem, shell: Shell) -> None:
    assert shell("errors") == "there were none\n"
    runtime.ref("echo").tell("boom")
    runtime.ref("echo").ask("then", PATIENCE).get()
    assert "echo: ValueError: boom\n  Traceback" in shell("errors", "echo")


def test_the_next_message_is_followed_to_its_end(
    runtime: ActorSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = threading.Event()

    def tell() -> None:
        while runtime.tracer is None:
            told.wait(0.01)
        for text in ("hello", "not this one"):
            runtime.ref("echo").tell(text, "me")

    teller = threading.Thread(target=tell)
    teller.start()
    client = ControlClient(tmp_path / SOCKET)
    trace_command.follow(client, TraceQuery(actor="echo", next=True, quiet=0.3), told.is_set)
    teller.join()
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading == SPAN_HEADING
    (line,) = lines
    assert line.split()[0] == "t1" and line.split()[2:5] == ["me", "echo", "str"] and line.endswith("handled")
