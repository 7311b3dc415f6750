"""Queue of calls to each mapper: one call at a time, in order, with back-off (KubeEdge: dmiclient). Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from kubeedge_actors.actors.dmi.device_cache import id_of
from kubeedge_actors.drivers.dmi.base import Mapper, MapperMethod

Json = dict[str, Any]

BACKOFF_INITIAL, BACKOFF_MAX = 0.5, 30.0
"""Seconds between two attempts to reach a mapper that does not answer."""


@dataclass(slots=True)
class MapperCallQueue:
    """The calls to one mapper. `in_flight`: the first of them is under way or waits for its next attempt."""

    mapper: Mapper
    waiting: deque[tuple[MapperMethod, Json]] = field(default_factory=deque)
    in_flight: bool = False
    failures: int = 0

    def add(self, verb: MapperMethod, object: Json) -> None:
        """Enqueue a call; it replaces a waiting call about the same object."""
        start = 1 if self.in_flight else 0
        for position in range(start, len(self.waiting)):
            if self.waiting[position][0] is verb and id_of(self.waiting[position][1]) == id_of(object):
                del self.waiting[position]
                break
        self.waiting.append((verb, object))

    def take(self) -> tuple[MapperMethod, Json] | None:
        """The call to make now, which is in flight from now on; None for none."""
        if self.in_flight or not self.waiting:
            return None
        self.in_flight = True
        return self.waiting[0]

    def on_call_done(self) -> None:
        """The call was answered, well or not: remove it."""
        self.in_flight, self.failures = False, 0
        self.waiting.popleft()

    def on_unreachable(self) -> float:
        """The mapper could not be reached: returns the seconds until `on_backoff_over`."""
        self.failures += 1
        return float(min(BACKOFF_MAX, BACKOFF_INITIAL * 2 ** min(self.failures - 1, 10)))

    def on_backoff_over(self) -> None:
        """The back-off is over."""
        self.in_flight = False


class MapperCallQueues:
    """The call queues by protocol. They outlive a crash of the actor."""

    def __init__(self) -> None:
        self._queues: dict[str, MapperCallQueue] = {}

    def open_queue(self, mapper: Mapper) -> MapperCallQueue:
        """Open an empty queue for a mapper that has registered; it replaces its predecessor's."""
        line = self._queues[mapper.protocol] = MapperCallQueue(mapper)
        return line

    def get(self, protocol: str) -> MapperCallQueue | None:
        """The queue of a protocol; None when no mapper serves it."""
        return self._queues.get(protocol)

    def requeue_in_flight(self) -> list[str]:
        """After a crash: requeue the calls in flight. Returns the protocols with calls to make."""
        for line in self._queues.values():
            line.in_flight = False
        return [protocol for protocol, line in self._queues.items() if line.waiting]

    def counts(self) -> dict[str, int]:
        """How many calls wait, by protocol."""
        return {protocol: len(line.waiting) for protocol, line in self._queues.items()}
