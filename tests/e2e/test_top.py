"""kubectl top: what nodes and pods use, through the stream tunnel."""

from __future__ import annotations

import json

import pytest

from tests.e2e.test_logs import manifest
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.metrics_server import decode_batch
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
BUSY, IDLE = "while true; do :; done", "sleep 1000"


def cores(text: str) -> int:
    """Thousandths of a core, as kubectl prints them."""
    return int(text.removesuffix("m"))


def check_what_a_kubelet_answers(env: CloudAndEdge) -> None:
    """Through the embedded API's nodes/proxy, while the pods busy and idle run."""

    def raw(path: str) -> str:
        return env.out("get", "--raw", f"/api/v1/nodes/edge-1/proxy/{path}")

    assert raw("healthz") == "ok"
    phases = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in json.loads(raw("pods"))["items"]}
    assert phases.items() >= {"busy": "Running", "idle": "Running"}.items(), "others may be about to end"
    assert json.loads(raw("configz"))["kubeletconfig"]["maxPods"] == 110
    assert 'kubelet_node_name{node="edge-1"} 1' in raw("metrics").splitlines()
    assert json.loads(raw("stats/summary"))["node"]["nodeName"] == "edge-1"
    node, pods = decode_batch(raw("metrics/resource").encode())
    assert node is not None and pods.keys() >= {("default", "busy"), ("default", "idle")}
    assert raw("containerLogs/default/busy/side?tailLines=1") == "aside"
    for node_name, path, why in (("edge-1", "run/x", "does not serve /run/x"), ("edge-2", "pods", "not found")):
        refused = env.kubectl("get", "--raw", f"/api/v1/nodes/{node_name}/proxy/{path}")
        assert refused.returncode == 1 and why in refused.stderr


def test_kubectl_tells_what_pods_containers_and_nodes_use(shared_env: CloudAndEdge) -> None:
    side = f'\n  - {{name: side, image: shell, command: ["/bin/sh", "-c", "echo aside; {IDLE}"]}}'
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
    check_what_a_kubelet_answers(shared_env)
    raw = json.loads(shared_env.out("get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/busy"))
    assert raw["kind"] == "PodMetrics" and [each["name"] for each in raw["containers"]] == ["main", "side"]
