"""Who waits for whom: a ring opens where somebody waits for room, and nobody follows a ring for ever."""

from __future__ import annotations

from contextlib import ExitStack
from typing import cast

import pytest

from kubeedge_actors.supervisors.engines.wait_graph import WaitEdge, WaitForGraph
from kubeedge_actors.supervisors.future import Asker

ROOM, ANSWER = True, False


class Waiter:
    """An actor, and its own mailbox: how often those who wait for room in it were woken."""

    def __init__(self) -> None:
        self.mailbox, self.woken = self, 0

    def notify_producers(self) -> None:
        """Wake them."""
        self.woken += 1


def asker(waiter: Waiter) -> Asker:
    return cast("Asker", waiter)


class Ring:
    """Actors by number, each of which may wait for another."""

    def __init__(self, count: int, stack: ExitStack) -> None:
        self.graph, self.actors, self._stack = WaitForGraph(), [Waiter() for _ in range(count)], stack

    def wait(self, one: int, other: int, for_room: bool) -> WaitEdge:
        """It waits until the end of the test."""
        pair = asker(self.actors[one]), asker(self.actors[other])
        edge = self._stack.enter_context(self.graph.waiting(*pair, for_room=for_room))
        assert edge is not None
        return edge

    def end_of(self, number: int) -> int | None:
        """The number of whom it waits for in the end."""
        end = self.graph.end_of_chain(asker(self.actors[number]))
        return None if end is None else self.actors.index(cast("Waiter", end))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_a_ring_the_one_that_waits_for_room_is_let_in(place: int) -> None:
    with ExitStack() as stack:
        ring = Ring(3, stack)
        edges = [ring.wait(number, (number + 1) % 3, number == place) for number in range(3)]
        assert [edge.released for edge in edges] == [number == place for number in range(3)]
        assert [actor.woken for actor in ring.actors] == [int(number == (place + 1) % 3) for number in range(3)]


def test_a_ring_of_questions_has_no_room_to_give_and_who_waits_for_one_of_it_is_not_in_it() -> None:
    with ExitStack() as stack:
        ring = Ring(4, stack)
        edges = [ring.wait(number, (number + 1) % 3, ANSWER) for number in range(3)]
        outside = ring.wait(3, 0, ROOM)
        assert not any(edge.released for edge in (*edges, outside))
        assert [ring.end_of(number) for number in range(4)] == [2, 0, 1, 2]


def test_a_chain_ends_with_who_waits_for_nobody_and_a_wait_ends_with_its_block() -> None:
    with ExitStack() as stack:
        ring = Ring(3, stack)
        ring.wait(0, 1, ANSWER)
        with ring.graph.waiting(asker(ring.actors[1]), asker(ring.actors[2]), for_room=ROOM):
            assert [ring.end_of(number) for number in range(3)] == [2, 2, None]
        assert [ring.end_of(number) for number in range(3)] == [1, None, None]


def test_who_is_to_go_on_waits_for_room_no_longer_and_for_an_answer_all_the_same() -> None:
    with ExitStack() as stack:
        ring = Ring(3, stack)
        edges = ring.wait(0, 2, ROOM), ring.wait(1, 2, ANSWER)
        for actor in ring.actors:
            ring.graph.unblock(asker(actor))
        assert [edge.released for edge in edges] == [True, False]
        assert ring.actors[2].woken == 1
