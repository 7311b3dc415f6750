"""What node and containers have used, measured when somebody asks, and not more often than every ten seconds. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.drivers.containers.base import Container, ContainerRuntime, ContainerUsage
from kubeedge_actors.drivers.machine.base import Machine, MachineUsage

Json = dict[str, Any]
FRESH_SECONDS = 10.0
"""So long a sample is the answer to whoever asks."""
STALE_SECONDS = 120.0
"""A sample that is older says nothing of how much is used now."""
FIRST_WINDOW = 1.0
"""Seconds between two samples where there is none to compare with yet."""


class ResourceSample(msgspec.Struct, frozen=True):
    """Counters at one moment: `at` in seconds since the epoch, `taken` in those of a clock that is never set."""

    at: float
    taken: float
    node: MachineUsage
    containers: tuple[tuple[Container, ContainerUsage], ...]

    def container(self, id: str) -> ContainerUsage | None:
        """The usage of one container; None when it was not there."""
        return next((usage for container, usage in self.containers if container.id == id), None)


class ResourceSampler:
    """Takes samples; keeps the last two. `wait(seconds)` waits between the first two of them."""

    def __init__(
        self,
        node: str,
        runtime: ContainerRuntime,
        machine: Machine,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.node = node
        self._runtime, self._machine, self._clock, self._wall_clock = runtime, machine, clock, wall_clock
        self._wait = wait or threading.Event().wait
        self._lock = threading.Lock()
        self._before: ResourceSample | None = None
        self._last: ResourceSample | None = None

    def samples(self) -> tuple[ResourceSample, ResourceSample]:
        """The last sample and the one before it; new ones are taken if need be, which lasts a second at the first time.

        Errors: RuntimeUnavailable.
        """
        with self._lock:
            before, last, now = self._before, self._last, self._clock()
            if before is not None and last is not None and now - last.taken < FRESH_SECONDS:
                return before, last
            if last is None or now - last.taken > STALE_SECONDS:
                last = self._take()
                self._wait(FIRST_WINDOW)
            self._before, self._last = last, self._take()
            return self._before, self._last

    def containers(self) -> list[Container]:
        """What there is at the node, running or not. Errors: RuntimeUnavailable."""
        return self._runtime.list()

    def _take(self) -> ResourceSample:
        running = [container for container in self._runtime.list() if container.phase == "running"]
        usage = self._runtime.usage([container.id for container in running])
        measured = tuple((container, usage[container.id]) for container in running if container.id in usage)
        return ResourceSample(self._wall_clock(), self._clock(), self._machine.usage(), measured)


class KubeletFacts(NamedTuple):
    """What a kubelet would be asked for at its own port. `list_pods`: the node's pods with their status, called in a thread of a stream; it raises DriverError.
    `configuration`: the fields of a KubeletConfiguration that hold here.
    """

    sampler: ResourceSampler
    list_pods: Callable[[], list[Json]]
    configuration: Mapping[str, object] = {}
