"""A node asks its cloud for the Services of a pod's namespace, once, and only a cloud that knows the question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.wire.messages import QueryObject
from tests.support.env.edged import EdgedEnv, pod

API = {
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "spec": {"clusterIP": "192.0.2.1", "ports": [{"port": 443}]},
}
KEY = ("servicelist", "services")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    made.cloud.objects[KEY] = {"metadata": {"name": "services", "namespace": "default"}, "items": [API]}
    yield made
    made.harness.stop()


def asked(bench: EdgedEnv) -> list[str]:
    return [query.namespace for query in bench.cloud.of(QueryObject) if query.type == "servicelist"]


def test_a_pod_finds_the_api_where_the_cloud_tells_it(bench: EdgedEnv) -> None:
    bench.start()
    bench.online(native=True)
    bench.apply(pod())
    (spec,) = bench.engine.specs.values()
    assert spec.env["KUBERNETES_SERVICE_HOST"] == "192.0.2.1"
    bench.engine.end_container(bench.engine.running()[0].id, 1)
    bench.until(lambda: len(bench.engine.specs) == 2)
    assert asked(bench) == ["default"]


def test_a_genuine_cloud_is_not_asked_what_it_would_not_answer(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    assert len(bench.engine.running()) == 1
    assert asked(bench) == []


def test_without_a_cloud_the_nodes_own_store_answers_or_nobody_does(bench: EdgedEnv) -> None:
    bench.start(online=False)
    bench.apply(pod())
    del bench.cloud.objects[KEY]
    bench.apply(pod("u-2", "other"))
    found = [spec.env.get("KUBERNETES_SERVICE_HOST") for spec in bench.engine.specs.values()]
    assert found == ["192.0.2.1", None]
