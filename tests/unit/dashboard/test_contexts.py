"""Which of the processes on this machine is watched, when nobody says where it is."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.dashboard import __main__ as dashboard
from kubeedge_actors.dashboard.command_line import contexts, plain
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from tests.support.waiting import PATIENCE


class Machine:
    """Control sockets that answer, in the kernel's table of this test's own."""

    def __init__(self, folder: Path, table: Path) -> None:
        self._folder, self._table = folder, table
        self._paths: list[Path] = []
        self._open = ExitStack()
        self.say()

    def say(self) -> None:
        """Write the table."""
        rows = [
            f"0000: 00000002 00000000 {contexts.LISTENS} 0001 01 {at} {path}" for at, path in enumerate(self._paths)
        ]
        connected = [f"0000: 00000003 00000000 00000000 0001 03 9 {path}" for path in self._paths]
        self._table.write_text(
            "\n".join(["Num RefCount Protocol Flags Type St Inode Path", *rows, *connected, "0000: 2 0 0 1 1 5"])
        )

    def path(self, place: str) -> Path:
        """Of one more control socket."""
        (self._folder / place).mkdir()
        self._paths.append(self._folder / place / SOCKET)
        self.say()
        return self._paths[-1]

    def run(self, side: str, name: str, place: str) -> Path:
        """A process; its data directory."""
        system = ActorSystem(ThreadsEngine())
        system.start(SupervisorSpec(side, []))
        self._open.callback(system.stop, PATIENCE)
        process = {"side": side, "name": name, "version": "1", "pid": 7, "rss": 1, "cpu": 0.0}
        control = ControlSocket(self.path(place), system, lambda: {"process": process, "link": {"state": "none"}})
        control.start()
        self._open.callback(control.close)
        return self._folder / place

    def hang(self, place: str) -> None:
        """A process that answers nothing, and one that has ended."""
        hung = self._open.enter_context(socket.socket(socket.AF_UNIX))
        hung.bind(str(self.path(place)))
        hung.listen(1)
        self.path(f"{place}-ended")

    def close(self) -> None:
        """All of them."""
        self._open.close()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(contexts, "UNIX_SOCKETS", tmp_path / "unix")
    monkeypatch.setattr(dashboard, "default_data_dir", lambda side: tmp_path / "usual")
    made = Machine(tmp_path, tmp_path / "unix")
    yield made
    made.close()


def printed(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """What the command says."""
    assert dashboard.main(words) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def test_without_any_process_one_sentence_says_what_to_start(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--once"], ["--contexts"], ["--context", "edge-1"]):
        sentence = printed(capsys, *words, status=2)
        assert sentence.count("\n") == 1 and "edge --name edge-1 --data-dir E" in sentence


def test_the_only_one_is_watched_those_that_do_not_answer_are_left_out(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "PATIENCE", 0.5)
    machine.hang("hung")
    machine.run("edge", "edge-1", "e")
    assert "edge edge-1" in printed(capsys, "--once")
    assert printed(capsys, "--contexts").splitlines()[1].startswith("edge edge-1  7    1        no cloud")


def test_of_several_one_is_chosen_by_a_word_of_its_name(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.run("edge", "edge-1", "e")
    machine.run("cloud", "c1", "c")
    assert "'cloud c1', 'edge edge-1'" in printed(capsys, "--once", status=2)
    for name in ("edge edge-1", "edge-1", "edge"):
        assert "edge edge-1" in printed(capsys, "--once", "--context", name)
    assert [each["name"] for each in json.loads(printed(capsys, "--contexts", "--json"))] == ["cloud c1", "edge edge-1"]
    assert "nothing called 'edge-2'" in printed(capsys, "--once", "--context", "edge-2", status=2)
    assert "give one of them" in printed(capsys, "--once", "--context", "edge", "--data-dir", "E", status=2)


def test_who_listens_there_and_is_something_else_is_left_out_and_no_name_moves_the_cursor(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.run("edge", "\x1b[2Jforged", "e")
    answers = iter([5, {"process": 7}, {"process": {"name": "x"}}, {"link": {"attempts": 1}}])
    asked = ControlClient.ask
    strangers = [machine.path(f"stranger-{at}") for at in range(4)]
    monkeypatch.setattr(
        ControlClient,
        "ask",
        lambda self, command, **more: next(answers) if self.path in strangers else asked(self, command, **more),
    )
    assert "edge \\x1b[2Jforged" in (text := printed(capsys, "--contexts"))
    assert len(text.splitlines()) == 2 and "\x1b" not in text


def test_two_of_one_name_are_told_apart_by_their_place(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    places = [machine.run("edge", "edge-1", place) for place in ("a", "b")]
    assert [each.name for each in contexts.running_contexts()] == [f"edge edge-1 {place}" for place in places]
    assert "may mean" in printed(capsys, "--once", "--context", "edge-1", status=2)
    assert "edge edge-1" in printed(capsys, "--once", "--context", str(places[1]))


def test_what_runs_in_the_default_data_directory_comes_first_and_what_is_named_alone(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    other = machine.run("edge", "other", "e")
    machine.run("edge", "mine", "usual")
    assert "edge mine" in printed(capsys, "--once")
    assert "edge other" in printed(capsys, "--once", "--data-dir", str(other))
    assert "nothing answers at" in printed(capsys, "--once", "--data-dir", str(other / "gone"), status=2)


def test_all_of_them_are_drawn_in_tabs_with_the_alerts_that_are_asked_for(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = pytest.importorskip("kubeedge_actors.dashboard.app", reason="the dashboard is an extra")
    drawn: list[tuple[Any, ...]] = []

    class Screen:
        def __init__(
            self, clients: Any, interval: float, trace: str, ended: Any, *, names: Any, view: str, alerts: Any
        ) -> None:
            drawn.append((len(clients), interval, names, view, alerts._words, alerts._bell))

        def run(self) -> None:
            """It is drawn."""

    monkeypatch.setattr(app, "Dashboard", Screen)
    monkeypatch.setattr(plain, "draws_on_terminal", lambda: True)
    machine.run("edge", "edge-1", "e")
    machine.run("cloud", "c1", "c")
    printed(capsys, "--view", "nodes", "--interval", "2", "--alert", "true -t 'my edge'", "--bell")
    assert drawn == [(2, 2.0, ["cloud c1", "edge edge-1"], "nodes", ["true", "-t", "my edge"], True)]
    assert "choose" not in printed(capsys) and len(drawn) == 2
    assert "a message begins in one of them" in printed(capsys, "--trace", "x", status=2)
    assert "is no command" in printed(capsys, "--alert", "'", status=2)
    assert "there is no program 'no-such'" in printed(capsys, "--alert", "no-such -x", status=2)
