"""KubeEdge's own trips of hold and release (its tests/e2e/apps/deployment.go, "Test hold pod upgrade feature"), and ours over a kill."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl
HELD = '{.status.phase} {.status.conditions[?(@.type=="HeldUpgrade")].status}'


class Env(CloudAndEdge):
    """With MetaServer."""

    def __init__(self, folder: Path) -> None:
        (self.metaserver,) = free_ports(1)
        super().__init__(folder, "--runtime", "process", "--metaserver", f"127.0.0.1:{self.metaserver}")

    def held_pod(self, name: str) -> None:
        self.apply(f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, annotations: {{edge.kubeedge.io/hold-upgrade: "true"}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: shell, command: ["/bin/sleep", "1000"]}}]
""")

    def state(self, name: str) -> str:
        return self.out("get", "pod", name, "-o", f"jsonpath={HELD}")

    def wait_state(self, name: str, state: str) -> None:
        eventually(lambda: self.state(name) == state, f"{name} is {state}")

    def post(self, resource: str, target: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self.metaserver, timeout=PATIENCE)) as client:
            client.request("POST", f"/api/v1/{resource}/unhold-upgrade", target, {"Content-Type": "text/plain"})
            return client.getresponse().status


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Env]:
    made = Env(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.mark.slow
def test_held_pods_wait_over_a_kill_and_are_released_one_by_one_and_by_node(held: Env) -> None:
    for name in ("a", "b", "c"):
        held.held_pod(name)
    for name in ("a", "b", "c"):
        held.wait_state(name, "Pending True")
    held.edge.kill()
    held.edge.start()
    assert held.post("pods", "default/a") == 200
    held.wait_state("a", "Running False")
    assert {held.state(name) for name in ("b", "c")} == {"Pending True"}
    assert held.post("pods", "default/a") == 400
    assert held.post("nodes", "edge-1") == 200
    for name in ("b", "c"):
        held.wait_state(name, "Running False")
