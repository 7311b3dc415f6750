"""One client that says a lot leaves the loop to the others after each of its turns."""

from __future__ import annotations

import asyncio
import heapq
import socket
from collections import Counter

import pytest

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.admission import BURST, LITTLE, LITTLE_AT_ONCE, RATE, ClientWork, WorkRate
from kubeedge_actors.drivers.broker.connections import TURN, Connections
from kubeedge_actors.drivers.broker.core import UNACKNOWLEDGED_WORK, BrokerCore
from kubeedge_actors.drivers.broker.packets import Packet
from kubeedge_actors.drivers.broker.session import Session
from kubeedge_actors.osutil import sockets
from tests.support.waiting import PATIENCE

COUNT = 1_000


class _CountingCore(BrokerCore):
    """Notes in which turn of the loop a publication is handled."""

    def __init__(self) -> None:
        super().__init__()
        self.turn, self.handled = 0, Counter[int]()
        self.all_handled = asyncio.Event()

    def count_turns(self) -> None:
        self.turn += 1
        asyncio.get_running_loop().call_soon(self.count_turns)

    def handle_packet(self, session: Session, packet: Packet) -> bool:
        if packet.kind == packets.PUBLISH:
            self.handled[self.turn] += 1
            if self.handled.total() == COUNT:
                self.all_handled.set()
        return super().handle_packet(session, packet)


async def _flooded(listener: socket.socket) -> Counter[int]:
    core = _CountingCore()
    core.count_turns()
    listener.setblocking(False)
    accepting = asyncio.create_task((connections := Connections(core, None)).accept(listener, None))
    _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
    publications = (packets.encode_publish(f"flood/{number}", b"x") for number in range(COUNT))
    writer.write(packets.encode_connect("flood", 60) + b"".join(publications))
    await asyncio.wait_for(core.all_handled.wait(), PATIENCE)
    writer.close()
    accepting.cancel()
    await connections.close()
    return core.handled


def test_a_client_that_publishes_a_lot_has_its_turns_between_those_of_the_others() -> None:
    with sockets.listen("127.0.0.1", 0) as listener:
        handled = asyncio.run(_flooded(listener))
    assert max(handled.values()) <= TURN // UNACKNOWLEDGED_WORK
    assert len(handled) >= COUNT * UNACKNOWLEDGED_WORK // TURN


def test_who_has_had_more_done_than_its_share_is_read_more_slowly() -> None:
    rate = WorkRate()
    assert max(rate.pause_after(TURN, 0.0) for _ in range(BURST // TURN)) == pytest.approx(0.0)
    assert rate.pause_after(TURN, 0.0) == pytest.approx(TURN / RATE)
    now, pauses = 0.0, []
    for _ in range(100):
        pauses.append(rate.pause_after(TURN, now))
        now += pauses[-1]
    assert now == pytest.approx(101 * TURN / RATE)
    assert rate.pause_after(BURST, now + 1.0) == 0.0  # it was silent


class _Floods:
    """Clients that say as much as they are read, for a while by a clock of its own; what each has had done."""

    def __init__(self, count: int) -> None:
        self.everybodys = WorkRate()
        self.done = Counter[int]()
        self._works = [ClientWork(self.everybodys) for _ in range(count)]
        self._turns = [(0.0, number) for number in range(count)]

    def run(self, seconds: float) -> None:
        while self._turns[0][0] < seconds:
            now, number = heapq.heappop(self._turns)
            self.done[number] += TURN
            heapq.heappush(self._turns, (now + self._works[number].pause_after(TURN, now), number))


@pytest.mark.parametrize("count", [1, 10, 100])
def test_many_that_flood_have_no_more_done_than_one_and_each_the_same(count: int) -> None:
    floods = _Floods(count)
    floods.run(4.0)
    assert floods.done.total() <= 4 * RATE + BURST + count * (LITTLE_AT_ONCE + TURN)
    floods.done.clear()  # what each has had at once
    floods.run(8.0)
    assert floods.done.total() <= 4 * RATE + count * TURN
    assert max(floods.done.values()) <= min(floods.done.values()) + 2 * TURN


def test_who_has_little_done_does_not_wait_for_those_that_flood() -> None:
    floods = _Floods(100)
    floods.run(2.0)
    quiet = ClientWork(floods.everybodys)
    assert [quiet.pause_after(LITTLE // 20, 2.0 + number / 20) for number in range(20)] == [0.0] * 20
