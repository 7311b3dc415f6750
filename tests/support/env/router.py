"""Router on an API in memory, with targets that are functions and threads that run when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubeedge_actors.actors.router.messages import RestCall
from kubeedge_actors.actors.router.router import Router
from kubeedge_actors.actors.router.state import RouterConfig, RouterState
from kubeedge_actors.actors.router.status_writer import RuleStatusWriter
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.http.base import ClientResponse, RestResponse
from kubeedge_actors.errors import HttpError
from kubeedge_actors.kubernetes.object_types import RULE_KIND, RULEENDPOINT_KIND
from kubeedge_actors.supervisors import Future
from kubeedge_actors.testing import crash_at, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    BusPublish,
    BusSubscribe,
    BusUnsubscribe,
    BusUploaded,
    ServiceBusResponse,
    ServiceCall,
    SessionOpened,
    TargetUrlAdded,
    TargetUrlRemoved,
)
from tests.support.rules import ENDPOINTS, rule

TARGET = "http://target.example/echo"
UP = rule("up", "eventbus", {"topic": "test", "node_name": "edge-1"}, "rest", {"resource": TARGET})
PROGRAMS = rule(
    "programs", "servicebus", {"target_url": "http://x/y", "node_name": "edge-1"}, "rest", {"resource": TARGET}
)
DOWN = rule("down", "rest", {"path": "/ccc"}, "eventbus", {"topic": "topic-test"})
SERVICE = rule("service", "rest", {"path": "/ddd"}, "servicebus", {"path": "/url"})
TO_NODES = (BusSubscribe, BusUnsubscribe, ServiceBusResponse, ServiceCall, TargetUrlAdded, TargetUrlRemoved)


class FakeTarget:
    """A TargetClient. `answer` is what it says: a status, or an error when there is no answer. `got`: bodies, in order; `ids`: their keys."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], int | HttpError] = lambda body: 200
        self.got: list[bytes] = []
        self.ids: list[str] = []

    def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> ClientResponse:
        """See the protocol."""
        said = self.answer(body)
        if isinstance(said, HttpError):
            raise said
        if said < 400:
            self.got.append(body)
            self.ids.append(headers["Idempotency-Key"])
        return ClientResponse(said, {}, b"thanks")


class RouterEnv:
    """One cloud with a Router, to which edge-1 is connected unless `connected` is False. `crashes`: at these messages."""

    def __init__(
        self,
        *rules: dict[str, Any],
        connected: bool = True,
        cluster: FakeCluster | None = None,
        crashes: tuple[int, ...] = (),
    ) -> None:
        self.cluster = cluster or FakeCluster()
        if cluster is None:
            for each in ENDPOINTS:
                self.cluster.create(RULEENDPOINT_KIND, "default", each)
        for each in rules:
            self.cluster.create(RULE_KIND, "default", each)
        self.target, self.jobs = FakeTarget(), list[Callable[[], None]]()
        state = RouterState(self.cluster)
        router = Router.spec(lambda: Router(state, self.target, RouterConfig(), self.jobs.append))
        self.harness = inline(
            RuleStatusWriter.spec(lambda: RuleStatusWriter(self.cluster)),
            crash_at(router, *crashes) if crashes else router,
        )
        self.nodes = self.harness.probe(*TO_NODES)
        self.outbox = self.harness.probe(constants.NODEOUTBOX, BusPublish)
        self.harness.run()
        if connected:
            self.connect()

    def connect(self, node: str = "edge-1") -> list[Any]:
        """A session of the node; what it is told."""
        self.harness.publish(SessionOpened(node=node, confirms=True))
        return self.told()

    def told(self) -> list[Any]:
        """What nodes are told since the last look."""
        self.harness.run()
        return self.nodes.take()

    def upload(self, content: str, resource: str = "default/test", msg_id: str = "", **more: Any) -> Future:
        """As CloudHub asks: the future is completed when it is handled."""
        more |= {"msg_id": msg_id} if msg_id else {}
        said = BusUploaded(node="edge-1", resource=resource, content=content, **more)
        future = self.harness.ref(constants.ROUTER).ask(said, 300.0)
        self.harness.run()
        return future

    def call(self, rule: str, *rest: str, node: str = "edge-1", body: bytes = b"Hello", query: str = "") -> Future:
        """As RestGate asks."""
        headers = {"User": ["I am user"]}
        call = RestCall(
            rule=f"default/{rule}", node=node, rest=rest, query=query, method="POST", headers=headers, body=body
        )
        future = self.harness.ref(constants.ROUTER).ask(call, 61.0)
        self.harness.run()
        return future

    def work(self) -> None:
        """Let the threads run, until none is left."""
        while self.jobs:
            self.jobs.pop(0)()
            self.harness.run()

    def advance(self, seconds: float) -> None:
        """Time goes by, a second at a time."""
        for _ in range(int(seconds)):
            self.harness.advance(1.0)
            self.work()

    def status(self, name: str) -> dict[str, Any]:
        """What stands in the Rule."""
        stored = self.cluster.peek(RULE_KIND, "default", name)
        return dict((stored or {}).get("status") or {})


def response(future: Future) -> RestResponse:
    """The answer that is there."""
    answer = future.get(0.0)
    assert isinstance(answer, RestResponse)
    return answer
