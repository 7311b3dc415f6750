"""Which rule a request or an upload is for, and what a rule that can not act says: tables, and properties over many of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.router.request_path import InvalidPath, RequestPath, parse_request_path, target_path
from kubeedge_actors.actors.router.request_path import target_topic as topic_of
from kubeedge_actors.actors.router.rule_status import MAX_ERRORS, RuleCounts, RuleStatusQueue, updated_status
from kubeedge_actors.actors.router.rule_table import NO_PORT, NodeWants, RuleTable
from kubeedge_actors.actors.router.rules import EventBusSource, RestTarget, ServiceBusTarget
from tests.support.rules import ENDPOINTS, endpoint, rule

PARTS = st.sampled_from(["a", "b", "c", "{id}", "{x}", "a.b"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(tuple)
PLAIN = st.lists(st.sampled_from(["a", "b", "c", "a.b"]), min_size=1, max_size=5).map(tuple)


def rest(name: str, path: str, namespace: str = "default") -> dict[str, Any]:
    return rule(name, "rest", {"path": path}, "eventbus", {"topic": "t"}, namespace)


def request(*parts: str, namespace: str = "default") -> RequestPath:
    return RequestPath("edge-1", namespace, parts, "")


@given(st.lists(PATHS, max_size=6), PLAIN)
def test_the_longest_path_that_leads_to_the_request_wins(paths: list[tuple[str, ...]], asked: tuple[str, ...]) -> None:
    table = RuleTable([rest(f"r{n}", "/".join(path)) for n, path in enumerate(paths)], ENDPOINTS)
    fitting = [
        path
        for path in paths
        if len(path) <= len(asked)
        and all(want == have or want[0] == "{" for want, have in zip(path, asked, strict=False))
    ]
    found = table.for_request(request(*asked))
    if not fitting:
        assert found is None
        return
    assert found is not None
    path = paths[int(found.key.removeprefix("default/r"))]
    assert path in fitting
    assert len(path) == max(map(len, fitting))
    assert table.for_request(request(*asked, namespace="other")) is None


@given(st.text(max_size=40))
def test_any_target_is_split_or_refused(text: str) -> None:
    try:
        found = parse_request_path(text)
    except InvalidPath:
        return
    assert found.node and found.namespace and found.parts
    assert not {".", "..", ""} & {found.node, found.namespace, *found.parts}
    assert target_path("/local", found.parts, found.query).startswith("/local/")


@pytest.mark.parametrize("climbing", ["/e/d/a/../../x", "/e/d/%2e%2E/x", "/e/d/./x", "/e/../d/x", "/e/d/..\\x"])
def test_a_path_that_climbs_is_refused(climbing: str) -> None:
    with pytest.raises(InvalidPath):
        parse_request_path(climbing)


def test_a_topic_gets_no_wildcard_from_a_request() -> None:
    with pytest.raises(InvalidPath):
        topic_of("lamp", ("+",))


INVALID = {
    "no such endpoint": (
        rule("r", "nowhere", {}, "rest", {}),
        "the source RuleEndpoint default/nowhere does not exist",
    ),
    "no direction": (
        rule("r", "eventbus", {"topic": "t", "node_name": "e"}, "servicebus", {"path": "/"}),
        "from eventbus to servicebus no rule can lead",
    ),
    "no node": (rule("r", "eventbus", {"topic": "t"}, "rest", {"resource": "http://a"}), "node_name is missing"),
    "too many nodes": (
        rule("r", "eventbus", {"topic": "t", "node_name": ",".join(["e"] * 101)}, "rest", {"resource": "http://a"}),
        "names 101 nodes, not 1 to 100",
    ),
    "no filter": (
        rule("r", "eventbus", {"topic": "a/#/b", "node_name": "e"}, "rest", {"resource": "http://a"}),
        "'default/a/#/b' is no topic that can be subscribed to",
    ),
    "no URL": (
        rule("r", "eventbus", {"topic": "t", "node_name": "e"}, "rest", {"resource": "file:///etc/passwd"}),
        "'file:///etc/passwd' in targetResource is no URL",
    ),
    "no topic": (rule("r", "rest", {"path": "/a"}, "eventbus", {"topic": "a/#"}), "'a/#' is no topic"),
    "no port": (rule("r", "rest", {"path": "/a"}, "portless", {"path": "/x"}), "has no service_port"),
    "no path": (rule("r", "rest", {"path": "/"}, "eventbus", {"topic": "a"}), "is empty"),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_rule_that_can_not_act_says_why(case: str) -> None:
    object, sentence = INVALID[case]
    table = RuleTable([object], [*ENDPOINTS, endpoint("portless", "servicebus")])
    assert not table.rules
    assert sentence in table.errors["default/r"]


def test_a_rule_for_requests_says_that_none_can_come() -> None:
    assert RuleTable([rest("r", "/a")], ENDPOINTS, serves_rest=False).errors == {"default/r": NO_PORT}


def test_a_rule_of_several_nodes_listens_at_each_of_them() -> None:
    up = rule("up", "eventbus", {"topic": "/x/+/", "node_name": "e1, e2"}, "rest", {"resource": "http://a:1/b"})
    table = RuleTable([up], ENDPOINTS)
    assert table.rules["default/up"].source == EventBusSource(("e1", "e2"), "default/x/+")
    assert table.rules["default/up"].target == RestTarget("http://a:1/b")
    assert table.nodes() == {"e1", "e2"}
    assert table.wants_of("e2") == NodeWants(frozenset({"default/x/+"}))
    assert [each.key for each in table.for_topic("e1", "default/x/1")] == ["default/up"]
    assert table.for_topic("e1", "default/x") == table.for_topic("e3", "default/x/1") == []


def test_a_service_has_the_port_of_its_endpoint() -> None:
    down = rule("down", "rest", {"path": "/b"}, "servicebus", {"path": "local"})
    assert RuleTable([down], ENDPOINTS).rules["default/down"].target == ServiceBusTarget(9000, "/local")


@given(st.lists(st.sampled_from(["good", "bad", "take", "written", "failed"]), max_size=40))
def test_every_message_is_counted_once_whatever_becomes_of_the_writes(steps: list[str]) -> None:
    queue, status = RuleStatusQueue(), dict[str, Any]()
    flying: dict[str, RuleCounts] = {}
    for step in [*steps, "failed", "take", "written"]:
        match step:
            case "good":
                queue.on_success("r")
            case "bad":
                queue.on_failure("r", "no")
            case "take":
                flying |= queue.take()
            case _ if flying:
                if step == "written":
                    status = updated_status(status, flying["r"])
                queue.on_written("r", written=step == "written")
                flying.clear()
    assert queue.is_empty
    assert status.get("successMessages", 0) == steps.count("good")
    assert status.get("failMessages", 0) == steps.count("bad")
    assert len(status.get("errors", ())) <= MAX_ERRORS


def test_what_is_wrong_with_a_rule_is_told_once_and_taken_back() -> None:
    queue = RuleStatusQueue()
    queue.on_rules_read({"r": "why"})
    assert queue.take()["r"].invalid == "why"
    queue.on_written("r", written=True)
    queue.on_rules_read({"r": "why"})
    assert queue.is_empty
    queue.on_rules_read({})
    assert updated_status({"errors": ["why"]}, queue.take()["r"])["errors"] == []
