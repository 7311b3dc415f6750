"""Authorization of connections and of upstream messages (KubeEdge: cloudhub/authorization), and the rate at which nodes
may join. Pure: a peer or a message comes in, a decision goes out.

Stricter than the original by default (source: KubeEdge cloud/pkg/cloudhub/authorization): there a node's name is
compared with its certificate only when authorisation is switched on, and a socket that is refused stays open.
"""

from __future__ import annotations

from kubeedge_actors.drivers.link.base import Peer, UpgradeResponse
from kubeedge_actors.drivers.pki.base import node_of as node_of_certificate
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.beehive import BeehiveMessage
from kubeedge_actors.wire.messages import (
    LinkMessage,
    PatchNode,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportNodeStatus,
    UpdateNode,
    WriteLease,
)

NODE_MESSAGES = (RegisterNode, UpdateNode, PatchNode, ReportNodeStatus, QueryLease, WriteLease)
ACCEPTED = "1"
CLOUD_MODULES = frozenset(
    {
        constants.CLOUDHUB,
        constants.SOURCE_CLOUDSTREAM,
        constants.DEVICECONTROLLER,
        constants.EDGECONTROLLER,
        constants.SYNCCONTROLLER,
    }
)
RETRY_WHEN_FULL_SECONDS = 30
"""Seconds after which a node for which there was no room should ask again."""
EXTENSIONS = (constants.HEADER_ACK, constants.HEADER_LEASE)
"""What two hubs of ours agree on beyond the original."""


class JoinRateLimiter:
    """Admits nodes at a bounded rate; a node too many is told when to retry.

    `rate`: how many a second in the long run; `burst`: how many at once.
    """

    def __init__(self, rate: float = 200.0, burst: int = 400) -> None:
        self._interval = 1.0 / rate
        self._slack = burst / rate
        self._next = float("-inf")
        self._told = float("-inf")

    def admit(self, peer: Peer, now: float, *, full: bool = False) -> UpgradeResponse:
        """The upgrade response for a peer; `full`: the node limit is reached."""
        refusal = reject(peer)
        if refusal is not None:
            return refusal
        if full:
            return UpgradeResponse(503, {"Retry-After": str(RETRY_WHEN_FULL_SECONDS)}, "the node limit is reached")
        turn = max(self._next, now - self._slack)
        if turn > now:
            self._told = (
                max(self._told, now) + self._interval
            )  # each another time, so that they do not come back at once either
            wait = str(max(1, round(self._told - now)))
            return UpgradeResponse(503, {"Retry-After": wait}, f"too many nodes join at once, come back in {wait} s")
        self._next = turn + self._interval
        return UpgradeResponse(headers={header: ACCEPTED for header in EXTENSIONS if has_extension(peer, header)})


def reject(peer: Peer) -> UpgradeResponse | None:
    """The error response for a peer whose certificate is not its node's, or that does not want messages; None: it is authorized."""
    node = node_of_certificate(peer.common_name, peer.organizations)
    claimed = node_of(peer)
    if not claimed:
        return UpgradeResponse(400, reason=f"the header {constants.HEADER_NODE} is missing")
    if node is None or node != claimed:
        return UpgradeResponse(403, reason=f"the certificate of {peer.common_name!r} is not that of node {claimed!r}")
    if peer.headers.get(constants.HEADER_USE.lower()) != constants.USE_MESSAGES:
        return UpgradeResponse(400, reason=f"the header {constants.HEADER_USE} has to be {constants.USE_MESSAGES}")
    return None


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


def is_ours(peer: Peer) -> bool:
    """Whether the node is native (kubeedge_actors), which agrees on more than an upstream edgecore."""
    return any(has_extension(peer, extension) for extension in EXTENSIONS)


def claims_to_be_the_cloud(record: BeehiveMessage) -> bool:
    """Whether a node's request names a module of the cloud as its source: dropped, as the original does.

    Its answers and errors carry the source of what they answer; a message of the bus has whatever source it likes.
    """
    return record.route.source in CLOUD_MODULES and record.route.group != constants.GROUP_USER


def may_send(message: LinkMessage) -> bool:
    """False when a node speaks of another node's Node or Lease."""
    if isinstance(message, NODE_MESSAGES):
        return message.name == message.node
    if isinstance(message, QueryObject) and message.type == constants.NODE:
        return message.name == message.node
    return True
