"""The shell of NodeLifecycle: takes in signs of life, judges who gave none, and makes one step against the API at a time."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from kubeedge_actors.actors.nodelifecycle import forms
from kubeedge_actors.actors.nodelifecycle.pulses import GRACE, Pulses
from kubeedge_actors.drivers.cluster.base import (
    EVENT_KIND,
    LEASE_KIND,
    NODE_KIND,
    POD_KIND,
    Change,
    ChangeBox,
    Cluster,
    Json,
    Operation,
    Watch,
    identity,
    temporary,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound, Unreachable
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Timer
from kubeedge_actors.wire import names

TICK = 5.0
LATE = 15.0
"""Seconds between two ticks after which this process itself was not there: stopped, or its machine was."""
API_PAUSE, API_PAUSE_MOST = 0.5, 15.0
STRANGE = (ValueError, TypeError, KeyError, AttributeError)
"""What an object of a strange shape raises: it must not keep the other nodes from being heard, as a crash would."""


class ChangesWait(msgspec.Struct, frozen=True):
    """A watch has told something."""


class Tick(msgspec.Struct, frozen=True):
    """Time to look who has gone silent."""


class NextStep(msgspec.Struct, frozen=True):
    """The next step against the API may be made."""


class ApiAgain(msgspec.Struct, frozen=True):
    """The API did not answer; the back-off is over."""


class Mark(NamedTuple):
    """A pod on a lost node that is to be not ready."""

    node: str
    pod: Json


class Say(NamedTuple):
    """An event to be written."""

    event: Json


class NodeLifecycle(Module):
    """Says of a node that it is lost, and of its pods that they are not ready, when no sign of life was seen for `grace` seconds.

    It never says that a node is well again, and never moves a pod: both are the node's own to do. It keeps nothing: an
    incarnation gives every node its full time again, and judges the lost ones once more, so that what a crash left half
    done is finished.
    """

    name = names.NODELIFECYCLE
    group = names.NODELIFECYCLE
    emits = (ChangesWait, Tick, NextStep, ApiAgain)

    def __init__(self, cluster: Cluster, grace: float = GRACE, chance: Callable[[], float] | None = None) -> None:
        self._cluster = cluster
        self._grace = grace
        self._chance = chance or random.Random().random
        self._box = ChangeBox()
        self._watches: list[Watch] = []
        self._pulses = Pulses(grace)
        self._readiness: dict[str, str] = {}
        self._to_judge: dict[str, None] = {}
        self._ticked: float | None = None
        self._rest: deque[Mark | Say] = deque()
        self._called = False
        self._away = False
        self._failures = 0
        self._api_timer: Timer | None = None
        self.counts: Counter[str] = Counter()

    def on_start(self) -> None:
        """Watch nodes and their leases; look every few seconds who has gone silent."""
        ref = self.ref
        self._box.wake = lambda: ref.tell(ChangesWait())
        watch, put = self._cluster.watch, self._box.put
        self._watches = [
            watch(NODE_KIND, put, labels=names.EDGE_LABEL),
            watch(LEASE_KIND, put, namespace=names.LEASE_NAMESPACE, cache=False),
        ]
        self.every(TICK, Tick())

    def on_stop(self) -> None:
        """Watch no more."""
        for watch in self._watches:
            watch.stop()

    # --- messages -----------------------------------------------------------------------------------------------------

    @on
    def changes(self, message: ChangesWait) -> None:
        """Take in what has changed."""
        self._take()
        self._go_on()

    @on
    def tick(self, message: Tick) -> None:
        """Have those judged who have gone silent."""
        now, before = self.clock.monotonic(), self._ticked
        self._ticked = now
        self._take()
        if before is not None and now - before > LATE:
            self._pulses.excuse(now)
        self._to_judge.update(dict.fromkeys(self._pulses.to_judge(now)))
        self._go_on()

    @on
    def api_again(self, message: ApiAgain) -> None:
        """Go on."""
        self._api_timer = None
        self._go_on()

    @on
    def next_step(self, message: NextStep) -> None:
        """Judge one node; when none waits, mark one pod or write one event."""
        self._called = False
        try:
            if self._to_judge:
                name = next(iter(self._to_judge))
                del self._to_judge[name]  # if it fails, the next tick brings it back
                self._judge(name)
            elif self._rest:
                self._do(self._rest.popleft())
        except ClusterError as error:
            self._failed(error)
        except STRANGE as defect:
            self._not_understood("what the API answered", defect)
        self._go_on()

    def _go_on(self) -> None:
        if (self._to_judge or self._rest) and not self._called and self._api_timer is None:
            self._called = True
            self.tell(self.ref, NextStep())

    def _failed(self, error: ClusterError) -> None:
        self.counts[error.reason or str(error.code)] += 1
        if not temporary(error):
            self._answered()
            self.log.debug("left as it is: %s", error)
            return
        self._away |= isinstance(error, Unreachable)
        if not self._failures:
            self.log.warning("%s; trying again", error)
        seconds = min(API_PAUSE_MOST, API_PAUSE * 2.0 ** min(self._failures, 10)) * (0.5 + 0.5 * self._chance())
        self._failures += 1
        self._api_timer = self.after(seconds, ApiAgain())

    def _answered(self) -> None:
        """The API is there; while it was away nobody could renew a lease: that time does not count."""
        if self._away:
            self._pulses.excuse(self.clock.monotonic())
        self._away = False
        self._failures = 0

    # --- what the watches told ----------------------------------------------------------------------------------------

    def _take(self) -> None:
        for change in self._box.take():
            try:
                self._node(change) if change.kind == NODE_KIND else self._lease(change)
            except STRANGE as defect:
                self._not_understood(f"{change.kind.kind} {change.object.get('metadata', {}).get('name')}", defect)

    def _not_understood(self, what: str, defect: Exception) -> None:
        self.counts["not understood"] += 1
        self.log.warning("%s can not be understood: %r", what, defect)

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

    # --- steps: errors that leave these are for `_failed` -------------------------------------------------------------

    def _judge(self, name: str) -> None:
        now = self.clock.monotonic()
        if not self._pulses.silent(name, now):
            return
        renewed = self._renewed(name)
        self._answered()
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
        self._answered()
        self.counts["pods not ready"] += 1
        self._rest.append(Say(forms.pod_event(pod, now)))

    def _say(self, event: Json) -> None:
        try:
            self._cluster.create(EVENT_KIND, event["metadata"]["namespace"], event)
        except AlreadyExists:
            self.log.debug("said before, and the answer was lost")
        self._answered()
