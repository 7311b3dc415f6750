"""A cloud and one idle, joined edge as real processes, for the benchmarks that look at them from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from kubeedge_actors.demo_stage import free_ports

PATIENCE = 60.0


class Process:
    """One of the two commands; `seconds` from start to its ready line."""

    def __init__(self, data_dir: Path, *command: str) -> None:
        self.data_dir = data_dir
        began = time.perf_counter()
        arguments = [sys.executable, *command, "--data-dir", str(data_dir)]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.seconds = time.perf_counter() - began
        if not line.startswith("ready"):
            sys.exit(f"{' '.join(command)} did not become ready")

    def memory(self) -> dict[str, float]:
        """Rss, Pss and Private_Dirty in MiB."""
        lines = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        wanted = ("Rss", "Pss", "Private_Dirty")
        return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.split(":")[0] in wanted}

    def tree(self) -> dict[str, Any]:
        """What the control socket tells."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.data_dir / "control.sock"))
            client.sendall(b'{"cmd":"tree"}\n')
            answer: dict[str, Any] = json.loads(client.makefile().readline())["ok"]
            return answer

    def end(self) -> None:
        """SIGTERM, and wait."""
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.wait(PATIENCE)


class Pair:
    """Both, joined and settled: the edge has reported itself and been answered."""

    def __init__(self, folder: Path, cloud: tuple[str, ...] = ("-m", "kubeedge_actors.cloud")) -> None:
        api, hub, https, mqtt = map(str, free_ports(4))
        ports = ("--api-port", api, "--hub-port", hub, "--https-port", https)
        self.cloud = Process(folder / "cloud", *cloud, *ports)
        address = ("--cloud", f"https://127.0.0.1:{https}", "--hub", f"wss://127.0.0.1:{hub}")
        token = ("--token-file", str(folder / "cloud" / "token"))
        edge = ("-m", "kubeedge_actors.edge", "--name", "edge-1", "--mqtt-port", mqtt, "--runtime", "process")
        self.edge = Process(folder / "edge", *edge, *address, *token)
        deadline = time.monotonic() + PATIENCE
        while "edgecontroller/nodepatch" not in self.edge.tree()["traffic"]["down"]:
            if time.monotonic() > deadline:
                sys.exit("the edge did not join")
            time.sleep(0.1)

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.edge.end()
        self.cloud.end()
