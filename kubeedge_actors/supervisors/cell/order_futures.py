"""Who waits for an order to be carried out: an operator is answered when it is so, not when it was ordered."""

from __future__ import annotations

from kubeedge_actors.errors import ActorStopped
from kubeedge_actors.supervisors.future import LocalFuture, Waiter


class OrderFutures:
    """Futures of one cell's orders to start and to stop. Everything is called under the actor system's lock."""

    __slots__ = ("_engine", "_name", "_starts", "_stops", "_timeout")

    def __init__(self, engine: Waiter, name: str, timeout: float) -> None:
        self._engine, self._name, self._timeout = engine, name, timeout
        self._stops: list[LocalFuture] = []
        self._starts: list[tuple[int, LocalFuture]] = []

    def when_stopped(self) -> LocalFuture:
        """Completed when the next order to stop is carried out."""
        self._stops.append(self._new())
        return self._stops[-1]

    def when_started(self, number: int) -> LocalFuture:
        """Completed when incarnation `number`, or a later one, runs; ActorStopped, with the reason, when that does not come to run."""
        self._starts.append((number, self._new()))
        return self._starts[-1][1]

    def _new(self) -> LocalFuture:
        return LocalFuture(self._engine, self._name, self._timeout)

    def on_stopped(self) -> None:
        """An order to stop is carried out."""
        stops, self._stops = self._stops, []
        for future in stops:
            future.complete(None)

    def on_started(self, number: int) -> None:
        """Incarnation `number` runs."""
        for future in self._take(number):
            future.complete(None)

    def on_failed(self, number: int, why: str) -> None:
        """Incarnation `number` did not come to run, or will not."""
        for future in self._take(number):
            future.complete(None, ActorStopped(f"{self._name} does not run: {why}"))

    def _take(self, number: int) -> list[LocalFuture]:
        due = [future for least, future in self._starts if least <= number]
        self._starts = [start for start in self._starts if start[0] > number]
        return due
