"""What the ready line says: that everything serves, or by name what does not yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kubeedge_actors.drivers.broker.base import Broker

PATIENCE = 1.0
"""Seconds that the line waits at most for connections that are being made; a cold boot waits for nobody."""
RUNNING = "running"


class Deadline:
    """Gives whoever is waited for what is left of `seconds`."""

    def __init__(self, seconds: float = PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + seconds

    def remaining(self) -> float:
        """Seconds, 0 when they are over."""
        return max(0.0, self._end - self._clock())


def with_unready_reason(subject: str, reason: str) -> str:
    """What it is, and why it can not be used yet, if it can not.

    >>> with_unready_reason("cloud https://c:10002", "Connection refused"), with_unready_reason("cloud none", "")
    ('cloud https://c:10002 (not reachable yet: Connection refused)', 'cloud none')
    """
    return f"{subject} (not reachable yet: {reason})" if reason else subject


def broker_addresses(brokers: Sequence[Broker], deadline: Deadline) -> str:
    """Where MQTT is spoken, and which of these brokers can not be reached yet."""
    return " and ".join(
        with_unready_reason(broker.address, broker.unready_reason(deadline.remaining())) for broker in brokers
    )


def not_started_text(tree: Mapping[str, Any]) -> str:
    """The actors of a supervision tree that do not run yet, each with its last error; empty when all do."""
    waiting = [actor for actor in _actors(tree) if actor["state"] != RUNNING]
    reasons = [f"{actor['name']} ({actor['last_error'] or actor['state']})" for actor in waiting]
    return f"; not started yet: {', '.join(reasons)}" if reasons else ""


def _actors(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if node["kind"] == "actor":
        yield node
    for child in node.get("children", ()):
        yield from _actors(child)
