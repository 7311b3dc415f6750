"""kubectl debug: a container in the midst of a pod that runs, on processes and on Docker."""

from __future__ import annotations

import re

import pytest

from tests.e2e.test_docker_pod import MANIFEST
from tests.e2e.test_exec import kubectl_terminal
from tests.e2e.test_logs import COUNTING, manifest
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.docker_engine import DockerEngine
from tests.support.plugins.ports import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
STATE = "jsonpath={.status.ephemeralContainerStatuses[0].state}"


def test_a_process_is_put_beside_a_pod_that_runs_and_told_of(shared_env: CloudAndEdge) -> None:
    shared_env.apply(manifest("talk", COUNTING))
    eventually(lambda: "1/1" in shared_env.out("get", "pod", "talk"), "the pod runs")
    begun = shared_env.kubectl(
        "debug", "talk", "--image=shell", "-c", "look", "--", "/bin/sh", "-c", "echo looking; exit 4"
    )
    assert begun.returncode == 0, begun.stderr
    eventually(lambda: '"exitCode":4' in shared_env.out("get", "pod", "talk", "-o", STATE), "it has ended, once")
    assert shared_env.out("logs", "talk", "-c", "look") == "looking"
    assert shared_env.out("get", "pod", "talk").splitlines()[1].split()[1:4] == ["1/1", "Running", "0"]
    events = shared_env.out("get", "events", "--field-selector=involvedObject.fieldPath=spec.ephemeralContainers{look}")
    assert "Started" in events
    path = '[{"op": "remove", "path": "/spec/ephemeralContainers"}]'
    refused = shared_env.kubectl("patch", "pod", "talk", "--subresource=ephemeralcontainers", "--type=json", "-p", path)
    assert refused.returncode == 1 and "may not be removed" in refused.stderr


@pytest.mark.docker
def test_a_container_is_put_into_the_network_and_among_the_processes_of_another(
    shared_docker_world: CloudAndEdge, docker_engine: DockerEngine
) -> None:
    (port,) = free_ports(1)
    shared_docker_world.apply(MANIFEST.format(image=docker_engine.image, port=port))
    eventually(lambda: "1/1" in shared_docker_world.out("get", "pod", "web"), "the pod runs")
    script = "ps; wget -qO- 127.0.0.1:8080; sleep 1000"
    target = ("--target=web", f"--image={docker_engine.image}", "--image-pull-policy=IfNotPresent")
    begun = shared_docker_world.kubectl("debug", "web", *target, "-c", "look", "--", "sh", "-c", script)
    assert begun.returncode == 0, begun.stderr
    eventually(lambda: "hello" in shared_docker_world.out("logs", "web", "-c", "look"), "its output")
    seen = shared_docker_world.out("logs", "web", "-c", "look")
    assert "httpd -f" in seen, "the processes of the target"
    terminal = kubectl_terminal(shared_docker_world, "debug", "-it", "web", *target, "--", "sh")
    eventually(
        lambda: "running" in shared_docker_world.out("get", "pod", "web", "-o", STATE.replace("[0]", "[1]")), "a shell"
    )
    terminal.type("echo $((40+2)); exit")
    terminal.await_said(b"42")
    terminal.close()
    assert shared_docker_world.out("get", "pod", "web").splitlines()[1].split()[1:4] == ["1/1", "Running", "0"]
    image = (f"--image={docker_engine.image}", "--image-pull-policy=IfNotPresent")
    begun = shared_docker_world.kubectl("debug", "node/edge-1", *image, "--", "ls", "/host/etc/hostname")
    name = re.search(r"node-debugger-\S+", begun.stdout + begun.stderr)
    assert name is not None, begun.stderr
    eventually(
        lambda: shared_docker_world.out("logs", name[0]) == "/host/etc/hostname", "the whole machine below /host"
    )
