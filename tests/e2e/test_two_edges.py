"""Two edge nodes on one machine: a data directory and an MQTT port each, and nothing between them."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.test_pods import manifest, phase, serves
from tests.support.cloud_and_edge import CloudAndEdge, ProcessUnderTest
from tests.support.plugins.ports import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl


def bound(name: str, node: str, port: int) -> str:
    return manifest(name, port, sys.executable).replace("spec:\n", f"spec:\n  nodeName: {node}\n", 1)


def test_two_nodes_of_one_machine_do_not_disturb_each_other(env: CloudAndEdge) -> None:
    mqtt, first, second = free_ports(3)
    other = ProcessUnderTest(
        "kubeedge_actors.edge",
        env.edge.data_dir.parent / "edge-2",
        *("--name", "edge-2", "--cloud", f"https://127.0.0.1:{env.https}", "--hub", f"wss://127.0.0.1:{env.hub}"),
        *("--token-file", str(env.cloud.data_dir / "token"), "--mqtt-port", str(mqtt), "--runtime", "process"),
    )
    other.start()
    try:
        env.apply(bound("one", "edge-1", first))
        eventually(lambda: "edge-2" in env.out("get", "nodes", "-o", "name"), "edge-2 is registered")
        env.apply(bound("two", "edge-2", second))
        eventually(lambda: serves(first) and serves(second), "both pods serve")
        env.edge.kill()
        env.edge.start()
        env.wait_ready()
        assert serves(first), "adopted"
        assert serves(second)
        assert (phase(env, "one"), phase(env, "two")) == ("Running", "Running")
        assert env.kubectl("delete", "pod", "two", "--grace-period=1", "--timeout=50s").returncode == 0
        assert serves(first)
        assert not serves(second)
        assert other.stop() == 0
        assert other.log.read_text(encoding="utf-8").splitlines()[-1] == "edge: ended by SIGTERM"
    finally:
        if other.process is not None and other.process.poll() is None:
            other.stop()
