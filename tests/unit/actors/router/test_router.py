"""What Router does by its rules: requests to nodes, what nodes hand up to targets, and what of it survives."""

from __future__ import annotations

import base64
import json

import pytest

from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.http.base import RestResponse
from kubeedge_actors.errors import AskTimeout, HttpError
from kubeedge_actors.kubernetes.object_types import RULE_KIND, RULEENDPOINT_KIND
from kubeedge_actors.supervisors import Reason
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import (
    BusPublish,
    BusUploaded,
    ServiceBusResponse,
    ServiceCall,
    SessionClosed,
)
from tests.support.env.router import DOWN, PROGRAMS, SERVICE, UP, RouterEnv, response
from tests.support.rules import ENDPOINTS, endpoint, rule


def brief(messages: list[object]) -> list[tuple[str, str, str]]:
    return [(type(m).__name__, m.node, getattr(m, "topic", "") or getattr(m, "url", "")) for m in messages]  # type: ignore[attr-defined]


def test_nodes_are_told_what_to_hand_up_and_what_no_longer_also_when_they_were_away() -> None:
    env = RouterEnv(UP, PROGRAMS, connected=False)
    assert env.told() == []
    wanted = [("BusSubscribe", "edge-1", "default/test"), ("TargetUrlAdded", "edge-1", "http://x/y")]
    assert brief(env.connect()) == wanted
    env.harness.publish(SessionClosed(node="edge-1", reason="gone"))
    env.cluster.delete(RULE_KIND, "default", "up")
    assert env.told() == []
    assert brief(env.connect()) == [("BusUnsubscribe", "edge-1", "default/test"), wanted[1]]
    env.cluster.delete(RULE_KIND, "default", "programs")
    assert brief(env.told()) == [("TargetUrlRemoved", "edge-1", "http://x/y")]


def test_a_request_becomes_a_publication_at_its_node() -> None:
    env = RouterEnv(DOWN)
    future = env.call("down", "more")
    assert response(future) == RestResponse(200, b"message delivered")
    (said,) = env.outbox.take()
    assert isinstance(said, BusPublish)
    assert (said.node, said.topic, said.payload) == ("edge-1", "topic-test/more", "Hello")
    assert response(env.call("down", node="edge-9")).status == 500
    assert response(env.call("down", body=b"\xff")).status == 400
    assert response(env.call("nobody")).status == 404
    env.advance(6)
    assert env.status("down") == {
        "successMessages": 1,
        "failMessages": 2,
        "errors": ["cloudcore doesn't have session for node:edge-9", "a message to a topic has to be text in UTF-8"],
    }


def test_a_request_becomes_a_call_of_a_service_whose_answer_is_relayed() -> None:
    env = RouterEnv(SERVICE)
    future = env.call("service", "more", query="x=1")
    (call,) = env.told()
    assert isinstance(call, ServiceCall)
    assert (call.node, call.method, call.target) == ("edge-1", "POST", "9000:/url/more?x=1")
    body = base64.b64encode(b"Hello").decode()
    assert call.request == {"header": {"User": ["I am user"]}, "body": body, "method": "POST", "url": ""}
    content = {"header": {"K": ["v"]}, "status_code": 201, "body": base64.b64encode(b"made").decode()}
    answer = BusUploaded(
        node="edge-9", resource="", content=content, source=constants.SERVICEBUS, parent_msg_id=call.msg_id
    )
    env.harness.publish(answer)  # another node knows the id, and is not asked
    env.harness.run()
    assert not future.done
    env.upload("", resource="", source=constants.SERVICEBUS, parent_msg_id=call.msg_id)
    assert response(future).status == 500  # no answer at all
    second = env.call("service")
    (call,) = env.told()
    env.harness.publish(
        BusUploaded(node="edge-1", resource="", content=content, source="servicebus", parent_msg_id=call.msg_id)
    )
    env.harness.run()
    assert response(second) == RestResponse(201, b"made", {"K": ["v"]})


def test_a_node_that_does_not_answer_is_said_in_time() -> None:
    env = RouterEnv(SERVICE)
    future = env.call("service")
    env.advance(60)
    assert response(future).status == 408


def test_what_a_node_hands_up_is_handled_when_its_target_has_answered_in_order_and_once() -> None:
    env = RouterEnv(UP)
    env.target.answer = lambda body: HttpError("refused")
    futures = [env.upload(f"{number}", msg_id=f"m-{number}") for number in range(100)]
    env.work()
    env.advance(20)
    assert not any(future.done for future in futures)
    futures.append(env.upload("7", msg_id="m-7"))  # the edge says it again
    env.target.answer = lambda body: 200
    env.advance(31)
    assert env.target.got == [f"{number}".encode() for number in range(100)]
    assert env.target.ids == [f"m-{number}" for number in range(100)]
    assert all(future.done for future in futures)
    assert env.status("up")["successMessages"] == 100
    assert env.status("up").get("failMessages") == 0


def test_what_no_rule_wants_is_handled_at_once() -> None:
    env = RouterEnv(UP)
    assert env.upload("x", "other/test").done
    assert env.upload("x", "default/test", source=constants.SERVICEBUS).done
    assert env.jobs == []


def test_nothing_is_handled_before_the_rules_are_known() -> None:
    cluster = FakeCluster()
    for each in ENDPOINTS:
        cluster.create(RULEENDPOINT_KIND, "default", each)
    cluster.create(RULE_KIND, "default", UP)
    cluster.down = True
    env = RouterEnv(cluster=cluster)
    future = env.upload("early")
    env.work()
    assert not future.done
    cluster.down = False
    env.harness.run()
    env.work()
    assert env.target.got == [b"early"]
    assert future.done


def test_what_is_given_up_is_a_dead_letter_with_the_rules_name_and_a_replay_delivers_it() -> None:
    env = RouterEnv(UP)
    env.target.answer = lambda body: HttpError("refused")
    future = env.upload("late")
    env.work()
    env.advance(3700)
    assert future.done
    (letter,) = env.harness.dead_letters
    assert letter.reason is Reason.UNDELIVERABLE
    assert "default/up" in letter.error
    assert env.status("up")["failMessages"] == 1
    env.target.answer = lambda body: 200
    env.harness.ref(letter.recipient).tell(letter.message)
    env.harness.run()
    env.work()
    assert env.target.got == [b"late"]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_target_that_is_in_trouble_is_asked_again(status: int) -> None:
    env = RouterEnv(UP)
    env.target.answer = lambda body: status
    future = env.upload("x")
    env.work()
    assert not future.done
    env.target.answer = lambda body: 204
    env.advance(2)
    assert future.done


def test_a_target_that_refuses_a_message_is_not_asked_again() -> None:
    env = RouterEnv(UP)
    env.target.answer = lambda body: 404 if body == b"bad" else 200
    futures = env.upload("bad"), env.upload("good")
    env.work()
    assert all(future.done for future in futures)
    assert env.target.got == [b"good"]
    assert len(env.harness.dead_letters) == 1


def test_a_program_of_a_node_hears_what_the_target_says() -> None:
    env = RouterEnv(PROGRAMS)
    env.upload("aGVsbG8=", "http://x/y", msg_id="m-1", source=constants.SERVICEBUS)
    env.work()
    (said,) = env.told()
    assert isinstance(said, ServiceBusResponse)
    assert (said.node, said.parent_msg_id, said.resource, said.content) == ("edge-1", "m-1", "http://x/y", "thanks")
    assert env.target.got == [b"aGVsbG8="]


def test_one_message_for_two_rules_is_handled_when_both_are_done() -> None:
    other = rule("other", "eventbus", {"topic": "+", "node_name": "edge-1"}, "rest", {"resource": "http://other/"})
    env = RouterEnv(UP, other)
    future = env.upload("x")
    assert len(env.jobs) == 2
    env.jobs.pop(0)()
    env.harness.run()
    done_by_one = future.done
    env.work()
    assert (done_by_one, future.done) == (False, True)
    assert env.target.got == [b"x", b"x"]


def test_one_node_can_not_fill_the_memory_of_all() -> None:
    env = RouterEnv(UP)
    env.target.answer = lambda body: HttpError("refused")
    futures = [env.upload("x" * (1 << 20)) for _ in range(40)]
    refused = [future for future in futures if future.done]
    assert len(refused) == 8
    with pytest.raises(AskTimeout):
        refused[0].get(0.0)


def test_a_status_is_written_once_in_five_seconds_and_says_why_a_rule_does_not_act() -> None:
    env = RouterEnv(UP)
    before = env.cluster.count("patch", "rules")
    for number in range(50):
        env.upload(f"{number}")
        env.work()
    env.advance(6)
    assert env.status("up") == {"successMessages": 50, "failMessages": 0, "errors": []}
    assert env.cluster.count("patch", "rules") - before == 1
    env.cluster.delete(RULEENDPOINT_KIND, "default", "rest")
    env.advance(6)
    assert "does not exist" in env.status("up")["errors"][0]


def test_deleting_a_rule_ends_what_waits_for_it() -> None:
    env = RouterEnv(UP)
    env.target.answer = lambda body: HttpError("refused")
    future = env.upload("x")
    env.work()
    env.cluster.delete(RULE_KIND, "default", "up")
    env.harness.run()
    assert future.done
    assert len(env.harness.dead_letters) == 1


RECORDED = {
    "subscribe": ("router_eventbus", "default/temp", None),
    "start": ("router_servicebus", "http://127.0.0.1:28190/svc", None),
    "publish": ("router_eventbus", "down", "body text"),
    "POST": (
        "router_servicebus",
        "9060:/local/more?x=1",
        {"header": {"User": ["I am user"]}, "body": "Ym9keSB0ZXh0", "method": "POST", "url": ""},
    ),
}
"""What a genuine cloudcore says to the nodes of such rules: source, resource and content by operation, in the group `user`."""


def test_what_nodes_are_told_is_what_a_genuine_cloud_says() -> None:
    env = RouterEnv(
        rule("a", "eventbus", {"topic": "temp", "node_name": "edge-1"}, "rest", {"resource": "http://x/"}),
        rule(
            "b",
            "servicebus",
            {"target_url": RECORDED["start"][1], "node_name": "edge-1"},
            "rest",
            {"resource": "http://x/"},
        ),
        rule("c", "rest", {"path": "/a"}, "eventbus", {"topic": "down"}),
        rule("d", "rest", {"path": "/b"}, "local", {"path": "/local"}),
        connected=False,
    )
    env.cluster.create(RULEENDPOINT_KIND, "default", endpoint("local", "servicebus", service_port="9060"))
    said = env.connect()
    env.call("c", body=b"body text")
    env.call("d", "more", query="x=1", body=b"body text")
    found = {}
    for message in [*said, *env.outbox.take(), *env.told()]:
        frame = json.loads(beehive.encode(mapping.to_beehive(message, 1)))
        route = frame["route"]
        assert route.pop("group") == "user"
        assert frame["header"].keys() == {"msg_id", "timestamp"}
        found[route["operation"]] = (route["source"], route["resource"], frame["content"])
    assert found == RECORDED


@pytest.mark.parametrize("at", [3, 5, 8, 12, 13, 20])
def test_crashes_of_the_router_lose_nothing_of_what_waits(at: int) -> None:
    env = RouterEnv(UP, SERVICE, crashes=(at, at + 4))
    env.target.answer = lambda body: HttpError("refused")
    call = env.call("service")
    futures = [env.upload(f"{number}", msg_id=f"m-{number}") for number in range(10)]
    env.work()
    env.advance(5)
    env.target.answer = lambda body: 200
    env.advance(70)
    assert list(dict.fromkeys(env.target.got)) == [b"%d" % number for number in range(10)]
    assert all(future.done for future in [call, *futures])
