"""Who trusts whom: the client end and certificates."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.pki.base import TlsPaths
from tests.support.certificates import TestCa
from tests.support.fakes.link_recorders import ClientRecorder
from tests.support.fakes.raw_websocket_server import TEXT, RawPeer, frame


@pytest.fixture
def ca(tmp_path: Path) -> TestCa:
    return TestCa(tmp_path)


@pytest.fixture
def peer(ca: TestCa) -> Iterator[RawPeer]:
    with RawPeer(ca.server("127.0.0.1")) as listening:
        yield listening


def upgraded(peer: RawPeer) -> None:
    """Let a client in that looks at the certificate first and comes back."""
    while True:
        try:
            peer.upgrade()
            return
        except (ssl.SSLError, ConnectionError):
            peer.hang_up()  # it only looked, or did not like what it saw


def opened(links: WebSocketLinks, peer: RawPeer, tls: TlsPaths, wait: bool = True) -> ClientRecorder:
    events = ClientRecorder()
    links().open(peer.url, {}, tls, events)
    if wait:
        server = threading.Thread(target=upgraded, args=(peer,))
        server.start()
        events.next("open")
        server.join()
    return events


def shown(peer: RawPeer) -> int:
    """How many certificates the client has sent."""
    assert isinstance(peer.socket, ssl.SSLSocket)
    return len(peer.socket._sslobj.get_unverified_chain())  # type: ignore[attr-defined]


def test_the_client_shows_its_own_certificate_alone(ca: TestCa, peer: RawPeer) -> None:
    opened(WebSocketLinks(), peer, ca.client("system:node:edge-1"))
    assert shown(peer) == 1


def test_a_cloud_whose_certificates_have_no_key_identifiers_is_linked_to(tmp_path: Path) -> None:
    old = TestCa(tmp_path, identified=False)
    with RawPeer(old.server("127.0.0.1")) as peer:
        opened(WebSocketLinks(), peer, old.client("system:node:edge-1"))


def test_an_ordinary_client_would_show_the_ca_too(ca: TestCa, peer: RawPeer) -> None:
    tls = ca.client("system:node:edge-1")
    server = threading.Thread(target=peer.accept)
    server.start()
    context = ssl.create_default_context(cafile=tls.ca)
    context.load_cert_chain(tls.cert, tls.key)
    with (
        socket.create_connection(("127.0.0.1", peer.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        server.join()
        assert shown(peer) == 2


def test_the_next_link_to_a_known_server_connects_only_once(ca: TestCa, peer: RawPeer) -> None:
    links, tls = WebSocketLinks(), ca.client("system:node:edge-1")
    opened(links, peer, tls)
    events = opened(links, peer, tls, wait=False)
    peer.upgrade()  # would fail if the client only looked
    events.next("open")
    assert shown(peer) == 1


def test_a_server_with_a_new_certificate_is_verified_anew(ca: TestCa, peer: RawPeer) -> None:
    links, tls = WebSocketLinks(), ca.client("system:node:edge-1")
    opened(links, peer, tls)
    peer.tls = ca.server("127.0.0.1")
    opened(links, peer, tls)
    assert shown(peer) == 1


def test_a_known_server_is_refused_when_its_new_certificate_is_of_another_ca(
    ca: TestCa, peer: RawPeer, tmp_path: Path
) -> None:
    links, tls = WebSocketLinks(), ca.client("system:node:edge-1")
    opened(links, peer, tls)
    peer.tls = TestCa(tmp_path, "other").server("127.0.0.1")
    events = opened(links, peer, tls, wait=False)
    for _ in range(2):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            peer.accept()
    reason = events.next("close").reason
    assert "certificate of the server was refused" in reason
    assert "not of the CA that this node has joined" in reason, "a person has to know what to do"


@pytest.mark.parametrize("known", [True, False])
def test_a_server_that_has_another_name_says_which_and_how_to_give_it_this_one(ca: TestCa, known: bool) -> None:
    with RawPeer(ca.server("127.0.0.2", "localhost")) as peer:
        events = opened(WebSocketLinks(), peer, ca.client("system:node:edge-1"), wait=False)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            peer.accept()
        if known:
            peer.hang_up()
            peer.accept()
        else:  # it goes before it is asked again
            peer.__exit__()
        assert events.next("close").reason == (
            f"the certificate of 127.0.0.1:{peer.port} does not have the name 127.0.0.1"
            f"{', but 127.0.0.2, localhost: use one of these, or' if known else ':'} "
            "start the cloud with --advertise 127.0.0.1"
        )


@pytest.mark.parametrize("fault", ["other CA", "expired"])
def test_a_server_that_is_not_who_it_should_be_is_refused(ca: TestCa, tmp_path: Path, fault: str) -> None:
    certificates = {
        "other CA": TestCa(tmp_path, "other").server("127.0.0.1"),
        "expired": ca.server("127.0.0.1", life=datetime.timedelta(days=-1)),
    }
    with RawPeer(certificates[fault]) as peer:
        events = opened(WebSocketLinks(), peer, ca.client("system:node:edge-1"), wait=False)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            peer.accept()
        reason = events.next("close").reason
        assert "certificate of the server was refused" in reason
        assert ("a new token is needed" in reason) == (fault == "other CA")


def test_a_client_that_the_server_does_not_trust_is_told(ca: TestCa, tmp_path: Path) -> None:
    other = TestCa(tmp_path, "other").client("system:node:edge-1")
    with RawPeer(ca.server("127.0.0.1")) as peer:
        events = opened(WebSocketLinks(), peer, TlsPaths(ca.path, other.cert, other.key), wait=False)
        for _ in range(2):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                peer.accept()
                peer.read(1)
            peer.hang_up()
        assert events.next("close").reason


def test_files_that_do_not_serve_are_named(ca: TestCa, peer: RawPeer, tmp_path: Path) -> None:
    good = ca.client("system:node:edge-1")
    missing, rubbish = str(tmp_path / "missing.pem"), tmp_path / "rubbish.pem"
    rubbish.write_text("no PEM")
    for tls, name in [
        (TlsPaths(missing, good.cert, good.key), missing),
        (TlsPaths(good.ca, missing, good.key), missing),
        (TlsPaths(str(rubbish), good.cert, good.key), str(rubbish)),
        (TlsPaths(good.ca, str(rubbish), good.key), str(rubbish)),
    ]:
        events = opened(WebSocketLinks(), peer, tls, wait=False)
        assert name in events.next("close").reason


def test_many_threads_may_send_while_texts_come_in_over_tls(ca: TestCa, peer: RawPeer) -> None:
    links, tls, events = WebSocketLinks(), ca.client("system:node:edge-1"), ClientRecorder()
    link = links()
    link.open(peer.url, {}, tls, events)
    upgraded(peer)
    events.next("open")

    def echo() -> None:
        for _ in range(1500):
            received = peer.frame()
            assert received is not None
            peer.write(frame(TEXT, received.data))

    def send(thread: int) -> None:
        for number in range(500):
            link.send(f"{thread}-{number}-" + "x" * 500)

    threads = [threading.Thread(target=echo), *(threading.Thread(target=send, args=(n,)) for n in range(3))]
    for thread in threads:
        thread.start()
    echoes = [events.next("text") for _ in range(1500)]
    for thread in threads:
        thread.join()
    link.close()
    for sender in range(3):
        own = [text for text in echoes if text.startswith(f"{sender}-")]
        assert [int(text.split("-")[1]) for text in own] == list(range(500))
