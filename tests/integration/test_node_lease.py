"""Leases that ride on heart-beats: CloudHub says who is alive, NodeLeaseRenewer renews, NodeLifecycle sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.cloudhub.peer_authorization import admit
from kubeedge_actors.actors.edgecontroller.node_lease import MIN_RENEW_SECONDS, RETRY_SECONDS, NodeLeaseRenewer
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.errors import NotFound
from kubeedge_actors.hubs.rate_limits import JoinRateLimiter
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import LEASE_KIND, NODE_KIND
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import KeepAlive, KeepaliveReceived, NodeRemoved
from tests.support.clusters import real_cluster
from tests.support.env.cloudhub import CloudHubEnv, peer_of

LEASED: dict[str, Any] = {"kubeedge_actors_lease": "1"}


def test_both_sides_have_to_agree_that_beats_renew_leases() -> None:
    door = JoinRateLimiter()
    assert admit(peer_of("n1", **LEASED), door, 0.0).headers == {constants.HEADER_LEASE: "1"}
    assert constants.HEADER_LEASE not in admit(peer_of("n1"), door, 0.0).headers
    assert constants.HEADER_LEASE not in admit(peer_of("n1", kubeedge_actors_lease="2"), door, 0.0).headers


def test_a_beat_of_a_node_that_asked_for_it_is_told_and_no_other() -> None:
    hub = CloudHubEnv()
    alive = hub.harness.probe(KeepaliveReceived)
    hub.hear(hub.join("genuine"), KeepAlive())
    hub.hear(hub.join("ours", **LEASED), KeepAlive())
    assert [message.node for message in alive] == ["ours"]
    hub.harness.stop()


class Cloud:
    """A NodeLeaseRenewer over an API in memory with one registered node."""

    def __init__(self) -> None:
        self.api = FakeCluster()
        self.uid = self.api.create(NODE_KIND, "", {"metadata": {"name": "n1"}})["metadata"]["uid"]
        self.harness: Harness = inline(NodeLeaseRenewer.spec_for(self.api))
        self.harness.run()

    def beat(self, node: str = "n1") -> None:
        self.harness.publish(KeepaliveReceived(node=node))

    def renewed(self, node: str = "n1") -> str:
        return str(self.api.get(LEASE_KIND, well_known.LEASE_NAMESPACE, node)["spec"]["renewTime"])


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.harness.stop()


def test_the_first_beat_makes_the_lease_and_the_node_owns_it(cloud: Cloud) -> None:
    cloud.beat()
    lease = cloud.api.get(LEASE_KIND, well_known.LEASE_NAMESPACE, "n1")
    assert lease["spec"]["holderIdentity"] == "n1"
    assert lease["spec"]["leaseDurationSeconds"] == 40
    assert [(owner["kind"], owner["uid"]) for owner in lease["metadata"]["ownerReferences"]] == [("Node", cloud.uid)]


def test_each_beat_renews_it_but_no_oftener_than_makes_sense(cloud: Cloud) -> None:
    cloud.beat()
    first = cloud.renewed()
    cloud.harness.advance(2.0)
    cloud.beat()
    assert cloud.renewed() == first
    cloud.harness.advance(13.0)
    cloud.beat()
    assert cloud.renewed() > first


def test_a_node_that_is_not_registered_has_no_lease_until_it_is(cloud: Cloud) -> None:
    cloud.beat("n2")
    with pytest.raises(NotFound):
        cloud.renewed("n2")
    cloud.api.create(NODE_KIND, "", {"metadata": {"name": "n2"}})
    cloud.beat("n2")
    assert cloud.renewed("n2")


def test_a_node_that_was_removed_and_came_back_gets_its_lease_at_once(cloud: Cloud) -> None:
    cloud.beat()
    cloud.api.delete(LEASE_KIND, well_known.LEASE_NAMESPACE, "n1")
    cloud.harness.publish(NodeRemoved(node="n1"))
    cloud.beat()
    assert cloud.renewed()


def test_an_api_that_is_away_is_left_alone_for_a_while_and_said_once(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.beat()
    first = cloud.renewed()
    cloud.api.down = True
    for _ in range(3):
        cloud.harness.advance(MIN_RENEW_SECONDS)
        asked = cloud.api.count("patch", "leases")
        cloud.beat()
        cloud.beat()  # within the pause
        assert cloud.api.count("patch", "leases") == asked + 1
    assert caplog.text.count("leases can not be renewed") == 1
    cloud.api.down = False
    cloud.beat()
    assert cloud.renewed() == first
    cloud.harness.advance(RETRY_SECONDS)
    cloud.beat()
    assert cloud.renewed() > first
    assert caplog.text.count("leases can be renewed again") == 1
    cloud.harness.advance(MIN_RENEW_SECONDS)
    cloud.beat()
    assert caplog.text.count("again") == 1


def test_a_lease_that_somebody_else_makes_meanwhile_is_renewed_by_the_next_beat(cloud: Cloud) -> None:
    create = cloud.api.create

    def quicker(*arguments: Any, **more: Any) -> Any:
        create(*arguments, **more)
        return create(*arguments, **more)

    cloud.api.create = quicker  # type: ignore[method-assign]
    cloud.beat()
    first = cloud.renewed()
    cloud.harness.advance(1.0)  # sooner than a lease of ours would be renewed
    cloud.beat()
    assert cloud.renewed() > first


def test_the_embedded_api_takes_it_too() -> None:
    with real_cluster() as api:
        api.create(NODE_KIND, "", {"metadata": {"name": "n1"}})
        harness = inline(NodeLeaseRenewer.spec_for(api))
        harness.publish(KeepaliveReceived(node="n1"))
        harness.advance(15.0)
        harness.publish(KeepaliveReceived(node="n1"))
        lease = api.get(LEASE_KIND, well_known.LEASE_NAMESPACE, "n1")
        assert lease["metadata"]["ownerReferences"][0]["name"] == "n1"
        harness.stop()
