"""What a node does for a task and says of it, over restarts and while the cloud is away."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.taskmanager import edge_task_manager
from kubeedge_actors.actors.taskmanager.edge_task_manager import RETRY_SECONDS, SECRET_WAITS
from kubeedge_actors.actors.taskmanager.task_run import NO_CONFIG, NO_UPGRADE, SOME_FAILED
from kubeedge_actors.actors.taskmanager.task_worker import NO_IMAGES
from kubeedge_actors.drivers.containers.base import RegistryAuth
from kubeedge_actors.drivers.containers.fake import FakeContainers, FakeRuntime
from kubeedge_actors.drivers.machine.base import MachineUsage
from kubeedge_actors.drivers.machine.fake import FakeMachine
from kubeedge_actors.drivers.store.base import MetaRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import NodeTask
from tests.support.env.taskmanager import PULL, pull_spec

Said = list[tuple[str, bool, str]]


class BusyMachine(FakeMachine):
    """A machine whose processors are as busy as `busy` says, measured by the harness's clock."""

    busy = 0.0

    def __init__(self, harness: list[Harness]) -> None:
        super().__init__()
        self._harness = harness

    def usage(self) -> MachineUsage:
        seconds = self._harness[0].clock.monotonic() * self.now.cpus * self.busy
        return msgspec.structs.replace(super().usage(), cpu_seconds=seconds)


class NodeEnv:
    """A node with an engine that has no images yet."""

    def __init__(self, *, takes_tasks: bool = True) -> None:
        made = list[Harness]()
        self.containers, self.store = FakeContainers(), FakeStore()
        self.containers.images = set()
        self.machine = BusyMachine(made)
        node = ("edge-1", self.machine, FakeRuntime(self.containers), self.store.meta)
        specs = edge_task_manager.child_specs(*node, takes_tasks=takes_tasks)
        self.harness = inline(*specs, contain=True)
        made.append(self.harness)
        self.cloud = self.harness.probe(constants.EDGEHUB)
        self.meta_manager = self.harness.probe(constants.METAMANAGER)
        self.harness.run()

    def restart(self) -> None:
        """What the actor knows is gone, but for what it has kept."""
        self.harness.crash(constants.TASKMANAGER)
        self.harness.run()

    def begin(self, type: str = PULL, spec: dict[str, Any] | None = None, job: str = "j", node: str = "edge-1") -> None:
        """The cloud says it."""
        task = NodeTask(job_type=type, job=job, task_node=node, content=spec or pull_spec("edge-1"))
        self.harness.publish(task)
        self.harness.run()

    def said(self, seconds: float = 0.0) -> Said:
        """What the node says in so many seconds: action, whether it went well, why not."""
        for _ in range(int(seconds / RETRY_SECONDS)):
            self.harness.advance(RETRY_SECONDS)
        self.harness.run()
        self.last = [message.content for message in self.cloud.take()]
        return [(each["action"], each["succ"], each["reason"]) for each in self.last]

    def images(self) -> list[dict[str, str]]:
        """What it said last of its images."""
        return list(json.loads(self.last[-1]["extend"]))


@pytest.fixture
def env() -> NodeEnv:
    return NodeEnv()


GOOD: Said = [("Check", True, ""), ("Pull", True, "")]


def test_images_are_pulled_and_each_is_told_of(env: NodeEnv) -> None:
    env.begin(spec=pull_spec("edge-1", images=["a:1", "b:1"]))
    assert env.said() == GOOD
    assert env.images() == [{"image": "a:1", "status": "True"}, {"image": "b:1", "status": "True"}]
    assert env.containers.pulled == ["a:1", "b:1"]


def test_what_fails_is_tried_again_as_often_as_the_job_says_and_the_others_are_not(env: NodeEnv) -> None:
    env.containers.unpullable = {"b:1": "no such image"}
    env.begin(spec=pull_spec("edge-1", images=["a:1", "b:1"], retryTimes=2))
    assert env.said(5) == [("Check", True, ""), ("Pull", False, SOME_FAILED)]
    assert env.images()[1] == {"image": "b:1", "status": "False", "reason": "no such image"}
    assert env.containers.pulled == ["a:1", "b:1", "b:1", "b:1"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"busy": 0.95}, "current cpu usage is 95.00, which exceeds the maximum allowed usage 80.00"),
        ({"memory_available": 1 << 28}, "current mem usage is 93.75, which exceeds the maximum allowed usage 80.00"),
        ({"disk_available": 0}, "current disk usage is 100.00, which exceeds the maximum allowed usage 80.00"),
    ],
)
def test_a_node_without_room_says_so_and_pulls_nothing(env: NodeEnv, change: dict[str, Any], sentence: str) -> None:
    env.machine.busy = change.pop("busy", 0.1)
    env.machine.now = msgspec.structs.replace(env.machine.now, **change)
    env.begin(spec=pull_spec("edge-1", checkItems=["cpu", "mem", "disk"]))
    ((action, succeeded, reason),) = env.said(1)
    assert (action, succeeded, reason) == ("Check", False, sentence)
    assert env.containers.pulled == []


def test_the_credentials_are_those_of_the_secret_once_it_is_there(env: NodeEnv) -> None:
    env.begin(spec=pull_spec("edge-1", images=["registry.example/a:1"], imageSecrets="shop/s"))
    assert env.said(2) == [("Check", True, "")]
    (query,) = env.meta_manager.take()
    assert (query.type, query.namespace, query.name) == ("secret", "shop", "s")
    config = {"auths": {"registry.example": {"username": "u", "password": "p"}}}
    data = {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()}
    env.store.meta.put([MetaRow("shop/secret/s", "secret", json.dumps({"data": data}))])
    assert env.said(2) == [("Pull", True, "")]
    assert env.containers.credentials == [RegistryAuth("u", "p")]


def test_a_secret_that_does_not_come_fails_the_pull(env: NodeEnv) -> None:
    env.begin(spec=pull_spec("edge-1", imageSecrets="shop/s"))
    assert env.said(SECRET_WAITS * RETRY_SECONDS + 2)[-1] == ("Pull", False, SOME_FAILED)
    assert env.images()[0]["reason"] == "the Secret shop/s is not at this node"


def test_a_task_goes_on_after_a_restart_and_what_was_done_is_not_done_again(env: NodeEnv) -> None:
    env.containers.unpullable = {"b:1": "not now"}
    env.begin(spec=pull_spec("edge-1", images=["a:1", "b:1"], retryTimes=50))
    assert env.said(1) == [("Check", True, "")]
    env.containers.unpullable = {}
    env.restart()
    assert env.said(1) == [("Pull", True, "")]
    assert env.containers.pulled.count("a:1") == 1
    env.restart()
    assert env.said(5) == []


def test_a_task_that_is_told_twice_is_done_once_and_one_that_wants_something_else_takes_its_place(env: NodeEnv) -> None:
    env.containers.unpullable = {"b:1": "not now"}
    for _ in range(3):
        env.begin(spec=pull_spec("edge-1", images=["b:1"], retryTimes=50))
    assert env.said(1) == [("Check", True, "")]
    env.begin(spec=pull_spec("edge-1", images=["c:1"]))
    assert env.said(5) == GOOD
    assert env.images() == [{"image": "c:1", "status": "True"}]


def test_a_node_whose_images_are_only_names_says_so_once(env: NodeEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRuntime, "image_id", lambda self, image: image)
    env.begin(spec=pull_spec("edge-1", retryTimes=10))
    assert env.said(1) == [("Check", True, ""), ("Pull", False, SOME_FAILED)]
    assert env.images() == [{"image": "busybox:1", "status": "False", "reason": NO_IMAGES}]


@pytest.mark.parametrize(
    ("type", "spec", "said"),
    [
        (
            constants.NODEUPGRADEJOB,
            {"version": "v1.22.0"},
            [("Check", True, ""), ("WaitingConfirmation", True, ""), ("BackUp", False, NO_UPGRADE)],
        ),
        (
            constants.NODEUPGRADEJOB,
            {"version": "v1.22.0", "requireConfirmation": True},
            [("Check", True, ""), ("WaitingConfirmation", False, NO_UPGRADE)],
        ),
        (
            constants.CONFIGUPDATEJOB,
            {"updateFields": {"a": "$(reboot)"}},
            [("Check", True, ""), ("BackUp", False, NO_CONFIG)],
        ),
    ],
)
def test_what_would_change_the_node_goes_as_far_as_that(
    env: NodeEnv, type: str, spec: dict[str, Any], said: Said
) -> None:
    env.begin(type, {**spec, "nodeNames": ["edge-1"]})
    assert env.said(1) == said


def test_what_is_no_name_of_an_image_is_refused_here_too_and_anothers_task_ignored(env: NodeEnv) -> None:
    env.begin(spec=pull_spec("edge-1", images=["a;reboot"]))
    assert env.said() == [("Check", False, "images: 'a;reboot' is not the name of an image")]
    env.begin(node="edge-2")
    env.begin("rebootjob")
    assert env.said(2) == []
    assert env.containers.pulled == []


def test_a_node_that_takes_no_tasks_says_so() -> None:
    env = NodeEnv(takes_tasks=False)
    env.begin()
    assert env.said(2) == [("Check", False, "this node takes no node tasks: it was started with --no-node-tasks")]
    assert env.containers.pulled == []
