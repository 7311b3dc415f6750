"""What becomes of a mutant: the tests of its line are run with it, in a copy of the tree."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from _forked_trials import CHANNEL, HUNG, UNFIT, Order
from _mutations import Mutation
from _reach import TOOLS, Given, Reach

SURVIVED, KILLED, ENDLESS, UNREACHED = "SURVIVED", "killed", "hung", "UNREACHED"
TRIES = 3
"""So many tests may fail by chance before a mutation is given up as survived."""
OPTIONS = ("-x", "-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-rfE")


class Mutant(NamedTuple):
    """A mutation of a file, which is named from the root."""

    file: str
    mutation: Mutation

    def __str__(self) -> str:
        before, after = (re.sub(r"\s+", " ", text) for text in (self.mutation.before, self.mutation.after))
        return f"{self.file}:{self.mutation.line}: {before[:70]} -> {after[:70]}"


class Outcome(NamedTuple):
    """What came of a mutant. `by`: the test that noticed it, or how many tests did not."""

    mutant: Mutant
    result: str
    by: str

    @property
    def is_noticed(self) -> bool:
        """True when a test fails, or does not end, because of it."""
        return self.result in (KILLED, ENDLESS)


class Trial:
    """Runs the tests of mutants in a copy of the tree. Close it."""

    def __init__(self, copy: Path, reached: Reach | Given) -> None:
        self._copy, self._reached = copy, reached
        self._collected: _Collected | None = None

    def close(self) -> None:
        """End the process that has collected the tests."""
        if self._collected is not None:
            self._collected.close()

    def of(self, mutant: Mutant) -> Outcome:
        """Make the mistake, run the tests, take it back."""
        tests = self._reached.of(mutant.file, mutant.mutation.line)
        if tests is None:
            return Outcome(mutant, UNREACHED, "no test comes here")
        if self._collected is None:
            self._collected = _Collected(self._copy, self._reached.all())
        path = self._copy / mutant.file
        source = path.read_bytes()
        _write(path, mutant.mutation.apply(source))
        try:
            return Outcome(mutant, *self._judge(mutant, source.decode(), tests))
        finally:
            _write(path, source)

    def _judge(self, mutant: Mutant, source: str, tests: list[str]) -> tuple[str, str]:
        for _ in range(TRIES):
            failed = self._run(mutant, source, tests)
            if failed is None:
                break
            if failed in (HUNG, "") or (
                self._run(mutant, source, [failed]) is not None and self._is_sound(mutant, source, failed)
            ):
                return (ENDLESS, "") if failed == HUNG else (KILLED, failed)
            tests = [each for each in tests if each != failed]  # by chance, or always
        return SURVIVED, f"{len(tests)} tests pass"

    def _is_sound(self, mutant: Mutant, source: str, test: str) -> bool:
        """Whether the test passes when nothing is changed, run as for a mutant."""
        path = self._copy / mutant.file
        changed = path.read_bytes()
        _write(path, source.encode())
        try:
            return self._run(mutant, source, [test]) is None
        finally:
            _write(path, changed)

    def _run(self, mutant: Mutant, source: str, tests: list[str]) -> str | None:
        """The first test that fails, HUNG, "" when they can not be run at all, None when all pass."""
        allowed = self._reached.allowed(tests)
        assert self._collected is not None
        failed = self._collected.run(Order(str(self._copy / mutant.file), source, tests, allowed))
        outside = self._reached.is_reached_outside(mutant.file, mutant.mutation.line)
        if failed != UNFIT and not (failed is None and outside):
            return failed
        return _in_a_fresh_process(self._copy, tests, allowed)


class _Collected:
    """A process that has collected the tests and forks another for each order."""

    def __init__(self, copy: Path, tests: Sequence[str]) -> None:
        orders, self._orders = os.pipe()
        answers, answer = os.pipe()
        environment = {
            **os.environ,
            CHANNEL: f"{orders},{answer}",
            "PYTHONPATH": os.pathsep.join((str(copy), str(TOOLS))),
        }
        command = (sys.executable, "-m", "pytest", *OPTIONS, "-p", "_forked_trials", f"@{_named(copy, tests)}")
        self._process = subprocess.Popen(
            command,
            cwd=copy,
            env=environment,
            stdout=subprocess.DEVNULL,
            pass_fds=(orders, answer),
            start_new_session=True,
        )
        for stream in (orders, answer):
            os.close(stream)
        self._answers = os.fdopen(answers, encoding="utf-8")

    def run(self, order: Order) -> str | None:
        """What `_forked_trials` answers; RuntimeError when it is not there any more."""
        try:
            os.write(self._orders, f"{json.dumps(order)}\n".encode())
            answer: str | None = json.loads(self._answers.readline())
        except (OSError, ValueError) as error:
            raise RuntimeError("the tests can not be collected") from error
        return answer

    def close(self) -> None:
        """End it."""
        os.close(self._orders)
        self._answers.close()
        self._process.wait()


def _named(copy: Path, tests: Sequence[str]) -> Path:
    names = copy.parent / "tests.txt"
    names.write_text("\n".join(tests), encoding="utf-8")
    return names


def _in_a_fresh_process(copy: Path, tests: Sequence[str], allowed: float) -> str | None:
    command = (sys.executable, "-m", "pytest", *OPTIONS, f"@{_named(copy, tests)}")
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=copy, env=environment, stdout=said, stderr=said, start_new_session=True)
        try:
            status = process.wait(allowed)
        except subprocess.TimeoutExpired:
            return HUNG
        finally:
            with contextlib.suppress(ProcessLookupError):  # nothing of it is left
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return None if status == 0 else _first_failed(said.read(), tests)


def _first_failed(text: str, tests: Sequence[str]) -> str:
    """The test that pytest's short summary names first; empty when it names none.

    >>> _first_failed("FAILED tests/test_a.py::test_b[1 - 2] - assert 1 == 2", ["tests/test_a.py::test_b[1 - 2]"])
    'tests/test_a.py::test_b[1 - 2]'
    """
    for line in text.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            told = line.partition(" ")[2]
            known = (each for each in tests if told == each or told.startswith(f"{each} - "))
            return next(known, told.partition(" - ")[0])
    return ""


def _write(path: Path, source: bytes) -> None:
    """Change a file; what was compiled from another one of the same second and size must not be taken for it."""
    path.write_bytes(source)
    for each in path.parent.glob(f"__pycache__/{path.stem}.*"):
        each.unlink()
