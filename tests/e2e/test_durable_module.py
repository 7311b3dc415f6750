"""kill -9 of a whole edge under load: a module with a durable mailbox has counted every acknowledged update, each once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import PATIENCE

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "chaos_durable.py"


def test_a_durable_module_has_counted_every_acknowledged_update_over_kills_of_the_edge() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "4", "--json"], capture_output=True, text=True, timeout=10 * PATIENCE
    )
    assert done.returncode == 0, done.stderr + done.stdout
    acknowledged, wrong, messages = (row["value"] for row in json.loads(done.stdout))
    assert wrong == 0
    assert messages >= acknowledged > 0
