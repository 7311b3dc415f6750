"""What the shell holds of one pod: the pod, what runs of it, what is under way, and what is said about it."""

from __future__ import annotations

from kubeedge_actors.actors.edged.memory import PodMemory
from kubeedge_actors.actors.edged.pod_talk import PodTalk
from kubeedge_actors.actors.edged.podspec import Json, PodView, read
from kubeedge_actors.actors.edged.references import Objects, Reference
from kubeedge_actors.drivers.containers.base import Container, PodName
from kubeedge_actors.supervisors.timer import Timer


class PodRecord:
    """One pod of this node. `busy`: keys of operations under way; `looking`, `look_again`: its containers are being
    listed, or have to be, and until then nothing is planned; `asked`: references that are being asked for, by message
    id; `fresh`: nobody has been warned of its fields that have no effect; `news`: something that it refers to has changed;
    `waits`: for what its containers wait, as last told; `advised`: it was said what of it has no effect here.
    """

    def __init__(self, view: PodView, now: float, *, static: bool = False) -> None:
        self.view, self.static = view, static
        self.memory = PodMemory(started=now)
        self.talk = PodTalk(view, static=static)
        self.containers: list[Container] = []
        self.busy: set[str] = set()
        self.looking, self.look_again = False, True
        self.asked: dict[str, Reference] = {}
        self.asked_at = 0.0
        self.objects: Objects = {}
        self.paths: dict[str, str] = {}
        self.timer: Timer | None = None
        self.fresh, self.is_ghost, self.news = True, False, False
        self.waits: dict[str, tuple[str, int]] = {}
        self.advised = False

    @property
    def uid(self) -> str:
        """The pod's uid, which is also the name of its folder."""
        return self.view.name.uid

    @property
    def quiet(self) -> bool:
        """Whether nothing of it runs or is being started."""
        running = any(one.phase == "running" for one in self.containers)
        return not running and not any(key.startswith("launch:") for key in self.busy)

    @property
    def ending(self) -> bool:
        """Whether it is to go."""
        return self.memory.removed or self.view.deleting

    def learn(self, pod: Json) -> None:
        """The cluster has said what the pod is now."""
        if self.talk.learn(pod):
            self.view = read(pod)


def ghost(pod: PodName, now: float) -> PodRecord:
    """The record of a pod that no longer exists, but has left something behind."""
    metadata = {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
    record = PodRecord(read({"metadata": metadata}), now)
    record.memory.removed = record.is_ghost = True
    return record
