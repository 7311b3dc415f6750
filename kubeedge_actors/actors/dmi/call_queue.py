"""Queue of calls to each mapper: one call at a time, in order, with back-off (KubeEdge: dmiclient). Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from kubeedge_actors.actors.dmi.device_cache import id_of
from kubeedge_actors.drivers.dmi.base import Mapper, Verb

Json = dict[str, Any]

BACKOFF_INITIAL, BACKOFF_MAX = 0.5, 30.0
"""Seconds between two attempts to reach a mapper that does not answer."""


@dataclass(slots=True)
class MapperCallQueue:
    """The calls to one mapper. `in_flight`: the first of them is under way or waits for its next attempt."""

    mapper: Mapper
    waiting: deque[tuple[Verb, Json]] = field(default_factory=deque)
    in_flight: bool = False
    failures: int = 0

    def add(self, verb: Verb, object: Json) -> None:
        """One call more; a waiting one that it makes needless goes."""
        start = 1 if self.in_flight else 0
        for position in range(start, len(self.waiting)):
            if self.waiting[position][0] is verb and id_of(self.waiting[position][1]) == id_of(object):
                del self.waiting[position]
                break
        self.waiting.append((verb, object))

    def next(self) -> tuple[Verb, Json] | None:
        """The call to make now, which is under way from now on."""
        if self.in_flight or not self.waiting:
            return None
        self.in_flight = True
        return self.waiting[0]

    def call_done(self) -> None:
        """The call was made, whatever the mapper said."""
        self.in_flight, self.failures = False, 0
        self.waiting.popleft()

    def on_unreachable(self) -> float:
        """Nobody answered: seconds until `retry_now`, and nothing is said before."""
        self.failures += 1
        return float(min(BACKOFF_MAX, BACKOFF_INITIAL * 2 ** min(self.failures - 1, 10)))

    def retry_now(self) -> None:
        """It is time for the next attempt."""
        self.in_flight = False


class MapperCallQueues:
    """All lines by protocol. They outlive a crash of the actor."""

    def __init__(self) -> None:
        self._queues: dict[str, MapperCallQueue] = {}

    def open(self, mapper: Mapper) -> MapperCallQueue:
        """A mapper is there (again): whatever its predecessor was to be told is needless."""
        line = self._queues[mapper.protocol] = MapperCallQueue(mapper)
        return line

    def get(self, protocol: str) -> MapperCallQueue | None:
        """The line of a protocol; None when no mapper serves it."""
        return self._queues.get(protocol)

    def requeue_in_flight(self) -> list[str]:
        """A crash came: calls under way are made again. The protocols with something to say."""
        for line in self._queues.values():
            line.in_flight = False
        return [protocol for protocol, line in self._queues.items() if line.waiting]

    def counts(self) -> dict[str, int]:
        """How many calls wait, by protocol."""
        return {protocol: len(line.waiting) for protocol, line in self._queues.items()}
