"""The actors that wait for the API: one node's requests in order, different nodes' side by side."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass

from kubeedge_actors.actors.edgecontroller.answers import RETRIED, UNANSWERED, failed
from kubeedge_actors.actors.edgecontroller.refusals import refused
from kubeedge_actors.actors.edgecontroller.upstream import Gone, Upstream
from kubeedge_actors.drivers.cluster.base import temporary
from kubeedge_actors.errors import AskTimeout, ClusterError, Unreachable
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Reply
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import Answered, ObjectPushed, ObjectSeen, Said

BACKOFF_FIRST, BACKOFF_LAST = 0.5, 15.0
BACKLOG = 5_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that its node may make. `reply`: who waits until it is done; `since`: monotonic seconds."""

    request: Said
    reply: Reply | None
    since: float


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The back-off is over."""


def not_done(asked: Asked) -> None:
    """Have CloudHub forget that it ever got the request, so that the edge, which kept it, says it again."""
    if asked.reply is not None:
        asked.reply.fail(AskTimeout("the API server is away"))


class Bench:
    """What one worker keeps over its crashes: the requests that wait for the API to come back, and counters."""

    def __init__(self) -> None:
        self.waiting: deque[Asked] = deque()
        self.counts: Counter[str] = Counter()
        self.warned: set[str] = set()
        self.chance = random.Random()
        self.failures = 0
        self.not_before = 0.0


class EdgeWorker(Module):
    """Performs requests one by one.

    While the API is away it asks it once per back-off and lets nobody wait for a time-out in between.
    """

    group = names.EDGECONTROLLER
    emits = (Answered, ObjectPushed, ObjectSeen)

    def __init__(self, upstream: Upstream, bench: Bench) -> None:
        self._upstream = upstream
        self._bench = bench

    def on_start(self) -> None:
        """Go on with what waited before a crash."""
        if self._bench.waiting:
            self.after(BACKOFF_FIRST, TryAgain())

    @on
    def asked(self, asked: Asked) -> None:
        """Perform it, or put it behind those of its sort that wait already."""
        if type(asked.request) in RETRIED and self._bench.waiting:
            self._keep(asked)
        elif (error := self._perform(asked)) is not None:
            self._keep(asked)
            self.after(self._pause(), TryAgain())
            self.log.warning("%s; %s of %s is tried again", error, type(asked.request).__name__, asked.request.node)

    @on
    def again(self, message: TryAgain) -> None:
        """Perform what waits, in order, until the API fails again."""
        waiting = self._bench.waiting
        while waiting:
            asked = (
                waiting.popleft()
            )  # out of the line while it is performed: one that crashes this actor must not come back for ever
            if self._overdue(asked):
                self._give_up(asked)
            elif self._perform(asked) is not None:
                waiting.appendleft(asked)
                self.after(self._pause(), TryAgain())
                return

    def _perform(self, asked: Asked) -> ClusterError | None:
        """Do it and say what follows; the error when it has to be tried again."""
        request, now = asked.request, self.clock.monotonic()
        try:
            if now < self._bench.not_before:
                raise Unreachable("the API server did not answer a moment ago")
            messages = self._upstream.perform(request)
            self._bench.failures = 0
        except ClusterError as error:
            self._note(error, now)
            if temporary(error) and type(request) in RETRIED:
                return error
            if isinstance(error, Gone) and error.stub:
                self._say_stranger(request.node, error.stub)
            messages = [*failed(request, error), *([error.stub] if isinstance(error, Gone) and error.stub else [])]
            if isinstance(request, UNANSWERED) or not messages:
                self.log.warning("%s of %s failed: %s", type(request).__name__, request.node, error)
        except (TypeError, ValueError, AttributeError, KeyError) as defect:
            # what a node said had a shape that nobody expected: its own mistake must not crash what works for others
            self._bench.counts["malformed"] += 1
            self.log.warning("%s of %s can not be understood: %r", type(request).__name__, request.node, defect)
            messages = [*failed(request, refused(f"malformed: {defect}", 400, "BadRequest"))]
        for message in messages:
            self.publish(message)
        if asked.reply is not None:
            asked.reply.send(None)
        return None

    def _say_stranger(self, node: str, stub: ObjectPushed) -> None:
        """An operator should see when a node has what the API does not know: at worst a whole cloud was set up anew."""
        self._bench.counts["pods that the API does not know"] += 1
        pod = f"{stub.namespace}/{stub.name}"
        if node in self._bench.warned:
            self.log.debug("node %s has pod %s, which the API does not know", node, pod)
            return
        self._bench.warned.add(node)
        self.log.warning(
            "node %s has pod %s, which the API does not know (deleted while the node was away, or this cloud lost its "
            "data): the node is told to remove it and whatever else is unknown here",
            *(node, pod),
        )

    def _note(self, error: ClusterError, now: float) -> None:
        self._bench.counts[error.reason or str(error.code)] += 1
        if isinstance(error, Unreachable) and now >= self._bench.not_before:
            self._bench.failures += 1
            self._bench.not_before = now + self._pause()

    def _pause(self) -> float:
        longest = min(BACKOFF_LAST, BACKOFF_FIRST * 2.0 ** min(self._bench.failures, 10))
        return longest * self._bench.chance.uniform(0.5, 1.0)

    def _keep(self, asked: Asked) -> None:
        self._bench.waiting.append(asked)
        if len(self._bench.waiting) > BACKLOG:
            self._give_up(self._bench.waiting.popleft())

    def _overdue(self, asked: Asked) -> bool:
        return self.clock.monotonic() - asked.since > RETRIED[type(asked.request)]

    def _give_up(self, asked: Asked) -> None:
        self._bench.counts["given up"] += 1
        self.log.warning("%s of %s was given up", type(asked.request).__name__, asked.request.node)
        for message in failed(asked.request, Unreachable("the API server is away")):
            self.publish(message)
        not_done(asked)
