"""How benchmarks show their figures: a table for people, JSON for programs, the machine in the first line."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One figure. `ratio`: how many times better than the `baseline` of the same run; `budget` None: none was set."""

    name: str
    value: float
    unit: str
    budget: str | None = None
    baseline: float | None = None
    ratio: float | None = None

    def plain(self) -> dict[str, Any]:
        """The row as other programs read it."""
        return {key: float(f"{each:.4g}") if isinstance(each, float) else each for key, each in self._asdict().items()}


def machine() -> str:
    """What the figures were measured on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def show(title: str, rows: Iterable[Row]) -> None:
    """Print the rows: JSON with `--json` on the command line, else a table."""
    rows = list(rows)
    if "--json" in sys.argv[1:]:
        print(json.dumps([row.plain() for row in rows], indent=1))
        return
    print(f"{title} ({machine()})")
    print(f"{'':52}{'':>12} {'':10}{'baseline':>12}{'ratio':>8}  budget")
    for row in rows:
        baseline = "" if row.baseline is None else f"{row.baseline:,.4g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        value = f"{row.value:,.0f}" if row.value >= 1000 else f"{row.value:.3g}"
        print(f"{row.name:52}{value:>12} {row.unit:10}{baseline:>12}{ratio:>8}  {row.budget or ''}")
