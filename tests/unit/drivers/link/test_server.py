"""The link server against clients that are wrong, slow, hostile or unusual, while another one is served."""

from __future__ import annotations

import datetime
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.drivers.link import server_connection
from kubeedge_actors.drivers.link.base import Peer, UpgradeResponse
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import KeyPair, TlsPaths
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.pem import save_pair
from kubeedge_actors.drivers.pki.worker_protocol import IssueCertificate, execute
from kubeedge_actors.errors import CertificateError, LinkError
from kubeedge_actors.kubernetes.certificates.der import parse_certificate
from kubeedge_actors.kubernetes.certificates.info import NODE_GROUP, SERVER_AUTH, Subject, node_subject
from kubeedge_actors.osutil.connection_limits import ServerLimits
from tests.support.certificates import TestCa
from tests.support.fakes.link_recorders import ServerRecorder
from tests.support.fakes.raw_websocket_client import BINARY, CLOSE, CONT, HEADERS, PING, PONG, TEXT, RawClient, frame
from tests.support.waiting import PATIENCE

LIMIT = 200_000


class Serving:
    """A server with small limits, what it tells, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = FileAuthority(folder / "certs", execute)
        self.tls = self.authority.server_certificate()
        self.told = ServerRecorder()
        self.server = WebSocketServer(max_message=LIMIT, backlog=300_000)
        self.port = self.server.start("127.0.0.1", 0, self.tls, self.told)
        self.mine = self.authority.client_certificate("edge-1", node_subject("edge-1"))

    def client(self, **options: Any) -> RawClient:
        return RawClient(self.port, self.mine, **options)

    def works(self) -> bool:
        """Whether somebody else is served."""
        with self.client() as other:
            other.joined().send(TEXT, b"still there?")
            while self.told.next("text") != "still there?":
                pass
            return True


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    there = Serving(tmp_path)
    yield there
    there.server.stop()


# --- certificates


def test_a_client_is_known_by_its_certificate(serving: Serving) -> None:
    with serving.client() as client:
        client.joined()
        peer = serving.told.next("connect")
        assert (peer.common_name, peer.organizations) == ("system:node:edge-1", ("system:nodes",))
        assert peer.address.startswith("127.0.0.1:")


def refused(serving: Serving, tls: TlsPaths | None) -> None:
    """With TLS 1.3 the client hears of it when it reads."""
    context = ssl.create_default_context(cafile=serving.tls.ca)
    if tls is not None:
        context.load_cert_chain(tls.cert, tls.key)
    try:
        with RawClient(serving.port, serving.mine, context) as client:
            assert client.ask() == ""
    except (ssl.SSLError, ConnectionError):
        pass  # refused during the handshake, which is as good
    assert serving.told.rest() == []


def test_a_new_certificate_is_shown_to_new_clients_and_connections_stay(serving: Serving) -> None:
    with serving.client() as old:
        old.joined()
        before = old.socket.getpeercert(binary_form=True)
        serving.server.reload_certificate(serving.authority.server_certificate(["10.0.0.9"]))
        old.send(TEXT, b"still here")
        while serving.told.next("text") != "still here":
            pass
        with serving.client() as new:
            new.joined()
            after = new.socket.getpeercert(binary_form=True)
            assert after != before and "10.0.0.9" in parse_certificate(after or b"").sans
    with pytest.raises(CertificateError):
        serving.server.reload_certificate(TlsPaths(serving.tls.ca, serving.tls.ca, serving.tls.key))
    assert serving.works()


def test_handshakes_that_never_end_well_are_counted(serving: Serving) -> None:
    before = serving.server.unfinished
    refused(serving, None)
    assert serving.works()
    assert serving.server.unfinished == before + 1


def test_a_client_without_a_certificate_is_refused(serving: Serving) -> None:
    refused(serving, None)


def test_a_client_of_another_ca_is_refused(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    refused(serving, TestCa(tmp_path / "other").client("system:node:edge-1"))


def odd_client(serving: Serving, now: float, usages: tuple[int, ...]) -> TlsPaths:
    """A certificate of the right CA that does not serve."""
    ca = KeyPair(serving.authority.ca_der, serving.authority.ca_key_der)
    made = execute(IssueCertificate(ca, Subject("system:node:edge-1", NODE_GROUP), usages, (), 1.0, now))
    cert, key = serving.folder / "odd.crt", serving.folder / "odd.key"
    save_pair(cert, key, KeyPair(made.cert, made.key))
    return TlsPaths(serving.tls.ca, str(cert), str(key))


def test_a_client_whose_certificate_has_expired_is_refused(serving: Serving) -> None:
    last_week = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=7)).timestamp()
    refused(serving, odd_client(serving, last_week, (2,)))


def test_a_certificate_for_servers_does_not_serve_a_client(serving: Serving) -> None:
    now = datetime.datetime.now(datetime.UTC).timestamp()
    refused(serving, odd_client(serving, now, (SERVER_AUTH,)))


@pytest.mark.parametrize(
    ("version", "suites", "spoken"),
    [
        (ssl.TLSVersion.TLSv1_3, None, True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", False),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256", False),
    ],
)
def test_the_originals_suites_are_spoken_and_no_others(
    serving: Serving, version: ssl.TLSVersion, suites: str | None, spoken: bool
) -> None:
    context = ssl.create_default_context(cafile=serving.tls.ca)
    context.load_cert_chain(serving.mine.cert, serving.mine.key)
    context.minimum_version = context.maximum_version = version
    if suites is not None:
        context.set_ciphers(suites)
    if spoken:
        with RawClient(serving.port, serving.mine, context) as client:
            client.joined()
    else:
        with pytest.raises(ssl.SSLError):
            RawClient(serving.port, serving.mine, context)


def test_a_client_that_offers_http2_gets_http1(serving: Serving) -> None:
    context = ssl.create_default_context(cafile=serving.tls.ca)
    context.load_cert_chain(serving.mine.cert, serving.mine.key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with RawClient(serving.port, serving.mine, context) as client:
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        client.joined()


# --- the handshake


def test_of_a_repeated_header_the_first_counts(serving: Serving) -> None:
    with serving.client() as client:
        assert client.ask((*HEADERS, ("ConnectionUse", "other"), ("Connectionuse", "third"))).startswith(
            "HTTP/1.1 101 "
        )
    assert serving.told.next("connect").headers == {"node_id": "edge-1", "connectionuse": "msg"}


def test_no_compression_and_no_subprotocol_is_agreed(serving: Serving) -> None:
    offers = (("Sec-WebSocket-Extensions", "permessage-deflate"), ("Sec-WebSocket-Protocol", "chat"))
    with serving.client() as client:
        answer = client.ask((*HEADERS, *offers)).lower()
    assert "sec-websocket-extensions" not in answer and "sec-websocket-protocol" not in answer


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://127.0.0.1", 101), ("https://evil.example", 403), ("null", 403), ("https://127.0.0.1:1", 403)],
)
def test_a_page_of_another_host_is_refused(serving: Serving, origin: str, status: int) -> None:
    with serving.client() as client:
        assert client.ask((*HEADERS, ("Origin", origin))).startswith(f"HTTP/1.1 {status} ")
    assert serving.works()


def test_a_refused_client_is_told_why_and_closed(serving: Serving) -> None:
    serving.told.admission = UpgradeResponse(503, {"Retry-After": "7"}, "come back later")
    with serving.client() as client:
        answer = client.ask()
        assert answer.startswith("HTTP/1.1 503 ") and "\r\nRetry-After: 7\r\n" in answer
        assert client.read(100) == b"come back later\n"
    assert [event[0] for event in serving.told.rest()] == ["admit"]


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"\x00" * 20_000,
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
)
def test_what_is_no_upgrade_is_refused_or_closed(serving: Serving, request_: bytes) -> None:
    with serving.client() as client:
        client.socket.sendall(request_)
        assert not client.head().startswith("HTTP/1.1 101")
    assert serving.works()


def test_a_client_that_asks_for_nothing_is_closed_in_time(serving: Serving) -> None:
    serving.server.limits = ServerLimits(head_seconds=0.05)
    with serving.client() as client:
        assert client.head() == ""
    serving.server.limits = ServerLimits()  # 0.05 s are too few for one who asks while the machine is busy
    assert serving.works()


# --- frames


def test_text_binary_and_fragments_arrive_as_whole_texts(serving: Serving) -> None:
    with serving.client() as client:
        client.joined().send(TEXT, b"text")
        client.send(BINARY, "bin\u00e4r".encode())
        euro = "\u20ac".encode()
        client.send(TEXT, b"20069 " + euro[:1], fin=False)
        client.send(PING, b"in between")
        client.send(CONT, euro[1:] + b"x" * 4096, fin=False)
        client.send(CONT, b"", fin=True)
        texts = [serving.told.next("text") for _ in range(3)]
        assert texts == ["text", "bin\u00e4r", "20069 \u20ac" + "x" * 4096]
        assert client.frame() == (PONG, b"in between")


def test_frames_that_come_in_pieces_or_all_at_once_are_understood(serving: Serving) -> None:
    with serving.client() as client:
        client.joined()
        data = b"".join(frame(TEXT, str(number).encode()) for number in range(200))
        for byte in data[:60]:
            client.socket.sendall(bytes([byte]))
        client.socket.sendall(data[60:])
        assert [serving.told.next("text") for _ in range(200)] == [str(number) for number in range(200)]


def test_a_message_goes_down_in_one_frame_whatever_its_size(serving: Serving) -> None:
    with serving.client() as client:
        client.joined()
        peer = serving.told.next("connect")
        for size in (0, 125, 126, 65_535, 65_536, 200_000):
            serving.server.send(peer, "x" * size)
            assert client.frame() == (TEXT, b"x" * size)


def test_a_close_frame_is_answered_with_one_and_then_tcp_closes(serving: Serving) -> None:
    with serving.client() as client:
        client.joined().send(CLOSE, b"\x03\xe8bye")
        assert client.frame() == (CLOSE, b"\x03\xe8bye")
        assert client.frame() is None
    assert serving.told.next("close")[1] == "closed by the peer"


def test_the_server_ends_a_connection_by_closing_tcp(serving: Serving) -> None:
    with serving.client() as client:
        client.joined()
        peer = serving.told.next("connect")
        serving.server.send(peer, "last")
        serving.server.close(peer, "enough")
        assert client.frame() == (TEXT, b"last")
        assert client.frame() is None
    assert serving.told.next("close") == (peer, "enough")


def test_a_connection_that_is_ended_with_a_code_is_told_it_and_the_reason(serving: Serving) -> None:
    with serving.client() as client:
        client.joined()
        peer = serving.told.next("connect")
        serving.server.close(peer, "taken over " + "ü" * 100, 4409)
        opcode, data = client.frame()  # type: ignore[misc]
        assert (opcode, data[:2]) == (CLOSE, (4409).to_bytes(2, "big"))
        assert len(data) <= 125 and data[2:].decode().startswith("taken over üüü")
        client.send(TEXT, b"too late")  # it crosses ours; it must not reset the connection before ours was read
        client.send(CLOSE, data[:2])
    assert serving.told.next("close") == (peer, "taken over " + "ü" * 100)
    assert serving.told.rest() == []


def test_a_client_that_does_not_answer_a_close_is_closed_all_the_same(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_connection, "FAREWELL", 0.05)
    with serving.client() as client:
        client.joined()
        serving.server.close(serving.told.next("connect"), "enough", 4000)
        assert client.frame() == (CLOSE, (4000).to_bytes(2, "big") + b"enough")
        assert client.frame() is None


HOSTILE = {
    "unmasked": frame(TEXT, b"x", masked=False),
    "reserved bit": frame(TEXT, b"x", reserved=0x40),
    "unknown opcode": frame(3, b"x"),
    "continuation of nothing": frame(CONT, b"x"),
    "a text within a text": frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
    "a fragmented ping": frame(PING, b"x", fin=False),
    "a long ping": frame(PING, b"x" * 126),
    "not UTF-8": frame(TEXT, b"\xff\xfe"),
    "UTF-8 that ends too soon": frame(TEXT, b"\xe2\x82"),
    "a bad close": frame(CLOSE, b"\x00"),
    "too long": frame(TEXT, b"x" * (LIMIT + 1)),
    "too long in pieces": frame(TEXT, b"x" * LIMIT, fin=False) + frame(CONT, b"x"),
    "a length of 2^63": b"\x81\xff" + b"\xff" * 8 + b"mask",
    "noise": os.urandom(500),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_frame_ends_its_connection_only(serving: Serving, name: str) -> None:
    with serving.client() as good, serving.client() as bad:
        good.joined()
        peer = serving.told.next("connect")
        bad.joined()
        serving.told.next("connect")
        bad.socket.sendall(HOSTILE[name] + frame(TEXT, b"too late"))
        assert name == "noise" or bad.closed()
        bad.socket.close()
        assert serving.told.next("close")[0] != peer
        serving.server.send(peer, "undisturbed")
        assert good.frame() == (TEXT, b"undisturbed")
    assert "too late" not in [event[1] for event in serving.told.rest() if event[0] == "text"]


def test_a_message_of_exactly_the_limit_is_taken(serving: Serving) -> None:
    with serving.client() as client:
        client.joined().send(TEXT, b"x" * LIMIT)
        assert len(serving.told.next("text")) == LIMIT


def test_five_megabytes_are_taken_by_default(serving: Serving) -> None:
    told, server = ServerRecorder(), WebSocketServer()
    port = server.start("127.0.0.1", 0, serving.tls, told)
    try:
        with RawClient(port, serving.mine) as client:
            client.joined().send(TEXT, b"x" * 5_000_000)
            assert len(told.next("text")) == 5_000_000
    finally:
        server.stop()


# --- slow ones


def test_a_peer_that_does_not_read_is_closed_and_delays_nobody(serving: Serving) -> None:
    with serving.client(receive_buffer=4096) as slow, serving.client() as quick:
        slow.joined()
        slow_peer = serving.told.next("connect")
        quick.joined()
        quick_peer = serving.told.next("connect")
        for number in range(400):
            serving.server.send(slow_peer, "x" * 50_000)
            if number % 100 == 0:
                serving.server.send(quick_peer, str(number))
                assert quick.frame() == (TEXT, str(number).encode())
        peer, reason = serving.told.next("close")
        assert peer == slow_peer and "too slow" in reason
        serving.server.send(quick_peer, "after")
        assert quick.frame() == (TEXT, b"after")


class Picky(ServerRecorder):
    """Takes texts only while `open` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.refused = threading.Event()

    def on_text(self, peer: Peer, text: str) -> bool:
        if not self.open.is_set():
            self.refused.set()
            return False
        return super().on_text(peer, text)


def test_what_was_not_taken_is_offered_again_in_order_and_the_sender_is_slowed_down(serving: Serving) -> None:
    told, server = Picky(), WebSocketServer()
    port = server.start("127.0.0.1", 0, serving.tls, told)
    try:
        with RawClient(port, serving.mine) as client:
            client.joined()
            client.socket.settimeout(0.5)
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 5000:  # 250 MB, if nobody stopped us
                    client.send(TEXT, str(sent).encode().ljust(50_000))
                    sent += 1
            assert told.refused.is_set() and 0 < sent < 2000
            told.open.set()
            assert [int(told.next("text")) for _ in range(sent)] == list(range(sent))
    finally:
        server.stop()


def test_what_came_before_the_end_is_delivered_before_the_end_is_told(serving: Serving) -> None:
    told, server = Picky(), WebSocketServer()
    port = server.start("127.0.0.1", 0, serving.tls, told)
    try:
        with RawClient(port, serving.mine) as client:
            client.joined()
            client.socket.sendall(b"".join(frame(TEXT, str(number).encode()) for number in range(50)))
            assert told.refused.wait(PATIENCE)
        told.open.set()
        assert [told.next("text") for _ in range(50)] == [str(number) for number in range(50)]
        told.next("close")
        assert told.rest() == []
    finally:
        server.stop()


# --- start and stop


def test_starting_again_hands_the_connections_to_new_events(serving: Serving) -> None:
    with serving.client() as client:
        client.joined()
        peer = serving.told.next("connect")
        heir = ServerRecorder()
        assert serving.server.start("127.0.0.1", serving.port, serving.tls, heir) == serving.port
        assert serving.server.peers() == [peer]
        client.send(TEXT, b"to the heir")
        assert heir.next("text") == "to the heir"
    assert heir.next("close")[0] == peer
    assert serving.told.rest() == []
    assert serving.server.peers() == []


def test_a_port_can_be_taken_before_anybody_is_served(serving: Serving) -> None:
    server = WebSocketServer()
    port = server.bind("127.0.0.1", 0)
    with pytest.raises(ConnectionError):
        RawClient(port, serving.mine)
    told = ServerRecorder()
    assert server.start("127.0.0.1", port, serving.tls, told) == port
    with RawClient(port, serving.mine) as client:
        client.joined()
    server.stop()
    WebSocketServer().stop()


@pytest.mark.parametrize("attempt", ["bind", "start"])
def test_a_taken_port_is_one_sentence(serving: Serving, attempt: str) -> None:
    server = WebSocketServer()
    attempts: dict[str, Callable[[], object]] = {
        "bind": lambda: server.bind("127.0.0.1", serving.port),
        "start": lambda: server.start("127.0.0.1", serving.port, serving.tls, serving.told),
    }
    with pytest.raises(LinkError, match=f"port {serving.port} of 127.0.0.1 can not be used: Address already in use"):
        attempts[attempt]()
    server.stop()


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 99_999), ("no-such-host.invalid", 0)])
def test_an_address_that_is_not_ours_is_one_sentence(host: str, port: int) -> None:
    server = WebSocketServer()
    with pytest.raises(LinkError, match="can not be used"):
        server.bind(host, port)
    server.stop()


def test_certificate_files_that_do_not_serve_are_one_sentence(serving: Serving, tmp_path: Path) -> None:
    server = WebSocketServer()
    with pytest.raises(CertificateError, match="do not serve"):
        server.start("127.0.0.1", 0, TlsPaths(serving.tls.ca, serving.tls.cert, str(tmp_path / "none")), serving.told)
    server.stop()


def test_stopping_closes_everything_and_may_be_repeated(serving: Serving) -> None:
    with serving.client() as joined, serving.client() as only_connected:
        joined.joined()
        serving.server.stop()
        serving.server.stop()
        assert joined.frame() is None
        assert only_connected.read(1) == b""
    assert serving.told.next("close")[1] == "the server stops"
    with pytest.raises(ConnectionError):
        serving.client()


def test_two_servers_may_share_a_loop_that_outlives_them(serving: Serving) -> None:
    loop = LoopThread()
    told, servers = ServerRecorder(), [WebSocketServer(loop), WebSocketServer(loop)]
    ports = [server.start("127.0.0.1", 0, serving.tls, told) for server in servers]
    servers[0].stop()
    with RawClient(ports[1], serving.mine) as client:
        client.joined()
    servers[1].stop()
    loop.stop()
    loop.stop()
    loop.call_soon(print)  # nothing happens
