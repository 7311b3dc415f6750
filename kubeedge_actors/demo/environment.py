"""What the demo stands on: the two processes, the cable between them, the administrator's API and the simulated thermometer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec

from kubeedge_actors.drivers.broker.base import InboundMessage
from kubeedge_actors.drivers.broker.external import ExternalBroker
from kubeedge_actors.drivers.cluster.client_config import from_kubeconfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.link.fault_proxy import FaultProxy
from kubeedge_actors.entrypoint import Shutdown
from kubeedge_actors.errors import ClusterError, KubeEdgeActorsError, NotFound
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.wire import constants, topics

PATIENCE = 60.0
POLL = 0.05
CLEANUP = 8.0


class DemoFailed(KubeEdgeActorsError):
    """A step of the demo did not happen."""


class DemoEnvironment:
    """Two processes in one folder, and everything that has to be ended with them."""

    cluster: KubernetesCluster
    proxy: FaultProxy

    def __init__(self, folder: Path, shutdown: Shutdown, runtime: str) -> None:
        self.folder = folder
        self.kubeconfig = folder / "cloud" / "kubeconfig"
        self.closers: list[Callable[[], object]] = []
        self._shutdown = shutdown
        self._runtime = runtime
        self._steps = 0
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._ports = free_ports(5)
        self.mqtt_port, self.web_port = self._ports[3:]

    def print_step(self, text: str, mark: str = "") -> None:
        """Print one step."""
        self._steps += not mark
        print(f"{mark or self._steps:>2} {text}", flush=True)

    def wait_until(self, description: str, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, and say how long that took; DemoFailed after a minute or on Ctrl-C."""
        begin = time.monotonic()
        while not condition():
            if time.monotonic() - begin > PATIENCE:
                raise DemoFailed(f"{description} (waited {PATIENCE:.0f} s)")
            self._shutdown.wait(POLL)
            if self._shutdown.requested:
                raise DemoFailed(description)
            for side, process in self._processes.items():
                if process.poll() is not None:
                    raise DemoFailed(f"{description}: the {side} process ended with status {process.returncode}")
        print(f"   - {description} ({time.monotonic() - begin:.2f} s)", flush=True)

    def start_cloud(self) -> None:
        """Start the cloud, and an administrator's client of its API."""
        api, hub, https = self._ports[:3]
        ports = ("--api-port", str(api), "--hub-port", str(hub), "--https-port", str(https))
        self._spawn("cloud", "kubeedge_actors.cloud", *ports)
        self.cluster = KubernetesCluster(from_kubeconfig(self.kubeconfig))
        self.closers.append(self.cluster.close)
        self.proxy = FaultProxy(("127.0.0.1", hub))
        self.closers.append(self.proxy.close)

    def start_edge(self, name: str) -> None:
        """Start the edge; its link goes through the relay."""
        self._spawn(
            "edge",
            "kubeedge_actors.edge",
            *("--name", name, "--node-ip", "127.0.0.1"),  # what it shows listens on loopback only
            *("--cloud", f"https://127.0.0.1:{self._ports[2]}"),
            *("--hub", f"wss://127.0.0.1:{self.proxy.port}"),
            *("--token-file", str(self.folder / "cloud" / "token")),
            *("--mqtt-port", str(self.mqtt_port)),
            *("--runtime", self._runtime),
        )

    def get(self, kind: ResourceKind, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, or None while there is none."""
        try:
            return self.cluster.get(kind, namespace, name)
        except NotFound:
            return None

    def create(self, kind: ResourceKind, object: dict[str, Any]) -> None:
        """Create it; DemoFailed with the API's words."""
        try:
            self.cluster.create(kind, object["metadata"]["namespace"], object)
        except ClusterError as error:
            raise DemoFailed(f"the API refused {kind.kind} {object['metadata']['name']}: {error}") from error

    def remove(self, kind: ResourceKind, namespace: str, name: str) -> None:
        """Delete it and wait until it is gone: a pod outlives the edge process otherwise."""
        try:
            self.cluster.delete(kind, namespace, name, grace=1)
            deadline = time.monotonic() + CLEANUP
            while self.get(kind, namespace, name) is not None and time.monotonic() < deadline:
                time.sleep(POLL)
        except ClusterError as error:
            print(f"   - {kind.kind} {name} could not be removed: {error}", file=sys.stderr)

    def kill(self, pids: list[int]) -> None:
        """kill -9."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def show_logs(self) -> None:
        """The last lines of both logs, for a step that failed."""
        for log in sorted(self.folder.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            print(f"--- {log}", *lines, sep="\n", file=sys.stderr)

    def close(self) -> None:
        """End everything, the last started first."""
        while self.closers:
            self.closers.pop()()

    def _spawn(self, side: str, module: str, *options: str) -> None:
        log = (self.folder / f"{side}.log").open("w", encoding="utf-8")
        command = (sys.executable, "-m", module, "--data-dir", str(self.folder / side), *options)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        self._processes[side] = process
        self.closers.append(log.close)
        self.closers.append(lambda: terminate(process))
        begin = time.monotonic()
        line = read_first_line(process.stdout, PATIENCE)
        if not line.startswith("ready"):
            raise DemoFailed(f"the {side} process did not get ready")
        print(f"   - {line} ({time.monotonic() - begin:.2f} s)", flush=True)


class Thermometer:
    """A device of its own: publishes its temperature, hears what is desired of it."""

    def __init__(self, port: int, namespace: str, name: str) -> None:
        self.desired: dict[str, str] = {}
        self._device = f"{namespace}/{name}"
        self._results: dict[str, bool] = {}
        self._heard = threading.Condition()
        self._broker = ExternalBroker("127.0.0.1", port)
        self._broker.set_handler(self._arrived)
        self._broker.start()
        for kind in (constants.TWIN_UPDATE_RESULT, constants.TWIN_UPDATE_DELTA):
            self._broker.subscribe(topics.device_topic(self._device, kind))

    def report(self, temperature: int) -> bool:
        """Publish one update and wait for its result; False if it was refused or nobody answered within 2 s."""
        event = f"report-{time.monotonic_ns()}"
        twin = {"temperature": {"actual": {"value": str(temperature)}, "metadata": {"type": "int"}}}
        topic = topics.device_topic(self._device, constants.TWIN_UPDATE)
        self._broker.publish(topic, msgspec.json.encode({"event_id": event, "twin": twin}))
        with self._heard:
            self._heard.wait_for(lambda: event in self._results, timeout=2)
            return self._results.get(event, False)

    def close(self) -> None:
        """Leave the broker."""
        self._broker.close()

    def _arrived(self, message: InboundMessage) -> bool:
        payload = msgspec.json.decode(message.payload)
        with self._heard:
            if message.topic.endswith(constants.TWIN_UPDATE_DELTA):
                self.desired.update(payload["delta"])
            else:
                self._results[payload["event_id"]] = "code" not in payload
            self._heard.notify_all()
        return True


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def read_first_line(stream: IO[str] | None, seconds: float) -> str:
    """The first line a process prints; empty when it ends or stays silent."""
    assert stream is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    return lines[0].rstrip("\n") if lines else ""


def terminate(process: subprocess.Popen[str], seconds: float = 15.0) -> None:
    """SIGTERM, and SIGKILL if that was not enough after `seconds`."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def running_pids(script: str, port: int) -> list[int]:
    """Processes of the sample pod: those that run `script` with PORT set to `port`."""
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # ended meanwhile, or somebody else's
                command = (entry / "cmdline").read_bytes().split(b"\0")
                environment = (entry / "environ").read_bytes().split(b"\0")
                if command[1:3] == [b"-c", script.encode()] and f"PORT={port}".encode() in environment:
                    pids.append(int(entry.name))
    return sorted(pids)
