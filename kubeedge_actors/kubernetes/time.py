"""metav1.Time and MicroTime: RFC 3339, UTC, seconds or microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
ANY = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def format_time(epoch: float) -> str:
    """Epoch seconds as a `metav1.Time`, the fraction cut off.

    >>> format_time(1769860800.9)
    '2026-01-31T12:00:00Z'
    """
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(epoch: float) -> str:
    """Epoch seconds as a `metav1.MicroTime`, which Leases have.

    >>> format_micro_time(1769860800.25)
    '2026-01-31T12:00:00.250000Z'
    """
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> float | None:
    """Epoch seconds of an RFC 3339 time with any fraction and zone; None when it is not one.

    >>> parse_time("2026-01-31T13:00:00.5+01:00"), parse_time("yesterday")
    (1769860800.5, None)
    """
    match = ANY.fullmatch(text)
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        return None
    return whole.timestamp() + float(fraction or 0)


def normalize_time(text: str) -> str | None:
    """The same time as a `metav1.Time`; None when it is not a time."""
    if SECONDS.fullmatch(text):
        return text
    epoch = parse_time(text)
    return None if epoch is None else format_time(epoch)


def normalize_micro_time(text: str) -> str | None:
    """The same time as a `metav1.MicroTime`; None when it is not a time."""
    if MICROSECONDS.fullmatch(text):
        return text
    match = ANY.fullmatch(text)
    epoch = parse_time(text)
    if match is None or epoch is None:
        return None
    return f"{format_time(epoch)[:-1]}{(match[3] or '.')[:7]:0<7}Z"
