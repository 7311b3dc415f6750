"""Authorization of connections and of what nodes say (KubeEdge: cloudhub/authorization). Pure: a peer or a message comes in, a decision
goes out.

Stricter than the original by default (source: KubeEdge cloud/pkg/cloudhub/authorization): there a node's name is
compared with its certificate only when authorisation is switched on, and a socket that is refused stays open.
"""

from __future__ import annotations

from kubeedge_actors.actors.cloudhub.upgrade_headers import accepted_extensions, node_of
from kubeedge_actors.drivers.link.base import Peer, UpgradeResponse
from kubeedge_actors.hubs.rate_limits import JoinRateLimiter
from kubeedge_actors.kubernetes.certificates.info import node_of as node_of_certificate
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


def admit(peer: Peer, limiter: JoinRateLimiter, now: float, *, full: bool = False) -> UpgradeResponse:
    """The upgrade response for a peer that connects: authorized, within the node limit (`full`: it is reached) and within the rate."""
    rejected = authorize_peer(peer)
    if rejected is not None:
        return rejected
    if full:
        return UpgradeResponse(503, {"Retry-After": str(RETRY_WHEN_FULL_SECONDS)}, "the node limit is reached")
    wait = limiter.retry_after(now)
    if wait:
        return UpgradeResponse(503, {"Retry-After": str(wait)}, f"too many nodes join at once, come back in {wait} s")
    return UpgradeResponse(headers=accepted_extensions(peer))


def authorize_peer(peer: Peer) -> UpgradeResponse | None:
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


def names_cloud_source(record: BeehiveMessage) -> bool:
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
