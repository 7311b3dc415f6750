"""Column definitions, and the form that a kind's table has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..errors import Json

Cells = Callable[[Json, float], Sequence[Any]]


class TablePrinter(msgspec.Struct, frozen=True):
    """The columns of a kind, and how its cells come from an object and the time now."""

    columns: tuple[Json, ...]
    cells: Cells


def column(name: str, kind: str = "string", priority: int = 0, style: str = "") -> Json:
    """One column definition."""
    return {"name": name, "type": kind, "format": style, "description": "", "priority": priority}


def columns(*texts: str) -> tuple[Json, ...]:
    """Columns in short: `Name` is the name column, `*` at the end shows with -o wide, `#` is an integer."""
    result = []
    for text in texts:
        name = text.rstrip("*#")
        style = "name" if name == "Name" else ""
        result.append(column(name, "integer" if "#" in text else "string", int("*" in text), style))
    return tuple(result)
