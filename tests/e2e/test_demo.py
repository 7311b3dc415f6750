"""The main job, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys

from tests.support.waiting import WHOLE_PROGRAM


def test_the_demo_works_from_start_to_end() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "kubeedge_actors.demo", "--exit-after", "0"),
        capture_output=True,
        text=True,
        timeout=WHOLE_PROGRAM,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything worked" in done.stdout
    for line in ("kubectl --kubeconfig", "mosquitto_pub"):
        assert line in done.stdout
