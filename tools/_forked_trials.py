"""A pytest plug-in for mutants.py: collects the tests once, then runs some of them for each mutant in a process that is forked for it.

What is imported already is changed in the forked process: its functions get the code of the changed file. What is not, and what other
processes import, is read from the file, which has been changed as well.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest

CHANNEL = "MUTANTS_CHANNEL"
"""The environment variable with two file descriptors: orders are read from the first, answers written to the second; JSON lines."""
HUNG, UNFIT = "HUNG", "UNFIT"
"""Answers in place of a test: they do not end; this change can be tried in a fresh process only."""


class Order(NamedTuple):
    """Run `tests` with `file` (absolute, changed already) in place of `original`; `allowed`: seconds."""

    file: str
    original: str
    tests: list[str]
    allowed: float


def codes(source: str, file: str) -> dict[str, list[CodeType]]:
    """The code of every function of a file by qualified name; of those that share one, in the order of the file."""
    found: dict[str, list[CodeType]] = defaultdict(list)

    def look(code: CodeType) -> None:
        for each in code.co_consts:
            if isinstance(each, CodeType):
                found[each.co_qualname].append(each)
                look(each)

    look(compile(source, file, "exec", dont_inherit=True))
    return found


def change(order: Order, functions: Iterable[FunctionType]) -> bool:
    """Give the functions of a file that live in this process the code of the changed one; False when that can not be done."""
    before = codes(order.original, order.file)
    after = codes(Path(order.file).read_text(encoding="utf-8"), order.file)
    places = {(name, code.co_firstlineno): at for name, found in before.items() for at, code in enumerate(found)}
    for function in functions:
        old = function.__code__
        at = places.get((old.co_qualname, old.co_firstlineno))
        found = after[old.co_qualname]
        if at is None or at >= len(found) or found[at].co_freevars != old.co_freevars:
            return False
        function.__code__ = found[at]
    return True


def functions_by_file() -> dict[str, list[FunctionType]]:
    """All functions that live in this process. What lives now is collected in no process that is forked: a test would be blamed for it."""
    gc.collect()
    found: dict[str, list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType):
            found[each.__code__.co_filename].append(each)
    gc.freeze()
    return found


class Failures:
    """Of the tests of one order."""

    def __init__(self) -> None:
        self.first: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of a test is over."""
        if report.failed and self.first is None:
            self.first = report.nodeid


def _run(session: pytest.Session, tests: Sequence[pytest.Item]) -> str | None:
    """The first test that fails; what the fixtures have made is taken away."""
    failures = Failures()
    session.config.pluginmanager.register(failures)
    for item, following in zip(tests, [*tests[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if failures.first is not None:
            break
    with contextlib.suppress(Exception):
        session._setupstate.teardown_exact(None)
    return failures.first


def _named(items: dict[str, pytest.Item], name: str) -> list[pytest.Item]:
    """The test of this name, or those in this file or folder."""
    if name in items:
        return [items[name]]
    return [item for each, item in items.items() if each.startswith((f"{name}::", f"{name}/", f"{name}["))]


def _forked(
    session: pytest.Session, items: dict[str, pytest.Item], order: Order, functions: Iterable[FunctionType]
) -> str | None:
    chosen = [item for each in order.tests for item in _named(items, each)]
    if not chosen:
        return UNFIT
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        answer: str | None = UNFIT
        try:
            if change(order, functions):
                answer = _run(session, chosen)
        finally:
            os.write(writer, json.dumps(answer).encode())
            os._exit(0)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], order.allowed)
        said = os.read(reader, 65536) if ready else b""
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
    return json.loads(said) if said else HUNG if not ready else ""


def _orders(stream: int) -> Iterator[Order]:
    with os.fdopen(stream, encoding="utf-8") as lines:
        for line in lines:
            yield Order(*json.loads(line))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """In place of running all tests: do what is ordered, until there is no more."""
    reader, writer = map(int, os.environ.pop(CHANNEL).split(","))
    for stream in (reader, writer):
        os.set_inheritable(stream, False)
    items = {item.nodeid: item for item in session.items}
    functions = functions_by_file()
    for order in _orders(reader):
        os.write(writer, f"{json.dumps(_forked(session, items, order, functions[order.file]))}\n".encode())
    return True
