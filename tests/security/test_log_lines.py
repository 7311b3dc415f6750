"""What came from outside forges no line: not in the log, not in a sentence on standard error, not in what commands print."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.control.__main__ import _event_line
from kubeedge_actors.control.formatting import aligned
from kubeedge_actors.deadletters.__main__ import main as deadletters
from kubeedge_actors.drivers.store.dead_letters import DeadLetterDb, DeadLetterRow
from kubeedge_actors.entrypoint import log_to_stderr, print_hint
from kubeedge_actors.supervisors.engines.process import proxy

FORGED = "2026-01-01 00:00:00,000 CRITICAL kubeedge_actors: the node was sold"
TRICKS = [f"a{control}{FORGED}" for control in ("\n", "\r", "\r\n", "\v", "\f", "\x1b[1G", "\x85", "\u2028", "\u2029")]
each_trick = pytest.mark.parametrize("trick", TRICKS, ids=ascii)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Standard error, with the handler that the commands install and no other."""
    root, text = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "stderr", text)
    level = root.level
    log_to_stderr("info")
    yield text
    root.setLevel(level)


def lines(text: str) -> list[str]:
    """As a terminal would begin them."""
    for control in ("\r", "\v", "\f", "\x1b", "\x85", "\u2028", "\u2029"):
        text = text.replace(control, "\n")
    return text.rstrip("\n").split("\n")


@each_trick
def test_a_record_is_one_line(trick: str, shown: io.StringIO) -> None:
    logging.getLogger("kubeedge_actors.x").warning("the path %s", trick)
    logging.getLogger(f"kubeedge_actors.{trick}").warning("the path")
    assert len(lines(shown.getvalue())) == 2


@each_trick
def test_a_traceback_is_readable_and_no_line_of_it_begins_as_a_record_does(trick: str, shown: io.StringIO) -> None:
    try:
        error = ValueError(trick)
        error.add_note(trick)
        raise error
    except ValueError:
        logging.getLogger("x").exception("the path %s", trick)
    first, *behind = lines(shown.getvalue())
    assert first.endswith(FORGED) and all(line.startswith("  ") for line in behind)
    assert behind[0] == "  Traceback (most recent call last):" and "raise error" in "".join(behind)


def test_what_a_process_of_a_module_has_logged_keeps_its_traceback(shown: io.StringIO) -> None:
    proxy._log("module", logging.ERROR, f"a\n{FORGED}", f"Traceback (most recent call last):\n  File\n{FORGED}")
    first, *behind = lines(shown.getvalue())
    assert first.endswith(FORGED)
    assert behind == ["  Traceback (most recent call last):", "    File", f"  {FORGED}"]


@each_trick
def test_what_commands_say_is_one_line(trick: str, shown: io.StringIO) -> None:
    print_hint("edge", trick)
    assert len(lines(shown.getvalue())) == 1
    assert len(lines(aligned([("actor", "why"), (trick, trick)]))) == 2
    assert len(lines(_event_line({"event": trick, "name": trick, "error": trick}))) == 1


@each_trick
def test_dead_letters_are_shown_as_they_are(trick: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = DeadLetterRow(trick, trick, trick, None, trick, trick, trick, f"Traceback:\n{trick}", 1, 1.0)
    DeadLetterDb(tmp_path / "deadletters.db").add([row])
    assert deadletters(["list", "--data-dir", str(tmp_path)]) == 0
    assert len(lines(capsys.readouterr().out)) == 2
    assert deadletters(["show", "1", "--data-dir", str(tmp_path)]) == 0
    assert not [line for line in lines(capsys.readouterr().out) if line.startswith(FORGED)]
