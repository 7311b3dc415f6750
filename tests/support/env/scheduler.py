"""What the tests of the scheduler share: an API in memory with a scheduler at work on it, and ways in which it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeedge_actors.actors.scheduler.scheduler import Scheduler
from kubeedge_actors.drivers.cluster.base import (
    OnChange,
    OnSynced,
    WatchEvent,
)
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster, FakeWatch, Request
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.supervisors import ManualClock
from kubeedge_actors.testing import Harness, InjectedCrash, inline

BINDING = "binding"


class SchedulerEnv:
    """An API, a scheduler at work on it, and a clock that both share."""

    cluster: FakeCluster

    def __init__(self) -> None:
        self.harness: Harness = inline(Scheduler.spec(lambda: Scheduler(self.cluster)), contain=True)
        self.clock: ManualClock = self.harness.clock
        self.cluster = FakeCluster(self.clock.now)

    def settle(self, seconds: float = 0.0) -> None:
        self.harness.advance(seconds)
        assert self.harness.dead_letters == []

    def writes(self) -> int:
        return sum(1 for request in self.cluster.requests if request[0] in ("create", "patch"))

    def bindings(self) -> list[str]:
        return [request[3] for request in self.cluster.requests if request[4] == BINDING]

    def crashes(self) -> list[str]:
        """Those that no test asked for."""
        return [crash.error for crash in self.harness.crashes if InjectedCrash.__name__ not in crash.error]


def refusing(error: ClusterError, *subresources: str, times: int = 1_000_000) -> Any:
    """A failure for requests to these subresources ("" for the object itself), so many times."""
    remaining = [times]

    def refuse(request: Request) -> ClusterError | None:
        if request[4] not in subresources or remaining[0] <= 0:
            return None
        remaining[0] -= 1
        return error

    return refuse


class Slow(FakeCluster):
    """Its watches tell late: after `hold()` nothing until `release()`; the end of a first list not before `end_lists()`."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock.now)
        self.held: list[Callable[[], object]] | None = None
        self.ends: list[Callable[[], None]] = []

    def watch(
        self, kind: ResourceKind, on_change: OnChange, on_synced: OnSynced | None = None, **options: Any
    ) -> FakeWatch:
        def tell(change: WatchEvent) -> None:
            if self.held is None:
                on_change(change)
            else:
                self.held.append(lambda: on_change(change))

        if on_synced is not None:
            self.ends.append(on_synced)
        return super().watch(kind, tell, **options)

    def hold(self) -> None:
        self.held = []

    def release(self) -> None:
        held, self.held = self.held or [], None
        for call in held:
            call()

    def end_lists(self) -> None:
        for call in self.ends:
            call()
