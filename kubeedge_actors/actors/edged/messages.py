"""Edged's messages to itself: timers, and what worker threads and the watch of the container runtime bring."""

from __future__ import annotations

from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.drivers.containers.base import Container, ContainerEnded, RuntimeLost, RuntimeRecovered
from kubeedge_actors.wire.messages import Message


class HousekeepingDue(Message, frozen=True):
    """Time to look at what nobody tells."""


class NodeSyncDue(Message, frozen=True):
    """The node has something to say."""


class PodSyncDue(Message, frozen=True, kw_only=True):
    """A pod is to be planned again."""

    uid: str


class PodListDue(Message, frozen=True):
    """Time to ask for the pods again."""


class RuntimeEventReceived(Message, frozen=True, kw_only=True):
    """What the engine told."""

    event: ContainerEnded | RuntimeLost | RuntimeRecovered


class PodContainersListed(Message, frozen=True, kw_only=True):
    """The containers of one pod; None when no engine answers, and `error`."""

    uid: str
    containers: list[Container] | None
    error: str = ""


class RuntimeRelisted(Message, frozen=True, kw_only=True):
    """All of ours that is on the machine; `error` no engine answers, else empty."""

    engine: str = ""
    containers: list[Container] = []
    networks: set[str] = set()
    folders: set[str] = set()
    error: str = ""


class ManifestsRead(Message, frozen=True, kw_only=True):
    """The static pods, each with the path of its file."""

    manifests: list[tuple[str, Json]]


class LinkState:
    """Whether the link is up, as last heard, and whether the cloud renews the lease. Made outside of the factory, it lets a restarted Edged know at once."""

    def __init__(self) -> None:
        self.up = self.cloud_renews_lease = False
