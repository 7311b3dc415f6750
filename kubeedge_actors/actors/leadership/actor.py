"""The shell of Leadership: bids every two seconds, and stops leading in time when nothing comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubeedge_actors.actors.leadership.clerk import CLERK, Bid, Clerk, Release, Result
from kubeedge_actors.actors.leadership.duties import Duties, Staff
from kubeedge_actors.actors.leadership.election import DEADLINE, RETRY
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import LeadershipChanged

BID_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Tick:
    """Time for another attempt."""


class Leadership(Module):
    """Says whether this replica leads. It never waits for the API, so it is never late to stop."""

    name = names.LEADERSHIP
    group = names.LEADERSHIP
    emits = (LeadershipChanged, Tick)

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._leading: bool | None = None
        self._renewed = 0.0
        self._bidding = False
        self._leader = ""
        self._lost = False

    def on_start(self) -> None:
        """Stand for election; whoever crashed leading leads no more until it has won again."""
        self._set(False)
        self.every(RETRY, Tick())
        self._bid()

    def on_stop(self) -> None:
        """Let another replica lead at once."""
        if self._leading:
            self.tell(CLERK, Release())

    @on
    def tick(self, message: Tick) -> None:
        """Stop leading when the last renewal is too old; try again."""
        if self._leading and self.clock.monotonic() - self._renewed >= DEADLINE:
            self.log.warning("the lease was not renewed for %d s: another replica may lead", DEADLINE)
            self._lost = True
            self._set(False)
        self._bid()

    def _bid(self) -> None:
        if self._bidding:
            return
        self._bidding = True
        self.ask(CLERK, Bid(), BID_TIMEOUT).then(self._result, self._failed)

    def _result(self, result: Result) -> None:
        self._bidding = False
        if result.leader != self._leader:
            self._leader = result.leader
            self.log.info("%s leads", result.leader or "nobody")
        # counted from the moment at which it was begun: the others may count from then, too
        if result.won and self.clock.monotonic() - result.since < DEADLINE:
            self._renewed = result.since
            self._set(True)
        elif result.leader not in ("", self._identity):
            self._set(False)
            if self._lost:
                self._lost = False
                self.log.warning("%s leads now", result.leader)

    def _failed(self, error: Exception) -> None:
        self._bidding = False
        self.log.warning("an attempt to lead was not answered: %s", error)

    def _set(self, leading: bool) -> None:
        if leading and self._lost:
            self._lost = False
            self.log.warning("the lease was renewed: this replica leads again")
        if leading is not self._leading:
            self._leading = leading
            self.publish(LeadershipChanged(leading=leading))


def specs(cluster: Cluster, identity: str, staff: Staff, duties: Sequence[ChildSpec]) -> list[ChildSpec]:
    """Leadership, its clerk, and who starts and stops `duties`.

    `cluster` should answer or fail within a few seconds: while it does not, the Lease is not renewed.
    """
    return [
        ChildSpec(CLERK, lambda: Clerk(cluster, identity), group=Clerk.group),
        Duties.spec(lambda: Duties(staff, duties)),
        Leadership.spec(lambda: Leadership(identity)),
    ]
