"""A Docker engine that goes away below a running edge, and comes back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_pods import phase
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.docker_engine import DockerEngine
from tests.support.fakes.relay import Relay
from tests.support.waiting import eventually

pytestmark = [pytest.mark.kubectl, pytest.mark.docker]
MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeName: edge-1
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: {image}
    imagePullPolicy: IfNotPresent
    command: ["sleep", "100000"]
    livenessProbe: {{exec: {{command: ["true"]}}, periodSeconds: 1, timeoutSeconds: 30}}
"""
READY = '{range .status.conditions[?(@.type=="Ready")]}{.status} {.reason} {.message}{end}'


@pytest.fixture
def away(tmp_path: Path, relay: Relay) -> Iterator[CloudAndEdge]:
    env = CloudAndEdge(tmp_path, "--runtime", "docker", "--docker-host", relay.address)
    try:
        env.start()
        yield env
    finally:
        relay.start()
        env.stop()


def ready(env: CloudAndEdge) -> str:
    """Status, reason and message of the node's condition Ready."""
    return env.out("get", "node", "edge-1", "-o", f"jsonpath={READY}")


def found(engine: DockerEngine, env: CloudAndEdge, pod: str, *options: str) -> list[str]:
    """The containers of that pod of this very node."""
    labels = (f"io.kubernetes.pod.name={pod}", f"io.kubernetes.node.owner=edge-1@{env.edge.data_dir}")
    filters = [word for label in labels for word in ("--filter", f"label={label}")]
    command = ("docker", "-H", engine.address, "ps", "-q", *options, *filters)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("way", ["stop", "hang"])
def test_the_node_says_that_its_engine_is_away_and_all_is_well_when_it_is_back(
    away: CloudAndEdge, relay: Relay, docker_engine: DockerEngine, way: str
) -> None:
    for name in ("stays", "dies", "goes"):
        away.apply(MANIFEST.format(name=name, image=docker_engine.image))
    for name in ("stays", "dies", "goes"):
        eventually(lambda name=name: phase(away, name) == "Running", "pod Running")  # type: ignore[misc]
    before = found(docker_engine, away, "stays", "-a")
    getattr(relay, way)()
    eventually(lambda: ready(away).startswith("False"), "node NotReady")
    assert ready(away).startswith(
        "False KubeletNotReady container runtime is down: the Docker engine does not answer: "
    )
    subprocess.run(("docker", "-H", docker_engine.address, "kill", *found(docker_engine, away, "dies")), check=True)
    away.apply(MANIFEST.format(name="new", image=docker_engine.image))
    assert away.kubectl("delete", "pod", "goes", "--wait=false").returncode == 0
    assert phase(away, "stays") == "Running", "nobody has seen it end"
    assert phase(away, "new") == "Pending"
    assert away.edge.process is not None
    assert away.edge.process.poll() is None
    relay.start()
    eventually(lambda: ready(away) == "True EdgeReady edge is posting ready status", "node Ready")
    eventually(lambda: phase(away, "new") == "Running", "the new pod runs")
    eventually(lambda: "NotFound" in away.kubectl("get", "pod", "goes").stderr, "the deleted pod is gone")
    eventually(lambda: len(found(docker_engine, away, "dies")) == 1, "what has ended meanwhile runs again")
    assert found(docker_engine, away, "stays", "-a") == before, "neither restarted nor doubled"
    assert len(found(docker_engine, away, "new", "-a")) == 1
    # the pod may leave the API a moment before its container is removed
    eventually(lambda: found(docker_engine, away, "goes", "-a") == [], "the deleted pod's container is removed")
    assert "containers can be run again" in away.edge.log.read_text(encoding="utf-8")


TWO = """
apiVersion: v1
kind: Pod
metadata: {{name: two}}
spec:
  nodeName: edge-1
  terminationGracePeriodSeconds: 1
  initContainers:
  - {{name: init, image: {image}, imagePullPolicy: IfNotPresent, command: ["true"]}}
  containers:
  - {{name: main, image: {image}, imagePullPolicy: IfNotPresent, command: ["sleep", "100000"]}}
  - {{name: second, image: {image}, imagePullPolicy: IfNotPresent, command: ["sleep", "100000"]}}
"""
COUNTS = "{.status.initContainerStatuses[*].restartCount} {.status.containerStatuses[*].restartCount}"
MEMORY_KIB = 64 << 10


def resident_kib(env: CloudAndEdge) -> int:
    """The memory of the edge's process."""
    assert env.edge.process is not None
    text = Path(f"/proc/{env.edge.process.pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:")))


def counts(env: CloudAndEdge) -> str:
    """Restart counts: of the init container, and of the others."""
    return env.out("get", "pod", "two", "-o", f"jsonpath={COUNTS}")


def end(engine: DockerEngine, *command: str) -> None:
    """Do it to a container, as an operator with Docker's own command."""
    subprocess.run(("docker", "-H", engine.address, *command), check=True, capture_output=True)


def sandbox(engine: DockerEngine, env: CloudAndEdge) -> list[str]:
    """The pause container of the pod, while it runs."""
    return found(engine, env, "two", "--filter", "label=io.kubernetes.docker.type=podsandbox")


@pytest.mark.slow
def test_an_engine_that_comes_back_without_its_containers_runs_the_pods_again_and_costs_no_memory(
    away: CloudAndEdge, relay: Relay, docker_engine: DockerEngine
) -> None:
    away.apply(TWO.format(image=docker_engine.image))
    eventually(lambda: phase(away, "two") == "Running", "pod Running")
    before = resident_kib(away)
    relay.stop()
    eventually(lambda: ready(away).startswith("False"), "node NotReady")
    end(docker_engine, "rm", "-f", *found(docker_engine, away, "two", "-a"))
    tried = away.edge.log.read_text(encoding="utf-8").count("does not answer")
    assert tried <= 3, "an engine that is away is said once"
    relay.start()
    eventually(lambda: len(found(docker_engine, away, "two")) == 3, "the pause container and both others run")
    eventually(lambda: counts(away) == "1 1 1" and ready(away).startswith("True"), "told, init container first")
    assert resident_kib(away) - before < MEMORY_KIB


@pytest.mark.slow
def test_the_end_of_a_pause_container_is_seen_at_once(away: CloudAndEdge, docker_engine: DockerEngine) -> None:
    away.apply(TWO.format(image=docker_engine.image))
    eventually(lambda: counts(away) == "0 0 0" and phase(away, "two") == "Running", "pod Running")
    (old,) = sandbox(docker_engine, away)
    end(docker_engine, "kill", old)
    eventually(lambda: counts(away) == "1 1 1", "begun anew, init container first")
    eventually(lambda: sandbox(docker_engine, away) not in ([], [old]), "in a new sandbox")
    assert "SandboxChanged" in away.out("get", "events")
