"""Cloud and edge as processes on free ports, and stock clients to try them with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from kubeedge_actors.demo.environment import read_first_line, terminate
from tests.support import fork_server
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually


class ProcessUnderTest:
    """One of the two commands as a process."""

    def __init__(self, module: str, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self._command = (sys.executable, "-m", module, "--data-dir", str(data_dir), *options)
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start it; the ready line. One that is not ready in time is ended."""
        with self.log.open("a", encoding="utf-8") as log:
            self.process = self._start(log)
        line = read_first_line(self.process.stdout, PATIENCE)
        if not line.startswith("ready"):
            self.terminate()
            raise AssertionError(self.log.read_text(encoding="utf-8")[-3000:])
        return line

    def _start(self, log: TextIO) -> subprocess.Popen[str]:
        if fork_server.STARTED and self._command[1] == "-m":
            return fork_server.STARTED[0].start(self._command[2], self._command[3:], log.fileno())
        return subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def terminate(self) -> None:
        """SIGTERM, if it runs."""
        if self.runs:
            self.stop()

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        terminate(self.process)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        terminate(self.process, PATIENCE)
        return self.process.returncode


@contextmanager
def ending(*sides: ProcessUnderTest) -> Iterator[None]:
    """End what runs of these, in this order, after the block, whatever happens in it or to one of them."""
    with ExitStack() as stack:
        for side in reversed(sides):
            stack.callback(side.terminate)
        yield


class CloudAndEdge:
    """A cloud, an edge node, and kubectl."""

    def __init__(self, folder: Path, *edge_options: str, cloud_options: tuple[str, ...] = ()) -> None:
        self.api, self.hub, self.https, self.mqtt, self.tunnel = free_ports(5)
        ports = (
            "--api-port",
            self.api,
            "--hub-port",
            self.hub,
            "--https-port",
            self.https,
            "--tunnel-port",
            self.tunnel,
        )
        self.cloud = ProcessUnderTest("kubeedge_actors.cloud", folder / "cloud", *map(str, ports), *cloud_options)
        self.edge = ProcessUnderTest(
            "kubeedge_actors.edge",
            folder / "edge",
            *("--name", "edge-1", "--cloud", f"https://127.0.0.1:{self.https}", "--hub", f"wss://127.0.0.1:{self.hub}"),
            *("--tunnel", f"wss://127.0.0.1:{self.tunnel}", "--node-ip", "127.0.0.1"),
            *("--token-file", str(folder / "cloud" / "token"), "--mqtt-port", str(self.mqtt)),
            *edge_options,
        )
        self._home = folder / "home"
        self._home.mkdir()

    def start(self) -> None:
        """Both, until the node is Ready."""
        self.cloud.start()
        self.edge.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Until kubectl says that the node is Ready."""
        jsonpath = '{.status.conditions[?(@.type=="Ready")].status}'
        eventually(lambda: self.out("get", "node", "edge-1", "-o", f"jsonpath={jsonpath}") == "True", "node Ready")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        return subprocess.run(
            ("kubectl", "--kubeconfig", str(self.cloud.data_dir / "kubeconfig"), *arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, "HOME": str(self._home)},
            check=False,
        )

    def out(self, *arguments: str) -> str:
        """What kubectl prints."""
        return self.kubectl(*arguments).stdout.strip()

    def apply(self, manifest: str) -> None:
        """kubectl apply."""
        completed = self.kubectl("apply", "-f", "-", stdin=manifest)
        assert completed.returncode == 0, completed.stderr

    def json(self, *arguments: str) -> dict[str, Any]:
        """What kubectl prints as JSON."""
        completed = self.kubectl(*arguments, "-o", "json")
        assert completed.returncode == 0, completed.stderr
        return dict(json.loads(completed.stdout))

    def stop(self) -> None:
        """End both; pods first, since they outlive the edge. An edge that was killed has to end them all the same."""
        with ending(self.edge, self.cloud):
            if self.cloud.runs:
                if self.edge.process and not self.edge.runs and self.out("get", "pods", "-o", "name"):
                    self.edge.start()
                self.clear()

    def clear(self) -> None:
        """Delete all pods of the namespace `default`, and wait until they have ended."""
        self.kubectl("delete", "pods", "--all", "--grace-period=1", "--timeout=50s")
