"""What the tests of CloudHub share: a link server without a link, objects to push, and a hub in one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kubeedge_actors.actors.cloudhub.hub import CloudHub
from kubeedge_actors.actors.cloudhub.messages import ListenConfig
from kubeedge_actors.drivers.link.base import Peer, ServerEvents, UpgradeResponse
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire import beehive, mapping
from kubeedge_actors.wire.messages import LinkMessage, ObjectPushed, Response


class FakeLinkServer:
    """A LinkServer whose peers a test moves; `sent`: what the hub wanted to send, `closed`: why it closed."""

    def __init__(self) -> None:
        self.events: ServerEvents
        self.here: dict[int, Peer] = {}
        self.sent: list[tuple[Peer, str]] = []
        self.closed: list[tuple[Peer, str]] = []
        self.codes: list[int] = []

    def start(self, host: str, port: int, tls: TlsPaths | None, events: ServerEvents) -> int:
        self.events = events
        return port

    def peers(self) -> list[Peer]:
        return list(self.here.values())

    def send(self, peer: Peer, text: str) -> None:
        self.sent.append((peer, text))

    def close(self, peer: Peer, reason: str = "", code: int = 0) -> None:
        self.codes.append(code)
        self.closed.append((peer, reason))
        self.here.pop(peer.id, None)
        self.events.on_close(peer, reason)

    def call_soon(self, function: Callable[[], None]) -> None:
        function()

    def stop(self) -> None:
        self.here.clear()

    # --- what a test does

    def connect(self, peer: Peer) -> UpgradeResponse:
        admission = self.events.admit(peer)
        if admission.status == 101:
            self.here[peer.id] = peer
            self.events.on_connect(peer)
        return admission

    def lose(self, peer: Peer) -> None:
        del self.here[peer.id]
        self.events.on_close(peer, "lost")


class CloudHubEnv:
    """A CloudHub on the inline engine, its server, and the nodes that talk to it."""

    def __init__(self, **options: Any) -> None:
        self.server = FakeLinkServer()
        self.harness: Harness = inline(
            CloudHub.spec(lambda: CloudHub(self.server, ListenConfig("127.0.0.1", 0, None), **options))
        )
        self._numbers = iter(range(1, 1_000_000))

    def join(self, node: str, address: str = "", **headers: str) -> Peer:
        """Connect a node; run until the hub is idle."""
        assert self.harness.system  # started, so that the server has somebody to tell
        peer = msgspec.structs.replace(peer_of(node, next(self._numbers), **headers), address=address)
        assert self.server.connect(peer).status == 101
        self.harness.run()
        return peer

    def hear(self, peer: Peer, *said: LinkMessage | str) -> None:
        """Let a node say something; run until the hub is idle."""
        for each in said:
            text = each if isinstance(each, str) else beehive.encode(mapping.to_beehive(each, 1))
            if not self.server.events.on_text(peer, text):  # so much of it waits that it is not read until the hub has
                self.harness.run()
                assert self.server.events.on_text(peer, text)
        self.harness.run()

    def sent_to(self, peer: Peer) -> list[LinkMessage]:
        """What this node was sent since the last time."""
        mine = [text for to, text in self.server.sent if to.id == peer.id]
        self.server.sent = [(to, text) for to, text in self.server.sent if to.id != peer.id]
        return [mapping.from_beehive(beehive.decode(text)) for text in mine]


def peer_of(node: str, number: int = 1, **headers: str) -> Peer:
    """A peer as TLS and handshake would show it; `_` in header names stands for `-`."""
    extra = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Peer(
        id=number,
        path=f"/p/{node}/events",
        headers={"node_id": node, "project_id": "p", "connectionuse": "msg", **extra},
        common_name=f"system:node:{node}",
        organizations=("system:nodes",),
    )


OURS = {"kubeedge_actors_ack": "1"}


def pushed(uid: str, version: int | str = 1, operation: str = "update", type: str = "pod", **more: Any) -> ObjectPushed:
    """A push of an object whose name is its uid."""
    content = {"apiVersion": "v1", "kind": type, "metadata": {"name": uid, "namespace": "default", "uid": uid}}
    facts: dict[str, Any] = {
        "namespace": "default",
        "name": uid,
        "resource_version": str(version),
        "node": "n1",
        **more,
    }
    return ObjectPushed(operation=operation, type=type, object=content, **facts)


def ack(message: LinkMessage) -> Response:
    """The acknowledgement of a message."""
    return Response(parent_msg_id=message.msg_id, resource="")
