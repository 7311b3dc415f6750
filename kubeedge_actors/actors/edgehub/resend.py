"""When a durable message that was not confirmed is sent again: longer each time. Pure."""

from __future__ import annotations


def is_resend_due(since: float, tries: int, now: float, initial: float = 60.0, maximum: float = 3600.0) -> bool:
    """Whether a message that was sent `tries` times, last at `since`, and not confirmed should be resent."""
    return now - since >= min(maximum, initial * 2.0 ** (min(tries, 16) - 1))
