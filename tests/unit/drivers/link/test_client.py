"""The client end against a server that follows no good manners."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from kubeedge_actors.drivers.link import client
from kubeedge_actors.drivers.link.client import WebSocketLink
from kubeedge_actors.drivers.link.client_tls import acknowledges, dial
from kubeedge_actors.drivers.link.fault_proxy import FaultProxy
from tests.support.fakes.link_recorders import ClientRecorder
from tests.support.fakes.raw_websocket_server import BINARY, CLOSE, CONT, PING, PONG, TEXT, RawPeer, frame
from tests.support.waiting import PATIENCE


@pytest.fixture
def peer() -> Iterator[RawPeer]:
    with RawPeer() as listening:
        yield listening


@pytest.fixture
def link() -> Iterator[WebSocketLink]:
    made = WebSocketLink()
    yield made
    made.close()


def joined(link: WebSocketLink, peer: RawPeer, events: ClientRecorder | None = None) -> ClientRecorder:
    events = events or ClientRecorder()
    link.open(peer.url, {"node_id": "edge-1"}, None, events)
    peer.upgrade()
    events.next("open")
    return events


def opcode(peer: RawPeer) -> int:
    found = peer.frame()
    assert found is not None
    return found.opcode


def test_the_upgrade_has_the_given_headers_and_no_origin(link: WebSocketLink, peer: RawPeer) -> None:
    events = ClientRecorder()
    link.open(peer.url, {"node_id": "edge-1", "ConnectionUse": "msg"}, None, events)
    headers = peer.upgrade()
    assert (headers["node_id"], headers["connectionuse"]) == ("edge-1", "msg")
    assert "origin" not in headers
    assert events.next("open")["x-answer"] == "yes"


def test_a_message_in_fragments_is_put_together(link: WebSocketLink, peer: RawPeer) -> None:
    events = joined(link, peer)
    body = os.urandom(15_000).hex().encode()
    peer.write(frame(TEXT, body[:4082], fin=False) + frame(CONT, body[4082:]))
    peer.write(frame(TEXT, body, fin=False) + frame(CONT, b""))
    peer.write(
        b"".join(frame(TEXT if at == 0 else CONT, body[at : at + 500], fin=False) for at in range(0, 30_000, 500))
    )
    peer.write(frame(CONT, b"\n"))
    assert [events.next("text").encode() for _ in range(3)] == [body, body, body + b"\n"]


def test_a_ping_between_fragments_is_answered_with_its_own_data(link: WebSocketLink, peer: RawPeer) -> None:
    events = joined(link, peer)
    peer.write(frame(TEXT, b"one ", fin=False) + frame(PING, b"hey") + frame(PONG, b"") + frame(CONT, b"two"))
    assert events.next("text") == "one two"
    assert peer.frame() == (PONG, b"hey")


def test_a_message_may_come_byte_by_byte(link: WebSocketLink, peer: RawPeer) -> None:
    events = joined(link, peer)
    for byte in frame(TEXT, b"x" * 200):
        peer.write(bytes([byte]))
    assert events.next("text") == "x" * 200


def test_a_binary_message_counts_as_text_and_bad_utf8_is_replaced(link: WebSocketLink, peer: RawPeer) -> None:
    events = joined(link, peer)
    peer.write(frame(BINARY, "ü".encode()) + frame(TEXT, b"a\xffb"))
    assert [events.next("text"), events.next("text")] == ["ü", "a\ufffdb"]


def test_messages_of_megabytes_pass_both_ways(link: WebSocketLink, peer: RawPeer) -> None:
    events = joined(link, peer)
    big = "x" * 5_000_000
    link.send(big, "big")
    received = peer.frame()
    assert received is not None
    assert received.data == big.encode()
    assert events.next("written") == "big"
    peer.write(frame(TEXT, big.encode()))
    assert events.next("text") == big


def test_a_server_that_hangs_up_without_a_close_frame_ends_the_link(link: WebSocketLink, peer: RawPeer) -> None:
    events = joined(link, peer)
    peer.hang_up()
    assert events.next("close").reason == "the other side closed the connection"


def test_a_close_frame_is_answered_and_its_reason_is_told(link: WebSocketLink, peer: RawPeer) -> None:
    events = joined(link, peer)
    peer.write(frame(CLOSE, struct.pack("!H", 1012) + b"restart"))
    assert peer.frame() == (CLOSE, struct.pack("!H", 1012))
    assert events.next("close").reason == "closed by the other side: restart (code 1012)"


@pytest.mark.parametrize(
    "nonsense", [frame(CONT, b"x"), frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), b"\xf1\x01x", b"\x83\x01x"]
)
def test_frames_against_the_protocol_end_the_link(link: WebSocketLink, peer: RawPeer, nonsense: bytes) -> None:
    events = joined(link, peer)
    peer.write(nonsense)
    assert events.next("close").reason
    assert peer.frame() is None


def test_a_pong_does_not_get_into_a_half_written_message(link: WebSocketLink, peer: RawPeer) -> None:
    joined(link, peer)
    for number in range(40):
        link.send(str(number) * 250_000)
    peer.write(frame(PING, b"?"))  # answered while the peer has not taken what was sent
    frames = [peer.frame() for _ in range(41)]
    texts = [frame.data for frame in frames if frame is not None and frame.opcode == TEXT]
    assert texts == [str(number).encode() * 250_000 for number in range(40)]
    assert (PONG, b"?") in frames


def test_a_peer_that_takes_nothing_ends_the_link_and_does_not_stop_reading(
    link: WebSocketLink, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WRITE_TIMEOUT", 0.5)
    events = joined(link, peer)
    link.send("x" * 30_000_000, "never")
    peer.write(frame(TEXT, b"heard"))
    assert events.next("text") == "heard"
    assert "took nothing" in events.next("close").reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 8\r\n\r\nno token", "HTTP status 401: no token"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", "Redirect"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "Header"),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\n", "503"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", ""),
        (b"", "closed the connection"),
    ],
)
def test_an_answer_that_is_no_upgrade_is_a_reason(
    link: WebSocketLink, peer: RawPeer, answer: bytes, reason: str
) -> None:
    events = ClientRecorder()
    link.open(peer.url, {}, None, events)
    peer.accept()
    peer.request()
    peer.write(answer)
    peer.hang_up()
    closed = events.next("close")
    assert reason in closed.reason
    assert closed.retry_after is None


def test_nobody_there_is_a_reason(link: WebSocketLink) -> None:
    with RawPeer() as gone:
        url = gone.url
    events = ClientRecorder()
    link.open(url, {}, None, events)
    assert events.next("close").reason == "Connection refused"


def test_a_name_that_nobody_knows_is_a_reason(monkeypatch: pytest.MonkeyPatch, link: WebSocketLink) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    events = ClientRecorder()
    link.open("ws://cloud.invalid:1/", {}, None, events)
    assert events.next("close").reason == "Name or service not known"


def test_a_server_that_does_not_answer_is_given_up(
    link: WebSocketLink, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CONNECT_TIMEOUT", 0.2)
    events = ClientRecorder()
    link.open(peer.url, {}, None, events)
    assert events.next("close").reason == "no answer in time"


def test_a_handler_that_fails_ends_the_link(link: WebSocketLink, peer: RawPeer) -> None:
    class Failing(ClientRecorder):
        def on_text(self, text: str) -> None:
            raise RuntimeError(text)

    events = joined(link, peer, Failing())
    peer.write(frame(TEXT, b"boom"))
    assert "handler" in events.next("close").reason
    assert peer.frame() is None


def test_a_slow_handler_slows_the_peer_down(link: WebSocketLink, peer: RawPeer) -> None:
    go_on = threading.Event()

    class Slow(ClientRecorder):
        def on_text(self, text: str) -> None:
            go_on.wait(PATIENCE)
            super().on_text(text)

    events = joined(link, peer, Slow())
    assert peer.socket is not None
    peer.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(200):
            peer.write(frame(TEXT, b"x" * 1_000_000))
    go_on.set()
    assert events.next("text") == "x" * 1_000_000


def test_a_dead_link_is_noticed_within_seconds_by_the_kernel(peer: RawPeer) -> None:
    with dial("127.0.0.1", peer.port, 5) as connection:
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, interval, count = (
            connection.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + interval * count <= 20
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 15_000


def test_marks_are_told_in_bunches(link: WebSocketLink, peer: RawPeer) -> None:
    class Counting(ClientRecorder):
        bunches = 0

        def on_written(self, marks: Sequence[str]) -> None:
            self.bunches += 1
            super().on_written(marks)

    events = Counting()
    for number in range(500):
        link.send("x", str(number))
    joined(link, peer, events)
    assert [events.next("written") for _ in range(500)] == [str(number) for number in range(500)]
    assert events.bunches < 50


def test_a_peer_that_is_silent_is_asked_and_one_that_answers_is_kept(
    link: WebSocketLink, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PING_INTERVAL", 0.05)
    events = joined(link, peer)
    for _ in range(3):
        assert opcode(peer) == PING
        peer.write(frame(PONG, b""))
    peer.write(frame(TEXT, b"still here"))
    assert events.next("text") == "still here"


def test_a_peer_that_is_silent_when_asked_is_given_up(
    link: WebSocketLink, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PING_INTERVAL", 0.05)
    monkeypatch.setattr(client, "PONG_TIMEOUT", 0.05)
    events = joined(link, peer)
    assert opcode(peer) == PING
    assert events.next("close").reason == "the other side is silent"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is waited for is short."""
    for name in ("PING_INTERVAL", "PONG_TIMEOUT", "WRITE_TIMEOUT"):
        monkeypatch.setattr(client, name, 0.05)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("size", [3, 30_000_000])
def test_a_patient_link_survives_a_peer_that_reads_nothing_while_its_machine_acknowledges(
    peer: RawPeer, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    rounds = threading.Semaphore(0)

    def noted(connection: socket.socket, within: float) -> bool:
        rounds.release()
        return acknowledges(connection, within)

    monkeypatch.setattr(client, "acknowledges", noted)
    link = WebSocketLink(patience=PATIENCE)
    events = joined(link, peer)
    link.send("x" * size, "all")
    for _ in range(5):  # it would have been given up as often
        assert rounds.acquire(timeout=PATIENCE)
    while (found := peer.frame()) is None or found.opcode != TEXT:
        pass
    assert len(found.data) == size and events.next("written") == "all"
    link.close()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("size", [3, 30_000_000])
def test_patience_ends_with_a_peer_that_never_reads_or_a_machine_that_is_gone(
    peer: RawPeer, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    if size == 3:
        monkeypatch.setattr(client, "acknowledges", lambda connection, within: False)
    link = WebSocketLink(patience=0.2 if size > 3 else PATIENCE)
    events = joined(link, peer)
    link.send("x" * size)
    assert events.next("close").reason.startswith("the other side ")


def test_a_machine_acknowledges_what_its_program_does_not_read(peer: RawPeer) -> None:
    class Gone:
        """A connection on which the last acknowledgement came long ago, and something waits for the next."""

        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            return struct.pack("=24xI28xI", 1, 20_000)

    with dial("127.0.0.1", peer.port, 5) as connection:
        peer.accept()
        connection.sendall(b"unread")
        assert acknowledges(connection, 15.0)
    gone: Any = Gone()
    assert not acknowledges(gone, 15.0) and acknowledges(gone, 30.0)


def test_a_proxy_that_keeps_the_connection_and_forwards_nothing_is_noticed(
    link: WebSocketLink, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PING_INTERVAL", 0.1)
    monkeypatch.setattr(client, "PONG_TIMEOUT", 0.1)
    proxy = FaultProxy(("127.0.0.1", peer.port))
    events = ClientRecorder()
    link.open(f"ws://127.0.0.1:{proxy.port}/path", {}, None, events)
    peer.upgrade()
    events.next("open")
    proxy.stall()
    assert events.next("close").reason == "the other side is silent"
    proxy.close()
