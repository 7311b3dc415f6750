"""The options about MQTT lead to the brokers that were meant, or to one plain sentence."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeedge_actors.assembly.mqtt import BOTH, EXTERNAL, FILE, INTERNAL, make_brokers
from kubeedge_actors.config import EdgeConfig
from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.base import InboundMessage
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.external import ExternalBroker, Login
from kubeedge_actors.drivers.broker.outgoing import MAX_PACKET_ID, Limits
from kubeedge_actors.drivers.broker.passwords import password_line
from kubeedge_actors.errors import BrokerError, UsageError
from kubeedge_actors.options.config_reader import merge_config
from kubeedge_actors.options.edge import EDGE
from kubeedge_actors.options.parsers import parser
from tests.support.certificates import TestCa
from tests.support.mqtt_clients import Raw, connack
from tests.support.plugins.ports import free_port
from tests.support.waiting import PATIENCE

URL = "tcp://127.0.0.1:1"
Given = Callable[..., EdgeConfig]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    def config(*line: str) -> EdgeConfig:
        options = parser("edge").parse_args(["--mqtt-port", str(free_port()), *line])
        return merge_config(EdgeConfig, {"data_dir": tmp_path, "name": "edge-1"}, EDGE.parse_options(options))

    return config


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ((), [EmbeddedBroker]),
        (("--mqtt", URL), [ExternalBroker]),
        (("--mqtt", URL, "--mqtt-mode", str(INTERNAL)), [EmbeddedBroker]),
        (("--mqtt", URL, "--mqtt-mode", str(BOTH)), [EmbeddedBroker, ExternalBroker]),
        (("--mqtt", URL, "--mqtt-mode", str(EXTERNAL)), [ExternalBroker]),
    ],
)
def test_the_mode_says_which_brokers_there_are(given: Given, line: tuple[str, ...], kinds: list[type]) -> None:
    assert [type(broker) for broker in make_brokers(given(*line))] == kinds


def test_limits_are_options_with_the_names_of_mosquitto(given: Given) -> None:
    def of(*line: str) -> Limits:
        (broker,) = make_brokers(given(*line))
        assert isinstance(broker, EmbeddedBroker)
        return broker._core._limits

    assert of() == Limits()
    arguments = ["--mqtt-max-inflight-messages", "70000", "--mqtt-max-queued-messages", "7"]
    arguments += ["--mqtt-max-queued-bytes", "100", "--mqtt-slow-subscriber-timeout", "2.5"]
    assert of(*arguments) == Limits(MAX_PACKET_ID, 7, 100, slow_subscriber_timeout=2.5)


@pytest.mark.parametrize("mode", [BOTH, EXTERNAL])
def test_a_mode_with_an_external_broker_needs_its_address(given: Given, mode: int) -> None:
    with pytest.raises(UsageError, match=f"--mqtt-mode {mode} needs --mqtt"):
        make_brokers(given("--mqtt-mode", str(mode)))


def test_a_login_comes_from_its_file_the_configuration_or_the_address(given: Given, tmp_path: Path) -> None:
    file = tmp_path / "login"
    file.write_text("anna:se:sam\n", encoding="utf-8")

    def of(config: EdgeConfig) -> Login:
        (broker,) = make_brokers(config)
        assert isinstance(broker, ExternalBroker)
        return broker._login

    def login(*line: str) -> Login:
        return of(given("--mqtt", *line))

    assert login(URL, "--mqtt-login", str(file)) == Login("kubeedge-actors-edge-1", "anna", "se:sam")
    written = EdgeConfig(name="edge-1", mqtt=URL, mqtt_user="otto", mqtt_password="x")
    assert of(written) == Login("kubeedge-actors-edge-1", "otto", "x")
    assert login("tcp://eva:y@127.0.0.1") == Login("kubeedge-actors-edge-1", "eva", "y")
    assert login(URL) == Login("kubeedge-actors-edge-1")
    with pytest.raises(UsageError, match="can not be read"):
        login(URL, "--mqtt-login", str(tmp_path / "none"))


def test_the_embedded_broker_gets_passwords_rules_tls_and_a_memory(given: Given, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text(password_line("anna", "sesam", b"0123456789ab"), encoding="utf-8")
    (tmp_path / "acl").write_text("user anna\ntopic a/#\n", encoding="utf-8")
    files = TestCa(tmp_path).server("127.0.0.1")
    line = (
        "--mqtt-passwords",
        str(tmp_path / "passwords"),
        "--mqtt-acl",
        str(tmp_path / "acl"),
        "--mqtt-tls-port",
        "0",
    )
    (broker,) = make_brokers(given(*line, "--mqtt-tls-cert", files.cert, "--mqtt-tls-key", files.key))
    assert isinstance(broker, EmbeddedBroker)
    broker.start()
    try:
        assert broker.secure_port
        assert (tmp_path / FILE).exists()
        assert connack(broker.port) == packets.NOT_AUTHORIZED
        with Raw(broker.port, user="anna", password="sesam") as peer:
            peer.send(packets.encode_subscribe(1, [("a/b", 1), ("b", 1)]))
            assert packets.read_suback(peer.next()) == (1, [1, packets.SUBACK_FAILURE])
    finally:
        broker.close()


def test_anonymous_clients_are_for_loopback_only(given: Given) -> None:
    (broker,) = make_brokers(given("--mqtt-host", "0.0.0.0"))
    with pytest.raises(BrokerError, match=r"MQTT on 0\.0\.0\.0 is open to other machines: that needs a password file"):
        broker.start()


def test_what_is_kept_is_held_up_until_somebody_listens(given: Given) -> None:
    (broker,) = make_brokers(given(), ("kept/#",))
    assert isinstance(broker, EmbeddedBroker)
    broker.start()
    arrivals: queue.Queue[InboundMessage] = queue.Queue()

    def tap(message: InboundMessage) -> bool:
        arrivals.put(message)
        return True

    try:
        with Raw(broker.port, "early") as peer, Raw(broker.port, "other") as other:
            peer.send(packets.encode_publish("kept/a", b"x", 1, packet_id=1))
            other.send(packets.encode_publish("free", b"x", 1, packet_id=2))
            assert packets.read_ack(other.next()) == 2
            broker.set_handler(tap, broker_id=1)
            assert arrivals.get(timeout=PATIENCE) == InboundMessage("kept/a", b"x", 1, False, 1, 1)
            broker.acknowledge(1)
            assert packets.read_ack(peer.next()) == 1
    finally:
        broker.close()
