"""Make small mistakes in the code, one at a time, and see whether a test notices: what survives is a hole in the tests.

    python tools/mutants.py [--area supervisors ...] [--sample 40] [--seed 1] [--seconds 1800]
    python tools/mutants.py --only kubeedge_actors/supervisors/cell/watchdog.py:43

The tests of an area are run once to see which lines each of them reaches; then a sample of mutations, the same one for the same seed and
code, is tried with the tests that reach the changed line. All happens in a copy of the tree. A kill counts when the test that failed
fails a second time. Not every survivor is a hole: some change nothing that anybody could notice.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from _mutations import Mutation, mutations
from _reach import Reach, reach

ROOT = Path(__file__).parents[1]
CACHE = ".mutants"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", ".coverage", CACHE, "build", "dist", "*.egg-info"
)
SURVIVED, KILLED, HUNG, UNREACHED = "SURVIVED", "killed", "hung", "UNREACHED"
TRIES = 3
"""So many tests may fail by chance before a mutation is given up as survived."""


class Area(NamedTuple):
    """A folder of the code, and the tests that are its own."""

    code: str
    tests: tuple[str, ...]


AREAS = {
    "supervisors": Area("kubeedge_actors/supervisors", ("tests/unit/supervisors",)),
    "actors": Area("kubeedge_actors/actors", ("tests/unit/actors", "tests/recordings", "tests/integration")),
    "wire": Area(
        "kubeedge_actors/wire",
        ("tests/unit/wire", "tests/unit/test_custom_messages.py", "tests/recordings/test_wire.py"),
    ),
    "broker": Area(
        "kubeedge_actors/drivers/broker",
        (
            "tests/unit/drivers/broker",
            "tests/contract/test_broker.py",
            "tests/contract/test_mqtt_conformance.py",
            "tests/unit/assembly/test_mqtt.py",
        ),
    ),
    "store": Area(
        "kubeedge_actors/drivers/store",
        (
            "tests/unit/drivers/store",
            "tests/contract/test_store.py",
            "tests/unit/drivers/store/test_dead_letters.py",
            "tests/unit/deadletters/test_durable_dead_letters.py",
            "tests/unit/actors/cloudhub/test_node_outbox.py",
        ),
    ),
}


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
        return self.result in (KILLED, HUNG)


def sample(root: Path, area: Area, count: int, seed: int) -> list[Mutant]:
    """So many mutants of an area, the same ones for the same seed."""
    files = sorted(path for path in (root / area.code).rglob("*.py"))
    every = [Mutant(str(path.relative_to(root)), each) for path in files for each in mutations(path.read_bytes())]
    return random.Random(seed).sample(every, min(count, len(every)))


def named(root: Path, place: str) -> list[Mutant]:
    """All mutants of a FILE or of one line of it, FILE:LINE; ValueError when there is none."""
    file, _, line = place.partition(":")
    path = root / file
    found = [Mutant(file, each) for each in mutations(path.read_bytes()) if not line or each.line == int(line)]
    if not found:
        raise ValueError(f"there is nothing to change at {place}")
    return found


@contextlib.contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A copy of the tree, to be changed."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        copy = Path(name) / "tree"
        shutil.copytree(root, copy, ignore=LEFT_OUT)
        yield copy


class Trial:
    """Runs the tests of mutants in a copy of the tree."""

    def __init__(self, copy: Path, reached: Reach) -> None:
        self._copy, self._reached = copy, reached

    def of(self, mutant: Mutant) -> Outcome:
        """Make the mistake, run the tests, take it back."""
        tests = self._reached.of(mutant.file, mutant.mutation.line)
        if tests is None:
            return Outcome(mutant, UNREACHED, "no test comes here")
        path = self._copy / mutant.file
        source = path.read_bytes()
        _write(path, mutant.mutation.apply(source))
        try:
            return Outcome(mutant, *self._judge(tests))
        finally:
            _write(path, source)

    def _judge(self, tests: list[str]) -> tuple[str, str]:
        for _ in range(TRIES):
            failed = self._run(tests)
            if failed is None:
                break
            if failed in (HUNG, "") or self._run([failed]) is not None:
                return (HUNG, "") if failed == HUNG else (KILLED, failed)
            tests = [each for each in tests if each != failed]  # by chance: it passes when it is run once more
        return SURVIVED, f"{len(tests)} tests pass"

    def _run(self, tests: Sequence[str]) -> str | None:
        """The first test that fails, HUNG, "" when they can not be run at all, None when all pass."""
        allowed = 30.0 + 4 * sum(self._reached.seconds.get(each, 0.0) for each in tests)
        names = self._copy.parent / "tests.txt"
        names.write_text("\n".join(tests), encoding="utf-8")
        options = (
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "--no-header",
            "--tb=no",
            "-rfE",
        )
        command = (sys.executable, "-m", "pytest", *options, f"@{names}")
        environment = {**os.environ, "PYTHONPATH": str(self._copy)}
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                command, cwd=self._copy, env=environment, stdout=said, stderr=said, start_new_session=True
            )
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
            return next((each for each in tests if told == each or told.startswith(f"{each} - ")), "")
    return ""


def _write(path: Path, source: bytes) -> None:
    """Change a file; what was compiled from another one of the same second and size must not be taken for it."""
    path.write_bytes(source)
    for each in path.parent.glob(f"__pycache__/{path.stem}.*"):
        each.unlink()


def try_all(mutants: Sequence[Mutant], trial: Trial, until: float) -> list[Outcome]:
    """Try one after the other, telling each outcome, while there is time."""
    outcomes: list[Outcome] = []
    for number, mutant in enumerate(mutants, 1):
        if time.monotonic() > until:
            print(f"  the time is over: {len(mutants) - len(outcomes)} are left out", flush=True)
            break
        began = time.monotonic()
        outcomes.append(outcome := trial.of(mutant))
        took = time.monotonic() - began
        print(
            f"  {number}/{len(mutants)} {outcome.result:9} {mutant}  ({outcome.by or 'no end'}, {took:.0f} s)",
            flush=True,
        )
    return outcomes


def summary(outcomes: dict[str, list[Outcome]]) -> str:
    """The survivors, and the scores."""
    left = [each for area in outcomes.values() for each in area if not each.is_noticed]
    lines = [f"{each.result:9} {each.mutant}  ({each.by})" for each in left]
    for area, found in outcomes.items():
        noticed = sum(each.is_noticed for each in found)
        lines.append(f"{area}: {noticed} of {len(found)} noticed")
    every = [each for found in outcomes.values() for each in found]
    share = sum(each.is_noticed for each in every) / len(every) if every else 0.0
    lines.append(f"score: {share:.0%} of {len(every)} mutants")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample, try, tell; 0 whatever survives, 2 when nothing could be tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--area", nargs="+", choices=list(AREAS), default=list(AREAS), help="default: all of them")
    parser.add_argument("--sample", type=int, default=40, help="mutants of all areas together (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another one, another sample (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so long (default: %(default).0f)")
    parser.add_argument("--only", metavar="FILE[:LINE]", help="all mutants of this place in place of a sample")
    options = parser.parse_args(arguments)
    try:
        chosen = _chosen(options)
        with copied(ROOT) as copy:
            outcomes = {area: _tried(copy, area, chosen[area], options.seconds / len(chosen)) for area in chosen}
    except (OSError, RuntimeError, ValueError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    print(f"\n{summary(outcomes)}")
    return 0


def _chosen(options: argparse.Namespace) -> dict[str, list[Mutant]]:
    """By area, what is to be tried."""
    if options.only:
        area = next((name for name, each in AREAS.items() if options.only.startswith(f"{each.code}/")), None)
        if area is None:
            raise ValueError(f"{options.only} is in none of {', '.join(each.code for each in AREAS.values())}")
        return {area: named(ROOT, options.only)}
    share, more = divmod(options.sample, len(options.area))
    counts = {area: share + (number < more) for number, area in enumerate(options.area)}
    return {area: sample(ROOT, AREAS[area], count, options.seed) for area, count in counts.items()}


def _tried(copy: Path, area: str, mutants: Sequence[Mutant], seconds: float) -> list[Outcome]:
    print(
        f"{area}: {len(mutants)} mutants; which tests reach which lines (once for this state of the code) ...",
        flush=True,
    )
    tests = [str(path.relative_to(copy)) for each in AREAS[area].tests for path in sorted(copy.glob(each))]
    trial = Trial(copy, reach(copy, tests, ROOT / CACHE))
    return try_all(mutants, trial, time.monotonic() + seconds)


if __name__ == "__main__":
    sys.exit(main())
