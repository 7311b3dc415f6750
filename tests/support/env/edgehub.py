"""An EdgeHub on the inline engine, its store, and a cloud of which a test decides every word."""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.actors.edgehub import EdgeHub
from kubeedge_actors.drivers.link.base import Peer, UpgradeResponse
from kubeedge_actors.drivers.link.fake import FakeLinkServer
from kubeedge_actors.drivers.store.base import OutboxStore
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import KeepAlive, LinkMessage, OutboxAcknowledged, ReportStored

SETTLED = 0.3
"""Seconds after which even a genuine cloud is asked."""


class FakeCloud:
    """The cloud's end. `ours`: it acknowledges durable messages, by `acknowledge`; `confirms`: reports are confirmed at once."""

    def __init__(self, *, ours: bool = False, confirms: bool = False, headers: dict[str, str] | None = None) -> None:
        self.headers = headers or ({constants.HEADER_ACK: "1"} if ours else {})
        self.confirms = confirms
        self.server = FakeLinkServer()
        self.server.start("cloud", 10000, None, self)
        self.refusal: UpgradeResponse | None = None
        self.peer: Peer | None = None
        self.requests: list[Peer] = []
        self.texts: list[str] = []
        self.heard: list[Any] = []

    def admit(self, peer: Peer) -> UpgradeResponse:
        self.requests.append(peer)
        return self.refusal or UpgradeResponse(headers=self.headers)

    def on_connect(self, peer: Peer) -> None:
        self.peer = peer

    def on_close(self, peer: Peer, reason: str) -> None:
        self.peer = None

    def on_text(self, peer: Peer, text: str) -> bool:
        message = mapping.from_beehive(beehive.decode(text))
        self.texts.append(text)
        self.heard.append(message)
        if self.confirms and type(message).__name__.endswith("Reported"):
            self.say(ReportStored(parent_msg_id=message.msg_id))
        return True

    def of(self, *kinds: type) -> list[Any]:
        """What was heard of these types."""
        return [message for message in self.heard if type(message) in kinds]

    def take(self) -> list[Any]:
        """What was heard since the last time, without heart-beats."""
        taken, self.heard = self.heard, []
        return [message for message in taken if not isinstance(message, KeepAlive)]

    def say(self, message: LinkMessage) -> None:
        """Say something."""
        self.say_text(beehive.encode(mapping.to_beehive(message, 1)))

    def say_text(self, text: str) -> None:
        """Say something word by word."""
        assert self.peer is not None, "the edge is not connected"
        self.server.send(self.peer, text)

    def acknowledge(self, *messages: LinkMessage) -> None:
        """The durable messages were handled."""
        self.say(OutboxAcknowledged(ids=[message.msg_id for message in messages]))


class EdgeHubEnv:
    """Everything together; the harness runs until nobody has work after each step."""

    def __init__(self, *, cloud: FakeCloud | None = None, outbox: OutboxStore | None = None, **options: Any) -> None:
        self.cloud = cloud or FakeCloud()
        self.store = FakeStore()
        self.outbox = outbox or self.store.outbox
        facts = {
            "node_name": "edge-1",
            "url": "wss://cloud:10000",
            "link_factory": self.cloud.server.link,
            "credentials": None,
            "outbox": self.outbox,
            "chance": lambda: 1.0,
            "run_in_thread": lambda work: work(),
        }
        self.harness: Harness = inline(EdgeHub.spec(lambda: EdgeHub(**{**facts, **options})))
        self.metamanager = self.harness.probe(constants.METAMANAGER)

    def start(self) -> EdgeHubEnv:
        """Connect."""
        self.harness.run()
        self.harness.advance(SETTLED)
        return self

    def tell(self, *messages: LinkMessage) -> None:
        """Tell the hub."""
        for message in messages:
            self.harness.ref(constants.EDGEHUB).tell(message)
        self.harness.run()

    def say(self, message: LinkMessage) -> None:
        """Let the cloud say something."""
        self.cloud.say(message)
        self.harness.run()

    def cut(self) -> None:
        """End the link."""
        self.cloud.server.cut()
        self.harness.run()

    def back(self) -> None:
        """Let the hub connect again."""
        self.harness.advance(31.0)

    def waiting(self) -> list[str]:
        """Ids in the outbox, after what the cloud has was removed from it."""
        self.harness.advance(SETTLED)
        return [row.msg_id for row in self.outbox.pending()]


def content_of(text: str) -> Any:
    """The content of a frame."""
    return msgspec.json.decode(beehive.decode(text).content)
