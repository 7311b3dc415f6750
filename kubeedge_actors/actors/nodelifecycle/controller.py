"""The actor NodeLifecycle: takes heartbeats, monitors node health, and makes one call to the API at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from kubeedge_actors.actors.nodelifecycle import api_objects
from kubeedge_actors.actors.nodelifecycle.node_health import GRACE_PERIOD, NodeHealthMap
from kubeedge_actors.controller import API_CONTROLLER_EMITS, ApiController
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    EventType,
    InformerSpec,
    Json,
    WatchEvent,
    is_temporary,
    object_reference,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound, Unreachable
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import EVENT_KIND, LEASE_KIND, NODE_KIND, POD_KIND
from kubeedge_actors.module import on
from kubeedge_actors.wire import constants

MONITOR_PERIOD = 5.0
LATE_TICK_SECONDS = 15.0
"""Seconds between two ticks after which this process itself was not there: stopped, or its machine was."""


class MonitorDue(msgspec.Struct, frozen=True):
    """Timer: monitor node health."""


class MarkPodNotReady(NamedTuple):
    """Call to make: mark a v1.Pod of a lost node not ready."""

    node: str
    pod: Json


class RecordEvent(NamedTuple):
    """Call to make: create a v1.Event."""

    event: Json


class NodeLifecycle(ApiController):
    """Marks a node Unknown and its pods not ready when no heartbeat was seen for `grace` seconds.

    It never says that a node is well again, and never moves a pod: both are the node's own to do. It keeps nothing: an
    incarnation gives every node its full time again, and judges the lost ones once more, so that what a crash left half
    done is finished.
    """

    name = constants.NODELIFECYCLE
    group = constants.NODELIFECYCLE
    emits = (*API_CONTROLLER_EMITS, MonitorDue)

    def __init__(
        self, cluster: Cluster, grace: float = GRACE_PERIOD, random: Callable[[], float] | None = None
    ) -> None:
        watched = [
            InformerSpec(NODE_KIND, labels=well_known.EDGE_LABEL),
            InformerSpec(LEASE_KIND, namespace=well_known.LEASE_NAMESPACE, cache=False),
        ]
        super().__init__(cluster, watched, random)
        self._grace = grace
        self._health = NodeHealthMap(grace)
        self._readiness: dict[str, str] = {}
        self._expired: dict[str, None] = {}
        self._ticked: float | None = None
        self._rest: deque[MarkPodNotReady | RecordEvent] = deque()
        self._api_away = False

    def on_start(self) -> None:
        """Watch nodes and their leases; monitor health every 5 s."""
        super().on_start()
        self.every(MONITOR_PERIOD, MonitorDue())

    # --- messages -----------------------------------------------------------------------------------------------------

    @on
    def on_monitor_due(self, message: MonitorDue) -> None:
        """Queue the nodes that have gone silent."""
        now, before = self.clock.monotonic(), self._ticked
        self._ticked = now
        self.handle_changes()
        if before is not None and now - before > LATE_TICK_SECONDS:
            self._health.discount_outage(now)
        self._expired.update(dict.fromkeys(self._health.newly_expired(now)))
        self.schedule_call()

    def has_queued_calls(self) -> bool:
        """Nodes to judge, pods to mark or Events to write."""
        return bool(self._expired or self._rest)

    def make_next_call(self) -> None:
        """Judge one node; when none waits, mark one pod or write one Event."""
        if self._expired:
            name = next(iter(self._expired))
            del self._expired[name]  # if it fails, the next tick brings it back
            self._monitor_node(name)
        else:
            self._perform(self._rest.popleft())

    def on_api_error(self, error: ClusterError) -> None:
        """Back off while the API is away; otherwise count the error."""
        self._api_away |= isinstance(error, Unreachable)
        super().on_api_error(error)

    def on_api_reachable(self) -> None:
        """The API is there; while it was away nobody could renew a lease: that time does not count."""
        if self._api_away:
            self._health.discount_outage(self.clock.monotonic())
        self._api_away = False
        super().on_api_reachable()

    # --- what the watches told ----------------------------------------------------------------------------------------

    def handle_change(self, change: WatchEvent) -> None:
        """Note what a node or its lease is now."""
        self._node(change) if change.kind == NODE_KIND else self._lease(change)

    def _lease(self, change: WatchEvent) -> None:
        name = object_reference(change.object).name
        if change.type is EventType.DELETED:
            self._health.forget_lease(name)
        else:
            self._health.observe_lease(name, api_objects.renew_time(change.object), self.clock.monotonic())

    def _node(self, change: WatchEvent) -> None:
        node, name = change.object, object_reference(change.object).name
        if change.type is EventType.DELETED:
            self._health.forget_node(name)
            self._readiness.pop(name, None)
            return
        self._health.observe_node(name, api_objects.last_heartbeat(node), self.clock.monotonic())
        new = api_objects.ready_status(node)
        old = self._readiness.get(name, new if change.initial else "")  # one that registers now was not ready before
        self._readiness[name] = new
        if (old == api_objects.TRUE) == (new == api_objects.TRUE):
            return
        reason = api_objects.NODE_READY if new == api_objects.TRUE else api_objects.NODE_NOT_READY
        self._rest.append(RecordEvent(api_objects.node_event(node, reason, self.clock.now())))

    # --- steps: errors that leave these are for `on_api_error` -------------------------------------------------------------

    def _monitor_node(self, name: str) -> None:
        now = self.clock.monotonic()
        if not self._health.is_expired(name, now):
            return
        renewed = self._renewed(name)
        # a lease that is newer than the watch told: it may be the watch that has gone silent
        if self._health.observe_lease(name, renewed, now) or not self._health.is_expired(name, now):
            return
        node = self.api.get(NODE_KIND, "", name)
        if self._health.observe_node(name, api_objects.last_heartbeat(node), now):
            return
        patch = api_objects.unknown_node_patch(node, self.clock.now())
        if patch is not None:
            self.api.patch(NODE_KIND, "", name, patch, form="strategic", subresource="status")
            self.counts["lost"] += 1
            self.log.warning("node %s is lost: no sign of life for %d s", name, self._grace)
        pods = self.api.list(POD_KIND, fields=f"spec.nodeName={name}").items
        self._rest.extend(
            MarkPodNotReady(name, pod)
            for pod in pods
            if api_objects.not_ready_pod_patch(pod, self.clock.now()) is not None
        )
        self._health.mark_unknown(name)

    def _renewed(self, name: str) -> str:
        try:
            return api_objects.renew_time(self.api.get(LEASE_KIND, well_known.LEASE_NAMESPACE, name))
        except NotFound:
            return ""

    def _perform(self, step: MarkPodNotReady | RecordEvent) -> None:
        try:
            if isinstance(step, RecordEvent):
                self._record_event(step.event)
            else:
                self._mark_pod(step)
        except ClusterError as error:
            if is_temporary(error):
                self._rest.append(step)  # behind the others: one that always fails must not keep them waiting
            raise

    def _mark_pod(self, mark: MarkPodNotReady) -> None:
        pod, now = mark.pod, self.clock.now()
        patch = api_objects.not_ready_pod_patch(pod, now)
        if patch is None or not self._health.is_unknown(mark.node) or pod["spec"].get("nodeName") != mark.node:
            return
        reference = object_reference(pod)
        try:
            self.api.patch(POD_KIND, reference.namespace, reference.name, patch, form="strategic", subresource="status")
        except Conflict:
            self._rest.append(MarkPodNotReady(mark.node, self.api.get(POD_KIND, reference.namespace, reference.name)))
            return
        self.counts["pods not ready"] += 1
        self._rest.append(RecordEvent(api_objects.pod_event(pod, now)))

    def _record_event(self, event: Json) -> None:
        try:
            self.api.create(EVENT_KIND, event["metadata"]["namespace"], event)
        except AlreadyExists:
            self.log.debug("said before, and the answer was lost")
