"""The cloud's modules, in three lists: what starts before the hub, what starts after it, and what only the leader runs.

A new module is one entry in one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubeedge_actors.actors.cloudhub.node_outbox import NodeOutbox
from kubeedge_actors.actors.cloudhub.traffic import TrafficCounters
from kubeedge_actors.actors.devicecontroller import controller as devicecontroller
from kubeedge_actors.actors.edgeapplication.controller import EdgeApplicationController
from kubeedge_actors.actors.edgecontroller import controller as edgecontroller
from kubeedge_actors.actors.edgecontroller.upstream import StatusOf
from kubeedge_actors.actors.nodegroup.controller import NodeGroupController
from kubeedge_actors.actors.nodelifecycle.controller import NodeLifecycle
from kubeedge_actors.actors.scheduler.scheduler import Scheduler
from kubeedge_actors.actors.synccontroller import controller as synccontroller
from kubeedge_actors.actors.taskmanager import task_manager as taskmanager
from kubeedge_actors.actors.workloads.controller import Workloads
from kubeedge_actors.assembly.queries.cloud import CloudStates
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.store.base import NodeOutboxStore
from kubeedge_actors.supervisors import ChildSpec, Intensity, OneForOne, SupervisorSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    ApiCall,
    ApplicationRequest,
    BusPublish,
    BusSubscribe,
    BusUnsubscribe,
    BusUploaded,
    CustomMessage,
    MessageLost,
    MessageNotRead,
    NodeConnected,
    NodeDisconnected,
    ObjectChanged,
    ServiceBusResponse,
    ServiceCall,
    TargetUrlAdded,
    TargetUrlRemoved,
    UnknownMessage,
)

ROOT_STRATEGY = OneForOne(Intensity(max_restarts=10, period=60.0))
"""One module that fails for a minute ends the process with a sentence; two poison messages do not."""
EXTENSION_POINTS = frozenset(
    {
        BusPublish,
        BusSubscribe,
        BusUnsubscribe,
        ServiceBusResponse,
        BusUploaded,
        TargetUrlAdded,
        TargetUrlRemoved,
        ServiceCall,
    }
    | {ApplicationRequest, UnknownMessage, NodeConnected, NodeDisconnected, ObjectChanged, ApiCall, CustomMessage}
    | {MessageLost, MessageNotRead}
)
"""What a router or a module of one's own may take or say; nothing is wrong when nobody does."""


def supervision_tree(
    hub: ChildSpec,
    cluster: Cluster,
    outbox: NodeOutboxStore,
    address: str,
    candidates: Sequence[ChildSpec] = (),
    own: SupervisorSpec | None = None,
    states: CloudStates | None = None,
    status_of: StatusOf | None = None,
    router: Sequence[ChildSpec] = (),
) -> SupervisorSpec:
    """The modules in start order: the hub, who talks to its nodes through it, who stands for election; then one's own."""
    kept = states or CloudStates.of(cluster, outbox, TrafficCounters())
    ahead = [*_ahead_of_hub(cluster, kept, address), *router]
    controllers = _controllers(cluster, address, kept, status_of)
    return SupervisorSpec("cloud", [*ahead, hub, *controllers, *candidates, *([own] if own else [])], ROOT_STRATEGY)


def _ahead_of_hub(cluster: Cluster, states: CloudStates, address: str) -> list[ChildSpec]:
    """Who starts first is told first, so these hear of each session before the hub uses it.

    SyncController knows so of a push before the hub can drop it for want of a session. After the session it would take that push
    for one that is under way, and wait 30 s.
    """
    return [
        *synccontroller.child_specs(cluster),
        *taskmanager.child_specs(cluster),
        NodeOutbox.spec_for(states.outbox, address),
    ]


def _controllers(cluster: Cluster, address: str, states: CloudStates, status_of: StatusOf | None) -> list[ChildSpec]:
    """What every replica runs for the nodes that are connected to it."""
    count = states.traffic.outcome_counter
    return [
        *edgecontroller.child_specs(cluster, address, counts=count(constants.EDGECONTROLLER), status_of=status_of),
        *devicecontroller.child_specs(cluster, states=states.devices),
    ]


def leader_specs(cluster: Cluster, *, is_embedded: bool) -> list[ChildSpec]:
    """What must be done once, by the leader, on whichever cluster; and what a cluster does by itself and the embedded API does not."""
    everywhere = [
        NodeGroupController.spec(lambda: NodeGroupController(cluster)),
        EdgeApplicationController.spec(lambda: EdgeApplicationController(cluster)),
    ]
    return [*everywhere, *(_cluster_controllers(cluster) if is_embedded else [])]


def _cluster_controllers(cluster: Cluster) -> list[ChildSpec]:
    return [
        Scheduler.spec(lambda: Scheduler(cluster)),
        NodeLifecycle.spec(lambda: NodeLifecycle(cluster)),
        Workloads.spec(lambda: Workloads(cluster)),
    ]
