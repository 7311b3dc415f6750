"""What was done and has not been seen yet: a plan made before would do it twice. Pure.

Source: Kubernetes pkg/controller/controller_utils.go (ControllerExpectations).
"""

from __future__ import annotations

from collections.abc import Collection

PATIENCE = 10.0
"""Seconds after which something that was never seen counts as come and gone."""


class Expected:
    """Per owner: the uids of pods that were created, or deleted, and until when they are waited for."""

    def __init__(self) -> None:
        self._made: dict[str, dict[str, float]] = {}
        self._gone: dict[str, dict[str, float]] = {}

    def made(self, owner: str, pod: str, now: float) -> None:
        """A pod was created for this owner."""
        self._made.setdefault(owner, {})[pod] = now + PATIENCE

    def gone(self, owner: str, pod: str, now: float) -> None:
        """A pod of this owner was deleted."""
        self._gone.setdefault(owner, {})[pod] = now + PATIENCE

    def waiting(self, owner: str, alive: Collection[str], now: float) -> bool:
        """Whether the picture is older than what was done; `alive`: the owner's pods as seen, without those that end."""
        made = {pod: end for pod, end in self._made.get(owner, {}).items() if pod not in alive and now < end}
        gone = {pod: end for pod, end in self._gone.get(owner, {}).items() if pod in alive and now < end}
        for table, left in ((self._made, made), (self._gone, gone)):
            if left:
                table[owner] = left
            else:
                table.pop(owner, None)
        return bool(made or gone)
