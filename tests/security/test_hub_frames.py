"""A joined node says whatever it likes about others: nothing of another node's or of the cluster's changes, nobody else is told of it, and no
secret comes back. `make attack` says the whole matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.hostile_frames import sample, usual
from tests.security.siege import Siege, siege

SAMPLE, ROUND = 1_500, 300
pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def enemies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    with siege(tmp_path_factory.mktemp("siege")) as made:
        yield made


def test_the_same_frames_do_change_things_when_their_owner_says_them(tmp_path: Path) -> None:
    """Or else the other test would prove nothing."""
    with siege(tmp_path) as made:
        wrong = made.attack((case for case in usual() if case.whose == "other"), by=made.b)
    assert {line.split(":")[1].strip().split("/")[0] for line in wrong} >= {"nodes", "leases", "pods", "devicestatuses"}


def test_a_hostile_node_changes_and_learns_nothing_of_others(enemies: Siege) -> None:
    cases = sample(SAMPLE, seed=12)
    for start in range(0, len(cases), ROUND):
        assert enemies.attack(cases[start : start + ROUND]) == []
