"""Jobs of `operations.kubeedge.io` with whole processes: images are pulled from a registry by Docker, through kills of both sides; what no node can do
fails with a sentence, and what is no name of an image is refused.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import registry
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.docker_engine import DockerEngine
from tests.support.registry import Registry
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
USER = "puller:s3cret"


def pull_job(name: str, *images: str, version: str = "v1alpha2", **template: Any) -> str:
    return json.dumps(
        {
            "apiVersion": f"operations.kubeedge.io/{version}",
            "kind": "ImagePrePullJob",
            "metadata": {"name": name},
            "spec": {"imagePrePullTemplate": {"images": images, "nodeNames": ["edge-1"], **template}},
        }
    )


def node_job(kind: str, name: str, **spec: Any) -> str:
    head = {"apiVersion": "operations.kubeedge.io/v1alpha2", "kind": kind, "metadata": {"name": name}}
    return json.dumps({**head, "spec": {"nodeNames": ["edge-1"], **spec}})


def ended(env: CloudAndEdge, type: str, name: str) -> dict[str, Any]:
    """The status of a job, once it has ended."""

    def phase() -> str:
        return env.out("get", type, name, "-o", "jsonpath={.status.phase}")

    eventually(lambda: phase() in ("Completed", "Failure"), f"{type} {name} ends")
    return dict(env.json("get", type, name)["status"])


def actions(status: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["action"], each["status"]) for each in status["nodeStatus"][0]["actionFlow"]]


def docker(engine: DockerEngine, *arguments: str) -> str:
    command = ("docker", "-H", engine.address, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@contextmanager
def serving(engine: DockerEngine, user: str = "", refusals: int = 0) -> Iterator[Registry]:
    with registry.serving(user, refusals) as served:
        try:
            yield served
        finally:
            docker(engine, "rmi", served.image)


def secret(host: str) -> str:
    entry = {"auths": {f"http://{host}": {"auth": base64.b64encode(USER.encode()).decode()}}}
    data = {".dockerconfigjson": base64.b64encode(json.dumps(entry).encode()).decode()}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson"}
    return json.dumps({**kind, "metadata": {"name": "pull"}, "data": data})


@pytest.mark.docker
def test_an_image_is_pulled_with_a_secret_at_the_second_attempt_and_what_is_not_there_fails(
    docker_world: CloudAndEdge, docker_engine: DockerEngine
) -> None:
    with serving(docker_engine, USER, refusals=1) as served:
        docker_world.apply(secret(served.host))
        job = pull_job("app", served.image, version="v1alpha1", imageSecrets="default/pull", retryTimes=3)
        docker_world.apply(job)
        status = ended(docker_world, "imageprepulljob", "app")
        assert (status["phase"], actions(status)) == ("Completed", [("Check", "True"), ("Pull", "True")])
        assert status["nodeStatus"][0]["imageStatus"] == [{"image": served.image, "status": "True"}]
        assert docker(docker_engine, "images", "-q", served.image)
        missing = f"{served.host}/nodetasks/other:1"
        docker_world.apply(pull_job("other", missing, imageSecrets="default/pull"))
        status = ended(docker_world, "imageprepulljob", "other")
        assert (status["phase"], actions(status)) == ("Failure", [("Check", "True"), ("Pull", "False")])
        assert status["reason"] == "the number of failed nodes is 1/1, which exceeds the failure tolerance threshold"
        (image,) = status["nodeStatus"][0]["imageStatus"]
        assert (image["image"], image["status"]) == (missing, "False") and image["reason"]


@pytest.mark.docker
def test_a_pull_goes_on_after_both_sides_were_killed(docker_world: CloudAndEdge, docker_engine: DockerEngine) -> None:
    with serving(docker_engine) as served:
        served.open.clear()
        docker_world.apply(pull_job("app", served.image))
        eventually(lambda: served.manifests > 0, "a pull is under way")
        docker_world.cloud.kill()
        docker_world.edge.kill()
        served.open.set()
        docker_world.cloud.start()
        docker_world.edge.start()
        assert ended(docker_world, "imageprepulljob", "app")["phase"] == "Completed"
        assert docker(docker_engine, "images", "-q", served.image)


def test_what_no_node_can_do_fails_with_a_sentence_and_no_text_becomes_a_command(env: CloudAndEdge) -> None:
    env.apply(pull_job("app", "registry.example/app:1"))
    status = ended(env, "imageprepulljob", "app")
    reason = "the pods of this node run as processes of the machine: it has no images to pull"
    assert status["nodeStatus"][0]["imageStatus"] == [
        {"image": "registry.example/app:1", "status": "False", "reason": reason}
    ]
    env.apply(node_job("NodeUpgradeJob", "up", version="v1.22.0"))
    status = ended(env, "nodeupgradejob", "up")
    assert actions(status) == [("Check", "True"), ("WaitingConfirmation", "True"), ("BackUp", "False")]
    assert status["nodeStatus"][0]["reason"].startswith("this node has no command by which it could upgrade itself")
    env.apply(node_job("ConfigUpdateJob", "config", updateFields={"modules.edged.hostnameOverride": "x; reboot"}))
    status = ended(env, "configupdatejob", "config")
    assert actions(status) == [("Check", "True"), ("BackUp", "False")]
    assert status["nodeStatus"][0]["reason"].startswith("this node has no command by which it could change its")
    for image in ("busybox;reboot", "$(reboot)", "-v", "a b", "`reboot`", "a|b", "a\nb"):
        refused = env.kubectl("apply", "-f", "-", stdin=pull_job("bad", image))
        assert refused.returncode and "spec.imagePrePullTemplate.images[0]" in refused.stderr, refused.stderr
    env.apply(pull_job("nobody", "busybox:1", nodeNames=["edge-9"]))
    status = ended(env, "imageprepulljob", "nobody")
    assert status["nodeStatus"][0]["reason"] == "there is no edge node of this name"
