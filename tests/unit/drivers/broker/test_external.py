"""The client of an external broker: mosquitto comes and goes, refuses, speaks TLS, or is not there at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.drivers.broker import external, packets
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.external import ExternalBroker, Login
from kubeedge_actors.drivers.broker.outgoing import Limits
from kubeedge_actors.drivers.broker.passwords import password_line
from kubeedge_actors.drivers.broker.tls import client_context
from kubeedge_actors.errors import UsageError
from tests.support.certificates import TestCa
from tests.support.fakes.relay import Relay
from tests.support.mqtt_clients import MqttListener, Paho, mosquitto, paho
from tests.support.plugins.ports import free_port
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    monkeypatch.setattr(external, "RETRY", (0.01, 0.05))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def client(port: int) -> Iterator[ExternalBroker]:
    with running("127.0.0.1", port) as client:
        yield client
    assert not client.is_alive


@contextmanager
def running(*arguments: Any, **more: Any) -> Iterator[ExternalBroker]:
    """A client that is started, and closed however the block ends."""
    with closing(ExternalBroker(*arguments, **more)) as client:
        client.start()
        yield client


@pytest.mark.mosquitto
def test_what_was_said_while_the_broker_was_away_arrives_when_it_is_there(
    client: ExternalBroker, port: int, tmp_path: Path
) -> None:
    ear = MqttListener()
    client.set_handler(ear)
    client.subscribe("echo/#")
    for n in range(100):
        client.publish("echo/a", b"%d" % n)
    assert client.is_alive and not client.connected.is_set()
    with mosquitto(tmp_path, port=port):
        assert [int(message.payload) for message in ear.take(100)] == list(range(100))


@pytest.mark.mosquitto
def test_an_outage_is_said_once_and_its_end_too(port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running("127.0.0.1", port) as client:
        client.subscribe("a")
        for _ in range(2):
            eventually(lambda: "can not be used: Connection refused" in caplog.text, "it is said")
            with mosquitto(tmp_path, port=port):
                eventually(lambda: "can be used again" in caplog.text, "and that it is over")
                assert caplog.text.count("Connection refused") == 1
                caplog.clear()


@pytest.mark.mosquitto
def test_subscriptions_are_made_again_after_each_loss(client: ExternalBroker, port: int, tmp_path: Path) -> None:
    ear = MqttListener()
    client.set_handler(ear)
    client.subscribe("a")
    for turn in range(3):
        with mosquitto(tmp_path, port=port):
            assert client.connected.wait(PATIENCE)
            with paho(port) as app:
                eventually(lambda: said(app, ear, b"%d" % turn), "it hears again")  # noqa: B023
        eventually(lambda: not client.connected.is_set(), "the loss is noticed")


def said(app: Paho, ear: MqttListener, payload: bytes) -> bool:
    """Say it; whether it has been heard meanwhile."""
    app.publish("a", payload, 1)
    heard = [arrival.payload for arrival in list(ear.arrivals.queue)]
    return payload in heard


@pytest.mark.mosquitto
def test_everything_is_said_with_qos_1_or_higher(client: ExternalBroker, port: int, tmp_path: Path) -> None:
    with mosquitto(tmp_path, port=port), paho(port) as app:
        app.subscribe("a", 2)
        client.publish("a", b"0", 0)
        client.publish("a", b"2", 2)
        assert sorted((message.payload, message.qos) for message in (app.hear(), app.hear())) == [(b"0", 1), (b"2", 2)]
        eventually(lambda: len(client._queue) == 0, "both are acknowledged")


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("login", "works"),
    [(Login("edge", "anna", "sesam"), True), (Login("edge", "anna", "wrong"), False), (Login("edge"), False)],
)
def test_it_logs_in_or_says_once_why_it_can_not(
    login: Login, works: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "passwords"
    file.write_text(password_line("anna", "sesam", b"0123456789ab") + "\n", encoding="utf-8")
    with (
        mosquitto(tmp_path, "allow_anonymous false", f"password_file {file}") as port,
        running("127.0.0.1", port, login) as client,
    ):
        if works:
            assert client.connected.wait(PATIENCE)
        else:
            eventually(lambda: "can not be used" in caplog.text, "it is in the log")
            assert not client.connected.wait(0.2)
    assert caplog.text.count("this client is not allowed") == (0 if works else 1)


@pytest.mark.mosquitto
def test_it_speaks_tls_and_trusts_only_its_authority(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "others").mkdir()
    ours, others = TestCa(tmp_path), TestCa(tmp_path / "others")
    files = ours.server("127.0.0.1")
    tls = (f"cafile {ours.path}", f"certfile {files.cert}", f"keyfile {files.key}", "allow_anonymous true")
    ear = MqttListener()
    with mosquitto(tmp_path, *tls) as port:
        with closing(ExternalBroker("127.0.0.1", port, tls=client_context(str(ours.path)))) as trusting:
            trusting.set_handler(ear)
            trusting.subscribe("a")
            trusting.start()
            for n in range(300):
                trusting.publish("a", b"%d" % n + b"x" * 4096)
            assert [int(message.payload.rstrip(b"x")) for message in ear.take(300)] == list(range(300))
        with running("127.0.0.1", port, tls=client_context(str(others.path))):
            eventually(lambda: "certificate verify failed" in caplog.text, "it does not trust")


def test_what_does_not_fit_while_the_broker_is_away_is_counted(port: int) -> None:
    client = ExternalBroker("127.0.0.1", port, limits=Limits(max_queued_messages=10))
    for n in range(30):
        client.publish("a", b"%d" % n)
    assert client.dropped_count == 20


@pytest.mark.mosquitto
def test_what_was_said_while_this_process_was_down_or_had_not_stored_it_comes_to_the_next_one(
    port: int, tmp_path: Path
) -> None:
    heard: list[list[bytes]] = []
    with mosquitto(tmp_path, port=port), paho(port) as app:
        for settled in (2, 0, 2):
            ear = MqttListener()
            with closing(ExternalBroker("127.0.0.1", port, Login("edge-1"))) as client:
                client.set_handler(ear, broker_id=1)
                client.subscribe("a")
                client.start()
                if not heard:
                    client.publish("a", b"0")
                    assert ear.next().payload == b"0"  # so it is subscribed
                    app.publish("a", b"1", 1)
                    app.publish("a", b"2", 1)
                heard.append([message.payload for message in ear.take(2)])
                client.acknowledge(settled)
                client.publish("settled", b"x")
                eventually(lambda: not client._queue, "it has left, and acknowledgements before it")
            if len(heard) == 1:
                app.publish("a", b"3", 1)
    assert heard == [[b"1", b"2"], [b"2", b"3"], [b"2", b"3"]]


@pytest.mark.mosquitto
def test_a_tap_that_is_full_holds_the_broker_back_and_loses_nothing(
    client: ExternalBroker, port: int, tmp_path: Path
) -> None:
    ear = MqttListener()
    ear.open = False
    client.set_handler(ear)
    client.subscribe("a")
    with mosquitto(tmp_path, port=port):
        assert client.connected.wait(PATIENCE)
        with paho(port) as app:
            for n in range(50):
                app.publish("a", b"%d" % n, 1)
            ear.open = True
            assert [int(message.payload) for message in ear.take(50)] == list(range(50))


def test_it_works_with_our_own_broker(client: ExternalBroker, port: int) -> None:
    ear = MqttListener()
    client.set_handler(ear)
    client.subscribe("$hw/#")
    with closing(EmbeddedBroker(port=port)) as broker:
        broker.start()
        assert client.connected.wait(PATIENCE)
        with paho(port) as app:
            app.publish("$hw/x", b"1", 2)
            assert ear.next().payload == b"1"


def test_a_connection_that_is_cut_in_the_middle_repeats_what_was_not_acknowledged(
    client: ExternalBroker, port: int
) -> None:
    client.publish("a", b"important")
    with socket.create_server(("127.0.0.1", port)) as server:
        with server.accept()[0] as first:
            said = answer(first)
        with server.accept()[0] as second:
            again = answer(second)
    assert packets.read_publish(said) == packets.read_publish(again)._replace(dup=False)
    assert packets.read_publish(again).dup


def answer(peer: socket.socket) -> packets.Packet:
    """Play a broker: accept the CONNECT; the first publication."""
    peer.settimeout(PATIENCE)
    decoder = packets.Decoder()
    peer.sendall(bytes((packets.CONNACK << 4, 2, 0, 0)))
    while True:
        for packet in decoder.feed(peer.recv(4096)):
            if packet.kind == packets.PUBLISH:
                return packet


@pytest.mark.parametrize("said", [b"HTTP/1.1 400\r\n\r\n", b"\x20\x02\x00\x03", b"\x30\x00", b""])
def test_a_server_that_is_no_broker_is_said_and_tried_again(
    client: ExternalBroker, port: int, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        for _ in range(3):
            peer, _ = server.accept()
            peer.sendall(said)
            peer.close()
        eventually(lambda: "can not be used" in caplog.text, "it is in the log")
    assert client.is_alive


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tcp://broker:1884", "broker:1884"),
        ("mqtt://broker", "broker:1883"),
        ("ssl://broker", "broker:8883"),
        ("mqtts://10.0.0.1:9", "10.0.0.1:9"),
        ("tcp://[::1]:1883", "::1:1883"),
    ],
)
def test_a_broker_is_given_as_a_url(url: str, address: str) -> None:
    broker = ExternalBroker.from_url(url)
    assert broker.address == address
    assert (broker._tls is not None) is url.startswith(("ssl", "mqtts"))


def test_a_url_may_hold_user_and_password() -> None:
    broker = ExternalBroker.from_url("tcp://anna:pass%20word@broker", Login("edge-1"))
    assert broker._login == Login("edge-1", "anna", "pass word")


@pytest.mark.parametrize(
    "url", ["", "broker", "broker:1883", "http://broker", "tcp://", "tcp://b:port", "tcp://b:99999"]
)
def test_a_url_that_is_none_is_a_mistake_of_a_person(url: str) -> None:
    with pytest.raises(UsageError, match="an MQTT broker is given as tcp://host:port"):
        ExternalBroker.from_url(url)


def test_a_password_in_a_wrong_url_is_not_shown() -> None:
    with pytest.raises(UsageError, match="broker") as raised:
        ExternalBroker.from_url("http://anna:s3cret@broker")
    assert "s3cret" not in str(raised.value)


def test_tls_files_that_can_not_be_used_are_a_mistake_of_a_person(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TLS files for the MQTT broker can not be used"):
        client_context(str(tmp_path / "none"))


@pytest.mark.mosquitto
def test_it_can_be_closed_again(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as port:
        with running("127.0.0.1", port) as client:
            assert client.connected.wait(PATIENCE)
            client.close()
        with paho(port) as app:
            assert isinstance(app, Paho)


def test_subscriptions_that_come_and_go_while_the_broker_is_away_leave_nothing(client: ExternalBroker) -> None:
    for number in range(1_000):
        client.subscribe(f"a/{number}")
        client.unsubscribe(f"a/{number}")
    assert not client._control_packets
    assert not client._known


@pytest.mark.mosquitto
def test_what_is_unsubscribed_while_the_broker_is_away_its_session_forgets(port: int, tmp_path: Path) -> None:
    ear = MqttListener()
    with mosquitto(tmp_path) as behind, running("127.0.0.1", port, Login("edge")) as client:
        client.set_handler(ear)
        for filter in ("a", "b"):
            client.subscribe(filter)
        relay = Relay(port, behind)
        assert client.connected.wait(PATIENCE)
        relay.stop()
        eventually(lambda: not client.connected.is_set(), "the loss is noticed")
        client.unsubscribe("a")
        relay.start()
        eventually(lambda: client._known == {"b"}, "the broker has answered")
        with paho(behind) as app:
            app.publish("a", b"a", 1)
            app.publish("b", b"b", 1)
        assert ear.next().payload == b"b"
        relay.stop()


def test_a_handshake_of_tls_that_hangs_does_not_hold_up_the_end(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "CONNECT_WITHIN", 3600.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = ExternalBroker("127.0.0.1", silent.getsockname()[1], tls=client_context())
        client.start()
        peer, _ = silent.accept()
        with peer:
            assert peer.recv(1), "it has begun"
            ending = threading.Thread(target=client.close, name="end")
            ending.start()
            ending.join(PATIENCE)
            assert not ending.is_alive()
