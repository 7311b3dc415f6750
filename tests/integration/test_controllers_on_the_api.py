"""EdgeController, DeviceController and SyncController together, on threads, over the real client and the embedded API
server.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubeedge_actors.assembly.cloud_modules import supervision_tree
from kubeedge_actors.drivers.cluster.base import Cluster, EventType
from kubeedge_actors.drivers.store.node_outbox import NodeOutboxDb
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import LEASE_KIND, NODE_KIND, POD_KIND
from kubeedge_actors.supervisors import Actor, ActorSystem, ChildSpec, ThreadsEngine
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    LinkMessage,
    MembershipDetail,
    MembershipUpdate,
    NodeRemoved,
    ObjectAcked,
    ObjectPushed,
    PatchPod,
    RegisterNode,
    ReportStored,
    Response,
    SessionClosed,
    SessionOpened,
    TwinReported,
    WriteLease,
)
from tests.support.api_objects import DEVICE, MODEL, STATUS, SYNC, pod
from tests.support.clusters import Listener, real_cluster
from tests.support.waiting import PATIENCE

N = "edge-1"


class Hub:
    """Plays CloudHub and a node that acknowledges what is pushed to it while it is connected."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.connected = True
        self.runtime = ActorSystem(ThreadsEngine())
        self._condition = threading.Condition()
        self._got: list[Any] = []
        hub = self

        class Receiver(Actor):
            def receive(self, message: object) -> None:
                with hub._condition:
                    hub._got.append(message)
                    hub._condition.notify_all()
                if isinstance(message, ObjectPushed) and hub.connected:
                    self.context.publish(ObjectAcked(node=message.node, pushed=message))

        accepts = (Response, ObjectPushed, NodeRemoved, MembershipUpdate, MembershipDetail, ReportStored)
        self.outbox = NodeOutboxDb(":memory:")
        hub_spec = ChildSpec("hub", Receiver, accepts=accepts)
        self.runtime.start(supervision_tree(hub_spec, cluster, self.outbox, "192.0.2.1"))

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
        """The next push of this sort that is no echo."""
        wanted = (operation, type, False)
        push = self.wait(lambda m: isinstance(m, ObjectPushed) and (m.operation, m.type, m.status_only) == wanted)
        assert isinstance(push, ObjectPushed)
        return push

    def forget(self) -> None:
        """What was got until now does not count."""
        with self._condition:
            self._got.clear()

    def ask(self, request: LinkMessage) -> Any:
        """The content of the answer."""
        self.runtime.publish(request)
        return self.wait(lambda m: isinstance(m, Response) and m.parent_msg_id == request.msg_id).content


@pytest.fixture
def hub() -> Iterator[Hub]:
    with real_cluster() as cluster:
        made = Hub(cluster)
        yield made
        made.runtime.stop(PATIENCE)
        made.outbox.close()


class Records:
    """The names of the objects that the API has a record of; told by a watch, so that nobody has to ask again and
    again.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._listener = Listener()
        cluster.watch(SYNC, self._listener.on_change, self._listener.on_synced)
        self._listener.wait_synced()

    def wait(self, name: str, *, there: bool) -> None:
        """Until there is a record of this object, or is none any more."""

        def last(listener: Listener) -> bool:
            of_it = [change for change in listener.changes if change.object["spec"]["objectName"] == name]
            return bool(of_it) and (of_it[-1].type is not EventType.DELETED) == there

        self._listener.wait(last)


def register(hub: Hub) -> None:
    labels = {well_known.EDGE_LABEL: "", "kubernetes.io/os": "linux"}
    object = {"metadata": {"name": N, "labels": labels}, "spec": {}, "status": {}}
    assert hub.ask(RegisterNode(node=N, name=N, object=object))["Err"] is None
    assert hub.pushed(constants.UPDATE, constants.NODE).object["metadata"]["labels"] == labels
    hub.runtime.publish(SessionOpened(node=N))


def test_a_node_a_pod_and_a_device_live_and_go(hub: Hub) -> None:
    records = Records(hub.cluster)
    register(hub)
    lease = {"metadata": {"name": N, "namespace": well_known.LEASE_NAMESPACE}, "spec": {"holderIdentity": N}}
    made = hub.ask(WriteLease(node=N, operation=constants.INSERT, name=N, object=lease))["Object"]
    assert hub.ask(WriteLease(node=N, operation=constants.UPDATE, name=N, object=made))["Err"] is None
    assert hub.cluster.get(LEASE_KIND, well_known.LEASE_NAMESPACE, N)["spec"]["holderIdentity"] == N

    hub.cluster.create(POD_KIND, "default", pod("p", N))
    uid = hub.pushed(constants.INSERT, constants.POD).object["metadata"]["uid"]
    patch = json.dumps({"metadata": {"uid": uid}, "status": {"phase": "Running"}})
    answer = hub.ask(PatchPod(node=N, namespace="default", name="p", patch=patch))
    assert answer["Object"]["status"]["phase"] == "Running"
    records.wait("p", there=True)
    hub.cluster.delete(POD_KIND, "default", "p", grace=5)
    assert hub.pushed(constants.UPDATE, constants.POD).object["metadata"]["deletionTimestamp"]
    options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
    assert hub.ask(DeletePod(node=N, namespace="default", name="p", options=options)) == constants.OK
    assert hub.pushed(constants.DELETE, constants.POD).object["metadata"]["uid"] == uid
    records.wait("p", there=False)

    properties = [{"name": "power"}]
    hub.cluster.create(MODEL, "default", {"metadata": {"name": "model"}, "spec": {"properties": []}})
    spec = {"nodeName": N, "deviceModelRef": {"name": "model"}, "properties": properties}
    hub.cluster.create(DEVICE, "default", {"metadata": {"name": "lamp"}, "spec": spec})
    hub.pushed(constants.INSERT, constants.DEVICE)
    twin = {"power": {"actual": {"value": "on", "metadata": {"timestamp": 1}}, "metadata": {"type": "string"}}}
    report = TwinReported(node=N, device="default/lamp", report={"twin": twin})
    hub.runtime.publish(report)
    hub.wait(lambda m: isinstance(m, ReportStored) and m.parent_msg_id == report.msg_id)
    for kind in (STATUS, DEVICE):
        status = hub.cluster.get(kind, "default", "lamp")["status"]
        assert status["twins"][0]["reported"]["value"] == "on"

    hub.cluster.delete(NODE_KIND, "", N)
    hub.wait(lambda m: m == NodeRemoved(node=N))


def test_what_happens_while_a_node_is_away_arrives_when_it_is_back(hub: Hub) -> None:
    records = Records(hub.cluster)
    register(hub)
    hub.cluster.create(POD_KIND, "default", pod("old", N))
    hub.pushed(constants.INSERT, constants.POD)
    records.wait("old", there=True)
    hub.connected = False
    hub.runtime.publish(SessionClosed(node=N, reason="cut"))
    hub.cluster.delete(POD_KIND, "default", "old", grace=0)
    hub.cluster.create(POD_KIND, "default", pod("new", N))
    hub.pushed(constants.INSERT, constants.POD)  # in vain: nobody is there
    hub.wait(lambda m: isinstance(m, ObjectPushed) and m.operation == constants.DELETE)
    hub.forget()  # the mark of the deletion, too, when it was not joined with the deletion itself
    hub.connected = True
    hub.runtime.publish(SessionOpened(node=N))
    assert hub.pushed(constants.UPDATE, constants.POD).name == "new"
    assert hub.pushed(constants.DELETE, constants.POD).name == "old"


def test_synccontroller_is_told_of_a_push_before_the_hub_can_drop_it(hub: Hub) -> None:
    assert [ref.name for ref in hub.runtime.registry.subscribers(ObjectPushed)] == [constants.SYNCCONTROLLER, "hub"]
