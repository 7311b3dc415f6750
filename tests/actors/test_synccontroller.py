"""What a node missed is said again, what it has is written down, and neither is overdone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubeedge_actors.actors.synccontroller.actor import specs
from kubeedge_actors.actors.synccontroller.clerk import CLERK
from kubeedge_actors.drivers.cluster.base import CONFIGMAP_KIND, NODE_KIND, POD_KIND, SECRET_KIND
from kubeedge_actors.drivers.cluster.fake import FakeCluster
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    NodeRemoved,
    ObjectDelivered,
    ObjectPushed,
    ObjectSeen,
    SessionClosed,
    SessionOpened,
)
from tests.actors.api_things import CLUSTER_SYNC, DEVICE, MODEL, SYNC, put_config, put_node, put_pod

N = "edge-1"
UPDATE, DELETE = names.UPDATE, names.DELETE


def new_api() -> FakeCluster:
    api = FakeCluster(with_status=(SYNC.plural, CLUSTER_SYNC.plural))
    put_node(api)
    return api


class Sync:
    """A SyncController with its clerk, the pushes it says, and a node that acknowledges when asked to."""

    def __init__(self, api: FakeCluster) -> None:
        self.api = api
        self.harness = inline(*specs(api))
        self.hub = self.harness.probe(ObjectPushed)
        self.harness.run()

    def open(self, node: str = N) -> list[tuple[str, str, str]]:
        self.harness.publish(SessionOpened(node=node))
        return self.said()

    def said(self) -> list[tuple[str, str, str]]:
        """Operation, type and name of what was pushed, in the order of types and names."""
        self.pushes = self.hub.take()
        return sorted((m.operation, m.type, m.name) for m in self.pushes)

    def acknowledge(self) -> None:
        """As if the node had acknowledged the last pushes."""
        for push in self.pushes:
            self.harness.publish(ObjectDelivered(node=push.node, pushed=push))

    def settle(self, seconds: float = 70.0) -> None:
        """Let everything be written down."""
        self.harness.advance(seconds)

    def records(self) -> dict[str, str]:
        """What the API has: object name -> version."""
        found = [*self.api.peek_all(SYNC), *self.api.peek_all(CLUSTER_SYNC)]
        return {each["spec"]["objectName"]: each.get("status", {}).get("objectResourceVersion", "") for each in found}

    def writes(self) -> int:
        return sum(verb in ("create", "patch", "delete") and "sync" in plural for verb, plural, *_ in self.api.requests)


@pytest.fixture
def api() -> FakeCluster:
    return new_api()


@pytest.fixture
def sync(api: FakeCluster) -> Iterator[Sync]:
    made = Sync(api)
    yield made
    made.harness.stop()


def push(object: dict[str, Any], operation: str = UPDATE, node: str = N) -> ObjectPushed:
    """As a controller pushes it."""
    metadata = object["metadata"]
    return ObjectPushed(
        node=node,
        operation=operation,
        type=object["kind"].lower(),
        namespace=metadata.get("namespace", names.CLUSTER_SCOPE),
        name=metadata["name"],
        object=object,
        resource_version=metadata["resourceVersion"],
    )


def device(name: str = "lamp", node: str = N) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "deviceModelRef": {"name": "model"}}}


ALL = [(UPDATE, names.NODE, N), (UPDATE, names.POD, "p")]


def test_a_node_that_comes_for_the_first_time_gets_what_is_its_own(api: FakeCluster) -> None:
    put_node(api, "edge-2")
    put_pod(api, "p")
    put_pod(api, "foreign", "edge-2")
    api.create(MODEL, "default", {"metadata": {"name": "model"}})
    api.create(MODEL, "default", {"metadata": {"name": "unused"}})
    api.create(DEVICE, "default", device())
    api.create(DEVICE, "default", device("foreign", "edge-2"))
    sync = Sync(api)
    assert sync.said() == []
    assert sync.open() == sorted([*ALL, (UPDATE, names.DEVICE, "lamp"), (UPDATE, names.DEVICEMODEL, "model")])
    by_type = {message.type: message for message in sync.pushes}
    for type, source in ((names.POD, names.EDGECONTROLLER), (names.DEVICE, names.DEVICECONTROLLER)):
        message = by_type[type]
        assert message.source == source
        assert message.object["kind"]
        assert message.resource_version == message.object["metadata"]["resourceVersion"]
    assert by_type[names.DEVICEMODEL].source == names.DEVICECONTROLLER
    assert by_type[names.NODE].namespace == names.CLUSTER_SCOPE
    order = [message.type for message in sync.pushes]
    assert order.index(names.DEVICEMODEL) < order.index(names.DEVICE)


def test_what_was_acknowledged_is_written_down_and_not_said_again(sync: Sync) -> None:
    pod = put_pod(sync.api, "p")
    assert sync.open() == ALL
    sync.acknowledge()
    sync.settle()
    node = sync.api.get(NODE_KIND, "", N)
    assert sync.records() == {"p": pod["metadata"]["resourceVersion"], N: node["metadata"]["resourceVersion"]}
    record = sync.api.get(SYNC, "default", f"{N}.{pod['metadata']['uid']}")
    assert record["spec"] == {"objectAPIVersion": "v1", "objectKind": "Pod", "objectName": "p"}
    assert sync.api.get(CLUSTER_SYNC, "", f"{N}.{node['metadata']['uid']}")["spec"]["objectKind"] == "Node"
    sync.harness.publish(SessionClosed(node=N, reason="x"))
    assert sync.open() == []


def test_the_records_outlive_the_process(sync: Sync) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.settle()
    again = Sync(sync.api)
    assert again.open() == []
    sync.api.patch(POD_KIND, "default", "p", {"metadata": {"labels": {"a": "b"}}})
    third = Sync(sync.api)
    assert third.open() == [(UPDATE, names.POD, "p")]


def test_what_changes_while_a_node_is_away_is_said_when_it_comes_back(sync: Sync) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.patch(POD_KIND, "default", "p", {"metadata": {"labels": {"a": "b"}}})
    put_pod(sync.api, "q")
    sync.settle()
    assert sync.said() == []
    assert sync.open() == [(UPDATE, names.POD, "p"), (UPDATE, names.POD, "q")]
    assert {m.object["metadata"]["uid"] for m in sync.pushes} >= {pod["metadata"]["uid"]}


def test_what_was_deleted_while_a_node_was_away_is_deleted_there_with_a_stub(sync: Sync) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.settle()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.delete(POD_KIND, "default", "p", grace=0)
    assert sync.open() == [(DELETE, names.POD, "p")]
    metadata = {"name": "p", "namespace": "default", "uid": pod["metadata"]["uid"]}
    assert sync.pushes[0].object == {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    assert sync.pushes[0].resource_version == ""
    sync.acknowledge()
    sync.settle()
    assert "p" not in sync.records()
    assert sync.said() == []


def test_a_pod_made_again_under_its_name_is_a_deletion_and_a_pod(sync: Sync) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.delete(POD_KIND, "default", "p", grace=0)
    put_pod(sync.api, "p")
    assert sync.open() == [(DELETE, names.POD, "p"), (UPDATE, names.POD, "p")]


def test_a_device_made_anew_is_said_after_the_deletion_of_its_predecessor(sync: Sync) -> None:
    first = sync.api.create(DEVICE, "default", device())
    sync.open()
    sync.acknowledge()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.delete(DEVICE, "default", "lamp")
    second = sync.api.create(DEVICE, "default", device())
    sync.open()
    said = [(m.operation, m.object["metadata"]["uid"]) for m in sync.pushes if m.type == names.DEVICE]
    assert said == [(DELETE, first["metadata"]["uid"]), (UPDATE, second["metadata"]["uid"])]


def test_a_device_that_moved_away_is_deleted_where_it_was(sync: Sync) -> None:
    put_node(sync.api, "edge-2")
    sync.api.create(MODEL, "default", {"metadata": {"name": "model"}})
    sync.api.create(DEVICE, "default", device())
    sync.open()
    sync.acknowledge()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.patch(DEVICE, "default", "lamp", {"spec": {"nodeName": "edge-2"}})
    assert sync.open() == [(DELETE, names.DEVICE, "lamp"), (DELETE, names.DEVICEMODEL, "model")]
    assert {m.source for m in sync.pushes} == {names.DEVICECONTROLLER}
    assert (UPDATE, names.DEVICE, "lamp") in sync.open("edge-2")


def test_a_pushed_object_that_was_not_acknowledged_is_said_again_after_the_reconnect(sync: Sync) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.harness.publish(push(pod))
    sync.hub.take()
    assert (UPDATE, names.POD, "p") in sync.open()


def test_a_push_under_way_is_not_said_twice_within_a_session(sync: Sync) -> None:
    sync.open()
    sync.acknowledge()
    pod = put_pod(sync.api, "p")
    sync.harness.publish(push(pod, names.INSERT))
    sync.hub.take()
    sync.harness.advance(20)
    assert sync.said() == []
    sync.harness.advance(20)
    assert sync.said() == [(UPDATE, names.POD, "p")]


def test_a_config_map_is_a_nodes_once_it_was_given_it(sync: Sync) -> None:
    sync.open()
    sync.acknowledge()
    mine, other = put_config(sync.api, "mine"), put_config(sync.api, "other")
    sync.harness.publish(ObjectDelivered(node=N, pushed=push(mine)))
    sync.hub.take()
    sync.settle()
    assert sync.said() == []
    assert other["metadata"]["name"] not in sync.records()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.patch(CONFIGMAP_KIND, "default", "mine", {"data": {"a": "b"}})
    assert sync.open() == [(UPDATE, names.CONFIGMAP, "mine")]
    assert sync.pushes[0].object["data"] == {"a": "b"}  # fetched, because the watch keeps no contents
    sync.acknowledge()
    sync.api.delete(CONFIGMAP_KIND, "default", "mine")
    sync.harness.advance(10)
    assert sync.said() == [(DELETE, names.CONFIGMAP, "mine")]


def test_an_object_that_vanishes_while_it_is_fetched_is_a_deletion(sync: Sync) -> None:
    secret = sync.api.create(SECRET_KIND, "default", {"metadata": {"name": "s"}, "data": {}})
    sync.harness.publish(push(secret))
    real = sync.api.get

    def late(kind: Any, namespace: str, name: str) -> Any:
        sync.api.get = real  # type: ignore[method-assign]
        sync.api.delete(kind, namespace, name)
        return real(kind, namespace, name)

    sync.api.get = late  # type: ignore[method-assign]
    sync.hub.take()
    assert (DELETE, names.SECRET, "s") in sync.open()


def test_the_nodes_own_status_is_not_said_back_and_that_of_others_is(sync: Sync) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    patched = sync.api.patch(POD_KIND, "default", "p", {"status": {"phase": "Running"}}, subresource="status")
    metadata = patched["metadata"]
    seen = ObjectSeen(
        node=N,
        type=names.POD,
        namespace="default",
        name="p",
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
    )
    sync.harness.publish(seen)
    sync.harness.advance(20)
    assert sync.said() == []
    sync.settle()
    assert sync.records()["p"] == metadata["resourceVersion"]
    sync.api.patch(POD_KIND, "default", "p", {"status": {"phase": "Unknown"}}, subresource="status")
    sync.harness.advance(11)
    assert sync.said() == [(UPDATE, names.POD, "p")]


def test_an_answer_does_not_stand_for_a_push_that_got_lost(sync: Sync) -> None:
    """The node patched its status after the deletion mark was pushed in vain:

    it has seen the mark but did not act upon it.
    """
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.api.delete(POD_KIND, "default", "p", grace=30)
    sync.harness.publish(push(sync.api.get(POD_KIND, "default", "p")))
    patched = sync.api.patch(POD_KIND, "default", "p", {"status": {"phase": "Running"}}, subresource="status")
    version = patched["metadata"]["resourceVersion"]
    seen = ObjectSeen(
        node=N, type=names.POD, namespace="default", name="p", uid=pod["metadata"]["uid"], resource_version=version
    )
    sync.harness.publish(seen)
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.hub.take()
    assert sync.open() == [(UPDATE, names.POD, "p")]
    assert sync.pushes[0].object["metadata"]["deletionTimestamp"]


def test_reported_twins_in_a_device_are_not_said_back(sync: Sync) -> None:
    sync.api.create(DEVICE, "default", device())
    sync.open()
    sync.acknowledge()
    for number in range(20):
        sync.api.patch(DEVICE, "default", "lamp", {"status": {"twins": [{"propertyName": str(number)}]}})
        sync.harness.advance(6)
    assert sync.said() == []
    before = sync.writes()
    sync.settle(180)
    assert sync.writes() - before <= 2  # its version, at leisure
    sync.api.patch(DEVICE, "default", "lamp", {"spec": {"protocol": {"protocolName": "x"}}})
    sync.harness.advance(6)
    assert sync.said() == [(UPDATE, names.DEVICE, "lamp")]


def test_versions_are_written_in_batches_not_one_by_one(sync: Sync) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.settle()
    before = sync.writes()
    for number in range(100):
        pod = sync.api.patch(POD_KIND, "default", "p", {"metadata": {"labels": {"n": str(number)}}})
        sync.harness.publish(ObjectDelivered(node=N, pushed=push(pod)))
    sync.settle()
    assert sync.writes() - before <= 2
    assert sync.records()["p"] == pod["metadata"]["resourceVersion"]


def test_that_a_node_has_something_is_written_soon(sync: Sync) -> None:
    sync.open()
    pod = put_pod(sync.api, "p")
    sync.harness.publish(push(pod, names.INSERT))
    sync.harness.advance(0.5)
    assert sync.records()["p"] == "0"


def test_nothing_is_taken_for_gone_before_everything_is_known() -> None:
    api = new_api()
    put_pod(api, "p")
    first = Sync(api)
    first.open()
    first.acknowledge()
    first.settle()
    api.down = True
    second = Sync(api)
    assert second.open() == []
    second.harness.advance(60)
    assert second.said() == []
    api.down = False
    second.harness.advance(10)
    assert second.said() == []
    assert len(first.records()) == 2


def test_records_wait_for_an_api_that_is_away(sync: Sync) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.settle(1)
    sync.api.down = True
    sync.acknowledge()
    before = sync.writes()
    sync.settle(60)
    assert sync.writes() - before < 30
    sync.api.down = False
    sync.settle(20)
    assert sync.records()["p"] == pod["metadata"]["resourceVersion"]


def test_a_record_that_the_api_refuses_is_given_up(sync: Sync, caplog: pytest.LogCaptureFixture) -> None:
    forbidden = ClusterError({"code": 403, "reason": "Forbidden", "message": "objectsyncs is forbidden"})
    sync.api.refuse = lambda request: forbidden if request[1] == SYNC.plural else None
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    before = sync.writes()
    sync.settle(300)
    assert sync.writes() - before <= 6
    assert "is not kept" in caplog.text


def test_a_deleted_node_takes_its_records_along(sync: Sync) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.settle()
    sync.harness.publish(SessionClosed(node=N, reason="x"))
    sync.api.delete(NODE_KIND, "", N)
    sync.harness.publish(NodeRemoved(node=N))
    sync.settle()
    assert sync.records() == {}


def test_records_of_nodes_that_nobody_knows_are_swept_and_strange_ones_left_alone(api: FakeCluster) -> None:
    for name, kind in (("ghost.11", "Pod"), (f"{N}.22", "ServiceAccountAccess"), ("noname", "Pod")):
        api.create(SYNC, "default", {"metadata": {"name": name}, "spec": {"objectKind": kind, "objectName": name}})
    sync = Sync(api)
    sync.settle()
    assert set(sync.records()) == {f"{N}.22", "noname"}


def test_a_node_that_registered_anew_is_not_told_that_it_is_gone(sync: Sync) -> None:
    sync.open()
    sync.acknowledge()
    sync.settle()
    sync.api.delete(NODE_KIND, "", N)
    put_node(sync.api)
    assert sync.open() == [(UPDATE, names.NODE, N)]


def test_another_clouds_record_is_not_overwritten_with_ignorance(sync: Sync) -> None:
    pod = put_pod(sync.api, "p", "edge-9")
    put_node(sync.api, "edge-9")
    name = f"edge-9.{pod['metadata']['uid']}"
    sync.harness.publish(push(pod, node="edge-9"))
    spec = {"objectAPIVersion": "v1", "objectKind": "Pod", "objectName": "p"}
    sync.api.create(SYNC, "default", {"metadata": {"name": name}, "spec": spec})
    sync.api.patch(SYNC, "default", name, {"status": {"objectResourceVersion": "7777"}}, subresource="status")
    sync.settle()
    assert sync.records()["p"] == "7777"


def test_crashes_lose_nothing(sync: Sync) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.harness.crash(names.SYNCCONTROLLER)
    sync.acknowledge()
    put_pod(sync.api, "q")
    sync.harness.crash(CLERK)
    sync.settle()
    sync.harness.crash(names.SYNCCONTROLLER)
    sync.settle()
    assert (UPDATE, names.POD, "q") in sync.said()
    sync.acknowledge()
    sync.settle()
    pods = {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in sync.api.peek_all(POD_KIND)}
    assert {name: sync.records()[name] for name in "pq"} == pods


ACTIONS = st.lists(
    st.sampled_from(
        ["open", "close", "ack", "ignore", "add", "label", "status", "delete", "wait", "crash", "restart", "api"]
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ACTIONS)
def test_whatever_happens_in_the_end_a_connected_node_has_what_there_is(actions: list[str]) -> None:
    api = new_api()
    sync, has, number = Sync(api), {}, 0  # type: ignore[var-annotated]

    def hear(acknowledge: bool) -> None:
        """The node takes what is said to it, as EdgeController and SyncController say it; its acknowledgement may get
        lost.
        """
        for message in sync.hub.take():
            uid = message.object["metadata"]["uid"]
            if message.operation == DELETE:
                has.pop(uid, None)
            else:
                has[uid] = message.object
            if acknowledge:
                sync.harness.publish(ObjectDelivered(node=N, pushed=message))

    for action in actions:
        pods = api.peek_all(POD_KIND)
        if api.down and action in ("add", "label", "status", "delete"):
            continue  # nobody can write then
        if action == "open":
            sync.hub.take()
            sync.harness.publish(SessionOpened(node=N))
        elif action == "close":
            sync.harness.publish(SessionClosed(node=N, reason="cut"))
            sync.hub.take()
        elif action in ("ack", "ignore"):
            hear(action == "ack")
        elif action == "add":
            number += 1
            put_pod(api, f"p{number}")
        elif action == "label" and pods:
            number += 1
            api.patch(POD_KIND, "default", pods[0]["metadata"]["name"], {"metadata": {"labels": {"n": str(number)}}})
        elif action == "status" and pods:
            number += 1
            name = pods[-1]["metadata"]["name"]
            api.patch(POD_KIND, "default", name, {"status": {"n": str(number)}}, subresource="status")
        elif action == "delete" and pods:
            api.delete(POD_KIND, "default", pods[0]["metadata"]["name"], grace=0)
        elif action == "wait":
            sync.harness.advance(7)
        elif action == "crash":
            sync.harness.crash(names.SYNCCONTROLLER)
        elif action == "restart":
            sync.harness.advance(1)
            sync.harness.stop()
            sync = Sync(api)
        elif action == "api":
            api.down = not api.down
    api.down = False
    sync.harness.advance(60)
    sync.hub.take()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.harness.publish(SessionOpened(node=N))
    for _ in range(3):
        hear(acknowledge=True)
        sync.harness.advance(70)
    hear(acknowledge=True)
    sync.harness.advance(70)
    there = {object["metadata"]["uid"]: object for kind in (POD_KIND, NODE_KIND) for object in api.peek_all(kind)}
    assert has == there
    assert sync.said() == []
    assert len(sync.records()) == len(there)
    sync.harness.stop()
