"""A PUBACK is a promise: who publishes waits for subscribers that are connected, up to a stated time; nobody waits for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kubeedge_actors.drivers.broker import backpressure, packets
from kubeedge_actors.drivers.broker.core import BrokerCore
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.outgoing import Limits
from kubeedge_actors.drivers.broker.packets import Decoder, Packet, Publish
from kubeedge_actors.drivers.broker.session import Session
from tests.support.mqtt_clients import Raw, paho
from tests.support.plugins.hypothesis_profile import examples
from tests.support.waiting import eventually

TIMEOUT = 10.0
LIMITS = Limits(max_inflight_messages=2, max_queued_messages=3, slow_subscriber_timeout=TIMEOUT)


class Room:
    """A broker with a clock of the test's, and clients that answer when they are told to."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.now = 0.0
        self.core = BrokerCore(limits, clock=lambda: self.now)
        self.heard: dict[str, list[Packet]] = {}
        self.sessions: dict[str, Session] = {}

    def client(self, name: str, filter: str = "", *, clean: bool = True) -> None:
        session, present = self.core.open_session(name, clean)
        heard = self.heard[name] = []
        session.attach(lambda data: heard.extend(Decoder().feed(data)), lambda: 1 << 20)
        self.sessions[name] = session
        self.core.on_connected(session, present=present)
        if filter:
            self.take(name, packets.encode_subscribe(1, [(filter, 2)]))
        self.core.flush()
        heard[:] = [message for message in heard if message.kind not in (packets.CONNACK, packets.SUBACK)]

    def take(self, name: str, data: bytes) -> bool:
        taken = [self.core.handle_packet(self.sessions[name], packet) for packet in Decoder().feed(data)]
        self.core.flush()
        return all(taken)

    def publish(self, name: str, *numbers: int, qos: int = 1) -> bool:
        taken = [self.take(name, packets.encode_publish("t", b"%d" % n, qos, packet_id=n)) for n in numbers]
        return all(taken)

    def acknowledged(self, name: str) -> list[int]:
        return [
            packets.read_ack(message)
            for message in self.heard[name]
            if message.kind in (packets.PUBACK, packets.PUBREC)
        ]

    def read(self, name: str, count: int = 1_000) -> list[int]:
        """Take and answer what comes, at most `count` publications with QoS 1."""
        got: list[int] = []
        while len(got) < count and (
            readable := [message for message in self.heard[name] if message.kind == packets.PUBLISH]
        ):
            self.heard[name].remove(readable[0])
            message = packets.read_publish(readable[0])
            got.append(int(message.payload))
            self.take(name, packets.encode_ack(packets.PUBACK, message.packet_id))
        return got

    def leave(self, name: str) -> None:
        self.core.on_disconnected(self.sessions[name])
        self.core.flush()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.core.expire()


@pytest.mark.parametrize("qos", [1, 2])
def test_acknowledgements_wait_until_there_is_room_and_come_in_their_order(qos: int) -> None:
    room = Room()
    room.client("sub", "t")
    room.client("pub")
    assert room.publish("pub", *range(1, 10), qos=qos)
    assert room.acknowledged("pub") == [1, 2, 3, 4, 5]
    if qos == 1:
        for n in range(1, 10):
            assert room.read("sub", 1) == [n]
            assert room.acknowledged("pub") == list(range(1, min(9, 5 + n) + 1))
    assert room.core.counters.dropped == 0


def test_a_publisher_with_many_that_wait_is_not_read_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "UNACKNOWLEDGED", 3)
    room = Room()
    room.client("sub", "t")
    room.client("pub")
    room.client("other")
    assert room.publish("pub", *range(1, 9))
    assert not room.publish("pub", 9)
    assert room.take("pub", packets.PINGREQ_PACKET + packets.encode_publish("elsewhere", b"x"))
    assert room.publish("other", 9)
    assert room.read("sub", 1) == [1]
    assert room.publish("pub", 10)
    assert room.read("sub") == [2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_what_waits_longer_than_stated_makes_its_subscriber_slow_and_it_alone_loses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room()
    for name in ("sub\n", "good"):
        room.client(name, "t")
    room.client("pub")
    room.publish("pub", *range(1, 9))
    assert room.read("good") == list(range(1, 9))
    room.wait(TIMEOUT - 0.1)
    assert room.acknowledged("pub") == [1, 2, 3, 4, 5]
    assert room.core.deadline() == TIMEOUT
    assert caplog.records == []
    room.wait(0.1)
    assert room.acknowledged("pub") == list(range(1, 9))
    (told,) = caplog.messages
    assert told.startswith("the MQTT client 'sub\\n' is slow: publishers have waited 10 s for it")
    assert told.endswith("3 messages wait for it, 3 were lost for it")
    # nobody waits for it again until it has caught up
    assert room.core.deadline() is None
    room.publish("pub", 9, 10)
    assert room.acknowledged("pub") == list(range(1, 11))
    assert room.core.counters.dropped == 5
    assert room.read("sub\n", 2) == [1, 2]
    room.publish("pub", 11)
    assert room.read("sub\n") == [3, 4, 5, 11]
    assert caplog.messages[1:] == ["the MQTT client 'sub\\n' has caught up; 5 messages were lost for it"]
    assert room.read("good") == [9, 10, 11]
    room.publish("pub", *range(12, 20))
    assert room.acknowledged("pub")[-1] == 16
    assert room.read("good") == list(range(12, 20))
    assert room.read("sub\n") == list(range(12, 20))
    assert room.core.counters.dropped == 5


def test_losses_are_told_once_a_minute_with_their_count(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    room.client("sub", "t")
    for _ in range(100):
        room.core.publish(Publish("t", b"1", 1))
    room.now += backpressure.TOLD_EVERY
    room.core.publish(Publish("t", b"1", 1))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "'sub' does not keep up: of what waits for it 1 messages" in caplog.messages[0]
    assert "'sub' does not keep up: of what waits for it 96 messages" in caplog.messages[1]


def test_what_is_said_from_inside_waits_for_nobody_and_makes_nobody_slow() -> None:
    room = Room()
    room.client("sub", "t")
    for n in range(10):
        room.core.publish(Publish("t", b"%d" % n, 1))
    room.core.flush()
    assert room.core.deadline() is None
    assert room.core.counters.dropped == room.core.dropped_count == 5
    assert room.read("sub") == [0, 1, 2, 3, 4]


def test_for_a_client_that_is_away_nobody_waits_and_so_much_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    room.client("sub", "t", clean=False)
    room.leave("sub")
    room.client("pub")
    room.publish("pub", *range(1, 9))
    assert room.acknowledged("pub") == list(range(1, 9))
    assert "'sub' is away" in caplog.text
    room.client("sub", clean=False)
    assert room.read("sub") == [1, 2, 3]
    assert caplog.messages[-1] == "the MQTT client 'sub' has caught up; 5 messages were lost for it"


def test_when_a_subscriber_leaves_its_publishers_are_acknowledged_and_its_session_keeps_what_was_taken() -> None:
    room = Room()
    room.client("kept", "t", clean=False)
    room.client("clean", "t")
    room.client("pub")
    room.publish("pub", *range(1, 9))
    room.leave("kept")
    assert room.acknowledged("pub") == [1, 2, 3, 4, 5]
    room.leave("clean")
    assert room.acknowledged("pub") == list(range(1, 9))
    room.client("kept", clean=False)
    assert room.read("kept") == list(range(1, 9))


def test_one_that_comes_and_goes_and_reads_nothing_is_not_waited_for_again() -> None:
    room = Room()
    room.client("sub", "t", clean=False)
    room.client("pub")
    for n in range(5):
        room.publish("pub", *range(10 * n + 1, 10 * n + 9))
        room.leave("sub")
        room.client("sub", clean=False)
    assert room.acknowledged("pub") == [10 * n + each for n in range(5) for each in range(1, 9)]
    assert room.read("sub") == list(range(1, 9))


def test_a_client_that_is_gone_for_good_is_named_with_what_it_lost(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    room.client("sub", "t")
    for _ in range(10):
        room.core.publish(Publish("t", b"1", 1))
    room.leave("sub")
    assert caplog.messages[-1] == "the MQTT client 'sub' is gone; 5 messages were lost for it"


def test_without_a_time_to_wait_it_is_as_with_mosquitto() -> None:
    room = Room(Limits(max_inflight_messages=2, max_queued_messages=3, slow_subscriber_timeout=0))
    room.client("sub", "t")
    room.client("pub")
    room.publish("pub", *range(1, 9))
    assert room.acknowledged("pub") == list(range(1, 9))
    assert room.read("sub") == [1, 2, 3, 4, 5]


def test_a_client_that_hears_itself_does_not_wait_for_itself() -> None:
    room = Room()
    room.client("both", "t")
    sent = 0
    got: list[int] = []
    while len(got) < 50:
        while sent < 50 and sent - len(room.acknowledged("both")) < 20:
            sent += 1
            assert room.publish("both", sent)
        got += room.read("both", 1)
    assert got == list(range(1, 51))
    assert room.acknowledged("both") == list(range(1, 51))


def test_bytes_are_waited_for_like_messages_and_one_large_message_goes_alone() -> None:
    room = Room(Limits(max_queued_bytes=10, max_queued_bytes_all=30))
    room.client("sub", "t")
    room.client("pub")
    for n, size in enumerate((6, 6, 20), 1):
        assert room.take("pub", packets.encode_publish("t", b"%0*d" % (size, n), 1, packet_id=n)) is (n < 3)
    assert room.acknowledged("pub") == [1, 2]  # the second one is on its way, so it waits for nothing
    assert room.core.deadline() == TIMEOUT
    assert room.read("sub") == [1, 2]
    assert room.take("pub", packets.encode_publish("t", b"%020d" % 3, 1, packet_id=3))
    assert room.read("sub") == [3]
    assert room.core.deadline() is None


def test_what_others_hold_does_not_keep_one_with_an_empty_queue_from_hearing() -> None:
    room = Room(Limits(max_queued_bytes=20, max_queued_bytes_all=20))
    room.client("away", "t", clean=False)
    room.client("pub")
    room.leave("away")
    room.take("pub", packets.encode_publish("t", b"%020d" % 1, 1, packet_id=1))
    room.client("sub", "t")
    assert room.publish("pub", 2)
    assert not room.publish("pub", 3)
    assert room.read("sub") == [2]
    assert room.publish("pub", 3)
    room.publish("pub", 4)
    room.wait(TIMEOUT)
    assert room.publish("pub", 4)
    assert room.core.sessions["sub"].slow


def test_all_retained_messages_reach_one_who_subscribes_with_room() -> None:
    room = Room()
    for n in range(20):
        room.core.publish(Publish(f"r/{n:02}", b"%d" % n, 1, True))
    room.client("sub", "r/#")
    assert room.read("sub") == list(range(20))


class Pressure(RuleBasedStateMachine):
    """Publishers with a window, subscribers that read, sleep, leave and come back, one client that is both, modules inside."""

    SUBSCRIBERS = ("kept", "clean", "both")
    PUBLISHERS = ("one", "two", "both")
    WINDOW = 6

    def __init__(self) -> None:
        super().__init__()
        self.room = Room()
        for name in self.SUBSCRIBERS:
            self.room.client(name, "t", clean=name == "clean")
        for name in self.PUBLISHERS[:2]:
            self.room.client(name)
        self.said: dict[str, list[int]] = {name: [] for name in self.PUBLISHERS}
        self.got: dict[str, set[int]] = {name: set() for name in self.SUBSCRIBERS}
        self.since: dict[int, float] = {}
        self.number = self.all = 0
        self.away = False

    @rule(name=st.sampled_from(PUBLISHERS), qos=st.sampled_from([1, 2]))
    def publish(self, name: str, qos: int) -> None:
        if len(self.said[name]) - len(self.room.acknowledged(name)) >= self.WINDOW:
            return
        room, before = self.room, self.room.core.counters.dropped
        waited_for = [each for each in self.SUBSCRIBERS if not room.sessions[each].slow and room.sessions[each].send]
        self.number += 1
        self.said[name].append(self.number)
        self.since[self.number] = room.now
        assert room.publish(name, self.number, qos=qos)
        assert room.core.counters.dropped - before <= len(self.SUBSCRIBERS) - len(waited_for)

    @rule()
    def publish_inside(self) -> None:
        self.number += 1
        self.room.core.publish(Publish("t", b"%d" % self.number, 1))
        self.room.core.flush()

    @rule(name=st.sampled_from(SUBSCRIBERS))
    def read(self, name: str) -> None:
        heard = self.room.heard[name]
        readable = next((message for message in heard if message.kind in (packets.PUBLISH, packets.PUBREL)), None)
        if readable is None:
            return
        heard.remove(readable)
        if readable.kind == packets.PUBREL:
            self.room.take(name, packets.encode_ack(packets.PUBCOMP, packets.read_ack(readable)))
            return
        message = packets.read_publish(readable)
        self.got[name].add(int(message.payload))
        kind = packets.PUBACK if message.qos == 1 else packets.PUBREC
        self.room.take(name, packets.encode_ack(kind, message.packet_id))

    @rule(seconds=st.sampled_from([1.0, 4.0, TIMEOUT]))
    def wait(self, seconds: float) -> None:
        self.room.wait(seconds)

    @precondition(lambda self: not self.away)
    @rule()
    def leave(self) -> None:
        self.away = True
        self.room.leave("kept")

    @precondition(lambda self: self.away)
    @rule()
    def come_back(self) -> None:
        self.away = False
        self.room.client("kept", clean=False)

    @invariant()
    def nobody_waits_longer_than_stated(self) -> None:
        for name in self.PUBLISHERS:
            for number in self.said[name][len(self.room.acknowledged(name)) :]:
                assert self.room.now - self.since[number] < TIMEOUT

    @invariant()
    def acknowledgements_come_in_their_order(self) -> None:
        for name in self.PUBLISHERS:
            acknowledged = self.room.acknowledged(name)
            assert acknowledged == self.said[name][: len(acknowledged)]

    @invariant()
    def queues_are_bounded(self) -> None:
        most = LIMITS.max_inflight_messages + LIMITS.max_queued_messages + self.WINDOW * len(self.PUBLISHERS)
        for name in self.SUBSCRIBERS:
            assert len(self.room.sessions[name].outgoing) <= most

    def teardown(self) -> None:
        if self.away:
            self.come_back()
        readable = (packets.PUBLISH, packets.PUBREL)
        while names := [n for n in self.SUBSCRIBERS if any(message.kind in readable for message in self.room.heard[n])]:
            for name in names:
                self.read(name)
        for name in self.PUBLISHERS:
            assert self.room.acknowledged(name) == self.said[name]
        missing = sum(self.number - len(got) for got in self.got.values())
        assert missing == self.room.core.counters.dropped
        assert self.room.core.deadline() is None
        assert not any(session.slow for session in self.room.sessions.values())


TestPressure = Pressure.TestCase
TestPressure.settings = settings(max_examples=examples(150), stateful_step_count=60)


# --- over sockets -------------------------------------------------------------------------------------------------------


def small(timeout: float) -> EmbeddedBroker:
    return EmbeddedBroker(
        port=0, limits=Limits(max_inflight_messages=4, max_queued_messages=20, slow_subscriber_timeout=timeout)
    )


def test_all_that_is_said_at_full_speed_reaches_a_reader_and_is_acknowledged() -> None:
    count = 2_000
    with closing(small(60.0)) as broker:
        broker.start()
        with paho(broker.port) as reader, Raw(broker.port, "pub") as publisher:
            reader.subscribe("t", 1)
            publisher.send(
                b"".join(packets.encode_publish("t", b"%d" % n, 1, packet_id=n) for n in range(1, count + 1))
            )
            assert [packets.read_ack(publisher.next()) for _ in range(count)] == list(range(1, count + 1))
            assert reader.hear_payloads(count) == [b"%d" % n for n in range(1, count + 1)]
        assert broker.dropped_count == 0


def test_one_that_never_answers_holds_up_its_publishers_once(caplog: pytest.LogCaptureFixture) -> None:
    with closing(small(0.05)) as broker:
        broker.start()
        with Raw(broker.port, "lazy") as lazy, Raw(broker.port, "pub") as publisher:
            lazy.subscribe("t", 1)
            for begin in (1, 501):
                numbers = range(begin, begin + 500)
                publisher.send(b"".join(packets.encode_publish("t", b"%d" % n, 1, packet_id=n) for n in numbers))
                assert [packets.read_ack(publisher.next()) for _ in numbers] == list(numbers)
            assert caplog.text.count("'lazy' is slow") == 1
            for n in range(24):
                message = packets.read_publish(lazy.next())
                assert message.payload == b"%d" % (n + 1)
                lazy.send(packets.encode_ack(packets.PUBACK, message.packet_id))
            eventually(lambda: "'lazy' has caught up; 976 messages were lost for it" in caplog.text, "it is told")
        assert broker.dropped_count == 976


def test_modules_inside_are_not_held_up_by_one_that_never_answers() -> None:
    with closing(small(3_600.0)) as broker:
        broker.start()
        with Raw(broker.port, "lazy") as lazy, Raw(broker.port, "pub") as publisher, paho(broker.port) as reader:
            lazy.subscribe("t", 1)
            reader.subscribe("inside", 1)
            publisher.send(b"".join(packets.encode_publish("t", b"x", 1, packet_id=n) for n in range(1, 1_000)))
            eventually(lambda: broker._core.deadline() is not None, "somebody waits")
            for n in range(100):
                broker.publish("t", b"x", 1)
                broker.publish("inside", b"%d" % n, 1)
                assert reader.hear().payload == b"%d" % n
            wanted: Callable[[], bool] = partial(lambda: broker.counters.dropped == 100)
            eventually(wanted, "what does not fit is lost for the lazy one")
