"""A device that moved to another node begins there with an empty status, whenever it moved."""

from __future__ import annotations

import pytest

from kubeedge_actors.drivers.cluster.base import AWAY_BACKOFF_MAX
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.wire import constants
from tests.support.api_objects import DEVICE, STATUS
from tests.support.env.devicecontroller import Devices, N, put_device, put_model, reported, twin

OTHER = "edge-2"


@pytest.fixture
def api() -> FakeCluster:
    """With a lamp of which its node has reported, and no cloud."""
    made = FakeCluster()
    put_model(made)
    put_device(made)
    cloud = Devices(made)
    cloud.report(reported(power=twin(actual="on"), level=twin(actual="3")))
    assert [each["reported"]["value"] for each in cloud.status()["twins"]] == ["on", "3"]
    made.close()
    return made


def move(api: FakeCluster, node: str) -> None:
    api.patch(DEVICE, "default", "lamp", {"spec": {"nodeName": node}})


def shown(api: FakeCluster) -> list[str]:
    return [
        each["reported"]["value"]
        for kind in (STATUS, DEVICE)
        for each in api.get(kind, "default", "lamp")["status"].get("twins") or ()
    ]


def test_a_status_says_which_node_has_reported_it(api: FakeCluster) -> None:
    status = api.get(STATUS, "default", "lamp")
    assert status["metadata"]["annotations"] == {constants.NODE_ANNOTATION: N}


@pytest.mark.parametrize("node", [OTHER, ""])
def test_a_device_that_moved_while_no_cloud_ran_begins_empty(api: FakeCluster, node: str) -> None:
    move(api, node)
    cloud = Devices(api)
    cloud.harness.advance(1.0)
    assert shown(api) == []
    assert (api.get(STATUS, "default", "lamp")["metadata"].get("annotations") or {}).get(
        constants.NODE_ANNOTATION, ""
    ) == node


def test_what_the_new_node_reported_first_is_kept(api: FakeCluster) -> None:
    move(api, OTHER)
    cloud = Devices(api)
    cloud.report(reported(node=OTHER, power=twin(actual="off")))
    cloud.harness.advance(60.0)
    assert shown(api) == ["off", "off"]


def test_a_device_that_did_not_move_keeps_its_values_and_costs_no_write(api: FakeCluster) -> None:
    before = api.count("patch", "devicestatuses")
    cloud = Devices(api)
    cloud.harness.advance(60.0)
    assert shown(api) == ["on", "3"] * 2
    assert api.count("patch", "devicestatuses") == before
    assert api.count("list", "devicestatuses") == 2  # one for each cloud


def test_a_status_of_which_nobody_knows_the_reporter_is_taken_for_the_nodes(api: FakeCluster) -> None:
    api.patch(STATUS, "default", "lamp", {"metadata": {"annotations": None}})
    cloud = Devices(api)
    cloud.report(reported(level=twin(actual="4")))
    assert shown(api) == ["on", "4"] * 2
    assert api.get(STATUS, "default", "lamp")["metadata"]["annotations"] == {constants.NODE_ANNOTATION: N}


def test_an_api_that_is_away_at_the_start_is_asked_again(api: FakeCluster) -> None:
    move(api, OTHER)
    refuse = ClusterError({"code": 503, "reason": "ServiceUnavailable", "message": "not yet"})
    api.refuse = lambda request: refuse if request[1] == "devicestatuses" else None
    cloud = Devices(api)
    cloud.harness.advance(60.0)
    api.refuse = lambda request: None
    cloud.harness.advance(AWAY_BACKOFF_MAX + 1.0)
    assert shown(api) == []


def test_where_listing_is_not_allowed_the_first_report_of_the_new_node_replaces_all(
    api: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    move(api, OTHER)
    forbidden = ClusterError({"code": 403, "reason": "Forbidden", "message": "devicestatuses is forbidden"})
    api.refuse = lambda request: forbidden if request[0] == "list" else None
    cloud = Devices(api)
    cloud.harness.advance(60.0)
    assert shown(api) == ["on", "3"] * 2
    assert "can not be listed: devicestatuses is forbidden" in caplog.text
    cloud.report(reported(node=OTHER, level=twin(actual="7")))
    assert shown(api) == ["7", "7"]
