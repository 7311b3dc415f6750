"""The shell of the scheduler: takes in what the watches tell, decides, and makes one call to the API at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import msgspec

from kubeedge_actors.actors.scheduler import forms
from kubeedge_actors.actors.scheduler.facts import Pod
from kubeedge_actors.actors.scheduler.filters import obstacle
from kubeedge_actors.actors.scheduler.picture import Key, Picture
from kubeedge_actors.actors.scheduler.plan import Decision, plan
from kubeedge_actors.controller import API_CONTROLLER_EMITS, ApiController
from kubeedge_actors.drivers.cluster.base import (
    EVENT_KIND,
    NODE_KIND,
    POD_KIND,
    Change,
    Cluster,
    Json,
    Lookout,
    Wanted,
    temporary,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound, Unreachable
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import Timer
from kubeedge_actors.wire import names

AT_ONCE = 200
"""Pods that get a node in one plan at most, so that a crowd does not hold up what comes meanwhile."""
LOOK_PAUSE, LOOK_PAUSE_MOST = 1.0, 30.0


class LookAgain(msgspec.Struct, frozen=True):
    """Time to decide again about pods that found no node, though nothing has changed."""


class Report(NamedTuple):
    """A sentence for a pod that got no node, and the event with it."""

    pod: Pod
    sentence: str
    reason: str
    event: Json


class Scheduler(ApiController):
    """Gives each pod that waits an edge node, or tells it why it gets none."""

    name = names.SCHEDULER
    group = names.SCHEDULER
    emits = (*API_CONTROLLER_EMITS, LookAgain)

    def __init__(self, cluster: Cluster, random: Callable[[], float] | None = None) -> None:
        informers = Lookout(cluster, [Wanted(NODE_KIND, labels=names.EDGE_LABEL), Wanted(POD_KIND)])
        super().__init__(informers, Random().random if random is None else random)
        self._cluster = cluster
        self._picture = Picture()
        self._binds: deque[Decision] = deque()
        self._reports: dict[Key, Report] = {}
        self._events: deque[Json] = deque()
        self._look_timer: Timer | None = None
        self._look_pause = LOOK_PAUSE

    # --- messages -----------------------------------------------------------------------------------------------------

    def take_change(self, change: Change) -> None:
        """Note what a node or pod is now."""
        self._picture.apply(change)

    def api_backoff_over(self) -> None:
        """Decide anew: what was decided before the API went silent may be out of date."""
        self._binds.clear()
        self._picture.dirty = True

    @on
    def on_look_again(self, message: LookAgain) -> None:
        """Decide again, also about pods that the API did not take."""
        self._look_timer = None
        self._look_pause = min(LOOK_PAUSE_MOST, 2 * self._look_pause)
        self._picture.look_again()
        self.schedule()

    def schedule(self) -> None:
        """Make the next call; when there is none, look again after a pause at the pods that still wait."""
        super().schedule()
        if self.backing_off or self.has_calls():
            return
        if not self._picture.waiting:
            self._look_pause = LOOK_PAUSE
        elif self._look_timer is None and self.informers.synced:
            self._look_timer = self.after(self._look_pause, LookAgain())

    def has_calls(self) -> bool:
        """Bindings, what pods are to be told, or pods that nobody has decided about."""
        return bool(self._binds or self._reports or self._events or self._undecided())

    def call_api(self) -> None:
        """A binding before all else, then what pods are to be told."""
        if not self._binds and self._undecided():
            self._decide()
        if self._binds:
            self._bind(self._binds.popleft())
        elif self._reports:
            self._tell_refusal(*next(iter(self._reports.items())))
        elif self._events:
            self._tell_success()

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _undecided(self) -> bool:
        return self._picture.dirty and self._picture.waiting and self.informers.synced

    def _decide(self) -> None:
        self.take_changes()  # what a first list told is in the box before its end is
        self._picture.dirty = False
        decisions = plan(self._picture.pods(), self._picture.nodes.values(), AT_ONCE)
        self._binds.extend(decision for decision in decisions if decision.node)
        self._picture.dirty = len(self._binds) >= AT_ONCE
        for decision in decisions:
            if not decision.node:
                self._report(decision.pod, decision.refusal, forms.UNSCHEDULABLE)

    def _report(self, pod: Pod, sentence: str, reason: str) -> None:
        if self._picture.refusal(pod) == sentence:
            self._reports.pop(pod.key, None)
            return
        queued = self._reports.get(pod.key)
        if queued is None or (queued.pod, queued.sentence) != (pod, sentence):
            event = forms.failed(pod, sentence, self.clock.now())
            self._reports[pod.key] = Report(pod, sentence, reason, event)

    # --- calling: errors that leave these are worth another try -------------------------------------------------------

    def _bind(self, decision: Decision) -> None:
        pod, node = decision.pod, self._picture.nodes.get(decision.node)
        if not self._picture.waits(pod) or node is None or obstacle(pod.needs, node):
            return  # something changed since it was decided, so it is decided again
        try:
            body = forms.binding(pod, node.name)
            self._cluster.create(POD_KIND, pod.namespace, body, name=pod.name, subresource="binding")
        except ClusterError as error:
            self._not_bound(pod, error)
            return
        self._picture.bound(pod, node.name)
        self._reports.pop(pod.key, None)
        self._events.append(forms.scheduled(pod, node.name, self.clock.now()))
        self.counts["bound"] += 1

    def _not_bound(self, pod: Pod, error: ClusterError) -> None:
        if not isinstance(error, Unreachable):
            self._picture.set_aside(pod)
        if temporary(error):
            raise error
        if isinstance(error, Conflict | NotFound):
            self.log.debug("%s/%s is left alone: %s", pod.namespace, pod.name, error)
            return
        self.counts["rejected"] += 1
        self._report(pod, f"binding rejected: {error}", forms.REJECTED)

    def _tell_refusal(self, key: Key, report: Report) -> None:
        del self._reports[key]
        pod = report.pod
        if not self._picture.waits(pod):
            return
        again = bool(self._picture.refusal(pod))
        patch = forms.refusal(pod, report.sentence, report.reason, self.clock.now(), again=again)
        try:
            self._say(report.event)
            self._cluster.patch(POD_KIND, pod.namespace, pod.name, patch, form="strategic", subresource="status")
        except ClusterError as error:
            if temporary(error):
                self._reports[key] = report  # behind the others: one that always fails must not keep them waiting
                raise
            self.log.debug("%s/%s can not be told: %s", pod.namespace, pod.name, error)
        self._picture.refused(pod, report.sentence)
        self.counts["refused"] += 1

    def _tell_success(self) -> None:
        event = self._events.popleft()
        try:
            self._say(event)
        except ClusterError:
            self._events.append(event)
            raise

    def _say(self, event: Json) -> None:
        try:
            self._cluster.create(EVENT_KIND, event["metadata"]["namespace"], event)
        except AlreadyExists:
            self.log.debug("said before, and the answer was lost")
        except ClusterError as error:
            if temporary(error):
                raise
            self.log.debug("an event is refused: %s", error)
