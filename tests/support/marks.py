"""Which tests start processes and which are slow: told in one place, and held to. `make test-fast` leaves both out.

A test that starts a process and is not marked so fails by its name.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from fnmatch import fnmatchcase
from typing import Any

import pytest

PROCESSES = (
    "tests/e2e/*",
    "tests/support/test_*",
    "tests/supervisors/test_processes*",
)
"""Tests, as patterns of their names without parameters."""
ENGINES = {"hosts", "process", "external", "mosquitto"}
"""Parameters with which a test uses another process."""
WANTED = ("mosquitto", "kubectl", "docker")
"""What a test wants that uses another process."""
SLOW: tuple[str, ...] = ()
"""More than a second each on a quiet machine, without a process: most let Hypothesis try hundreds of stories."""
STARTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty"}


def pytest_configure(config: pytest.Config) -> None:
    """The markers, and who watches over them."""
    config.addinivalue_line("markers", "processes: starts processes")
    config.addinivalue_line("markers", "slow: takes more than a second without starting a process")
    config.pluginmanager.register(Unmarked(), "unmarked-tests")


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests."""
    for item in items:
        name = item.nodeid.partition("[")[0]
        if _matches(name, PROCESSES) or _engines(item) or any(map(item.get_closest_marker, WANTED)):
            item.add_marker("processes")
        if _matches(name, SLOW):
            item.add_marker("slow")


def _engines(item: pytest.Item) -> set[str]:
    """Those of its parameters with which it uses another process."""
    call: Any = getattr(item, "callspec", None)
    return set() if call is None else {each for each in call.params.values() if isinstance(each, str)} & ENGINES


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class Unmarked:
    """Notes the start of a process in a test that is not marked so."""

    def __init__(self) -> None:
        self._watching = False
        self._started = ""
        sys.addaudithook(self._on_event)  # stays for the life of the interpreter

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watching and event in STARTS:
            self._started = str(arguments[:2] or event)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Watch over this test."""
        self._started = ""
        self._watching = item.get_closest_marker("processes") is None
        try:
            return (yield)
        finally:
            self._watching = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        """Say what was noted."""
        result = yield
        if self._started:
            pytest.fail(f"starts a process, but is not marked `processes`: {self._started}", pytrace=False)
        return result
