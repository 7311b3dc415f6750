"""Reports of devices that nobody knows, which wait for their device: a few of each node. Pure."""

from __future__ import annotations

from kubeedge_actors.hubs.node_budget import NodeBudget

MAX_REPORTS = 500
"""Reports of one node that wait for devices that do not exist (yet)."""
MAX_BYTES = 1024 * 1024
"""Bytes of those."""


class UnknownReports:
    """How much of each node waits for which unknown device."""

    def __init__(self) -> None:
        self._budget = NodeBudget(MAX_REPORTS, MAX_BYTES)
        self._by_device: dict[str, list[tuple[str, int]]] = {}

    def take(self, node: str, device: str, size: int) -> bool:
        """Whether one more report of this size (bytes) may wait; counts it."""
        if not self._budget.take(node, size):
            return False
        self._by_device.setdefault(device, []).append((node, size))
        return True

    def release(self, device: str) -> None:
        """Nothing waits for this device any more: it is known, or was waited for long enough."""
        for node, size in self._by_device.pop(device, ()):
            self._budget.release(node, size)
