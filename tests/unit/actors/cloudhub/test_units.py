"""The pure parts of CloudHub beside the outbox: who may join, sessions, receipts, what an acknowledgement is about."""

from __future__ import annotations

import pytest

from kubeedge_actors.actors.cloudhub.peer_authorization import admit, may_send
from kubeedge_actors.actors.cloudhub.session import NATIVE_WINDOW, NodeSession, acked_object
from kubeedge_actors.actors.cloudhub.traffic import DOWN, UP, TrafficCounters
from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.hubs.durable_inbox import DedupWindow, DeliveryState
from kubeedge_actors.hubs.rate_limits import JoinRateLimiter
from kubeedge_actors.wire.beehive import Route
from kubeedge_actors.wire.messages import (
    MembershipDetail,
    MembershipUpdate,
    QueryLease,
    QueryObject,
    ReportEvent,
    Response,
)
from tests.support.env.cloudhub import ack, peer_of, pushed

# --- the door


def test_a_node_with_its_own_certificate_comes_in() -> None:
    assert admit(peer_of("n1"), JoinRateLimiter(), 0.0).status == 101


def test_the_extension_is_agreed_only_when_asked_for() -> None:
    assert admit(peer_of("n1"), JoinRateLimiter(), 0.0).headers == {}
    assert admit(peer_of("n1", kubeedge_actors_ack="1"), JoinRateLimiter(), 0.0).headers == {"Kubeedge-Actors-Ack": "1"}
    assert admit(peer_of("n1", kubeedge_actors_ack="2"), JoinRateLimiter(), 0.0).headers == {}


@pytest.mark.parametrize(
    ("name", "groups", "headers", "status"),
    [
        ("system:node:n2", ("system:nodes",), {}, 403),
        ("n1", ("system:nodes",), {}, 403),
        ("system:node:n1", ("system:masters",), {}, 403),
        ("system:node:n1", (), {}, 403),
        ("", (), {}, 403),
        ("system:node:", ("system:nodes",), {"node_id": ""}, 400),
        ("system:node:n1", ("system:nodes",), {"node_id": ""}, 400),
        ("system:node:n1", ("system:nodes",), {"connectionuse": "str"}, 400),
        ("system:node:n1", ("system:nodes",), {"connectionuse": ""}, 400),
    ],
)
def test_whoever_is_not_the_node_it_says_is_refused(
    name: str, groups: tuple[str, ...], headers: dict[str, str], status: int
) -> None:
    good = peer_of("n1")
    peer = Peer(1, good.path, {**good.headers, **headers}, name, groups)
    refusal = admit(peer, JoinRateLimiter(), 0.0)
    assert refusal.status == status and refusal.reason


def test_too_many_at_once_are_told_different_times_to_come_back() -> None:
    door = JoinRateLimiter(rate=10.0, burst=5)
    answers = [admit(peer_of(f"n{number}"), door, 100.0) for number in range(40)]
    waits = [int(answer.headers["Retry-After"]) for answer in answers if answer.status == 503]
    assert sum(answer.status == 101 for answer in answers) in (5, 6)
    assert waits == sorted(waits) and waits[0] == 1 and waits[-1] in (3, 4)


def test_whoever_comes_back_at_the_time_told_gets_in() -> None:
    door = JoinRateLimiter(rate=10.0, burst=5)
    waiting, inside, now = [(0.0, number) for number in range(60)], 0, 0.0
    while waiting:
        waiting.sort()
        now, number = waiting.pop(0)
        answer = admit(peer_of(f"n{number}"), door, now)
        if answer.status == 101:
            inside += 1
        else:
            waiting.append((now + float(answer.headers["Retry-After"]), number))
    assert inside == 60 and now <= 10.0


def test_a_quiet_door_forgets_a_storm() -> None:
    door = JoinRateLimiter(rate=10.0, burst=5)
    for _ in range(100):
        admit(peer_of("n1"), door, 0.0)
    assert [admit(peer_of("n1"), door, 60.0).status for _ in range(5)] == [101] * 5


def test_a_node_speaks_of_itself_only() -> None:
    assert may_send(QueryLease(node="n1", name="n1"))
    assert not may_send(QueryLease(node="n1", name="n2"))
    assert not may_send(QueryObject(node="n1", type="node", namespace="null", name="n2"))
    assert may_send(QueryObject(node="n1", type="configmap", namespace="default", name="n2"))
    assert may_send(ReportEvent(node="n1", operation="insert", namespace="default", name="x", content={}))


# --- sessions


def test_what_needs_no_acknowledgement_is_sent_at_once_and_once() -> None:
    session = NodeSession("n1", peer_of("n1"), 0.0)
    change = MembershipUpdate(node="n1", content={})
    assert session.send(pushed("a"), 0.0) is not None
    assert session.send(change, 0.0) == [change]
    assert all(change not in session.due(float(now)) for now in range(60))


def test_only_a_heart_beat_keeps_a_session() -> None:
    session = NodeSession("n1", peer_of("n1"), 0.0)
    session.send(pushed("a"), 0.0)
    session.on_ack(Response(parent_msg_id="x", resource=""), 29.0)
    assert session.is_expired(30.0) and not session.is_expired(29.9)
    session.on_keepalive(10.0)
    assert not session.is_expired(39.9) and session.is_expired(40.0)


def test_a_heart_beat_that_is_read_late_counts_from_when_it_came() -> None:
    session = NodeSession("n1", peer_of("n1"), 0.0)
    session.on_keepalive(20.0)
    session.on_keepalive(5.0)
    assert session.is_expired(50.0) and not session.is_expired(49.0)


def test_one_of_ours_has_several_objects_under_way() -> None:
    genuine, ours = NodeSession("n1", peer_of("n1"), 0.0), NodeSession("n1", peer_of("n1"), 0.0, acknowledging=True)
    for session, count in ((genuine, 1), (ours, NATIVE_WINDOW)):
        sent = [session.send(pushed(f"o{number}"), 0.0) for number in range(50)]
        assert sum(len(each or ()) for each in sent) == count


def test_a_node_that_asks_and_never_acknowledges_is_overdue() -> None:
    for objects, asked, overdue in ((1, 400, False), (1, 600, True), (20_002, 1, True)):
        session = NodeSession("n1", peer_of("n1"), 0.0)
        for number in range(objects * asked):
            resource, content = f"default/configmap/c{number % objects}", {"metadata": {"uid": "u"}, "data": {}}
            session.send(Response(parent_msg_id=str(number), resource=resource, content=content), 0.0)
        assert session.is_backlogged is overdue


# --- receipts


def test_a_repeated_message_is_not_new() -> None:
    receipts, message = DedupWindow(), ReportEvent(operation="insert", namespace="d", name="e", content={})
    assert receipts.begin(message) is DeliveryState.NEW
    assert receipts.begin(message) is DeliveryState.IN_PROGRESS
    receipts.mark_done(message.msg_id)
    assert receipts.take_acks() == [message.msg_id] and receipts.take_acks() == []
    assert receipts.begin(message) is DeliveryState.DONE
    assert receipts.take_acks() == [message.msg_id]


def test_what_was_not_handled_is_new_again() -> None:
    receipts, message = DedupWindow(), ReportEvent(operation="insert", namespace="d", name="e", content={})
    receipts.begin(message)
    receipts.abandon(message.msg_id)
    assert receipts.begin(message) is DeliveryState.NEW


def test_receipts_remember_a_bounded_number() -> None:
    receipts = DedupWindow(size=3)
    messages = [ReportEvent(operation="insert", namespace="d", name="e", content={}) for _ in range(5)]
    for message in messages:
        receipts.begin(message)
        receipts.mark_done(message.msg_id)
    assert [receipts.begin(message) for message in messages[2:]] == [DeliveryState.DONE] * 3
    assert receipts.begin(messages[0]) is DeliveryState.NEW


def test_what_is_owed_dies_with_the_session_but_not_the_memory() -> None:
    receipts, message = DedupWindow(), ReportEvent(operation="insert", namespace="d", name="e", content={})
    receipts.begin(message)
    receipts.mark_done(message.msg_id)
    receipts.on_session_closed()
    assert receipts.take_acks() == [] and receipts.begin(message) is DeliveryState.DONE


# --- acknowledgements and figures


def test_an_answer_with_an_object_counts_as_its_push() -> None:
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u"}}
    answered = Response(
        node="n1", parent_msg_id="q", resource="default/configmap/c", resource_version="12", content=content
    )
    found = acked_object(answered)
    assert found is not None
    assert (found.type, found.namespace, found.name, found.resource_version) == ("configmap", "default", "c", "12")
    assert (found.operation, found.object, found.node) == ("update", content, "n1")


def test_other_acknowledgements_are_about_no_object() -> None:
    push = pushed("a")
    assert acked_object(push) is push
    assert acked_object(None) is None
    assert acked_object(ack(push)) is None
    assert acked_object(Response(parent_msg_id="q", resource="default/configmap/c", content={"a": 1})) is None
    assert acked_object(Response(parent_msg_id="q", resource="x", resource_version="1", content={})) is None


def test_traffic_is_counted_by_direction_module_and_kind() -> None:
    traffic = TrafficCounters()
    lease = Route(source="edged", operation="update", resource="kube-node-lease/lease/n1")
    traffic.count(UP, lease, "x" * 100)
    traffic.count(UP, lease, "\u00e9" * 50)
    traffic.count(DOWN, Route(source="edgecontroller", operation="update", resource="default/pod/p"), "x" * 900)
    traffic.count_outcome("dropped")
    assert traffic.table() == [("down", "edgecontroller", "pod", 1, 900), ("up", "edged", "lease", 2, 200)]
    assert traffic.total(UP) == (2, 200) and traffic.outcomes == {"dropped": 1}
    assert traffic.snapshot() == {
        "up": {"edged/lease": {"messages": 2, "bytes": 200}},
        "down": {"edgecontroller/pod": {"messages": 1, "bytes": 900}},
    }


def test_what_other_modules_refuse_stands_beside_it_with_their_name() -> None:
    traffic = TrafficCounters()
    traffic.count_outcome("refused: node limit")
    traffic.outcome_counter("edgecontroller")["refused: QueryObject"] += 2
    assert traffic.outcome_counter("edgecontroller") is traffic.outcome_counter("edgecontroller")
    assert traffic.link_state()["outcomes"] == {"edgecontroller refused: QueryObject": 2, "refused: node limit": 1}


def test_whatever_a_node_invents_the_counters_stay_few_and_small() -> None:
    traffic = TrafficCounters()
    for number in range(2000):
        traffic.count(UP, Route(source=f"s{number}", resource="x" * 5000), "text")
    assert len(traffic.table()) == 501
    assert traffic.total(UP) == (2000, 8000)
    assert max(len(key) for key in traffic.snapshot()["up"]) < 150


def test_an_echo_is_for_genuine_edges_and_the_list_of_devices_for_ours() -> None:
    genuine, ours = NodeSession("n1", peer_of("n1"), 0.0), NodeSession("n1", peer_of("n1"), 0.0, acknowledging=True)
    echo, devices = pushed("u1", status_only=True), MembershipDetail(node="n1", content={"devices": []})
    assert genuine.send(echo, 0.0) == [echo] and ours.send(echo, 0.0) == []
    assert genuine.send(devices, 0.0) == [] and ours.send(devices, 0.0) == [devices]
