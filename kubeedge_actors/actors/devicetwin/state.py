"""The state of a device: whether it can be reached (source: KubeEdge edge/pkg/devicetwin/dtmanager/device.go)."""

from __future__ import annotations

from datetime import UTC, datetime

REACHABLE = ("ok", "online")
OTHERS = ("offline", "unhealthy", "unknown")


def last_online(state: str, now: float) -> str | None:
    """The time to note for this state: RFC 3339 of `now` (s), empty when the device can not be reached, None for no
    such state.

    States are compared without regard to case, but kept as they were said.
    """
    word = state.lower()
    if word in REACHABLE:
        return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "" if word in OTHERS else None
