"""What a node says of itself in the headers of its upgrade request: its name, and the extensions that it asks for. Pure."""

from __future__ import annotations

from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.wire import constants

ACCEPTED = "1"
EXTENSIONS = (constants.HEADER_ACK, constants.HEADER_LEASE, constants.HEADER_CONFIRM)
"""What two native hubs agree on beyond the original."""


def node_of(peer: Peer) -> str:
    """The name of the node in a peer's headers."""
    return peer.headers.get(constants.HEADER_NODE.lower(), "")


def has_extension(peer: Peer, extension: str) -> bool:
    """Whether the node asks for one of the extensions, by the name of its header."""
    return peer.headers.get(extension.lower()) == ACCEPTED


def wants_upstream_acks(peer: Peer) -> bool:
    """Whether the node wants its durable messages acknowledged."""
    return has_extension(peer, constants.HEADER_ACK)


def cloud_renews_lease(peer: Peer) -> bool:
    """Whether the node's heart-beats renew its lease."""
    return has_extension(peer, constants.HEADER_LEASE)


def confirms_messages(peer: Peer) -> bool:
    """Whether the node confirms what modules of the cloud send it."""
    return has_extension(peer, constants.HEADER_CONFIRM)


def is_native(peer: Peer) -> bool:
    """Whether the node is native (kubeedge_actors), which agrees on more than an upstream edgecore."""
    return any(has_extension(peer, extension) for extension in EXTENSIONS)


def accepted_extensions(peer: Peer) -> dict[str, str]:
    """The headers of the upgrade response that accept the extensions asked for."""
    return {header: ACCEPTED for header in EXTENSIONS if has_extension(peer, header)}
