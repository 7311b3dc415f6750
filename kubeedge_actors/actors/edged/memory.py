"""What Edged remembers of one pod beside the pod itself and its containers. Lost in a crash: all of it can be found
out again.
"""

from __future__ import annotations

import msgspec

from kubeedge_actors.actors.edged.podspec import PodView
from kubeedge_actors.actors.edged.probing import ProbeKind, Probing
from kubeedge_actors.actors.edged.restarts import Backoff, Failure


class PodMemory(msgspec.Struct):
    """Facts of the moment about one pod; times are seconds since the epoch.

    `removed`: the object is gone, nothing may be left of it. `prepared`: volumes are written. `stops`: container id ->
    when it will be killed. `doomed`: container id -> why it has to be restarted. `done`: nothing is left of it.
    """

    started: float
    removed: bool = False
    done: bool = False
    phase: str = ""
    reason: str = ""
    message: str = ""
    prepared: bool = False
    prepare_failure: Failure | None = None
    backoffs: dict[str, Backoff] = {}
    failures: dict[str, Failure] = {}
    stops: dict[str, float] = {}
    doomed: dict[str, str] = {}
    probes: dict[tuple[str, ProbeKind], Probing] = {}
    network_open: bool = False

    def failed(self, name: str, reason: str, message: str, now: float, pace: tuple[float, float]) -> None:
        """Container `name` could not be started; `pace`: the first and the longest wait before the next try."""
        before = self.failures.get(name)
        count = before.count + 1 if before is not None and before.reason == reason else 1
        self.failures[name] = Failure(reason, message, now, count, *pace)

    def unprepared(self, reason: str, message: str, now: float) -> None:
        """What the pod refers to can not be had."""
        before = self.prepare_failure
        self.prepared = False
        self.prepare_failure = Failure(reason, message, now, 1 if before is None else before.count + 1)

    def forget_container(self, container_id: str) -> None:
        """It is gone."""
        self.stops.pop(container_id, None)
        self.doomed.pop(container_id, None)
        self.probes = {key: value for key, value in self.probes.items() if key[0] != container_id}

    def has_started(self, pod: PodView, name: str, container_id: str) -> bool:
        """Whether the container is past its startup probe."""
        view = pod.container(name)
        if view is None or view.probe("startup") is None:
            return True
        probing = self.probes.get((container_id, "startup"))
        return probing is not None and probing.passed is True

    def is_ready(self, pod: PodView, name: str, container_id: str) -> bool:
        """Whether a running container is ready: past its startup probe, its readiness probe, if any, has passed, and it
        is not about to be restarted.
        """
        view = pod.container(name)
        if view is None or container_id in self.doomed or not self.has_started(pod, name, container_id):
            return False
        if view.probe("readiness") is None:
            return True
        probing = self.probes.get((container_id, "readiness"))
        return probing is not None and probing.passed is True
