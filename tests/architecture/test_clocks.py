"""No test looks at a clock: what has to be fast is measured by the benchmarks, and a busy machine is no defect.

Waits end when the thing is there, or after the PATIENCE of tests/support/waiting.py. Only tests/support reads a clock.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = {Path("security/fuzz/__main__.py")}
"""No tests: what is run by hand for as long as one says."""
FILES = sorted(
    path
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] != "support" and path.relative_to(ROOT) not in PROGRAMS
)
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep"}
WAITS = {
    "wait",
    "wait_for",
    "join",
    "acquire",
    "communicate",
    "get",
    "result",
    "settimeout",
    "select",
    "read_first_line",
}
CALLS = {"run", "create_connection", "urlopen", "HTTPConnection", "HTTPSConnection", "check_output", "check_call"}
SHORT = 30.0
"""Seconds: a wait with less than this fails on a busy machine."""
PAUSE = 1.0
"""Seconds: a wait with less than this is the pause of a loop, unless it is asserted."""


def complaints(tree: ast.AST) -> Iterator[str]:
    """What a test file does that depends on how fast the machine is."""
    asserted = {node.test for node in ast.walk(tree) if isinstance(node, ast.Assert)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time" and {each.name for each in node.names} & CLOCKS:
            yield f"line {node.lineno}: imports a clock"
        elif isinstance(node, ast.Compare) and any(_is_duration(each) for each in (node.left, *node.comparators)):
            yield f"line {node.lineno}: compares how long something took"
        elif isinstance(node, ast.Call):
            yield from _of_call(node, asserted=node in asserted)


def _of_call(call: ast.Call, *, asserted: bool) -> Iterator[str]:
    name = _name(call.func)
    if _is_clock(call):
        yield f"line {call.lineno}: time.{name}"
    if name == "settings" and any(each.arg == "deadline" for each in call.keywords):
        yield f"line {call.lineno}: a deadline for Hypothesis; the profile has none"
    least = 0.0 if asserted else PAUSE
    for seconds in _seconds(call, name):
        if least <= seconds < SHORT and seconds:
            yield f"line {call.lineno}: {name} waits for {seconds:g} s only"


def _seconds(call: ast.Call, name: str) -> Iterator[float]:
    """Constant time-outs: by keyword, or last of the positions of what is known to wait."""
    values = [each.value for each in call.keywords if each.arg == "timeout" and name in WAITS | CALLS]
    takes_position = (name in WAITS - {"get"} and not isinstance(call.func, ast.Name)) or name == "create_connection"
    if takes_position and call.args and (len(call.args) > 1 or name not in {"wait_for", "select", "create_connection"}):
        values.append(call.args[-1])
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
            yield float(value.value)


def _is_duration(node: ast.expr) -> bool:
    """Whether it is the difference of two readings of a clock."""
    differences = (each for each in ast.walk(node) if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Sub))
    return any(_is_clock(each) or _is_clock(each, "time") for one in differences for each in (one.left, one.right))


def _is_clock(node: ast.expr, *names: str) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return _name(node.func.value) == "time" and node.func.attr in (names or CLOCKS)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_nothing_depends_on_how_fast_the_machine_is() -> None:
    found = {str(path.relative_to(ROOT)): list(complaints(ast.parse(path.read_text("utf-8")))) for path in FILES}
    assert {path: each for path, each in found.items() if each} == {}


@pytest.mark.parametrize(
    "line",
    [
        "time.sleep(0.5)",
        "began = time.monotonic()",
        "from time import sleep",
        "assert time.time() - began < 4",
        "assert event.wait(0.5)",
        "assert event.wait(5)",
        "thread.join(10)",
        "queue.get(timeout=20)",
        "subprocess.run(command, timeout=10)",
        "condition.wait_for(lambda: True, 5.0)",
        "socket.create_connection(address, 2)",
        "settings(deadline=200)",
    ],
)
def test_what_is_forbidden_is_found(line: str) -> None:
    assert list(complaints(ast.parse(textwrap.dedent(line))))


@pytest.mark.parametrize(
    "line",
    [
        "pause.wait(0.01)",
        "assert event.wait(PATIENCE)",
        "assert not event.wait(0.2)",
        "assert before - 1 <= stamp <= time.time() + 1",
        "thread.join()",
        "', '.join(words)",
        "assert clock.monotonic() - began == 7.0",
        "ref.ask(1, timeout=0.05)",
        "answers.get('x', 3)",
        "subprocess.run(command, timeout=60)",
    ],
)
def test_what_is_allowed_is_not(line: str) -> None:
    assert not list(complaints(ast.parse(line)))
