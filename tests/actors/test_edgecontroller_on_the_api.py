"""EdgeController, DeviceController and SyncController together, on threads, over the real client and the embedded API server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.devicecontroller.actor import specs as device_specs
from kubeedge_actors.actors.edgecontroller.actor import specs as edge_specs
from kubeedge_actors.actors.synccontroller.actor import specs as sync_specs
from kubeedge_actors.drivers.cluster.base import LEASE_KIND, NODE_KIND, POD_KIND, Cluster
from kubeedge_actors.supervisors import Actor, ChildSpec, Runtime, SupervisorSpec, ThreadsEngine
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    Answered,
    DeletePod,
    MembershipChanged,
    MembershipDetailed,
    NodeRemoved,
    ObjectDelivered,
    ObjectPushed,
    PatchPod,
    RegisterNode,
    ReportConfirmed,
    Said,
    SessionClosed,
    SessionOpened,
    TwinReported,
    WriteLease,
)
from tests.actors.api_things import DEVICE, MODEL, STATUS, SYNC, pod
from tests.drivers.clusters import real_cluster

N = "edge-1"
PATIENCE = 15.0


class Hub:
    """Plays CloudHub and a node that acknowledges what is pushed to it while it is connected."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.connected = True
        self.runtime = Runtime(ThreadsEngine())
        self._condition = threading.Condition()
        self._got: list[Any] = []
        hub = self

        class Receiver(Actor):
            def receive(self, message: object) -> None:
                with hub._condition:
                    hub._got.append(message)
                    hub._condition.notify_all()
                if isinstance(message, ObjectPushed) and hub.connected:
                    self.context.publish(ObjectDelivered(node=message.node, pushed=message))

        accepts = (Answered, ObjectPushed, NodeRemoved, MembershipChanged, MembershipDetailed, ReportConfirmed)
        children = [*edge_specs(cluster, "192.0.2.1"), *device_specs(cluster), *sync_specs(cluster)]
        self.runtime.start(SupervisorSpec("test", [ChildSpec("hub", Receiver, accepts=accepts), *children]))

    def wait(self, fits: Callable[[Any], bool]) -> Any:
        """The first message that fits; it is taken."""

        def find() -> Any:
            return next((message for message in self._got if fits(message)), None)

        with self._condition:
            assert self._condition.wait_for(find, PATIENCE), self._got
            found = find()
            self._got.remove(found)
            return found

    def pushed(self, operation: str, type: str) -> ObjectPushed:
        """The next push of this sort."""
        push = self.wait(lambda m: isinstance(m, ObjectPushed) and (m.operation, m.type) == (operation, type))
        assert isinstance(push, ObjectPushed)
        return push

    def ask(self, request: Said) -> Any:
        """The content of the answer."""
        self.runtime.publish(request)
        return self.wait(lambda m: isinstance(m, Answered) and m.parent_msg_id == request.msg_id).content


@pytest.fixture
def hub() -> Iterator[Hub]:
    with real_cluster() as cluster:
        made = Hub(cluster)
        yield made
        made.runtime.stop(5.0)


def eventually(true: Callable[[], object]) -> None:
    """Until it is so; the API tells nobody, so it is asked."""
    pause = threading.Event()
    for _ in range(200):
        if true():
            return
        pause.wait(0.05)
    raise AssertionError("it never became true")


def register(hub: Hub) -> None:
    labels = {names.EDGE_LABEL: "", "kubernetes.io/os": "linux"}
    object = {"metadata": {"name": N, "labels": labels}, "spec": {}, "status": {}}
    assert hub.ask(RegisterNode(node=N, name=N, object=object))["Err"] is None
    assert hub.pushed(names.UPDATE, names.NODE).object["metadata"]["labels"] == labels
    hub.runtime.publish(SessionOpened(node=N))


def test_a_node_a_pod_and_a_device_live_and_go(hub: Hub) -> None:
    register(hub)
    lease = {"metadata": {"name": N, "namespace": names.LEASE_NAMESPACE}, "spec": {"holderIdentity": N}}
    made = hub.ask(WriteLease(node=N, operation=names.INSERT, name=N, object=lease))["Object"]
    assert hub.ask(WriteLease(node=N, operation=names.UPDATE, name=N, object=made))["Err"] is None
    assert hub.cluster.get(LEASE_KIND, names.LEASE_NAMESPACE, N)["spec"]["holderIdentity"] == N

    hub.cluster.create(POD_KIND, "default", pod("p", N))
    uid = hub.pushed(names.INSERT, names.POD).object["metadata"]["uid"]
    patch = '{"metadata":{"uid":"%s"},"status":{"phase":"Running"}}' % uid
    answer = hub.ask(PatchPod(node=N, namespace="default", name="p", patch=patch))
    assert answer["Object"]["status"]["phase"] == "Running"
    eventually(lambda: any(item["spec"]["objectKind"] == "Pod" for item in hub.cluster.list(SYNC).items))
    hub.cluster.delete(POD_KIND, "default", "p", grace=5)
    assert hub.pushed(names.UPDATE, names.POD).object["metadata"]["deletionTimestamp"]
    options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
    assert hub.ask(DeletePod(node=N, namespace="default", name="p", options=options)) == names.OK
    assert hub.pushed(names.DELETE, names.POD).object["metadata"]["uid"] == uid
    eventually(lambda: not any(item["spec"]["objectKind"] == "Pod" for item in hub.cluster.list(SYNC).items))

    properties = [{"name": "power"}]
    hub.cluster.create(MODEL, "default", {"metadata": {"name": "model"}, "spec": {"properties": []}})
    spec = {"nodeName": N, "deviceModelRef": {"name": "model"}, "properties": properties}
    hub.cluster.create(DEVICE, "default", {"metadata": {"name": "lamp"}, "spec": spec})
    hub.pushed(names.INSERT, names.DEVICE)
    twin = {"power": {"actual": {"value": "on", "metadata": {"timestamp": 1}}, "metadata": {"type": "string"}}}
    report = TwinReported(node=N, device="default/lamp", report={"twin": twin})
    hub.runtime.publish(report)
    hub.wait(lambda m: isinstance(m, ReportConfirmed) and m.parent_msg_id == report.msg_id)
    for kind in (STATUS, DEVICE):
        status = hub.cluster.get(kind, "default", "lamp")["status"]
        assert status["twins"][0]["reported"]["value"] == "on"

    hub.cluster.delete(NODE_KIND, "", N)
    hub.wait(lambda m: m == NodeRemoved(node=N))


def test_what_happens_while_a_node_is_away_arrives_when_it_is_back(hub: Hub) -> None:
    register(hub)
    hub.cluster.create(POD_KIND, "default", pod("old", N))
    hub.pushed(names.INSERT, names.POD)
    eventually(lambda: any(item["spec"]["objectName"] == "old" for item in hub.cluster.list(SYNC).items))
    hub.connected = False
    hub.runtime.publish(SessionClosed(node=N, reason="cut"))
    hub.cluster.delete(POD_KIND, "default", "old", grace=0)
    hub.cluster.create(POD_KIND, "default", pod("new", N))
    hub.pushed(names.INSERT, names.POD)  # in vain: nobody is there
    hub.wait(lambda m: isinstance(m, ObjectPushed) and m.operation == names.DELETE)
    hub.connected = True
    hub.runtime.publish(SessionOpened(node=N))
    assert hub.pushed(names.UPDATE, names.POD).name == "new"
    assert hub.pushed(names.DELETE, names.POD).name == "old"
