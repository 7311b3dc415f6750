"""What one MQTT client may not do to the others of a node: hold up the broker, take a session, or hold the door."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.drivers.broker import admission, connections, packets
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker, TlsListener
from kubeedge_actors.drivers.broker.passwords import Passwords, password_line
from kubeedge_actors.drivers.broker.subscriptions import SLICE
from kubeedge_actors.drivers.broker.tls import client_context, server_context
from tests.support.certificates import TestCa
from tests.support.mqtt_clients import Paho, Raw, connack, paho
from tests.support.waiting import PATIENCE, eventually

RETAINED = 10_000
USERS = ("alice", "bob")


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with closing(EmbeddedBroker(port=0)) as broker:
        broker.start()
        yield broker


def filled(broker: EmbeddedBroker) -> None:
    """As many retained messages as there may be."""
    for number in range(RETAINED):
        broker.publish(f"r/{number % 100}/{number}/x", b"x" * 50, retain=True)
    with Raw(broker.port, "last") as last:
        last.subscribe(f"r/99/{RETAINED - 1}/x", 0)
        assert packets.read_publish(last.next()).retain


@pytest.mark.parametrize("filter", ["nothing/{}", "+/+/+/nothing{}", "r/#", "r/{}/+/x"])
def test_many_subscribes_over_many_retained_messages_hold_up_nobody_else(broker: EmbeddedBroker, filter: str) -> None:
    filled(broker)
    with paho(broker.port, "victim") as victim, Raw(broker.port, "hostile") as hostile:
        victim.subscribe("victim")
        hostile.send(b"".join(packets.encode_subscribe(n, [(filter.format(n % 900), 0)]) for n in range(1, 2_001)))
        for number in range(20):
            victim.publish("victim", str(number).encode(), 1)
            assert victim.hear().payload == str(number).encode()


def test_after_a_slice_of_what_is_retained_the_broker_leaves_the_process_to_others_however_many_ask(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(broker)
    for name, value in (("PAUSE", 2 * PATIENCE), ("ENDED_WITHIN", 0.1)):
        monkeypatch.setattr(connections, name, value)
    with ExitStack() as stack:
        victim = stack.enter_context(paho(broker.port, "victim"))
        victim.subscribe("victim")
        for name in ("first", "second"):
            hostile = stack.enter_context(Raw(broker.port, name))
            hostile.subscribe("+/+/+/nothing", 0)  # is answered at once
            for number in range(10):  # once one of these is handled, the pause before it has begun
                victim.publish("victim", str(number).encode(), 1)
                assert victim.hear().payload == str(number).encode()
            monkeypatch.setattr(connections, "PAUSE", 0.0)  # the second one waits for the first one's to end
        assert [broker._core.sessions[name].retained_steps for name in ("first", "second")] == [SLICE, SLICE]
        broker.close()


def test_many_subscribes_are_answered_in_time_that_depends_on_what_matches(broker: EmbeddedBroker) -> None:
    filled(broker)
    with Raw(broker.port) as peer:
        peer.send(b"".join(packets.encode_subscribe(n, [(f"r/{n % 900}/none", 0)]) for n in range(1, 2_001)))
        assert [packets.read_suback(peer.next())[0] for _ in range(2_000)] == list(range(1, 2_001))


def test_all_retained_messages_come_to_a_client_that_reads_them(broker: EmbeddedBroker) -> None:
    filled(broker)
    with paho(broker.port) as client:
        client.subscribe("r/+/+/x")
        heard = {client.hear().topic for _ in range(RETAINED)}
        assert len(heard) == RETAINED
        assert client.silent()


def test_many_publications_of_one_client_to_many_subscribers_hold_up_nobody_else(broker: EmbeddedBroker) -> None:
    subscribers = [Raw(broker.port, f"s{number}") for number in range(200)]
    try:
        for each in subscribers:
            each.subscribe("flood", 0)
        with paho(broker.port, "victim") as victim, Raw(broker.port, "hostile") as hostile:
            victim.subscribe("victim")
            hostile.send(packets.encode_publish("flood", b"") * 5_000)
            for number in range(5):
                victim.publish("victim", str(number).encode(), 1)
                assert victim.hear().payload == str(number).encode()
    finally:
        for each in subscribers:
            each.__exit__()


def test_a_packet_that_comes_a_byte_at_a_time_is_put_together_once() -> None:
    decoder, size = packets.Decoder(), 200_000
    packet = packets.encode_publish("t", b"x" * size)
    assert list(decoder.feed(packet[: size // 2])) == []
    kept = decoder._rest
    for at in range(size // 2, size):
        assert list(decoder.feed(packet[at : at + 1])) == []
    assert decoder._rest is kept
    (whole,) = decoder.feed(packet[size:])
    assert packets.read_publish(whole).payload == b"x" * size


def test_one_that_does_not_read_what_it_asked_for_is_taken_over_at_once(
    broker: EmbeddedBroker,
) -> None:
    filled(broker)
    with Raw(broker.port, "one") as first:
        first.send(packets.encode_subscribe(1, [("r/#", 0)]))
        first.next()
        with Raw(broker.port, "one") as second:
            assert not second.present
            eventually(lambda: len(broker._core.sessions) == 1, "the first one is gone")
            second.send(packets.PINGREQ_PACKET)
            assert second.next().kind == packets.PINGRESP


# --- a client id that is taken -------------------------------------------------------------------------------------------


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    """A password file; the password of each user is the user's name."""
    file = tmp_path / "passwords"
    file.write_text("".join(f"{password_line(user, user, b'0123456789ab')}\n" for user in USERS), encoding="utf-8")
    return file


@pytest.fixture
def guarded(passwords: Path) -> Iterator[EmbeddedBroker]:
    with closing(EmbeddedBroker(port=0, passwords=Passwords(passwords))) as broker:
        broker.start()
        yield broker


def as_user(name: str, **more: Any) -> dict[str, Any]:
    return {"user": name, "password": name, **more}


@pytest.mark.parametrize("clean", [False, True])
def test_a_session_is_neither_taken_nor_ended_by_another_user(
    guarded: EmbeddedBroker, clean: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with Raw(guarded.port, "dev", **as_user("alice", clean=False)) as alice:
        alice.subscribe("mine", 1)
        assert connack(guarded.port, "dev", **as_user("bob", clean=clean)) == packets.IDENTIFIER_REJECTED
        alice.send(packets.PINGREQ_PACKET)
        assert alice.next().kind == packets.PINGRESP
    eventually(lambda: guarded._core.sessions["dev"].send is None, "alice is away")
    guarded.publish("mine", b"kept", 1)
    assert connack(guarded.port, "dev", **as_user("bob", clean=clean)) == packets.IDENTIFIER_REJECTED
    with Raw(guarded.port, "dev", **as_user("alice", clean=False)) as alice:
        assert alice.present
        assert packets.read_publish(alice.next()).payload == b"kept"
    assert caplog.text.count("is refused: the client id 'dev' has a session of the user 'alice'") == 1


def test_the_same_user_takes_over_and_an_ended_session_is_free(guarded: EmbeddedBroker) -> None:
    alice = as_user("alice")
    with Raw(guarded.port, "dev", **alice) as first, Raw(guarded.port, "dev", **alice) as second:
        assert first.closed()
        second.send(packets.DISCONNECT_PACKET)
        assert second.closed()
    with Raw(guarded.port, "dev", **as_user("bob")) as bob:
        assert not bob.present


def test_stock_clients_are_told_that_their_id_is_taken(guarded: EmbeddedBroker) -> None:
    with Raw(guarded.port, "dev", **as_user("alice")) as alice:
        client = Paho(guarded.port, "dev")
        client.client.username_pw_set("bob", "bob")
        _, reason = client.connect()
        assert "identifier" in str(reason).lower()
        client.disconnect()
        alice.send(packets.PINGREQ_PACKET)
        assert alice.next().kind == packets.PINGRESP


def test_a_session_of_one_who_can_not_log_in_any_more_keeps_nobody_out(passwords: Path, tmp_path: Path) -> None:
    path = tmp_path / "mqtt.db"
    with closing(EmbeddedBroker(port=0, path=path)) as before, ExitStack() as stack:
        before.start()
        stack.enter_context(Raw(before.port, "dev", clean=False)).subscribe("a", 1)
    with closing(EmbeddedBroker(port=0, passwords=Passwords(passwords), path=path)) as broker:
        broker.start()
        with Raw(broker.port, "dev", **as_user("bob", clean=False)) as bob:
            assert not bob.present


def test_without_passwords_all_are_one_user(broker: EmbeddedBroker) -> None:
    with Raw(broker.port, "dev", user="alice", clean=False) as first, Raw(broker.port, "dev", user="bob") as second:
        assert first.closed()
        assert not second.present


# --- before the login ----------------------------------------------------------------------------------------------------


def idle(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    """Connections that say nothing."""
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(count)]


def test_connections_without_a_login_keep_nobody_out_and_end_nobody(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 20)
    monkeypatch.setattr(connections, "CONNECT_WITHIN", 3_600.0)
    with paho(broker.port, "there") as there, ExitStack() as stack:
        silent = idle(broker.port, admission.PENDING_OF_ONE + 20, stack)
        with paho(broker.port, "comes") as client:
            client.subscribe("a", 1)
            there.publish("a", b"1", 1)
            assert client.hear().payload == b"1"
        assert all(each.recv(1) == b"" for each in silent[:20])
        with pytest.raises(BlockingIOError):
            silent[-1].setblocking(False)
            silent[-1].recv(1)
    assert caplog.text.count("from 127.0.0.1 have not logged in: the oldest are ended") == 1


def test_of_the_address_with_the_most_connections_the_oldest_goes(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "PENDING", 5)
    with ExitStack() as stack:
        other = stack.enter_context(
            socket.create_connection(("127.0.0.1", broker.port), PATIENCE, source_address=("127.0.0.2", 0))
        )
        silent = idle(broker.port, 9, stack)
        assert all(each.recv(1) == b"" for each in silent[:5])
        other.sendall(packets.encode_connect("other", 0))
        assert other.recv(100) == packets.encode_connack(0)


def test_handshakes_that_do_not_end_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "PENDING_OF_ONE", 5)
    files = TestCa(tmp_path).server("127.0.0.1")
    secure = TlsListener(0, server_context(files.cert, files.key))
    with closing(EmbeddedBroker(port=0, secure=secure)) as broker, ExitStack() as stack:
        broker.start()
        silent = idle(broker.secure_port, 10, stack)
        assert all(each.recv(1) == b"" for each in silent[:5])
        client = Paho(broker.secure_port, "comes")
        client.client.tls_set_context(client_context(files.ca))
        client.connect()
        client.publish("a", b"x", 1)
        client.disconnect()


def test_a_handshake_has_as_long_as_a_connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECT_WITHIN", 0.05)
    files = TestCa(tmp_path).server("127.0.0.1")
    secure = TlsListener(0, server_context(files.cert, files.key))
    with closing(EmbeddedBroker(port=0, secure=secure)) as broker, ExitStack() as stack:
        broker.start()
        (silent,) = idle(broker.secure_port, 1, stack)
        assert silent.recv(1) == b""


@pytest.mark.parametrize("head", [
    bytes((0x10, 0xC0, 0x9A, 0x0C)),  # a CONNECT of 200,000 bytes
    bytes((0x10, 0xFF, 0xFF, 0xFF, 0x7F)),  # of 256 MiB
    bytes((0x30, 0x80, 0x01)),  # a PUBLISH
    b"GET / HTTP/1.1",
])  # fmt: skip
def test_nobody_waits_for_the_rest_of_what_is_no_login(
    broker: EmbeddedBroker, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECT_WITHIN", 3_600.0)
    with ExitStack() as stack:
        (peer,) = idle(broker.port, 1, stack)
        peer.sendall(head)
        assert peer.recv(1) == b""


def test_the_limit_before_the_login_ends_with_it(broker: EmbeddedBroker) -> None:
    long = packets.encode_publish("long", b"x" * 1_000_000, 1, packet_id=7)
    with ExitStack() as stack:
        (peer,) = idle(broker.port, 1, stack)
        peer.sendall(packets.encode_connect("c", 0) + long)
        decoder, answers = packets.Decoder(), list[packets.Packet]()
        while len(answers) < 2:
            answers += decoder.feed(peer.recv(100))
        assert (answers[0].kind, packets.read_ack(answers[1])) == (packets.CONNACK, 7)


def test_parts_of_packets_are_bounded_and_the_oldest_goes(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "HELD_BYTES", 100_000)
    part = packets.encode_publish("t", b"x" * 70_000)[:60_000]
    with Raw(broker.port, "first") as first, Raw(broker.port, "second") as second:
        first.send(part)
        second.send(b"" + part)
        gone, stays = (first, second) if _ended(broker, "first") else (second, first)
        assert gone.closed()
        stays.send(packets.encode_publish("t", b"x" * 70_000)[60_000:] + packets.PINGREQ_PACKET)
        assert stays.next().kind == packets.PINGRESP


def _ended(broker: EmbeddedBroker, client_id: str) -> bool:
    """Whether it is the one of the two sessions that has ended; they come from two sockets in no order."""
    eventually(lambda: len(broker._core.sessions) == 1, "one has ended")
    return client_id not in broker._core.sessions
