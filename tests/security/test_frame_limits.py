"""An edge trusts its cloud with no more memory than a message may have: from the header on, in fragments, in the answer to the upgrade."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from kubeedge_actors.drivers.link import client, incoming_limits
from kubeedge_actors.drivers.link.client import WebSocketLink
from tests.support.fakes.link_recorders import ClientRecorder
from tests.support.fakes.raw_websocket_server import BINARY, CLOSE, CONT, TEXT, RawPeer, frame

LIMIT = incoming_limits.MAX_MESSAGE


@pytest.fixture
def peer() -> Iterator[RawPeer]:
    with RawPeer() as listening:
        yield listening


def joined(peer: RawPeer) -> ClientRecorder:
    events, link = ClientRecorder(), WebSocketLink()
    link.open(peer.url, {"node_id": "edge-1"}, None, events)
    peer.upgrade()
    events.next("open")
    return events


def is_told(peer: RawPeer) -> bool:
    """Whether the other side gets the close code for a message that is too big."""
    while (got := peer.frame()) is not None:
        if got.opcode == CLOSE:
            return bool(struct.unpack("!H", got.data[:2])[0] == 1009)
    return False


def test_the_limit_is_32_mib() -> None:
    assert LIMIT == 32 << 20


@pytest.mark.parametrize("size", [LIMIT + 1, 300 << 20, 2**63 - 1])
@pytest.mark.parametrize("kind", [TEXT, BINARY])
def test_a_frame_is_refused_by_its_header(peer: RawPeer, size: int, kind: int) -> None:
    events = joined(peer)
    assert peer.socket is not None
    peer.socket.sendall(bytes([0x80 | kind, 127]) + struct.pack("!Q", size))  # nothing of it follows
    assert is_told(peer)
    assert f"too long a message: a frame of {size} bytes" in events.next("close").reason


def test_fragments_count_together(peer: RawPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_MESSAGE", 10_000)
    events = joined(peer)
    assert peer.socket is not None
    peer.socket.sendall(frame(TEXT, b"a" * 6_000, fin=False) + frame(CONT, b"a" * 6_000, fin=False))
    assert is_told(peer)
    assert "in fragments" in events.next("close").reason


def test_messages_of_the_limit_pass_one_after_the_other(peer: RawPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_MESSAGE", 10_000)
    events = joined(peer)
    assert peer.socket is not None
    for _ in range(3):
        peer.socket.sendall(frame(TEXT, b"a" * 5_000, fin=False) + frame(CONT, b"a" * 5_000))
    assert [len(events.next("text")) for _ in range(3)] == [10_000] * 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"a" * 200_000,
        b"HTTP/1.1 101 Switching Protocols\r\n" + b"X: a\r\n" * 40_000,
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 999999999\r\n\r\n" + b"a" * 200_000,
    ],
)
def test_an_answer_to_the_upgrade_is_short(peer: RawPeer, answer: bytes) -> None:
    events = ClientRecorder()
    WebSocketLink().open(peer.url, {}, None, events)
    peer.accept()
    assert peer.socket is not None
    try:
        peer.socket.sendall(answer)
    except OSError:
        assert events
    assert "the answer to the upgrade is too long" in events.next("close").reason


def test_an_answer_to_the_upgrade_comes_in_time(peer: RawPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_TIMEOUT", 0.2)
    events = ClientRecorder()
    WebSocketLink().open(peer.url, {}, None, events)
    peer.accept()
    assert "no answer in time" in events.next("close").reason
