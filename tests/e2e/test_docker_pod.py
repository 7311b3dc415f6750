"""A stock busybox pod on a real Docker engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_pods import phase, serves
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.docker_engine import DockerEngine
from tests.support.plugins.ports import free_ports
from tests.support.waiting import eventually

pytestmark = [pytest.mark.kubectl, pytest.mark.docker]
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: {image}
    imagePullPolicy: IfNotPresent
    command: ["sh", "-c", "echo hello > /tmp/index.html && exec httpd -f -p 8080 -h /tmp"]
    ports: [{{containerPort: 8080, hostPort: {port}}}]
"""


@pytest.fixture
def docker_world(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[CloudAndEdge]:
    env = CloudAndEdge(tmp_path, "--runtime", "docker", "--docker-host", docker_engine.address)
    try:
        env.start()
        yield env
    finally:
        env.stop()


def containers(engine: DockerEngine, uid: str) -> list[str]:
    command = ("docker", "-H", engine.address, "ps", "-aq", "--filter", f"label=io.kubernetes.pod.uid={uid}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_a_busybox_pod_runs_serves_survives_the_edge_and_goes(
    docker_world: CloudAndEdge,
    docker_engine: DockerEngine,
) -> None:
    (port,) = free_ports(1)
    docker_world.apply(MANIFEST.format(image=docker_engine.image, port=port))
    eventually(lambda: phase(docker_world, "web") == "Running", "pod Running")
    eventually(lambda: serves(port), "the pod serves")
    uid = docker_world.out("get", "pod", "web", "-o", "jsonpath={.metadata.uid}")
    before = containers(docker_engine, uid)
    assert before
    docker_world.edge.kill()
    docker_world.edge.start()
    docker_world.wait_ready()
    assert containers(docker_engine, uid) == before, "adopted, not started twice"
    deleted = docker_world.kubectl("delete", "pod", "web", "--timeout=50s")
    assert deleted.returncode == 0, deleted.stderr
    eventually(lambda: not containers(docker_engine, uid), "the containers are gone")


def test_logs_are_read_followed_and_dated_and_commands_run(
    docker_world: CloudAndEdge, docker_engine: DockerEngine
) -> None:
    manifest = MANIFEST.format(image=docker_engine.image, port=free_ports(1)[0])
    docker_world.apply(
        manifest.replace("{name: web}", "{name: talk}").replace(
            "echo hello > /tmp/index.html", "echo first; echo second"
        )
    )
    eventually(lambda: docker_world.out("logs", "talk") == "first\nsecond", "a log")
    assert docker_world.out("logs", "talk", "--tail=1") == "second"
    moment, _, text = docker_world.out("logs", "talk", "--tail=1", "--timestamps").partition(" ")
    assert moment.startswith("20") and text == "second"
    assert docker_world.out("logs", "talk", "--since=1h") == "first\nsecond"
    done = docker_world.kubectl("exec", "-i", "talk", "--", "sh", "-c", "cat; echo wrong >&2; exit 5", stdin="said\n")
    assert (done.returncode, done.stdout) == (5, "said\n") and done.stderr.startswith("wrong\n")
    uid = docker_world.out("get", "pod", "talk", "-o", "jsonpath={.metadata.uid}")
    assert containers(docker_engine, uid)
    docker_world.kubectl("delete", "pod", "talk", "--timeout=50s")
    eventually(lambda: not containers(docker_engine, uid), "the containers are gone")
