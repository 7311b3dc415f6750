"""Who may come in and do what: access lists, older password files, TLS, MQTT 5."""

from __future__ import annotations

import itertools
import queue
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.acl import RESERVED, AccessList, ClientIdentity, Permissions
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker, TlsListener
from kubeedge_actors.drivers.broker.passwords import Passwords
from kubeedge_actors.drivers.broker.tls import client_context, server_context
from kubeedge_actors.errors import BrokerError, UsageError
from kubeedge_actors.mqtt_topics import covers, matches, overlap
from tests.support.certificates import TestCa
from tests.support.mqtt_clients import Paho, Raw, connack, connect, leave, paho
from tests.support.waiting import PATIENCE

LIST = """
# what everybody without a name may do
topic read public/#

user anna
topic readwrite anna/#
topic write commands/+
topic deny anna/secret/#

pattern write devices/%c/#
pattern read users/%u/#
"""


@pytest.fixture
def access(tmp_path: Path) -> AccessList:
    path = tmp_path / "acl"
    path.write_text(LIST, encoding="utf-8")
    return AccessList(path)


# --- the list, pure -----------------------------------------------------------------------------------------------------


def test_without_a_list_everything_is_allowed_but_what_is_reserved() -> None:
    rights = Permissions()
    assert rights.may_read("$hw/x") and rights.may_write("a") and rights.may_subscribe("#")
    assert not any(rights.may_subscribe(filter) for filter in (*RESERVED, "$share/group/a"))
    assert rights.may_subscribe("test/+")


def test_a_list_allows_what_it_names_to_whom_it_names(access: AccessList) -> None:
    nobody, anna = access.permissions(ClientIdentity("c1")), access.permissions(ClientIdentity("c1", "anna"))
    assert (nobody.may_read("public/a"), nobody.may_write("public/a"), nobody.may_read("anna/a")) == (
        True,
        False,
        False,
    )
    assert (anna.may_read("anna/a"), anna.may_write("anna/a"), anna.may_read("public/a")) == (True, True, False)
    assert (anna.may_write("commands/go"), anna.may_read("commands/go")) == (True, False)
    assert not anna.may_read("anna/secret/a") and not anna.may_write("anna/secret/a")


def test_patterns_hold_for_everybody_under_their_own_names(access: AccessList) -> None:
    permissions = access.permissions(ClientIdentity("c1", "otto"))
    assert permissions.may_write("devices/c1/x") and not permissions.may_write("devices/c2/x")
    assert permissions.may_read("users/otto/x") and not permissions.may_read("users/anna/x")
    assert not access.permissions(ClientIdentity("c1")).may_read("users//x")


@pytest.mark.parametrize("name", ["+", "#", "a/b", "+/x"])
def test_a_name_with_a_wildcard_widens_no_pattern(access: AccessList, name: str) -> None:
    assert not access.permissions(ClientIdentity(name)).may_write("devices/c2/x")
    assert not access.permissions(ClientIdentity("c", name)).may_read("users/anna/x")


def test_a_name_that_a_pattern_does_not_ask_for_does_not_matter(access: AccessList) -> None:
    """The broker calls a client that has not given itself an id `amqtt/...`."""
    assert access.permissions(ClientIdentity("amqtt/rGB1Nj1p3xGQKE1R", "otto")).may_read("users/otto/x")
    assert access.permissions(ClientIdentity("c1", "o/tto")).may_write("devices/c1/x")
    assert not access.permissions(ClientIdentity("%u", "otto")).may_write("devices/otto/x")


def test_a_subscription_is_refused_when_nothing_can_come_by_it(access: AccessList) -> None:
    anna = access.permissions(ClientIdentity("c1", "anna"))
    assert [anna.may_subscribe(filter) for filter in ("#", "anna/+", "anna/secret/a", "commands/go", "users/anna/#")] == [
        True, True, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["topic", "topic read", "pattern a/#/b", "user", "users anna", "topic read a+"])
def test_a_line_that_is_no_rule_is_one_plain_sentence(tmp_path: Path, line: str) -> None:
    path = tmp_path / "acl"
    path.write_text(f"topic a\n{line}\n", encoding="utf-8")
    if line == "topic read":  # mosquitto reads it as the topic `read`, and so do we
        assert AccessList(path).permissions(ClientIdentity("c")).may_write("read")
        return
    with pytest.raises(UsageError, match=r"line 2 of the MQTT access list .* is not a rule"):
        AccessList(path)
    with pytest.raises(UsageError, match="can not be read"):
        AccessList(tmp_path / "none")


@st.composite
def filters(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.sampled_from(["a", "b", "$c", "+"]), min_size=1, max_size=3))
    return "/".join([*parts, "#"] if draw(st.booleans()) else parts)


TOPICS = ["/".join(parts) for size in range(1, 5) for parts in itertools.product(("a", "b", "$c", "d"), repeat=size)]


@given(filters() | st.just("#"), filters() | st.just("#"))
def test_covers_and_overlap_say_what_trying_all_topics_says(first: str, second: str) -> None:
    by_one = {topic for topic in TOPICS if matches(first, topic)}
    by_other = {topic for topic in TOPICS if matches(second, topic)}
    assert covers(first, second) == (by_other <= by_one)
    assert overlap(first, second) == bool(by_one & by_other)


# --- at the broker ----------------------------------------------------------------------------------------------------


@pytest.fixture
def broker(access: AccessList) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(port=0, access=access)
    with closing(broker):
        broker.start()
        yield broker


def test_what_may_not_be_written_is_acknowledged_counted_and_goes_nowhere(broker: EmbeddedBroker) -> None:
    with Raw(broker.port, "c1") as peer:
        peer.subscribe("public/#", 1)
        for qos, answer in ((1, packets.PUBACK), (2, packets.PUBREC)):
            peer.send(packets.encode_publish("public/x", b"no", qos, packet_id=qos))
            assert peer.next().kind == answer
        peer.send(packets.encode_publish("devices/c1/x", b"yes", 1, packet_id=3))
        assert peer.next().kind == packets.PUBACK
        broker.publish("public/x", b"from inside")
        assert packets.read_publish(peer.next()).payload == b"from inside"
    assert broker.counters.denied == 2


def test_what_may_not_be_read_does_not_come_even_by_a_wider_filter(broker: EmbeddedBroker) -> None:
    broker.publish("other/x", b"kept", 1, True)
    broker.publish("public/y", b"kept", 1, True)
    with paho(broker.port) as app:
        assert app.subscribe("other/#", 1) == packets.SUBACK_FAILURE
        app.subscribe("#", 1)
        assert app.hear().topic == "public/y"
        broker.publish("other/x", b"no", 1)
        broker.publish("public/x", b"yes", 1)
        assert app.hear().topic == "public/x"


def test_a_will_that_may_not_be_said_is_not_said(broker: EmbeddedBroker) -> None:
    with Raw(broker.port, "watcher") as watcher:
        watcher.subscribe("public/#", 1)
        for name, topic in (("c1", "public/will"), ("c2", "devices/c2/will")):
            with Raw(broker.port, name, will=(topic, b"gone")):
                pass
        broker.publish("public/end", b"x")
        assert packets.read_publish(watcher.next()).topic == "public/end"


# --- passwords ----------------------------------------------------------------------------------------------------------


@pytest.mark.mosquitto
def test_the_older_form_of_password_files_works_too(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    subprocess.run(("mosquitto_passwd", "-H", "sha512", "-b", "-c", str(file), "anna", "sesam"), check=True)
    assert "$6$" in file.read_text(encoding="utf-8")
    passwords = Passwords(file)
    assert passwords.verify("anna", "sesam")
    assert not passwords.verify("anna", "sesame")


@pytest.mark.parametrize("line", ["anna:$6$YQ==", "anna:$6$1$YQ==$YQ==", "anna:$5$YQ==$YQ==", "anna:$6$?$YQ=="])
def test_what_only_looks_like_the_older_form_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "passwords"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(BrokerError, match="line 1 of the password file"):
        Passwords(file)


# --- TLS ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("certified", [False, True])
def test_tls_has_a_port_of_its_own_and_may_ask_for_certificates(tmp_path: Path, certified: bool) -> None:
    authority = TestCa(tmp_path)
    ours, theirs = authority.server("127.0.0.1"), authority.client("lamp")
    context = server_context(ours.cert, ours.key, ours.ca if certified else None)
    with closing(EmbeddedBroker(port=0, secure=TlsListener(0, context, certified))) as broker:
        broker.start()
        with paho(broker.port) as plain:
            plain.subscribe("a", 1)
            client = Paho(broker.secure_port)
            client.client.tls_set_context(client_context(ours.ca, *((theirs.cert, theirs.key) if certified else ())))
            client.connect()
            client.publish("a", b"secret", 1)
            assert plain.hear().payload == b"secret"
            client.disconnect()
        if certified:
            assert not let_in(broker.secure_port, client_context(ours.ca))


def let_in(port: int, context: ssl.SSLContext) -> bool:
    """Whether a client that shows no certificate is answered."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as peer,
        ):
            peer.sendall(connect("stranger"))
            return peer.recv(4) != b""
    except (ssl.SSLError, ConnectionError):  # of TLS 1.3 the refusal may meet what was sent meanwhile
        return False


def test_with_tls_the_plain_port_stays_on_loopback(tmp_path: Path) -> None:
    files = TestCa(tmp_path).server("127.0.0.1")
    with pytest.raises(BrokerError, match="needs a password file"):
        EmbeddedBroker("0.0.0.0", 0, secure=TlsListener(0, server_context(files.cert, files.key))).start()
    secure = TlsListener(0, server_context(files.cert, files.key, files.ca), client_certs_required=True)
    with closing(EmbeddedBroker("0.0.0.0", 0, secure=secure)) as broker:
        broker.start()
        assert broker.address == f"127.0.0.1:{broker.port}"


def test_unusable_files_are_one_plain_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the TLS files for MQTT can not be used"):
        server_context(str(tmp_path / "none"))


# --- other versions of MQTT -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [3, 5, 0, 255])
def test_another_version_is_refused_with_the_code_for_that(broker: EmbeddedBroker, level: int) -> None:
    assert connack(broker.port, level=level) == packets.UNACCEPTABLE_PROTOCOL_VERSION


def test_a_client_of_mqtt_5_learns_that_it_has_to_fall_back(broker: EmbeddedBroker) -> None:
    client = PahoClient(CallbackAPIVersion.VERSION2, "new", protocol=MQTTProtocolVersion.MQTTv5)
    reasons: queue.Queue[str] = queue.Queue()
    client.on_connect = lambda _c, _u, _f, reason, _p: reasons.put(str(reason))
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert reasons.get(timeout=PATIENCE) == "Unsupported protocol version"
    leave(client)


@pytest.mark.mosquitto
def test_mosquittos_client_says_that_the_version_is_refused(broker: EmbeddedBroker) -> None:
    command = ("mosquitto_sub", "-V", "mqttv5", "-p", str(broker.port), "-t", "a", "-W", "5")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode != 0
    output = done.stderr.lower()  # that of Debian 13 ends without a word
    assert not output or "unacceptable protocol version" in output or "unsupported protocol" in output
