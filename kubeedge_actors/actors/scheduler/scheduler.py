"""The actor Scheduler: takes changes of the API, schedules, and makes one call to the API at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from kubeedge_actors.actors.scheduler import api_objects
from kubeedge_actors.actors.scheduler.cache import Key, SchedulerCache
from kubeedge_actors.actors.scheduler.pod_info import PodInfo
from kubeedge_actors.actors.scheduler.schedule import SchedulingDecision, filter_error, schedule
from kubeedge_actors.controller import API_CONTROLLER_EMITS, ApiController
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    InformerSpec,
    Json,
    WatchEvent,
    is_temporary,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound, Unreachable
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import EVENT_KIND, NODE_KIND, POD_KIND
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import Timer
from kubeedge_actors.wire import constants

MAX_BINDINGS = 200
"""Pods that get a node in one plan at most, so that a crowd does not hold up what comes meanwhile."""
RETRY_BACKOFF_INITIAL, RETRY_BACKOFF_MAX = 1.0, 30.0


class RetryUnschedulableDue(msgspec.Struct, frozen=True):
    """Timer: schedule unschedulable pods again, though nothing has changed."""


class SchedulingFailure(NamedTuple):
    """The fit error of a pod, and its Event."""

    pod: PodInfo
    sentence: str
    reason: str
    event: Json


class Scheduler(ApiController):
    """Binds each pending pod to an edge node, or reports why it fits none."""

    name = constants.SCHEDULER
    group = constants.SCHEDULER
    emits = (*API_CONTROLLER_EMITS, RetryUnschedulableDue)

    def __init__(self, cluster: Cluster, random: Callable[[], float] | None = None) -> None:
        watched = [InformerSpec(NODE_KIND, labels=well_known.EDGE_LABEL), InformerSpec(POD_KIND)]
        super().__init__(cluster, watched, random)
        self._cache = SchedulerCache()
        self._bindings: deque[SchedulingDecision] = deque()
        self._failures_to_report: dict[Key, SchedulingFailure] = {}
        self._events: deque[Json] = deque()
        self._look_timer: Timer | None = None
        self._retry_delay = RETRY_BACKOFF_INITIAL

    # --- messages -----------------------------------------------------------------------------------------------------

    def handle_change(self, change: WatchEvent) -> None:
        """Note what a node or pod is now."""
        self._cache.apply(change)

    def on_api_backoff_over(self) -> None:
        """Decide anew: what was decided before the API went silent may be out of date."""
        self._bindings.clear()
        self._cache.dirty = True

    @on
    def on_retry_unschedulable_due(self, message: RetryUnschedulableDue) -> None:
        """Decide again, also about pods that the API did not take."""
        self._look_timer = None
        self._retry_delay = min(RETRY_BACKOFF_MAX, 2 * self._retry_delay)
        self._cache.flush_unschedulable()
        self.schedule_call()

    def schedule_call(self) -> None:
        """Make the next call; when there is none, look again after a pause at the pods that still wait."""
        super().schedule_call()
        if self.is_backing_off or self.has_queued_calls():
            return
        if not self._cache.has_pending:
            self._retry_delay = RETRY_BACKOFF_INITIAL
        elif self._look_timer is None and self.informers.synced:
            self._look_timer = self.after(self._retry_delay, RetryUnschedulableDue())

    def has_queued_calls(self) -> bool:
        """Bindings, what pods are to be told, or pods that nobody has decided about."""
        return bool(self._bindings or self._failures_to_report or self._events or self._undecided())

    def make_next_call(self) -> None:
        """A binding before all else, then what pods are to be told."""
        if not self._bindings and self._undecided():
            self._decide()
        if self._bindings:
            self._bind(self._bindings.popleft())
        elif self._failures_to_report:
            self._report_unschedulable(*next(iter(self._failures_to_report.items())))
        elif self._events:
            self._record_scheduled()

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _undecided(self) -> bool:
        return self._cache.dirty and self._cache.has_pending and self.informers.synced

    def _decide(self) -> None:
        self.handle_changes()  # what a first list told is in the box before its end is
        self._cache.dirty = False
        decisions = schedule(self._cache.pods(), self._cache.nodes.values(), MAX_BINDINGS)
        self._bindings.extend(decision for decision in decisions if decision.node)
        self._cache.dirty = len(self._bindings) >= MAX_BINDINGS
        for decision in decisions:
            if not decision.node:
                self._queue_failure(decision.pod, decision.fit_error, api_objects.UNSCHEDULABLE)

    def _queue_failure(self, pod: PodInfo, sentence: str, reason: str) -> None:
        if self._cache.last_fit_error(pod) == sentence:
            self._failures_to_report.pop(pod.key, None)
            return
        queued = self._failures_to_report.get(pod.key)
        if queued is None or (queued.pod, queued.sentence) != (pod, sentence):
            event = api_objects.failed_scheduling_event(pod, sentence, self.clock.now())
            self._failures_to_report[pod.key] = SchedulingFailure(pod, sentence, reason, event)

    # --- calling: errors that leave these are worth another try -------------------------------------------------------

    def _bind(self, decision: SchedulingDecision) -> None:
        pod, node = decision.pod, self._cache.nodes.get(decision.node)
        if not self._cache.is_pending(pod) or node is None or filter_error(pod.requirements, node):
            return  # something changed since it was decided, so it is decided again
        try:
            body = api_objects.binding(pod, node.name)
            self.api.create(POD_KIND, pod.namespace, body, name=pod.name, subresource="binding")
        except ClusterError as error:
            self._not_bound(pod, error)
            return
        self._cache.assume(pod, node.name)
        self._failures_to_report.pop(pod.key, None)
        self._events.append(api_objects.scheduled_event(pod, node.name, self.clock.now()))
        self.counts["bound"] += 1

    def _not_bound(self, pod: PodInfo, error: ClusterError) -> None:
        if not isinstance(error, Unreachable):
            self._cache.move_to_unschedulable(pod)
        if is_temporary(error):
            raise error
        if isinstance(error, Conflict | NotFound):
            self.log.debug("%s/%s is left alone: %s", pod.namespace, pod.name, error)
            return
        self.counts["rejected"] += 1
        self._queue_failure(pod, f"binding rejected: {error}", api_objects.SCHEDULER_ERROR)

    def _report_unschedulable(self, key: Key, report: SchedulingFailure) -> None:
        del self._failures_to_report[key]
        pod = report.pod
        if not self._cache.is_pending(pod):
            return
        again = bool(self._cache.last_fit_error(pod))
        patch = api_objects.unschedulable_patch(pod, report.sentence, report.reason, self.clock.now(), again=again)
        try:
            self._record_event(report.event)
            self.api.patch(POD_KIND, pod.namespace, pod.name, patch, form="strategic", subresource="status")
        except ClusterError as error:
            if is_temporary(error):
                self._failures_to_report[key] = (
                    report  # behind the others: one that always fails must not keep them waiting
                )
                raise
            self.log.debug("%s/%s can not be told: %s", pod.namespace, pod.name, error)
        self._cache.set_last_fit_error(pod, report.sentence)
        self.counts["refused"] += 1

    def _record_scheduled(self) -> None:
        event = self._events.popleft()
        try:
            self._record_event(event)
        except ClusterError:
            self._events.append(event)
            raise

    def _record_event(self, event: Json) -> None:
        try:
            self.api.create(EVENT_KIND, event["metadata"]["namespace"], event)
        except AlreadyExists:
            self.log.debug("said before, and the answer was lost")
        except ClusterError as error:
            if is_temporary(error):
                raise
            self.log.debug("an event is refused: %s", error)
