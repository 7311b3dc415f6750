"""The actor EdgeController: turns changes of the API into pushes and passes requests of nodes to workers. It never waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kubeedge_actors.actors.edgecontroller import downstream
from kubeedge_actors.actors.edgecontroller.cloudcore_annotation import CloudCoreAnnotator
from kubeedge_actors.actors.edgecontroller.duplicate_node import DuplicateNodeReporter
from kubeedge_actors.actors.edgecontroller.location_cache import LocationCache
from kubeedge_actors.actors.edgecontroller.node_authorizer import authorize
from kubeedge_actors.actors.edgecontroller.node_lease import NodeLeaseRenewer
from kubeedge_actors.actors.edgecontroller.responses import OBJECT_QUERIES, error_responses, rejection_error
from kubeedge_actors.actors.edgecontroller.upstream import StatusOf, Upstream
from kubeedge_actors.actors.edgecontroller.upstream_worker import (
    UpstreamRequest,
    UpstreamWorker,
    UpstreamWorkerState,
    nack,
)
from kubeedge_actors.actors.edgecontroller.write_budgets import WriteBudgets
from kubeedge_actors.controller import CONTROLLER_EMITS, Controller, worker_for
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    EventType,
    InformerSet,
    InformerSpec,
    WatchEvent,
    object_reference,
)
from kubeedge_actors.hubs.node_budget import BudgetedQueue, size_of
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import OBJECT_TYPES, POD_KIND, ObjectType, PushTargets
from kubeedge_actors.kubernetes.pod_references import ConfigReference
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    InsertPod,
    LinkMessage,
    NodeRemoved,
    ObjectPushed,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    ReportNodeStatus,
    ReportPodStatus,
    RequestCertificate,
    RequestToken,
    Response,
    UpdateNode,
    WriteLease,
)

WORKERS, LEASE_WORKERS = 4, 2
MAX_DEFERRED, NODE_DEFERRED, NODE_DEFERRED_BYTES = 10_000, 2_000, 8 * 1024 * 1024
"""Requests that wait at most for the first list of pods to be complete: of all nodes, and of each."""
MAILBOX = 20_000

NodeRequest = (
    RegisterNode | UpdateNode | PatchNode | ReportNodeStatus | QueryLease | WriteLease | InsertPod | RequestCertificate
)
PodRequest = PatchPod | ReportPodStatus | DeletePod | QueryObject | RequestToken | ReportEvent
DURABLE_AT_EDGE = (ReportEvent, DeletePod)
"""Requests that stay in the edge's outbox until they are answered here."""
PUSHED = {row.kind: row for row in OBJECT_TYPES if row.is_synced and not row.of_devices}
"""What is watched here; devices are DeviceController's."""


class EdgeControllerState(InformerSet):
    """The state of EdgeController that outlives its crashes: informers, location cache, deferred requests, counters."""

    def __init__(self, cluster: Cluster, counts: Counter[str] | None = None) -> None:
        super().__init__(cluster, [_informer(row) for row in PUSHED.values()])
        self.location_cache = LocationCache()
        self.nodes: set[str] = set()
        self.deferred: BudgetedQueue[UpstreamRequest] = BudgetedQueue(MAX_DEFERRED, NODE_DEFERRED, NODE_DEFERRED_BYTES)
        self.budgets = WriteBudgets()
        self.early: list[WatchEvent] = []
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.warned: set[str] = set()


def _informer(row: ObjectType) -> InformerSpec:
    return InformerSpec(
        row.kind,
        labels=well_known.EDGE_LABEL if row.pushed_to is PushTargets.ITSELF else "",
        cache=not row.is_pod_config,
        wait_for_sync=row.kind == POD_KIND,  # whose everything else is turns out when all pods are known
    )


class EdgeController(Controller):
    """Pushes changes of the API to nodes and hands their requests to workers.

    What was there before this process began, or changed while a node was away, is SyncController's to push.
    """

    name = constants.EDGECONTROLLER
    group = constants.EDGECONTROLLER
    emits = (ObjectPushed, Response, NodeRemoved, *CONTROLLER_EMITS)

    def __init__(self, state: EdgeControllerState, workers: Sequence[str], lease_workers: Sequence[str]) -> None:
        super().__init__(state, state.counts)
        self._state = state
        self._workers = workers
        self._lease_workers = lease_workers

    def on_start(self) -> None:
        """Start the informers."""
        super().on_start()

    # --- down ---------------------------------------------------------------------------------------------------------

    def on_changes_handled(self) -> None:
        """Handle what was deferred until the pods were known."""
        if self._state.synced:
            early, self._state.early = self._state.early, []
            for change in early:
                for push in self._pod_config(change):
                    self.publish(push)
            while self._state.deferred:
                self._admit(self._state.deferred.popleft())

    def handle_change(self, change: WatchEvent) -> None:
        """Handle one change and push it to the nodes concerned."""
        row = PUSHED[change.kind]
        if not row.is_pod_config:
            pushes = self._node(change) if row.pushed_to is PushTargets.ITSELF else self._bound(change, row.name)
            if change.initial:
                return  # SyncController knows by itself whose it is
        elif self._state.synced:
            pushes = self._pod_config(change)
        else:
            self._state.early.append(change)
            return
        for push in pushes:
            self.publish(push)

    def _bound(self, change: WatchEvent, type: str) -> list[ObjectPushed]:
        if change.kind == POD_KIND and change.type is EventType.DELETED:
            self._state.location_cache.remove(change.object)
        elif change.kind == POD_KIND:
            self._state.location_cache.put(change.object)
        return downstream.bound_object_pushes(change, type, self._state.nodes)

    def _node(self, change: WatchEvent) -> list[ObjectPushed]:
        name = change.object["metadata"]["name"]
        if change.type is not EventType.DELETED:
            self._state.nodes.add(name)
            return downstream.node_pushes(change)
        self._state.nodes.discard(name)
        self._state.location_cache.forget_node(name)
        self._state.budgets.forget(name)
        self._state.warned.discard(name)
        self.publish(NodeRemoved(node=name))
        return []

    def _pod_config(self, change: WatchEvent) -> list[ObjectPushed]:
        type = PUSHED[change.kind].name
        pushes = downstream.pod_config_pushes(change, type, self._state.location_cache)
        if change.type is EventType.DELETED:
            reference = object_reference(change.object)
            self._state.location_cache.forget_object(ConfigReference(type, reference.namespace, reference.name))
        return pushes

    # --- up -----------------------------------------------------------------------------------------------------------

    @on
    def on_node_request(self, request: NodeRequest) -> None:
        """A request about the node itself: authorized without knowing pods."""
        self._admit(UpstreamRequest(request, None, self.clock.monotonic()))

    @on
    def on_pod_request(self, request: PodRequest) -> None:
        """A request about pods: deferred until all pods are known."""
        reply_to = self.reply_later() if isinstance(request, DURABLE_AT_EDGE) else None
        upstream_request = UpstreamRequest(request, reply_to, self.clock.monotonic())
        if self._state.synced:
            self._admit(upstream_request)
            return
        dropped = self._state.deferred.append(upstream_request, request.node, size_of(request))
        if dropped is not None:
            self._state.counts["dropped: pods not known yet"] += 1
            self.log.warning(
                "%s of %s is dropped: the pods are not known yet", type(dropped.request).__name__, dropped.request.node
            )
            nack(dropped)

    def _admit(self, upstream_request: UpstreamRequest) -> None:
        request = upstream_request.request
        refusal = authorize(request.node, request, self._state.location_cache)
        pods = self._state.location_cache.pods_on(request.node)
        sentence = refusal.sentence if refusal else self._state.budgets.rejection(request, pods, self.clock.monotonic())
        if not sentence:
            self.tell(self._worker(request), upstream_request)
            return
        self._state.counts[f"refused: {type(request).__name__}"] += 1
        self._warn_rejected(request.node, sentence)
        if not isinstance(request, OBJECT_QUERIES):
            for answer in error_responses(request, rejection_error(sentence)):
                self.publish(answer)
        if upstream_request.reply is not None:
            upstream_request.reply.send(None)

    def _warn_rejected(self, node: str, sentence: str) -> None:
        """Once a node: whoever asks for what is not its own asks often."""
        if node in self._state.warned:
            self.log.debug("%s", sentence)
            return
        self._state.warned.add(node)
        self.log.warning("%s (further rejections of this node are counted and logged at DEBUG)", sentence)

    def _worker(self, request: LinkMessage) -> str:
        workers = self._lease_workers if isinstance(request, QueryLease | WriteLease) else self._workers
        return worker_for(request.node, workers)


def child_specs(
    cluster: Cluster,
    address: str,
    workers: int = WORKERS,
    lease_workers: int = LEASE_WORKERS,
    counts: Counter[str] | None = None,
    status_of: StatusOf | None = None,
) -> list[ChildSpec]:
    """EdgeController and its workers, workers first. `address`: where the cloud is, for the annotation of each Node;
    `counts`: the counter for what it rejects and drops; `status_of`: what is taken of the status that a node reports.
    """
    desk = EdgeControllerState(cluster, counts)
    upstream = Upstream(cluster, desk.location_cache, address, status_of)
    plain = [f"{constants.EDGECONTROLLER}-{number}" for number in range(1, workers + 1)]
    leases = [f"{constants.EDGECONTROLLER}-lease-{number}" for number in range(1, lease_workers + 1)]
    return [
        *(_worker_spec(name, upstream) for name in plain + leases),
        NodeLeaseRenewer.spec_for(cluster),
        CloudCoreAnnotator.spec_for(cluster, address),
        DuplicateNodeReporter.spec(lambda: DuplicateNodeReporter(cluster)),
        EdgeController.spec(lambda: EdgeController(desk, plain, leases), mailbox=MailboxSpec(capacity=MAILBOX)),
    ]


def _worker_spec(name: str, upstream: Upstream) -> ChildSpec:
    bench = UpstreamWorkerState()
    return ChildSpec(
        name,
        lambda: UpstreamWorker(upstream, bench),
        mailbox=MailboxSpec(capacity=MAILBOX),
        emits=UpstreamWorker.emits,
        group=UpstreamWorker.group,
    )
