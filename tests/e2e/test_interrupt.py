"""Ctrl+C in a terminal goes to a whole process group; the commands and their helpers end without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubeedge_actors.demo.environment import read_first_line
from tests.support.plugins.ports import free_ports
from tests.support.processes import child
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize("side", ["cloud", "edge"])
def test_an_interrupt_from_the_terminal_ends_a_side_with_status_0_and_no_traceback(tmp_path: Path, side: str) -> None:
    ports = [str(port) for port in free_ports(3)]
    options = {
        "cloud": ["--api-port", ports[0], "--hub-port", ports[1], "--https-port", ports[2]],
        "edge": ["--runtime", "process", "--mqtt-port", ports[0], "--log-level", "error"],
    }
    command = [sys.executable, "-m", f"kubeedge_actors.{side}", "--data-dir", str(tmp_path / side), *options[side]]
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert read_first_line(process.stdout, PATIENCE).startswith("ready")
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=PATIENCE)[1]
    assert (process.returncode, said.splitlines()[-1]) == (0, f"{side}: ended by SIGINT")
    assert "Traceback" not in said
