"""What the embedded broker acknowledged is there after the end of its process, however it ended."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from kubeedge_actors.drivers.broker import packets, persistence
from kubeedge_actors.drivers.broker.base import InboundMessage
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.outgoing import Limits
from kubeedge_actors.drivers.broker.persistence import SqlitePersistence
from kubeedge_actors.drivers.broker.unit_of_work import ChangeSet
from kubeedge_actors.errors import StoreCorrupt, StoreError
from tests.support.mqtt_clients import Paho, Raw, paho
from tests.support.plugins.ports import free_port
from tests.support.processes import child
from tests.support.waiting import PATIENCE, eventually

SERVER = """
import signal, sys
from pathlib import Path
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
broker = EmbeddedBroker(port=int(sys.argv[1]), path=Path(sys.argv[2]))
broker.start()
print("ready", flush=True)
signal.pause()
"""


@contextmanager
def serving(path: Path, limits: Limits | None = None) -> Iterator[EmbeddedBroker]:
    """A broker that remembers what one before it left in this file."""
    broker = EmbeddedBroker(port=0, path=path, limits=limits or Limits(max_inflight_messages=4))
    with closing(broker):
        broker.start()
        yield broker


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mqtt.db"


def absent(port: int, *filters: str, qos: int = 2) -> None:
    """A client that subscribes and leaves, to come back."""
    with Raw(port, "away", clean=False) as peer:
        for filter in filters:
            peer.subscribe(filter, qos)
        peer.send(packets.DISCONNECT_PACKET)
        assert peer.closed()


def test_retained_messages_survive_and_cleared_ones_do_not(path: Path) -> None:
    with serving(path) as broker, paho(broker.port) as app:
        for topic, payload in (("a", b"old"), ("a", b"1"), ("b", b"2"), ("b", b""), ("$c", b"3")):
            app.publish(topic, payload, 1, retain=True)
    with serving(path) as broker, paho(broker.port) as app:
        app.subscribe("$c", 1)
        app.subscribe("#", 1)
        heard = [app.hear() for _ in range(2)]
        assert sorted((message.topic, bytes(message.payload), message.qos, message.retain) for message in heard) == [
            ("$c", b"3", 1, True),
            ("a", b"1", 1, True),
        ]
        assert app.silent()


def test_subscriptions_and_what_waits_survive_in_order(path: Path) -> None:
    with serving(path) as broker:
        absent(broker.port, "a/#", "gone")
        with Raw(broker.port, "away", clean=False) as peer:
            peer.send(packets.encode_unsubscribe(3, ["gone"]))
            peer.next()
            peer.send(packets.DISCONNECT_PACKET)
        with paho(broker.port) as device:
            for n in range(10):
                device.publish("a/b", b"%d" % n, 1)
            device.publish("gone", b"x", 1)
    with serving(path) as broker:
        with paho(broker.port) as device:
            device.publish("a/b", b"10", 1)
        app = Paho(broker.port, "away", clean=False)
        assert app.connect()[0].session_present
        assert app.hear_payloads(11) == [b"%d" % n for n in range(11)]
        app.disconnect()


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_on_its_way_keeps_its_packet_id(path: Path, qos: int) -> None:
    with serving(path) as broker, Raw(broker.port, "app", clean=False) as peer:
        peer.subscribe("a", qos)
        for n in range(6):
            broker.publish("a", b"%d" % n, qos)
        first = [packets.read_publish(peer.next()) for _ in range(4)]
    with serving(path) as broker, Raw(broker.port, "app", clean=False) as peer:
        assert [packets.read_publish(peer.next()) for _ in range(4)] == [
            message._replace(dup=True) for message in first
        ]
        kind = packets.PUBACK if qos == 1 else packets.PUBREC
        peer.send(packets.encode_ack(kind, first[0].packet_id))
        answer = peer.next()
        if qos == 2:
            assert (answer.kind, packets.read_ack(answer)) == (packets.PUBREL, first[0].packet_id)
            peer.send(packets.encode_ack(packets.PUBCOMP, first[0].packet_id))
            answer = peer.next()
        fresh = packets.read_publish(answer)
        assert (fresh.payload, fresh.dup) == (b"4", False)
        assert fresh.packet_id not in {message.packet_id for message in first}


def test_what_was_acknowledged_is_not_said_again(path: Path) -> None:
    with serving(path) as broker:
        app = Paho(broker.port, "app", clean=False)
        app.connect()
        app.subscribe("a", 2)
        for n in range(20):
            broker.publish("a", b"%d" % n, 1 + n % 2)
        assert len(app.hear_payloads(20)) == 20
        app.disconnect()
        eventually(lambda: not broker._core.sessions["app"].outgoing, "everything is acknowledged")
    with serving(path) as broker, Raw(broker.port, "app", clean=False) as peer:
        peer.send(packets.PINGREQ_PACKET)
        assert peer.next().kind == packets.PINGRESP


def test_qos_2_is_heard_once_when_it_is_said_again_to_the_next_process(path: Path) -> None:
    message = packets.encode_publish("a", b"once", 2, packet_id=9)
    with serving(path) as broker:
        absent(broker.port, "a")
        with Raw(broker.port, "device", clean=False) as device:
            device.send(message)
            assert device.next().kind == packets.PUBREC
    with serving(path) as broker, Raw(broker.port, "device", clean=False) as device:
        assert device.present
        device.send(packets.encode_publish("a", b"once", 2, packet_id=9, dup=True))
        assert device.next().kind == packets.PUBREC
        device.send(packets.encode_ack(packets.PUBREL, 9))
        assert device.next().kind == packets.PUBCOMP
        device.send(packets.encode_publish("a", b"another", 2, packet_id=9))
        assert device.next().kind == packets.PUBREC
        app = Paho(broker.port, "away", clean=False)
        app.connect()
        assert app.hear_payloads(2) == [b"once", b"another"]
        app.disconnect()


def test_a_clean_session_leaves_nothing_behind(path: Path) -> None:
    with serving(path) as broker:
        absent(broker.port, "a", "b")
        broker.publish("a", b"x", 1)
        with Raw(broker.port, "away", clean=True):
            pass
    with closing(sqlite3.connect(path)) as database:
        for table in ("client", "subscription", "message", "received"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_a_session_is_not_for_another_user(path: Path) -> None:
    with serving(path) as broker:
        absent(broker.port, "a")
    with serving(path) as broker, Raw(broker.port, "away", clean=False, user="otto", password="x") as peer:
        assert not peer.present


class Held:
    """Commits wait while `gate` is not set; `refusals` of them fail first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusals: int = 0) -> None:
        self.gate, self.entered, self.refusals = threading.Event(), threading.Event(), refusals
        self._write = SqlitePersistence._write
        monkeypatch.setattr(SqlitePersistence, "_write", lambda file, changes: self.write(file, changes))
        monkeypatch.setattr(persistence, "AGAIN", 0.01)

    def write(self, file: SqlitePersistence, changes: ChangeSet) -> None:
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        if self.refusals:
            self.refusals -= 1
            raise sqlite3.OperationalError("database or disk is full")
        self._write(file, changes)


@pytest.mark.parametrize("qos", [1, 2])
def test_nothing_that_has_to_be_kept_is_acknowledged_before_the_commit(
    path: Path, monkeypatch: pytest.MonkeyPatch, qos: int
) -> None:
    with serving(path) as broker:
        absent(broker.port, "a")
        held = Held(monkeypatch)
        with Raw(broker.port, "device") as device, Raw(broker.port, "other") as other:
            device.send(packets.encode_publish("b", b"nobody keeps it", 1, packet_id=6))
            assert device.next().kind == packets.PUBACK
            device.send(
                packets.encode_publish("a", b"x", qos, packet_id=7)
                + packets.encode_publish("b", b"y", qos, packet_id=8)
            )
            other.subscribe("b", 0)
            device.send(packets.encode_publish("b", b"others are served meanwhile") + packets.PINGREQ_PACKET)
            assert packets.read_publish(other.next()).payload in (b"y", b"others are served meanwhile")
            assert device.next().kind == packets.PINGRESP
            held.gate.set()
            assert [packets.read_ack(device.next()) for _ in range(2)] == [7, 8]


def test_a_full_disk_delays_acknowledgements_and_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with serving(path) as broker:
        absent(broker.port, "a")
        held = Held(monkeypatch, refusals=3)
        with Raw(broker.port, "device") as device:
            device.send(packets.encode_publish("a", b"0", 1, packet_id=1))
            assert held.entered.wait(PATIENCE)
            for n in range(1, 5):  # these wait while the first is refused
                device.send(packets.encode_publish("a", b"%d" % n, 1, packet_id=n + 1) + packets.PINGREQ_PACKET)
                assert device.next().kind == packets.PINGRESP
            held.gate.set()
            assert [packets.read_ack(device.next()) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert caplog.text.count("are not acknowledged until it works again") == 1
    assert caplog.text.count("mqtt.db can be used again") == 1
    with serving(path) as broker:
        app = Paho(broker.port, "away", clean=False)
        app.connect()
        assert app.hear_payloads(5) == [b"%d" % n for n in range(5)]
        app.disconnect()


def test_a_damaged_file_is_one_plain_sentence(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreCorrupt, match=r"the MQTT database .*mqtt\.db is damaged or is not a database"):
        EmbeddedBroker(port=0, path=path).start()
    with pytest.raises(StoreError, match="can not be used"):
        EmbeddedBroker(port=0, path=path.parent / "none" / "mqtt.db").start()


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        EmbeddedBroker(port=0, path=path).start()


def test_a_node_that_remembers_nothing_needs_no_thread_for_it(path: Path) -> None:
    with serving(path) as broker, paho(broker.port) as app:
        app.subscribe("a", 1)
        app.publish("a", b"x", 1)
        app.hear()
        assert "broker-persistence" not in {thread.name for thread in threading.enumerate()}


# --- what is taken inside ---------------------------------------------------------------------------------------------


def test_what_is_taken_inside_is_acknowledged_when_it_is_settled_and_in_order(path: Path) -> None:
    offered: list[InboundMessage] = []

    def tap(message: InboundMessage) -> bool:
        offered.append(message)
        return True

    with serving(path) as broker:
        broker.set_handler(tap, broker_id=5)
        broker.subscribe("a")
        with Raw(broker.port, "device") as device:
            device.send(
                b"".join(
                    packets.encode_publish("a", b"x", qos, packet_id=n) for n, qos in ((1, 1), (2, 0), (3, 2), (4, 1))
                )
            )
            device.send(packets.encode_publish("b", b"x", 1, packet_id=5) + packets.PINGREQ_PACKET)
            assert device.next().kind == packets.PINGRESP
            assert [(arrival.delivery_tag, arrival.broker_id) for arrival in offered] == [
                (1, 5),
                (0, 5),
                (2, 5),
                (3, 5),
            ]
            broker.acknowledge(2)
            assert [(each.kind, packets.read_ack(each)) for each in (device.next(), device.next())] == [
                (packets.PUBACK, 1),
                (packets.PUBREC, 3),
            ]
            device.send(packets.PINGREQ_PACKET)
            assert device.next().kind == packets.PINGRESP
            broker.acknowledge(3)
            assert [packets.read_ack(device.next()) for _ in range(2)] == [4, 5]


def test_what_was_taken_and_not_settled_is_offered_again_by_the_next_process(path: Path) -> None:
    offered: list[bytes] = []

    def tap(message: InboundMessage) -> bool:
        offered.append(message.payload)
        return True

    for dup in (False, True):
        with serving(path) as broker, Raw(broker.port, "device", clean=False) as device:
            broker.set_handler(tap, broker_id=1)
            broker.subscribe("a")
            device.send(packets.encode_publish("a", b"x", 2, packet_id=7, dup=dup) + packets.PINGREQ_PACKET)
            assert device.next().kind == packets.PINGRESP
            if dup:
                broker.acknowledge(1)
                assert device.next().kind == packets.PUBREC
    assert offered == [b"x", b"x"]


# --- kill -9 ----------------------------------------------------------------------------------------------------------


@contextmanager
def process(port: int, path: Path) -> Iterator[None]:
    """A broker in a process of its own, which is killed."""
    command = (sys.executable, "-c", SERVER, str(port), str(path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with child(command, stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        yield


def test_kill_9_loses_nothing_that_was_acknowledged(path: Path) -> None:
    port = free_port()
    acknowledged: list[bytes] = []
    for turn in range(3):
        with process(port, path):
            if turn == 0:
                absent(port, "a")
            with Raw(port, "device", clean=False) as device:
                for n in range(turn * 100, turn * 100 + 100):
                    qos = 1 + n % 2
                    device.send(packets.encode_publish("a", b"%d" % n, qos, packet_id=n + 1))
                    if n % 100 == 99:
                        break  # killed with this one in the air
                    assert packets.read_ack(device.next()) == n + 1
                    acknowledged.append(b"%d" % n)
                    if qos == 2:
                        device.send(packets.encode_ack(packets.PUBREL, n + 1))
                        assert device.next().kind == packets.PUBCOMP
    with process(port, path):
        app = Paho(port, "away", clean=False)
        assert app.connect()[0].session_present
        heard: list[bytes] = []
        while not set(heard) >= set(acknowledged):
            heard.append(bytes(app.hear().payload))
        app.disconnect()
    assert len(heard) == len(set(heard))
    for qos in (1, 2):  # paho hands on what has QoS 2 later, when its hand-shake has ended
        mine = [number for number in heard if number in set(acknowledged) and 1 + int(number) % 2 == qos]
        assert mine == [number for number in acknowledged if 1 + int(number) % 2 == qos]
