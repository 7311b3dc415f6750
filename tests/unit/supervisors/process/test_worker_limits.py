"""What a worker process may have: memory up to its limit, a stated part of the environment, and so many lines of output."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kubeedge_actors import Module, RegistrationError, on
from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, ManualClock, SupervisorSpec, ThreadsEngine
from kubeedge_actors.supervisors.engines.process.launcher import inherited_environment
from kubeedge_actors.supervisors.engines.process.worker_output import LINES, LONGEST, WINDOW, OutputLimiter
from tests.support.waiting import PATIENCE, eventually

TOO_MUCH = 10 << 30


class Worker(Module):
    """Does what it is told, in its process."""

    name = "worker"

    @on
    def on_order(self, order: str) -> object:
        """Do it."""
        if order == "allocate":
            return len(bytearray(TOO_MUCH))
        if order == "environment":
            return dict(os.environ)
        if order == "abort":
            os.write(2, b"last words\n")
            os.abort()
        if order == "flood":
            for number in range(LINES * 20):
                print(number)
        print(order)
        print("an error", file=sys.stderr)
        return os.getpid()


@contextmanager
def running(spec: ChildSpec) -> Iterator[ActorSystem]:
    system = ActorSystem(ThreadsEngine())
    system.start(SupervisorSpec("root", [spec]))
    try:
        yield system
    finally:
        system.stop()


def ask(system: ActorSystem, order: str) -> object:
    return system.ref("worker").ask(order, PATIENCE).get()


@pytest.mark.processes
def test_more_memory_than_allowed_is_an_error_of_the_module_and_of_nobody_else() -> None:
    with running(Worker.spec(isolation="process", memory=256 << 20)) as system:
        with pytest.raises(AnswerLost, match="MemoryError"):
            ask(system, "allocate")
        assert ask(system, "work") not in (None, os.getpid())


def test_a_limit_without_a_process_is_refused() -> None:
    with (
        pytest.raises(RegistrationError, match="worker has a memory limit, which needs a process of its own"),
        running(Worker.spec(memory=256 << 20)),
    ):
        pass


@pytest.mark.processes
def test_the_environment_of_the_node_is_not_inherited_but_for_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOIN_TOKEN", "secret")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    with running(Worker.spec(isolation="process")) as system:
        found = ask(system, "environment")
        assert isinstance(found, dict)
        assert "JOIN_TOKEN" not in found
        assert (found["TZ"], found["PATH"]) == ("Europe/Berlin", os.environ["PATH"])


def test_names_that_only_begin_like_those_of_the_list_are_not_inherited() -> None:
    environ = dict.fromkeys(("PATH_TOKEN", "LANGX", "PYTHONPATH", "LC_ALL", "NO_PROXY", "AWS_SECRET_ACCESS_KEY"), "x")
    assert inherited_environment(environ).keys() == {"PYTHONPATH", "LC_ALL", "NO_PROXY"}


@pytest.mark.processes
def test_what_it_prints_is_in_the_log_with_its_name_and_so_are_its_last_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(Worker.spec(isolation="process")) as system:
        ask(system, "hello")
        eventually(lambda: "worker prints: an error" in caplog.messages, "both lines are there")
        assert "worker prints: hello" in caplog.messages
        with pytest.raises(AnswerLost):
            ask(system, "abort")
        eventually(lambda: "worker prints: last words" in caplog.messages, "its last words are there")


@pytest.mark.processes
def test_one_that_prints_without_end_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), running(Worker.spec(isolation="process")) as system:
        ask(system, "flood")
    eventually(lambda: "are not shown" in caplog.text, "the rest is counted")
    printed = [text for text in caplog.messages if text.startswith("worker prints: ")]
    assert len(printed) <= 2 * LINES + 2


# --- the limiter, by itself ------------------------------------------------------------------------------------------


def test_lines_are_put_together_and_cut() -> None:
    limiter = OutputLimiter(ManualClock().monotonic)
    assert limiter.feed(b"one\ntw") == ["one"]
    assert limiter.feed(b"o\n\x1b[31mred\xff\n") == ["two", " [31mred\ufffd"]
    assert limiter.feed(b"x" * 10 * LONGEST + b"\nend") == ["x" * LONGEST + "..."]
    assert limiter.end() == ["end"]


def test_too_many_lines_are_counted_and_told_when_the_time_is_over() -> None:
    clock = ManualClock()
    limiter = OutputLimiter(clock.monotonic)
    assert len(limiter.feed(b"x\n" * (LINES + 5))) == LINES
    assert limiter.feed(b"more\n") == []
    assert limiter.patience() == WINDOW
    clock.advance(WINDOW)
    assert limiter.roll() == [f"(6 more lines in {WINDOW:g} s are not shown)"]
    assert limiter.patience() is None
    assert limiter.feed(b"again\n") == ["again"]
    limiter.feed(b"x\n" * LINES)
    assert limiter.end() == ["(1 more lines are not shown)"]
