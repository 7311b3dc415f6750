"""A fleet of simulated nodes against the real CloudHub: connecting, memory, fan-out, a storm of reconnects.

    python benchmarks/hub.py [--nodes 200] [--json]

Hub and fleet are two processes on this machine, TLS with client certificates between them. The baseline is the
original's figure with 1,000 nodes, recorded on another 2-core machine (its cloudcore beside API server, etcd and
client): compare with care.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _rows import Row, show

from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.worker_protocol import execute
from kubeedge_actors.kubernetes.certificates.info import node_subject

TAKES = 60
ROUNDS = 10
KIB = 1024
SOURCE = "KubeEdge's cloudcore with 1,000 nodes, 2 cores, beside API server, etcd and client"
ORIGINAL = {
    "connects": 65.0,
    "cpu": 8.3,
    "p50": 101.0,
    "p99": 595.0,
    "memory": 220.0,
    "traffic": 253.0,
    "frames": 3100.0,
    "last": 0.32,
    "push50": 187.0,
    "push99": 320.0,
}


class Child:
    """A process that obeys orders, one JSON a line."""

    def __init__(self, script: str, **first: Any) -> None:
        command = [sys.executable, str(Path(__file__).with_name(script))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = 0
        self.script = script
        self.tell(first)

    def tell(self, order: dict[str, Any]) -> None:
        """Send one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def heard(self) -> dict[str, Any]:
        """The next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.script} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send an order and wait for its answer."""
        self.tell({"do": do, **arguments})
        return self.heard()

    def kill(self) -> None:
        """As kill -9 does."""
        self.process.kill()
        self.process.communicate()


def certificates(folder: Path, names: list[str]) -> None:
    """A CA, a server and all nodes."""
    authority = FileAuthority(folder, execute)
    authority.server_certificate()
    for name in names:
        authority.client_certificate(name, node_subject(name))


def hub_process(folder: str, port: int, rate: float) -> Child:
    """A hub that serves."""
    child = Child("_hub_process.py", port=port, folder=folder, rate=rate)
    child.port = child.heard()["port"]
    return child


def connecting(hub: Child, fleet: Child, nodes: int) -> list[Row]:
    """Everybody joins, 50 at once."""
    before = hub.ask("state")
    joined = fleet.ask("join_all")
    time.sleep(1.0)
    after = hub.ask("state")
    assert after["sessions"] == nodes
    cpu = (after["cpu"] - before["cpu"]) / nodes * 1000
    memory = (after["rss"] - before["rss"]) / nodes / KIB
    rate = nodes / joined["seconds"]
    return [
        _more(f"connects ({nodes} nodes, 50 at once)", rate, "/s", "connects"),
        _less("CPU of the hub for a connect", cpu, "ms", "cpu"),
        _less("connect until the first answer, p50", joined["p50"] * 1000, "ms", "p50"),
        _less("connect until the first answer, p99", joined["p99"] * 1000, "ms", "p99"),
        _less("memory of a connected node", memory, "KiB", "memory", "<= 120 KiB"),
        Row("memory of the hub with all nodes", after["rss"] / KIB / KIB, "MiB"),
    ]


def fan_out(hub: Child, fleet: Child, names: list[str], empty: int) -> list[Row]:
    """One object changes, all nodes get it; several times, the middle one counts."""
    results = []
    for version in range(1, ROUNDS + 1):
        began = hub.ask("fan_out", names=names, version=version)["began"]
        seen = fleet.ask("wait_pushes", count=len(names))
        assert seen["count"] == len(names)
        results.append((seen["last"] - began, seen["p50"], seen["p99"]))
    last, p50, p99 = sorted(results)[len(results) // 2]
    while (state := hub.ask("state"))["delivered"] < ROUNDS * len(names):
        time.sleep(0.01)
    return [
        _less("memory of a node after that", (state["rss"] - empty) / len(names) / KIB, "KiB", "traffic", "<= 120 KiB"),
        _more("fan-out of one update to all", len(names) / last, "frames/s", "frames", ">= 6,000/s"),
        _less("fan-out, at the last node after", last, "s", "last"),
        _less("fan-out, p50", p50 * 1000, "ms", "push50"),
        _less("fan-out, p99", p99 * 1000, "ms", "push99"),
    ]


def storm(hub: Child, fleet: Child, nodes: int, folder: str, rate: float) -> tuple[Child, list[Row]]:
    """The hub is killed and started again: how long until everybody is back."""
    hub.kill()
    hub = hub_process(folder, hub.port, rate)
    began = time.time()
    back = fleet.ask("wait_here")
    assert back["here"] == nodes
    return hub, [
        Row("after a kill of the hub, all are back in", back["at"] - began, "s", "<= 60 s for 2,000"),
        Row("... a node after its loss, p50", back["p50"], "s"),
        Row("... a node after its loss, p99", back["p99"], "s"),
        Row("... how often nodes were told to come later", float(back["refusals"]), ""),
        Row("... the same node at most", float(back["most"]), "times"),
    ]


def _more(name: str, value: float, unit: str, original: str, budget: str | None = None) -> Row:
    baseline = ORIGINAL[original]
    return Row(name, value, unit, budget, baseline, value / baseline, SOURCE)


def _less(name: str, value: float, unit: str, original: str, budget: str | None = None) -> Row:
    baseline = ORIGINAL[original]
    return Row(name, value, unit, budget, baseline, baseline / value, SOURCE)


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=200, help="how many nodes (default: %(default)s, up to 2,000)")
    parser.add_argument(
        "--rate",
        type=float,
        default=200.0,
        help="joins a second that the hub admits in the storm (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = [f"node-{number}" for number in range(options.nodes)]
    with tempfile.TemporaryDirectory() as folder:
        certificates(Path(folder), names)
        hub = hub_process(folder, 0, rate=1e6)
        fleet = Child("_fleet.py", port=hub.port, folder=folder, names=names)
        try:
            empty = hub.ask("state")["rss"]
            rows = [*connecting(hub, fleet, len(names)), *fan_out(hub, fleet, names, empty)]
            hub, more = storm(hub, fleet, len(names), folder, options.rate)
            show("CloudHub with simulated nodes", [*rows, *more])
        finally:
            fleet.kill()
            hub.kill()


if __name__ == "__main__":
    main()
