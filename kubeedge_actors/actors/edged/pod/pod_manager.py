"""Pod manager: the pods of this node by uid, static and mirror pods included (source: kubelet pkg/kubelet/pod)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubeedge_actors.actors.edged.pod.pod_spec import Json, PodView, check_names, parse_pod
from kubeedge_actors.actors.edged.pod.pod_state import PodState, orphaned_pod
from kubeedge_actors.actors.edged.pod.static_pods import static_pod, static_pod_uid
from kubeedge_actors.drivers.containers.base import Container, PodName
from kubeedge_actors.kubernetes.time import parse_time
from kubeedge_actors.wire.messages import DeletePod


class PodManager:
    """The pods of the node by uid."""

    def __init__(self, node_name: str) -> None:
        self._node_name = node_name
        self._records: dict[str, PodState] = {}

    def __iter__(self) -> Iterator[PodState]:
        return iter(list(self._records.values()))

    def get(self, uid: str) -> PodState | None:
        """The record of that uid."""
        return self._records.get(uid)

    def forget(self, uid: str) -> None:
        """Drop a pod of which nothing is left."""
        self._records.pop(uid, None)

    def is_bound_here(self, pod: Json) -> bool:
        """Whether the v1.Pod is bound to this node."""
        return bool((pod.get("spec") or {}).get("nodeName") == self._node_name)

    # --- what the cluster says --------------------------------------------------------------------------------------

    def add_or_update(self, pod: Json, now: float) -> list[PodState]:
        """Add or update a v1.Pod; returns the records that this changes.

        Errors: KeyError, TypeError or ValueError when it is no pod.
        """
        view = parse_pod(pod)
        check_names(view)
        existing = self._records.get(view.name.uid)
        if existing is not None and not existing.is_orphaned:
            existing.set_pod(pod)
            return [existing]
        pod_state = PodState(view, (parse_time(view.status.get("startTime") or "") or 0.0) or now)
        replaced = self._of_name(view)
        if existing is not None:
            pod_state.containers, pod_state.runtime.has_sandbox = (
                existing.containers,
                existing.runtime.has_sandbox,
            )
        self._records[pod_state.uid] = pod_state
        return [*(pod_state for pod_state in replaced if pod_state is not existing), pod_state]

    def _of_name(self, view: PodView) -> list[PodState]:
        """Pods of the same name: the cluster has room for one, so the others are gone."""
        same = (view.name.namespace, view.name.name)
        pod_states = [
            pod_state
            for pod_state in self
            if not pod_state.static and (pod_state.view.name.namespace, pod_state.view.name.name) == same
        ]
        for pod_state in pod_states:
            pod_state.runtime.is_deleted = True
        return pod_states

    def remove(self, pod: Json) -> list[PodState]:
        """Mark the record of a deleted v1.Pod; returns the records that this changes."""
        metadata = pod.get("metadata") or {}
        pod_state = self._records.get(metadata.get("uid") or "")
        if pod_state is None or pod_state.static:
            return []
        pod_state.runtime.is_deleted = True
        return [pod_state]

    def prune(self, pods: Iterable[Json]) -> list[PodState]:
        """Mark every pod that is not among these v1.Pods as deleted; returns the records that this changes."""
        uids = {(pod.get("metadata") or {}).get("uid") for pod in pods}
        lost = [
            pod_state
            for pod_state in self
            if not pod_state.static and not pod_state.runtime.is_deleted and pod_state.uid not in uids
        ]
        for pod_state in lost:
            pod_state.runtime.is_deleted = True
        return lost

    # --- what is found on the machine -------------------------------------------------------------------------------

    def on_runtime_relisted(
        self, containers: Sequence[Container], networks: set[str], folders: set[str], now: float
    ) -> None:
        """Assign containers to records; what belongs to no pod gets a record that removes it."""
        names = {uid: PodName(namespace="", name=uid, uid=uid) for uid in networks | folders}
        names |= {container.pod.uid: container.pod for container in containers}
        for uid, name in names.items():
            if uid not in self._records:
                self._records[uid] = orphaned_pod(name, now)
        for pod_state in self:
            pod_state.containers = [container for container in containers if container.pod.uid == pod_state.uid]
            pod_state.runtime.has_sandbox = pod_state.uid in networks
            pod_state.needs_listing = pod_state.listing  # what is under way may be older

    # --- static pods ------------------------------------------------------------------------------------------------

    def set_static_pods(self, manifests: Iterable[tuple[str, Json]], now: float) -> tuple[list[PodState], list[str]]:
        """Set the static pods; returns the records that this changes, and a sentence for each invalid manifest."""
        static_pods: dict[str, Json] = {}
        errors = []
        for path, manifest in manifests:
            try:
                pod = static_pod(manifest, path, self._node_name, now)
                check_names(parse_pod(pod))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                errors.append(f"the manifest {path} is no pod: {error}")
                continue
            static_pods[pod["metadata"]["uid"]] = pod
        changed = [
            pod_state
            for pod_state in self
            if pod_state.static and pod_state.uid not in static_pods and not pod_state.runtime.is_deleted
        ]
        for pod_state in changed:
            pod_state.runtime.is_deleted = True
        return changed + [self._static(uid, pod, now) for uid, pod in static_pods.items()], errors

    def _static(self, uid: str, pod: Json, now: float) -> PodState:
        pod_state = self._records.get(uid)
        if pod_state is None or not pod_state.static:
            pod_state = self._records[uid] = PodState(parse_pod(pod), now, static=True)
        pod_state.runtime.is_deleted = False
        return pod_state

    def on_mirror_pod(self, pod: Json, *, deleted: bool) -> tuple[list[PodState], DeletePod | None]:
        """A mirror v1.Pod was changed or deleted; returns the changed records, and a DeletePod for a mirror without a static pod."""
        pod_state = self._records.get(static_pod_uid(pod))
        metadata = pod.get("metadata") or {}
        if (
            pod_state is not None
            and pod_state.static
            and not pod_state.runtime.is_deleted
            and not metadata.get("deletionTimestamp")
        ):
            if deleted:
                pod_state.status_reporter.on_mirror_deleted()
            else:
                pod_state.status_reporter.on_pod(pod)
            return [pod_state], None
        if deleted:
            if pod_state is not None and pod_state.static:
                pod_state.status_reporter.on_mirror_deleted()
            return ([pod_state] if pod_state is not None else []), None
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata.get("uid", "")}}
        name, namespace = str(metadata.get("name", "")), str(metadata.get("namespace") or "default")
        return [], DeletePod(namespace=namespace, name=name, options=options)


def has_no_spec(pod: Json) -> bool:
    """Whether the v1.Pod is a delete stub without spec."""
    return not (pod.get("spec") or {}).get("containers") or not (pod.get("metadata") or {}).get("uid")
