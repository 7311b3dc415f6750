"""CloudHub as an actor: sessions, what comes up, what goes down, and what one node can not do to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.cloudhub import session
from kubeedge_actors.actors.cloudhub.frame_limits import MAX_ID, OBJECT
from kubeedge_actors.actors.cloudhub.traffic import TrafficCounters
from kubeedge_actors.errors import MailboxFull
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import MailboxSpec, Reason, Ref
from kubeedge_actors.testing import Probe
from kubeedge_actors.wire import beehive, mapping
from kubeedge_actors.wire.messages import (
    BusPublish,
    BusSubscribe,
    BusUploaded,
    ErrorResponse,
    KeepAlive,
    MembershipRequest,
    MembershipUpdate,
    MessageConfirmed,
    MessageLost,
    NodeRemoved,
    ObjectAcked,
    ObjectPushed,
    OutboxAcknowledged,
    PatchNode,
    QueryClusterCa,
    QueryLease,
    RegisterNode,
    ReportEvent,
    Response,
    SendToNode,
    SessionClosed,
    SessionOpened,
    TwinReported,
    UnknownMessage,
)
from tests.support.env.cloudhub import OURS, CloudHubEnv, ack, peer_of, pushed

MakeHub = Callable[..., CloudHubEnv]


@pytest.fixture
def make() -> Iterator[MakeHub]:
    hubs: list[CloudHubEnv] = []

    def hub(**options: Any) -> CloudHubEnv:
        hubs.append(CloudHubEnv(**options))
        return hubs[-1]

    yield hub
    for each in hubs:
        each.harness.stop()


@pytest.fixture
def hub(make: MakeHub) -> CloudHubEnv:
    return make(cluster_ca="-----BEGIN CERTIFICATE-----")


def event(name: str = "e") -> ReportEvent:
    return ReportEvent(operation="insert", namespace="default", name=name, content={"a": 1})


# --- sessions


def test_a_node_that_joins_has_a_session_before_anything_is_read(hub: CloudHubEnv) -> None:
    seen = hub.harness.probe(SessionOpened, QueryLease)
    assert hub.harness.system
    peer = peer_of("n1", 1)
    hub.server.connect(peer)
    hub.hear(peer, QueryLease(name="n1"))
    assert [type(each) for each in seen] == [SessionOpened, QueryLease]
    assert all(each.node == "n1" for each in seen)


def test_the_newest_connection_of_a_node_wins(hub: CloudHubEnv) -> None:
    seen = hub.harness.probe(SessionOpened, SessionClosed)
    first = hub.join("n1")
    second = hub.join("n1")
    assert [(peer.id, "took over" in reason) for peer, reason in hub.server.closed] == [(first.id, True)]
    assert [type(each) for each in seen] == [SessionOpened, SessionClosed, SessionOpened]
    hub.harness.publish(pushed("a"))
    assert not hub.sent_to(first) and len(hub.sent_to(second)) == 1


def test_what_a_replaced_connection_still_says_is_dropped(hub: CloudHubEnv) -> None:
    seen = hub.harness.probe(QueryLease)
    first = hub.join("n1")
    hub.join("n1")
    hub.hear(first, QueryLease(name="n1"))
    assert len(seen) == 0


def test_one_node_too_many_is_refused_with_a_time_to_come_back_and_the_others_stay(
    make: MakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    traffic = TrafficCounters()
    hub = make(node_limit=2, traffic=traffic)
    hub.harness.probe(SessionOpened, SessionClosed)
    first, _ = hub.join("n1"), hub.join("n2")
    for _ in range(3):
        refusal = hub.server.connect(peer_of("n3", 77))
        assert (refusal.status, refusal.headers) == (503, {"Retry-After": "30"})
    assert traffic.outcomes == {"refused: node limit": 3}
    assert caplog.text.count("the node limit is reached") == 1
    assert hub.join("n1").id != first.id  # a node that is counted already may come again
    assert [peer.id for peer, _ in hub.server.closed] == [first.id]


def test_of_several_that_come_through_the_door_together_one_too_many_is_closed(make: MakeHub) -> None:
    hub = make(node_limit=2)
    hub.harness.probe(SessionOpened, SessionClosed)
    assert hub.harness.system
    for number in (1, 2, 3):
        assert hub.server.connect(peer_of(f"n{number}", number)).status == 101
    hub.harness.run()
    assert [peer.id for peer, _ in hub.server.closed] == [3]


def test_two_edges_with_one_name_are_told_to_the_operator_once_a_minute(
    make: MakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub = make()
    hub.harness.probe(SessionOpened, SessionClosed)

    def fight(seconds: int) -> list[str]:
        caplog.clear()
        for second in range(seconds):
            hub.join("n1", address=f"10.0.0.{second % 2}:5555")
            hub.harness.advance(1.0)
        return [record.getMessage() for record in caplog.records if "taken over" in record.getMessage()]

    assert fight(2) == []  # once is a reconnect
    said = fight(120)
    assert len(said) == 2
    assert all("n1" in each and "10.0.0.0:5555" in each and "10.0.0.1:5555" in each for each in said)
    hub.harness.advance(400.0)
    assert fight(3) == []  # all forgotten


def test_who_is_refused_at_the_door_is_counted_and_told_once_a_minute(
    make: MakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    traffic = TrafficCounters()
    hub = make(traffic=traffic)
    assert hub.harness.system
    thief = msgspec.structs.replace(peer_of("n1", 5), common_name="system:node:n2", address="10.0.0.9:1234")
    for _ in range(5):
        assert hub.server.connect(thief).status == 403
    assert hub.server.connect(msgspec.structs.replace(thief, headers={})).status == 400
    assert traffic.outcomes == {"refused: another's certificate": 5, "refused: no node's handshake": 1}
    warnings = [record.getMessage() for record in caplog.records if "is rejected" in record.getMessage()]
    assert len(warnings) == 2 and all("10.0.0.9:1234" in each for each in warnings)
    hub.harness.advance(61.0)
    hub.server.connect(thief)
    assert caplog.text.count("system:node:n2") == 2


def test_the_facts_are_plain_data(make: MakeHub) -> None:
    traffic = TrafficCounters()
    hub = make(traffic=traffic)
    hub.harness.probe(QueryLease, SessionOpened, SessionClosed)
    peer = hub.join("n1")
    hub.hear(peer, QueryLease(name="n1"), "nonsense")
    hub.join("n2")
    hub.harness.publish(pushed("a", node="n2"))
    hub.harness.advance(6.0)
    link, facts = traffic.link_state(), traffic.snapshot()
    assert link == {"state": "serving", "sessions": 1, "waiting": 1, "outcomes": {"closed: a malformed message": 1}}
    assert list(facts["up"]) == ["edged/lease"] and facts["up"]["edged/lease"]["messages"] == 1
    assert list(facts["down"]) == ["edgecontroller/pod"] and facts["down"]["edgecontroller/pod"]["messages"] == 2
    assert msgspec.json.decode(msgspec.json.encode([link, facts])) == [link, facts]


def test_a_node_without_heart_beat_is_closed_after_thirty_seconds_whatever_else_it_says(hub: CloudHubEnv) -> None:
    seen = hub.harness.probe(SessionClosed, SessionOpened, QueryLease)
    peer = hub.join("n1")
    for _ in range(29):
        hub.harness.advance(1.0)
        hub.hear(peer, QueryLease(name="n1"))
    assert not hub.server.closed
    hub.harness.advance(1.5)
    assert [reason for _, reason in hub.server.closed] == ["no heart-beat"]
    assert [each.reason for each in seen.of(SessionClosed)] == ["no heart-beat"]


def test_heart_beats_keep_a_session(hub: CloudHubEnv) -> None:
    hub.harness.probe(SessionOpened)
    peer = hub.join("n1")
    for _ in range(10):
        hub.harness.advance(15.0)
        hub.hear(peer, KeepAlive())
    assert not hub.server.closed and not hub.sent_to(peer)


def test_a_lost_connection_ends_the_session_once(hub: CloudHubEnv) -> None:
    seen = hub.harness.probe(SessionClosed, SessionOpened)
    peer = hub.join("n1")
    hub.server.lose(peer)
    hub.harness.run()
    hub.harness.advance(60.0)
    assert len(seen.of(SessionClosed)) == 1


@pytest.mark.parametrize("by", [NodeRemoved(node="n1"), pushed("n1", 1, "delete", "node")])
def test_a_deleted_node_loses_its_session_and_hears_nothing_of_it(
    hub: CloudHubEnv, by: NodeRemoved | ObjectPushed
) -> None:
    hub.harness.probe(SessionClosed, SessionOpened)
    peer = hub.join("n1")
    hub.harness.publish(by)
    assert [reason for _, reason in hub.server.closed] == ["the node was deleted"]
    assert not hub.sent_to(peer)


def test_sessions_survive_a_crash_of_the_hub(hub: CloudHubEnv) -> None:
    seen = hub.harness.probe(SessionOpened, QueryLease)
    peer = hub.join("n1")
    hub.harness.crash("cloudhub")
    assert hub.server.events.on_text(peer, '{"route":{"operation":"query","resource":"kube-node-lease/lease/n1"}}')
    hub.harness.advance(10.0)
    assert not hub.server.closed
    assert [type(each) for each in seen] == [SessionOpened, SessionOpened, QueryLease]
    hub.harness.publish(pushed("a"))
    assert len(hub.sent_to(peer)) == 1


# --- up


def test_what_a_node_says_is_published_with_its_name(hub: CloudHubEnv) -> None:
    seen = hub.harness.probe(RegisterNode, SessionOpened)
    peer = hub.join("n1")
    hub.hear(peer, RegisterNode(name="n1", object={"metadata": {"name": "n1"}}))
    said = seen.of(RegisterNode)
    assert [(each.node, each.name) for each in said] == [("n1", "n1")]


def test_a_node_can_not_speak_for_another_or_for_the_cloud(hub: CloudHubEnv) -> None:
    seen = hub.harness.probe(RegisterNode, PatchNode, ObjectPushed, MembershipUpdate, SessionOpened)
    peer = hub.join("n1")
    hub.hear(
        peer,
        RegisterNode(name="n2", object={}),
        PatchNode(name="n2", patch="{}"),
        pushed("a"),
        MembershipUpdate(content={}),
    )
    assert [type(each) for each in seen] == [SessionOpened]
    assert not hub.server.closed


@pytest.mark.parametrize("source", ["cloudhub", "cloudStream", "devicecontroller", "edgecontroller", "synccontroller"])
def test_a_request_in_the_name_of_a_cloud_module_is_dropped(make: MakeHub, source: str) -> None:
    traffic = TrafficCounters()
    hub = make(traffic=traffic)
    seen = hub.harness.probe(QueryLease, SessionOpened)
    peer = hub.join("n1")
    route = f'"source":"{source}","group":"meta","operation":"query","resource":"kube-node-lease/lease/n1"'
    hub.hear(peer, f'{{"header":{{"msg_id":"q"}},"route":{{{route}}},"content":null}}')
    assert [type(each) for each in seen] == [SessionOpened]
    assert traffic.outcomes == {"dropped: in the name of a cloud module": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{",
        "[]",
        '{"header":{"timestamp":"1"}}',
        '{"header":{"msg_id":7}}',
        "[" * 100_000,
        '{"route":[]}',
        '{"header":{"msg_id":"' + "i" * (MAX_ID + 1) + '"}}',
    ],
    ids=lambda text: text[:20],
)
def test_a_malformed_message_closes_its_session_only(hub: CloudHubEnv, text: str) -> None:
    hub.harness.probe(SessionOpened, SessionClosed)
    good, bad = hub.join("n1"), hub.join("n2")
    hub.hear(bad, text, KeepAlive())
    assert [(peer.id, reason) for peer, reason in hub.server.closed] == [(bad.id, "a malformed message")]
    hub.harness.publish(pushed("a"))
    assert len(hub.sent_to(good)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"header":{"msg_id":"","timestamp":0},"route":{},"content":null}',
        '{"HEADER":{"Msg_Id":"a"},"route":{"operation":"response"},"content":null} trailing',
        '{"route":{"source":"edged","operation":"update","resource":"kube-node-lease/lease/n1"},"content":"no object"}',
        '{"route":{"operation":"query","resource":"' + "x" * 5_000_000 + '"}}',
    ],
)
def test_strange_messages_change_nothing(hub: CloudHubEnv, text: str) -> None:
    hub.harness.probe(SessionOpened, SessionClosed, UnknownMessage)
    peer = hub.join("n1")
    hub.hear(peer, text)
    assert not hub.server.closed and not hub.harness.crashes
    assert not hub.sent_to(peer)


def test_a_message_of_unknown_meaning_goes_to_whoever_takes_those_or_is_a_dead_letter(hub: CloudHubEnv) -> None:
    hub.harness.probe(SessionOpened)
    peer = hub.join("n1")
    hub.hear(peer, '{"header":{"msg_id":"x"},"route":{"operation":"what","resource":"a/b/c"}}')
    assert [type(each.message) for each in hub.harness.dead_letters] == [UnknownMessage]


def test_a_node_that_says_much_that_nobody_understands_can_not_fill_the_dead_letters(
    make: MakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    traffic = TrafficCounters()
    hub = make(traffic=traffic)
    seen = hub.harness.probe(SessionOpened, UnknownMessage)
    bad, good = hub.join("n1"), hub.join("n2")
    strange = '{"header":{"msg_id":"x"},"route":{"operation":"what","resource":"a/b/c"}}'
    hub.hear(bad, *[strange] * 700)
    hub.hear(good, strange)
    assert [sum(each.node == node for each in seen.of(UnknownMessage)) for node in ("n1", "n2")] == [600, 1]
    assert traffic.outcomes == {"dropped: too many of unknown meaning": 100}
    assert caplog.text.count("n1 sends many messages") == 1
    hub.harness.advance(20.0)
    hub.hear(bad, KeepAlive())
    hub.harness.advance(20.0)
    hub.hear(bad, KeepAlive())
    hub.harness.advance(25.0)
    hub.hear(bad, strange)
    assert traffic.outcomes == {"dropped: too many of unknown meaning": 100, "closed: no heart-beat": 1}


def test_the_empty_last_message_is_ignored(hub: CloudHubEnv) -> None:
    hub.harness.probe(SessionOpened)
    peer = hub.join("n1")
    hub.hear(peer, '{"header":{"msg_id":"","timestamp":0},"route":{},"content":null}\n')
    assert hub.harness.dead_letters == []


def test_a_control_operation_is_answered_by_the_connection_layer(hub: CloudHubEnv) -> None:
    hub.harness.probe(SessionOpened)
    peer = hub.join("n1")
    hub.hear(peer, '{"header":{"msg_id":"x"},"route":{"source":"s","group":"g","operation":"ping","resource":"r"}}')
    (answer,) = hub.sent_to(peer)
    assert isinstance(answer, Response)
    facts = (answer.parent_msg_id, answer.source, answer.group, answer.resource, answer.content, answer.operation)
    assert facts == ("x", "s", "g", "r", "ack", "response")


def test_the_clusters_ca_is_told(hub: CloudHubEnv) -> None:
    hub.harness.probe(SessionOpened)
    peer = hub.join("n1")
    query = QueryClusterCa()
    hub.hear(peer, query)
    (answer,) = hub.sent_to(peer)
    assert isinstance(answer, Response)
    assert (answer.parent_msg_id, answer.source, answer.group) == (query.msg_id, "cloudhub", "resource")
    assert (answer.resource, answer.content) == ("k8s/ca.crt", "-----BEGIN CERTIFICATE-----")


def test_an_error_of_a_node_is_no_acknowledgement_and_counted(make: MakeHub) -> None:
    traffic = TrafficCounters()
    hub = make(traffic=traffic)
    hub.harness.probe(SessionOpened, ObjectAcked)
    peer = hub.join("n1")
    hub.harness.publish(pushed("a"))
    (sent,) = hub.sent_to(peer)
    hub.hear(peer, ErrorResponse(parent_msg_id=sent.msg_id, resource="default/pod/a", reason="no"))
    hub.harness.advance(5.25)
    assert [each.msg_id for each in hub.sent_to(peer)] == [sent.msg_id]
    assert traffic.outcomes["refused by a node"] == 1


# --- acknowledgement upwards


def with_controller(make: MakeHub, answer: object = None) -> tuple[CloudHubEnv, Probe]:
    accepting: list[Callable[[type], tuple[Ref, ...]]] = []
    hub = make(accepting=lambda kind: accepting[0](kind))
    controller = hub.harness.probe("edgecontroller", ReportEvent, TwinReported, answer=answer)
    hub.harness.probe(SessionOpened, SessionClosed)
    accepting.append(hub.harness.system.registry.subscribers)
    return hub, controller


def test_a_report_that_is_too_large_is_dropped_with_a_word_and_does_not_come_again(
    make: MakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub, controller = with_controller(make)
    ours, genuine = hub.join("n1", **OURS), hub.join("n2")
    large = TwinReported(device="default/lamp", report={"twin": {"text": "x" * OBJECT}})
    hub.hear(ours, large)
    hub.hear(genuine, large)
    (receipt,) = hub.sent_to(ours)
    assert isinstance(receipt, OutboxAcknowledged) and receipt.ids == [large.msg_id]
    assert not hub.sent_to(genuine)
    hub.hear(ours, event())
    assert [type(message) for message in controller] == [ReportEvent]
    assert (
        f"node n1 said a TwinReported of {len(beehive.encode(mapping.to_beehive(large, 1)))} characters" in caplog.text
    )


def test_a_defect_in_reading_a_frame_closes_its_session_only(
    hub: CloudHubEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub.harness.probe(SessionOpened, SessionClosed)
    good, bad = hub.join("n1"), hub.join("n2")
    with monkeypatch.context() as broken:
        broken.setattr(mapping, "from_beehive", lambda *_: 1 // 0)
        hub.hear(bad, "{}")
    assert "a frame of node n2 can not be decoded" in caplog.text
    assert [peer for peer, _ in hub.server.closed] == [bad]
    hub.harness.publish(pushed("a"))
    assert len(hub.sent_to(good)) == 1


def test_a_durable_message_is_acknowledged_when_it_was_handled_and_only_to_our_own_edge(make: MakeHub) -> None:
    hub, controller = with_controller(make)
    ours, genuine = hub.join("n1", **OURS), hub.join("n2")
    first, second = event("a"), event("b")
    hub.hear(ours, first, second, MembershipRequest(content="{}"))
    hub.hear(genuine, event("c"))
    assert len(controller) == 3 and not hub.sent_to(ours)
    hub.harness.advance(0.05)
    (receipt,) = hub.sent_to(ours)
    assert isinstance(receipt, OutboxAcknowledged) and receipt.ids == [first.msg_id, second.msg_id]
    assert not hub.sent_to(genuine)


def test_a_repeated_durable_message_is_handled_once_and_acknowledged_again(make: MakeHub) -> None:
    hub, controller = with_controller(make)
    message = event()
    for _ in range(3):
        peer = hub.join("n1", **OURS)
        hub.hear(peer, message, message)
        hub.harness.advance(0.05)
        (receipt,) = hub.sent_to(peer)
        assert isinstance(receipt, OutboxAcknowledged) and set(receipt.ids) == {message.msg_id}
        hub.server.lose(peer)
        hub.harness.run()
    assert len(controller) == 1


def test_nothing_is_acknowledged_before_its_receiver_is_done(make: MakeHub) -> None:
    replies = []

    class Slow(Module):
        name = "slow"

        @on
        def on_twin_reported(self, message: TwinReported) -> None:
            replies.append(self.reply_later())

    accepting: list[Callable[[type], tuple[Ref, ...]]] = []
    hub = make(accepting=lambda kind: accepting[0](kind))
    hub.harness.probe(SessionOpened)
    hub.harness.system.add(Slow.spec())
    accepting.append(hub.harness.system.registry.subscribers)
    peer = hub.join("n1", **OURS)
    report = TwinReported(device="default/t", report={"twin": {}})
    hub.hear(peer, report)
    hub.harness.advance(2.0)
    assert not hub.sent_to(peer)
    replies.pop().send(None)
    hub.harness.advance(0.5)
    (receipt,) = hub.sent_to(peer)
    assert isinstance(receipt, OutboxAcknowledged) and receipt.ids == [report.msg_id]


def test_what_one_receiver_had_no_room_for_is_sent_again_to_that_one_only(make: MakeHub) -> None:
    hub, controller = with_controller(make)
    refusals = [MailboxFull("full: the mailbox is full")] * 2

    class Full(Module):
        """Answers as a full mailbox does, and then takes it."""

        name = "full"

        @on
        def on_report_event(self, message: ReportEvent) -> None:
            if refusals:
                self.reply_later().fail(refusals.pop())
            else:
                taken.append(message.name)

    taken: list[str] = []
    hub.harness.system.add(Full.spec())
    peer, message = hub.join("n1", **OURS), event("a")
    for sent_again in range(3):
        assert not taken
        hub.hear(peer, message)
        hub.harness.advance(0.05)
        assert bool(hub.sent_to(peer)) is (sent_again == 2)
    assert taken == ["a"] and len(controller) == 1


class Kept(Module):
    """Notes what it is told, which waits in a file until then: so many bytes of it."""

    name = "kept"
    mailbox = MailboxSpec(durable=True, max_bytes=200)

    def __init__(self, told: list[str]) -> None:
        self.told = told

    @on
    def on_report_event(self, message: ReportEvent) -> None:
        self.told.append(message.name)


def test_what_a_durable_mailbox_took_is_acknowledged_before_it_is_handled_and_what_it_has_no_room_for_is_not(
    make: MakeHub,
) -> None:
    hub, _ = with_controller(make)
    told: list[str] = []
    hub.harness.system.add(Kept.spec(lambda: Kept(told)))
    peer = hub.join("n1", **OURS)
    hub.harness.system.suspend("kept", "for the test")
    hub.harness.run()
    first, second = event("a"), event("b")
    hub.hear(peer, first, second)
    hub.harness.advance(0.05)
    (receipt,) = hub.sent_to(peer)
    assert isinstance(receipt, OutboxAcknowledged) and receipt.ids == [first.msg_id]
    hub.harness.system.resume("kept")
    hub.harness.run()
    hub.hear(peer, second)
    hub.harness.advance(0.05)
    assert told == ["a", "b"] and len(hub.sent_to(peer)) == 1


def test_a_durable_message_that_nobody_takes_is_a_dead_letter_and_acknowledged(make: MakeHub) -> None:
    hub, _ = with_controller(make)
    peer = hub.join("n1", **OURS)
    upload = BusUploaded(resource="a/b", content="x")
    hub.hear(peer, upload)
    hub.harness.advance(0.05)
    assert [type(each.message) for each in hub.harness.dead_letters] == [BusUploaded]
    (receipt,) = hub.sent_to(peer)
    assert isinstance(receipt, OutboxAcknowledged) and receipt.ids == [upload.msg_id]


# --- down


def test_an_object_is_sent_until_acknowledged_and_then_told_as_delivered(hub: CloudHubEnv) -> None:
    delivered = hub.harness.probe(ObjectAcked, SessionOpened)
    peer = hub.join("n1")
    message = pushed("a", 7)
    hub.harness.publish(message)
    (sent,) = hub.sent_to(peer)
    hub.harness.advance(5.25)
    assert hub.sent_to(peer) == [sent]  # the same message, time included
    hub.hear(peer, ack(sent))
    (told,) = delivered.of(ObjectAcked)
    assert (told.node, told.pushed.resource_version, told.pushed.msg_id) == ("n1", "7", message.msg_id)
    hub.harness.advance(20.0)
    assert not hub.sent_to(peer)


def test_a_push_for_a_node_that_is_away_is_dropped_and_counted(make: MakeHub) -> None:
    traffic = TrafficCounters()
    hub = make(traffic=traffic)
    hub.harness.probe(SessionOpened)
    hub.harness.publish(pushed("a"))
    hub.harness.publish(pushed("a", node=""))
    assert traffic.outcomes == {"dropped: node without session": 2}
    assert not hub.sent_to(hub.join("n1"))


def test_a_version_that_was_acknowledged_is_told_as_delivered_without_being_sent_again(hub: CloudHubEnv) -> None:
    delivered = hub.harness.probe(ObjectAcked, SessionOpened)
    peer = hub.join("n1")
    hub.harness.publish(pushed("a", 7))
    hub.hear(peer, ack(*hub.sent_to(peer)))
    hub.harness.publish(pushed("a", 7))
    assert len(delivered.of(ObjectAcked)) == 2 and not hub.sent_to(peer)


def test_a_silent_node_does_not_delay_another(hub: CloudHubEnv) -> None:
    hub.harness.probe(SessionOpened, ObjectAcked)
    silent, lively = hub.join("n1"), hub.join("n2")
    for number in range(50):
        hub.harness.publish(pushed(f"a{number}", node="n1"))
        hub.harness.publish(pushed(f"b{number}", node="n2"))
        hub.hear(lively, ack(*hub.sent_to(lively)))
    assert len(hub.sent_to(silent)) == 1


def test_a_node_that_acknowledges_nothing_is_closed_before_it_fills_the_memory(
    hub: CloudHubEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MAX_WAITING", 2)
    hub.harness.probe(SessionOpened, SessionClosed)
    deaf, good = hub.join("n1"), hub.join("n2")
    hub.harness.publish(pushed("a", node="n2"))
    for uid in "abcd":
        hub.harness.publish(pushed(uid))
    assert hub.server.closed == [(deaf, "it acknowledges nothing")]
    assert len(hub.sent_to(good)) == 1


def test_what_can_not_be_written_is_dropped_and_the_rest_goes_on(hub: CloudHubEnv) -> None:
    hub.harness.probe(SessionOpened, ObjectAcked)
    peer = hub.join("n1")
    hub.harness.publish(pushed("a", name="no/name"))
    hub.harness.publish(pushed("c", source="\ud800"))
    hub.harness.publish(pushed("b"))
    assert [each.name for each in hub.sent_to(peer) if isinstance(each, ObjectPushed)] == ["b"]


def test_an_answer_goes_to_its_node_at_once(hub: CloudHubEnv) -> None:
    hub.harness.probe(SessionOpened)
    peer = hub.join("n1")
    answer = Response(
        node="n1", parent_msg_id="q", resource="kube-node-lease/lease/n1", content={"Object": {}, "Err": None}
    )
    hub.harness.publish(answer)
    hub.harness.publish(Response(node="n2", parent_msg_id="q", resource="r"))
    (sent,) = hub.sent_to(peer)
    assert isinstance(sent, Response) and sent.parent_msg_id == "q" and sent.timestamp > 0
    hub.harness.advance(20.0)
    assert not hub.sent_to(peer)


def test_what_nobody_sends_again_is_a_dead_letter_when_its_node_is_not_connected(
    hub: CloudHubEnv, caplog: pytest.LogCaptureFixture
) -> None:
    hub.harness.publish(BusSubscribe(node="edge-99", topic="light"))
    (letter,) = hub.harness.dead_letters
    assert (letter.recipient, letter.reason) == ("cloudhub", Reason.UNDELIVERABLE)
    assert letter.error == "Undeliverable: node edge-99 is not connected"
    assert "BusSubscribe: it can not be delivered: Undeliverable: node edge-99 is not connected" in caplog.text


def test_a_message_of_a_module_goes_to_a_native_node_whose_confirmation_goes_to_the_outbox(hub: CloudHubEnv) -> None:
    opened = hub.harness.probe(SessionOpened)
    outbox = hub.harness.probe("nodeoutbox")
    native, genuine = hub.join("n1", Kubeedge_Actors_Confirm="1"), hub.join("n2")
    assert [(each.node, each.confirms) for each in opened] == [("n1", True), ("n2", False)]
    for node in ("n1", "n2"):
        hub.harness.publish(SendToNode(message=BusPublish(node=node, topic="t", payload="on"), kept=True))
    (sent,) = hub.sent_to(native)
    assert isinstance(sent, BusPublish) and (sent.topic, sent.payload) == ("t", "on")
    assert len(hub.sent_to(genuine)) == 1
    hub.hear(native, Response(parent_msg_id=sent.msg_id, resource="", source="websocket"))
    assert outbox.take() == [MessageConfirmed(node="n1", msg_id=sent.msg_id)]


def test_a_message_for_a_node_that_is_not_connected_is_lost_only_when_nobody_keeps_it(hub: CloudHubEnv) -> None:
    for kept in (True, False):
        hub.harness.publish(SendToNode(message=BusPublish(node="n1", topic=str(kept), payload="on"), kept=kept))
    (letter,) = [each.message for each in hub.harness.dead_letters]
    assert isinstance(letter, MessageLost) and letter.reason == "its connection has just ended"
