"""Both sides killed and the link cut under load; `benchmarks/chaos.py` says what is checked, and does it at full length."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import WHOLE_PROGRAM

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


def test_nothing_acknowledged_is_lost_and_both_sides_are_equal_in_the_end() -> None:
    extent = ("--up", "2000", "--down", "400", "--cuts", "4", "--kills", "2")
    done = subprocess.run(
        (sys.executable, str(SCRIPT), *extent, "--json"),
        capture_output=True,
        text=True,
        timeout=WHOLE_PROGRAM,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = {row["name"]: row["value"] for row in json.loads(done.stdout)}
    assert rows["messages up, acknowledged by the broker"] == 2_000
    assert rows["lost"] == rows["objects that differ in the end"] == 0
