"""Processes that a test starts and ends."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.waiting import PATIENCE


@contextmanager
def child(command: Sequence[Any], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that is over when the block is, also when that fails: Popen alone would wait for it, for ever."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    """The processes that one has started and that are not over."""
    started = [
        int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()
    ]
    return [each for each in started if _is_running(each)]


def _is_running(pid: int) -> bool:
    with suppress(FileNotFoundError):  # it is gone
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until_ended(pids: Iterable[int]) -> None:
    """Also of processes that are not ours. AssertionError after PATIENCE."""
    for pid in pids:
        with suppress(ProcessLookupError):
            ended = os.pidfd_open(pid)
            try:
                assert select.select([ended], [], [], PATIENCE)[0], f"process {pid} has not ended"
            finally:
                os.close(ended)
