"""DynamicController: what nodes ask, in whose name the API is called, and what becomes of watches."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from kubeedge_actors.actors.dynamiccontroller import api_requests, listeners
from kubeedge_actors.actors.dynamiccontroller.controller import MAX_CALLS, DynamicController, child_specs
from kubeedge_actors.actors.dynamiccontroller.listeners import Listeners
from kubeedge_actors.drivers.cluster.base import Delegator, EventType, OnChange, Selection, WatchEvent
from kubeedge_actors.errors import Unreachable
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import (
    ApplicationRequest,
    NodeRemoved,
    ObjectPushed,
    Response,
    SessionClosed,
    SessionOpened,
)

SERVICE = {
    "kind": "Service",
    "apiVersion": "v1",
    "metadata": {"name": "a", "namespace": "default", "uid": "u-a", "resourceVersion": "7"},
}


def text(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def application(verb: str, key: str, **more: Any) -> dict[str, Any]:
    """As a genuine edgecore says it."""
    empty = {"ReqBody": None, "RespBody": None, "Subresource": "", "Status": "InApplying", "Reason": ""}
    error: dict[str, Any] = {"ErrStatus": {"metadata": {}}}
    head = {"ID": f"{verb} {key}", "Key": key, "Verb": verb, "Nodename": "edge-1", "Option": text({})}
    return {**head, **empty, "Error": error, "Timestamp": "0001-01-01T00:00:00Z", **more}


class Api:
    """A DelegatedApi that answers as it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Delegator, str, str, bytes | None, str]] = []
        self.answer: tuple[int, object] | Exception = (200, SERVICE)
        self.watches: dict[Selection, tuple[Delegator, OnChange]] = {}

    def request(
        self, who: Delegator, method: str, target: str, body: bytes | None = None, content_type: str = ""
    ) -> tuple[int, bytes]:
        self.calls.append((who, method, target, body, content_type))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer[0], json.dumps(self.answer[1]).encode()

    def watch(self, who: Delegator, what: Selection, on_change: OnChange) -> Callable[[], None]:
        self.watches[what] = who, on_change
        return lambda: self.watches.pop(what, None) and None

    def change(self, type: EventType, object: dict[str, Any]) -> None:
        """Something changes in all that is watched."""
        for what, (_, on_change) in self.watches.items():
            on_change(WatchEvent(what.kind, type, object))


class Env:
    def __init__(self) -> None:
        self.api = Api()
        self.harness = inline(*child_specs(self.api))
        self.hub = self.harness.probe(constants.CLOUDHUB, Response, answer=None)
        self.harness.run()

    def ask(self, content: dict[str, Any], node: str = "edge-1", resource: str = constants.PATH_APPLICATION) -> Any:
        """What the node is told in answer."""
        self.hub.take()
        self.harness.publish(ApplicationRequest(node=node, msg_id="m-1", resource=resource, content=content))
        self.harness.run()
        answers = self.hub.of(Response)
        return answers[0] if answers else None

    def pushed(self) -> list[tuple[str, str, str, str]]:
        self.harness.run()
        found = [m for m in self.hub.take() if isinstance(m, ObjectPushed)]
        return [(m.operation, m.type, m.namespace, m.name) for m in found]


@pytest.fixture
def env() -> Env:
    return Env()


def test_the_words_of_a_genuine_edgecore(env: Env) -> None:
    answer = env.ask(application("get", "/core/v1/services/default/a"))
    record = mapping.to_beehive(answer, 0)
    assert (record.route.source, record.route.group) == ("dynamiccontroller", "resource")
    assert (record.route.operation, record.route.resource) == ("applicationResponse", "ignore/Application/ignore")
    assert record.header.parent_msg_id == "m-1"
    content = json.loads(beehive.encode(record))["content"]
    assert (content["Status"], content["Nodename"]) == ("Approved", "edge-1")
    assert json.loads(base64.b64decode(content["RespBody"])) == SERVICE
    env.api.answer = (
        404,
        {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "none", "code": 404},
    )
    content = env.ask(application("get", "/core/v1/services/default/b")).content
    assert (content["Status"], content["Error"]["ErrStatus"]["reason"]) == ("Rejected", "NotFound")
    assert content["Error"]["ErrStatus"]["code"] == 404


@pytest.mark.parametrize(
    ("asked", "method", "target", "body", "media"),
    [
        (application("get", "/core/v1/pods/ns/a"), "GET", "/api/v1/namespaces/ns/pods/a", None, ""),
        (application("get", "/apis/apps/v1"), "GET", "/apis/apps/v1", None, ""),
        (
            application("list", "/apps/v1/deployments/null/null", Option=text({"labelSelector": "a=b,c", "limit": 5})),
            "GET", "/apis/apps/v1/deployments?labelSelector=a%3Db%2Cc&limit=5", None, "",
        ),
        (
            application("create", "/core/v1/services/ns/null", Option=text({"dryRun": ["All"]}), ReqBody=text({"a": 1})),
            "POST", "/api/v1/namespaces/ns/services?dryRun=All", {"a": 1}, "application/json",
        ),
        (
            application("create", "/core/v1/pods/ns/a", Subresource="eviction", ReqBody=text({})),
            "POST", "/api/v1/namespaces/ns/pods/a/eviction", {}, "application/json",
        ),
        (
            application(
                "create", "/core/v1/pods/ns/null", Subresource="binding", ReqBody=text({"metadata": {"name": "a"}})
            ),
            "POST", "/api/v1/namespaces/ns/pods/a/binding", {"metadata": {"name": "a"}}, "application/json",
        ),
        (application("update", "/core/v1/nodes/null/n", ReqBody=text({})), "PUT", "/api/v1/nodes/n", {}, "application/json"),
        (
            application("updatestatus", "/core/v1/pods/ns/a", Subresource="status", ReqBody=text({})),
            "PUT", "/api/v1/namespaces/ns/pods/a/status", {}, "application/json",
        ),
        (
            application("delete", "/core/v1/pods/ns/a", Option=text({"gracePeriodSeconds": 1})),
            "DELETE", "/api/v1/namespaces/ns/pods/a",
            {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 1}, "application/json",
        ),
        (
            application(
                "patch", "/core/v1/pods/ns/a",
                Option=text({"Name": "a", "PatchType": "application/merge-patch+json", "Data": text({"x": 1}), "Options": {}, "Subresources": [""]}),
            ),
            "PATCH", "/api/v1/namespaces/ns/pods/a", {"x": 1}, "application/merge-patch+json",
        ),
    ],
    ids=lambda value: value.get("Verb", "") if isinstance(value, dict) else None,
)  # fmt: skip
def test_a_call_is_a_request_of_its_verb(
    env: Env, asked: dict[str, Any], method: str, target: str, body: object, media: str
) -> None:
    env.ask(asked)
    ((who, *said, sent, content_type),) = env.api.calls
    assert (who, *said, content_type) == (Delegator("edge-1"), method, target, media)
    assert (json.loads(sent) if sent is not None else None) == body


@pytest.mark.parametrize(
    "asked",
    [
        application("burn", "/core/v1/pods/ns/a"),
        application("get", "pods"),
        application("get", "/core/v1/pods/ns/.."),
        application("get", "/core/v1/pods/ns/a\nb"),
        application("list", "/core/v1/pods/ns/null", Option=base64.b64encode(b"[").decode()),
        application("list", "/core/v1/pods/ns/null", Option=text([])),
        application("patch", "/core/v1/pods/ns/a"),
    ],
)
def test_what_is_no_call_is_refused_and_the_api_does_not_hear_of_it(env: Env, asked: dict[str, Any]) -> None:
    content = env.ask(asked).content
    assert (content["Status"], content["Error"]["ErrStatus"]["code"]) == ("Rejected", 400)
    assert env.api.calls == []


def test_a_token_is_shown_to_the_api_and_does_not_come_back(env: Env) -> None:
    answer = env.ask(application("get", "/core/v1/services/default/a", Token="a-token"))
    assert env.api.calls[0][0] == Delegator("edge-1", "a-token")
    assert "Token" not in answer.content
    assert "a-token" not in repr(answer)


def test_an_api_that_does_not_answer_is_said(env: Env) -> None:
    env.api.answer = Unreachable("the API is away")
    content = env.ask(application("get", "/core/v1/services/default/a")).content
    assert content["Error"]["ErrStatus"]["code"] == 503
    env.api.answer = RuntimeError("a defect")
    assert env.ask(application("get", "/core/v1/services/default/a")).content["Error"]["ErrStatus"]["code"] == 500


def test_an_answer_that_is_no_status_is_told_in_its_own_words_and_one_that_is_too_long_in_ours(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.api.answer = (502, "bad gateway")
    status = env.ask(application("get", "/core/v1/services/default/a")).content["Error"]["ErrStatus"]
    assert (status["code"], status["message"]) == (502, '"bad gateway"')
    monkeypatch.setattr(api_requests, "MAX_ANSWER", 100)
    env.api.answer = (200, SERVICE | {"data": "x" * 100})
    answer = env.ask(application("get", "/core/v1/services/default/a")).content
    assert (answer["Error"]["ErrStatus"]["code"], answer["RespBody"]) == (413, None)
    assert answer["Error"]["ErrStatus"]["message"].endswith(
        "100 at most are sent to a node: ask for less of it (limit)"
    )


def test_a_node_asks_in_its_own_name_and_only_so_often(env: Env) -> None:
    content = env.ask(application("get", "/core/v1/services/default/a"), node="edge-2").content
    assert content["Error"]["ErrStatus"]["reason"] == "Forbidden"
    assert env.ask({"ID": 7}) is None
    busy = inline(DynamicController.spec(lambda: DynamicController(env.api, Listeners(), ["worker"])))
    hub, worker = busy.probe(Response), busy.probe("worker")
    for number in range(MAX_CALLS + 1):
        call = application("get", "/core/v1/services/default/a")
        busy.publish(ApplicationRequest(node="edge-1", msg_id=f"m-{number}", resource="null", content=call))
    busy.run()
    assert len(worker) == MAX_CALLS
    assert hub.only().content["Error"]["ErrStatus"]["code"] == 429


def watched(env: Env, *keys: str) -> Any:
    env.api.answer = (
        200,
        {"kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": []},
    )
    asked = {key: {**application("watch", key), "ID": key} for key in keys}
    return env.ask(asked, resource=constants.PATH_WATCH_SYNC)


def test_a_watch_rests_with_its_session_and_ends_when_it_is_not_listed(env: Env) -> None:
    key = "/core/v1/services/default/null"
    answer = watched(env, key)
    assert (answer.resource, answer.content) == ("watchapp/sync", {})
    env.api.change(EventType.ADDED, SERVICE)
    assert env.pushed() == [("insert", "service", "default", "a")]
    env.api.change(EventType.MODIFIED, SERVICE)
    assert env.pushed() == [("update", "service", "default", "a")]
    env.harness.publish(SessionClosed(node="edge-1", reason="cut"))
    env.harness.run()
    assert env.api.watches == {}
    env.harness.publish(SessionOpened(node="edge-1"))
    env.harness.run()
    assert len(env.api.watches) == 1
    watched(env, key, "/core/v1/services/other/null")
    assert len(env.api.watches) == 2
    watched(env, "/core/v1/services/other/null")
    assert [what.namespace for what in env.api.watches] == ["other"]
    env.harness.publish(NodeRemoved(node="edge-1"))
    env.harness.run()
    assert env.api.watches == {}


def test_what_is_watched_is_watched_anew_after_a_crash_and_what_rests_rests_on(env: Env) -> None:
    watched(env, "/core/v1/services/default/null")
    before = dict(env.api.watches)
    env.harness.crash(DynamicController.name)
    env.harness.run()
    assert len(env.api.watches) == 1 and env.api.watches != before
    env.api.change(EventType.ADDED, SERVICE)
    assert env.pushed() == [("insert", "service", "default", "a")]
    env.harness.publish(SessionClosed(node="edge-1", reason="cut"))
    env.harness.crash(DynamicController.name)
    env.harness.run()
    assert env.api.watches == {}


def test_a_node_has_so_many_watches_and_no_more(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "MAX_OF_NODE", 1)
    first, second = "/core/v1/services/default/null", "/core/v1/services/other/null"
    assert watched(env, first).content == {}
    assert watched(env, first, second).content[second]["Error"]["ErrStatus"]["code"] == 429
    assert [what.namespace for what in env.api.watches] == ["default"]
    again = env.ask({**application("watch", first), "ID": first})  # the same once more takes its place
    assert again.content["Status"] == "Approved" and len(env.api.watches) == 1


def test_a_watch_that_is_not_allowed_is_told_and_not_begun(env: Env) -> None:
    env.api.answer = (403, {"status": "Failure", "reason": "Forbidden", "message": "no"})
    key = "/core/v1/services/default/null"
    answer = env.ask({key: application("watch", key)}, resource=constants.PATH_WATCH_SYNC)
    assert answer.content[key]["Error"]["ErrStatus"]["code"] == 403
    assert env.api.watches == {}
    env.api.answer = (200, {"kind": "ServiceList", "metadata": {"remainingItemCount": 5000}})
    assert env.ask(application("watch", key)).content["Error"]["ErrStatus"]["code"] == 413


def test_the_api_servers_own_endpoints_are_the_nodes_metaserver(env: Env) -> None:
    slice = {
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "endpoints": [{"addresses": ["10.0.0.1", "10.0.0.2"]}, {"addresses": ["10.0.0.3"]}],
        "ports": [{"name": "https", "port": 6443}, {"name": "other", "port": 1}],
    }
    env.api.answer = (
        200,
        {"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "items": [slice, SERVICE]},
    )
    content = env.ask(application("list", "/discovery.k8s.io/v1/endpointslices/null/null")).content
    shown = json.loads(base64.b64decode(content["RespBody"]))["items"]
    assert shown[0]["endpoints"] == [{"addresses": ["127.0.0.1"]}]
    assert [port["port"] for port in shown[0]["ports"]] == [10550, 1]
    assert shown[1] == SERVICE
