"""kill -9 of the edge under load; `benchmarks/chaos_twin.py` says what is checked, and does it a hundred times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import WHOLE_PROGRAM

pytestmark = pytest.mark.kubectl
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "chaos_twin.py"
KILLS = 8


def test_no_acknowledged_update_is_lost_and_cloud_and_edge_are_equal_in_the_end() -> None:
    command = (sys.executable, str(SCRIPT), "--kills", str(KILLS), "--seed", "7", "--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=WHOLE_PROGRAM, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = {row["name"]: row["value"] for row in json.loads(done.stdout)}
    assert rows["kill -9 of the edge under load"] == KILLS
    assert rows["updates acknowledged"] > 1_000
