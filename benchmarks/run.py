"""Run all benchmarks, or those named, one after the other; what is over its budget or failed is marked, and is the exit status.

    python benchmarks/run.py [NAME ...] [--json]

Each is a process of its own: one that fails or hangs does not keep the others from running. The exit status is 0 when all that
was measured is within its budget, 1 when something is over it or failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from _rows import SKIPPED, Row, facts_of_the_machine, machine, row_of, table

FOLDER = Path(__file__).parent
TIMES = 10
"""A benchmark that takes so many times longer than it says hangs."""
LEAST = 120.0
"""Seconds that every one of them may take."""
TAIL = 2_000
"""Characters of what a failed one printed that are shown."""


class Benchmark(NamedTuple):
    """A program that prints rows. `about`: the first line of its docstring; `takes`: its TAKES, seconds on two quiet cores."""

    path: Path
    about: str
    takes: float

    @property
    def name(self) -> str:
        """As it is asked for."""
        return self.path.stem

    @property
    def allowed(self) -> float:
        """Seconds after which it is ended."""
        return max(LEAST, TIMES * self.takes)


class Outcome(NamedTuple):
    """What came of one. `error`: why it failed, `skipped`: why it measured nothing; both empty when it has rows."""

    name: str
    seconds: float
    rows: Sequence[Row] = ()
    error: str = ""
    skipped: str = ""

    @property
    def over(self) -> list[Row]:
        """What is not within its budget."""
        return [row for row in self.rows if row.over]

    def plain(self) -> dict[str, Any]:
        """As other programs read it."""
        return {**self._asdict(), "seconds": round(self.seconds, 1), "rows": [row.plain() for row in self.rows]}


def found(folder: Path, names: Sequence[str] = ()) -> list[Benchmark]:
    """The benchmarks of a folder in the order of their names, all or the named ones; ValueError for a name that is none."""
    paths = {path.stem: path for path in sorted(folder.glob("[a-z]*.py")) if path.name != Path(__file__).name}
    if unknown := [name for name in names if name not in paths]:
        raise ValueError(f"no benchmark is called {', '.join(unknown)}: there are {', '.join(paths)}")
    return [_described(paths[name]) for name in names or paths]


def _described(path: Path) -> Benchmark:
    """What a benchmark says about itself, read without importing what it measures."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    takes = [
        ast.literal_eval(each.value)
        for each in tree.body
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and each.targets[0].id == "TAKES"
    ]
    if not takes:
        raise ValueError(f"{path.name} does not say how many seconds it takes: TAKES = ...")
    return Benchmark(path, (ast.get_docstring(tree) or "").partition("\n")[0], float(takes[0]))


def run(benchmark: Benchmark) -> Outcome:
    """Run it to its end, or to the end of its time; what it leaves running is ended with it."""
    began = time.monotonic()
    # files and no pipes: a process of its own that a benchmark has left behind would keep a pipe open
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, str(benchmark.path), "--json"]
        process = subprocess.Popen(command, stdout=said, stderr=errors, start_new_session=True)
        try:
            status = process.wait(benchmark.allowed)
        except subprocess.TimeoutExpired:
            error = f"it did not end within {benchmark.allowed:.0f} s"
            return Outcome(benchmark.name, time.monotonic() - began, error=error)
        finally:
            with contextlib.suppress(ProcessLookupError):  # nothing of it is left, as it should be
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        seconds = time.monotonic() - began
        said.seek(0)
        errors.seek(0)
        return _judged(benchmark.name, seconds, status, said.read(), errors.read())


def _judged(name: str, seconds: float, status: int, said: str, errors: str) -> Outcome:
    if status == SKIPPED:
        return Outcome(name, seconds, skipped=errors.strip())
    if status:
        return Outcome(name, seconds, error=f"exit status {status}: {errors[-TAIL:].strip()}")
    try:
        return Outcome(name, seconds, [row_of(each) for each in json.loads(said)])
    except (KeyError, TypeError, ValueError) as error:
        return Outcome(name, seconds, error=f"what it printed is no list of rows ({error!r}): {said[-TAIL:].strip()}")


def run_all(benchmarks: Sequence[Benchmark], out: TextIO) -> list[Outcome]:
    """Run one after the other, and tell what happens; Ctrl-C ends the one that runs, and KeyboardInterrupt carries on."""
    say = lambda text="": print(text, file=out, flush=True)  # noqa: E731 - one word for eight lines
    say(f"On {machine()}:")
    for each in benchmarks:
        say(f"  {each.name:12} about {_time(each.takes):>8}  {each.about}")
    say(f"{len(benchmarks)} benchmarks, about {_time(sum(each.takes for each in benchmarks))} on two quiet cores.")
    outcomes = []
    for number, each in enumerate(benchmarks, 1):
        say(f"\n== {each.name} ({number} of {len(benchmarks)}, about {_time(each.takes)}): {each.about}")
        outcome = run(each)
        outcomes.append(outcome)
        problem = f"FAILED: {outcome.error}" if outcome.error else f"skipped: {outcome.skipped}"
        say(table(outcome.rows) if outcome.rows else problem)
        say(f"-- {_time(outcome.seconds)}")
    return outcomes


def summary(outcomes: Iterable[Outcome]) -> str:
    """The last words: what is over its budget, failed or was skipped, and how many are well."""
    outcomes = list(outcomes)
    lines = [
        f"OVER     {each.name}: {row.name}: {row.value:,.4g} {row.unit}, budget {row.budget}"
        for each in outcomes
        for row in each.over
    ]
    lines += [f"FAILED   {each.name}: {each.error.splitlines()[-1]}" for each in outcomes if each.error]
    lines += [f"skipped  {each.name}: {each.skipped}" for each in outcomes if each.skipped]
    rows = [row for each in outcomes for row in each.rows]
    budgets, over = sum(row.budget is not None for row in rows), sum(row.over for row in rows)
    failed = sum(bool(each.error) for each in outcomes)
    total = _time(sum(each.seconds for each in outcomes))
    lines.append(
        f"{len(outcomes)} benchmarks in {total}: {budgets - over} of {budgets} budgets kept, {over} over, {failed} failed"
    )
    return "\n".join(lines)


def _time(seconds: float) -> str:
    """A duration for people.

    >>> _time(4.2), _time(95)
    ('4 s', '1 min 35 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Run what is asked for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="run only these")
    parser.add_argument("--json", action="store_true", help="one JSON object; what happens is told on standard error")
    options = parser.parse_args(arguments)
    try:
        benchmarks = found(folder, options.names)
    except ValueError as error:
        parser.error(str(error))
    facts, out = facts_of_the_machine(), sys.stderr if options.json else sys.stdout
    try:
        outcomes = run_all(benchmarks, out)
    except KeyboardInterrupt:
        print("\ninterrupted", file=out)
        return 130
    print(f"\n{summary(outcomes)}", file=out)
    if options.json:
        print(json.dumps({"machine": facts, "benchmarks": [each.plain() for each in outcomes]}, indent=1))
    return int(any(each.error or each.over for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
