"""A cloud or an edge as a process, for benchmarks that kill them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from kubeedge_actors.demo_stage import end, first_line


class Side:
    """One of the two commands with its data in `folder`; its log is beside it."""

    def __init__(self, command: str, folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.folder, self._log = folder, folder.with_suffix(".log")
        self._command = (sys.executable, "-m", f"kubeedge_actors.{command}", "--data-dir", str(folder), *options)
        self._environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Start it; seconds until it serves."""
        begin = time.perf_counter()
        with self._log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment
            )
        line = first_line(self.process.stdout, 60)
        assert line.startswith("ready"), self._log.read_text(encoding="utf-8")[-2000:]
        return time.perf_counter() - begin

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            end(self.process)
