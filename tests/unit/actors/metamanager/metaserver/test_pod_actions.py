"""MetaServer reads logs of the node's pods and restarts them, with KubeEdge's answers, for who has the token of a reader of everything."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.metamanager.metaserver.api_handler import ApiHandler
from kubeedge_actors.actors.metamanager.metaserver.local_reads import LocalReads
from kubeedge_actors.actors.metamanager.metaserver.pod_actions import LOG_LIMIT, PodActions
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, EVERYTHING, Reader, TokenAuthorizer
from kubeedge_actors.drivers.http.base import ServerRequest
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import ContainerError, UsageError

PODS = "/api/v1/namespaces/default/pods"


class Pods:
    """A node with the pod `a`; `asked`: what was wanted of it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def restart(self, request: dict[str, Any]) -> list[str]:
        self._find(request)
        return ["main"]

    def read_log(self, request: dict[str, Any]) -> bytes:
        self._find(request)
        if request["container"] == "late":
            raise ContainerError('container "late" in pod "a" is waiting to start')
        return b"hello\n"

    def _find(self, request: dict[str, Any]) -> None:
        self.asked.append(request)
        if request["pod"] != "a":
            raise UsageError(f'pods "{request["pod"]}" not found in namespace default of this node')


class Node:
    """The handler; `anonymous`: what who shows nothing may."""

    def __init__(self, anonymous: Reader | None = EVERYTHING) -> None:
        self.pods, meta = Pods(), FakeStore().meta
        authorizer = TokenAuthorizer(meta, (), anonymous, lambda: 0.0)
        local = LocalReads(meta, lambda *terms: bool)
        self._handler = ApiHandler(local, lambda: 0.0, authorizer, pods=PodActions(self.pods))

    def ask(self, method: str, path: str, body: bytes = b"", /, **query: str) -> tuple[int, Any]:
        answer = self._handler(ServerRequest(method, path, query, read_body=lambda: body))
        return answer.status, msgspec.json.decode(answer.body)


def test_a_log_is_answered_as_kubeedges_with_the_part_that_was_asked_for() -> None:
    node = Node()
    assert node.ask("GET", f"{PODS}/a/log") == (200, {"logMessages": ["hello\n"]})
    node.ask("GET", f"{PODS}/a/log", container="c", tailLines="5", sinceSeconds="9", limitBytes="7", timestamps="true")
    first, second = node.pods.asked
    pod = {"namespace": "default", "pod": "a"}
    assert first == {**pod, "container": "", "timestamps": False, "limit": LOG_LIMIT}
    assert second == {**pod, "container": "c", "timestamps": True, "limit": 7, "tail": 5, "since": 9}


@pytest.mark.parametrize(
    ("name", "query", "status", "said"),
    [
        ("b", {}, 404, 'pods "b" not found'),
        ("a", {"container": "late"}, 500, "waiting to start"),
        ("a", {"tailLines": "many"}, 400, "many"),
        ("a", {"follow": "true"}, 400, "kubeedge-actors logs -f"),
    ],
)
def test_why_there_is_no_log(name: str, query: dict[str, str], status: int, said: str) -> None:
    code, answer = Node().ask("GET", f"{PODS}/{name}/log", **query)
    assert (code, said in answer["message"]) == (status, True), answer


def test_of_several_pods_those_that_are_there_are_restarted_and_the_others_named() -> None:
    node = Node()
    done, failed = ['the pod "default/a" restart successful'], ['pods "b" not found in namespace default of this node']
    assert node.ask("POST", f"{PODS}/restart", b'["a"]') == (200, {"LogMessages": done})
    assert node.ask("POST", f"{PODS}/restart", b'["b","a"]') == (200, {"errMessages": failed, "LogMessages": done})
    assert node.ask("POST", f"{PODS}/restart", b"a")[0] == 400
    assert [each["pod"] for each in node.pods.asked] == ["a", "b", "a"]


@pytest.mark.parametrize(("anonymous", "status"), [(ANYBODY, 403), (Reader(), 403), (None, 401)])
def test_nobody_else_reads_a_log_or_restarts_a_pod(anonymous: Reader | None, status: int) -> None:
    node = Node(anonymous)
    assert node.ask("GET", f"{PODS}/a/log")[0] == status
    assert node.ask("POST", f"{PODS}/restart", b'["a"]')[0] == status
    assert node.pods.asked == []
