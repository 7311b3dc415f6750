"""The dashboard as a person has it: in a window of tmux, over a process that may be killed."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("textual", reason="the dashboard is an extra")

from tests.support.processes import child, wait_until_ended
from tests.support.tmux import Tmux, Window, tmux

pytestmark = pytest.mark.tmux
NODE = """
import sys
from kubeedge_actors import ActorSystem
from kubeedge_actors.supervisors import Actor, ChildSpec
with ActorSystem([ChildSpec(name, Actor) for name in sys.argv[2:]], data_dir=sys.argv[1]) as system:
    print("ready", flush=True)
    system.wait()
"""
AT_ONCE = 5


@contextmanager
def node(folder: Path, *actors: str) -> Iterator[subprocess.Popen[str]]:
    """A program with these actors, which is watched by its control socket."""
    command = (sys.executable, "-c", NODE, folder / "node", *actors)
    with child(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Tmux]:
    with tmux(tmp_path) as server:
        yield server


def dashboard(server: Tmux, folder: Path, **environment: str) -> Window:
    """As it is typed in a shell, with SIGHUP as a shell leaves it, whatever the tests were started with."""
    started = "import runpy, signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); runpy.run_module('kubeedge_actors.dashboard', None, '__main__', True)"
    words = [f"{name}={value}" for name, value in environment.items()]
    return server.open(
        ["env", *words, sys.executable, "-c", started, "--data-dir", str(folder / "node"), "--interval", "0.2"]
    )


def test_keys_a_resize_and_the_end(server: Tmux, tmp_path: Path) -> None:
    with node(tmp_path, "pump", "a-thermometer-of-the-hall-7"):
        window = dashboard(server, tmp_path, COLUMNS="80", LINES="24")  # some shells export them
        assert "2 actors" in window.shows("all well", "a-thermomet", "q quit")
        window.press("j", "j")
        window.shows("3/3")
        window.press("/", "p", "m", "p", "Enter")
        window.shows("1/1", "/pmp")
        window.press("Escape")
        window.shows("/3 ")
        window.resize(130, 12)
        wide = window.shows("a-thermometer-of-the-hall-7", "q quit")
        assert len(wide.splitlines()) == 12
        window.resize(50, 24)
        window.shows("? help")
        window.press("?")
        window.shows("keys of :actors", "esc back")
        window.press("Escape")  # alone: with what comes at once behind it, it is another key
        window.shows("3/3")
        window.press(":", "s", "t", "Enter")
        window.shows("deadletters.db")
        window.press("C-c")
        assert window.ended().rstrip().endswith("status=0")


def test_a_killed_process_is_dead_on_the_screen_and_its_successor_begins_anew(server: Tmux, tmp_path: Path) -> None:
    with node(tmp_path, "pump", "valve") as first:
        window = dashboard(server, tmp_path)
        window.shows("2 actors", "all well", "valve")
        first.send_signal(signal.SIGKILL)
        dead = window.shows("NO ANSWER since", "nothing answers at", "valve")
        assert "all well" not in dead
    with node(tmp_path, "pump", "motor"):
        alive = window.shows("2 actors", "all well", "motor")
        assert "valve" not in alive and "NO ANSWER" not in alive
        window.press("q")
        assert window.ended().rstrip().endswith("status=0")


def test_nothing_outlives_its_window(server: Tmux, tmp_path: Path) -> None:
    with node(tmp_path, "pump"):
        windows = [dashboard(server, tmp_path) for _ in range(AT_ONCE)]
        for window in windows[:-1]:
            window.shows("q quit")
        pids = [window.pid for window in windows]
        for window in windows:  # the last one maybe before it has drawn anything
            window.kill()
        wait_until_ended(pids)


def test_a_dumb_terminal_and_a_full_pipe_get_no_screen(server: Tmux, tmp_path: Path) -> None:
    with node(tmp_path, *(f"pump-{number}" for number in range(250))):
        window = dashboard(server, tmp_path, TERM="dumb")
        assert window.ended().rstrip().endswith("status=0")
        window.shows("pump-240", "dead letters: 0")
        line = shlex.join([sys.executable, "-m", "kubeedge_actors.dashboard", "--data-dir", str(tmp_path / "node")])
        more_than_fits = f"{line} --json | (read -r -n 6 first; echo first: $first; exec sleep 0.2)"
        piped = server.open(["bash", "-c", f"set -o pipefail; {more_than_fits}"])
        assert piped.ended().rstrip().endswith("status=0")
        assert "Error" not in piped.shows('first: {"tree')
