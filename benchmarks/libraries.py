"""The same small program with a thread and a queue, raw Pykka, raw Thespian and ours: what a crash loses, and what each costs.

    python benchmarks/libraries.py [--json]

The programs are in _libraries.py; each group of figures is measured in a process of its own. `fails once`: every hundredth of 1,000 messages fails at its first
delivery; `fails always`: one of 1,000 fails whenever it is delivered; `dies once`: the actor's process ends at one of 1,000. The baseline of
threads is raw Pykka, that of processes raw Thespian; a ratio above one is better than that.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from _rows import Row, show, skip

TAKES = 100
WAIT = 45.0
GROUPS = ("fails once", "fails always", "dies once", "speed", "crash", "footprint", "lines")
NAMES = {
    "thread": "thread and queue",
    "pykka": "Pykka",
    "ours": "ours, a thread",
    "thespian": "Thespian",
    "ours, process": "ours, a process",
}
BASELINES = {"ours": "pykka", "thread": "pykka", "ours, process": "thespian"}
MINE = ("ours", "ours, process")
IN_PROCESSES = ("thespian", "ours, process")


class Figure(NamedTuple):
    """One thing that is measured. `budget`: for ours."""

    key: str
    unit: str
    more_is_better: bool
    budget: str | None = None


FIGURES = (
    Figure("fails once", "handled", True, "1,000"),
    Figure("fails always", "handled", True, "999"),
    Figure("dies once", "handled", True, "1,000"),
    Figure("tell", "messages/s", True, ">= 1x"),
    Figure("ask", "us", False),
    Figure("next delivery", "us", False),
    Figure("KiB", "an actor", False),
    Figure("threads", "an actor", False),
    Figure("lines", "of code", False),
)


def measured(name: str) -> dict[str, float]:
    """The figures of one of them; without those of a group that did not end, unless it is ours."""
    groups = [each for each in GROUPS if each != "dies once" or name in IN_PROCESSES]
    return {key: value for group in groups for key, value in _measured(name, group).items()}


def _measured(name: str, group: str) -> dict[str, float]:
    from _libraries import family  # not before it is known that the libraries are there

    command = [sys.executable, str(Path(__file__).with_name("_libraries.py")), name, group, str(os.getpid())]
    # files and no pipes: what Thespian leaves running would keep a pipe open
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=said, stderr=errors)
        status = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(WAIT)
        for pid in family(process.pid) if status is None else ():  # Thespian's go their own ways
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        said.seek(0)
        errors.seek(0)
        if status == 0:
            found: dict[str, float] = json.loads(said.read().splitlines()[-1])
            return found
        if name in MINE:
            raise RuntimeError(f"{name}, {group}: status {status}: {errors.read()[-2000:]}")
        return {}


def row(figure: Figure, name: str, found: dict[str, dict[str, float]]) -> Row:
    """The figure of one of them beside that of its baseline."""
    value = found[name][figure.key]
    budget = figure.budget if name in MINE else None
    baseline = found.get(BASELINES.get(name, ""), {}).get(figure.key)
    if budget and budget.endswith("x") and baseline is None:
        budget = None  # the other one did not end
    ratio = None
    if baseline and value:
        ratio = value / baseline if figure.more_is_better else baseline / value
    return Row(f"{figure.key}: {NAMES[name]}", value, figure.unit, budget, baseline, ratio)


def rows() -> list[Row]:
    """All figures, those of one thing side by side."""
    found = {name: measured(name) for name in NAMES}
    return [row(figure, name, found) for figure in FIGURES for name in NAMES if figure.key in found[name]]


if __name__ == "__main__":
    if find_spec("thespian") is None:
        skip("Thespian is not installed: pip install '.[hosts]'")
    show("Actor libraries", rows())
