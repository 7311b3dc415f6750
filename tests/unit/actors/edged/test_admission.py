"""Which pods a node takes, in a kubelet's words: a machine with two cores and four gibibytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.drivers.containers.fake import FakeProgram
from kubeedge_actors.wire.messages import PatchPod, PodChanged, ReportEvent
from tests.support.env.edged import EdgedEnv, FakeManifests, pod

Json = dict[str, Any]
CAPACITY = (4 << 30) - (100 << 20)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    yield made
    made.harness.stop()


def asking(number: int, port: int = 0, created: str = "", other: Json | None = None, **requests: str) -> Json:
    """The pod `p<number>` with requests and a host port."""
    made = pod(f"u-{number}", f"p{number}")
    made["spec"]["containers"][0] |= {"resources": {"requests": {**requests, **(other or {})}}}
    made["spec"]["containers"][0] |= {"ports": [{"containerPort": 80, "hostPort": port}]} if port else {}
    made["metadata"] |= {"creationTimestamp": created} if created else {}
    return made


def running(bench: EdgedEnv) -> list[str]:
    return sorted(container.pod.name for container in bench.engine.running())


REJECTED = [
    (
        asking(2, cpu="1500m"),
        "OutOfcpu",
        "Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000",
    ),
    (
        asking(2, memory="3Gi"),
        "OutOfmemory",
        f"Node didn't have enough resource: memory, requested: {3 << 30}, used: {2 << 30}, capacity: {CAPACITY}",
    ),
    (
        asking(2, other={"hugepages-2Mi": "4Mi"}),
        "OutOfhugepages-2Mi",
        f"Node didn't have enough resource: hugepages-2Mi, requested: {4 << 20}, used: 0, capacity: 0",
    ),
    (
        asking(2, port=8080),
        "NodePorts",
        "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
    ),
    (
        pod("u-2", "p2", nodeSelector={"disk": "ssd"}),
        "NodeAffinity",
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    ),
]


@pytest.mark.parametrize(("second", "reason", "message"), REJECTED, ids=[reason for _, reason, _ in REJECTED])
def test_a_pod_for_which_there_is_no_room_has_failed_and_says_why(
    bench: EdgedEnv, second: Json, reason: str, message: str
) -> None:
    bench.start().apply(asking(1, 8080, cpu="600m", memory="2Gi"))
    bench.apply(second)
    assert running(bench) == ["p1"]
    status = bench.status("u-2")
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", reason, f"Pod was rejected: {message}")
    assert "containerStatuses" not in status
    (told,) = [event for event in bench.cloud.of(ReportEvent) if event.content["reason"] == reason]
    assert (told.content["type"], told.content["message"]) == ("Warning", message)
    said = len(bench.cloud.of(PatchPod))
    bench.remove("u-1")
    bench.harness.advance(120)
    assert running(bench) == [], "who was rejected stays so"
    assert len(bench.cloud.of(PatchPod)) == said
    bench.remove("u-2")
    assert bench.folders.pod_uids() == set()


def test_what_others_ended_is_free_again_when_their_containers_have_ended(bench: EdgedEnv) -> None:
    bench.engine.program = lambda spec: FakeProgram(ignores_stop=True)
    bench.start().apply(asking(1, cpu="2"))
    bench.delete("u-1", grace=5)
    bench.apply(asking(2, cpu="2"))
    assert bench.status("u-2")["reason"] == "OutOfcpu", "the first one still runs"
    bench.harness.advance(6)
    bench.apply(asking(3, cpu="2"))
    assert running(bench) == ["p3"]
    job = asking(4, cpu="2")
    job["spec"]["restartPolicy"] = "Never"
    bench.engine.end_container(bench.engine.running()[0].id, 0)
    bench.remove("u-3")
    bench.apply(job)
    bench.engine.end_container(bench.engine.running()[0].id, 0)
    bench.harness.run()
    bench.apply(asking(5, cpu="2"))
    assert running(bench) == ["p5"]


def test_a_node_has_room_for_110_pods(bench: EdgedEnv) -> None:
    bench.start()
    for number in range(111):
        bench.apply(asking(number))
    assert len(bench.engine.running()) == 110
    assert bench.status("u-110")["message"].endswith("pods, requested: 1, used: 110, capacity: 110")


def test_limits_above_the_cores_and_resources_that_no_node_has_are_no_reason(bench: EdgedEnv) -> None:
    wide = asking(1, cpu="100m", other={"example.com/licence": "1"})
    wide["spec"]["containers"][0]["resources"]["limits"] = {"cpu": "4"}
    bench.start().apply(wide)
    assert running(bench) == ["p1"]


def test_who_runs_is_not_judged_again_and_static_pods_and_older_ones_come_first(tmp_path: Path) -> None:
    static = {"metadata": {"name": "static"}, "spec": asking(0, cpu="1")["spec"]}
    bench = EdgedEnv(tmp_path, FakeManifests([static]))
    for number, created in ((3, "2026-01-03T00:00:00Z"), (2, "2026-01-02T00:00:00Z")):
        bench.cloud.put(asking(number, created=created, cpu="600m"))
    bench.cloud.put({**asking(1, cpu="300m"), "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}})
    bench.start()
    assert running(bench) == ["p1", "p2", "static-edge-2"]
    assert bench.status("u-3")["reason"] == "OutOfcpu"
    bench.host.now = bench.host.now.__class__(**{**_fields(bench.host.now), "cpus": 1})
    bench.harness.crash("edged")
    bench.harness.advance(5)
    assert running(bench) == ["p1", "p2", "static-edge-2"]
    bench.harness.stop()


def _fields(info: Any) -> Json:
    return {name: getattr(info, name) for name in info.__struct_fields__}


def test_labels_and_taints_count_as_the_cluster_has_them_at_that_moment(bench: EdgedEnv) -> None:
    bench.start()
    assert bench.cloud.node is not None
    bench.cloud.node["metadata"]["labels"] |= {"disk": "ssd"}  # of which the node has not heard yet
    bench.apply(pod("u-1", "p1", nodeSelector={"disk": "ssd"}))
    assert running(bench) == ["p1"]
    bench.cloud.node["spec"] = {"taints": [{"key": "ill", "effect": "NoExecute"}]}
    bench.harness.advance(310)
    bench.apply(pod("u-2", "p2", tolerations=[{"key": "ill", "operator": "Exists"}]))
    bench.apply(pod("u-3", "p3"))
    assert running(bench) == ["p1", "p2"]
    assert (bench.status("u-3")["reason"], bench.status("u-3")["message"]) == (
        "TaintToleration",
        "Pod was rejected: Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
    )


def test_a_pod_whose_node_is_not_known_waits_for_it_and_is_not_rejected(bench: EdgedEnv) -> None:
    bench.start(online=False)
    picky = bench.cloud.put(pod("u-1", "p1", nodeSelector={"disk": "ssd"}))
    bench.harness.tell("edged", PodChanged(operation="insert", object=picky))
    bench.apply(pod("u-2", "p2"))
    bench.harness.advance(60)
    assert running(bench) == ["p2"]
    bench.online()
    assert bench.status("u-1")["reason"] == "NodeAffinity"
