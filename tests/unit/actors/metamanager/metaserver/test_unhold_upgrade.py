"""MetaServer releases held pods as KubeEdge's does, for who may."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.metamanager.downstream import object_row
from kubeedge_actors.actors.metamanager.metaserver.api_handler import ApiHandler
from kubeedge_actors.actors.metamanager.metaserver.local_reads import LocalReads
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, Reader, TokenAuthorizer
from kubeedge_actors.actors.metamanager.metaserver.unhold_upgrade import NODES, PODS, UnholdUpgrade
from kubeedge_actors.drivers.http.base import ServerRequest
from kubeedge_actors.drivers.store.base import MetaChanges
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import AskTimeout
from kubeedge_actors.kubernetes.objects import HOLD_ANNOTATION


def pod(name: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"u-{name}", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": {"phase": "Pending"}}


class Node:
    """The handler over a store with a held pod `a`, one that has begun, `b`, and a plain one, `c`; `released`: what was asked of Edged."""

    def __init__(self, anonymous: Reader | None = ANYBODY) -> None:
        meta = FakeStore().meta
        pods = (pod("a", **{HOLD_ANNOTATION: "true"}), pod("b", **{HOLD_ANNOTATION: "true"}), pod("c"))
        rows = [object_row(each, msgspec.json.encode(each).decode()) for each in pods]
        meta.apply(MetaChanges(objects=[row for row in rows if row]))
        self.released: list[tuple[str, str]] = []
        self.read = False
        authorizer = TokenAuthorizer(meta, (), anonymous, lambda: 0.0)
        unhold = UnholdUpgrade(meta, "edge-1", self.release)
        self._handler = ApiHandler(LocalReads(meta, lambda *terms: bool), lambda: 0.0, authorizer, unhold=unhold)

    def release(self, namespace: str, name: str) -> list[str]:
        if name == "late":
            raise AskTimeout("it hangs")
        self.released.append((namespace, name))
        return [] if name == "b" else [f"{namespace}/{name}"]

    def post(self, path: str, body: bytes | None, method: str = "POST") -> tuple[int, bytes]:
        def read_body() -> bytes | None:
            self.read = True
            return body

        answer = self._handler(ServerRequest(method, path, read_body=read_body))
        return answer.status, answer.body.strip()


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        (PODS, b"default/a", 200, b""),
        (PODS, b"default/b", 400, b"pod is not in pending phase"),
        (PODS, b"default/c", 400, b"pod is not marked with hold-upgrade annotation"),
        (PODS, b"default/d", 404, b'pod not found: pods "d" not found'),
        (PODS, b"a", 400, b"invalid format, expected <namespace>/<name>"),
        (PODS, None, 413, b"the body is too long, or its length is not stated"),
        (NODES, b"edge-1\n", 200, b""),
        (NODES, b"", 400, b"node name required in body"),
        (NODES, b"edge-2", 404, b'node not found: nodes "edge-2" not found'),
    ],
)
def test_the_answers_are_kubeedges(path: str, body: bytes | None, status: int, text: bytes) -> None:
    assert Node().post(path, body) == (status, text)


def test_what_is_released_is_what_is_named() -> None:
    node = Node()
    node.post(PODS, b"default/a")
    node.post(NODES, b"edge-1")
    assert node.released == [("default", "a"), ("", "")]


@pytest.mark.parametrize(
    ("reader", "status"), [(None, 401), (Reader(objects=frozenset({("pods", "default", "a")})), 403)]
)
def test_who_may_not_is_refused_before_the_body_is_read(reader: Reader | None, status: int) -> None:
    node = Node(reader)
    assert node.post(PODS, b"default/a")[0] == status
    assert not node.released and not node.read


def test_nothing_else_is_written() -> None:
    node = Node()
    assert node.post("/api/v1/namespaces/default/pods/a", b"", "PUT")[0] == 503
    assert node.post(PODS, b"default/a", "PUT")[0] == 503 and not node.released
