"""Make small mistakes in the code, one at a time, and see whether a test notices: what survives is a hole in the tests.

    python tools/mutants.py [--area supervisors ...] [--sample 40] [--seed 1] [--seconds 1800]
    python tools/mutants.py --only kubeedge_actors/supervisors/cell/watchdog.py:43 [--tests tests/unit/supervisors/test_hung_handlers.py ...]

The tests of an area are run once to see which lines each of them reaches; then a sample of mutations, the same one for the same seed and
code, is tried with the tests that reach the changed line. All happens in a copy of the tree. A kill counts when the test that failed
fails a second time, and passes when nothing is changed. Not every survivor is a hole: some change nothing that anybody could notice.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from _areas import AREAS, Area
from _mutations import mutations
from _reach import Given, Reach, reach
from _trial import Mutant, Outcome, Trial

ROOT = Path(__file__).parents[1]
CACHE = ".mutants"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", ".coverage", CACHE, "build", "dist", "*.egg-info"
)


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
    parser.add_argument(
        "--tests", nargs="+", metavar="TEST", help="these, at once, in place of those that reach the line"
    )
    options = parser.parse_args(arguments)
    try:
        chosen = _chosen(options)
        with copied(ROOT) as copy:
            outcomes = {}
            for area in chosen:
                with contextlib.closing(Trial(copy, _tests(copy, area, options.tests))) as trial:
                    until = time.monotonic() + options.seconds / len(chosen)
                    outcomes[area] = try_all(chosen[area], trial, until)
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


def _tests(copy: Path, area: str, given: list[str] | None) -> Reach | Given:
    if given:
        return Given(given)
    print(f"{area}: which tests reach which lines (once for this state of the code) ...", flush=True)
    return reach(copy, [each for each in AREAS[area].tests if (copy / each).exists()], ROOT / CACHE)


if __name__ == "__main__":
    sys.exit(main())
