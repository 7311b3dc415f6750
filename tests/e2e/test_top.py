"""kubectl top: what nodes and pods use, through the stream tunnel."""

from __future__ import annotations

import json

import pytest

from tests.e2e.test_logs import manifest
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
BUSY, IDLE = "while true; do :; done", "sleep 1000"


def cores(text: str) -> int:
    """Thousandths of a core, as kubectl prints them."""
    return int(text.removesuffix("m"))


def test_kubectl_tells_what_pods_containers_and_nodes_use(shared_env: CloudAndEdge) -> None:
    side = f'\n  - {{name: side, image: shell, command: ["/bin/sh", "-c", "{IDLE}"]}}'
    shared_env.apply(manifest("busy", BUSY, side))
    shared_env.apply(manifest("idle", IDLE).replace("{name: idle}", "{name: idle, labels: {quiet: 'yes'}}"))
    eventually(
        lambda: "2/2" in shared_env.out("get", "pod", "busy") and "1/1" in shared_env.out("get", "pod", "idle"),
        "both run",
    )
    eventually(
        lambda: "busy" in shared_env.out("top", "pod") and "idle" in shared_env.out("top", "pod"), "both are measured"
    )
    heading, first, second = shared_env.out("top", "pod", "--sort-by=cpu").splitlines()
    assert heading.split() == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert (first.split()[0], second.split()[0]) == ("busy", "idle")
    assert cores(first.split()[1]) > 100 > cores(second.split()[1])
    rows = [line.split() for line in shared_env.out("top", "pod", "--containers", "--no-headers").splitlines()]
    assert {(pod, container) for pod, container, *_ in rows} == {("busy", "main"), ("busy", "side"), ("idle", "main")}
    assert [
        line.split()[0] for line in shared_env.out("top", "pod", "-l", "quiet=yes", "--no-headers").splitlines()
    ] == ["idle"]
    assert "NotFound" in shared_env.kubectl("top", "pod", "nope").stderr
    name, used, percent, memory, _ = shared_env.out("top", "node", "--no-headers").split()
    assert name == "edge-1" and cores(used) > 100 and percent.endswith("%") and memory.endswith("Mi")
    raw = json.loads(shared_env.out("get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/busy"))
    assert raw["kind"] == "PodMetrics" and [each["name"] for each in raw["containers"]] == ["main", "side"]
