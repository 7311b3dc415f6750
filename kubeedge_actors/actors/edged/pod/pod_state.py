"""Everything that is held for one pod (kubelet: podSyncStatus): the pod, its containers, actions in flight, its status
reporter.
"""

from __future__ import annotations

from kubeedge_actors.actors.edged.pod.pod_spec import Json, PodView, parse_pod
from kubeedge_actors.actors.edged.pod.volatile_pod_state import VolatilePodState
from kubeedge_actors.actors.edged.runtime.pod_config_references import ConfigReference, Objects
from kubeedge_actors.actors.edged.status.pod_status_reporter import PodStatusReporter
from kubeedge_actors.drivers.containers.base import Container, PodName
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.supervisors.timer import Timer


class PodState:
    """Everything that is held for one pod of this node.

    * `busy`: keys of the actions in flight.
    * `listing`, `needs_listing`: its containers are being listed, or have to be; until then no action is computed.
    * `pending_config_requests`: requests for ConfigMaps, Secrets and tokens in flight, by message id.
    * `volumes_requested`: the volumes of its claims have been asked for as well.
    * `is_admitted`: this node runs it; `waits_for_node`: that depends on the Node, which was asked for.
    * `config_changed`: a referenced ConfigMap or Secret has changed.
    * `announced_waits`: reason and restart count of each back-off for which an Event was recorded.
    * `measuring`: what it keeps on this machine is being measured.
    * `no_effect_announced`, `sandbox_change_announced`: it was said which fields have no effect, or that the sandbox was lost, the present time.
    """

    def __init__(self, view: PodView, now: float, *, static: bool = False) -> None:
        self.view, self.static = view, static
        self.runtime = VolatilePodState(started=now)
        self.status_reporter = PodStatusReporter(view, static=static)
        self.containers: list[Container] = []
        self.busy: set[str] = set()
        self.listing, self.needs_listing = False, True
        self.pending_config_requests: dict[str, ConfigReference] = {}
        self.config_requested_at, self.volumes_requested = 0.0, False
        self.objects: Objects = {}
        self.paths: dict[str, str] = {}
        self.timer: Timer | None = None
        self.is_orphaned = self.config_changed = False
        self.announced_waits: dict[str, tuple[str, int]] = {}
        self.is_admitted = self.waits_for_node = False
        self.no_effect_announced = self.sandbox_change_announced = self.measuring = False

    @property
    def uid(self) -> str:
        """The pod's uid, which is also the name of its folder."""
        return self.view.name.uid

    @property
    def has_running_containers(self) -> bool:
        """Whether a container of it runs or is being started (kubelet: CouldHaveRunningContainers)."""
        running = any(container.phase == "running" for container in self.containers)
        return running or any(key.startswith("start:") for key in self.busy)

    @property
    def is_ending(self) -> bool:
        """Whether the pod is deleted or terminating."""
        return self.runtime.is_deleted or self.view.deleting

    def as_object(self) -> Json:
        """The v1.Pod with the status that was computed last, which the cloud may not have heard of yet."""
        status = self.status_reporter.built or self.view.status
        made = {"creationTimestamp": format_time(self.runtime.started)}  # which no manifest of a static pod says
        metadata = made | {key: value for key, value in self.view.metadata.items() if value is not None}
        return {"apiVersion": "v1", "kind": "Pod", **self.view.raw, "metadata": metadata, "status": status}

    def restart_now(self) -> list[str]:
        """Have the running containers stopped and started anew, without the waits of a crash loop; their names."""
        again = {view.name for view in self.view.containers if view.kind in ("main", "sidecar")}
        running = [each for each in self.containers if each.phase == "running" and each.name in again]
        self.runtime.restart_now([container.id for container in running])
        return [container.name for container in running]

    def set_pod(self, pod: Json) -> None:
        """Take over a newer v1.Pod."""
        if self.status_reporter.on_pod(pod):
            self.view = parse_pod(pod)


def orphaned_pod(pod: PodName, now: float) -> PodState:
    """The record of a pod that no longer exists, but has left something behind."""
    metadata = {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
    pod_state = PodState(parse_pod({"metadata": metadata}), now)
    pod_state.runtime.is_deleted = pod_state.is_orphaned = True
    return pod_state
