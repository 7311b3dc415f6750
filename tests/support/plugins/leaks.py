"""Fails a test that leaves something behind, by its name and at once, and clears it away so that the next is not hit.

Left behind is what the test did not find and what no fixture of a wider scope made: a thread, a process, a socket, a
connection to SQLite, temporary data outside tmp_path. What is ending has the seconds of `leak_grace` to be gone.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.plugins.resources import STARTS, Machine, ProcessLeft, Resource, ThreadLeft

POLL = 0.002, 0.05
POOLS = ("asyncio_", "execnet", "pydevd")
"""Names of threads that libraries keep for the whole process."""
PLUGIN, OUTPUT = "leaks-of-tests", "leaks"
FORK_SERVER = "tests.support.fork_server"
BASE = "PYTEST_DEBUG_TEMPROOT"
"""Where pytest makes tmp_path, if not in the folder for temporary files."""


class OwnTemporary:
    """A folder for temporary files that only this process and its children use, so that what is left in it can be seen."""

    def __init__(self) -> None:
        self._before = {name: os.environ.get(name) for name in ("TMPDIR", BASE)}
        self.folder = Path(tempfile.mkdtemp(prefix="tests-"))
        os.environ.setdefault(BASE, str(self.folder.parent))
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.folder)

    def close(self) -> None:
        """Remove it, and use the one of before."""
        tempfile.tempdir = None
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self.folder, ignore_errors=True)


class Leaks:
    """Compares what the process holds before the set-up of a test and after its tear-down."""

    def __init__(self, temporary: OwnTemporary, grace: float) -> None:
        self._temporary, self._grace = temporary, grace
        self._machine = Machine(temporary.folder)
        self._at_start = self._machine.snapshot()
        self._legitimate: set[Resource] = set()
        self._clean: set[Resource] | None = None
        """What there was when the test before had ended, if that left nothing: taken for what the next finds."""
        self._abandoned: list[threading.Thread] = []
        self._status: int = pytest.ExitCode.OK
        self._reported = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        """What is there already is not this test's."""
        self._legitimate = self._machine.snapshot() if self._clean is None else self._clean
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """What a fixture of a wider scope makes outlives the test."""
        if fixturedef.scope == "function":
            return (yield)
        before = self._machine.snapshot()
        try:
            return (yield)
        finally:
            self._legitimate |= self._machine.snapshot() - before

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        """All fixtures of the test are finalised: nothing of its own may be left."""
        try:
            result = yield
        except BaseException as error:
            if text := self._clear(self._legitimate):
                error.add_note(text)
            raise
        if text := self._clear(self._legitimate):
            pytest.fail(text, pytrace=False)
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """What an interrupted test, or a fixture of a wider scope, left behind."""
        if text := self._clear(self._at_start):
            output: dict[str, str] | None = getattr(session.config, "workeroutput", None)  # of a worker of xdist
            if output is None:
                self._report(session.config, text)
            else:
                output[OUTPUT] = text
        if self._reported:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        self._status = session.exitstatus
        self._temporary.close()  # now: a worker of xdist may be ended before it gets any further

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of xdist has ended."""
        if text := getattr(node, "workeroutput", {}).get(OUTPUT):
            self._report(node.config, text)

    def _report(self, config: pytest.Config, text: str) -> None:
        self._reported = True
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        reporter.ensure_newline()
        reporter.write_line(f"the tests have {text}", red=True)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """The very end. The interpreter would wait for ever for threads that nothing ends: it does not get to that."""
        if any(thread.is_alive() and not thread.daemon for thread in self._abandoned):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(self._status))

    def _clear(self, legitimate: set[Resource]) -> str:
        """End what is left after the time of grace; what it was, for people; empty when nothing was left."""
        self._clean = None
        present = self._machine.snapshot()
        remaining = _left(present, legitimate)
        if not remaining:
            self._clean = present
        pause, until = POLL[0], time.monotonic() + self._grace
        while remaining and time.monotonic() < until:
            time.sleep(pause)
            pause = min(pause * 2, POLL[1])
            remaining = _left(self._machine.snapshot(), legitimate)
        lines = sorted(map(str, remaining))
        for resource in remaining:
            resource.terminate()
        self._abandoned += [resource.thread for resource in remaining if isinstance(resource, ThreadLeft)]
        return "left behind:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def _left(present: set[Resource], legitimate: set[Resource]) -> set[Resource]:
    return {resource for resource in present - legitimate if not _belongs(resource, legitimate)}


def _belongs(resource: Resource, legitimate: set[Resource]) -> bool:
    """Whether it is a thread of a library, or of a thread that a fixture of a wider scope has started, or a child of such a process: a container
    of a shared pod runs one `sleep` after the other. What the fork server starts is each test's own.
    """
    if isinstance(resource, ProcessLeft):
        keepers = (each for each in legitimate if isinstance(each, ProcessLeft) and FORK_SERVER not in each.command)
        return any(resource.parent == keeper.pid for keeper in keepers)
    if not isinstance(resource, ThreadLeft):
        return False
    if resource.thread.name.startswith(POOLS):
        return True
    starter = STARTS.starter(resource.thread)
    if starter is None or starter is threading.main_thread():
        return False
    return ThreadLeft(starter) in legitimate or _belongs(ThreadLeft(starter), legitimate)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting of this plug-in."""
    parser.addini("leak_grace", "seconds within which what a test made has to be gone after its end", default="10")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Watch from now on."""
    STARTS.install()
    session.config.pluginmanager.register(Leaks(OwnTemporary(), float(session.config.getini("leak_grace"))), PLUGIN)
