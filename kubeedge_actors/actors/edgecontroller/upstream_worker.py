"""Worker actors that wait for the API: one node's requests in order, different nodes' side by side."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from kubeedge_actors.actors.edgecontroller.responses import NO_RESPONSE, RETRY_SECONDS, error_responses, rejection_error
from kubeedge_actors.actors.edgecontroller.upstream import PodNotFound, Upstream
from kubeedge_actors.drivers.cluster.base import is_temporary
from kubeedge_actors.errors import AskTimeout, ClusterError, Unreachable
from kubeedge_actors.hubs.node_budget import BudgetedQueue, size_of
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ReplyTo
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LinkMessage, ObjectPushed, ObjectVersionDelivered, Response

BACKOFF_INITIAL, BACKOFF_MAX = 0.5, 5.0
MAX_WAITING, NODE_WAITING, NODE_WAITING_BYTES = 5_000, 1_000, 8 * 1024 * 1024
"""Requests that wait for the API in one worker: of all its nodes, and of each."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """An authorized request. `reply`: who waits until it is done; `since`: monotonic seconds."""

    request: LinkMessage
    reply: ReplyTo | None
    since: float


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The back-off is over."""


def nack(upstream_request: UpstreamRequest) -> None:
    """Reject the delivery, so that CloudHub forgets the message and the edge resends it."""
    if upstream_request.reply is not None:
        upstream_request.reply.fail(AskTimeout("the API server is away"))


class UpstreamWorkerState:
    """The state of one worker that outlives its crashes: requests that wait for the API, and counters."""

    def __init__(self) -> None:
        self.waiting: BudgetedQueue[UpstreamRequest] = BudgetedQueue(MAX_WAITING, NODE_WAITING, NODE_WAITING_BYTES)
        self.counts: Counter[str] = Counter()
        self.warned: set[str] = set()
        self.chance = random.Random()
        self.failures = 0
        self.not_before = 0.0


class UpstreamWorker(Module):
    """Performs requests one by one.

    While the API is away it asks it once per back-off and lets nobody wait for a time-out in between.
    """

    group = constants.EDGECONTROLLER
    emits = (Response, ObjectPushed, ObjectVersionDelivered)

    def __init__(self, upstream: Upstream, state: UpstreamWorkerState) -> None:
        self._upstream = upstream
        self._state = state

    def on_start(self) -> None:
        """Go on with what waited before a crash."""
        if self._state.waiting:
            self.after(BACKOFF_INITIAL, RetryDue())

    @on
    def on_upstream_request(self, upstream_request: UpstreamRequest) -> None:
        """Perform a request, or queue it behind those that wait for a retry."""
        if type(upstream_request.request) in RETRY_SECONDS and self._state.waiting:
            self._keep(upstream_request)
        elif (error := self._perform(upstream_request)) is not None:
            self._keep(upstream_request)
            self.after(self._delay(), RetryDue())
            self.log.warning(
                "%s; %s of %s is retried", error, type(upstream_request.request).__name__, upstream_request.request.node
            )

    @on
    def on_retry_due(self, message: RetryDue) -> None:
        """Retry the queued requests in order, until the API fails again."""
        waiting = self._state.waiting
        while waiting:
            upstream_request = (
                waiting.popleft()
            )  # out of the line while it is performed: one that crashes this actor must not come back for ever
            if self._is_expired(upstream_request):
                self._give_up(upstream_request)
            elif self._perform(upstream_request) is not None:
                request = upstream_request.request
                waiting.appendleft(upstream_request, request.node, size_of(request))
                self.after(self._delay(), RetryDue())
                return

    def _perform(self, upstream_request: UpstreamRequest) -> ClusterError | None:
        """Do it and say what follows; the error when it has to be tried again."""
        request, now = upstream_request.request, self.clock.monotonic()
        try:
            if now < self._state.not_before:
                raise Unreachable("the API server did not answer a moment ago")
            messages = self._upstream.perform(request)
            self._state.failures = 0
        except ClusterError as error:
            self._note(error, now)
            if is_temporary(error) and type(request) in RETRY_SECONDS:
                return error
            if isinstance(error, PodNotFound) and error.deletion_push:
                self._warn_unknown_pod(request.node, error.deletion_push)
            messages = [
                *error_responses(request, error),
                *([error.deletion_push] if isinstance(error, PodNotFound) and error.deletion_push else []),
            ]
            if isinstance(request, NO_RESPONSE) or not messages:
                self.log.warning("%s of %s failed: %s", type(request).__name__, request.node, error)
        except (TypeError, ValueError, AttributeError, KeyError) as defect:
            # what a node said had a shape that nobody expected: its own mistake must not crash what works for others
            self._state.counts["malformed"] += 1
            self.log.warning("%s of %s is malformed and rejected: %r", type(request).__name__, request.node, defect)
            messages = [*error_responses(request, rejection_error(f"malformed: {defect}", 400, "BadRequest"))]
        for message in messages:
            self.publish(message)
        if upstream_request.reply is not None:
            upstream_request.reply.send(None)
        return None

    def _warn_unknown_pod(self, node: str, deletion_push: ObjectPushed) -> None:
        """An operator should see when a node has what the API does not know: at worst a whole cloud was set up anew."""
        self._state.counts["pods that the API does not know"] += 1
        pod = f"{deletion_push.namespace}/{deletion_push.name}"
        if node in self._state.warned:
            self.log.debug("node %s has pod %s, which the API does not know", node, pod)
            return
        self._state.warned.add(node)
        self.log.warning(
            "node %s has pod %s, which the API does not know (deleted while the node was away, or this cloud lost its "
            "data): the node is told to remove it and whatever else is unknown here",
            *(node, pod),
        )

    def _note(self, error: ClusterError, now: float) -> None:
        self._state.counts[error.reason or str(error.code)] += 1
        if isinstance(error, Unreachable) and now >= self._state.not_before:
            self._state.failures += 1
            self._state.not_before = now + self._delay()

    def _delay(self) -> float:
        longest = min(BACKOFF_MAX, BACKOFF_INITIAL * 2.0 ** min(self._state.failures, 10))
        return longest * self._state.chance.uniform(0.5, 1.0)

    def _keep(self, upstream_request: UpstreamRequest) -> None:
        request = upstream_request.request
        dropped = self._state.waiting.append(upstream_request, request.node, size_of(request))
        if dropped is not None:
            self._give_up(dropped)

    def _is_expired(self, upstream_request: UpstreamRequest) -> bool:
        return self.clock.monotonic() - upstream_request.since > RETRY_SECONDS[type(upstream_request.request)]

    def _give_up(self, upstream_request: UpstreamRequest) -> None:
        self._state.counts["given up"] += 1
        self.log.warning(
            "%s of %s: timeout, no more retries", type(upstream_request.request).__name__, upstream_request.request.node
        )
        for message in error_responses(upstream_request.request, Unreachable("the API server is away")):
            self.publish(message)
        nack(upstream_request)
