"""F9: names that the cloud chooses lead out of no folder, at the door of every driver; a refusal is not asked for again and again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.containers.base import ContainerSpec, Mount, PodName, PodNetwork
from kubeedge_actors.errors import ContainerConfigError
from tests.support.docker_engine import DockerEngine
from tests.support.env.containers import (
    FOREVER,
    ContainersEnv,
    DockerContainersEnv,
    FakeContainersEnv,
    ProcessContainersEnv,
)
from tests.support.env.edged import EdgedEnv, Json, pod

UID = "6f6b2a4e-0000-4000-8000-000000000001"
GOOD = PodName(namespace="default", name="p", uid=UID)
TRICKS = ("..", ".", "", "../../etc", "a/b", "/etc", "a\0b", "a\nb", "a b", "é", "-x", "x" * 300)


@pytest.fixture(params=["fake", "process", pytest.param("docker", marks=pytest.mark.docker)])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContainersEnv]:
    made: ContainersEnv
    if request.param == "docker":
        engine: DockerEngine = request.getfixturevalue("docker_engine")
        made = DockerContainersEnv(engine.address, engine.owner, tmp_path)
    else:
        made = FakeContainersEnv() if request.param == "fake" else ProcessContainersEnv(tmp_path / "data" / "pods")
    yield made
    made.close()


def specs(trick: str) -> list[ContainerSpec]:
    """A container for each place in which a name may be."""
    pods = [PodName(namespace=trick, name="p", uid=UID), PodName(namespace="default", name=trick, uid=UID)]
    pods.append(PodName(namespace="default", name="p", uid=trick))
    plain = [ContainerSpec(pod=each, name="main", image="i", command=FOREVER) for each in pods]
    mount = Mount(name=trick, source="/", target="/x")
    return [
        *plain,
        ContainerSpec(pod=GOOD, name=trick, image="i", command=FOREVER),
        ContainerSpec(pod=GOOD, name="main", image="i", command=FOREVER, mounts=(mount,)),
    ]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_name_that_no_pod_has_is_refused_before_anything_is_made(
    env: ContainersEnv, trick: str, tmp_path: Path
) -> None:
    for spec in specs(trick):
        with pytest.raises(ContainerConfigError, match="can not be the"):
            env.runtime.create(spec)
    assert env.runtime.list() == []
    assert [path for path in tmp_path.rglob("*") if path.name not in ("data", "pods")] == []


def test_nothing_is_deleted_by_a_name(tmp_path: Path) -> None:
    """The process runtime cleared the folder of a container before it made it."""
    env = ProcessContainersEnv(tmp_path / "pods")
    kept = tmp_path / "containers" / "main" / "0"
    kept.mkdir(parents=True)
    with pytest.raises(ContainerConfigError):
        env.runtime.create(env.spec(FOREVER, pod=PodName(namespace="default", name="p", uid="..")))
    assert kept.is_dir()
    env.close()


def test_networks_of_pods_are_named_as_strictly() -> None:
    env = FakeContainersEnv()
    with pytest.raises(ContainerConfigError):
        env.runtime.run_pod_sandbox(PodNetwork(pod=PodName(namespace="a", name="b", uid="../c")))
    env.close()


@pytest.mark.parametrize("trick", TRICKS)
def test_edged_takes_no_such_pod_and_says_so_once(tmp_path: Path, trick: str, caplog: pytest.LogCaptureFixture) -> None:
    env = EdgedEnv(tmp_path / "pods").start()
    named = {"name": trick, "image": "i", "command": ["/app"]}
    tricky: list[Json] = [pod(uid=trick), pod(name=trick), pod(containers=[named])]
    tricky.append(pod(volumes=[{"name": trick, "emptyDir": {}}]))
    for each in tricky:
        env.apply(each)
        env.remove(each["metadata"]["uid"])
    env.harness.advance(600.0)
    assert env.engine.specs == {}
    assert len([record for record in caplog.records if "malformed pod" in record.getMessage()]) <= len(tricky)


def test_a_folder_that_is_no_pods_is_left_alone(tmp_path: Path) -> None:
    """What cannot be a uid was nobody's pod: the edge tried for ever to remove it."""
    (tmp_path / "pods" / ".hidden").mkdir(parents=True)
    (tmp_path / "pods" / "lost+found!").mkdir()
    env = EdgedEnv(tmp_path / "pods").start()
    env.harness.advance(600.0)
    assert {path.name for path in (tmp_path / "pods").iterdir()} == {".hidden", "lost+found!"}
