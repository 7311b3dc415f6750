"""A cloud and an edge as real processes, for benchmarks that look at them from outside, kill them, or both."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from kubeedge_actors.control import SOCKET
from kubeedge_actors.demo.environment import free_ports, read_first_line, terminate

PATIENCE = 60.0
TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Process:
    """One of the two commands with its data in `folder`; its log is beside it. `program`: what runs in place of the command.

    It may be killed and started again; as a context it runs inside of it.
    """

    def __init__(
        self,
        command: str,
        folder: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (),
    ) -> None:
        self.folder, self.log = folder, folder.with_suffix(".log")
        self.seconds = 0.0
        """From its last start to its ready line."""
        self.options = options
        program = program or ("-m", f"kubeedge_actors.{command}")
        self._command = (sys.executable, *program, "--data-dir", str(folder), *options)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Its process, which has been started."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start it; seconds until it is ready. RuntimeError with the end of its log when it does not become ready."""
        begin = time.perf_counter()
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment
            )
        if not read_first_line(self._process.stdout, PATIENCE).startswith("ready"):
            self.stop()
            said = self.log.read_text(encoding="utf-8")[-2000:]
            raise RuntimeError(f"{' '.join(self._command[1:])} did not become ready: {said}")
        self.seconds = time.perf_counter() - begin
        return self.seconds

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, if it runs, and wait."""
        if self._process is not None and self._process.poll() is None:
            terminate(self._process)

    def memory(self) -> dict[str, float]:
        """Rss, Pss and Private_Dirty in MiB."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        wanted = ("Rss", "Pss", "Private_Dirty")
        return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.split(":")[0] in wanted}

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        return cpu_of(self.pid)

    def tree(self) -> dict[str, Any]:
        """What the control socket tells."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.folder / SOCKET))
            client.sendall(b'{"cmd":"tree"}\n')
            with client.makefile() as answers:
                answer: dict[str, Any] = json.loads(answers.readline())["ok"]
            return answer

    def __enter__(self) -> Process:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Pair:
    """Both, joined and settled: the edge has reported itself and been answered. `cloud`: a program in place of the cloud's."""

    def __init__(self, folder: Path, cloud: Sequence[str] = ()) -> None:
        api, hub, https, mqtt = map(str, free_ports(4))
        ports = ("--api-port", api, "--hub-port", hub, "--https-port", https)
        self.cloud = Process("cloud", folder / "cloud", *ports, program=cloud)
        address = ("--cloud", f"https://127.0.0.1:{https}", "--hub", f"wss://127.0.0.1:{hub}")
        token = ("--token-file", str(folder / "cloud" / "token"))
        local = ("--name", "edge-1", "--mqtt-port", mqtt, "--runtime", "process")
        self.edge = Process("edge", folder / "edge", *local, *address, *token)

    def __enter__(self) -> Pair:
        try:
            self.cloud.start()
            self.edge.start()
            deadline = time.monotonic() + PATIENCE
            while "edgecontroller/nodepatch" not in self.edge.tree()["traffic"]["down"]:
                if time.monotonic() > deadline:
                    raise RuntimeError("the edge did not join")
                time.sleep(0.1)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self.edge.stop()
        self.cloud.stop()
