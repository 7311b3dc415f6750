"""How benchmarks show their figures: a table for people, JSON for programs, the machine in the first line."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

THIS_RUN = "this run"
SKIPPED = 77
"""The exit status of a benchmark that cannot measure anything on this machine (automake's number for it)."""
_BUDGET = re.compile(r"(<=|>=|<|>|)\s*([\d,]+(?:\.\d+)?)(x?)")


class Row(NamedTuple):
    """One figure.

    `budget`: "<= 36", ">= 150/s", ">= 2x" (of the ratio) or "0" (exactly); None: none was set. `ratio`: how many times better
    than the `baseline`. `source`: where a baseline was recorded that is not of this run, on another machine that is.
    """

    name: str
    value: float
    unit: str
    budget: str | None = None
    baseline: float | None = None
    ratio: float | None = None
    source: str | None = None

    @property
    def over(self) -> bool:
        """True when it is not within its budget.

        >>> Row("start", 2.4, "s", "<= 2 s").over, Row("tell", 9e5, "1/s", ">= 2x", 3e5, 3.0).over, Row("lost", 0, "", "0").over
        (True, False, False)
        """
        if self.budget is None:
            return False
        match = _BUDGET.match(self.budget)
        if match is None:
            raise ValueError(f"{self.name}: {self.budget!r} is no budget")
        sign, number, times = match.groups()
        value, limit = (self.ratio if times else self.value), float(number.replace(",", ""))
        if value is None:
            raise ValueError(f"{self.name}: the budget {self.budget!r} is of a ratio, and there is none")
        within = {
            "<=": value <= limit,
            ">=": value >= limit,
            "<": value < limit,
            ">": value > limit,
            "": value == limit,
        }
        return not within[sign]

    def plain(self) -> dict[str, Any]:
        """The row as other programs read it. `baseline_from`: "this run", or where else the baseline was recorded."""
        figures = {
            key: float(f"{each:.4g}") if isinstance(each, float) else each for key, each in self._asdict().items()
        }
        source = figures.pop("source")
        figures["baseline_from"] = None if self.baseline is None else source or THIS_RUN
        return {**figures, "over": self.over}


def row_of(plain: Mapping[str, Any]) -> Row:
    """The reverse of `Row.plain`."""
    source = plain["baseline_from"]
    return Row(*(plain[key] for key in Row._fields[:-1]), source=None if source == THIS_RUN else source)


def machine() -> str:
    """What the figures are measured on."""
    facts = facts_of_the_machine()
    return "{cores} cores, {model}, Linux {kernel}, Python {python}, load {load}".format(**facts)


def facts_of_the_machine() -> dict[str, Any]:
    """Cores that may be used, processor, kernel, Python, and how busy the machine was in the last minute."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "model": _processor(Path("/proc/cpuinfo").read_text(encoding="utf-8")) or platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def _processor(text: str) -> str:
    """What /proc/cpuinfo calls the processor; empty where it has no name (most ARM kernels)."""
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(("model name", "Model")))
    return next(names, "")


def show(title: str, rows: Iterable[Row]) -> None:
    """Print the rows: JSON with `--json` on the command line, else a table."""
    rows = list(rows)
    if "--json" in sys.argv[1:]:
        print(json.dumps([row.plain() for row in rows], indent=1))
        return
    print(f"{title} ({machine()})")
    print(table(rows))


def table(rows: Iterable[Row]) -> str:
    """The rows for people: what is not within its budget is marked, and so is a baseline from another machine."""
    rows = list(rows)
    lines = [f"{'':54}{'':>12} {'':10}{'baseline':>13}{'ratio':>9}  budget", *map(_line, rows)]
    lines += [
        f"  * recorded on another machine: {source}" for source in dict.fromkeys(row.source for row in rows) if source
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    star = "*" if row.source else " "
    baseline = "" if row.baseline is None else f"{row.baseline:,.4g}{star}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x{star}"
    value = f"{row.value:,.0f}" if row.value >= 1000 else f"{row.value:.3g}"
    budget = f"{row.budget or ''}{'  OVER' if row.over else ''}"
    return f"{row.name:54}{value:>12} {row.unit:10}{baseline:>13}{ratio:>9}  {budget}".rstrip()


def skip(reason: str) -> NoReturn:
    """End: there is nothing to measure here, for this reason."""
    print(reason, file=sys.stderr)
    sys.exit(SKIPPED)
