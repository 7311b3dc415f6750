"""What Router does when its targets, its nodes or the API fail: nothing waits for ever, nothing goes without a word."""

from __future__ import annotations

import pytest

from kubeedge_actors.actors.router import deliveries, router
from kubeedge_actors.actors.router.target_calls import BATCH_SECONDS
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.http.base import ClientResponse
from kubeedge_actors.errors import AnswerLost, AskTimeout, ClusterError, Conflict, HttpError, NotFound
from kubeedge_actors.kubernetes.object_types import RULE_KIND, RULEENDPOINT_KIND
from kubeedge_actors.supervisors import Undeliverable
from tests.support.env.router import DOWN, UP, RouterEnv, response
from tests.support.rules import ENDPOINTS, rule


def test_more_than_may_wait_for_the_rules_has_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "MAX_DEFERRED", 1)
    cluster = FakeCluster()
    cluster.down = True
    env = RouterEnv(cluster=cluster)
    first, second = env.upload("1"), env.upload("2")
    assert not first.done
    with pytest.raises(AskTimeout, match="the rules are not known yet"):
        second.get(0.0)


def test_a_defect_in_calling_a_target_holds_up_nobody_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    env = RouterEnv(UP)

    def broken(body: bytes) -> int:
        raise RuntimeError("a defect")

    env.target.answer = broken
    future = env.upload("x")
    env.work()
    assert not future.done
    assert "a call of http://target.example/echo failed" in caplog.text
    env.target.answer = lambda body: 200
    env.advance(6)
    assert (future.done, env.target.got) == (True, [b"x"])
    assert env.status("up")["errors"] == ["http://target.example/echo can not be called: a defect"]


def test_nodes_hear_of_what_has_arrived_before_a_slow_target_has_taken_all(monkeypatch: pytest.MonkeyPatch) -> None:
    env = RouterEnv(UP)
    clock = env.harness.clock

    def slow(*_: object) -> ClientResponse:
        clock.advance(BATCH_SECONDS)
        env.target.got.append(b"taken")
        return ClientResponse(200, {}, b"")

    monkeypatch.setattr(env.target, "post", slow)
    futures = [env.upload(f"{number}") for number in range(5)]
    env.jobs.pop(0)()  # the first message alone: it was the only one when the thread began
    env.harness.run()
    env.jobs.pop(0)()
    env.harness.run()
    assert [future.done for future in futures] == [True, True, True, False, False]


def test_a_target_that_takes_one_message_at_a_time_is_not_waited_for_ever_longer() -> None:
    env = RouterEnv(UP)
    calls = iter(range(1_000))
    env.target.answer = lambda body: 200 if next(calls) % 2 else HttpError("refused")
    futures = [env.upload(f"{number}") for number in range(8)]
    env.advance(12)
    assert all(future.done for future in futures)
    assert env.target.got == [f"{number}".encode() for number in range(8)]


def test_of_more_targets_than_may_be_called_at_once_one_is_called_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries, "MAX_DELIVERIES", 1)
    other = rule("other", "eventbus", {"topic": "+", "node_name": "edge-1"}, "rest", {"resource": "http://other/"})
    env = RouterEnv(UP, other)
    future = env.upload("x")
    assert len(env.jobs) == 1
    env.jobs.pop(0)()
    env.harness.run()
    assert (len(env.jobs), future.done) == (1, False)
    env.work()
    assert future.done


def test_what_waits_for_a_rule_that_can_not_act_for_a_while_arrives_when_it_can() -> None:
    env = RouterEnv(UP)
    env.target.answer = lambda body: HttpError("refused")
    future = env.upload("x")
    env.work()
    env.cluster.delete(RULEENDPOINT_KIND, "default", "rest")
    env.target.answer = lambda body: 200
    env.advance(60)
    assert (future.done, env.target.got) == (False, [])
    assert "the rule can not act" in env.status("up")["errors"]
    env.cluster.create(RULEENDPOINT_KIND, "default", ENDPOINTS[0])
    env.advance(31)
    assert (future.done, env.target.got) == (True, [b"x"])


def test_a_dead_letter_of_a_rule_that_is_gone_stays_one_when_it_is_replayed() -> None:
    env = RouterEnv(UP)
    env.target.answer = lambda body: HttpError("refused")
    env.upload("x")
    env.work()
    env.cluster.delete(RULE_KIND, "default", "up")
    env.harness.run()
    (letter,) = env.harness.dead_letters
    replay = env.harness.ref(letter.recipient).ask(letter.message, 5.0)
    env.harness.run()
    with pytest.raises(AnswerLost, match="there is no such rule that can act"):
        replay.get(0.0)


def test_a_request_that_can_not_be_kept_for_its_node_or_is_no_topic_is_refused_with_a_reason() -> None:
    env = RouterEnv(DOWN)

    def full(message: object) -> None:
        raise Undeliverable("node edge-1 has too much waiting")

    env.outbox.answer = full
    answer = response(env.call("down"))
    assert answer.status == 500
    assert b"node edge-1 has too much waiting" in answer.body
    assert response(env.call("down", "a#b")).status == 400
    env.advance(6)
    assert env.status("down")["failMessages"] == 2


@pytest.mark.parametrize(
    ("error", "kept", "said"),
    [
        (NotFound({"code": 404, "reason": "NotFound", "message": "it is gone"}), False, ""),
        (Conflict({"code": 409, "reason": "Conflict", "message": "somebody was quicker"}), True, ""),
        (ClusterError({"code": 503, "reason": "ServiceUnavailable", "message": "not now"}), True, "not now"),
        (ClusterError({"code": 422, "reason": "Invalid", "message": "not so"}), False, "not so"),
    ],
    ids=lambda value: str(getattr(value, "code", "")),
)
def test_counts_that_could_not_be_written_come_again_unless_they_never_can_be(
    error: ClusterError, kept: bool, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    env = RouterEnv(UP)
    env.cluster.refuse = lambda request: error if request[:2] == ("patch", "rules") else None
    env.upload("1")
    env.work()
    env.advance(6)
    env.cluster.refuse = lambda request: None
    env.upload("2")
    env.work()
    env.advance(6)
    assert env.status("up")["successMessages"] == (2 if kept else 1)
    assert [said] * bool(said) == [
        text
        for record in caplog.records
        if (text := record.getMessage().rpartition(": ")[2]) and "status of rule" in record.getMessage()
    ]
