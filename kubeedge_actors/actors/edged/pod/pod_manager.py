"""Pod manager: the pods of this node by uid, static and mirror pods included (source: kubelet pkg/kubelet/pod)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubeedge_actors.actors.edged.pod.pod_spec import Json, PodView, parse_pod
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
        known = self._records.get(view.name.uid)
        if known is not None and not known.is_orphaned:
            known.set_pod(pod)
            return [known]
        record = PodState(view, (parse_time(view.status.get("startTime") or "") or 0.0) or now)
        replaced = self._of_name(view)
        if known is not None:
            record.containers, record.runtime.sandbox_running = known.containers, known.runtime.sandbox_running
        self._records[record.uid] = record
        return [*(pod_state for pod_state in replaced if pod_state is not known), record]

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
        record = self._records.get(metadata.get("uid") or "")
        if record is None or record.static:
            return []
        record.runtime.is_deleted = True
        return [record]

    def prune(self, pods: Iterable[Json]) -> list[PodState]:
        """Mark every pod that is not among these v1.Pods as deleted; returns the records that this changes."""
        kept = {(pod.get("metadata") or {}).get("uid") for pod in pods}
        lost = [
            pod_state
            for pod_state in self
            if not pod_state.static and not pod_state.runtime.is_deleted and pod_state.uid not in kept
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
        for record in self:
            record.containers = [container for container in containers if container.pod.uid == record.uid]
            record.runtime.sandbox_running = record.uid in networks
            record.needs_listing = record.listing  # what is under way may be older

    # --- static pods ------------------------------------------------------------------------------------------------

    def set_static_pods(self, manifests: Iterable[tuple[str, Json]], now: float) -> tuple[list[PodState], list[str]]:
        """Set the static pods; returns the records that this changes, and a sentence for each invalid manifest."""
        wanted: dict[str, Json] = {}
        wrong = []
        for path, manifest in manifests:
            try:
                pod = static_pod(manifest, path, self._node_name, now)
                parse_pod(pod)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                wrong.append(f"the manifest {path} is no pod: {error}")
                continue
            wanted[pod["metadata"]["uid"]] = pod
        changed = [
            pod_state
            for pod_state in self
            if pod_state.static and pod_state.uid not in wanted and not pod_state.runtime.is_deleted
        ]
        for pod_state in changed:
            pod_state.runtime.is_deleted = True
        return changed + [self._static(uid, pod, now) for uid, pod in wanted.items()], wrong

    def _static(self, uid: str, pod: Json, now: float) -> PodState:
        record = self._records.get(uid)
        if record is None or not record.static:
            record = self._records[uid] = PodState(parse_pod(pod), now, static=True)
        record.runtime.is_deleted = False
        return record

    def on_mirror_pod(self, pod: Json, *, deleted: bool) -> tuple[list[PodState], DeletePod | None]:
        """A mirror v1.Pod was changed or deleted; returns the changed records, and a DeletePod for a mirror without a static pod."""
        record = self._records.get(static_pod_uid(pod))
        metadata = pod.get("metadata") or {}
        if (
            record is not None
            and record.static
            and not record.runtime.is_deleted
            and not metadata.get("deletionTimestamp")
        ):
            if deleted:
                record.status_reporter.on_mirror_deleted()
            else:
                record.status_reporter.on_pod(pod)
            return [record], None
        if deleted:
            if record is not None and record.static:
                record.status_reporter.on_mirror_deleted()
            return ([record] if record is not None else []), None
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata.get("uid", "")}}
        name, namespace = str(metadata.get("name", "")), str(metadata.get("namespace") or "default")
        return [], DeletePod(namespace=namespace, name=name, options=options)


def has_no_spec(pod: Json) -> bool:
    """Whether the v1.Pod is a delete stub without spec."""
    return not (pod.get("spec") or {}).get("containers") or not (pod.get("metadata") or {}).get("uid")
