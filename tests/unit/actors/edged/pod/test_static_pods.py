"""Static pods: they run without a cloud, follow their files, and are shown to the cloud by a mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.wire.messages import DeletePod, InsertPod, PatchPod, PodChanged
from tests.support.env import edged as edged_bench
from tests.support.env.edged import NODE, EdgedEnv, FakeManifests

Json = dict[str, Any]


def manifest(name: str = "web", image: str = "app:1") -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": image, "command": ["/app"]}]},
    }


@pytest.fixture
def manifests() -> FakeManifests:
    return FakeManifests([manifest()])


@pytest.fixture
def bench(tmp_path: Path, manifests: FakeManifests) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path, manifests)
    yield made
    made.harness.stop()


def mirror(bench: EdgedEnv) -> Json:
    (mirror_pod,) = bench.cloud.pods.values()
    return mirror_pod


def test_a_static_pod_runs_without_a_cloud(bench: EdgedEnv) -> None:
    bench.start(online=False)
    (container,) = bench.engine.running()
    assert (container.pod.namespace, container.pod.name) == ("default", f"web-{NODE}")
    assert bench.cloud.of(InsertPod) == []


def test_a_static_pod_is_shown_by_a_mirror_with_its_status(bench: EdgedEnv) -> None:
    bench.start()
    (shown,) = bench.cloud.of(InsertPod)
    (container,) = bench.engine.running()
    annotations = shown.object["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"] == container.pod.uid
    assert (annotations["kubernetes.io/config.source"], shown.object["spec"]["nodeName"]) == ("file", NODE)
    assert "uid" not in shown.object["metadata"]
    assert mirror(bench)["status"]["phase"] == "Running"


def test_the_news_of_its_own_mirror_changes_nothing(bench: EdgedEnv) -> None:
    bench.start()
    before = bench.engine.running(), len(bench.cloud.of(PatchPod))
    bench.harness.tell("edged", PodChanged(operation="insert", object=mirror(bench)))
    bench.harness.advance(30)
    assert (bench.engine.running(), len(bench.cloud.of(PatchPod))) == before
    assert len(bench.cloud.of(InsertPod)) == 1


def test_a_static_pod_survives_a_restart_of_the_edge_with_one_mirror(bench: EdgedEnv) -> None:
    bench.start()
    before = bench.engine.running()
    bench.harness.crash("edged")
    bench.harness.advance(30)
    assert bench.engine.running() == before
    assert len(bench.cloud.of(InsertPod)) == 1


def test_a_changed_manifest_replaces_the_pod_and_its_mirror(bench: EdgedEnv, manifests: FakeManifests) -> None:
    bench.start()
    (old,) = bench.engine.running()
    manifests.pods = [manifest(image="app:2")]
    bench.harness.advance(6)
    (new,) = bench.engine.running()
    assert (new.image, new.pod.uid != old.pod.uid) == ("app:2", True)
    assert set(bench.engine.containers) == {new.id}
    shown = mirror(bench)
    assert shown["metadata"]["annotations"]["kubernetes.io/config.mirror"] == new.pod.uid
    assert shown["spec"]["containers"][0]["image"] == "app:2"


def test_a_removed_manifest_ends_the_pod_and_deletes_its_mirror(bench: EdgedEnv, manifests: FakeManifests) -> None:
    bench.start()
    uid = mirror(bench)["metadata"]["uid"]
    manifests.pods = []
    bench.harness.advance(6)
    assert bench.engine.containers == {}
    assert [message.options["preconditions"]["uid"] for message in bench.cloud.of(DeletePod)] == [uid]
    assert bench.cloud.pods == {}


def test_a_mirror_that_is_deleted_comes_back_and_the_pod_goes_on(bench: EdgedEnv) -> None:
    bench.start()
    before, uid = bench.engine.running(), mirror(bench)["metadata"]["uid"]
    bench.delete(uid)
    bench.harness.advance(1)
    assert bench.engine.running() == before
    assert [message.options["preconditions"]["uid"] for message in bench.cloud.of(DeletePod)] == [uid]
    assert mirror(bench)["metadata"]["uid"] != uid
    assert mirror(bench)["status"]["phase"] == "Running"


def test_a_mirror_of_nothing_is_deleted(bench: EdgedEnv) -> None:
    bench.start()
    stray = {**mirror(bench), "metadata": {**mirror(bench)["metadata"], "uid": "stray", "name": "stray"}}
    stray["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "nobody"}
    bench.harness.tell("edged", PodChanged(operation="insert", object=stray))
    assert [message.name for message in bench.cloud.of(DeletePod)] == ["stray"]


class RestlessManifests(FakeManifests):
    """They are never the same when they are looked at; `reads` counts."""

    def __init__(self) -> None:
        super().__init__([manifest()])
        self.reads = 0

    def has_changed(self) -> bool:
        return True

    def read(self) -> list[tuple[str, Json]]:
        self.reads += 1
        return super().read()


class HeldPool:
    """A worker pool that does nothing until a test lets it."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], object]] = []

    def submit(self, job: Callable[[], object]) -> None:
        self.jobs.append(job)

    def close(self) -> None: ...

    def work(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()


def test_manifests_that_are_being_read_are_not_read_a_second_time_beside_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[HeldPool] = []

    def pool(limit: int) -> HeldPool:
        pools.append(HeldPool())
        return pools[-1]

    monkeypatch.setattr(edged_bench, "_inline", pool)
    manifests = RestlessManifests()
    bench = EdgedEnv(tmp_path, manifests).start(online=False)
    for reads in (1, 2):  # read, and looked at again
        bench.harness.advance(60.0)
        for message in pools:
            message.work()
        assert manifests.reads == reads
    bench.harness.stop()


def test_a_manifest_that_is_no_pod_is_left_out(bench: EdgedEnv, manifests: FakeManifests) -> None:
    manifests.pods = [{"kind": "Pod", "metadata": {"name": "x"}}, {"kind": "Pod"}, manifest()]
    bench.start()
    assert len(bench.engine.running()) == 1
