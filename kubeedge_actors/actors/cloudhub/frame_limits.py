"""How large what a node says may be, and how much of it may wait for the hub: one node must not fill the memory that all share."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from kubeedge_actors.wire.messages import (
    ApplicationRequest,
    DeletePod,
    DeviceStateReported,
    InsertPod,
    LinkMessage,
    MembershipRequest,
    NodeTaskReported,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    ReportNodeStatus,
    ReportPodStatus,
    RequestCertificate,
    RequestToken,
    TwinReported,
    UpdateNode,
    WriteLease,
)

SMALL: Final = 64 * 1024
"""Characters of a frame that are no matter; a kubelet's Events, leases and requests have a few thousand."""
OBJECT: Final = 1024 * 1024
"""Characters of a frame with a whole object or a report: a Node with its images has some 100,000."""
CALL: Final = 6 * 1024 * 1024
"""Characters of a frame with a call of the API for a program: an object of 3 MiB as base64."""
LIMITS: Final[dict[type[LinkMessage], int]] = {
    **dict.fromkeys((ReportEvent, QueryObject, QueryLease, WriteLease, DeletePod, MembershipRequest), SMALL),
    **dict.fromkeys((RequestCertificate, RequestToken, DeviceStateReported), SMALL),
    **dict.fromkeys((RegisterNode, UpdateNode, PatchNode, ReportNodeStatus), OBJECT),
    ApplicationRequest: CALL,
    **dict.fromkeys((InsertPod, PatchPod, ReportPodStatus, TwinReported, NodeTaskReported), OBJECT),
}
"""Of the types that the cloud keeps or asks the API with. What modules of a user send each other has the link's limit alone."""
MAX_ID: Final = 256
"""Characters of a message's id; KubeEdge's has 36. Thousands of each node are remembered."""
MAX_UNREAD: Final = 16 * 1024 * 1024
"""Characters of one connection that wait in the hub's mailbox; then the connection is not read until there is room. One frame may be longer."""

MAX_UNREAD_FRAMES: Final = 16
"""Frames of one connection that wait there: what a node says is handed on at once, so what one has said in advance others wait for."""


def too_large_sentence(message: LinkMessage, size: int) -> str:
    """Why a frame of `size` characters is too large for what it says; empty when it is not."""
    if size <= SMALL or size <= LIMITS.get(type(message), size):
        return ""
    return f"node {message.node} said a {type(message).__name__} of {size} characters: dropped"


class UnreadFrames:
    """Characters and frames of each connection that wait in the mailbox. Thread-safe: the link's thread adds, the hub takes away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unread: Counter[int] = Counter()
        self._frames: Counter[int] = Counter()

    def add(self, peer: int, size: int) -> bool:
        """Whether there is room for one more frame; counts it."""
        with self._lock:
            unread, frames = self._unread[peer], self._frames[peer]
            if frames and (unread + size > MAX_UNREAD or frames >= MAX_UNREAD_FRAMES):
                return False
            self._unread[peer], self._frames[peer] = unread + size, frames + 1
            return True

    def remove(self, peer: int, size: int) -> None:
        """A frame was read, or did not get into the mailbox."""
        with self._lock:
            self._unread[peer] -= size
            self._frames[peer] -= 1
            if self._frames[peer] <= 0:
                del self._unread[peer], self._frames[peer]
