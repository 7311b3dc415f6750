"""The actor Workloads: enqueues owners on changes, and syncs one at a time against the API."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from kubeedge_actors.actors.workloads import (
    controller_utils,
    daemonsets,
    deployments,
    replicasets,
    revisions,
    statefulsets,
)
from kubeedge_actors.actors.workloads.controller_utils import EXPECTATION_TIMEOUT, Expectations
from kubeedge_actors.actors.workloads.pod_gc import GC_PERIOD, PodGarbageCollector
from kubeedge_actors.controller import API_BACKOFF_LONGEST, KEYED_CONTROLLER_EMITS, KeyedController, QueueKey
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    EventType,
    InformerSpec,
    Json,
    WatchEvent,
    object_reference,
)
from kubeedge_actors.errors import AlreadyExists, NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import (
    CONTROLLERREVISION_KIND,
    DAEMONSET_KIND,
    DEPLOYMENT_KIND,
    NODE_KIND,
    POD_KIND,
    REPLICASET_KIND,
    STATEFULSET_KIND,
)
from kubeedge_actors.module import on
from kubeedge_actors.wire import constants

BURST_REPLICAS = 50
"""Pods that are created or deleted in one turn at most."""


class PodGcDue(msgspec.Struct, frozen=True):
    """Timer: collect pods whose node is gone."""


class Workloads(KeyedController):
    """Controllers of Deployments, ReplicaSets, DaemonSets and StatefulSets, and the pod garbage collector.

    What it decides by is the watches' picture; an owner whose last changes are not in it yet waits.
    """

    name = constants.WORKLOADS
    group = constants.WORKLOADS
    emits = (*KEYED_CONTROLLER_EMITS, PodGcDue)

    def __init__(self, cluster: Cluster, random: Callable[[], float] | None = None) -> None:
        owners = (DEPLOYMENT_KIND, REPLICASET_KIND, DAEMONSET_KIND, STATEFULSET_KIND)
        kinds = (*owners, CONTROLLERREVISION_KIND, POD_KIND, NODE_KIND)
        super().__init__(cluster, [InformerSpec(kind) for kind in kinds], random)
        self._kinds = {kind.kind: kind for kind in owners}
        self._expectations = Expectations()
        self._pod_gc = PodGarbageCollector()

    def on_start(self) -> None:
        """Start the informers."""
        super().on_start()
        self.every(GC_PERIOD, PodGcDue())

    # --- messages -----------------------------------------------------------------------------------------------------

    @on
    def on_pod_gc_due(self, message: PodGcDue) -> None:
        """Delete pods whose node is gone: nobody else could say that they have ended."""
        if not self.informers.synced or self.is_backing_off:
            return
        for pod in self._pod_gc.orphaned_pods(
            self.informers.all(POD_KIND), self.informers.all(NODE_KIND), self.clock.monotonic()
        ):
            self.call_or_back_off(partial(self._delete_orphaned_pod, pod))

    # --- who is concerned ---------------------------------------------------------------------------------------------

    def handle_change(self, change: WatchEvent) -> None:
        """Enqueue the owners concerned."""
        if change.kind == NODE_KIND:
            if change.type is EventType.DELETED:
                self._pod_gc.on_node_deleted(str(change.object["metadata"]["name"]), self.clock.monotonic())
            self.enqueue(*map(self._key, self.informers.all(DAEMONSET_KIND)))
            return
        if change.kind.kind in self._kinds:
            self.enqueue(self._key(change.object))
        for object in (change.object, change.old):
            owner = controller_utils.controller_of(object) if object is not None else None
            if object is not None and owner is not None and owner.get("kind") in self._kinds:
                namespace = str(object["metadata"].get("namespace", ""))
                self.enqueue(QueueKey(namespace, str(owner.get("name")), str(owner["kind"])))
                if change.kind == POD_KIND and change.type is EventType.DELETED:
                    self._enqueue_deployment(namespace, str(owner.get("name")))

    def _enqueue_deployment(self, namespace: str, replica_set: str) -> None:
        """One that recreates waits for the last old pod."""
        object = self.informers.get(REPLICASET_KIND, namespace, replica_set)
        owner = controller_utils.controller_of(object) if object is not None else None
        if owner is not None:
            self.enqueue(QueueKey(namespace, str(owner.get("name")), DEPLOYMENT_KIND.kind))

    def _key(self, object: Json) -> QueueKey:
        reference = object_reference(object)
        return QueueKey(reference.namespace, reference.name, str(object["kind"]))

    # --- plans --------------------------------------------------------------------------------------------------------

    def sync(self, key: QueueKey) -> None:
        """Carry out the plan of one owner."""
        kind = self._kinds[key.kind]
        object = self.informers.get(kind, key.namespace, key.name)
        if object is None:
            return
        if kind == DEPLOYMENT_KIND:
            self._deployment(key, object)
            return
        pods = [pod for pod in self.informers.all(POD_KIND) if controller_utils.is_controlled_by(pod, object)]
        alive = {controller_utils.uid_of(pod) for pod in pods if not controller_utils.is_terminating(pod)}
        if self._expectations.has_pending(controller_utils.uid_of(object), alive, self.clock.monotonic()):
            self.enqueue_later(key, EXPECTATION_TIMEOUT)  # at the latest; what it waits for brings it back
        elif kind == REPLICASET_KIND:
            self._replica_set(key, object, pods)
        elif kind == STATEFULSET_KIND:
            self._stateful_set(key, object, pods)
        else:
            self._daemon_set(key, object, pods)

    def _replica_set(self, key: QueueKey, object: Json, pods: list[Json]) -> None:
        plan = replicasets.plan_replica_set(object, pods, self.clock.now())
        self._status(key, object, plan.status)
        for pod in plan.delete[:BURST_REPLICAS]:
            self._delete(object, pod)
        for _ in range(min(plan.create, BURST_REPLICAS)):
            self._create(object, controller_utils.pod_from_template(REPLICASET_KIND, object))
        self._finish(key, plan.again, max(plan.create, len(plan.delete)))

    def _daemon_set(self, key: QueueKey, object: Json, pods: list[Json]) -> None:
        nodes = [
            node
            for node in self.informers.all(NODE_KIND)
            if well_known.EDGE_LABEL in (node["metadata"].get("labels") or {})
        ]
        plan = daemonsets.plan_daemon_set(object, nodes, pods, self.clock.now())
        self._status(key, object, plan.status)
        for pod in plan.delete[:BURST_REPLICAS]:
            self._delete(object, pod)
        for node in plan.create[:BURST_REPLICAS]:
            self._create(object, controller_utils.pod_from_template(DAEMONSET_KIND, object, plan.labels, nodeName=node))
        self._finish(key, None, max(len(plan.create), len(plan.delete)))

    def _stateful_set(self, key: QueueKey, object: Json, pods: list[Json]) -> None:
        known = self._revisions(object, pods)
        plan = statefulsets.plan_stateful_set(object, known, pods, self.clock.now())
        self._status(key, object, plan.status)
        for pod in plan.delete[:BURST_REPLICAS]:
            self._delete(object, pod)
        for pod in plan.create[:BURST_REPLICAS]:
            try:
                self._create(object, pod)
            except AlreadyExists as error:  # somebody else's: its name is the only one that will do
                self.log.warning("%s %s/%s: %s", key.kind, key.namespace, key.name, error)
                self.enqueue_later(key, API_BACKOFF_LONGEST)
                return
        self._finish(key, plan.again, max(len(plan.create), len(plan.delete)))

    def _revisions(self, object: Json, pods: list[Json]) -> revisions.Revisions:
        """The set's revisions, with that of its template."""
        own = [
            each
            for each in self.informers.all(CONTROLLERREVISION_KIND)
            if controller_utils.is_controlled_by(each, object)
        ]
        plan = revisions.plan_revisions(object, own, map(statefulsets.revision_of, pods))
        namespace = object_reference(object).namespace
        if plan.create is not None:
            self.api.create(CONTROLLERREVISION_KIND, namespace, plan.create)
        if plan.renumber is not None:
            revision, number = plan.renumber
            self.api.patch(CONTROLLERREVISION_KIND, namespace, object_reference(revision).name, {"revision": number})
        for revision in plan.delete:
            reference = object_reference(revision)
            self.api.delete(CONTROLLERREVISION_KIND, namespace, reference.name, uid=reference.uid)
        return plan

    def _deployment(self, key: QueueKey, object: Json) -> None:
        sets = [
            replica_set
            for replica_set in self.informers.all(REPLICASET_KIND)
            if controller_utils.is_controlled_by(replica_set, object)
        ]
        plan = deployments.plan_deployment(object, sets, self.clock.now(), self._busy())
        namespace = object_reference(object).namespace
        if plan.create is not None:
            self.api.create(REPLICASET_KIND, namespace, plan.create)
        for replica_set, size, revision in plan.sizes:
            metadata = {
                "resourceVersion": object_reference(replica_set).version,
                "annotations": {deployments.REVISION: revision},
            }
            patch = {"metadata": metadata, "spec": {"replicas": size}}
            self.api.patch(REPLICASET_KIND, namespace, object_reference(replica_set).name, patch)
        for replica_set in plan.delete:
            self.api.delete(
                REPLICASET_KIND, namespace, object_reference(replica_set).name, uid=controller_utils.uid_of(replica_set)
            )
        object = self._revise(object, plan.revision)
        self._status(key, object, plan.status)
        self._finish(key, plan.again, 0)

    def _busy(self) -> set[str]:
        """The owners of pods that have not ended, be they on their way out."""
        pods = (
            pod
            for pod in self.informers.all(POD_KIND)
            if (pod.get("status") or {}).get("phase") not in controller_utils.FINISHED
        )
        return {str(owner.get("uid")) for pod in pods if (owner := controller_utils.controller_of(pod)) is not None}

    def _revise(self, deployment: Json, revision: str) -> Json:
        has = (deployment["metadata"].get("annotations") or {}).get(deployments.REVISION)
        if not revision or has == revision:
            return deployment
        reference = object_reference(deployment)
        patch = {"metadata": {"resourceVersion": reference.version, "annotations": {deployments.REVISION: revision}}}
        return self.api.patch(DEPLOYMENT_KIND, reference.namespace, reference.name, patch)

    def _finish(self, key: QueueKey, again: float | None, steps: int) -> None:
        if steps > BURST_REPLICAS:
            self.enqueue(key)
        elif again is not None:
            self.enqueue_later(key, again + 0.1)

    # --- calls: errors that leave these are for `on_api_error` ----------------------------------------------------------

    def _create(self, owner: Json, pod: Json) -> None:
        created = self.api.create(POD_KIND, object_reference(owner).namespace, pod)
        self._expectations.expect_creation(
            controller_utils.uid_of(owner), controller_utils.uid_of(created), self.clock.monotonic()
        )
        self.counts["pods created"] += 1

    def _delete(self, owner: Json, pod: Json) -> None:
        reference = object_reference(pod)
        self._expectations.expect_deletion(controller_utils.uid_of(owner), reference.uid, self.clock.monotonic())
        self.api.delete(POD_KIND, reference.namespace, reference.name, uid=reference.uid)
        self.counts["pods deleted"] += 1

    def _delete_orphaned_pod(self, pod: Json) -> None:
        reference = object_reference(pod)
        try:
            self.api.get(NODE_KIND, "", str(pod["spec"]["nodeName"]))
        except NotFound:
            self.api.delete(POD_KIND, reference.namespace, reference.name, grace=0, uid=reference.uid)
            self.counts["pods of gone nodes"] += 1
            self.log.warning(
                "pod %s/%s goes with its node %s", reference.namespace, reference.name, pod["spec"]["nodeName"]
            )

    def _status(self, key: QueueKey, object: Json, status: Json) -> None:
        patch = controller_utils.status_patch(object, status)
        if patch is not None:
            self.api.patch(self._kinds[key.kind], key.namespace, key.name, patch, subresource="status")
