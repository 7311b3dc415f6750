"""What MQTT can not say is refused at the door, and a file that holds it heals: nobody is thrown out because of it."""

from __future__ import annotations

import logging
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.base import Broker
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.external import ExternalBroker
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.drivers.broker.packets import Decoder, Publish, checked_filter, checked_publish
from kubeedge_actors.drivers.broker.persistence import TOLD, SqlitePersistence
from kubeedge_actors.errors import BrokerError
from tests.support.mqtt_clients import Paho, Raw, connect, paho
from tests.support.waiting import PATIENCE

BAD: list[tuple[Any, ...]] = [
    (5, b"x", 0, False),
    (None, b"x", 0, False),
    ("", b"x", 0, False),
    ("a/+", b"x", 0, False),
    ("a\0", b"x", 1, True),
    ("a\ud800", b"x", 1, True),
    ("a" * 65_536, b"x", 0, False),
    ("a", "hot", 1, True),
    ("a", 5, 0, False),
    ("a", None, 0, False),
    ("a", ["x"], 0, True),
    ("a", b"x", 3, False),
    ("a", b"x", -1, False),
    ("a", b"x", "1", False),
    ("a", b"x", 1.0, False),
    ("a", b"x", 1, "yes"),
    ("a", b"x", 1, 1),
]
BAD_FILTERS: list[Any] = [5, None, [], "", "a\0", "a\ud800", "a/#/b", b"a"]


@pytest.fixture(params=[FakeBroker, lambda: EmbeddedBroker(port=0), lambda: ExternalBroker("127.0.0.1", 1)])
def broker(request: pytest.FixtureRequest) -> Broker:
    make: Callable[[], Broker] = request.param
    return make()


@pytest.mark.parametrize("said", BAD, ids=lambda each: repr(each)[:40])
def test_a_publication_that_can_not_be_encoded_is_refused_in_one_sentence(
    broker: Broker, said: tuple[Any, ...]
) -> None:
    with pytest.raises(BrokerError) as caught:
        broker.publish(*said)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("filter", BAD_FILTERS, ids=repr)
def test_a_filter_of_a_wrong_type_is_refused_both_ways(broker: Broker, filter: Any) -> None:
    for change in (broker.subscribe, broker.unsubscribe):
        with pytest.raises(BrokerError, match="filter"):
            change(filter)


def test_a_payload_may_be_any_sort_of_bytes() -> None:
    for payload in (bytearray(b"x"), memoryview(b"x")):
        assert checked_publish("a", payload, 1, True) == Publish("a", b"x", 1, True)


def test_a_payload_that_no_packet_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "LONGEST_ENCODABLE", 20)
    assert checked_publish("t", b"x" * 15, 1, False).payload
    with pytest.raises(BrokerError, match="16 bytes is too long"):
        checked_publish("t", b"x" * 16, 1, False)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.text()),
)


@given(st.one_of(st.text(), ANYTHING), ANYTHING, ANYTHING, ANYTHING)
def test_what_is_taken_can_be_encoded_and_read_again(
    topic: object, payload: object, qos: object, retain: object
) -> None:
    try:
        message = checked_publish(topic, payload, qos, retain)
    except BrokerError:
        return
    (packet,) = Decoder().feed(packets.encode_publish(*message[:4], packet_id=1 if message.qos else 0))
    assert packets.read_publish(packet)[:4] == message[:4]


@given(ANYTHING)
def test_a_filter_that_is_taken_can_be_encoded_and_read_again(filter: object) -> None:
    try:
        checked_filter(filter)
    except BrokerError:
        return
    (packet,) = Decoder().feed(packets.encode_subscribe(1, [(filter, 1)]))  # type: ignore[list-item]
    assert packets.read_subscribe(packet) == (1, [(filter, 1)])


def test_the_embedded_broker_goes_on_after_what_it_refused(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with closing(EmbeddedBroker(port=0, path=tmp_path / "mqtt.db")) as broker:
        broker.start()
        with paho(broker.port) as app:
            app.subscribe("#", 1)
            for said in BAD:
                with pytest.raises(BrokerError):
                    broker.publish(*said)
            broker.publish("a", b"good", 1, True)
            assert app.hear().payload == b"good"
    assert caplog.records == []
    with closing(sqlite3.connect(tmp_path / "mqtt.db")) as file:
        assert file.execute("SELECT topic, payload FROM retained").fetchall() == [("a", b"good")]


@pytest.mark.parametrize("topic", ["a\0b", "a/+", "\ud800"])
def test_a_will_that_can_not_be_said_is_refused_with_its_connect(topic: str) -> None:
    raw = topic.encode(errors="surrogatepass")
    hello = connect("c", will=("w" * len(raw), b"x")).replace(b"w" * len(raw), raw)
    with closing(EmbeddedBroker(port=0)) as broker:
        broker.start()
        with socket.create_connection(("127.0.0.1", broker.port), PATIENCE) as peer:
            peer.sendall(hello)
            assert peer.recv(100) == b""


@pytest.mark.parametrize("place", ["client_id", "user"])
def test_a_client_or_user_that_is_no_utf_8_is_nobody(place: str) -> None:
    """amqtt would call it "b'\\xff'", which is the name of somebody else."""
    hello = connect("www" if place == "client_id" else "c", user="www").replace(b"www", b"a\xffb")
    with closing(EmbeddedBroker(port=0)) as broker:
        broker.start()
        with socket.create_connection(("127.0.0.1", broker.port), PATIENCE) as peer:
            peer.sendall(hello)
            assert peer.recv(100) == b""


# --- a file that holds it -----------------------------------------------------------------------------------------------


def damaged(path: Path, *statements: str) -> None:
    """A file as a broker leaves it, with a session `app`, changed by somebody."""
    store = SqlitePersistence(path, lambda _: None)
    store.open()
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for statement in (
            "INSERT INTO client VALUES ('app', NULL)",
            "INSERT INTO subscription VALUES ('app', '#', 1)",
            "INSERT INTO retained VALUES ('good', x'31', 1)",
            "INSERT INTO message VALUES (7, 'app', 0, 0, 'good', x'32', 1, 0)",
            *statements,
        ):
            file.execute(statement)


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as file:
        file.text_factory = lambda raw: raw.decode(errors="replace")
        tables = ("client", "subscription", "message", "received", "retained")
        return {table: file.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "INSERT INTO retained VALUES ('bad', 'hot', 1)",
            "the payload of a publication is bytes, not str (topic 'bad')",
        ),
        ("INSERT INTO retained VALUES ('bad', 5, 1)", "not int (topic 'bad')"),
        ("INSERT INTO retained VALUES ('bad', NULL, 1)", "not NoneType (topic 'bad')"),
        ("INSERT INTO retained VALUES ('bad', x'31', 3)", "the QoS of a publication is 0, 1 or 2 (topic 'bad')"),
        ("INSERT INTO retained VALUES ('bad', x'31', 'x')", "the QoS of a publication is 0, 1 or 2 (topic 'bad')"),
        ("INSERT INTO retained VALUES (x'6261', x'31', 1)", "the topic of a publication is text, not bytes"),
        (
            "INSERT INTO retained VALUES (CAST(x'61ff' AS TEXT), x'31', 1)",
            "the topic of a publication is text, not bytes",
        ),
        (
            "INSERT INTO retained VALUES (CAST(x'eda080' AS TEXT), x'31', 1)",
            "the topic of a publication is text, not bytes",
        ),
        ("INSERT INTO retained VALUES ('a' || char(0), x'31', 1)", r"'a\x00' is not an MQTT topic"),
        ("INSERT INTO retained VALUES ('a/+', x'31', 1)", "'a/+' is not an MQTT topic"),
        ("INSERT INTO message VALUES (8, 'app', 0, 0, 'bad', 'hot', 1, 0)", "bytes, not str (topic 'bad')"),
        ("INSERT INTO message VALUES (8, 'app', 0, 0, 'bad', x'31', 0, 0)", "waits for nobody (topic 'bad')"),
        ("INSERT INTO message VALUES (8, 'app', 0, 0, 'bad', x'31', 9, 0)", "0, 1 or 2 (topic 'bad')"),
        ("INSERT INTO message VALUES (8, 'app', 'x', 0, 'bad', x'31', 1, 0)", "not a number (topic 'bad')"),
        ("INSERT INTO message VALUES (8, 'app', 65536, 0, 'bad', x'31', 1, 0)", "not a number (topic 'bad')"),
        ("INSERT INTO message VALUES (8, 'app', 0, 0, CAST(x'ff' AS TEXT), x'31', 1, 0)", "text, not bytes"),
        ("INSERT INTO subscription VALUES ('app', 'a/#/b', 1)", "'a/#/b' is not a filter of MQTT topics"),
        ("INSERT INTO subscription VALUES ('app', x'61', 1)", "a filter of MQTT topics is text, not bytes"),
        ("INSERT INTO subscription VALUES ('app', 'bad', 7)", "0, 1 or 2 (filter 'bad')"),
        ("INSERT INTO received VALUES ('app', 'x')", "it has no packet id"),
        ("INSERT INTO client VALUES (x'62', NULL)", "the client id or the user is not text"),
        ("INSERT INTO client VALUES ('bad', x'62')", "the client id or the user is not text"),
    ],
)
def test_a_row_that_can_not_be_sent_is_removed_at_the_start_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, statement: str, told: str
) -> None:
    whole, path = tmp_path / "whole.db", tmp_path / "mqtt.db"
    damaged(whole)
    damaged(path, statement)
    with closing(EmbeddedBroker(port=0, path=path)) as broker:
        broker.start()
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert told in record.message and "is removed" in record.message and str(path) in record.message
        assert contents(path) == contents(whole)
        fresh = Paho(broker.port, "fresh")
        fresh.connect()
        fresh.subscribe("#", 1)
        assert fresh.hear().topic == "good"
        back = Paho(broker.port, "app", clean=False)
        assert back.connect()[0].session_present
        assert back.hear().payload == b"2"
        broker.publish("end", b"x", 1)
        assert [fresh.hear().topic, back.hear().topic] == ["end", "end"]
        for client in (fresh, back):
            assert client.gone() == 0
            client.disconnect()
    caplog.clear()
    with closing(EmbeddedBroker(port=0, path=path)) as broker:
        broker.start()
    assert caplog.records == []


def test_two_messages_with_one_packet_id_are_not_both_on_their_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = "INSERT INTO message VALUES ({}, 'app', 3, 0, '{}', x'31', 1, 0)"
    damaged(tmp_path / "mqtt.db", row.format(8, "first"), row.format(9, "second"))
    with closing(EmbeddedBroker(port=0, path=tmp_path / "mqtt.db")) as broker:
        broker.start()
        with Raw(broker.port, "app", clean=False) as peer:
            assert [packets.read_publish(peer.next()).topic for _ in range(2)] == ["first", "good"]
    assert "used twice (topic 'second')" in caplog.text


def test_of_many_bad_rows_the_first_are_named_and_the_others_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mqtt.db"
    damaged(path, *(f"INSERT INTO retained VALUES ('bad/{n:02}', 'hot', 1)" for n in range(TOLD + 5)))
    with closing(EmbeddedBroker(port=0, path=path)) as broker:
        broker.start()
    assert len(caplog.records) == TOLD + 1
    assert "5 more rows of 'retained' are removed" in caplog.text
    assert contents(path)["retained"] == [("good", b"1", 1)]
