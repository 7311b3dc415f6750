"""What is skipped, failed and unmarked is told, tried on small suites of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite of a test finds the plug-ins."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def run(pytester: pytest.Pytester, plugin: str, text: str, *options: str) -> pytest.RunResult:
    """Run a suite of one file with one of the plug-ins, in a process of its own."""
    pytester.makepyfile(test_it=text)
    plain = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", f"tests.support.plugins.{plugin}")
    return pytester.runpytest_subprocess(*plain, *options)


WANTING = """
import pytest

@pytest.fixture
def server():
    raise AssertionError("a test that is skipped starts nothing")

@pytest.mark.kubectl
@pytest.mark.parametrize("number", range(3))
def test_wants(server, number):
    pass

def test_finds_out_itself():
    from tests.support.plugins.requirements import lacks
    lacks("index")

def test_is_of_another_kind():
    pytest.skip("not on this machine")
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_one_line_tells_what_was_skipped_for_want_of_what(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    result = run(pytester, "requirements", WANTING, "--without", "kubectl", *workers)
    result.assert_outcomes(skipped=5)
    result.stdout.fnmatch_lines(
        [
            "skipped for want of: index (1; a package index *), kubectl (3; kubectl 1.28 or newer*",
            "skipped besides: 1 x not on this machine",
        ]
    )


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_failure_is_named_when_it_happens(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    text = "def test_fails():\n    assert 0\n\ndef test_next():\n    pass\n"
    result = run(pytester, "progress", text, *workers)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_fails", "*= FAILURES =*"])


def test_who_starts_a_process_without_being_marked_fails(pytester: pytest.Pytester) -> None:
    text = """
import subprocess, sys, pytest

def test_starts():
    subprocess.run([sys.executable, "-c", ""])

@pytest.mark.processes
def test_is_marked():
    subprocess.run([sys.executable, "-c", ""])
"""
    result = run(pytester, "marks", text)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_starts*", "starts a process, but is not marked*"])
