"""What each node has is written down, sparingly, and replicas do not fight over it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubeedge_actors.actors.synccontroller.objectsync import NO_VERSION, ObjectSyncRecord, ObjectSyncStore
from kubeedge_actors.actors.synccontroller.objectsync_writer import OBJECTSYNC_WRITER
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.errors import ClusterError, ForbiddenAtStart
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LeadershipChanged, NodeRemoved, ObjectAcked, SessionClosed
from tests.support.api_objects import CLUSTER_SYNC, SYNC, put_node, put_pod
from tests.support.env.synccontroller import ALL, DELETE, UPDATE, N, SyncControllerEnv, new_api, push


@pytest.fixture
def api() -> FakeCluster:
    return new_api()


@pytest.fixture
def sync(api: FakeCluster) -> Iterator[SyncControllerEnv]:
    made = SyncControllerEnv(api)
    yield made
    made.harness.stop()


def test_what_was_acknowledged_is_written_down_and_not_said_again(sync: SyncControllerEnv) -> None:
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


def test_the_records_outlive_the_process(sync: SyncControllerEnv) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.settle()
    again = SyncControllerEnv(sync.api)
    assert again.open() == []
    sync.api.patch(POD_KIND, "default", "p", {"metadata": {"labels": {"a": "b"}}})
    third = SyncControllerEnv(sync.api)
    assert third.open() == [(UPDATE, constants.POD, "p")]


def test_versions_are_written_in_batches_not_one_by_one(sync: SyncControllerEnv) -> None:
    pod = put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    sync.settle()
    before = sync.writes()
    for number in range(100):
        pod = sync.api.patch(POD_KIND, "default", "p", {"metadata": {"labels": {"n": str(number)}}})
        sync.harness.publish(ObjectAcked(node=N, pushed=push(pod)))
    sync.settle()
    assert sync.writes() - before <= 2
    assert sync.records()["p"] == pod["metadata"]["resourceVersion"]


def test_that_a_node_has_something_is_written_soon(sync: SyncControllerEnv) -> None:
    sync.open()
    pod = put_pod(sync.api, "p")
    sync.harness.publish(push(pod, constants.INSERT))
    sync.harness.advance(0.5)
    assert sync.records()["p"] == "0"


def test_nothing_is_taken_for_gone_before_everything_is_known() -> None:
    api = new_api()
    put_pod(api, "p")
    first = SyncControllerEnv(api)
    first.open()
    first.acknowledge()
    first.settle()
    api.down = True
    second = SyncControllerEnv(api)
    assert second.open() == []
    second.harness.advance(60)
    assert second.said() == []
    api.down = False
    second.harness.advance(10)
    assert second.said() == []
    assert len(first.records()) == 2


def test_records_wait_for_an_api_that_is_away(sync: SyncControllerEnv) -> None:
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


def test_a_record_that_the_api_refuses_is_given_up(sync: SyncControllerEnv, caplog: pytest.LogCaptureFixture) -> None:
    forbidden = ClusterError({"code": 403, "reason": "Forbidden", "message": "objectsyncs is forbidden"})
    sync.api.refuse = lambda request: forbidden if request[1] == SYNC.plural else None
    put_pod(sync.api, "p")
    sync.open()
    sync.acknowledge()
    before = sync.writes()
    sync.settle(300)
    assert sync.writes() - before <= 6
    assert "is rejected" in caplog.text


def test_a_record_that_an_api_server_refuses_while_it_comes_up_is_written_later(sync: SyncControllerEnv) -> None:
    early = ForbiddenAtStart({"message": "forbidden", "reason": "Forbidden", "code": 403})
    put_pod(sync.api, "p")
    sync.open()
    sync.api.refuse = lambda request: early if request[1] == SYNC.plural else None
    sync.acknowledge()
    sync.settle(4)
    assert "p" not in sync.records()
    sync.api.refuse = lambda request: None
    sync.settle(6)
    assert sync.records()["p"] == sync.api.get(POD_KIND, "default", "p")["metadata"]["resourceVersion"]


def test_a_deleted_node_takes_its_records_along(sync: SyncControllerEnv) -> None:
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
    sync = SyncControllerEnv(api)
    sync.settle()
    assert set(sync.records()) == {f"{N}.22", "noname"}


def test_a_node_that_registered_anew_is_not_told_that_it_is_gone(sync: SyncControllerEnv) -> None:
    sync.open()
    sync.acknowledge()
    sync.settle()
    sync.api.delete(NODE_KIND, "", N)
    put_node(sync.api)
    assert sync.open() == [(UPDATE, constants.NODE, N)]


def test_another_clouds_record_is_not_overwritten_with_ignorance(sync: SyncControllerEnv) -> None:
    pod = put_pod(sync.api, "p", "edge-9")
    put_node(sync.api, "edge-9")
    name = f"edge-9.{pod['metadata']['uid']}"
    sync.harness.publish(push(pod, node="edge-9"))
    spec = {"objectAPIVersion": "v1", "objectKind": "Pod", "objectName": "p"}
    sync.api.create(SYNC, "default", {"metadata": {"name": name}, "spec": spec})
    sync.api.patch(SYNC, "default", name, {"status": {"objectResourceVersion": "7777"}}, subresource="status")
    sync.settle()
    assert sync.records()["p"] == "7777"


def test_crashes_lose_nothing(sync: SyncControllerEnv) -> None:
    put_pod(sync.api, "p")
    sync.open()
    sync.harness.crash(constants.SYNCCONTROLLER)
    sync.acknowledge()
    put_pod(sync.api, "q")
    sync.harness.crash(OBJECTSYNC_WRITER)
    sync.settle()
    sync.harness.crash(constants.SYNCCONTROLLER)
    sync.settle()
    assert (UPDATE, constants.POD, "q") in sync.said()
    sync.acknowledge()
    sync.settle()
    pods = {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in sync.api.peek_all(POD_KIND)}
    assert {name: sync.records()[name] for name in "pq"} == pods


def test_only_the_replica_that_leads_sweeps(api: FakeCluster) -> None:
    ghost = {"metadata": {"name": "ghost.11"}, "spec": {"objectKind": "Pod", "objectName": "ghost"}}
    sync = SyncControllerEnv(api)
    sync.harness.publish(LeadershipChanged(leading=False))
    api.create(SYNC, "default", ghost)
    sync.settle(200)
    assert set(sync.records()) == {"ghost"}
    sync.harness.publish(LeadershipChanged(leading=True))
    sync.settle()
    assert sync.records() == {}


def test_the_replica_that_has_the_session_writes_the_record_and_the_other_leaves_it(api: FakeCluster) -> None:
    here, there = SyncControllerEnv(api), SyncControllerEnv(api)
    here.open()
    here.acknowledge()
    pod = put_pod(api, "p")
    for store in (there, here):
        store.harness.publish(push(pod, constants.INSERT))
    there.harness.advance(1)
    assert "p" not in here.records()
    here.harness.advance(1)
    here.harness.publish(ObjectAcked(node=N, pushed=push(pod)))
    before = api.count("create", SYNC.plural)
    for _ in range(10):
        for store in (here, there):
            store.harness.advance(7)
    assert (before, api.count("create", SYNC.plural)) == (1, 1)
    assert here.records()["p"] == pod["metadata"]["resourceVersion"]


def test_a_node_that_moves_to_the_other_replica_gets_what_it_missed_and_nothing_twice(api: FakeCluster) -> None:
    here, there = SyncControllerEnv(api), SyncControllerEnv(api)
    for name in ("p", "q"):
        put_pod(api, name)
    here.open()
    here.acknowledge()
    here.settle()
    api.patch(POD_KIND, "default", "q", {"metadata": {"labels": {"a": "b"}}})
    api.delete(POD_KIND, "default", "p", grace=0)
    there.harness.run()
    assert there.open() == [(DELETE, constants.POD, "p"), (UPDATE, constants.POD, "q")]
    there.acknowledge()
    there.settle()
    assert set(there.records()) == {"q", N}
    assert there.said() == []


def test_a_replica_without_the_session_keeps_and_writes_nothing_of_what_is_gone(api: FakeCluster) -> None:
    here, there = SyncControllerEnv(api), SyncControllerEnv(api)
    here.open()
    here.acknowledge()
    for number in range(5):
        pod = put_pod(api, f"p{number}")
        for store in (here, there):
            store.harness.publish(push(pod, constants.INSERT))
        here.harness.publish(ObjectAcked(node=N, pushed=push(pod)))
        here.harness.advance(1)
        api.delete(POD_KIND, "default", f"p{number}", grace=0)
        for store in (here, there):
            store.harness.publish(push(pod, DELETE))
        here.harness.publish(ObjectAcked(node=N, pushed=push(pod, DELETE)))
        here.harness.advance(1)
    for _ in range(10):
        for store in (there, here):
            store.settle(7)
    assert set(here.records()) == {N}
    assert api.count("create", SYNC.plural) == 5


def test_a_ledger_forgets_what_is_dropped_and_takes_no_deletion_of_what_it_never_knew() -> None:
    ledger, record = (
        ObjectSyncStore(),
        ObjectSyncRecord(constants.POD, "default", "p", "uid", version="7", stored_version="7"),
    )
    ledger.load(N, record)
    ledger.on_foreign_record_deleted(N, "uid")
    ledger.on_pushed(
        N, ObjectSyncRecord(constants.POD, "default", "q", "other", pushed_version=NO_VERSION), 0.0, connected=False
    )
    assert ledger.records(N) == [] and ledger.next_due() is None


def test_what_was_being_written_when_its_controller_crashed_is_written_again() -> None:
    ledger = ObjectSyncStore()
    ledger.load(N, ObjectSyncRecord(constants.POD, "default", "p", "gone", version="7", stored_version="7"))
    ledger.on_acked(N, ObjectSyncRecord(constants.POD, "default", "q", "new", version="8"), 0.0)
    ledger.on_deletion_acked(N, "gone", 0.0)
    writes = ledger.take_due(100.0, 10)
    assert {(write.uid, write.version) for write in writes} == {("gone", None), ("new", "8")}
    assert ledger.take_due(200.0, 10) == []
    ledger.requeue_in_flight(200.0)
    again = ledger.take_due(300.0, 10)
    assert {(write.uid, write.version) for write in again} == {("gone", None), ("new", "8")}
