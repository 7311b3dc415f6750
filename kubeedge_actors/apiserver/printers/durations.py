"""Ages as kubectl prints them."""

from __future__ import annotations

from kubeedge_actors.kubernetes.time import parse_time

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 86400 * 365
UNKNOWN, INVALID, NONE = "<unknown>", "<invalid>", "<none>"


def human_duration(seconds: float) -> str:
    """A duration in one or two units: `119s`, `2m1s`, `4h5m`, `2d2h`, `34d`, `2y80d`."""
    whole = int(seconds)
    if whole < -1:
        return INVALID
    if whole < 2 * MINUTE:
        return f"{max(whole, 0)}s"
    if whole < 10 * MINUTE:
        return two_units(whole, MINUTE, "m", 1, "s")
    if whole < 3 * HOUR:
        return f"{whole // MINUTE}m"
    if whole < 8 * HOUR:
        return two_units(whole, HOUR, "h", MINUTE, "m")
    if whole < 2 * DAY:
        return f"{whole // HOUR}h"
    if whole < 8 * DAY:
        return two_units(whole, DAY, "d", HOUR, "h")
    if whole < 2 * YEAR:
        return f"{whole // DAY}d"
    return two_units(whole, YEAR, "y", DAY, "d") if whole < 8 * YEAR else f"{whole // YEAR}y"


def two_units(whole: int, big: int, big_letter: str, small: int, small_letter: str) -> str:
    """Two units; the smaller one is left out when it is zero."""
    rest = whole % big // small
    return f"{whole // big}{big_letter}" + (f"{rest}{small_letter}" if rest else "")


def age(timestamp: str | None, now: float) -> str:
    """The time since an RFC 3339 timestamp."""
    since = parse_time(timestamp) if timestamp else None
    return UNKNOWN if since is None else human_duration(now - since)
