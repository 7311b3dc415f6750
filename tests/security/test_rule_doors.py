"""Who may use a Rule by HTTP, what goes on to the node of a request, and what of a node's answer comes back: real sockets, real TLS."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.cloudstream.kubelet_proxy import REPLICA_GROUP, REPLICA_USER
from kubeedge_actors.actors.router.messages import RestCall
from kubeedge_actors.actors.router.other_replicas import OtherReplicas
from kubeedge_actors.actors.router.rest_gate import ClusterAccess, EmbeddedAccess, RestGate, RuleAccess
from kubeedge_actors.actors.router.rule_table import RuleTable
from kubeedge_actors.assembly.router import caller_of, is_replica
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.http.base import RestRequest, RestResponse
from kubeedge_actors.drivers.http.stdlib_replica_client import StdlibReplicaClient
from kubeedge_actors.drivers.http.stdlib_rest_server import REST_BODY_LIMIT, StdlibRestServer
from kubeedge_actors.drivers.kubelet.tls import check_replica, kubelet_context, replica_context, subject_of_ca
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import ClusterError, Unreachable
from kubeedge_actors.hubs.access_reviews import AccessReviewer
from kubeedge_actors.kubernetes.object_types import NODE_KIND, ResourceKind
from kubeedge_actors.wire import constants
from tests.support.certificates import TestCa
from tests.support.env.router import DOWN, SERVICE
from tests.support.rules import ENDPOINTS
from tests.support.waiting import PATIENCE

PATH = "/edge-1/default/ddd/more?x=1"


class Reviews(FakeCluster):
    """A cluster that knows one token, whose user may post to one rule."""

    def create(self, kind: ResourceKind, namespace: str, object: Any, **more: Any) -> Any:
        """Answer a review."""
        if self.down:
            raise Unreachable("no API")
        spec = object["spec"]
        if "token" in spec:
            user = {"username": "alice", "groups": ["people"]}
            return {"status": {"authenticated": True, "user": user} if spec["token"] == "good" else {}}
        wanted = {"verb": "post", "group": "rules.kubeedge.io", "version": "v1", "resource": "rules"}
        good = spec["resourceAttributes"] == wanted | {"namespace": "default", "name": "service"}
        return {"status": {"allowed": good and (spec["user"] in ("alice", "bob"))}}


class RuleDoor:
    """A server with a RestGate before it, and what came through."""

    def __init__(
        self,
        folder: Path,
        access: Callable[[str], RuleAccess] | None,
        elsewhere: Callable[[str, RestRequest], RestResponse | None] = lambda *_: None,
        ca: TestCa | None = None,
    ) -> None:
        self.ca = ca or TestCa(folder)
        self.calls: list[RestCall] = []
        self.answer = RestResponse(200, b"done")
        self.tls = self.ca.server("127.0.0.1")
        tls = kubelet_context(self.tls, Path(self.ca.path).read_bytes()) if access else None
        self.server = StdlibRestServer("127.0.0.1", 0, tls)
        table = RuleTable([DOWN, SERVICE], ENDPOINTS)
        gate = RestGate(access(self.ca.path) if access else None, lambda: table, self._ask, elsewhere)
        self.server.start(gate.answer)
        self._secure = access is not None

    def _ask(self, call: RestCall) -> RestResponse:
        self.calls.append(call)
        return self.answer

    def post(
        self, path: str = PATH, client: TlsPaths | None = None, body: bytes = b"", **headers: str
    ) -> http.client.HTTPResponse:
        """A request, under a certificate or without one; the answer, read."""
        context = ssl.create_default_context(cafile=self.ca.path)
        if client is not None:
            context.load_cert_chain(client.cert, client.key)
        if self._secure:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.server.port, timeout=PATIENCE, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response


def of_cluster(path: str) -> RuleAccess:
    return ClusterAccess(AccessReviewer(Reviews()), caller_of)


@pytest.fixture
def doors() -> Iterator[list[RuleDoor]]:
    made: list[RuleDoor] = []
    yield made
    for door in made:
        door.server.close()


def test_who_may_not_use_the_rule_is_told_so(tmp_path: Path, doors: list[RuleDoor]) -> None:
    door = RuleDoor(tmp_path, of_cluster)
    doors.append(door)
    assert door.post().status == 401
    assert door.post(Authorization="Bearer bad").status == 401
    assert door.post("/edge-1/default/none", Authorization="Bearer good").status == 404
    assert door.post("/edge-1/default/none").status == 401  # nobody learns which rules there are
    assert door.post("/edge-1/default/ccc", Authorization="Bearer good").status == 403
    assert door.post(client=door.ca.client("carol", "people")).status == 403
    assert door.calls == []
    assert door.post(Authorization="Bearer good").status == 200
    assert door.post(client=door.ca.client("bob", "people")).status == 200


def test_the_token_stays_in_the_cloud_and_other_headers_go_on(tmp_path: Path, doors: list[RuleDoor]) -> None:
    door = RuleDoor(tmp_path, of_cluster)
    doors.append(door)
    door.post(Authorization="Bearer good", user="I am user", body=b"Hello")
    (call,) = door.calls
    assert (call.rule, call.node, call.rest, call.query) == ("default/service", "edge-1", ("more",), "x=1")
    assert (call.method, call.body, call.headers["User"]) == ("POST", b"Hello", ["I am user"])
    assert "Authorization" not in call.headers


def test_a_certificate_of_our_own_ca_is_nobody_in_a_cluster(tmp_path: Path, doors: list[RuleDoor]) -> None:
    def access(path: str) -> RuleAccess:
        ours = subject_of_ca(path)
        return ClusterAccess(AccessReviewer(Reviews()), lambda request: caller_of(request, ours))

    door = RuleDoor(tmp_path, access)
    doors.append(door)
    assert door.post(client=door.ca.client("bob", "people")).status == 401


def of_replica(path: str) -> RuleAccess:
    ours = subject_of_ca(path)
    return ClusterAccess(
        AccessReviewer(Reviews()), lambda request: caller_of(request, ours), lambda request: is_replica(request, ours)
    )


def replicas_of(door: RuleDoor, port: int) -> OtherReplicas:
    """What a replica knows that has this door's certificate, while node edge-1 is connected to the other one."""
    own = door.ca.client(REPLICA_USER, REPLICA_GROUP)
    client = StdlibReplicaClient(
        lambda: replica_context(own, door.tls), lambda shown: check_replica(shown, door.tls), PATIENCE, REST_BODY_LIMIT
    )
    cluster = FakeCluster()
    metadata = {"name": "edge-1", "annotations": {constants.CLOUDSTREAM_ANNOTATION: "127.0.0.1:10003"}}
    cluster.create(NODE_KIND, "", {"metadata": metadata})
    return OtherReplicas(cluster, "192.0.2.1:10003", port, client.call)


def test_a_request_for_a_node_of_another_replica_is_passed_on_once_and_only_by_a_replica(
    tmp_path: Path, doors: list[RuleDoor]
) -> None:
    asked_on: list[str] = []
    second = RuleDoor(tmp_path, of_replica, lambda node, _: asked_on.append(node))
    second.answer = RestResponse(201, b"made", {"Good": ["yes"]})
    others = replicas_of(second, second.server.port)
    first = RuleDoor(tmp_path, of_replica, others.answer, second.ca)
    doors += [first, second]
    assert first.post().status == first.post(Authorization="Bearer bad").status == 401
    assert second.calls == []
    response = first.post(Authorization="Bearer good", user="I am user", body=b"Hello")
    assert (response.status, response.getheader("Good")) == (201, "yes")
    (call,) = second.calls
    assert (call.node, call.rest, call.query, call.body) == ("edge-1", ("more",), "x=1", b"Hello")
    assert call.headers["User"] == ["I am user"] and "Authorization" not in call.headers
    assert first.calls == [] and asked_on == [], "who was asked by a replica asks no other one"
    assert second.post(client=second.ca.client("system:node:edge-1", "system:nodes")).status == 401
    assert second.post(client=second.ca.client(REPLICA_USER, "system:nodes")).status == 401
    assert first.post("/edge-2/default/ddd", Authorization="Bearer good").status == 200, "nobody else has that node"
    assert [call.node for call in first.calls] == ["edge-2"]


def test_a_replica_that_can_not_be_asked_is_named(tmp_path: Path, doors: list[RuleDoor]) -> None:
    door = RuleDoor(tmp_path, of_replica)
    doors.append(door)
    door.server.close()
    request = RestRequest("POST", PATH, {})
    for port, why in ((door.server.port, b"127.0.0.1, which does not answer"), (0, b"without --router-port")):
        answer = replicas_of(door, port).answer("edge-1", request)
        assert answer is not None and answer.status == 503
        assert b"node edge-1 is connected to the replica at 127.0.0.1" in answer.body and why in answer.body


def test_with_the_embedded_api_an_administrator_may_and_a_node_may_not(tmp_path: Path, doors: list[RuleDoor]) -> None:
    door = RuleDoor(tmp_path, lambda path: EmbeddedAccess(caller_of))
    doors.append(door)
    assert door.post().status == 401
    assert door.post(client=door.ca.client("system:node:edge-1", "system:nodes")).status == 403
    assert door.post(client=door.ca.client("admin", "system:masters")).status == 200


def test_a_cluster_that_does_not_answer_lets_nobody_in(tmp_path: Path, doors: list[RuleDoor]) -> None:
    cluster = Reviews()
    door = RuleDoor(tmp_path, lambda path: ClusterAccess(AccessReviewer(cluster), caller_of))
    doors.append(door)
    cluster.down = True
    assert door.post(Authorization="Bearer good").status == 503
    assert door.calls == []
    assert issubclass(Unreachable, ClusterError)


def test_what_a_node_answers_is_one_answer(tmp_path: Path, doors: list[RuleDoor]) -> None:
    door = RuleDoor(tmp_path, None)
    doors.append(door)
    bad = {"X\r\nSet-Cookie": ["a"], "Y": ["a\r\nHTTP/1.1 200 OK", "\u20ac"], "Content-Length": ["99"], "Good": ["yes"]}
    door.answer = RestResponse(201, b"made", bad)
    response = door.post()
    names = {name for name, _ in response.getheaders()} - {"Server", "Date"}
    assert (response.status, names, response.getheader("Good")) == (201, {"Good", "Content-Length"}, "yes")
    assert response.getheader("Content-Length") == "4"


@pytest.mark.parametrize("path", ["/edge-1/default/ddd/../../x", "/edge-1/default/ddd/%2E%2e/x", "/", "/edge-1"])
def test_a_path_that_climbs_or_is_short_is_for_no_rule(path: str, tmp_path: Path, doors: list[RuleDoor]) -> None:
    door = RuleDoor(tmp_path, None)
    doors.append(door)
    assert door.post(path).status == 404
    assert door.calls == []


def test_a_body_of_more_than_twelve_mebibytes_is_not_read(tmp_path: Path, doors: list[RuleDoor]) -> None:
    door = RuleDoor(tmp_path, None)
    doors.append(door)
    connection = http.client.HTTPConnection("127.0.0.1", door.server.port, timeout=PATIENCE)
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Length", str(REST_BODY_LIMIT + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    assert door.calls == []
