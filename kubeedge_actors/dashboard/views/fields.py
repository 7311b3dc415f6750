"""Values by their names, for a page: times of day, durations and sizes as a person reads them. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from kubeedge_actors.control.formatting import format_bytes, format_seconds

MOMENTS = ("at", "since", "replayed", "last_online", "actual_at", "expected_at", "checkpoint_at", "looked_at")
DURATIONS = (
    "oldest",
    "due_in",
    "busy",
    "age",
    "shutdown",
    "handler_deadline",
    "initial",
    "maximum",
    "reset_after",
    "duration",
    "downtime",
    "p50",
    "p99",
)
BYTES = ("bytes", "wal_bytes", "up", "down", "rss", "memory", "max_bytes")


def moment(at: float | None, now: float) -> str:
    """A moment on this machine's clock; with its date unless that is today's.

    >>> moment(None, 0.0)
    ''
    """
    if not at:
        return ""
    there, here = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M:%S" if there[:3] == here[:3] else "%m-%d %H:%M:%S", there)


def fields_text(fields: Mapping[str, Any], indent: str = "") -> str:
    """Values by name, a line each, what is in them below; texts of several lines last.

    >>> print(fields_text({"a": 1, "b": {"c": [2, 3]}, "d": "", "commit_p99": 0.0123, "wal_bytes": 12_000}))
    a           1
    b
      c  2, 3
    commit_p99  12ms
    wal_bytes   12 kB
    """
    said = {name: value for name, value in fields.items() if _is_said(name, value)}
    long = {name: value for name, value in said.items() if isinstance(value, str) and "\n" in value.strip()}
    width = max((len(name) for name, value in said.items() if not isinstance(value, Mapping)), default=0)
    lines = [line for name, value in said.items() if name not in long for line in _field(name, value, indent, width)]
    for name, value in long.items():
        lines += [f"{indent}{name}", *(f"{indent}  {line}" for line in plain_traceback(value).split("\n"))]
    return "\n".join(lines)


def _field(name: str, value: Any, indent: str, width: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield f"{indent}{name}"
        yield fields_text(value, indent + "  ")
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        yield f"{indent}{name}"
        for each in value:
            yield fields_text(each, indent + "  - ") if isinstance(each, Mapping) else f"{indent}  - {each}"
    else:
        yield f"{indent}{name:<{width}}  {value_text(name, value)}"


def value_text(name: str, value: Any) -> str:
    """One value; its name says what a number measures.

    >>> value_text("mailbox", {"capacity": 5, "key": None, "durable": False}), value_text("delta", True), value_text("rate", 0.06351)
    ('capacity 5', 'yes', '0.0635')
    """
    if isinstance(value, Mapping):
        said = {key: each for key, each in value.items() if _is_said(key, each)}
        return ", ".join(f"{key} {value_text(key, each)}" for key, each in said.items())
    if isinstance(value, list | tuple):
        return ", ".join(value_text(name, each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if name in MOMENTS:
        return moment(value, time.time())
    if name.removeprefix("commit_") in DURATIONS:
        return format_seconds(value)
    if name in BYTES:
        return format_bytes(value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _is_said(name: str, value: Any) -> bool:
    return value not in ("", None, [], {}) and value is not False and not (name in MOMENTS and not value)


def plain_traceback(text: str) -> str:
    """Without the lines that only point at a part of the line above, which is no longer there where a line is broken.

    >>> print(plain_traceback("  f(x)\\n    ^^^^\\nValueError: x"))
      f(x)
    ValueError: x
    """
    return "\n".join(line for line in text.rstrip().split("\n") if not line.strip() or line.strip(" ^~"))
