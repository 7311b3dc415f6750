"""A pod from kubectl to an edge node and back."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request

import pytest

from kubeedge_actors.demo.environment import running_pids
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.plugins.ports import free_ports
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


def phase(env: CloudAndEdge, name: str) -> str:
    return env.out("get", "pod", name, "-o", "jsonpath={.status.phase}")


def serves(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def web(env: CloudAndEdge) -> int:
    """The port at which a new pod serves."""
    (port,) = free_ports(1)
    env.apply(manifest("web", port, sys.executable))
    eventually(lambda: phase(env, "web") == "Running", "pod Running")
    eventually(lambda: serves(port), "the pod serves")
    return port


def test_a_pod_of_kubectl_runs_serves_and_goes(shared_env: CloudAndEdge) -> None:
    env, port = shared_env, web(shared_env)
    assert "web" in env.out("get", "pods", "-o", "wide")
    assert "Running" in env.out("describe", "pod", "web")
    deleted = env.kubectl("delete", "pod", "web", "--grace-period=2", "--timeout=50s")
    assert deleted.returncode == 0, deleted.stderr
    assert running_pids(SERVER, port) == []
    assert "not found" in env.kubectl("get", "pod", "web").stderr


def test_a_killed_edge_adopts_its_pods_and_does_not_start_them_twice(env: CloudAndEdge) -> None:
    port = web(env)
    before = running_pids(SERVER, port)
    assert len(before) == 1
    env.edge.kill()
    assert serves(port), "a pod outlives the edge process"
    env.edge.start()
    env.wait_ready()
    assert running_pids(SERVER, port) == before
    os.kill(before[0], signal.SIGKILL)
    after = eventually(lambda: [p for p in running_pids(SERVER, port) if p not in before], "it is restarted")
    assert len(after) == 1


def test_a_killed_cloud_is_rejoined_and_loses_no_pod(env: CloudAndEdge) -> None:
    port = web(env)
    before = running_pids(SERVER, port)
    env.cloud.kill()
    assert serves(port)
    env.cloud.start()
    env.wait_ready()
    assert phase(env, "web") == "Running"
    assert running_pids(SERVER, port) == before


def test_a_malformed_manifest_is_refused_with_one_sentence(shared_env: CloudAndEdge) -> None:
    answer = shared_env.kubectl(
        "apply", "-f", "-", stdin="apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: 7}\n"
    )
    assert answer.returncode != 0
    assert "containers" in answer.stderr
    assert "Traceback" not in answer.stderr + shared_env.cloud.log.read_text(encoding="utf-8")


def test_a_container_without_a_command_says_why_it_does_not_run(shared_env: CloudAndEdge) -> None:
    shared_env.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: busybox}]}\n"
    )
    eventually(lambda: "command" in shared_env.out("get", "pod", "p", "-o", "yaml").split("status:")[-1], "a reason")
