"""Two edge nodes on one machine: a data directory and an MQTT port each, and nothing between them."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.sides import Side, World
from tests.e2e.test_pods import manifest, phase, serves
from tests.support.ports import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl


def bound(name: str, node: str, port: int) -> str:
    return manifest(name, port, sys.executable).replace("spec:\n", f"spec:\n  nodeName: {node}\n", 1)


def test_two_nodes_of_one_machine_do_not_disturb_each_other(world: World) -> None:
    mqtt, first, second = free_ports(3)
    other = Side(
        "kubeedge_actors.edge",
        world.edge.data_dir.parent / "edge-2",
        *("--name", "edge-2", "--cloud", f"https://127.0.0.1:{world.https}", "--hub", f"wss://127.0.0.1:{world.hub}"),
        *("--token-file", str(world.cloud.data_dir / "token"), "--mqtt-port", str(mqtt), "--runtime", "process"),
    )
    other.start()
    try:
        world.apply(bound("one", "edge-1", first))
        eventually(lambda: "edge-2" in world.out("get", "nodes", "-o", "name"), "edge-2 is registered")
        world.apply(bound("two", "edge-2", second))
        eventually(lambda: serves(first) and serves(second), "both pods serve")
        world.edge.kill()
        world.edge.start()
        world.wait_ready()
        assert serves(first), "adopted"
        assert serves(second)
        assert (phase(world, "one"), phase(world, "two")) == ("Running", "Running")
        assert world.kubectl("delete", "pod", "two", "--grace-period=1", "--timeout=50s").returncode == 0
        assert serves(first)
        assert not serves(second)
        assert other.stop() == 0
        assert other.log.read_text(encoding="utf-8").splitlines()[-1] == "edge: ended by SIGTERM"
    finally:
        if other.process is not None and other.process.poll() is None:
            other.stop()
