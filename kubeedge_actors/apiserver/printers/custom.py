"""Tables of custom resources with printer columns of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kubeedge_actors.kubernetes.durations import age

from ..errors import Json
from .columns import TablePrinter, column, columns

STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\*)\]|\['([^']+)'\]")


def custom_printer(printed: Sequence[Json]) -> TablePrinter:
    """The table of a definition's `additionalPrinterColumns`."""
    own = [
        column(
            printer_column["name"],
            printer_column.get("type", "string"),
            printer_column.get("priority", 0),
            printer_column.get("format", ""),
        )
        for printer_column in printed
    ]
    paths = [
        (printer_column.get("type", "string"), STEP.findall(printer_column.get("jsonPath", "")))
        for printer_column in printed
    ]

    def cells(body: Json, now: float) -> Sequence[Any]:
        return body["metadata"]["name"], *(column_value(body, kind, steps, now) for kind, steps in paths)

    return TablePrinter((*columns("Name"), *own), cells)


def column_value(body: Json, kind: str, steps: Sequence[tuple[str, str, str]], now: float) -> Any:
    """The value of one column; None when it is absent."""
    value: Any = body
    for field, index, quoted in steps:
        if index and isinstance(value, list):
            position = 0 if index == "*" else int(index)
            value = value[position] if position < len(value) else None
        else:
            value = value.get(field or quoted) if isinstance(value, dict) else None
    if value is None:
        return None
    if kind == "date":
        return age(str(value), now)
    return value if kind in ("integer", "number", "boolean") or isinstance(value, str) else str(value)
