"""The shell of NodeLifecycle: takes in signs of life, judges who gave none, and makes one step against the API at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import msgspec

from kubeedge_actors.actors.nodelifecycle import forms
from kubeedge_actors.actors.nodelifecycle.pulses import GRACE, Pulses
from kubeedge_actors.controller import API_CONTROLLER_EMITS, ApiController
from kubeedge_actors.drivers.cluster.base import (
    EVENT_KIND,
    LEASE_KIND,
    NODE_KIND,
    POD_KIND,
    Change,
    Cluster,
    Json,
    Lookout,
    Operation,
    Wanted,
    identity,
    temporary,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound, Unreachable
from kubeedge_actors.module import on
from kubeedge_actors.wire import names

TICK = 5.0
LATE = 15.0
"""Seconds between two ticks after which this process itself was not there: stopped, or its machine was."""


class Tick(msgspec.Struct, frozen=True):
    """Time to look who has gone silent."""


class Mark(NamedTuple):
    """A pod on a lost node that is to be not ready."""

    node: str
    pod: Json


class Say(NamedTuple):
    """An event to be written."""

    event: Json


class NodeLifecycle(ApiController):
    """Says of a node that it is lost, and of its pods that they are not ready, when no sign of life was seen for `grace` seconds.

    It never says that a node is well again, and never moves a pod: both are the node's own to do. It keeps nothing: an
    incarnation gives every node its full time again, and judges the lost ones once more, so that what a crash left half
    done is finished.
    """

    name = names.NODELIFECYCLE
    group = names.NODELIFECYCLE
    emits = (*API_CONTROLLER_EMITS, Tick)

    def __init__(self, cluster: Cluster, grace: float = GRACE, random: Callable[[], float] | None = None) -> None:
        informers = Lookout(
            cluster,
            [
                Wanted(NODE_KIND, labels=names.EDGE_LABEL),
                Wanted(LEASE_KIND, namespace=names.LEASE_NAMESPACE, cache=False),
            ],
        )
        super().__init__(informers, Random().random if random is None else random)
        self._cluster = cluster
        self._grace = grace
        self._pulses = Pulses(grace)
        self._readiness: dict[str, str] = {}
        self._to_judge: dict[str, None] = {}
        self._ticked: float | None = None
        self._rest: deque[Mark | Say] = deque()
        self._away = False

    def on_start(self) -> None:
        """Watch nodes and their leases; look every few seconds who has gone silent."""
        super().on_start()
        self.every(TICK, Tick())

    # --- messages -----------------------------------------------------------------------------------------------------

    @on
    def on_tick(self, message: Tick) -> None:
        """Have those judged who have gone silent."""
        now, before = self.clock.monotonic(), self._ticked
        self._ticked = now
        self.take_changes()
        if before is not None and now - before > LATE:
            self._pulses.excuse(now)
        self._to_judge.update(dict.fromkeys(self._pulses.to_judge(now)))
        self.schedule()

    def has_calls(self) -> bool:
        """Nodes to judge, pods to mark or Events to write."""
        return bool(self._to_judge or self._rest)

    def call_api(self) -> None:
        """Judge one node; when none waits, mark one pod or write one Event."""
        if self._to_judge:
            name = next(iter(self._to_judge))
            del self._to_judge[name]  # if it fails, the next tick brings it back
            self._judge(name)
        else:
            self._do(self._rest.popleft())

    def on_api_error(self, error: ClusterError) -> None:
        """The API is away, or it has answered, with a no."""
        if temporary(error):
            self._away |= isinstance(error, Unreachable)
        else:
            self.api_answered()
        super().on_api_error(error)

    def api_answered(self) -> None:
        """The API is there; while it was away nobody could renew a lease: that time does not count."""
        if self._away:
            self._pulses.excuse(self.clock.monotonic())
        self._away = False
        super().api_answered()

    # --- what the watches told ----------------------------------------------------------------------------------------

    def take_change(self, change: Change) -> None:
        """Note what a node or its lease is now."""
        self._node(change) if change.kind == NODE_KIND else self._lease(change)

    def _lease(self, change: Change) -> None:
        name = identity(change.object).name
        if change.operation is Operation.DELETED:
            self._pulses.forget_lease(name)
        else:
            self._pulses.lease(name, forms.renewed(change.object), self.clock.monotonic())

    def _node(self, change: Change) -> None:
        node, name = change.object, identity(change.object).name
        if change.operation is Operation.DELETED:
            self._pulses.forget(name)
            self._readiness.pop(name, None)
            return
        self._pulses.node(name, forms.heartbeat(node), self.clock.monotonic())
        new = forms.readiness(node)
        old = self._readiness.get(name, new if change.initial else "")  # one that registers now was not ready before
        self._readiness[name] = new
        if (old == forms.TRUE) == (new == forms.TRUE):
            return
        reason = forms.NODE_READY if new == forms.TRUE else forms.NODE_NOT_READY
        self._rest.append(Say(forms.node_event(node, reason, self.clock.now())))

    # --- steps: errors that leave these are for `on_api_error` -------------------------------------------------------------

    def _judge(self, name: str) -> None:
        now = self.clock.monotonic()
        if not self._pulses.silent(name, now):
            return
        renewed = self._renewed(name)
        self.api_answered()
        # a lease that is newer than the watch told: it may be the watch that has gone silent
        if self._pulses.lease(name, renewed, now) or not self._pulses.silent(name, now):
            return
        node = self._cluster.get(NODE_KIND, "", name)
        if self._pulses.node(name, forms.heartbeat(node), now):
            return
        patch = forms.lost_node(node, self.clock.now())
        if patch is not None:
            self._cluster.patch(NODE_KIND, "", name, patch, form="strategic", subresource="status")
            self.counts["lost"] += 1
            self.log.warning("node %s is lost: no sign of life for %d s", name, self._grace)
        pods = self._cluster.list(POD_KIND, fields=f"spec.nodeName={name}").items
        self._rest.extend(Mark(name, pod) for pod in pods if forms.lost_pod(pod, self.clock.now()) is not None)
        self._pulses.judged(name)

    def _renewed(self, name: str) -> str:
        try:
            return forms.renewed(self._cluster.get(LEASE_KIND, names.LEASE_NAMESPACE, name))
        except NotFound:
            return ""

    def _do(self, step: Mark | Say) -> None:
        try:
            if isinstance(step, Say):
                self._say(step.event)
            else:
                self._mark(step)
        except ClusterError as error:
            if temporary(error):
                self._rest.append(step)  # behind the others: one that always fails must not keep them waiting
            raise

    def _mark(self, mark: Mark) -> None:
        pod, now = mark.pod, self.clock.now()
        patch = forms.lost_pod(pod, now)
        if patch is None or not self._pulses.lost(mark.node) or pod["spec"].get("nodeName") != mark.node:
            return
        who = identity(pod)
        try:
            self._cluster.patch(POD_KIND, who.namespace, who.name, patch, form="strategic", subresource="status")
        except Conflict:
            self._rest.append(Mark(mark.node, self._cluster.get(POD_KIND, who.namespace, who.name)))
            return
        self.api_answered()
        self.counts["pods not ready"] += 1
        self._rest.append(Say(forms.pod_event(pod, now)))

    def _say(self, event: Json) -> None:
        try:
            self._cluster.create(EVENT_KIND, event["metadata"]["namespace"], event)
        except AlreadyExists:
            self.log.debug("said before, and the answer was lost")
        self.api_answered()
