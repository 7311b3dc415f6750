"""Edged's messages to itself: timers, and what worker threads and the watch of the container runtime bring."""

from __future__ import annotations

from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.drivers.containers.base import (
    FULL_SUPPORT,
    Container,
    ContainerEnded,
    LimitSupport,
    RuntimeLost,
    RuntimeRecovered,
)
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


class PodStorageMeasured(Message, frozen=True, kw_only=True):
    """What a pod keeps on this machine was measured; `excess`: the sentence with which it is evicted, empty for none."""

    uid: str
    excess: str


class RuntimeRelisted(Message, frozen=True, kw_only=True):
    """All our containers, networks and folders were listed; `error`: why no engine answers, else empty."""

    engine: str = ""
    limits: LimitSupport = FULL_SUPPORT
    containers: list[Container] = []
    networks: set[str] = set()
    folders: set[str] = set()
    error: str = ""


class ManifestsRead(Message, frozen=True, kw_only=True):
    """The static pods, each with the path of its file."""

    manifests: list[tuple[str, Json]]


class ListPodEvents(Message, frozen=True):
    """Asks for the Events of pods that are remembered here: a list of v1.Event, the newest at the end."""


class RestartPod(Message, frozen=True, kw_only=True):
    """Orders the containers of a pod to be stopped and started anew; the answer: the names of those that ran."""

    uid: str


class LinkState:
    """Whether the link is up, as last heard, whether the cloud renews the lease, and whether the node has registered since the edge was
    started. Made outside of the factory, it lets a restarted Edged know at once.
    """

    def __init__(self) -> None:
        self.up = self.cloud_renews_lease = self.registered = False
