"""What is said about the node: registration, lease and status, over good and bad answers and a link that comes and
goes.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.edged.messages import LinkState
from kubeedge_actors.actors.edged.status.node_status import NodeDescription, node_object, node_status
from kubeedge_actors.actors.edged.status.node_status_manager import LEASE_PERIOD, NodeStatusManager
from kubeedge_actors.drivers.machine.fake import FakeMachine
from kubeedge_actors.wire.messages import (
    LinkMessage,
    PatchNode,
    QueryLease,
    QueryObject,
    RegisterNode,
    UpdateNode,
    WriteLease,
)
from tests.support.env.edged import error

NOW = 1_700_000_000.0


class Talk:
    """A NodeStatusManager with a clock, and what it said by type."""

    def __init__(self) -> None:
        self.host, self.now, self.trouble = FakeMachine(), NOW, ""
        link = LinkState()
        link.up = True
        self.talk = NodeStatusManager("edge-1", self.facts, link)
        self.said: list[LinkMessage] = []

    def facts(self) -> NodeDescription:
        return NodeDescription("edge-1", "192.0.2.2", "0.1.0", "fake://1", self.host.info(), self.trouble)

    def step(self, seconds: float = 0.0) -> list[type]:
        self.now += seconds
        self.said = self.talk.next_messages(self.now)
        return [type(message) for message in self.said]

    def answer(self, kind: type[LinkMessage], content: Any) -> None:
        (request,) = [message for message in self.said if type(message) is kind]
        assert self.talk.on_response(request.msg_id, content, self.now)

    def one(self, kind: type[LinkMessage]) -> Any:
        (matching,) = [message for message in self.said if type(message) is kind]
        return matching

    def register(self) -> None:
        self.step()
        self.answer(QueryObject, error("NotFound"))
        self.answer(QueryLease, {"Object": None, "Err": error("NotFound")})
        made = node_object(self.facts(), self.now)
        made["metadata"]["uid"] = "node-uid"
        self.answer(RegisterNode, {"Object": made, "Err": None})
        self.step()
        self.answer(PatchNode, {"Object": made, "Err": None})
        self.step(LEASE_PERIOD)  # the node owns its lease: it is asked for again once the node is known
        self.answer(QueryLease, {"Object": None, "Err": error("NotFound")})
        self.step()
        lease = {**self.one(WriteLease).object}
        self.answer(WriteLease, {"Object": lease, "Err": None})


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_new_node_asks_for_its_lease_and_registers(talk: Talk) -> None:
    assert talk.step() == [QueryObject, QueryLease, RegisterNode]
    assert talk.step() == []


def test_the_lease_is_written_once_the_node_has_a_uid_and_renewed_three_times_in_its_life(talk: Talk) -> None:
    talk.register()
    assert WriteLease not in talk.step(11.9)
    assert WriteLease in talk.step(0.2)
    assert talk.one(WriteLease).operation == "update"
    before = talk.one(WriteLease).object
    talk.answer(WriteLease, {"Object": {**before, "metadata": {"resourceVersion": "7"}}, "Err": None})
    talk.step(12.0)
    assert talk.one(WriteLease).object["metadata"] == {"resourceVersion": "7"}


def test_who_wrote_which_field_of_the_lease_does_not_travel_with_every_renewal(talk: Talk) -> None:
    talk.register()
    talk.step(12.0)
    lease = talk.one(WriteLease).object
    talk.answer(
        WriteLease, {"Object": {**lease, "metadata": {"name": "edge-1", "managedFields": [{"a": 1}]}}, "Err": None}
    )
    talk.step(12.0)
    assert talk.one(WriteLease).object["metadata"] == {"name": "edge-1", "managedFields": [{}]}


def test_where_the_cloud_renews_the_lease_the_node_writes_none_and_reports_what_is_unchanged_rarely() -> None:
    talk = Talk()
    talk.talk.on_link_change(True, cloud_renews_lease=True)
    talk.step()
    made = {**node_object(talk.facts(), talk.now), "metadata": {"name": "edge-1", "uid": "node-uid"}}
    talk.answer(QueryObject, made)
    talk.answer(RegisterNode, {"Object": made, "Err": None})
    times, kinds = [], set[type]()
    for _ in range(200):
        kinds |= set(talk.step(10.0))
        if any(type(message) is PatchNode for message in talk.said):
            times.append(talk.now)
            talk.answer(PatchNode, {"Object": {**made, "status": _patched(talk)}, "Err": None})
    assert kinds == {PatchNode, QueryObject}, "the question is for the store on this node: nothing on the link"
    assert [after - before for before, after in itertools.pairwise(times)] == [900.0, 900.0]
    talk.trouble = "the engine is away"
    assert PatchNode in talk.step(10.0)
    talk.talk.on_link_change(False)
    talk.talk.on_link_change(True)
    assert QueryLease in talk.step(0.1), "the next cloud may be a genuine one"


def test_a_node_that_others_say_is_lost_while_its_link_is_up_objects_at_the_next_look(talk: Talk) -> None:
    talk.register()
    for _ in range(10):
        if QueryObject in talk.step(10.0):
            break
    base = talk.talk.node or {}
    conditions = [
        {**condition, "status": "Unknown", "reason": "NodeStatusUnknown"} for condition in base["status"]["conditions"]
    ]
    lost = {**base, "metadata": {**base["metadata"], "resourceVersion": "999"}}
    lost["status"] = {**base["status"], "conditions": conditions}
    talk.answer(QueryObject, [msgspec.json.encode(lost).decode()])
    assert PatchNode in talk.step(0.0)
    reported = msgspec.json.decode(talk.one(PatchNode).patch)["status"]["conditions"]
    assert {condition["type"]: condition["status"] for condition in reported}["Ready"] == "True"


@pytest.mark.parametrize("found", [True, False])
def test_a_lease_that_is_refused_again_and_again_is_tried_ever_less_often(talk: Talk, found: bool) -> None:
    talk.register()
    there = {"Object": {"metadata": {"name": "edge-1"}}, "Err": None} if found else None
    talk.step(12.0)
    talk.answer(WriteLease, {"Object": None, "Err": error("NotFound")})
    tries, end = 0, talk.now + 60.0
    while talk.now < end:
        talk.step(0.1)
        for message in talk.said:
            if isinstance(message, QueryLease):
                talk.answer(QueryLease, there or {"Object": None, "Err": error("NotFound")})
            elif isinstance(message, WriteLease):
                tries += 1
                talk.answer(WriteLease, {"Object": None, "Err": error("InternalError", 500)})
            elif isinstance(message, PatchNode):
                talk.answer(PatchNode, {"Object": talk.talk.node, "Err": None})
    assert 6 <= tries <= 15


def test_a_lease_that_somebody_else_wrote_is_asked_for_again(talk: Talk) -> None:
    talk.register()
    talk.step(12.1)
    talk.answer(WriteLease, {"Object": None, "Err": error("Conflict", 409)})
    assert QueryLease in talk.step(0.2)


def test_a_node_that_is_known_keeps_its_object_and_tells_what_differs(talk: Talk) -> None:
    talk.step()
    stored = node_object(talk.facts(), NOW - 1000)
    stored["metadata"]["uid"] = "node-uid"
    talk.answer(QueryObject, stored)
    talk.answer(RegisterNode, {"Object": {"metadata": {}}, "Err": error("AlreadyExists", 409)})
    assert talk.step() == [PatchNode]
    changes = msgspec.json.decode(talk.one(PatchNode).patch)["status"]
    assert changes["conditions"][0] == {"type": "MemoryPressure", "lastHeartbeatTime": "2023-11-14T22:13:20Z"}
    assert set(changes) == {"conditions", "$setElementOrder/conditions"}


def test_a_node_that_is_known_to_the_cloud_only_is_patched_whole(talk: Talk) -> None:
    talk.step()
    talk.answer(QueryObject, error("NotFound"))
    talk.answer(RegisterNode, {"Object": {"metadata": {"labels": {}}}, "Err": error("AlreadyExists", 409)})
    assert PatchNode in talk.step()
    changes = msgspec.json.decode(talk.one(PatchNode).patch)["status"]
    assert changes["addresses"][-1] == {"$patch": "replace"}
    bare = {"metadata": {"name": "edge-1", "uid": "u"}, "status": node_status(talk.facts(), {}, NOW)}
    talk.answer(PatchNode, {"Object": bare, "Err": None})
    talk.step(0.1)
    assert talk.one(UpdateNode).object["metadata"]["labels"]["node-role.kubernetes.io/edge"] == ""


def test_a_status_is_told_when_it_changes_and_every_five_minutes(talk: Talk) -> None:
    talk.register()
    times = []
    for _ in range(100):
        if PatchNode in talk.step(10.0):
            times.append(talk.now)
            talk.answer(PatchNode, {"Object": {**talk.talk.node, "status": _patched(talk)}, "Err": None})  # type: ignore[dict-item]
        if any(type(message) is WriteLease for message in talk.said):
            talk.answer(WriteLease, {"Object": talk.one(WriteLease).object, "Err": None})
    assert [after - before for before, after in itertools.pairwise(times)] == [300.0, 300.0]
    talk.trouble = "the engine is away"
    assert PatchNode in talk.step(10.0)


def _patched(talk: Talk) -> Any:
    from tests.support.env.edged import patched

    base = talk.talk.node or {}
    return patched(base, msgspec.json.decode(talk.one(PatchNode).patch))["status"]


def test_a_change_during_a_report_is_told_right_after_it(talk: Talk) -> None:
    talk.register()
    talk.trouble = "away"
    talk.talk.on_status_changed(talk.now)
    assert talk.step() == [PatchNode]
    first, status = talk.one(PatchNode), _patched(talk)
    talk.trouble = ""
    talk.talk.on_status_changed(talk.now)
    assert talk.step() == []
    talk.talk.on_response(first.msg_id, {"Object": {**(talk.talk.node or {}), "status": status}, "Err": None}, talk.now)
    assert talk.step() == [PatchNode]


def test_a_node_that_was_deleted_does_not_register_again_and_goes_on_when_somebody_makes_it_anew(talk: Talk) -> None:
    talk.register()
    node = talk.talk.node
    for trouble in "xy":
        talk.trouble = trouble
        assert PatchNode in talk.step(15.0)
        talk.answer(PatchNode, {"Object": {"metadata": {}}, "Err": error("NotFound")})
        assert RegisterNode not in talk.step(0.1)
        assert talk.talk.is_missing
    talk.step(15.0)
    talk.answer(PatchNode, {"Object": node, "Err": None})
    assert not talk.talk.is_missing


def test_nothing_is_said_while_the_link_is_down(talk: Talk) -> None:
    talk.talk.on_link_change(False)
    assert talk.step() == [QueryObject]
    assert talk.step(100.0) == []
    assert talk.talk.next_due() == float("inf")
    talk.talk.on_link_change(True)
    assert talk.step() == [QueryLease, RegisterNode]


def test_what_is_refused_is_said_again_later_and_later(talk: Talk) -> None:
    talk.step()
    waits = []
    for _ in range(9):
        talk.talk.on_error(talk.one(RegisterNode).msg_id, talk.now)
        before = talk.now
        while RegisterNode not in talk.step(0.1):
            assert talk.now < before + 10
        waits.append(round(talk.now - before, 1))
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 7.0, 7.0, 7.0], abs=0.11)


def test_an_answer_that_never_comes_is_not_awaited_for_ever(talk: Talk) -> None:
    talk.step()
    assert talk.step(59.0) == []
    assert talk.step(2.0) == [QueryLease, RegisterNode]


@pytest.mark.parametrize(
    ("change", "condition", "reason"),
    [
        ({"memory_available": 1 << 20}, "MemoryPressure", "KubeletHasInsufficientMemory"),
        ({"disk_available": 1 << 20}, "DiskPressure", "KubeletHasDiskPressure"),
        ({"pids_available": 3}, "PIDPressure", "KubeletHasInsufficientPID"),
    ],
)
def test_scarcity_is_a_condition_with_the_time_of_its_change(
    talk: Talk, change: dict[str, int], condition: str, reason: str
) -> None:
    before = node_status(talk.facts(), {}, NOW)
    talk.host.now = msgspec.structs.replace(talk.host.now, **change)
    after = {condition["type"]: condition for condition in node_status(talk.facts(), before, NOW + 60)["conditions"]}
    assert (after[condition]["status"], after[condition]["reason"]) == ("True", reason)
    assert after[condition]["lastTransitionTime"] == "2023-11-14T22:14:20Z"
    assert after["Ready"]["lastTransitionTime"] == "2023-11-14T22:13:20Z"


def test_a_port_that_a_tunnel_has_set_is_kept(talk: Talk) -> None:
    previous = {"daemonEndpoints": {"kubeletEndpoint": {"Port": 10351}}, "volumesAttached": []}
    status = node_status(talk.facts(), previous, NOW)
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10351}}
    assert "volumesAttached" in status
