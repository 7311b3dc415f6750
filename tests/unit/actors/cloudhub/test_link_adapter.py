"""While the hub's mailbox is full nothing is lost that may not be lost, and nothing is said of a node that was never announced."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from kubeedge_actors.actors.cloudhub.frame_limits import MAX_UNREAD_FRAMES
from kubeedge_actors.actors.cloudhub.link_adapter import ServerEventsAdapter
from kubeedge_actors.actors.cloudhub.messages import FrameReceived, PeerJoined, PeerLeft
from kubeedge_actors.actors.cloudhub.traffic import TrafficCounters
from kubeedge_actors.actors.cloudhub.upstream_pressure import BURST
from kubeedge_actors.hubs.rate_limits import JoinRateLimiter
from kubeedge_actors.supervisors import Clock, Ref
from tests.support.env.cloudhub import peer_of


class Mailbox:
    """A Ref whose mailbox has room for so many messages."""

    def __init__(self) -> None:
        self.room = self.woken = 0
        self.taken: list[object] = []

    def offer(self, message: object) -> bool:
        if self.room <= 0:
            return False
        self.room -= 1
        self.taken.append(message)
        return True

    offer_without_waking = offer

    def wake(self) -> None:
        self.woken += 1

    def kinds(self) -> list[type]:
        return [type(each) for each in self.taken]


class StoppedClock:
    """It is always the same moment."""

    def monotonic(self) -> float:
        return 12.0


@pytest.fixture
def box() -> Mailbox:
    return Mailbox()


@pytest.fixture
def soon() -> list[Callable[[], None]]:
    """What the server is to call in its next turn."""
    return []


@pytest.fixture
def adapter(box: Mailbox, soon: list[Callable[[], None]]) -> ServerEventsAdapter:
    clock, limiter, traffic = cast("Clock", StoppedClock()), JoinRateLimiter(), TrafficCounters()
    return ServerEventsAdapter(cast("Ref", box), clock, limiter, traffic, lambda peer: False, soon.append)


def test_a_node_that_could_not_be_announced_is_with_its_first_text(adapter: ServerEventsAdapter, box: Mailbox) -> None:
    peer = peer_of("n1")
    adapter.on_connect(peer)
    assert not adapter.on_text(peer, "a") and box.taken == []
    box.room = 1
    assert not adapter.on_text(peer, "a")  # announced; no room for the text: the node is not read until there is
    assert box.kinds() == [PeerJoined]
    box.room = 2
    assert adapter.on_text(peer, "a") and adapter.on_text(peer, "b")
    assert box.kinds() == [PeerJoined, FrameReceived, FrameReceived]
    assert [(each.text, each.at) for each in box.taken if isinstance(each, FrameReceived)] == [("a", 12.0), ("b", 12.0)]


def test_what_was_not_taken_does_not_count_as_unread_and_what_was_does_until_it_is_read(
    adapter: ServerEventsAdapter, box: Mailbox
) -> None:
    peer = peer_of("n1")
    box.room = 1
    adapter.on_connect(peer)
    assert not any(adapter.on_text(peer, "a") for _ in range(2 * MAX_UNREAD_FRAMES))
    box.room = 2 * MAX_UNREAD_FRAMES
    assert [adapter.on_text(peer, "a") for _ in range(MAX_UNREAD_FRAMES + 1)] == [True] * MAX_UNREAD_FRAMES + [False]
    adapter.on_frame_read(cast("FrameReceived", box.taken[1]))
    assert [adapter.on_text(peer, "a") for _ in range(2)] == [True, False]


def test_a_node_whose_report_was_refused_is_read_at_a_pace_until_its_session_has_ended(
    adapter: ServerEventsAdapter, box: Mailbox
) -> None:
    peer = peer_of("n1")
    box.room = 10 * BURST

    def heard() -> bool:
        taken = adapter.on_text(peer, "a")
        if taken:  # and the hub reads it at once
            adapter.on_frame_read(cast("FrameReceived", box.taken[-1]))
        return taken

    adapter.on_refused(peer)
    assert sum(heard() for _ in range(2 * BURST)) == BURST
    adapter.on_session_ended(peer)
    assert heard()
    adapter.on_connect(peer)  # who comes anew is no other
    assert sum(heard() for _ in range(2 * BURST)) < 2 * BURST


def test_who_leaves_without_having_been_announced_is_not_spoken_of(adapter: ServerEventsAdapter, box: Mailbox) -> None:
    peer = peer_of("n1")
    adapter.on_connect(peer)
    box.room = 10
    adapter.on_close(peer, "gone")
    assert box.taken == []
    adapter.on_connect(peer)
    adapter.on_text(peer, "a")
    assert box.kinds() == [PeerJoined, FrameReceived]  # what was remembered has ended with the connection


def test_who_leaves_while_there_is_no_room_is_found_out_later(adapter: ServerEventsAdapter, box: Mailbox) -> None:
    peer = peer_of("n1")
    box.room = 1
    adapter.on_connect(peer)
    adapter.on_close(peer, "gone")
    assert box.kinds() == [PeerJoined]
    box.room = 1
    adapter.on_close(peer, "gone")
    assert box.kinds() == [PeerJoined, PeerLeft]


def test_one_node_without_room_does_not_hold_up_another(adapter: ServerEventsAdapter, box: Mailbox) -> None:
    late, early = peer_of("n1", 1), peer_of("n2", 2)
    box.room = 1
    adapter.on_connect(early)
    adapter.on_connect(late)
    box.room = 1
    assert adapter.on_text(early, "x")
    assert box.kinds() == [PeerJoined, FrameReceived]


def test_the_hub_is_woken_once_for_all_texts_of_a_turn(
    adapter: ServerEventsAdapter, box: Mailbox, soon: list[Callable[[], None]]
) -> None:
    peers = [peer_of("n1", 1), peer_of("n2", 2)]
    box.room = 10
    for _ in range(2):
        soon.clear()
        assert all(adapter.on_text(peer, "x") for peer in peers)
        assert len(soon) == 1
        soon[0]()
    assert box.woken == 2 and box.kinds() == [FrameReceived] * 4
