"""EdgeHub: when it connects, what it hands down, what it says once."""

from __future__ import annotations

import itertools
import logging
import re

import pytest

from kubeedge_actors.actors.edgehub.device_reports import is_resend_due
from kubeedge_actors.actors.edgehub.reconnect_backoff import ReconnectBackoff
from kubeedge_actors.actors.edgehub.traffic import TrafficCounters
from kubeedge_actors.drivers.link.base import Link, UpgradeResponse
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import CertificateError, LinkError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Reason, Ref, ReplyTo
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    BusPublish,
    ErrorResponse,
    KeepAlive,
    LinkDown,
    LinkUp,
    MembershipRequest,
    ObjectPushed,
    PatchNode,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    Response,
    UnknownMessage,
    WriteLease,
)
from tests.support.env.edgehub import SETTLED, EdgeHubEnv, FakeCloud

QUERY = QueryObject(type="configmap", namespace="default", name="shop")
PUSH = ObjectPushed(operation="insert", type="pod", namespace="default", name="shop", object={"metadata": {"uid": "u"}})


class Keys:
    """Credentials that do as a test says; each round of `obtain` gives another certificate."""

    def __init__(self) -> None:
        self.error: LinkError | None = None
        self.renewal: LinkError | None = None
        self.renewals = 0
        self.due = 0.0

    def obtain(self) -> TlsPaths:
        if self.error is not None:
            raise self.error
        return TlsPaths("ca", f"cert-{self.renewals}", "key")

    def renew_at(self) -> float:
        return self.due

    def renew(self) -> TlsPaths:
        if self.renewal is not None:
            raise self.renewal
        self.renewals += 1
        self.due = 0.0
        return self.obtain()


# --- connecting ---------------------------------------------------------------------------------------------------


def test_it_introduces_itself_in_headers_and_path() -> None:
    env = EdgeHubEnv().start()
    (peer,) = env.cloud.requests
    assert peer.path == f"/{constants.DEFAULT_PROJECT}/edge-1/events"
    assert peer.headers == {
        "node_id": "edge-1",
        "project_id": constants.DEFAULT_PROJECT,
        "connectionuse": "msg",
        "kubeedge-actors-ack": "1",
        "kubeedge-actors-lease": "1",
        "kubeedge-actors-confirm": "1",
    }


def test_it_beats_at_once_and_then_every_heartbeat() -> None:
    env = EdgeHubEnv(heartbeat=15.0)
    env.harness.run()
    assert len(env.cloud.of(KeepAlive)) == 1
    env.harness.advance(14.9)
    assert len(env.cloud.of(KeepAlive)) == 1
    env.harness.advance(0.1)
    env.harness.advance(30.0)
    assert len(env.cloud.of(KeepAlive)) == 4


def test_a_genuine_cloud_gets_a_moment_before_the_first_request() -> None:
    env = EdgeHubEnv()
    ups = env.harness.probe(LinkUp)
    env.harness.run()
    assert len(ups) == 0
    env.harness.advance(SETTLED)
    assert len(ups) == 1


def test_a_cloud_of_ours_needs_no_moment() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True))
    ups = env.harness.probe(LinkUp)
    env.harness.run()
    assert len(ups) == 1


@pytest.mark.parametrize("answered", [True, False])
def test_a_cloud_that_renews_the_lease_with_each_beat_says_so_in_the_handshake(answered: bool) -> None:
    env = EdgeHubEnv(cloud=FakeCloud(headers={constants.HEADER_LEASE: "1"} if answered else {}))
    ups = env.harness.probe(LinkUp)
    env.start()
    assert [up.cloud_renews_lease for up in ups] == [answered]


def test_what_goes_over_the_link_is_counted_by_module_and_kind() -> None:
    tally = TrafficCounters()
    env = EdgeHubEnv(traffic=tally).start()
    env.tell(QUERY)
    env.tell(ReportEvent(operation="insert", namespace="default", name="e", content={}))
    env.say(PUSH)
    env.cloud.say_text("{")
    env.harness.run()
    facts = tally.snapshot()
    said = {text: len(text) for text in env.cloud.texts}
    assert {about: each["messages"] for about, each in facts["up"].items()} == {
        "websocket/keepalive": 1,
        "edged/configmap": 1,
        "edged/event": 1,
    }
    assert sum(each["bytes"] for each in facts["up"].values()) == sum(said.values())
    assert facts["down"].keys() == {"edgecontroller/pod", "malformed"}


def test_a_cloud_that_invents_kinds_does_not_fill_memory() -> None:
    tally = TrafficCounters()
    for number in range(2000):
        tally.count("down", f'{{"route":{{"source":"x","operation":"update","resource":"a/kind-{number}/b"}}}}')
    assert len(tally.snapshot()["down"]) <= 502
    assert sum(each["messages"] for each in tally.snapshot()["down"].values()) == 2000


def test_it_tries_again_with_growing_patience_and_full_jitter() -> None:
    chances = itertools.cycle([1.0, 0.5])
    cloud, opened = FakeCloud(), list[float]()
    cloud.server.reachable = False

    def link() -> Link:
        opened.append(env.harness.clock.monotonic())
        return cloud.server.link()

    env = EdgeHubEnv(cloud=cloud, chance=lambda: next(chances), link_factory=link)
    env.harness.advance(120.0)
    waits = [round(after - before, 3) for before, after in itertools.pairwise(opened)]
    assert waits[:8] == [0.5, 0.5, 2.0, 2.0, 8.0, 8.0, 30.0, 15.0]


def test_it_comes_back_when_the_cloud_says() -> None:
    env = EdgeHubEnv()
    env.cloud.refusal = UpgradeResponse(503, {"Retry-After": "90"}, "too many nodes")
    env.harness.run()
    env.harness.advance(89.0)
    assert len(env.cloud.requests) == 1
    env.harness.advance(2.0)
    assert len(env.cloud.requests) == 2


def test_a_link_that_lasted_makes_it_start_over_and_one_that_did_not_does_not() -> None:
    patience = ReconnectBackoff(lambda: 1.0)
    for _ in range(5):
        patience.next_delay()
    patience.on_disconnected(9.0)
    assert patience.next_delay() == 16.0
    patience.on_disconnected(10.0)
    assert patience.next_delay() == 0.5


def test_a_lost_link_is_told_once_and_comes_back() -> None:
    env = EdgeHubEnv()
    ups, downs = env.harness.probe(LinkUp), env.harness.probe(LinkDown)
    env.start()
    env.cloud.server.cut("the cable")
    env.harness.run()
    assert downs.only() == LinkDown(reason="the cable")
    env.back()
    assert len(ups) == 2
    assert len(downs) == 1


def test_an_outage_is_said_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    env = EdgeHubEnv()
    env.start()
    caplog.clear()
    env.cut()
    env.cloud.server.reachable = False
    env.harness.advance(20.0)
    env.cloud.server.reachable = True
    env.back()
    texts = [record.getMessage() for record in caplog.records]
    assert len([text for text in texts if text.startswith("no link to ")]) == 2, texts  # cut, then refused
    (back,) = [text for text in texts if text.startswith("the link to ")]
    assert re.search(r" is back after [23]\d s$", back), back
    assert texts[-1] == back
    assert caplog.records[-1].levelno == logging.WARNING


def test_a_link_that_flaps_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    env = EdgeHubEnv(chance=lambda: 0.1)
    env.start()
    caplog.clear()
    began = env.harness.clock.monotonic()
    for _ in range(20):
        env.cut()
        env.harness.advance(11.0)  # long enough to be up again and count as a link that lasted
    minutes = (env.harness.clock.monotonic() - began) / 60.0
    texts = [record.getMessage() for record in caplog.records]
    assert 2 <= len(texts) <= 2 * (minutes + 1) < 12, (minutes, texts)


def test_a_link_that_breaks_before_it_is_settled_is_no_link() -> None:
    env = EdgeHubEnv()
    ups, downs = env.harness.probe(LinkUp), env.harness.probe(LinkDown)
    env.harness.run()
    env.cut()
    env.harness.advance(0.4)
    assert (len(ups), len(downs)) == (0, 0)


def test_certificates_are_fetched_again_until_they_come() -> None:
    keys, sentences = Keys(), list[str]()
    keys.error = LinkError("the cloud can not be reached")
    env = EdgeHubEnv(credentials=keys, on_rejected=sentences.append).start()
    assert env.cloud.requests == []
    keys.error = None
    env.back()
    assert len(env.cloud.requests) == 1
    assert sentences == []


def test_certificates_that_are_refused_are_told_to_whoever_started_us() -> None:
    keys, sentences = Keys(), list[str]()
    keys.error = CertificateError("the token is wrong")
    EdgeHubEnv(credentials=keys, on_rejected=sentences.append).start()
    assert sentences == ["the token is wrong"]


def test_a_node_that_was_let_in_once_goes_on_when_its_certificates_are_refused_later() -> None:
    keys, sentences = Keys(), list[str]()
    env = EdgeHubEnv(credentials=keys, on_rejected=sentences.append).start()
    keys.error = CertificateError("the certificate has expired")
    env.cut()
    env.back()
    assert sentences == []
    keys.error = None
    env.back()
    assert len(env.cloud.requests) == 2


def test_a_certificate_is_renewed_in_time_and_the_link_opened_anew_with_it() -> None:
    keys = Keys()
    env = EdgeHubEnv(credentials=keys)
    keys.due = env.harness.clock.now() + 100.0
    env.start()
    env.harness.advance(90.0)
    assert keys.renewals == 0
    env.harness.advance(60.0)
    assert keys.renewals == 1
    assert len(env.cloud.requests) == 2


def test_a_renewal_that_fails_is_tried_again_and_the_link_stays() -> None:
    keys = Keys()
    env = EdgeHubEnv(credentials=keys)
    keys.due = env.harness.clock.now() + 10.0
    keys.renewal = LinkError("the cloud can not be reached")
    env.start()
    env.harness.advance(60.0)
    assert len(env.cloud.requests) == 1
    keys.renewal = None
    env.harness.advance(60.0)
    assert keys.renewals == 1
    assert len(env.cloud.requests) == 2


def test_a_cloud_that_never_answers_is_left() -> None:
    env = EdgeHubEnv().start()
    env.tell(QUERY)
    env.harness.advance(59.0)
    assert len(env.cloud.requests) == 1
    env.harness.advance(31.0)
    assert len(env.cloud.requests) == 2


def test_a_cloud_that_is_asked_nothing_may_be_silent() -> None:
    env = EdgeHubEnv().start()
    env.tell(Response(parent_msg_id="push", resource="default/pod/shop"))
    env.harness.advance(600.0)
    assert len(env.cloud.requests) == 1


# --- down -----------------------------------------------------------------------------------------------------------


def test_what_the_cloud_says_is_told_to_whoever_accepts_it() -> None:
    env = EdgeHubEnv()
    pods = env.harness.probe(ObjectPushed)
    env.start().say(PUSH)
    assert pods.only().object == PUSH.object


def test_an_answer_is_told_to_metamanager_alone() -> None:
    env = EdgeHubEnv()
    others = env.harness.probe("edged", Response)
    env.start().say(Response(parent_msg_id="question", resource="default/configmap/shop", content={"a": 1}))
    assert env.metamanager.only().content == {"a": 1}
    assert len(others) == 0


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"header":{"msg_id":7}}',
        '{"header":{"msg_id":"x"},"route":{"source":"edged","group":"meta","operation":"query","resource":"a/configmap/b"}}',
    ],
)
def test_a_malformed_frame_is_a_dead_letter_and_the_link_stays(text: str) -> None:
    env = EdgeHubEnv().start()
    env.cloud.say_text(text)
    env.harness.run()
    (letter,) = env.harness.dead_letters[-1:]
    assert letter.reason is Reason.NO_SUBSCRIBER
    assert type(letter.message).__name__ == "MalformedFrame"
    env.say(Response(parent_msg_id="question", resource="x"))
    assert len(env.metamanager) == 1


def test_the_empty_message_of_a_stopping_hub_is_passed_over() -> None:
    env = EdgeHubEnv().start()
    before = len(env.harness.dead_letters)
    env.cloud.say_text('{"header":{"msg_id":"","timestamp":0},"route":{},"content":null}\n')
    env.harness.run()
    assert len(env.harness.dead_letters) == before


def test_a_frame_of_unknown_meaning_goes_to_a_module_that_asked_for_it() -> None:
    env = EdgeHubEnv()
    unknown = env.harness.probe(UnknownMessage)
    env.start()
    env.cloud.say_text('{"header":{"msg_id":"m"},"route":{"source":"x","group":"future"},"content":1}')
    env.harness.run()
    assert unknown.only().message.route.group == "future"


# --- up: said once --------------------------------------------------------------------------------------------------


def test_a_question_is_said_with_its_id_and_the_time() -> None:
    env = EdgeHubEnv().start()
    env.tell(QUERY)
    (heard,) = env.cloud.take()
    assert (heard.msg_id, heard.type, heard.name) == (QUERY.msg_id, "configmap", "shop")
    assert heard.timestamp == pytest.approx(env.harness.clock.now() * 1000, abs=1000)


@pytest.mark.parametrize(
    "question",
    [QUERY, QueryLease(name="edge-1"), PatchNode(name="edge-1", patch="{}"), RegisterNode(name="edge-1", object={})],
)
def test_a_question_without_a_link_is_refused_at_once(question: QueryObject) -> None:
    env = EdgeHubEnv()
    env.cloud.server.reachable = False
    env.start().tell(question)
    refusal = env.metamanager.only()
    assert isinstance(refusal, ErrorResponse)
    assert (refusal.parent_msg_id, refusal.reason) == (question.msg_id, "not connected")
    assert refusal.resource


def test_a_question_that_can_not_be_written_is_refused() -> None:
    env = EdgeHubEnv().start()
    env.tell(QueryObject(type="configmap", namespace="a/b", name="c"))
    assert isinstance(env.metamanager.only(), ErrorResponse)


def test_acknowledgements_without_a_link_are_dropped_because_the_cloud_repeats() -> None:
    env = EdgeHubEnv()
    env.cloud.server.reachable = False
    env.start().tell(Response(parent_msg_id="push", resource="default/pod/shop"), MembershipRequest(content="{}"))
    env.cloud.server.reachable = True
    env.back()
    assert env.cloud.take() == []


def test_heart_beats_and_leases_overtake_everything() -> None:
    env = EdgeHubEnv().start()
    env.cloud.server.stalled = True
    events = [
        ReportEvent(operation="insert", namespace="d", name=str(n), content={"x": "y" * 2000}) for n in range(200)
    ]
    env.tell(*events)
    env.tell(PatchNode(name="edge-1", patch="{}"), WriteLease(operation="update", name="edge-1", object={}))
    env.harness.advance(15.0)
    env.cloud.take()
    env.cloud.server.release_stalled()
    env.harness.run()
    kinds = [type(message) for message in env.cloud.heard]
    assert kinds.index(WriteLease) < 80
    assert kinds.index(KeepAlive) < 80
    assert kinds.index(WriteLease) < kinds.index(PatchNode)
    assert len(env.cloud.of(ReportEvent)) == 200


def test_a_congested_link_refuses_more_questions() -> None:
    env = EdgeHubEnv().start()
    env.cloud.server.stalled = True
    env.tell(*(PatchNode(name="edge-1", patch="x" * 1000) for _ in range(2500)))
    assert {refusal.reason for refusal in env.metamanager} == {"the link is congested"}
    assert 200 < len(env.metamanager) < 600


# --- crashes --------------------------------------------------------------------------------------------------------


def test_a_crash_of_the_hub_is_told_as_a_lost_link_and_it_connects_again() -> None:
    env = EdgeHubEnv()
    ups, downs = env.harness.probe(LinkUp), env.harness.probe(LinkDown)
    env.start()
    env.harness.crash(constants.EDGEHUB)
    assert len(downs) == 1
    env.back()
    assert len(ups) == 2
    env.tell(QUERY)
    assert len(env.cloud.take()) == 1


def test_what_the_cloud_said_before_a_crash_and_was_not_handled_is_handled_after_it() -> None:
    env = EdgeHubEnv()
    published = env.harness.probe(BusPublish)
    env.start()
    env.cloud.say(BusPublish(topic="a", payload="b"))
    env.harness.crash(constants.EDGEHUB)
    env.back()
    assert len(published) == 1


def test_a_second_incarnation_opens_only_one_link() -> None:
    later: list[object] = []
    env = EdgeHubEnv(run_in_thread=later.append)
    env.harness.run()
    env.harness.crash(constants.EDGEHUB)
    env.harness.advance(31.0)
    assert len(later) == 2
    for work in later:
        work()  # type: ignore[operator]
    env.harness.run()
    env.harness.advance(1.0)
    assert len(env.cloud.requests) == 1


def test_what_is_not_confirmed_is_said_again_ever_more_rarely() -> None:
    assert not is_resend_due(0.0, 1, 59.0)
    assert is_resend_due(0.0, 1, 60.0)
    assert not is_resend_due(0.0, 2, 119.0)
    assert is_resend_due(0.0, 2, 120.0)
    assert is_resend_due(0.0, 99, 3600.0)


def confirming() -> EdgeHubEnv:
    """A hub whose cloud wants its modules' messages confirmed."""
    return EdgeHubEnv(cloud=FakeCloud(headers={constants.HEADER_ACK: "1", constants.HEADER_CONFIRM: "1"})).start()


def test_a_message_of_a_cloud_module_is_handled_once_and_confirmed_each_time() -> None:
    env = confirming()
    published = env.harness.probe(BusPublish)
    message = BusPublish(topic="a", payload="b")
    for _ in range(3):
        env.say(message)
    assert [each.msg_id for each in published] == [message.msg_id]
    confirmed = env.cloud.of(Response)
    assert {(each.parent_msg_id, each.source) for each in confirmed} == {(message.msg_id, constants.SOURCE_EDGEHUB)}
    assert len(confirmed) == 3


def test_it_is_confirmed_when_its_receiver_is_done_and_not_before() -> None:
    asked: list[ReplyTo] = []

    class Slow(Module):
        name = "slow"

        @on
        def on_bus_publish(self, message: BusPublish) -> None:
            asked.append(self.reply_later())

    def accepting(kind: type) -> tuple[Ref, ...]:
        return (env.harness.ref("slow"),) if kind is BusPublish else ()

    env: EdgeHubEnv = EdgeHubEnv(cloud=FakeCloud(headers={constants.HEADER_CONFIRM: "1"}), accepting=accepting)
    env.harness._specs.append(Slow.spec())
    env.start()
    env.say(BusPublish(topic="a", payload="b"))
    assert env.cloud.of(Response) == []
    asked.pop().send()
    env.harness.run()
    assert len(env.cloud.of(Response)) == 1


def test_a_genuine_cloud_is_told_nothing() -> None:
    env = EdgeHubEnv().start()
    published = env.harness.probe(BusPublish)
    env.say(BusPublish(topic="a", payload="b"))
    assert len(published) == 1
    assert env.cloud.of(Response) == []


def test_what_could_not_be_confirmed_because_the_link_was_cut_is_confirmed_when_it_comes_again() -> None:
    env = confirming()
    published = env.harness.probe(BusPublish)
    message = BusPublish(topic="a", payload="b")
    env.cloud.say(message)
    env.cloud.server.cut()
    env.harness.run()
    env.back()
    env.say(message)
    assert len(published) == 1
    assert message.msg_id in {each.parent_msg_id for each in env.cloud.of(Response)}
