"""What Edged tells the cloud is what a genuine edgecore told it, in the recordings."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.edged.status.node_status import NodeDescription, node_object
from kubeedge_actors.actors.edged.status.node_status_manager import LEASE_PERIOD
from kubeedge_actors.drivers.containers.fake import FakeProgram
from kubeedge_actors.drivers.machine.fake import FakeMachine
from kubeedge_actors.wire.messages import (
    DeletePod,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    RequestToken,
    WriteLease,
)
from tests.support.env.edged import EdgedEnv
from tests.support.recordings import entries

Json = dict[str, Any]


def frames(scene: str, direction: str, resource: str, operation: str) -> list[Any]:
    """The contents of the recorded frames of that kind."""
    found = [entry["frame"] for entry in entries(scene) if "frame" in entry and entry["dir"] == direction]
    return [
        frame["content"]
        for frame in found
        if (frame["route"].get("resource"), frame["route"].get("operation")) == (resource, operation)
    ]


def epoch(text: str) -> float:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path, now=epoch("2026-11-22T19:04:40Z"))
    yield made
    made.harness.stop()


@pytest.fixture
def shop() -> Json:
    pod: Json = frames("c_pod", "cloud->edge", "default/pod/shop", "insert")[0]
    return pod


def at(bench: EdgedEnv, text: str) -> None:
    """Move the clock to that second."""
    bench.harness.advance(epoch(text) + 0.5 - bench.harness.clock.now())


def said(bench: EdgedEnv) -> list[Json]:
    return [msgspec.json.decode(each.patch) for each in bench.cloud.of(PatchPod)]


def alike(ours: Json, theirs: Json) -> tuple[Json, Json]:
    """Both without what is an engine's own: ids of containers and images. Addresses are sent whole by us, whatever the cluster has."""
    ours, theirs = msgspec.json.decode(msgspec.json.encode(ours)), msgspec.json.decode(msgspec.json.encode(theirs))
    for patch in (ours, theirs):
        for key in {"podIPs", "hostIPs"} & patch["status"].keys():
            patch["status"][key] = [each for each in patch["status"][key] if "$patch" not in each]
        for one in patch["status"].get("containerStatuses", []):
            for holder in (one, one["state"].get("terminated", {})):
                for key in ("containerID", "imageID"):
                    if holder.get(key):
                        holder[key] = "x"
    return ours, theirs


def test_a_pod_is_reported_as_recorded(bench: EdgedEnv, shop: Json) -> None:
    recorded = [msgspec.json.decode(text) for text in frames("c_pod", "edge->cloud", "default/podpatch/shop", "patch")]
    bench.engine.program = lambda spec: FakeProgram(ignores_stop=True)
    bench.cloud.deaf = {QueryObject}
    bench.start()
    at(bench, "2026-11-22T19:04:48Z")
    bench.apply(shop)
    assert alike(said(bench)[0], recorded[0]) == alike(recorded[0], recorded[0])

    at(bench, "2026-11-22T19:04:49Z")
    bench.cloud.deaf = set()
    bench.cloud.objects["configmap", "shop-config"] = {"metadata": {"name": "c"}, "data": {"greeting": "hello"}}
    bench.cloud.objects["secret", "shop-secret"] = {"metadata": {"name": "s"}, "data": {"password": "cGFzcw=="}}
    for question in bench.cloud.of(QueryObject):
        if question.type != "node":
            bench.cloud._answer(question, bench.cloud.objects[question.type, question.name])
    bench.harness.run()
    recorded[1]["status"]["containerStatuses"][0]["state"] = {"running": {"startedAt": "2026-11-22T19:04:49Z"}}
    assert alike(said(bench)[1], recorded[1]) == alike(recorded[1], recorded[1])

    at(bench, "2026-11-22T19:05:05Z")
    bench.delete("056294b7-695b-474a-8887-8c6686396304")
    at(bench, "2026-11-22T19:05:08Z")
    terminated = recorded[2]["status"]["containerStatuses"][0]["state"]["terminated"]
    terminated["startedAt"] = "2026-11-22T19:04:49Z"
    assert alike(said(bench)[2], recorded[2]) == alike(recorded[2], recorded[2])

    (deletion,) = bench.cloud.of(DeletePod)
    assert deletion.options == frames("c_pod", "edge->cloud", "default/pod/shop", "delete")[0]


def test_what_a_pod_refers_to_is_asked_for_as_recorded(bench: EdgedEnv, shop: Json) -> None:
    bench.start().apply(shop)
    asked = {(each.type, each.namespace, each.name) for each in bench.cloud.of(QueryObject) if each.type != "node"}
    assert asked == {("configmap", "default", "shop-config"), ("secret", "default", "shop-secret")}
    (token,) = bench.cloud.of(RequestToken)
    recorded = frames("c_pod", "edge->cloud", "default/serviceaccounttoken/shop-sa", "query")[0]
    assert (token.namespace, token.name, token.object) == ("default", "shop-sa", recorded)


def test_the_containers_get_what_the_pod_refers_to(bench: EdgedEnv, shop: Json) -> None:
    bench.cloud.objects["configmap", "shop-config"] = {"metadata": {"name": "c"}, "data": {"greeting": "hello"}}
    bench.cloud.objects["secret", "shop-secret"] = {"metadata": {"name": "s"}, "data": {"password": "cGFzcw=="}}
    bench.start().apply(shop)
    (spec,) = bench.engine.specs.values()
    assert (spec.env, spec.network) == ({"GREETING": "hello", "PASSWORD": "pass"}, "host")
    files = {mount.target: Path(mount.source) for mount in spec.mounts}
    assert (files["/config"] / "greeting").read_text(encoding="utf-8") == "hello"
    assert (files["/hidden"] / "password").read_text(encoding="utf-8") == "pass"
    assert (files["/hidden"] / "password").stat().st_mode & 0o777 == 0o600
    assert (files["/token"] / "token").read_text(encoding="utf-8") == "t0ken"


def test_the_node_registers_as_recorded() -> None:
    recorded = frames("a_first_start", "edge->cloud", "null/node/edge-2", "insert")[0]
    host = FakeMachine()
    host.now = msgspec.structs.replace(
        host.now,
        memory=24684092 * 1024,
        memory_available=20 << 30,
        disk=264212084 * 1024,
        disk_available=200 << 30,
    )
    facts = NodeDescription(
        "edge-2", "192.0.2.2", "0.0.0", "containerd://1.6.20", host.info(), "CSINode is not yet initialized"
    )
    ours = node_object(facts, epoch("2026-11-22T19:01:26Z"))
    for each in (recorded, ours):
        for key in ("kubeletVersion", "kubeProxyVersion"):
            assert each["status"]["nodeInfo"].pop(key).startswith("v")
    assert ours == recorded


def test_the_first_start_says_what_was_recorded(bench: EdgedEnv) -> None:
    bench.start()
    bench.harness.advance(LEASE_PERIOD)  # the lease is owned by the node: it is asked for again once that is known
    kinds = [type(each) for each in bench.cloud.said]
    assert kinds.count(RegisterNode) == 1
    assert [kind for kind in kinds if kind in (QueryLease, WriteLease)][:3] == [QueryLease, QueryLease, WriteLease]
    last = msgspec.json.decode(bench.cloud.of(PatchNode)[-1].patch) if bench.cloud.of(PatchNode) else {}
    assert set(last) <= {"status"}
    conditions = {each["type"]: each for each in bench.cloud.node["status"]["conditions"]}  # type: ignore[index]
    assert (conditions["Ready"]["reason"], conditions["Ready"]["message"]) == (
        "EdgeReady",
        "edge is posting ready status",
    )
    lease = bench.cloud.of(WriteLease)[0]
    recorded = frames("a_first_start", "edge->cloud", "kube-node-lease/lease/edge-2", "insert")[0]
    recorded["spec"]["renewTime"] = lease.object["spec"]["renewTime"]
    recorded["metadata"]["ownerReferences"][0]["uid"] = "node-uid"
    assert (lease.operation, lease.object) == ("insert", recorded)
