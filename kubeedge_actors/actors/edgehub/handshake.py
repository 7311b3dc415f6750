"""What the two hubs agree on by headers of the handshake. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kubeedge_actors.wire import constants

ACCEPTED = "1"


class AcceptedExtensions(NamedTuple):
    """What a cloud has accepted; nothing of it by a genuine one.

    `acks`: it acknowledges durable messages. `renews_lease`: with each heart-beat. `wants_confirmation`: of messages of its modules.
    """

    acks: bool = False
    renews_lease: bool = False
    wants_confirmation: bool = False


def request_headers(node_name: str, project: str) -> dict[str, str]:
    """The headers with which a node asks for the link."""
    return {
        constants.HEADER_NODE: node_name,
        constants.HEADER_PROJECT: project,
        constants.HEADER_USE: constants.USE_MESSAGES,
        constants.HEADER_ACK: ACCEPTED,
        constants.HEADER_LEASE: ACCEPTED,
        constants.HEADER_CONFIRM: ACCEPTED,
    }


def accepted_extensions(headers: Mapping[str, str]) -> AcceptedExtensions:
    """What the answer accepts; header names in lower case."""
    accepted = (constants.HEADER_ACK, constants.HEADER_LEASE, constants.HEADER_CONFIRM)
    return AcceptedExtensions(*(headers.get(header.lower()) == ACCEPTED for header in accepted))
