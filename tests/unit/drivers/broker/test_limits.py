"""Nothing of the embedded broker grows without bound: what goes over a limit is refused, dropped or held up, and counted."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import Any

import pytest

from kubeedge_actors.drivers.broker import connections, core, packets, subscriptions
from kubeedge_actors.drivers.broker.core import BrokerCore
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.outgoing import Limits
from kubeedge_actors.drivers.broker.packets import Decoder, Packet, ProtocolError, Publish
from kubeedge_actors.drivers.broker.session import Session
from kubeedge_actors.drivers.broker.topics import retained
from kubeedge_actors.drivers.broker.unit_of_work import ChangeSet, UnitOfWork
from tests.support.mqtt_clients import Raw
from tests.support.waiting import PATIENCE, eventually


class Mind:
    """An exchange and its clients."""

    def __init__(self, limits: Limits | None = None, unit_of_work: UnitOfWork | None = None) -> None:
        self.exchange = BrokerCore(limits or Limits(), unit_of_work=unit_of_work)
        self.heard: dict[str, list[Packet]] = {}

    def client(self, name: str, filter: str = "", clean: bool = True, room: int = 1 << 20) -> Session:
        session, _ = self.exchange.open_session(name, clean)
        heard = self.heard[name] = []
        session.attach(lambda data: heard.extend(Decoder().feed(data)), lambda: room)
        if filter:
            self.take(session, packets.encode_subscribe(1, [(filter, 1)]))
            heard.clear()
        return session

    def retained(self) -> dict[str, bytes]:
        """What is retained, as a new client hears it."""
        heard: list[Packet] = []
        session, _ = self.exchange.open_session("retained", True)
        session.attach(lambda data: heard.extend(Decoder().feed(data)), lambda: 1 << 20)
        self.take(session, packets.encode_subscribe(1, [("#", 0)]))
        self.exchange.drop_session(session)
        return {each.topic: each.payload for each in map(packets.read_publish, heard[1:])}

    def take(self, session: Session, data: bytes) -> bool:
        taken = [self.exchange.handle_packet(session, packet) for packet in Decoder().feed(data)]
        self.exchange.flush()
        return all(taken)


def test_what_waits_for_all_clients_together_is_bounded() -> None:
    mind = Mind(Limits(max_inflight_messages=1, max_queued_bytes=1_000, max_queued_bytes_all=2_500))
    for n in range(4):
        mind.exchange.on_disconnected(mind.client(f"c{n}", "a", clean=False))
    mind.exchange.publish(Publish("a", b"x" * 1_000, 1))
    assert mind.exchange.counters.dropped == 2
    mind.exchange.drop_session(mind.exchange.sessions["c0"])
    mind.exchange.publish(Publish("a", b"x" * 400, 1))
    assert mind.exchange.counters.dropped == 2 + 1  # c1 has its own limit full, c2 and c3 have room again


def test_filters_of_one_client_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "SUBSCRIPTIONS", 2)
    mind = Mind()
    session = mind.client("c")
    mind.take(session, packets.encode_subscribe(5, [("a", 0), ("b", 1), ("c", 1), ("a", 2)]))
    assert packets.read_suback(mind.heard["c"][0]) == (5, [0, 1, packets.SUBACK_FAILURE, 2])
    mind.take(session, packets.encode_unsubscribe(6, ["b"]) + packets.encode_subscribe(7, [("c", 1)]))
    assert packets.read_suback(mind.heard["c"][2]) == (7, [1])


def test_retained_messages_are_bounded_in_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "MESSAGES", 2)
    monkeypatch.setattr(retained, "BYTES", 10)
    mind = Mind()
    for topic, payload in (
        ("a", b"1234"),
        ("b", b"123"),
        ("c", b"1"),
        ("a", b"12345"),
        ("b", b"1234"),
        ("a", b"1"),
    ):
        mind.exchange.publish(Publish(topic, payload, 0, True))
    assert mind.exchange.dropped_count == 2
    assert mind.retained() == {"a": b"1", "b": b"123"}
    for topic in ("a", "b", "none"):
        mind.exchange.publish(Publish(topic, b"", 0, True))
    mind.exchange.publish(Publish("c", b"x" * 9, 0, True))
    assert mind.retained() == {"c": b"x" * 9}
    assert mind.exchange.dropped_count == 2


def test_levels_of_retained_topics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "LEVELS", 4)
    mind = Mind()
    for topic in ("a/b/c", "a/b/d", "e", "a/b/c"):
        mind.exchange.publish(Publish(topic, topic.encode(), 0, True))
    assert set(mind.retained()) == {"a/b/c", "a/b/d"}
    mind.exchange.publish(Publish("a/b/d", b"", 0, True))
    mind.exchange.publish(Publish("e", b"x", 0, True))
    assert set(mind.retained()) == {"a/b/c", "e"}


def test_one_who_asks_for_retained_messages_again_and_again_gets_them_as_it_reads_and_nothing_grows() -> None:
    mind = Mind(Limits(max_queued_bytes=1_000))
    taken: list[int] = []
    session, _ = mind.exchange.open_session("c", True)
    session.attach(lambda data: taken.append(len(data)), lambda: 500 - sum(taken))
    for n in range(100):
        mind.exchange.publish(Publish(f"t/{n}", b"x" * 50, 0, True))
    for each in Decoder().feed(packets.encode_subscribe(1, [("#", 0)] * 100)):
        assert mind.exchange.handle_packet(session, each)
        mind.exchange.flush()
        assert mind.exchange.send_retained(session) == 0
        assert 500 <= sum(taken) < 700  # with the answer, and one message more
        assert not mind.exchange.handle_packet(session, each)
    heard = 0
    while session.retained_delivery is not None:
        mind.exchange.send_retained(session)
        mind.exchange.flush()
        heard, taken[:] = heard + sum(taken), []
    assert heard > 100 * 100 * 50
    assert mind.exchange.counters.dropped == 0


@pytest.mark.parametrize("messages", [1, 100, subscriptions.SLICE, 2 * subscriptions.SLICE + 7])
def test_all_that_is_looked_at_for_a_subscription_counts_as_work_of_its_client(messages: int) -> None:
    mind = Mind()
    for n in range(messages):
        mind.exchange.publish(Publish(f"t/{n}", b"x", 0, True))
    before, session = mind.exchange.work, mind.client("c")
    mind.take(session, packets.encode_subscribe(1, [("+/+", 0)]))
    while session.retained_delivery is not None:
        mind.exchange.send_retained(session)
    steps = messages + 2  # the root, `t`, and each of the last level
    assert session.retained_steps == steps
    assert mind.exchange.work - before == steps + core.FILTER_WORK + 1


def test_filters_of_one_packet_and_levels_of_a_topic_are_bounded() -> None:
    mind = Mind()
    session = mind.client("c")
    for packet in (packets.encode_subscribe(1, [("a", 0)] * 1_001), packets.encode_unsubscribe(1, ["a"] * 1_001)):
        with pytest.raises(ProtocolError, match="more than 1000 filters"):
            mind.take(session, packet)
    deep = "/".join(["a"] * 201)
    mind.take(session, packets.encode_subscribe(1, [(deep, 0), (deep[2:], 0)]))
    assert packets.read_suback(mind.heard["c"][0]) == (1, [packets.SUBACK_FAILURE, 0])
    with pytest.raises(ProtocolError, match="a publication on"):
        mind.take(session, packets.encode_publish(deep, b"x"))


def test_levels_of_the_filters_of_one_client_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "SUBSCRIBED_LEVELS", 4)
    mind = Mind()
    session = mind.client("c")
    mind.take(session, packets.encode_subscribe(5, [("a/b/c", 0), ("a/b", 1), ("c", 1), ("a/b/c", 2)]))
    assert packets.read_suback(mind.heard["c"][0]) == (5, [0, packets.SUBACK_FAILURE, 1, 2])
    mind.take(session, packets.encode_unsubscribe(6, ["a/b/c"]) + packets.encode_subscribe(7, [("a/b", 1)]))
    assert packets.read_suback(mind.heard["c"][2]) == (7, [1])


def test_publications_that_are_not_released_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "UNRELEASED", 3)
    mind = Mind()
    session = mind.client("c")
    for n in (1, 2, 3, 2):
        mind.take(session, packets.encode_publish("a", b"x", 2, packet_id=n))
    with pytest.raises(ProtocolError, match="does not release"):
        mind.take(session, packets.encode_publish("a", b"x", 2, packet_id=4))


def test_while_the_disk_is_behind_what_has_to_be_kept_is_not_taken_and_all_else_is() -> None:
    turns: list[tuple[int, ChangeSet]] = []
    unit_of_work = UnitOfWork(lambda turn, changes: turns.append((turn, changes)), longest=3)
    mind = Mind(unit_of_work=unit_of_work)
    mind.exchange.on_disconnected(mind.client("away", "kept", clean=False))
    session = mind.client("c")
    unit_of_work.committed = unit_of_work.turn - 1
    taken = [mind.take(session, packets.encode_publish("kept", b"x", 1, packet_id=n)) for n in range(1, 6)]
    assert taken == [True, True, True, False, False]
    assert mind.take(session, packets.encode_publish("free", b"x", 0) + packets.PINGREQ_PACKET)
    assert [message.kind for message in mind.heard["c"]] == [packets.PINGRESP]
    mind.exchange.on_committed(turns[-1][0])
    assert [packets.read_ack(message) for message in mind.heard["c"][1:]] == [1, 2, 3]
    assert mind.take(session, packets.encode_publish("kept", b"x", 1, packet_id=4))


def test_what_is_held_for_a_commit_counts_as_said_to_the_client() -> None:
    unit_of_work = UnitOfWork(lambda turn, changes: None)
    mind = Mind(unit_of_work=unit_of_work)
    session = mind.client("c", "a", clean=False, room=150)
    mind.take(session, packets.encode_subscribe(2, [("b", 0)]))
    for _ in range(10):
        mind.exchange.publish(Publish("b", b"x" * 50))
        mind.exchange.flush()
    assert mind.exchange.counters.dropped >= 7
    mind.exchange.on_committed(unit_of_work.turn - 1)
    assert session.unsent_bytes == 0


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with closing(EmbeddedBroker(port=0)) as broker:
        broker.start()
        yield broker


def test_connections_are_bounded_and_the_next_one_learns_why(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 2)
    with ExitStack() as stack:
        for n in range(2):
            peer = stack.enter_context(Raw(broker.port, f"c{n}"))
        with socket.create_connection(("127.0.0.1", broker.port), PATIENCE) as third:
            third.sendall(packets.encode_connect("c2", 0))
            assert third.recv(100) == packets.encode_connack(packets.SERVER_UNAVAILABLE)
        peer = stack.enter_context(Raw(broker.port, "c1"))  # in the place of its own older connection
        peer.send(packets.DISCONNECT_PACKET)
        assert peer.closed()

        def let_in() -> bool:
            with socket.create_connection(("127.0.0.1", broker.port), PATIENCE) as again:
                again.sendall(packets.encode_connect("c9", 0))
                return again.recv(100) == packets.encode_connack(0)

        eventually(let_in, "there is room again")


def _all_gone(counters: Any, count: int) -> bool:
    return bool(counters.sent + counters.dropped == count)


def test_a_client_that_does_not_take_what_it_was_sent_last_is_cut_off(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, connections.__name__)
    monkeypatch.setattr(connections, "ENDED_WITHIN", 0.05)
    with Raw(broker.port, "slow") as peer:
        peer.subscribe("a", 0)
        counters, count = broker.counters, 0
        while not counters.dropped:  # until its socket and what may wait for it are full
            broker.publish("a", b"x" * 200_000)
            count += 1
            eventually(partial(_all_gone, counters, count), "it is sent or dropped")
        peer.send(packets.DISCONNECT_PACKET)
        eventually(lambda: "did not take the last words" in caplog.text, "the broker gives up")
        with Raw(broker.port, "next"):  # it is answered after the other one was cut off
            pass
        heard = 0
        with suppress(AssertionError, ConnectionResetError):  # the end of the connection, in one way or the other
            while peer.next():
                heard += 1
        assert 0 < heard < counters.sent


def test_a_packet_that_is_too_long_ends_its_connection(broker: EmbeddedBroker) -> None:
    with Raw(broker.port) as peer:
        peer.send(bytes((0x30, 0xFF, 0xFF, 0xFF, 0x7F)))
        assert peer.closed()


def test_a_connection_that_says_nothing_is_ended(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECT_WITHIN", 0.05)
    with socket.create_connection(("127.0.0.1", broker.port), PATIENCE) as silent:
        assert silent.recv(1) == b""
