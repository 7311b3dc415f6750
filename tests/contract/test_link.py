"""What every pair of link and server promises: over TLS on loopback, and in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kubeedge_actors.drivers.link.base import Link, LinkServer, Peer, UpgradeResponse
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.link.fake import FakeLinkServer
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from tests.support.certificates import TestCa
from tests.support.fakes.link_recorders import ClientRecorder, ServerRecorder

HEADERS = {"node_id": "edge-1", "ConnectionUse": "msg"}


class Pair(NamedTuple):
    server: LinkServer
    at_server: ServerRecorder
    new_link: Callable[[], Link]
    url: str
    tls: TlsPaths

    def connect(self) -> tuple[Link, ClientRecorder]:
        link, events = self.new_link(), ClientRecorder()
        link.open(self.url, HEADERS, self.tls, events)
        return link, events

    def joined(self) -> tuple[Link, ClientRecorder, Peer]:
        link, events = self.connect()
        events.next("open")
        peer: Peer = self.at_server.next("connect")
        return link, events, peer


@pytest.fixture(params=["websocket", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    ca, events = TestCa(tmp_path), ServerRecorder()
    tls = ca.client("system:node:edge-1")
    if request.param == "memory":
        memory = FakeLinkServer()
        memory.common_name = "system:node:edge-1"
        port = memory.start("127.0.0.1", 10000, None, events)
        yield Pair(memory, events, memory.link, f"wss://127.0.0.1:{port}/p/edge-1/events", tls)
        memory.stop()
        return
    server = WebSocketServer()
    port = server.start("127.0.0.1", 0, ca.server("127.0.0.1"), events)
    yield Pair(server, events, WebSocketLinks(), f"wss://127.0.0.1:{port}/p/edge-1/events", tls)
    server.stop()


def test_the_server_sees_who_connects_and_where_to(pair: Pair) -> None:
    link, _, peer = pair.joined()
    assert peer.path == "/p/edge-1/events"
    assert peer.headers["node_id"] == "edge-1"
    assert peer.headers["connectionuse"] == "msg"
    assert peer.common_name == "system:node:edge-1"
    link.close()


def test_the_client_sees_the_headers_of_the_answer(pair: Pair) -> None:
    pair.at_server.admission = UpgradeResponse(headers={"Kubeedge-Actors-Ack": "1"})
    link, events = pair.connect()
    assert events.next("open")["kubeedge-actors-ack"] == "1"
    link.close()


def test_texts_arrive_whole_in_order_and_once_in_both_directions(pair: Pair) -> None:
    texts = ["", "ü€𝄞", "x" * 70_000, *(str(number) for number in range(300))]
    link, events, peer = pair.joined()
    for text in texts:
        link.send(text)
        pair.server.send(peer, text)
    assert [pair.at_server.next("text") for _ in texts] == texts
    assert [events.next("text") for _ in texts] == texts
    link.close()


def test_marks_come_back_in_order_when_their_texts_are_written(pair: Pair) -> None:
    link, events, _ = pair.joined()
    for number in range(200):
        link.send("x" * 1000, str(number))
    assert [events.next("written") for _ in range(200)] == [str(number) for number in range(200)]
    link.close()


def test_closing_a_link_is_told_once_on_both_sides_and_ends_all_events(pair: Pair) -> None:
    link, events, peer = pair.joined()
    link.close()
    link.close()
    assert events.next("close").reason == "closed by this side"
    assert pair.at_server.next("close")[0] == peer
    link.send("too late")
    assert events.rest() == []


def test_what_was_sent_before_close_is_still_written(pair: Pair) -> None:
    link, events, _ = pair.joined()
    link.send("last words", "mark")
    link.close()
    assert pair.at_server.next("text") == "last words"
    assert events.next("written") == "mark"


def test_a_peer_that_the_server_closes_is_told(pair: Pair) -> None:
    link, events, peer = pair.joined()
    pair.server.close(peer, "go away")
    assert events.next("close").reason
    assert pair.at_server.next("close")[0] == peer
    pair.server.send(peer, "nobody there")
    link.close()


def test_a_peer_that_the_server_closes_with_a_code_hears_why(pair: Pair) -> None:
    _, events, peer = pair.joined()
    pair.server.close(peer, "another connection from 10.0.0.2:6 took over", 4409)
    assert "another connection from 10.0.0.2:6 took over" in events.next("close").reason
    assert pair.at_server.next("close")[0] == peer


def test_a_refused_link_is_told_the_sentence_and_when_to_come_back(pair: Pair) -> None:
    pair.at_server.admission = UpgradeResponse(503, {"Retry-After": "7"}, "too many nodes")
    _, events = pair.connect()
    closed = events.next("close")
    assert "503" in closed.reason
    assert "too many nodes" in closed.reason
    assert closed.retry_after == 7
    assert [event[0] for event in pair.at_server.rest()] == ["admit"]


def test_stopping_the_server_ends_every_link(pair: Pair) -> None:
    links = [pair.joined() for _ in range(3)]
    pair.server.stop()
    for _, events, _ in links:
        assert events.next("close").reason


def test_a_link_that_is_closed_before_it_is_open_ends(pair: Pair) -> None:
    link, events = pair.new_link(), ClientRecorder()
    link.close()
    link.open(pair.url, HEADERS, pair.tls, events)
    assert events.next("close")
