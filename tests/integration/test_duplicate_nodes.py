"""Two edges of one name: each hears why it lost its link, and the Node has an Event."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubeedge_actors.actors.cloudhub.hub import CLOSED, TAKEN_OVER
from kubeedge_actors.actors.edgecontroller.duplicate_node import NAMESPACE, DuplicateNodeReporter
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes.object_types import EVENT_KIND, NODE_KIND
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire.messages import NodeDuplicated, NodeRemoved, SessionClosed, SessionOpened
from tests.support.env.cloudhub import OURS, CloudHubEnv


@pytest.fixture
def hub() -> Iterator[CloudHubEnv]:
    hub = CloudHubEnv()
    hub.harness.probe(SessionOpened, SessionClosed)
    yield hub
    hub.harness.stop()


def test_an_edge_of_ours_is_told_who_took_over(hub: CloudHubEnv) -> None:
    hub.join("n1", address="10.0.0.1:5", **OURS)
    hub.join("n1", address="10.0.0.2:6", **OURS)
    ((_, reason),) = hub.server.closed
    assert reason == "another connection from 10.0.0.2:6 took over node n1: do two edges have this name?"
    assert hub.server.codes == [TAKEN_OVER]


def test_a_genuine_edge_sees_a_connection_that_ends_and_no_more(hub: CloudHubEnv) -> None:
    hub.join("n1", address="10.0.0.1:5")
    hub.join("n1", address="10.0.0.2:6", **OURS)
    assert hub.server.codes == [0]


def test_other_ends_have_a_code_and_a_reason_too(hub: CloudHubEnv) -> None:
    peer = hub.join("n1", **OURS)
    hub.hear(peer, "no message")
    assert (hub.server.closed, hub.server.codes) == ([(peer, "a malformed message")], [CLOSED])


def test_a_struggle_is_told_to_whoever_writes_events_and_a_reconnect_is_not(hub: CloudHubEnv) -> None:
    struggles = hub.harness.probe(NodeDuplicated)
    for second in range(2):
        hub.join("n1", address=f"10.0.0.{second}:5")
    assert len(struggles) == 0
    for second in range(120):
        hub.join("n1", address=f"10.0.0.{second % 2}:5")
        hub.harness.advance(1.0)
    assert len(struggles) == 2  # once a minute
    told = struggles.take()[0]
    assert told.node == "n1" and "10.0.0.0:5" in told.text and "10.0.0.1:5" in told.text


class Cloud:
    """A DuplicateNodeReporter over an API in memory with one node."""

    def __init__(self) -> None:
        self.api = FakeCluster()
        self.uid = self.api.create(NODE_KIND, "", {"metadata": {"name": "n1"}})["metadata"]["uid"]
        self.harness: Harness = inline(DuplicateNodeReporter.spec(lambda: DuplicateNodeReporter(self.api)))

    def events(self) -> list[dict[str, object]]:
        return self.api.peek_all(EVENT_KIND)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.harness.stop()


def test_the_node_gets_one_event_whose_count_grows(cloud: Cloud) -> None:
    cloud.harness.publish(NodeDuplicated(node="n1", text="taken over 3 times"))
    (event,) = cloud.events()
    assert event["involvedObject"] == {"kind": "Node", "apiVersion": "v1", "name": "n1", "uid": cloud.uid}
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "DuplicateNode", "taken over 3 times")
    assert (event["count"], event["firstTimestamp"]) == (1, event["lastTimestamp"])
    cloud.harness.advance(60.0)
    cloud.harness.publish(NodeDuplicated(node="n1", text="taken over 9 times"))
    (again,) = cloud.events()
    assert (again["count"], again["message"]) == (2, "taken over 9 times")
    assert again["firstTimestamp"] == event["firstTimestamp"] != again["lastTimestamp"]
    assert again["metadata"]["namespace"] == NAMESPACE  # type: ignore[index]


def test_an_api_that_is_away_stops_nothing(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud.api.down = True
    cloud.harness.publish(NodeDuplicated(node="n1", text="x"))
    assert "the event about node n1 can not be written" in caplog.text
    cloud.api.down = False
    cloud.harness.publish(NodeDuplicated(node="n1", text="y"))
    assert [(event["message"], event["count"]) for event in cloud.events()] == [("y", 2)]


def test_a_node_that_is_gone_begins_anew(cloud: Cloud) -> None:
    cloud.harness.publish(NodeDuplicated(node="n1", text="x"))
    cloud.harness.publish(NodeRemoved(node="n1"))
    cloud.api.delete(EVENT_KIND, NAMESPACE, "n1.duplicatenode")
    cloud.harness.publish(NodeDuplicated(node="n1", text="y"))
    assert [event["count"] for event in cloud.events()] == [1]
