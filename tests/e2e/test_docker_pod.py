"""A stock busybox pod on a real Docker engine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_exec import OVER, attached_to, forwarding, heard
from tests.e2e.test_logs import COUNTING, following
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
    shared_docker_world: CloudAndEdge, docker_engine: DockerEngine
) -> None:
    manifest = MANIFEST.format(image=docker_engine.image, port=free_ports(1)[0])
    shared_docker_world.apply(
        manifest.replace("{name: web}", "{name: talk}").replace(
            "echo hello > /tmp/index.html", "echo first; echo second"
        )
    )
    eventually(lambda: shared_docker_world.out("logs", "talk") == "first\nsecond", "a log")
    assert shared_docker_world.out("logs", "talk", "--tail=1") == "second"
    moment, _, text = shared_docker_world.out("logs", "talk", "--tail=1", "--timestamps").partition(" ")
    assert moment.startswith("20") and text == "second"
    assert shared_docker_world.out("logs", "talk", "--since=1h") == "first\nsecond"
    done = shared_docker_world.kubectl(
        "exec", "-i", "talk", "--", "sh", "-c", "cat; echo wrong >&2; exit 5", stdin="said\n"
    )
    assert (done.returncode, done.stdout) == (5, "said\n") and done.stderr.startswith("wrong\n")
    uid = shared_docker_world.out("get", "pod", "talk", "-o", "jsonpath={.metadata.uid}")
    assert containers(docker_engine, uid)
    shared_docker_world.kubectl("delete", "pod", "talk", "--timeout=50s")
    eventually(lambda: not containers(docker_engine, uid), "the containers are gone")


STREAMS = """
apiVersion: v1
kind: Pod
metadata: {{name: talk}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {{name: web, image: {image}, command: [sh, -c, "echo hello > /tmp/index.html && exec httpd -f -p 8080 -h /tmp"]}}
  - {{name: count, image: {image}, command: [sh, -c, "{counting}"]}}
  - name: ask
    image: {image}
    stdin: true
    command: [sh, -c, "while read line; do echo heard $line; done"]
"""


@pytest.mark.slow
def test_streams_of_a_pod_in_a_network_of_its_own_go_on_after_kill_9_of_the_edge(
    docker_world: CloudAndEdge, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_world.apply(STREAMS.format(image=docker_engine.image, counting=COUNTING))
    eventually(lambda: "3/3" in docker_world.out("get", "pod", "talk"), "the pod runs")
    assert docker_world.out("get", "pod", "talk", "-o", "jsonpath={.status.podIP}") not in ("", "127.0.0.1")

    def try_input_and_port(word: str) -> None:
        with attached_to(docker_world, "talk", "-c", "ask") as client:
            assert heard(client, word) == f"heard {word}\n"
        with forwarding(docker_world, 8080) as (port,):
            assert serves(port)

    try_input_and_port("before")
    with following(docker_world, "talk", "-c", "count", "--tail=1") as reader:
        numbers = [int(reader.stdout.readline().split()[1]) for _ in range(2)]
        docker_world.edge.kill()
        docker_world.edge.start()
        docker_world.wait_ready()
        latest = int(
            eventually(lambda: docker_world.out("logs", "talk", "-c", "count", "--tail=1"), "a log").split()[1]
        )
        while numbers[-1] <= latest + 2:
            numbers.append(int(reader.stdout.readline().split()[1]))
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "each line once"
    for name, value in OVER["spdy"].items():
        monkeypatch.setenv(name, value)
    try_input_and_port("after")
    assert docker_world.out("logs", "talk", "-c", "ask") == "heard before\nheard after", "the same container"


FIELDS = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: disk}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  claimRef: {{namespace: default, name: claim}}
  hostPath: {{path: {folder}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: claim}}
spec:
  accessModes: [ReadWriteOnce]
  volumeName: disk
  resources: {{requests: {{storage: 1Gi}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: my-db}}
spec: {{clusterIP: 192.0.2.9, ports: [{{port: 5432}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: fields}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  subdomain: nowhere
  securityContext: {{runAsUser: 1234, runAsGroup: 7, supplementalGroups: [8], runAsNonRoot: true}}
  volumes:
  - {{name: data, persistentVolumeClaim: {{claimName: claim}}}}
  - {{name: scratch, emptyDir: {{medium: Memory, sizeLimit: 1Mi}}}}
  initContainers:
  - name: side
    image: {image}
    imagePullPolicy: IfNotPresent
    restartPolicy: Always
    command: [sh, -c, "exec sleep 1000"]
  containers:
  - name: main
    image: {image}
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "id -u > /data/who; id -G >> /data/who; cat /proc/mounts | while read a b c d; do test $b = /scratch && echo $c >> /data/who; done; echo $MY_DB_SERVICE_HOST:$MY_DB_SERVICE_PORT >> /data/who; echo bye > /dev/termination-log; exit 3"]
    securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
    resources: {{requests: {{cpu: 10m}}, limits: {{cpu: "64"}}}}
    volumeMounts:
    - {{name: data, mountPath: /data}}
    - {{name: scratch, mountPath: /scratch}}
---
apiVersion: v1
kind: Pod
metadata: {{name: rooted}}
spec:
  containers:
  - name: main
    image: {image}
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "exec sleep 1000"]
    securityContext: {{runAsNonRoot: true}}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a volume in memory needs root")
def test_a_pod_is_run_as_its_fields_say(
    shared_docker_world: CloudAndEdge, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    folder.chmod(0o777)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    shared_docker_world.apply(FIELDS.format(image=docker_engine.image, folder=folder))
    eventually(lambda: phase(shared_docker_world, "fields") == "Failed", "the pod has ended")
    who = (folder / "who").read_text(encoding="utf-8").split("\n")
    assert (who[0], set(who[1].split()) >= {"7", "8"}, who[2:4]) == ("1234", True, ["tmpfs", "192.0.2.9:5432"])
    path = "{.status.containerStatuses[0].state.terminated.message}"
    assert shared_docker_world.out("get", "pod", "fields", "-o", f"jsonpath={path}") == "bye"
    events = shared_docker_world.out("get", "events", "-o", "jsonpath={.items[*].message}")
    assert "No effect on this node: spec.subdomain" in events
    waiting = "jsonpath={.status.containerStatuses[0].state.waiting.message}"
    refused = "container has runAsNonRoot and image will run as root"
    eventually(
        lambda: refused in shared_docker_world.out("get", "pod", "rooted", "-o", waiting),
        "who may not be root is not run",
    )
    assert shared_docker_world.kubectl("delete", "pod", "fields", "rooted", "--timeout=50s").returncode == 0
    pods = shared_docker_world.edge.data_dir / "pods"
    eventually(lambda: not list(pods.iterdir()), "the folders of the pods are gone, and what was mounted in them")
