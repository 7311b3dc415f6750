"""What Edged tells itself: timers, and what worker threads and the engine's watcher bring."""

from __future__ import annotations

from kubeedge_actors.actors.edged.podspec import Json
from kubeedge_actors.drivers.containers.base import Container, ContainerEnded, EngineBack, EngineLost
from kubeedge_actors.wire.messages import Message


class Tick(Message, frozen=True):
    """Time to look at what nobody tells."""


class NodeDue(Message, frozen=True):
    """The node has something to say."""


class PodDue(Message, frozen=True, kw_only=True):
    """A pod is to be planned again."""

    uid: str


class Relist(Message, frozen=True):
    """Time to ask for the pods again."""


class Heard(Message, frozen=True, kw_only=True):
    """What the engine told."""

    event: ContainerEnded | EngineLost | EngineBack


class Looked(Message, frozen=True, kw_only=True):
    """The containers of one pod; None when no engine answers, and `why`."""

    uid: str
    containers: list[Container] | None
    why: str = ""


class Surveyed(Message, frozen=True, kw_only=True):
    """All of ours that is on the machine; `why` no engine answers, else empty."""

    engine: str = ""
    containers: list[Container] = []
    networks: set[str] = set()
    folders: set[str] = set()
    why: str = ""


class ManifestsRead(Message, frozen=True, kw_only=True):
    """The static pods, each with the path of its file."""

    found: list[tuple[str, Json]]


class LinkSeen:
    """Whether the link is up, as last heard, and whether the cloud renews the lease. Made outside of the factory, it lets a restarted Edged know at once."""

    def __init__(self) -> None:
        self.up = self.leased = False
