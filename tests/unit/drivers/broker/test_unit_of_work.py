"""A broker that ends at any moment: what it told anybody rests on what is committed, and nothing it told is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.acl import ClientIdentity
from kubeedge_actors.drivers.broker.core import REMEMBERED, BrokerCore
from kubeedge_actors.drivers.broker.outgoing import Limits
from kubeedge_actors.drivers.broker.packets import Decoder, Packet, Publish
from kubeedge_actors.drivers.broker.persistence import SqlitePersistence
from kubeedge_actors.drivers.broker.session import Session
from kubeedge_actors.drivers.broker.unit_of_work import ChangeSet, StoredMessage, StoredState, UnitOfWork
from tests.support.plugins.hypothesis_profile import examples

LIMITS = Limits(max_inflight_messages=2, max_queued_messages=3)


class Disk:
    """What is committed, as plainly as possible: the model that SQLite is compared with below."""

    def __init__(self) -> None:
        self.committed = ChangeSet()

    def commit(self, changes: ChangeSet) -> None:
        """Committed together, or not at all."""
        self.committed.messages |= changes.messages
        for number, (packet_id, released) in changes.updates.items():
            row = self.committed.messages[number]
            self.committed.messages[number] = row._replace(packet_id=packet_id, released=released)
        for number in changes.deleted:
            self.committed.messages.pop(number, None)
        for name in ("clients", "subscriptions", "received", "retained"):
            mine = getattr(self.committed, name)
            mine |= getattr(changes, name)

    def memory(self) -> StoredState:
        """What the next process finds."""
        committed = self.committed
        return StoredState(
            clients=[value for value in committed.clients.values() if value],
            subscriptions=[(c, f, q) for (c, f), q in committed.subscriptions.items() if q is not None],
            messages=sorted(committed.messages.items()),
            received=[key for key, there in committed.received.items() if there],
            retained=[Publish(t, *row, True) for t, row in committed.retained.items() if row],
        )


class Endings(RuleBasedStateMachine):
    """A publisher and a subscriber with sessions, both following MQTT, and a broker that is killed now and then.

    The subscriber's queue is short, so that acknowledgements wait for room in it as well as for commits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk()
        self.said: list[bytes] = []
        self.acknowledged: set[bytes] = set()
        self.flying: dict[int, tuple[Publish, bool]] = {}
        self.got: list[bytes] = []
        self.holding: set[int] = set()
        self.numbers = 0
        self.boot()
        self.receive(self.subscriber, packets.encode_subscribe(1, [("q1", 1), ("q2", 2)]))
        self.commit()

    def boot(self) -> None:
        """A process begins, and both clients come back."""
        self.turns: list[tuple[int, ChangeSet]] = []
        self.journal = UnitOfWork(lambda turn, changes: self.turns.append((turn, changes)))
        self.exchange = BrokerCore(LIMITS, REMEMBERED, self.journal)
        self.exchange.restore(self.disk.memory())
        self.inbox: list[Packet] = []
        self.outbox: list[Packet] = []
        self.publisher = self.enter("publisher", self.outbox)
        self.subscriber = self.enter("subscriber", self.inbox)

    def enter(self, name: str, heard: list[Packet]) -> Session:
        session, present = self.exchange.open_session(name, False)
        session.attach(lambda data: heard.extend(Decoder().feed(data)), lambda: 1 << 20)
        self.exchange.on_connected(session, present=present)
        self.exchange.flush()
        return session

    def receive(self, session: Session, data: bytes) -> None:
        for packet in Decoder().feed(data):
            assert self.exchange.handle_packet(session, packet)
        self.exchange.flush()

    @rule(qos=st.sampled_from([1, 2]))
    def publish(self, qos: int) -> None:
        self.numbers += 1
        payload = b"%d" % self.numbers
        message = Publish(f"q{qos}", payload, qos, packet_id=self.numbers)
        self.said.append(payload)
        self.flying[self.numbers] = (message, False)
        self.receive(self.publisher, packets.encode_publish(message.topic, payload, qos, packet_id=self.numbers))

    @precondition(lambda self: self.outbox)
    @rule()
    def publisher_reads(self) -> None:
        packet = self.outbox.pop(0)
        if packet.kind == packets.CONNACK:
            return
        number = packets.read_ack(packet)
        if packet.kind == packets.PUBREC:
            message, _ = self.flying[number]
            self.acknowledged.add(message.payload)
            self.flying[number] = (message, True)
            self.receive(self.publisher, packets.encode_ack(packets.PUBREL, number))
        elif number in self.flying:
            self.acknowledged.add(self.flying.pop(number)[0].payload)

    @precondition(lambda self: self.inbox)
    @rule()
    def subscriber_reads(self) -> None:
        packet = self.inbox.pop(0)
        if packet.kind == packets.PUBLISH:
            message = packets.read_publish(packet)
            if message.qos == 2:
                if message.packet_id not in self.holding:
                    self.hold(message)
                self.receive(self.subscriber, packets.encode_ack(packets.PUBREC, message.packet_id))
            else:
                self.got.append(message.payload)
                self.receive(self.subscriber, packets.encode_ack(packets.PUBACK, message.packet_id))
        elif packet.kind == packets.PUBREL:
            self.holding.discard(packets.read_ack(packet))
            self.receive(self.subscriber, packets.encode_ack(packets.PUBCOMP, packets.read_ack(packet)))

    def hold(self, message: Publish) -> None:
        self.holding.add(message.packet_id)
        assert message.payload not in self.got, "exactly once"
        self.got.append(message.payload)

    @rule()
    def commit(self) -> None:
        """All that waits is committed as one, as the ledger does."""
        together, last = ChangeSet(), 0
        for turn, changes in self.turns:
            together.merge(changes)
            last = turn
        self.turns.clear()
        self.disk.commit(together)
        if last:
            self.exchange.on_committed(last)

    @rule()
    def kill(self) -> None:
        """Whatever was not committed has never been."""
        self.boot()
        for number, (message, released) in sorted(self.flying.items()):
            data = (
                packets.encode_ack(packets.PUBREL, number)
                if released
                else packets.encode_publish(message.topic, message.payload, message.qos, packet_id=number, dup=True)
            )
            self.receive(self.publisher, data)

    def teardown(self) -> None:
        while self.turns or self.inbox or self.outbox:
            self.commit()
            while self.inbox:
                self.subscriber_reads()
            while self.outbox:
                self.publisher_reads()
        assert self.acknowledged == set(self.said)
        assert set(self.got) == set(self.said)
        assert not self.disk.memory().messages
        assert not self.disk.memory().received


TestEndings = Endings.TestCase
TestEndings.settings = settings(max_examples=examples(150), stateful_step_count=60)


# --- the file does what the model does ----------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlitePersistence]:
    persistence = SqlitePersistence(tmp_path / "mqtt.db", lambda _: None)
    persistence.open()
    yield persistence
    persistence.close()


def row(client: str, packet_id: int = 0, payload: bytes = b"x") -> StoredMessage:
    return StoredMessage(client, packet_id, False, "t", payload, 1, False)


def test_what_is_committed_together_or_one_by_one_is_the_same(ledger: SqlitePersistence) -> None:
    disk = Disk()
    one, two = ClientIdentity("one"), ClientIdentity("two", "otto")
    steps = [
        ChangeSet(clients={"one": one, "two": two}, subscriptions={("one", "a"): 1, ("two", "b"): 2}),
        ChangeSet(messages={1: row("one"), 2: row("two"), 3: row("one", 5)}, received={("one", 7): True}),
        ChangeSet(updates={1: (9, False), 3: (5, True)}, retained={"t": (b"1", 1), "u": (b"2", 0)}),
        ChangeSet(
            deleted={2}, subscriptions={("one", "a"): None, ("one", "c"): 0}, retained={"u": None, "t": (b"3", 2)}
        ),
        ChangeSet(
            clients={"two": None}, subscriptions={("two", "b"): None}, received={("one", 7): False, ("one", 8): True}
        ),
    ]
    for turn, changes in enumerate(steps, 1):
        disk.commit(changes)
        ledger.commit(turn, changes)
    ledger.flush()
    loaded, wanted = ledger.load(), disk.memory()
    released = wanted.messages[1]
    wanted.messages[1] = (released[0], released[1]._replace(payload=b""))  # nobody needs it any more
    assert loaded == wanted


def test_changes_merge_in_their_order() -> None:
    first = ChangeSet(messages={1: row("a"), 2: row("a")}, retained={"t": (b"1", 1)}, deleted={7})
    first.merge(ChangeSet(deleted={1}, updates={2: (3, False)}, retained={"t": None}))
    assert first == ChangeSet(messages={2: row("a")}, updates={2: (3, False)}, retained={"t": None}, deleted={7})
