"""Edged's messages to itself: timers, and what worker threads and the watch of the container runtime bring."""

from __future__ import annotations

from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.drivers.containers.base import Container, ContainerEnded, RuntimeLost, RuntimeRecovered
from kubeedge_actors.wire.messages import Message


class HousekeepingDue(Message, frozen=True):
    """Timer: poll what has no events."""


class NodeSyncDue(Message, frozen=True):
    """Timer: registration, lease or status of the node is due."""


class PodSyncDue(Message, frozen=True, kw_only=True):
    """Timer: sync a pod."""

    uid: str


class PodListDue(Message, frozen=True):
    """Time to ask for the pods again."""


class RuntimeEventReceived(Message, frozen=True, kw_only=True):
    """An event of the container engine."""

    event: ContainerEnded | RuntimeLost | RuntimeRecovered


class PodContainersListed(Message, frozen=True, kw_only=True):
    """The containers of one pod were listed; None and `error` when no engine answers."""

    uid: str
    containers: list[Container] | None
    error: str = ""


class RuntimeRelisted(Message, frozen=True, kw_only=True):
    """All our containers, networks and folders were listed; `error`: why no engine answers, else empty."""

    engine: str = ""
    containers: list[Container] = []
    networks: set[str] = set()
    folders: set[str] = set()
    error: str = ""


class ManifestsRead(Message, frozen=True, kw_only=True):
    """The static pods, each with the path of its file."""

    manifests: list[tuple[str, Json]]


class LinkState:
    """Whether the link is up, as last heard, whether the cloud renews the lease, and whether the node has registered since the edge was
    started. Made outside of the factory, it lets a restarted Edged know at once.
    """

    def __init__(self) -> None:
        self.up = self.cloud_renews_lease = self.registered = False
