"""Which tests reach which lines, found by running the tests of an area once; remembered while neither code nor tests change."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import coverage
from _reach_plugin import RESULTS

TOOLS = Path(__file__).parent
LONGEST = 60.0
"""Seconds of tests, when nothing was changed, that one mutation may cost."""


class Reach(NamedTuple):
    """`seconds`: how long each test takes that passes; `tests`: by file and line, those that reach it.

    A line that is reached while no test runs, as when modules are imported, has the empty name too; so has one that processes reach which
    tests started. When it has no other, any test may reach it.
    """

    seconds: dict[str, float]
    tests: dict[str, dict[int, list[str]]]

    def of(self, file: str, line: int) -> list[str] | None:
        """The tests of a line, quick ones first, `LONGEST` seconds of them at most; None when no test comes there."""
        lines = self.tests.get(file, {})
        if line not in lines:
            return None
        words = {*Path(file).parts, Path(file).stem}
        ordered = sorted(
            [each for each in lines[line] if each] or self.seconds,
            key=lambda each: (not _is_about(each, words), self.seconds[each]),
        )
        chosen: list[str] = []
        spent = 0.0
        for each in ordered:
            spent += self.seconds[each]
            if spent > LONGEST and chosen:
                break
            chosen.append(each)
        return chosen

    def all(self) -> list[str]:
        """Every test that may be needed."""
        return list(self.seconds)

    def is_reached_outside(self, file: str, line: int) -> bool:
        """True when it is reached while no test runs, or in processes."""
        return "" in self.tests[file][line]

    def allowed(self, tests: Sequence[str]) -> float:
        """Seconds that they may take before they count as hung."""
        return 30.0 + 4 * sum(self.seconds.get(each, 0.0) for each in tests)


class Given(NamedTuple):
    """Tests that somebody chose, by file, folder or name, for every line."""

    tests: list[str]

    def of(self, file: str, line: int) -> list[str] | None:
        """All of them."""
        return self.tests

    def all(self) -> list[str]:
        """They."""
        return self.tests

    def is_reached_outside(self, file: str, line: int) -> bool:
        """Nobody knows."""
        return True

    def allowed(self, tests: Sequence[str]) -> float:
        """Seconds that they may take before they count as hung."""
        return 300.0


def _is_about(test: str, words: set[str]) -> bool:
    """True when the name of a test's file is that of the source file, or of a folder that it is in."""
    name = Path(test.partition("::")[0]).stem.removeprefix("test_")
    return any(word in words for word in (name, name.removesuffix("es"), name.removesuffix("s"), *name.split("_")))


def reach(root: Path, tests: Sequence[str], cache: Path) -> Reach:
    """Of the tests in these files and folders of `root`. RuntimeError when they cannot be run."""
    path = cache / f"{_fingerprint(root, tests)}.json"
    if not path.exists():
        cache.mkdir(exist_ok=True)
        path.write_text(json.dumps(_measured(root, tests)._asdict()), encoding="utf-8")
    read = json.loads(path.read_text(encoding="utf-8"))
    return Reach(
        read["seconds"], {file: {int(n): found for n, found in lines.items()} for file, lines in read["tests"].items()}
    )


def _fingerprint(root: Path, tests: Sequence[str]) -> str:
    whole = hashlib.sha256(" ".join(tests).encode())
    for folder in ("kubeedge_actors", "tests"):
        for path in sorted((root / folder).rglob("*.py")):
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def _measured(root: Path, tests: Sequence[str]) -> Reach:
    with tempfile.TemporaryDirectory(prefix="reach-") as name:
        folder = Path(name)
        results, data = folder / "results.json", folder / "data"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(TOOLS)))}
        environment |= {RESULTS: str(results), "COVERAGE_FILE": str(data)}
        options = ("-p", "_reach_plugin", "-p", "no:randomly", "-p", "no:cacheprovider", "-q", "--no-header", "--tb=no")
        command = (sys.executable, "-m", "coverage", "run", "-m", "pytest", *options, *tests)
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        if not results.exists():
            raise RuntimeError(f"the tests can not be run:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        seconds = {test: took for test, took in json.loads(results.read_text()).items() if took is not None}
        measured = coverage.Coverage(data_file=str(data), config_file=str(root / "setup.cfg"))
        measured.combine()
        return Reach(seconds, _tests_of_lines(measured.get_data(), root, seconds))


def _tests_of_lines(
    data: coverage.CoverageData, root: Path, known: dict[str, float]
) -> dict[str, dict[int, list[str]]]:
    found: dict[str, dict[int, list[str]]] = defaultdict(dict)
    for file in data.measured_files():
        for line, contexts in data.contexts_by_lineno(file).items():
            found[str(Path(file).resolve().relative_to(root.resolve()))][line] = sorted(set(contexts) & {*known, ""})
    return found
