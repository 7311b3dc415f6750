"""Who only asks what there is needs no library: `--help` and `--version` work in a bare clone, with Python alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kubeedge_actors
from kubeedge_actors.options.completion import completion_words
from kubeedge_actors.options.parsers import COMMANDS

ROOT = Path(kubeedge_actors.__file__).parent.parent
OF_THEIR_OWN = ("cloud", "edge", "demo", "dashboard")


def bare(*words: str) -> subprocess.CompletedProcess[str]:
    """`python -S`: without site-packages; the clone is the working directory."""
    line = (sys.executable, "-S", "-m", *words)
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("path", completion_words())
def test_help_needs_no_library(path: str) -> None:
    done = bare("kubeedge_actors", *path.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m kubeedge_actors {path} ")


@pytest.mark.parametrize("words", [["kubeedge_actors"], *([f"kubeedge_actors.{each}"] for each in OF_THEIR_OWN)])
def test_help_and_version_need_none_under_python_m_either(words: list[str]) -> None:
    assert bare(*words, "--help").stdout.startswith("usage: python -m kubeedge_actors ")
    assert bare(*words, "--version").stdout == f"kubeedge_actors {kubeedge_actors.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_its_version(command: str) -> None:
    from kubeedge_actors.options.parsers import parser

    assert "--version" in parser(command).format_help()


def test_the_first_page_has_an_example_of_every_command() -> None:
    shown = bare("kubeedge_actors", "--help").stdout
    assert all(f"  python -m kubeedge_actors {value.example}\n" in shown for value in COMMANDS.values())


def test_the_examples_are_taken_by_their_parsers() -> None:
    from kubeedge_actors.options.parsers import parser

    for name, each in COMMANDS.items():
        parser(name).parse_args(each.example.split()[1:])
