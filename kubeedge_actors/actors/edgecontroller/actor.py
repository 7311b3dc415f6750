"""The shell of EdgeController: sorts changes of the API and requests of nodes, and never waits for either."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Sequence

from kubeedge_actors.actors.edgecontroller import downstream
from kubeedge_actors.actors.edgecontroller.answers import ASKS_FOR_AN_OBJECT, failed
from kubeedge_actors.actors.edgecontroller.authorize import may
from kubeedge_actors.actors.edgecontroller.beats import LeaseKeeper
from kubeedge_actors.actors.edgecontroller.duplicates import DuplicateReporter
from kubeedge_actors.actors.edgecontroller.marks import NodeMarker
from kubeedge_actors.actors.edgecontroller.references import Reference, Usage
from kubeedge_actors.actors.edgecontroller.refusals import refused
from kubeedge_actors.actors.edgecontroller.upstream import Upstream
from kubeedge_actors.actors.edgecontroller.worker import Asked, Bench, EdgeWorker, not_done
from kubeedge_actors.controller import CONTROLLER_EMITS, Controller
from kubeedge_actors.drivers.cluster.base import (
    CONFIGMAP_KIND,
    NODE_KIND,
    POD_KIND,
    SECRET_KIND,
    Change,
    Cluster,
    Lookout,
    Operation,
    Wanted,
    identity,
)
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    Answered,
    DeletePod,
    InsertPod,
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
    Said,
    UpdateNode,
    WriteLease,
)

WORKERS, LEASE_WORKERS = 4, 2
HELD = 10_000
"""Requests that wait at most for the first list of pods to be complete."""
MAILBOX = 20_000

OwnRequest = (
    RegisterNode | UpdateNode | PatchNode | ReportNodeStatus | QueryLease | WriteLease | InsertPod | RequestCertificate
)
PodRequest = PatchPod | ReportPodStatus | DeletePod | QueryObject | RequestToken | ReportEvent
KEPT_BY_THE_EDGE = (ReportEvent, DeletePod)
"""Requests that stay in the edge's outbox until they are answered here."""
TYPES = {CONFIGMAP_KIND: names.CONFIGMAP, SECRET_KIND: names.SECRET}


class Desk(Lookout):
    """What EdgeController keeps over its crashes: watches, who uses what, requests that wait, counters."""

    def __init__(self, cluster: Cluster, counts: Counter[str] | None = None) -> None:
        super().__init__(
            cluster,
            [
                Wanted(NODE_KIND, labels=names.EDGE_LABEL, awaited=False),
                Wanted(POD_KIND),
                Wanted(CONFIGMAP_KIND, cache=False, awaited=False),
                Wanted(SECRET_KIND, cache=False, awaited=False),
            ],
        )
        self.usage = Usage()
        self.nodes: set[str] = set()
        self.held: deque[Asked] = deque()
        self.early: list[Change] = []
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.warned: set[str] = set()


class EdgeController(Controller):
    """Pushes what changes for a node and hands its requests to workers.

    What was there before this process began, or changed while a node was away, is SyncController's to push.
    """

    name = names.EDGECONTROLLER
    group = names.EDGECONTROLLER
    emits = (ObjectPushed, Answered, NodeRemoved, *CONTROLLER_EMITS)

    def __init__(self, desk: Desk, workers: Sequence[str], lease_workers: Sequence[str]) -> None:
        super().__init__(desk, desk.counts)
        self._desk = desk
        self._workers = workers
        self._lease_workers = lease_workers

    def on_start(self) -> None:
        """Watch."""
        super().on_start()

    # --- down ---------------------------------------------------------------------------------------------------------

    def changes_taken(self) -> None:
        """Do what waited until the pods were known."""
        if self._desk.synced:
            early, self._desk.early = self._desk.early, []
            for change in early:
                for push in self._object(change):
                    self.publish(push)
            while self._desk.held:
                self._admit(self._desk.held.popleft())

    def take_change(self, change: Change) -> None:
        """Take in one change and tell nodes of it."""
        if change.kind not in TYPES:
            pushes = self._pod(change) if change.kind == POD_KIND else self._node(change)
            if change.initial:
                return  # SyncController knows by itself whose it is
        elif self._desk.synced:
            pushes = self._object(change)
        else:
            self._desk.early.append(change)  # whose it is turns out when all pods are known
            return
        for push in pushes:
            self.publish(push)

    def _pod(self, change: Change) -> list[ObjectPushed]:
        if change.operation is Operation.DELETED:
            self._desk.usage.remove(change.object)
        else:
            self._desk.usage.put(change.object)
        return downstream.pod_pushes(change, self._desk.nodes)

    def _node(self, change: Change) -> list[ObjectPushed]:
        name = change.object["metadata"]["name"]
        if change.operation is not Operation.DELETED:
            self._desk.nodes.add(name)
            return downstream.node_pushes(change)
        self._desk.nodes.discard(name)
        self._desk.usage.forget_node(name)
        self._desk.warned.discard(name)
        self.publish(NodeRemoved(node=name))
        return []

    def _object(self, change: Change) -> list[ObjectPushed]:
        pushes = downstream.object_pushes(change, TYPES[change.kind], self._desk.usage)
        if change.operation is Operation.DELETED:
            who = identity(change.object)
            self._desk.usage.deleted(Reference(TYPES[change.kind], who.namespace, who.name))
        return pushes

    # --- up -----------------------------------------------------------------------------------------------------------

    @on
    def own_request(self, request: OwnRequest) -> None:
        """What a node says of itself: nothing has to be known for that."""
        self._admit(Asked(request, None, self.clock.monotonic()))

    @on
    def pod_request(self, request: PodRequest) -> None:
        """What a node says of pods or wants for them: only when it is known whose they are."""
        reply = self.reply_later() if isinstance(request, KEPT_BY_THE_EDGE) else None
        asked = Asked(request, reply, self.clock.monotonic())
        if self._desk.synced:
            self._admit(asked)
            return
        self._desk.held.append(asked)
        if len(self._desk.held) > HELD:
            oldest = self._desk.held.popleft()
            self._desk.counts["dropped: pods not known yet"] += 1
            self.log.warning(
                "%s of %s is dropped: the pods are not known yet", type(oldest.request).__name__, oldest.request.node
            )
            not_done(oldest)

    def _admit(self, asked: Asked) -> None:
        refusal = may(asked.request.node, asked.request, self._desk.usage)
        if refusal is None:
            self.tell(self._worker(asked.request), asked)
            return
        self._desk.counts[f"refused: {type(asked.request).__name__}"] += 1
        self._say_refusal(asked.request.node, refusal.sentence)
        if not isinstance(asked.request, ASKS_FOR_AN_OBJECT):
            for answer in failed(asked.request, refused(refusal.sentence)):
                self.publish(answer)
        if asked.reply is not None:
            asked.reply.send(None)

    def _say_refusal(self, node: str, sentence: str) -> None:
        """Once a node: whoever asks for what is not its own asks often."""
        if node in self._desk.warned:
            self.log.debug("%s", sentence)
            return
        self._desk.warned.add(node)
        self.log.warning("%s (more refusals of this node are counted and said at DEBUG)", sentence)

    def _worker(self, request: Said) -> str:
        workers = self._lease_workers if isinstance(request, QueryLease | WriteLease) else self._workers
        return workers[zlib.crc32(request.node.encode()) % len(workers)]


def specs(
    cluster: Cluster,
    address: str,
    workers: int = WORKERS,
    lease_workers: int = LEASE_WORKERS,
    counts: Counter[str] | None = None,
) -> list[ChildSpec]:
    """EdgeController and its workers, workers first. `address`: where the cloud is, for the annotation of each Node;
    `counts`: where it counts what it refuses and drops.
    """
    desk = Desk(cluster, counts)
    upstream = Upstream(cluster, desk.usage, address)
    plain = [f"{names.EDGECONTROLLER}-{number}" for number in range(1, workers + 1)]
    leases = [f"{names.EDGECONTROLLER}-lease-{number}" for number in range(1, lease_workers + 1)]
    return [
        *(_worker_spec(name, upstream) for name in plain + leases),
        LeaseKeeper.of(cluster),
        NodeMarker.of(cluster, address),
        DuplicateReporter.spec(lambda: DuplicateReporter(cluster)),
        EdgeController.spec(lambda: EdgeController(desk, plain, leases), mailbox=MailboxSpec(capacity=MAILBOX)),
    ]


def _worker_spec(name: str, upstream: Upstream) -> ChildSpec:
    bench = Bench()
    return ChildSpec(
        name,
        lambda: EdgeWorker(upstream, bench),
        mailbox=MailboxSpec(capacity=MAILBOX),
        emits=EdgeWorker.emits,
        group=EdgeWorker.group,
    )
