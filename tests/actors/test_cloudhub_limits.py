"""How often a node may have something done, and that the memory of it stays small."""

from __future__ import annotations

from kubeedge_actors.actors.cloudhub.limits import Allowance, OncePer


def test_equal_things_are_let_through_once_in_their_time() -> None:
    once = OncePer(60.0)
    assert [once.lets("a", 0.0), once.lets("a", 59.0), once.lets("b", 59.0), once.lets("a", 60.0)] == [
        True,
        False,
        True,
        True,
    ]


def test_however_many_things_there_are_only_so_many_are_remembered() -> None:
    once = OncePer(60.0, most=3)
    assert all(once.lets(str(n), 0.0) for n in range(1_000))
    assert len(once._next) == 3
    assert not once.lets("999", 1.0)  # the newest are known
    assert once.lets("0", 1.0)


def test_a_share_is_for_each_and_for_a_time() -> None:
    share = Allowance(2, 60.0)
    assert [share.lets("a", 0.0) for _ in range(3)] == [True, True, False]
    assert share.lets("b", 1.0)
    assert share.lets("a", 60.0)
