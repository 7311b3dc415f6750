"""The embedded broker's life.

Strangers at its door, passwords, taken ports, restarts, many threads, mosquitto's clients.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.packets import Publish
from kubeedge_actors.drivers.broker.passwords import Passwords, password_line
from kubeedge_actors.errors import BrokerError
from tests.support.mqtt_clients import Paho, Raw, connack, paho
from tests.support.processes import child
from tests.support.waiting import PATIENCE, eventually

TOPIC = "$hw/events/device/default/lamp/twin/update"


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(port=0)
    broker.start()
    yield broker
    broker.close()


# --- strangers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\xff",
        b"\x10\x00",
        b"\x10\x04\x00\x04MQ",
        bytes.fromhex("100c00044d5154540402003c0005ff"),
        bytes.fromhex("101000044d51545405c2003c0000000161000162"),  # MQTT 5
        b"\x00" * 100,
    ],
)
def test_whatever_a_stranger_sends_ends_only_his_own_connection(broker: EmbeddedBroker, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), PATIENCE) as stranger:
        stranger.sendall(data)
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(100):
            pass
    with paho(broker.port) as app:
        app.publish("a", b"x", 1)
    assert broker.is_alive


@pytest.mark.parametrize("packet", [b"\xf0\x00", b"\x36\x00", b"\x10\x00", b"\x20\x02\x00\x00", b"\x30\x03\x00\x01#"])
def test_a_client_that_breaks_the_rules_is_gone_and_his_will_is_said(broker: EmbeddedBroker, packet: bytes) -> None:
    with paho(broker.port) as app:
        app.subscribe("will", 1)
        with Raw(broker.port, "rude", will=("will", b"rude")) as peer:
            peer.send(packet)
            assert app.hear().payload == b"rude"
            assert peer.closed()


def test_a_taken_port_is_one_plain_sentence_and_no_traceback(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BrokerError) as refused:
        EmbeddedBroker(port=broker.port).start()
    assert str(refused.value) == f"port {broker.port} of 127.0.0.1 can not be had for MQTT: address already in use"
    assert caplog.text == ""
    with pytest.raises(BrokerError, match=r"port 1883 of no\.such\.host can not be had for MQTT"):
        EmbeddedBroker("no.such.host", passwords=Passwords(Path("/dev/null"))).start()


def test_it_serves_other_machines_only_with_passwords() -> None:
    with pytest.raises(BrokerError, match="that needs a password file"):
        EmbeddedBroker("0.0.0.0", 0).start()


def test_with_a_password_file_everybody_needs_a_password(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("# users\n" + password_line("anna", "sesam", b"0123456789ab") + "\n", encoding="utf-8")
    broker = EmbeddedBroker("0.0.0.0", 0, Passwords(file))
    broker.start()
    try:
        for user, password, code in (("anna", "sesam", 0), ("anna", "wrong", 5), ("otto", "sesam", 5), (None, None, 5)):
            assert connack(broker.port, user=user, password=password) == code
    finally:
        broker.close()


@pytest.mark.mosquitto
def test_it_reads_the_password_files_of_mosquitto(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    subprocess.run(("mosquitto_passwd", "-b", "-c", str(file), "anna", "sesam"), check=True, capture_output=True)
    passwords = Passwords(file)
    assert passwords.verify("anna", "sesam")
    assert not passwords.verify("anna", "sesame")


@pytest.mark.parametrize("line", ["anna", "anna:plain", "anna:$6$abc$def", "anna:$7$0$YQ==$YQ==", ":$7$1$YQ==$YQ=="])
def test_a_password_file_that_is_none_is_one_plain_sentence(tmp_path: Path, line: str) -> None:
    file = tmp_path / "passwords"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(BrokerError, match="line 1 of the password file"):
        Passwords(file)
    with pytest.raises(BrokerError, match="can not be read"):
        Passwords(tmp_path / "none")


# --- life -------------------------------------------------------------------------------------------------------------


def test_sessions_and_retained_messages_outlive_close_and_start(broker: EmbeddedBroker) -> None:
    app = Paho(broker.port, "app", clean=False)
    app.connect()
    app.subscribe("a", 1)
    app.publish("kept", b"1", 1, retain=True)
    app.disconnect()
    broker.close()
    with pytest.raises(BrokerError, match="does not run"):
        broker.publish("a", b"x")
    broker.start()
    broker.publish("a", b"missed", 1)
    again = Paho(broker.port, "app", clean=False)
    assert again.connect()[0].session_present
    assert again.hear().payload == b"missed"
    again.subscribe("kept", 1)
    assert again.hear().payload == b"1"
    again.disconnect()


def test_what_a_thread_that_broke_down_has_not_said_is_said_by_the_next_one(broker: EmbeddedBroker) -> None:
    broker.close()
    broker._outgoing.append(Publish("a", b"left", 0, True))
    broker._scheduled = True  # it broke down between the wake-up and what it was woken for
    broker.start()
    with paho(broker.port) as app:
        app.subscribe("#", 0)
        broker.publish("a", b"next")
        assert app.hear_payloads(2) == [b"left", b"next"]


def test_closing_ends_every_connection_and_thread(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = threading.active_count()
    broker = EmbeddedBroker(port=0)
    broker.start()
    peers = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(3)]
    with Raw(broker.port, "app"):
        broker.close()
    for peer in peers:
        peer.close()
    assert threading.active_count() == before
    assert not broker.is_alive
    assert caplog.text == ""


def test_publishing_from_many_threads_loses_nothing(broker: EmbeddedBroker) -> None:
    with paho(broker.port) as app:
        app.subscribe("a/+")
        threads = [threading.Thread(target=say, args=(broker, f"a/{n}")) for n in range(8)]
        for thread in threads:
            thread.start()
        heard: dict[str, list[int]] = {}
        for _ in range(8 * 500):
            message = app.hear()
            heard.setdefault(message.topic, []).append(int(message.payload))
        for thread in threads:
            thread.join()
    assert list(heard.values()) == [list(range(500))] * 8


def say(broker: EmbeddedBroker, topic: str) -> None:
    for n in range(500):
        broker.publish(topic, b"%d" % n)


@pytest.mark.mosquitto
def test_the_clients_of_mosquitto_work(broker: EmbeddedBroker) -> None:
    port = str(broker.port)
    listen = ("mosquitto_sub", "-p", port, "-t", "$hw/#", "-q", "2", "-C", "3", "-W", "10")
    with child(listen, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        eventually(lambda: broker._core._subscriptions.match(TOPIC), "it has subscribed")
        for qos in "012":
            command = ("mosquitto_pub", "-p", port, "-t", TOPIC, "-m", f"payload-{qos}", "-q", qos)
            subprocess.run(command, check=True, timeout=PATIENCE)
        lines = listener.stdout.read().splitlines()
    assert lines == ["payload-0", "payload-1", "payload-2"]
