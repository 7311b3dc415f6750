"""A controller's watches are begun once, outlive its crashes, and say when everything is known."""

from __future__ import annotations

from kubeedge_actors.drivers.cluster.base import InformerSet, InformerSpec
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND, NODE_KIND, SECRET_KIND
from tests.support.clusters import config


def names(lookout: InformerSet) -> list[str]:
    return [change.object["metadata"]["name"] for change in lookout.deltas.take()]


def test_it_begins_once_and_whoever_comes_next_is_woken_in_its_place() -> None:
    cluster = FakeCluster()
    cluster.create(CONFIGMAP_KIND, "default", config("a"))
    lookout = InformerSet(cluster, [InformerSpec(CONFIGMAP_KIND)])
    woken: list[str] = []
    assert lookout.start(lambda: woken.append("first"))
    assert names(lookout) == ["a"] and lookout.synced
    assert not lookout.start(lambda: woken.append("second"))
    woken.clear()
    cluster.create(CONFIGMAP_KIND, "default", config("b"))
    assert (woken, names(lookout)) == (["second"], ["b"])


def test_it_is_complete_when_all_that_is_awaited_is() -> None:
    cluster = FakeCluster()
    cluster.down = True
    lookout = InformerSet(
        cluster, [InformerSpec(CONFIGMAP_KIND), InformerSpec(SECRET_KIND), InformerSpec(NODE_KIND, wait_for_sync=False)]
    )
    woken: list[bool] = []
    lookout.start(lambda: woken.append(lookout.synced))
    assert (lookout.synced, woken) == (False, [])
    cluster.down = False
    assert lookout.synced and woken[-1]


def test_it_shows_what_its_watches_know_until_it_is_stopped() -> None:
    cluster = FakeCluster()
    lookout = InformerSet(cluster, [InformerSpec(NODE_KIND, labels="edge"), InformerSpec(CONFIGMAP_KIND, cache=False)])
    lookout.start(lambda: None)
    cluster.create(CONFIGMAP_KIND, "default", config("c", secret="x"))
    cluster.create(NODE_KIND, "", {"metadata": {"name": "other"}})
    cluster.create(NODE_KIND, "", {"metadata": {"name": "edge-1", "labels": {"edge": ""}}})
    assert [node["metadata"]["name"] for node in lookout.all(NODE_KIND)] == ["edge-1"]
    assert "data" not in (lookout.get(CONFIGMAP_KIND, "default", "c") or {})
    assert sorted(names(lookout)) == ["c", "edge-1"]
    lookout.stop()
    cluster.create(CONFIGMAP_KIND, "default", config("d"))
    assert names(lookout) == []
