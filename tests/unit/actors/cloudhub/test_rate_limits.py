"""How often a node may have something done, and that the memory of it stays small."""

from __future__ import annotations

from kubeedge_actors.hubs.rate_limits import Quota
from kubeedge_actors.outage_log import OncePerInterval


def test_equal_things_are_let_through_once_in_their_time() -> None:
    once = OncePerInterval(60.0)
    assert [once.allow("a", 0.0), once.allow("a", 59.0), once.allow("b", 59.0), once.allow("a", 60.0)] == [
        True,
        False,
        True,
        True,
    ]


def test_however_many_things_there_are_only_so_many_are_remembered() -> None:
    once = OncePerInterval(60.0, max_keys=3)
    assert all(once.allow(str(n), 0.0) for n in range(1_000))
    assert len(once._next) == 3
    assert not once.allow("999", 1.0)  # the newest are known
    assert once.allow("0", 1.0)


def test_a_share_is_for_each_and_for_a_time() -> None:
    share = Quota(2, 60.0)
    assert [share.allow("a", 0.0) for _ in range(3)] == [True, True, False]
    assert share.allow("b", 1.0)
    assert share.allow("a", 60.0)
