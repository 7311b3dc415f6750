"""Runs iptables on the table nat."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from kubeedge_actors.errors import DriverError

TIMEOUT = 20.0
REFUSED = 1
"""Its exit status for: there is no such rule, no such chain."""
SYSTEM = "/usr/sbin:/sbin"
"""Where it is, and not every service looks."""


def run_iptables(arguments: Sequence[str], program: str = "iptables") -> bool:
    """`iptables -w -t nat ARGUMENTS`; False when it says no. DriverError: it can not be run, or has no right to."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM}")
    if path is None:
        raise DriverError(f"there is no {program} on this machine")
    command = (path, "-w", "5", "-t", "nat", *arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriverError(f"{program} can not be run: {error}") from error
    if done.returncode not in (0, REFUSED):
        raise DriverError(f"{program} failed: {done.stderr.strip()}")
    return done.returncode == 0
