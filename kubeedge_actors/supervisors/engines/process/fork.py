"""Forks worker processes from one that has loaded what they need: a few milliseconds each. All exit with one death pipe."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection
from typing import Any

from kubeedge_actors.supervisors.engines.process.worker import worker_main

DESCRIPTORS = 1024
"""So many a process that starts others may have open; they are not for those."""
_KEEP = "KUBEEDGE_ACTORS_LIFELINE"


def exit_when_closed(pipe: Collection[int], close_in_child: Collection[int]) -> None:
    """From now on each forked child exits when the death pipe closes.

    That is when the first descriptor of `lifeline` reaches EOF. A child inherits both descriptors of `lifeline`, and
    closes those in `close_in_child`.
    """
    keep = tuple(pipe)
    os.environ[_KEEP] = ",".join(map(str, keep))
    to_close = list(close_in_child)

    def watch() -> None:
        while to_close:  # once: what is forked from a forked one has none of them
            os.close(to_close.pop())
        threading.Thread(target=_exit_with, args=(keep[0],), name="lifeline", daemon=True).start()

    os.register_at_fork(after_in_child=watch)


def _exit_with(lifeline: int) -> None:
    while os.read(lifeline, 1):
        continue
    os._exit(0)


def fork_actor(call: dict[str, Any]) -> None:
    """Fork the worker process of one actor; it connects back by itself."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here asks how they ended
    if os.fork():
        return
    try:
        _make_a_process_of_its_own()
        worker_main(**call)
    finally:
        os._exit(1)


def _make_a_process_of_its_own() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    keep = {int(descriptor) for descriptor in os.environ[_KEEP].split(",")}
    for descriptor in range(3, DESCRIPTORS):
        if descriptor not in keep:
            try:
                os.close(descriptor)
            except OSError:  # it was not open
                continue
