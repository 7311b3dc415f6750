"""The dashboard without a screen: `--once`, `--json`, `--view`, and what is no terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from kubeedge_actors.control import SOCKET, ControlSocket
from kubeedge_actors.control.actor_table import table_text
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.control.streams import MoreCommands
from kubeedge_actors.dashboard.__main__ import main
from kubeedge_actors.dashboard.views.tables import VIEWS
from kubeedge_actors.module import Module, on
from kubeedge_actors.options.parsers import DASHBOARD_VIEWS
from kubeedge_actors.supervisors import NO_BACKOFF, ActorSystem, SupervisorSpec, ThreadsEngine
from tests.support.waiting import PATIENCE

NODE = {
    "name": "edge-1", "state": "disconnected", "since": 1.0, "attempts": 3, "up": 2_000, "down": 0, "backlog": 7, "version": "v1.32.10",
    "kind": "native", "address": "", "ready": "Unknown", "reason": "the line …\x1b[2J is cut",
}  # fmt: skip


class Echo(Module):
    """Answers."""

    name = "echo"

    @on
    def echo(self, text: str) -> str:
        return text


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With the control socket of a cloud that has one node."""
    system = ActorSystem(ThreadsEngine(), optional_types=(str,))
    system.start(SupervisorSpec("root", [Echo.spec(backoff=NO_BACKOFF)]))
    more = MoreCommands({"nodes": lambda request: [NODE]}, {})
    control = ControlSocket(tmp_path / SOCKET, system, more=more)
    control.start()
    yield tmp_path
    control.close()
    system.stop(PATIENCE)


def printed(capsys: pytest.CaptureFixture[str], folder: Path, *words: str, status: int = 0) -> str:
    """What the command prints, on standard error when it fails."""
    assert main([*words, "--data-dir", str(folder)]) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def test_the_parser_knows_the_views() -> None:
    assert VIEWS == DASHBOARD_VIEWS


def test_without_a_view_the_forms_are_those_that_scripts_know(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    with closing(ControlClient(folder / SOCKET)) as client:
        tree = client.ask("tree", health=True)
    heading, *_ = printed(capsys, folder, "--once").splitlines()
    assert heading == table_text(tree).splitlines()[0]
    assert set(json.loads(printed(capsys, folder, "--json"))) == set(tree)


def test_a_view_is_printed_as_its_table_or_as_the_answer(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    text = printed(capsys, folder, "--once", "--view", "nodes")
    assert text.splitlines()[0].split()[:3] == ["node", "link", "since"]
    assert "edge-1" in text and "\\x1b[2J is cut" in text and "\x1b" not in text
    assert json.loads(printed(capsys, folder, "--json", "--view", "nodes")) == [NODE]
    assert printed(capsys, folder, "--once", "--view", "deadletters") == "every message was taken\n"
    actors = printed(capsys, folder, "--once", "--view", "actors")
    assert actors.startswith("actor ") and "echo" in actors and "dead letters: 0" in actors


@pytest.mark.parametrize(
    ("view", "sentence"), [("outbox", "invalid choice"), ("events", "as they happen"), ("link", "has no link to show")]
)
def test_a_view_that_can_not_be_had_is_a_sentence(
    capsys: pytest.CaptureFixture[str], folder: Path, view: str, sentence: str
) -> None:
    if view == "outbox":
        with pytest.raises(SystemExit):
            main(["--once", "--view", view])
        assert sentence in capsys.readouterr().err
    else:
        assert sentence in printed(capsys, folder, "--once", "--view", view, status=2)


def command(folder: Path, *words: str) -> tuple[str, ...]:
    """To be started as a process."""
    return (sys.executable, "-m", "kubeedge_actors.dashboard", "--data-dir", str(folder), *words)


def environment(**more: str) -> Mapping[str, str]:
    """Of a person whose locale is none."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))} | more


def test_a_process_without_a_terminal_prints_the_table_once_in_the_characters_of_its_locale(folder: Path) -> None:
    for more in ({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        done = subprocess.run(
            command(folder, "--view", "nodes"), env=environment(TERM="xterm", **more), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=True
        )  # fmt: skip
        assert b"the line ~" in done.stdout and done.stdout.isascii() and done.stderr == b""


def test_a_process_on_a_dumb_terminal_prints_the_table_once_without_escapes(folder: Path) -> None:
    near, far = pty.openpty()
    process = subprocess.Popen(command(folder), stdin=far, stdout=far, stderr=far, env=environment(TERM="dumb"))
    os.close(far)
    shown = b""
    try:
        while chunk := os.read(near, 65536):
            shown += chunk
    except OSError:  # how a terminal tells that the last one has closed it
        pass
    finally:
        os.close(near)
    assert process.wait(PATIENCE) == 0
    assert b"echo" in shown and b"can not be drawn on" in shown and b"\x1b" not in shown


def test_a_process_whose_reader_has_gone_ends_quietly_and_one_whose_disk_is_full_says_so(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe, open("/dev/full", "wb") as full:
        gone = subprocess.run(
            command(folder),
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
        disk = subprocess.run(
            command(folder, "--json"), stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE, check=False
        )
    assert (gone.returncode, gone.stderr) == (0, b"")
    assert (disk.returncode, disk.stderr) == (
        1,
        b"dashboard: standard output takes nothing: [Errno 28] No space left on device\n",
    )
