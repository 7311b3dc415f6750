"""A pytest plug-in for mutants.py: tells coverage which test runs, and writes down which passed and how long each took."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import coverage
import pytest

RESULTS = "MUTANTS_RESULTS"
"""The environment variable that names the file: {test id: seconds of all its phases, null when one of them failed or was skipped}."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """What is reached from now on is reached by this test."""
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.switch_context(item.nodeid)
    result = yield
    if measured is not None:
        measured.switch_context("")
    return result


class Results:
    """Of the process that hears of all tests; with pytest-xdist the others run them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float | None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of a test is over."""
        before = self._seconds.get(report.nodeid, 0.0)
        self._seconds[report.nodeid] = before + report.duration if report.passed and before is not None else None

    def pytest_sessionfinish(self) -> None:
        """Write it down."""
        self._path.write_text(json.dumps(self._seconds), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Begin."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(Path(os.environ[RESULTS])))
