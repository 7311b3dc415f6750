"""What a run tells: at once how many tests there are and in which order, each failure when it happens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from _pytest._code import code

SHOWING = "getstatementrange_ast"
_statement_range = getattr(code, SHOWING)


def _statement_range_or_line(*args: Any, **options: Any) -> Any:
    """CPython before 3.11.9 and 3.12.3 fails when two threads parse source lines at once (python/cpython#106905), which ended the whole run: pytest shows
    the line alone of what has a SyntaxError.
    """
    try:
        return _statement_range(*args, **options)
    except SystemError as error:
        raise SyntaxError(str(error)) from error


setattr(code, SHOWING, _statement_range_or_line)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores, since tests that use other processes wait most of their time; none for single files and tests, which
    are sooner done than workers are started.
    """
    single = all(Path(arg.partition("::")[0]).is_file() for arg in config.args)
    return 0 if single else len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(trylast=True)  # the reporter is there then
def pytest_configure(config: pytest.Config) -> None:
    """Once, not in each worker."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(reporter), "progress-of-tests")


class Progress:
    """Writes between the dots of the reporter of pytest."""

    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Before anything is collected."""
        seed = getattr(session.config.option, "randomly_seed", None)
        if seed is not None:
            self._line(f"in random order; again in this order: --randomly-seed={seed}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Name what failed; why is told at the end."""
        if report.failed:
            when = "FAILED" if report.when == "call" else f"ERROR in {report.when} of"
            self._line(f"{when} {report.nodeid}", red=True)

    def _line(self, text: str, **colours: bool) -> None:
        self._reporter.ensure_newline()
        self._reporter.write_line(text, **colours)
