"""A Node says which cloud its link is with."""

from __future__ import annotations

import pytest

from kubeedge_actors.actors.edgecontroller.cloudcore_annotation import CloudCoreAnnotator
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes.object_types import NODE_KIND
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire.messages import SessionOpened


@pytest.fixture
def api() -> FakeCluster:
    made = FakeCluster()
    made.create(NODE_KIND, "", {"metadata": {"name": "n1", "annotations": {"cloudcore": "10.0.0.1", "a": "b"}}})
    return made


def marker(api: FakeCluster, address: str = "10.0.0.2") -> Harness:
    return inline(CloudCoreAnnotator.spec_for(api, address))


def writes(api: FakeCluster) -> int:
    return sum(request[0] == "patch" for request in api.requests)


def test_a_node_that_came_over_from_another_replica_is_marked(api: FakeCluster) -> None:
    with marker(api) as harness:
        harness.publish(SessionOpened(node="n1"))
        harness.run()
    found = api.get(NODE_KIND, "", "n1")["metadata"]["annotations"]
    assert found == {"cloudcore": "10.0.0.2", "a": "b"}


def test_nothing_is_written_when_it_is_true_already_or_the_node_is_not_known(api: FakeCluster) -> None:
    with marker(api, "10.0.0.1") as harness:
        harness.publish(SessionOpened(node="n1"))
        harness.publish(SessionOpened(node="n2"))
        harness.advance(10.0)
        assert harness.crashes == []
    assert writes(api) == 0


def test_an_api_that_is_away_is_asked_three_times(api: FakeCluster, caplog: pytest.LogCaptureFixture) -> None:
    with marker(api) as harness:
        api.down = True
        harness.publish(SessionOpened(node="n1"))
        harness.advance(1.5)
        api.down = False
        harness.advance(1.0)
        assert api.get(NODE_KIND, "", "n1")["metadata"]["annotations"]["cloudcore"] == "10.0.0.2"
        assert not [record for record in caplog.records if "can not be written" in record.message]
        api.down = True
        harness.publish(SessionOpened(node="n1"))
        harness.advance(10.0)
        assert "can not be written" in caplog.text
