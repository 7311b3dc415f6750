"""`make attack`: the whole matrix of hostile hub frames, said to a real cloud by a joined node, and every hostile pod to a real edge.

    python -m tests.security.attack [FRAMES]

Without a number all of them, else so many, drawn by chance. Exit status 1, and what happened, when after a round something of another node or of the
cluster is different, somebody else was told something, or a secret came back.
"""

from __future__ import annotations

import itertools
import logging
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.security.hostile_cloud import evil_pods, victim
from tests.security.hostile_frames import Case, matrix, sample
from tests.security.siege import siege

ROUND = 5_000


def main(arguments: Sequence[str]) -> int:
    """Attack until the frames are said; the exit status."""
    cases = iter(sample(int(arguments[0]), seed=random.getrandbits(32)) if arguments else matrix())
    logging.disable(logging.ERROR)  # of the server that the edge leaves
    with tempfile.TemporaryDirectory() as folder:
        return _attack_cloud(Path(folder), cases) | _attack_edge(Path(folder))


def _attack_cloud(folder: Path, cases: Iterator[Case]) -> int:
    status = said = 0
    with siege(folder) as enemies:
        while chunk := list(itertools.islice(cases, ROUND)):
            wrong = enemies.attack(chunk)
            said += len(chunk)
            print(f"{said:9,} frames", flush=True)
            if wrong:
                print(f"in {chunk[0]} ... {chunk[-1]}:", *wrong, sep="\n  ", flush=True)
                status = 1
    return status


def _attack_edge(folder: Path) -> int:
    (place := folder / "victim").mkdir()
    with victim(place) as edge:
        before = edge.outside_files()
        pods = list(evil_pods(edge.outside))
        edge.push_pods(pods)
        planted = edge.outside_files() ^ before
        print(f"{len(pods):9,} pods", *sorted(path for path, _ in planted), sep="\n  ", flush=True)
        return int(bool(planted) or not edge.side.runs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
