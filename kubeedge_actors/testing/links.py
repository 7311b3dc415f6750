"""A link without a network, whose other end a test holds: it hears, it says, and it breaks on demand; or, for a module alone, what it sends over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kubeedge_actors.drivers.link.base import Link, Peer, UpgradeResponse
from kubeedge_actors.drivers.link.fake import FakeLinkServer
from kubeedge_actors.testing.harness import Harness, Probe
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.custom_messages import from_custom, is_custom_of, to_custom

HUBS = {"edge": constants.EDGEHUB, "cloud": constants.NODEOUTBOX}
Sent = TypeVar("Sent")


class FakeCloud:
    """The cloud's end. Give `links` to whoever connects (`EdgeHub(links=cloud.links, ...)`); `heard`: every text that arrived.

    `headers`: what it answers the one that connects with.

    >>> from kubeedge_actors.drivers.link.base import CloseReason
    >>> class Edge:
    ...     def on_open(self, headers): print("open")
    ...     def on_text(self, text): print("heard", text)
    ...     def on_written(self, marks): print("written", *marks)
    ...     def on_close(self, closed): print(closed.reason)
    >>> cloud = FakeCloud()
    >>> link = cloud.links()
    >>> link.open("wss://cloud", {}, None, Edge())
    open
    >>> link.send("hello", "1")
    written 1
    >>> cloud.heard
    ['hello']
    >>> cloud.cut()
    the connection was cut
    """

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.heard: list[str] = []
        self.answer: Callable[[str], list[str]] = lambda text: []
        """What it says to each text that it hears; nothing, if a test sets no other."""
        self._headers = dict(headers or {})
        self._server = FakeLinkServer()
        self._server.start("", 0, None, self)
        self.connections = 0
        """How many there were so far."""

    def links(self) -> Link:
        """A fresh link to this cloud, whatever the URL it is opened with."""
        return self._server.link()

    def say(self, text: str) -> None:
        """Say this to everybody who is connected."""
        for peer in self._server.peers():
            self._server.send(peer, text)

    def cut(self, reason: str = "the connection was cut") -> None:
        """End every connection; what was written and not heard is lost. Who tries again is let in."""
        self._server.cut(reason)

    def refuse(self) -> None:
        """End every connection and let nobody in until `accept_again`."""
        self._server.reachable = False
        self.cut("the cloud went away")

    def accept_again(self) -> None:
        """Let in again who tries."""
        self._server.reachable = True

    def stall(self) -> None:
        """From now on nothing arrives and nothing counts as written, and the link stays open: a network that only looks well."""
        self._server.stalled = True

    def restore(self) -> None:
        """Deliver what was held back, and all that follows."""
        self._server.release_stalled()

    # --- what the link tells

    def admit(self, peer: Peer) -> UpgradeResponse:
        """Anybody may come in."""
        return UpgradeResponse(headers=self._headers)

    def on_connect(self, peer: Peer) -> None:
        """One more."""
        self.connections += 1

    def on_text(self, peer: Peer, text: str) -> bool:
        """Keep it, and answer."""
        self.heard.append(text)
        for answer in self.answer(text):
            self._server.send(peer, answer)
        return True

    def on_close(self, peer: Peer, reason: str) -> None:
        """It may connect again."""


class LinkProbe:
    """Stands in for the link of a harness whose modules use `up` (`side` "edge") or `down` ("cloud"). Make it before the harness is used.

    >>> from kubeedge_actors import Message, Module, on
    >>> from kubeedge_actors.testing import LinkProbe, inline
    >>> class Reading(Message, frozen=True, kw_only=True):
    ...     wire = "example.Reading"
    ...     node: str = ""
    ...     value: float
    >>> class Doubler(Module):
    ...     name = "doubler"
    ...     @on
    ...     def on_reading(self, reading: Reading) -> None:
    ...         self.down(reading.node, Reading(value=2 * reading.value))
    >>> with inline(Doubler) as harness:
    ...     link = LinkProbe(harness, "cloud")
    ...     link.arrive(Reading(value=21.0), node="edge-1")
    ...     link.sent(Reading)
    [('edge-1', Reading(node='', value=42.0))]
    """

    def __init__(self, harness: Harness, side: str) -> None:
        self._harness = harness
        self._hub: Probe = harness.probe(HUBS[side])

    def sent(self, message_type: type[Sent]) -> list[tuple[str, Sent]]:
        """What was sent of this class so far: the node (empty for `up`) and the message, as the other side would get it."""
        customs: list[Any] = [each for each in self._hub.received if is_custom_of(each, message_type)]
        return [(each.node, from_custom(each, message_type, node="")) for each in customs]

    def arrive(self, message: object, node: str = "") -> None:
        """Let a message come over the link, from a node if this is the cloud, and run."""
        self._harness.publish(from_custom(to_custom(message), type(message), node=node))
