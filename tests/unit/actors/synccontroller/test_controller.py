"""What a node missed is said again, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.synccontroller.controller import ResyncDue
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND, POD_KIND, SECRET_KIND
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import ObjectAcked, ObjectVersionDelivered, SessionClosed
from tests.support.api_objects import DEVICE, MODEL, SYNC, put_config, put_node, put_pod
from tests.support.env.synccontroller import ALL, DELETE, UPDATE, N, SyncControllerEnv, device, new_api, push


@pytest.fixture
def api() -> FakeCluster:
    return new_api()


@pytest.fixture
def sync(api: FakeCluster) -> Iterator[SyncControllerEnv]:
    made = SyncControllerEnv(api)
    yield made
    made.harness.stop()


def test_a_node_that_comes_for_the_first_time_gets_what_is_its_own(api: FakeCluster) -> None:
    put_node(api, "edge-2")
    put_pod(api, "p")
    put_pod(api, "foreign", "edge-2")
    api.create(MODEL, "default", {"metadata": {"name": "model"}})
    api.create(MODEL, "default", {"metadata": {"name": "unused"}})
    api.create(DEVICE, "default", device())
    api.create(DEVICE, "default", device("foreign", "edge-2"))
    sync = SyncControllerEnv(api)
    assert sync.said() == []
    assert sync.open() == sorted([*ALL, (UPDATE, constants.DEVICE, "lamp"), (UPDATE, constants.DEVICEMODEL, "model")])
    by_type = {message.type: message for message in sync.pushes}
    for type, source in ((constants.POD, constants.EDGECONTROLLER), (constants.DEVICE, constants.DEVICECONTROLLER)):
        message = by_type[type]
        assert message.source == source
        assert message.object["kind"]
        assert message.resource_version == message.object["metadata"]["resourceVersion"]
    assert by_type[constants.DEVICEMODEL].source == constants.DEVICECONTROLLER
    assert by_type[constants.NODE].namespace == constants.CLUSTER_SCOPE
    order = [message.type for message in sync.pushes]
    assert order.index(constants.DEVICEMODEL) < order.index(constants.DEVICE)


def test_what_changes_while_a_node_is_away_is_said_when_it_comes_back(sync: SyncControllerEnv) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.patch(POD_KIND, "default", "p", {"metadata": {"labels": {"a": "b"}}})
    put_pod(sync.api, "q")
    sync.settle()
    assert sync.said() == []
    assert sync.open() == [(UPDATE, constants.POD, "p"), (UPDATE, constants.POD, "q")]
    assert {m.object["metadata"]["uid"] for m in sync.pushes} >= {pod["metadata"]["uid"]}


def test_what_was_deleted_while_a_node_was_away_is_deleted_there_with_a_stub(sync: SyncControllerEnv) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.settle()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.delete(POD_KIND, "default", "p", grace=0)
    assert sync.open() == [(DELETE, constants.POD, "p")]
    metadata = {"name": "p", "namespace": "default", "uid": pod["metadata"]["uid"]}
    assert sync.pushes[0].object == {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    assert sync.pushes[0].resource_version == ""
    sync.acknowledge()
    sync.settle()
    assert "p" not in sync.records()
    assert sync.said() == []


def test_the_deletion_of_a_moment_ago_is_left_to_the_controller_that_pushes_it_whole(sync: SyncControllerEnv) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.settle()
    sync.api.delete(POD_KIND, "default", "p", grace=0)
    sync.harness.publish(ResyncDue())
    assert sync.said() == []
    sync.settle()
    assert (DELETE, constants.POD, "p") in sync.said()


def test_a_pod_made_again_under_its_name_is_a_deletion_and_a_pod(sync: SyncControllerEnv) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.delete(POD_KIND, "default", "p", grace=0)
    put_pod(sync.api, "p")
    assert sync.open() == [(DELETE, constants.POD, "p"), (UPDATE, constants.POD, "p")]


def test_a_device_made_anew_is_said_after_the_deletion_of_its_predecessor(sync: SyncControllerEnv) -> None:
    first = sync.api.create(DEVICE, "default", device())
    sync.open()
    sync.acknowledge()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.delete(DEVICE, "default", "lamp")
    second = sync.api.create(DEVICE, "default", device())
    sync.open()
    pushes = [(m.operation, m.object["metadata"]["uid"]) for m in sync.pushes if m.type == constants.DEVICE]
    assert pushes == [(DELETE, first["metadata"]["uid"]), (UPDATE, second["metadata"]["uid"])]


def test_a_deletion_that_was_lost_is_not_said_once_the_node_has_the_successor(sync: SyncControllerEnv) -> None:
    """A genuine edge knows all but pods by name: the late deletion would take the successor away."""
    sync.open()
    sync.acknowledge()
    first = put_config(sync.api, "mine")
    sync.harness.publish(ObjectAcked(node=N, pushed=push(first)))
    sync.settle()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.delete(CONFIGMAP_KIND, "default", "mine")
    second = put_config(sync.api, "mine")
    sync.harness.publish(ObjectAcked(node=N, pushed=push(second)))
    assert sync.open() == []
    sync.settle()
    assert sync.said() == []
    assert len([record for record in sync.api.peek_all(SYNC) if record["spec"]["objectName"] == "mine"]) == 1


def test_a_device_that_moved_away_is_deleted_where_it_was(sync: SyncControllerEnv) -> None:
    put_node(sync.api, "edge-2")
    sync.api.create(MODEL, "default", {"metadata": {"name": "model"}})
    sync.api.create(DEVICE, "default", device())
    sync.open()
    sync.acknowledge()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.patch(DEVICE, "default", "lamp", {"spec": {"nodeName": "edge-2"}})
    assert sync.open() == [(DELETE, constants.DEVICE, "lamp"), (DELETE, constants.DEVICEMODEL, "model")]
    assert {m.source for m in sync.pushes} == {constants.DEVICECONTROLLER}
    assert (UPDATE, constants.DEVICE, "lamp") in sync.open("edge-2")


def test_a_pushed_object_that_was_not_acknowledged_is_said_again_after_the_reconnect(sync: SyncControllerEnv) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.harness.publish(push(pod))
    sync.hub.take()
    assert (UPDATE, constants.POD, "p") in sync.open()


def test_a_push_under_way_is_not_said_twice_within_a_session(sync: SyncControllerEnv) -> None:
    sync.open()
    sync.acknowledge()
    pod = put_pod(sync.api, "p")
    sync.harness.publish(push(pod, constants.INSERT))
    sync.hub.take()
    sync.harness.advance(20)
    assert sync.said() == []
    sync.harness.advance(20)
    assert sync.said() == [(UPDATE, constants.POD, "p")]


def test_a_config_map_is_a_nodes_once_it_was_given_it(sync: SyncControllerEnv) -> None:
    sync.open()
    sync.acknowledge()
    mine, other = put_config(sync.api, "mine"), put_config(sync.api, "other")
    sync.harness.publish(ObjectAcked(node=N, pushed=push(mine)))
    sync.hub.take()
    sync.settle()
    assert sync.said() == []
    assert other["metadata"]["name"] not in sync.records()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.patch(CONFIGMAP_KIND, "default", "mine", {"data": {"a": "b"}})
    assert sync.open() == [(UPDATE, constants.CONFIGMAP, "mine")]
    assert sync.pushes[0].object["data"] == {"a": "b"}  # fetched, because the watch keeps no contents
    sync.acknowledge()
    sync.api.delete(CONFIGMAP_KIND, "default", "mine")
    sync.harness.advance(10)
    assert sync.said() == [(DELETE, constants.CONFIGMAP, "mine")]


def test_an_object_that_vanishes_while_it_is_fetched_is_a_deletion(sync: SyncControllerEnv) -> None:
    secret = sync.api.create(SECRET_KIND, "default", {"metadata": {"name": "s"}, "data": {}})
    sync.harness.publish(push(secret))
    real = sync.api.get

    def late(kind: Any, namespace: str, name: str) -> Any:
        sync.api.get = real  # type: ignore[method-assign]
        sync.api.delete(kind, namespace, name)
        return real(kind, namespace, name)

    sync.api.get = late  # type: ignore[method-assign]
    sync.hub.take()
    assert (DELETE, constants.SECRET, "s") in sync.open()


def test_an_object_that_can_not_be_fetched_now_is_said_later(
    sync: SyncControllerEnv, caplog: pytest.LogCaptureFixture
) -> None:
    mine = put_config(sync.api, "mine")
    sync.open()
    sync.harness.publish(ObjectAcked(node=N, pushed=push(mine)))
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.api.patch(CONFIGMAP_KIND, "default", "mine", {"data": {"a": "b"}})
    forbidden = ClusterError({"code": 403, "reason": "Forbidden", "message": "not yet"})
    sync.api.refuse = lambda request: forbidden if request[:2] == ("get", "configmaps") else None
    assert (UPDATE, constants.CONFIGMAP, "mine") not in sync.open()
    assert "configmap mine can not be fetched for edge-1: not yet" in caplog.text
    sync.api.refuse = lambda request: None
    sync.harness.advance(40)
    assert (UPDATE, constants.CONFIGMAP, "mine") in sync.said()


def test_the_nodes_own_status_is_not_said_back_and_that_of_others_is(sync: SyncControllerEnv) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    patched = sync.api.patch(POD_KIND, "default", "p", {"status": {"phase": "Running"}}, subresource="status")
    metadata = patched["metadata"]
    seen = ObjectVersionDelivered(
        node=N,
        type=constants.POD,
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
    assert sync.said() == [(UPDATE, constants.POD, "p")]


def test_an_answer_does_not_stand_for_a_push_that_got_lost(sync: SyncControllerEnv) -> None:
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
    seen = ObjectVersionDelivered(
        node=N, type=constants.POD, namespace="default", name="p", uid=pod["metadata"]["uid"], resource_version=version
    )
    sync.harness.publish(seen)
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.hub.take()
    assert sync.open() == [(UPDATE, constants.POD, "p")]
    assert sync.pushes[0].object["metadata"]["deletionTimestamp"]


def test_reported_twins_in_a_device_are_not_said_back(sync: SyncControllerEnv) -> None:
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
    assert sync.said() == [(UPDATE, constants.DEVICE, "lamp")]
