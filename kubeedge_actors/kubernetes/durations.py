"""Ages as kubectl prints them."""

from __future__ import annotations

from kubeedge_actors.kubernetes.time import parse_time

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 86400 * 365
UNKNOWN, INVALID, NONE = "<unknown>", "<invalid>", "<none>"


def human_duration(seconds: float) -> str:
    """A duration in one or two units: `119s`, `2m1s`, `4h5m`, `2d2h`, `34d`, `2y80d`."""
    total = int(seconds)
    if total < -1:
        return INVALID
    if total < 2 * MINUTE:
        return f"{max(total, 0)}s"
    if total < 10 * MINUTE:
        return two_units(total, MINUTE, "m", 1, "s")
    if total < 3 * HOUR:
        return f"{total // MINUTE}m"
    if total < 8 * HOUR:
        return two_units(total, HOUR, "h", MINUTE, "m")
    if total < 2 * DAY:
        return f"{total // HOUR}h"
    if total < 8 * DAY:
        return two_units(total, DAY, "d", HOUR, "h")
    if total < 2 * YEAR:
        return f"{total // DAY}d"
    return two_units(total, YEAR, "y", DAY, "d") if total < 8 * YEAR else f"{total // YEAR}y"


def two_units(seconds: int, big: int, big_letter: str, small: int, small_letter: str) -> str:
    """Two units; the smaller one is left out when it is zero."""
    remainder = seconds % big // small
    return f"{seconds // big}{big_letter}" + (f"{remainder}{small_letter}" if remainder else "")


def age(timestamp: str | None, now: float) -> str:
    """The time since an RFC 3339 timestamp."""
    since = parse_time(timestamp) if timestamp else None
    return UNKNOWN if since is None else human_duration(now - since)
