"""Who may join, and what a node may say. Pure: a peer or a message comes in, a verdict goes out.

Stricter than the original by default (source: KubeEdge cloud/pkg/cloudhub/authorization): there a node's name is
compared with its certificate only when authorisation is switched on, and a socket that is refused stays open.
"""

from __future__ import annotations

from kubeedge_actors.drivers.link.base import Admission, Peer
from kubeedge_actors.drivers.pki.base import node_of as node_of_certificate
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    PatchNode,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportNodeStatus,
    Said,
    UpdateNode,
    WriteLease,
)
from kubeedge_actors.wire.record import Record

ABOUT_A_NODE = (RegisterNode, UpdateNode, PatchNode, ReportNodeStatus, QueryLease, WriteLease)
ACCEPTED = "1"
OF_THE_CLOUD = frozenset(
    {
        names.CLOUDHUB,
        names.SOURCE_CLOUDSTREAM,
        names.DEVICECONTROLLER,
        names.EDGECONTROLLER,
        names.SYNCCONTROLLER,
    }
)
FULL_FOR = 30
"""Seconds after which a node for which there was no room should ask again."""
EXTENSIONS = (names.HEADER_ACK, names.HEADER_LEASE)
"""What two hubs of ours agree on beyond the original."""


class Door:
    """Lets nodes in at a bounded rate; a node too many is told when to come back.

    `rate`: how many a second in the long run; `burst`: how many at once.
    """

    def __init__(self, rate: float = 200.0, burst: int = 400) -> None:
        self._interval = 1.0 / rate
        self._slack = burst / rate
        self._next = float("-inf")
        self._told = float("-inf")

    def admit(self, peer: Peer, now: float, *, full: bool = False) -> Admission:
        """The answer to a peer that asks in; `full`: there is no room for another node."""
        refusal = refuse(peer)
        if refusal is not None:
            return refusal
        if full:
            return Admission(503, {"Retry-After": str(FULL_FOR)}, "the node limit is reached")
        turn = max(self._next, now - self._slack)
        if turn > now:
            self._told = (
                max(self._told, now) + self._interval
            )  # each another time, so that they do not come back at once either
            wait = str(max(1, round(self._told - now)))
            return Admission(503, {"Retry-After": wait}, f"too many nodes join at once, come back in {wait} s")
        self._next = turn + self._interval
        return Admission(headers={header: ACCEPTED for header in EXTENSIONS if wants(peer, header)})


def refuse(peer: Peer) -> Admission | None:
    """The refusal of a peer that is not the node it says, or does not speak messages; None: it may come in."""
    node = node_of_certificate(peer.common_name, peer.organizations)
    claimed = node_of(peer)
    if not claimed:
        return Admission(400, reason=f"the header {names.HEADER_NODE} is missing")
    if node is None or node != claimed:
        return Admission(403, reason=f"the certificate of {peer.common_name!r} is not that of node {claimed!r}")
    if peer.headers.get(names.HEADER_USE.lower()) != names.USE_MESSAGES:
        return Admission(400, reason=f"the header {names.HEADER_USE} has to be {names.USE_MESSAGES}")
    return None


def node_of(peer: Peer) -> str:
    """The node that a peer says it is."""
    return peer.headers.get(names.HEADER_NODE.lower(), "")


def wants(peer: Peer, extension: str) -> bool:
    """Whether the node asks for one of the extensions, by the name of its header."""
    return peer.headers.get(extension.lower()) == ACCEPTED


def wants_acknowledgement(peer: Peer) -> bool:
    """Whether the node wants its durable messages acknowledged."""
    return wants(peer, names.HEADER_ACK)


def is_leased(peer: Peer) -> bool:
    """Whether the node's heart-beats renew its lease."""
    return wants(peer, names.HEADER_LEASE)


def is_ours(peer: Peer) -> bool:
    """Whether the node is one of ours, which agrees on more than the original."""
    return any(wants(peer, extension) for extension in EXTENSIONS)


def claims_to_be_the_cloud(record: Record) -> bool:
    """Whether a node's request names a module of the cloud as its source: dropped, as the original does.

    Its answers and errors carry the source of what they answer; a message of the bus has whatever source it likes.
    """
    return record.route.source in OF_THE_CLOUD and record.route.group != names.GROUP_USER


def is_its_own(message: Said) -> bool:
    """False when a node speaks of another node's Node or Lease."""
    if isinstance(message, ABOUT_A_NODE):
        return message.name == message.node
    if isinstance(message, QueryObject) and message.type == names.NODE:
        return message.name == message.node
    return True
