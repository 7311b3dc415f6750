"""A log that is followed goes on where it broke off when its node is back, and ends where that can not be had."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.apiserver import PodLogRequest
from kubeedge_actors.assembly.followed_log import NEXT_SECONDS, RETRY_MAX, RETURN_SECONDS, FollowedLog
from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.errors import LinkError
from kubeedge_actors.wire import constants, tunnel
from kubeedge_actors.wire.tunnel import Frame, FrameType


class Node:
    """A node with a tunnel to this registry."""

    def __init__(self, *, native: bool = True) -> None:
        self.tunnels, self.said, self._native = TunnelRegistry(), list[Frame](), native
        self.tunnels.attach(self._hear, lambda peer, why: None, lambda node: None)
        self.now = 0.0
        self.tunnels.wait_for_change = self._wait  # type: ignore[method-assign]
        self.connect()

    def _hear(self, peer: Peer, text: str) -> None:
        self.said.append(tunnel.decode(text))

    def _wait(self, seconds: float) -> None:
        self.now += seconds

    def connect(self) -> None:
        headers = {"sessionhostnameoverride": "e1", "sessioninternalip": "192.0.2.7"}
        headers |= {constants.HEADER_STREAM.lower(): "1"} if self._native else {}
        self.peer = Peer(1, "/v1/kubeedge/connect", headers, "system:node:e1", ("system:nodes",), "192.0.2.7:1")
        self.tunnels.on_connect(self.peer)

    def say(self, text: bytes) -> None:
        self.tunnels.on_text(self.peer, tunnel.encode(Frame(self.opened[-1].id, FrameType.DATA, text)))

    def leave(self) -> None:
        self.tunnels.on_close(self.peer, "it was restarted")

    @property
    def opened(self) -> list[Frame]:
        return [frame for frame in self.said if frame.kind is FrameType.LOGS]

    @property
    def asked(self) -> dict[str, list[str]]:
        return parse_qs(tunnel.decode_open(self.opened[-1].data).url.RawQuery)


def reading(node: Node, **options: object) -> Iterator[bytes]:
    query = PodLogRequest("default", "p", "e1", "c", **options)  # type: ignore[arg-type]
    return FollowedLog(node.tunnels, query, lambda: node.now, random.Random(1)).pieces()


def begun(node: Node, text: bytes, **options: object) -> Iterator[bytes]:
    """A reader who has got this text; the node is asked when the first piece is."""
    pieces = reading(node, **options)
    opened = node.tunnels.open_stream

    def open_and_say(*arguments: object, **more: object) -> object:
        stream = opened(*arguments, **more)  # type: ignore[arg-type]
        node.say(text)
        return stream

    node.tunnels.open_stream = open_and_say  # type: ignore[method-assign, assignment]
    assert next(pieces) == text
    node.tunnels.open_stream = opened  # type: ignore[method-assign]
    return pieces


def test_it_goes_on_behind_what_was_read() -> None:
    node = Node()
    pieces = begun(node, b"one\ntwo\n", follow=True, tail_lines=5, limit_bytes=100)
    node.leave()
    assert next(pieces) == b"", "it waits"
    node.connect()
    while len(node.opened) < 2:
        assert next(pieces) == b""
    assert base64.urlsafe_b64decode(node.asked[constants.LOG_AFTER][0]) == b"one\ntwo\n"
    assert node.asked["limitBytes"] == ["92"]
    node.say(b"three\n")
    assert b"three\n" in (next(pieces), next(pieces))


@pytest.mark.parametrize(("native", "follow"), [(False, True), (True, False)])
def test_a_node_of_another_make_and_a_log_that_is_not_followed_end_with_the_reason(native: bool, follow: bool) -> None:
    node = Node(native=native)
    pieces = begun(node, b"one\n", follow=follow)
    node.leave()
    node.connect()
    with pytest.raises(LinkError, match="it was restarted"):
        list(pieces)


def test_a_node_that_stays_away_ends_what_is_followed() -> None:
    node = Node()
    pieces = begun(node, b"one\n", follow=True)
    node.leave()
    assert next(pieces) == b""
    node.now += RETURN_SECONDS + 1
    with pytest.raises(LinkError, match="it was restarted"):
        list(pieces)


def test_a_node_whose_tunnel_stands_while_each_stream_breaks_is_asked_later_and_later() -> None:
    node = Node()
    pieces = begun(node, b"one\n", follow=True)
    opened, asked_at = node.tunnels.open_stream, list[float]()

    def open_and_break(*arguments: object, **more: object) -> object:
        stream = opened(*arguments, **more)  # type: ignore[arg-type]
        asked_at.append(node.now)
        node.leave()
        node.connect()
        return stream

    node.tunnels.open_stream = open_and_break  # type: ignore[method-assign, assignment]
    node.leave()
    node.connect()
    while node.now < 600:
        assert next(pieces) == b""
    waits = [later - sooner for sooner, later in zip([0.0, *asked_at], asked_at, strict=False)]
    longest = [min(RETRY_MAX, 0.2 * 2.0**number) for number in range(len(waits))]
    assert all(most / 2 <= wait <= most + 1e-6 for wait, most in zip(waits, longest, strict=True)), waits
    assert 10 < len(waits) < 50


def test_a_log_that_went_on_for_a_while_is_asked_for_soon_again() -> None:
    node = Node()
    pieces = begun(node, b"one\n", follow=True)
    for _ in range(4):
        node.now += 60.0
        node.leave()
        node.connect()
        before, count = node.now, len(node.opened)
        while len(node.opened) == count:
            assert next(pieces) == b""
        assert node.now - before <= NEXT_SECONDS
