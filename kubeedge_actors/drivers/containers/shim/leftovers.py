"""What runs on of a container whose shim is gone, and what `kubectl exec` has started in it: found by a variable, and killed.

A child inherits the environment, wherever it goes to. A process that was started with an environment wiped clean is not found.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

MARK = "KUBEEDGE_CONTAINER_ID"
"""The variable that each process of a container has."""
PATIENCE_SECONDS = 5.0
PROC = Path("/proc")


def kill_leftovers(container_id: str) -> None:
    """Kill all that have the mark of the container, again and again, until there is none. Blocks for seconds at most."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found := _marked(container_id):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            log.warning("processes of container %s can not be killed: %s", container_id, list(found.values()))
        _kill(list(found), max(remaining, 0))
        if remaining <= 0:
            return


def _marked(container_id: str) -> dict[int, int]:
    """Handles of processes, with their pids."""
    found = {}
    for name in os.listdir(PROC):
        if name.isdigit() and _has_mark(name, container_id):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                handle = os.pidfd_open(int(name))
                if _has_mark(name, container_id):  # it is still the same
                    found[handle] = int(name)
                else:
                    os.close(handle)
    return found


def _has_mark(pid: str, container_id: str) -> bool:
    try:
        environment = (PROC / pid / "environ").read_bytes()
    except OSError:  # it has ended, or is another user's and none of ours
        return False
    return f"\0{MARK}={container_id}\0".encode() in b"\0" + environment


def _kill(handles: list[int], seconds: float) -> None:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    poll.poll(seconds * 1000)
    for handle in handles:
        os.close(handle)
