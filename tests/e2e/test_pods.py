"""A pod from kubectl to an edge node and back."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request

import pytest

from kubeedge_actors.demo_stage import running_pids
from tests.e2e.sides import World
from tests.support.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl
SERVER = (
    "import http.server as h, os; h.test(h.SimpleHTTPRequestHandler, port=int(os.environ['PORT']), bind='127.0.0.1')"
)


def manifest(name: str, port: int, python: str) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
  - name: web
    image: python
    command: ["{python}", "-c", "{SERVER}"]
    env: [{{name: PORT, value: "{port}"}}]
"""


def phase(world: World, name: str) -> str:
    return world.out("get", "pod", name, "-o", "jsonpath={.status.phase}")


def serves(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def running(world: World, python: str) -> tuple[World, int]:
    (port,) = free_ports(1)
    world.apply(manifest("web", port, python))
    eventually(lambda: phase(world, "web") == "Running", "pod Running")
    eventually(lambda: serves(port), "the pod serves")
    return world, port


@pytest.fixture
def python() -> str:
    return sys.executable


def test_a_pod_of_kubectl_runs_serves_and_goes(running: tuple[World, int]) -> None:
    world, port = running
    assert "web" in world.out("get", "pods", "-o", "wide")
    assert "Running" in world.out("describe", "pod", "web")
    deleted = world.kubectl("delete", "pod", "web", "--grace-period=2", "--timeout=50s")
    assert deleted.returncode == 0, deleted.stderr
    assert running_pids(SERVER, port) == []
    assert "not found" in world.kubectl("get", "pod", "web").stderr


def test_a_killed_edge_adopts_its_pods_and_does_not_start_them_twice(running: tuple[World, int]) -> None:
    world, port = running
    before = running_pids(SERVER, port)
    assert len(before) == 1
    world.edge.kill()
    assert serves(port), "a pod outlives the edge process"
    world.edge.start()
    world.wait_ready()
    assert running_pids(SERVER, port) == before
    os.kill(before[0], signal.SIGKILL)
    after = eventually(lambda: [p for p in running_pids(SERVER, port) if p not in before], "it is restarted")
    assert len(after) == 1


def test_a_killed_cloud_is_rejoined_and_loses_no_pod(running: tuple[World, int]) -> None:
    world, port = running
    before = running_pids(SERVER, port)
    world.cloud.kill()
    assert serves(port)
    world.cloud.start()
    world.wait_ready()
    assert phase(world, "web") == "Running"
    assert running_pids(SERVER, port) == before


def test_a_malformed_manifest_is_refused_with_one_sentence(world: World) -> None:
    answer = world.kubectl(
        "apply", "-f", "-", stdin="apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: 7}\n"
    )
    assert answer.returncode != 0
    assert "containers" in answer.stderr
    assert "Traceback" not in answer.stderr + world.cloud.log.read_text(encoding="utf-8")


def test_a_container_without_a_command_says_why_it_does_not_run(world: World) -> None:
    world.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: busybox}]}\n")
    eventually(lambda: "command" in world.out("get", "pod", "p", "-o", "yaml").split("status:")[-1], "a reason")
