"""The shell of the scheduler: takes in what the watches tell, decides, and makes one call to the API at a time."""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import NamedTuple

import msgspec

from kubeedge_actors.actors.scheduler import forms
from kubeedge_actors.actors.scheduler.facts import Pod
from kubeedge_actors.actors.scheduler.filters import obstacle
from kubeedge_actors.actors.scheduler.picture import Key, Picture
from kubeedge_actors.actors.scheduler.plan import Decision, plan
from kubeedge_actors.drivers.cluster.base import (
    EVENT_KIND,
    NODE_KIND,
    POD_KIND,
    ChangeBox,
    Cluster,
    Json,
    Kind,
    Watch,
    temporary,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound, Unreachable
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Timer
from kubeedge_actors.wire import names

AT_ONCE = 200
"""Pods that get a node in one plan at most, so that a crowd does not hold up what comes meanwhile."""
API_PAUSE, API_PAUSE_MOST = 0.5, 15.0
LOOK_PAUSE, LOOK_PAUSE_MOST = 1.0, 30.0


class ChangesWait(msgspec.Struct, frozen=True):
    """A watch has told something."""


class NextCall(msgspec.Struct, frozen=True):
    """The next call to the API may be made."""


class ApiAgain(msgspec.Struct, frozen=True):
    """The API did not answer; the back-off is over."""


class LookAgain(msgspec.Struct, frozen=True):
    """Time to decide again about pods that found no node, though nothing has changed."""


class Report(NamedTuple):
    """A sentence for a pod that got no node, and the event with it."""

    pod: Pod
    sentence: str
    reason: str
    event: Json


class Scheduler(Module):
    """Gives each pod that waits an edge node, or tells it why it gets none.

    It keeps nothing: an incarnation begins with what the API says. The API is called once per turn and not at all during a
    back-off, so neither a crowd of pods nor a silent API holds up what else the mailbox brings.
    """

    name = names.SCHEDULER
    group = names.SCHEDULER
    emits = (ChangesWait, NextCall, ApiAgain, LookAgain)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._box = ChangeBox()
        self._picture = Picture()
        self._watches: list[Watch] = []
        self._unsynced = {NODE_KIND, POD_KIND}
        self._binds: deque[Decision] = deque()
        self._reports: dict[Key, Report] = {}
        self._events: deque[Json] = deque()
        self._called = False
        self._chance = random.Random()
        self._failures = 0
        self._api_timer: Timer | None = None
        self._look_timer: Timer | None = None
        self._look_pause = LOOK_PAUSE
        self.counts: Counter[str] = Counter()

    def on_start(self) -> None:
        """Watch."""
        ref = self.ref
        self._box.wake = lambda: ref.tell(ChangesWait())
        self._watches = [
            self._cluster.watch(NODE_KIND, self._box.put, lambda: self._complete(NODE_KIND), labels=names.EDGE_LABEL),
            self._cluster.watch(POD_KIND, self._box.put, lambda: self._complete(POD_KIND)),
        ]

    def on_stop(self) -> None:
        """Watch no more."""
        for watch in self._watches:
            watch.stop()

    def _complete(self, kind: Kind) -> None:
        self._unsynced.discard(kind)
        self._box.wake()

    # --- messages -----------------------------------------------------------------------------------------------------

    @on
    def changes(self, message: ChangesWait) -> None:
        """Take in what has changed."""
        self._take()
        self._go_on()

    @on
    def api_again(self, message: ApiAgain) -> None:
        """Decide anew: what was decided before the API went silent may be out of date."""
        self._api_timer = None
        self._binds.clear()
        self._picture.dirty = True
        self._go_on()

    @on
    def look_again(self, message: LookAgain) -> None:
        """Decide again, also about pods that the API did not take."""
        self._look_timer = None
        self._look_pause = min(LOOK_PAUSE_MOST, 2 * self._look_pause)
        self._picture.look_again()
        self._go_on()

    @on
    def next_call(self, message: NextCall) -> None:
        """Make one call: a binding before all else, then what pods are to be told."""
        self._called = False
        try:
            if not self._binds and self._undecided():
                self._decide()
            if self._binds:
                self._bind(self._binds.popleft())
            elif self._reports:
                self._tell_refusal(*next(iter(self._reports.items())))
            elif self._events:
                self._tell_success()
            self._failures = 0
        except ClusterError as error:
            self._pause(error)
        self._go_on()

    def _go_on(self) -> None:
        if self._called or self._api_timer is not None:
            return
        if self._binds or self._reports or self._events or self._undecided():
            self._called = True
            self.tell(self.ref, NextCall())
        elif not self._picture.waiting:
            self._look_pause = LOOK_PAUSE
        elif self._look_timer is None and not self._unsynced:
            self._look_timer = self.after(self._look_pause, LookAgain())

    def _pause(self, error: ClusterError) -> None:
        seconds = min(API_PAUSE_MOST, API_PAUSE * 2.0 ** min(self._failures, 10)) * self._chance.uniform(0.5, 1.0)
        if not self._failures:
            self.log.warning("%s; trying again", error)
        self._failures += 1
        self._api_timer = self.after(seconds, ApiAgain())

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        for change in self._box.take():
            try:
                self._picture.apply(change)
            except (ValueError, TypeError, KeyError, AttributeError) as defect:
                # an object of a strange shape must not keep the others from their nodes
                self.counts["not understood"] += 1
                who = change.object.get("metadata", {}).get("name")
                self.log.warning("%s %s can not be understood: %r", change.kind.kind, who, defect)

    def _undecided(self) -> bool:
        return self._picture.dirty and self._picture.waiting and not self._unsynced

    def _decide(self) -> None:
        self._take()  # what a first list told is in the box before its end is
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
