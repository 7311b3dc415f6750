"""The API is away, slow or not known yet:

nobody waits for nothing, nothing is lost, one node's trouble is not another's.
"""

from __future__ import annotations

import threading

import msgspec
import pytest

from kubeedge_actors.actors.edgecontroller import controller
from kubeedge_actors.actors.edgecontroller.controller import child_specs
from kubeedge_actors.actors.edgecontroller.upstream_worker import (
    MAX_WAITING,
    UpstreamRequest,
    UpstreamWorker,
    UpstreamWorkerState,
)
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster, Request
from kubeedge_actors.errors import AskTimeout, ClusterError
from kubeedge_actors.kubernetes.object_types import EVENT_KIND, LEASE_KIND
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, SupervisorSpec, ThreadsEngine
from kubeedge_actors.testing import Probe, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    ObjectPushed,
    ObjectVersionDelivered,
    PatchNode,
    QueryLease,
    QueryObject,
    ReportEvent,
    Response,
    UpdateNode,
    WriteLease,
)
from tests.support.api_objects import put_config, put_node, put_pod, using
from tests.support.env.edgecontroller import ADDRESS, EdgeControllerEnv
from tests.support.waiting import PATIENCE

N = "edge-1"


@pytest.fixture
def edge() -> EdgeControllerEnv:
    made = EdgeControllerEnv()
    put_node(made.api)
    put_pod(made.api, "p", **using(config="c"))
    put_config(made.api, "c")
    made.pushed()
    return made


def event(name: str) -> ReportEvent:
    content = {"metadata": {"name": name, "namespace": "default"}, "reason": "Started"}
    return ReportEvent(node=N, operation=constants.INSERT, namespace="default", name=name, content=content)


QUERY = QueryObject(node=N, type=constants.CONFIGMAP, namespace="default", name="c")


def test_status_and_leases_are_answered_with_an_error_at_once(edge: EdgeControllerEnv) -> None:
    edge.api.down = True
    for request in (PatchNode(node=N, name=N, patch="{}"), QueryLease(node=N, name=N)):
        status = edge.answer(request).content["Err"]["ErrStatus"]
        assert (status["reason"], status["code"]) == ("ServiceUnavailable", 503)


def test_an_object_is_never_answered_with_a_passing_error(edge: EdgeControllerEnv) -> None:
    edge.api.down = True
    assert edge.ask(QUERY) == []
    edge.api.down = False
    edge.harness.advance(20)
    answer = edge.hub.only()
    assert (answer.parent_msg_id, answer.content["kind"]) == (QUERY.msg_id, "ConfigMap")


def test_after_its_askers_patience_a_question_is_dropped_with_a_warning(
    edge: EdgeControllerEnv, caplog: pytest.LogCaptureFixture
) -> None:
    edge.api.down = True
    edge.ask(QUERY)
    edge.harness.advance(120)
    assert edge.hub.take() == []
    assert "QueryObject of edge-1: timeout, no more retries" in caplog.text


def test_events_and_deletions_are_done_in_order_when_the_api_is_back(edge: EdgeControllerEnv) -> None:
    edge.api.down = True
    for request in (event("a"), event("b"), UpdateNode(node=N, name=N, object={"metadata": {"labels": {"x": "y"}}})):
        edge.ask(request)
    edge.ask(DeletePod(node=N, namespace="default", name="p", options={"gracePeriodSeconds": 0}))
    edge.api.down = False
    done = len(edge.api.requests)
    edge.harness.advance(20)
    writes = [r for r in edge.api.requests[done:] if r[0] in ("create", "patch", "delete")]
    assert [(verb, plural) for verb, plural, *_ in writes] == [
        ("create", "events"),
        ("create", "events"),
        ("patch", "nodes"),
        ("delete", "pods"),
    ]
    assert [m.content for m in edge.hub.take() if isinstance(m, Response)] == ["OK", "OK"]


def test_while_the_api_is_away_it_is_asked_once_per_back_off(edge: EdgeControllerEnv) -> None:
    edge.api.down = True
    before = len(edge.api.requests)
    for _ in range(100):
        edge.ask(PatchNode(node=N, name=N, patch="{}"))
    assert len(edge.api.requests) == before + 1


def test_who_keeps_a_request_learns_when_it_is_done(edge: EdgeControllerEnv) -> None:
    edge.api.down = True
    future = edge.harness.ref(constants.EDGECONTROLLER).ask(event("a"), 300.0)
    edge.harness.run()
    replies: list[object] = []
    future.then(replies.append, replies.append)
    edge.harness.advance(5)
    assert replies == []
    edge.api.down = False
    edge.harness.advance(30)
    assert replies == [None]
    assert edge.api.peek(EVENT_KIND, "default", "a") is not None


def test_who_keeps_a_request_that_was_given_up_is_not_told_that_it_was_done(edge: EdgeControllerEnv) -> None:
    edge.api.down = True
    future = edge.harness.ref(constants.EDGECONTROLLER).ask(event("a"), 1000.0)
    replies: list[object] = []
    future.then(replies.append, replies.append)
    edge.harness.advance(400)
    assert [type(reply) for reply in replies] == [AskTimeout]


def test_a_worker_that_crashes_goes_on_with_what_waited(edge: EdgeControllerEnv) -> None:
    edge.api.down = True
    edge.ask(event("a"))
    for number in (1, 2):
        edge.harness.crash(f"{constants.EDGECONTROLLER}-{number}")
    edge.api.down = False
    edge.harness.advance(60)
    assert edge.api.peek(EVENT_KIND, "default", "a") is not None


def test_the_line_of_what_waits_has_an_end(edge: EdgeControllerEnv) -> None:
    bench = UpstreamWorkerState()
    worker = UpstreamWorker(upstream=None, state=bench)  # type: ignore[arg-type]
    harness = inline(ChildSpec("w", lambda: worker))
    harness.run()
    for number in range(MAX_WAITING + 3):
        request = msgspec.structs.replace(event(str(number)), node=f"edge-{number % 10}")
        worker._keep(UpstreamRequest(request, None, 0.0))
    assert len(bench.waiting) == MAX_WAITING
    assert bench.counts["given up"] == 3
    assert bench.waiting.popleft().request.name == "3"  # type: ignore[attr-defined]


def test_of_more_requests_than_may_wait_for_the_pods_the_oldest_is_said_not_to_be_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(controller, "MAX_DEFERRED", 2)
    api = FakeCluster()
    put_node(api)
    api.down = True
    with inline(*child_specs(api, ADDRESS, workers=1, lease_workers=1)) as harness:
        harness.probe(Response, ObjectPushed, ObjectVersionDelivered)
        replies: dict[str, list[object]] = {}
        for name in "abc":
            promise = harness.ref(constants.EDGECONTROLLER).ask(event(name), 1000.0)
            harness.run()
            promise.then(replies.setdefault(name, []).append, replies[name].append)
        harness.run()
        assert [type(reply) for reply in replies["a"]] == [AskTimeout]  # its edge keeps it, and says it again
        assert replies["b"] == replies["c"] == []
        assert "ReportEvent of edge-1 is dropped: the pods are not known yet" in caplog.text
        api.down = False
        harness.advance(60)
        assert replies["b"] == replies["c"] == [None]
        assert api.peek(EVENT_KIND, "default", "a") is None


def test_what_needs_the_pods_waits_until_they_are_known_and_nothing_else_does() -> None:
    api = FakeCluster()
    put_node(api)
    put_pod(api, "p", **using(config="c"))
    put_config(api, "c")
    api.down = True
    harness = inline(*child_specs(api, ADDRESS, workers=1, lease_workers=1))
    hub = harness.probe(Response, ObjectPushed)
    harness.probe(ObjectVersionDelivered)
    harness.publish(QUERY)
    harness.publish(QueryLease(node=N, name=N))
    assert [answer.resource for answer in hub.take()] == ["kube-node-lease/lease/edge-1"]
    harness.crash(constants.EDGECONTROLLER)
    api.down = False
    harness.advance(60)
    assert [m.parent_msg_id for m in hub.take() if isinstance(m, Response)] == [QUERY.msg_id]


# --- on threads ---------------------------------------------------------------------------------------------------


class SlowCluster(FakeCluster):
    """Requests about `slow` nodes wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.refuse = self._wait

    def _wait(self, request: Request) -> ClusterError | None:
        if request[0] == "patch" and request[1] == "nodes":
            self.entered.set()
            self.gate.wait(PATIENCE)
        return None


def test_a_slow_request_of_one_node_delays_neither_leases_nor_other_nodes() -> None:
    api = SlowCluster()
    system = ActorSystem(ThreadsEngine())
    arrived = threading.Condition()
    received: list[Response] = []

    class Hub(Probe):
        def receive(self, message: object) -> object:
            with arrived:
                if isinstance(message, Response):
                    received.append(message)
                arrived.notify_all()
            return None

    hub = ChildSpec("hub", Hub, accepts=(Response, ObjectPushed, ObjectVersionDelivered))
    system.start(SupervisorSpec("test", [hub, *child_specs(api, ADDRESS, workers=2, lease_workers=1)]))
    try:
        for name in (N, "edge-2"):
            put_node(api, name)
        front = system.ref(constants.EDGECONTROLLER)
        front.tell(PatchNode(node=N, name=N, patch="{}"))
        assert api.entered.wait(PATIENCE)
        lease = {"metadata": {"name": N}, "spec": {}}
        front.tell(WriteLease(node=N, operation=constants.INSERT, name=N, object=lease))
        front.tell(UpdateNode(node="edge-3", name="edge-3", object={}))  # no such node: no answer, no harm
        front.tell(QueryLease(node="edge-2", name="edge-2"))
        with arrived:
            assert arrived.wait_for(lambda: len(received) == 2, PATIENCE)
        assert {answer.node for answer in received} == {N, "edge-2"}
        assert api.peek(LEASE_KIND, constants.LEASE_NAMESPACE, N) is not None
        api.gate.set()
        with arrived:
            assert arrived.wait_for(lambda: len(received) == 3, PATIENCE)
        assert received[-1].resource == "null/nodepatch/edge-1"
    finally:
        api.gate.set()
        system.stop(PATIENCE)
