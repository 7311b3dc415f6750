"""A watched link says since when it is up, how often it was tried, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubeedge_actors.drivers.link.base import CloseReason, Peer, UpgradeResponse
from kubeedge_actors.drivers.link.fake import FakeLinkServer
from kubeedge_actors.drivers.link.link_monitor import LinkMonitor


class Cloud:
    """Lets everybody in and answers what it hears."""

    def __init__(self, server: FakeLinkServer) -> None:
        self._server = server

    def admit(self, peer: Peer) -> UpgradeResponse:
        return UpgradeResponse()

    def on_connect(self, peer: Peer) -> None: ...

    def on_text(self, peer: Peer, text: str) -> bool:
        self._server.send(peer, text.upper())
        return True

    def on_close(self, peer: Peer, reason: str) -> None: ...


class Edge:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_open(self, headers: Mapping[str, str]) -> None:
        self.told.append("open")

    def on_text(self, text: str) -> None:
        self.told.append(text)

    def on_written(self, marks: Sequence[str]) -> None:
        self.told.append(list(marks))

    def on_close(self, closed: CloseReason) -> None:
        self.told.append(closed.reason)


def test_the_life_of_a_link_is_told_and_nothing_is_changed_on_the_way() -> None:
    server = FakeLinkServer()
    links, edge = LinkMonitor(server.link), Edge()
    assert (links.state()["state"], links.state()["attempts"]) == ("down", 0)
    links().open("wss://cloud/e", {}, None, edge)
    assert (links.state()["state"], links.state()["reason"]) == ("down", "connection refused")
    server.start("", 0, None, Cloud(server))
    link = links()
    link.open("wss://cloud/e", {}, None, edge)
    link.send("hello", "m1")
    state = links.state()
    assert (state["state"], state["attempts"], state["url"]) == ("connected", 2, "wss://cloud/e")
    server.cut()
    assert links.state()["state"] == "down" and links.state()["reason"] == "the connection was cut"
    assert edge.told == ["connection refused", "open", ["m1"], "HELLO", "the connection was cut"]


def test_it_is_down_since_the_link_ended_however_often_it_is_tried() -> None:
    server = FakeLinkServer()
    links = LinkMonitor(server.link)
    since = links.state()["since"]
    for _ in range(3):
        links().open("wss://cloud/e", {}, None, Edge())
    assert links.state()["since"] == since
    assert links.state()["attempts"] == 3
