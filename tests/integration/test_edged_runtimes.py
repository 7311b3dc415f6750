"""Edged on threads with real processes and real containers: apply, run, kill, restart, delete."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.edged.edged import Edged
from kubeedge_actors.actors.edged.messages import LinkState
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.drivers.containers.process import ProcessRuntime
from kubeedge_actors.drivers.machine.linux import LinuxMachine
from kubeedge_actors.drivers.machine.network_prober import NetworkProber
from kubeedge_actors.drivers.machine.volumes import LocalPodVolumes
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire.messages import DeletePod, LinkUp, PatchPod, PodChanged
from tests.support.docker_engine import DockerEngine
from tests.support.env.edged import NODE, FakeMetaManager, pod
from tests.support.fakes.grpc_health import NOT_SERVING, SERVING, Health, serving
from tests.support.waiting import PATIENCE, eventually

Json = dict[str, Any]
UID = f"u-{uuid.uuid4().hex[:8]}"
"""An engine that is shared with other runs of this test has no second container of that name."""
FOREVER = ["/bin/sh", "-c", 'trap "exit 0" TERM; echo $GREETING; cat $FILE; sleep 1000 & wait']


class SignallingCloud(FakeMetaManager):
    """The stand-in, which tells waiting threads of every patch and deletion."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    @on
    def on_patch_pod(self, message: PatchPod) -> None:
        super().on_patch_pod(message)
        self._changed()

    @on
    def on_delete_pod(self, message: DeletePod) -> None:
        super().on_delete_pod(message)
        self._changed()

    def _changed(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), self.pods

    def status(self, uid: str) -> Json:
        return dict(self.pods.get(uid, {}).get("status", {}))


class Node:
    """One node on threads."""

    def __init__(self, folder: Path, make: Callable[[], ContainerRuntime]) -> None:
        self.folder, self.make = folder, make
        self.cloud = SignallingCloud()

    def start(self) -> None:
        self.containers = self.make()
        self.runtime = ActorSystem(ThreadsEngine())
        link = LinkState()
        edged = Edged.spec(
            lambda: Edged(
                node_name=NODE,
                runtime=self.containers,
                folders=LocalPodVolumes(self.folder),
                host=LinuxMachine(self.folder),
                prober=NetworkProber(),
                address="127.0.0.1",
                product="0.1.0",
                link=link,
            )
        )
        self.runtime.start(SupervisorSpec("node", [FakeMetaManager.spec(lambda: self.cloud), edged]))
        self.runtime.publish(LinkUp())

    def stop(self) -> None:
        self.runtime.stop(PATIENCE)
        self.containers.close()

    def apply(self, given: Json, operation: str = "insert") -> None:
        self.runtime.publish(PodChanged(operation=operation, object=self.cloud.put(given)))


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    if request.param == "process":
        made = Node(tmp_path, lambda: ProcessRuntime(tmp_path))
    else:
        engine: DockerEngine = request.getfixturevalue("docker_engine")
        from kubeedge_actors.drivers.containers.docker import DockerRuntime

        made = Node(tmp_path, lambda: DockerRuntime(engine.owner, engine.address, subpaths=tmp_path / "subpaths"))
    made.start()
    yield made
    for one in made.containers.list():
        made.containers.remove(one.id)
    made.stop()


def wanted(node: Node, grace: int = 5) -> Json:
    """A pod with a config map as a variable and as a file."""
    data = {"greeting": "hello", "file": "from a file\n"}
    node.cloud.objects["configmap", "c"] = {"metadata": {"name": "c"}, "data": data}
    given = pod(UID, volumes=[{"name": "config", "configMap": {"name": "c"}}], terminationGracePeriodSeconds=grace)
    in_docker = not isinstance(node.containers, ProcessRuntime)
    reference = {"configMapKeyRef": {"name": "c", "key": "greeting"}}
    given["spec"]["containers"][0] |= {
        "image": "busybox-of-tests:1",
        "command": FOREVER,
        "env": [
            {"name": "GREETING", "valueFrom": reference},
            {"name": "FILE", "value": "/config/file" if in_docker else str(node.folder / f"{UID}/volumes/config/file")},
        ],
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
    }
    return given


def phase(node: Node) -> str:
    return str(node.cloud.status(UID).get("phase"))


def restarts(node: Node) -> int:
    statuses = node.cloud.status(UID).get("containerStatuses") or [{"restartCount": -1, "state": {}}]
    return int(statuses[0]["restartCount"]) if "running" in statuses[0]["state"] else -1


def test_a_pod_runs_is_killed_runs_again_and_goes(node: Node) -> None:
    node.apply(wanted(node))
    node.cloud.wait(lambda: phase(node) == "Running")
    (one,) = node.containers.list()
    assert b"".join(_first(node, one.id)) == b"hello\nfrom a file\n"

    node.containers.kill(one.id)
    node.cloud.wait(lambda: restarts(node) == 1)

    node.stop()
    node.start()
    node.cloud.wait(lambda: restarts(node) == 1)
    running = [each for each in node.containers.list() if each.phase == "running"]
    assert [each.restart_count for each in running] == [1]

    _delete(node)
    node.cloud.wait(lambda: UID not in node.cloud.pods)
    assert any(isinstance(each, DeletePod) for each in node.cloud.said)
    _gone(node)


def test_a_pod_is_as_ready_as_its_grpc_probe_says_and_ends_when_its_hook_has_slept(node: Node) -> None:
    answers = {"web": NOT_SERVING}
    with serving(Health(answers)) as port:
        given = wanted(node)
        given["spec"] |= {"hostNetwork": True}
        given["spec"]["containers"][0] |= {
            "readinessProbe": {"grpc": {"port": port, "service": "web"}, "periodSeconds": 1},
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}, "postStart": {"sleep": {"seconds": 1}}},
        }
        node.apply(given)
        node.cloud.wait(lambda: phase(node) == "Running")
        assert not node.cloud.status(UID)["containerStatuses"][0]["ready"]
        answers["web"] = SERVING
        node.cloud.wait(lambda: node.cloud.status(UID)["containerStatuses"][0]["ready"])
    _delete(node)
    node.cloud.wait(lambda: UID not in node.cloud.pods)
    _gone(node)


def _first(node: Node, container_id: str) -> Iterator[bytes]:
    """What it wrote, up to its second line."""
    lines = 0
    for chunk in node.containers.logs(container_id, follow=True):
        yield chunk
        lines += chunk.count(b"\n")
        if lines >= 2:
            return


def _delete(node: Node) -> None:
    marks = {"deletionTimestamp": "2026-11-22T19:05:08Z", "deletionGracePeriodSeconds": 5}
    given = node.cloud.pods[UID]
    node.apply({**given, "metadata": {**given["metadata"], **marks}}, "update")


def _gone(node: Node) -> None:
    """Nothing of the pod is left, soon: what follows the deletion of the object is told to nobody."""
    eventually(lambda: not (node.containers.list() or LocalPodVolumes(node.folder).pod_uids()), "nothing is left")


@pytest.mark.parametrize("node", ["process"], indirect=True)  # the pids of containers are not ours to know
def test_a_killed_process_of_a_pod_is_started_again(node: Node) -> None:
    node.apply(wanted(node))
    node.cloud.wait(lambda: restarts(node) == 0)
    (folder,) = node.folder.glob(f"{UID}/containers/main/0")
    shim = int((folder / "pid").read_text(encoding="ascii").split()[0])
    os.kill(shim, signal.SIGKILL)
    node.cloud.wait(lambda: restarts(node) == 1)
    ended = node.cloud.status(UID)["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "Error")
