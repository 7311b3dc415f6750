"""Times as Kubernetes writes them: RFC 3339, UTC, seconds or microseconds."""

from __future__ import annotations

import datetime
import time


def stamp(now: float) -> str:
    """Whole seconds: `2026-11-22T19:01:26Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def micro_stamp(now: float) -> str:
    """Microseconds, as leases have them: `2026-11-22T19:05:12.840342Z`."""
    whole = int(now)
    return f"{stamp(whole)[:-1]}.{int((now - whole) * 1e6):06d}Z"


def seconds(text: str) -> float:
    """Seconds since the epoch of such a time, with any fraction; 0 when it is none."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
