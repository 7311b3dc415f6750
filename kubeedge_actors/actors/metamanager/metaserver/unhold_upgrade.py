"""Release of held pods over HTTP: NAMESPACE/NAME to /api/v1/pods/unhold-upgrade, the node's name to /api/v1/nodes/unhold-upgrade, as text.

Answers as KubeEdge's, which are text (edge/pkg/metamanager/metaserver/handlerfactory/extend_unhold_upgrade.go).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kubeedge_actors.drivers.http.base import ServerRequest, ServerResponse
from kubeedge_actors.drivers.store.base import MetaStore
from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.kubernetes.objects import is_hold_asked

PODS, NODES = "/api/v1/pods/unhold-upgrade", "/api/v1/nodes/unhold-upgrade"
PATHS = frozenset({PODS, NODES})
Release = Callable[[str, str], list[str]]
"""Namespace and name of a pod, both empty for all -> those that were held. Errors: KubeEdgeActorsError."""


class UnholdUpgrade:
    """Answers the two paths; may be called from any thread. `node`: this one's name; who asks may do so."""

    def __init__(self, store: MetaStore, node: str, release: Release) -> None:
        self._store, self._node, self._release = store, node, release

    def answer(self, request: ServerRequest) -> ServerResponse:
        """Release what the body names. Errors: StoreError."""
        body = request.read_body()
        if body is None:
            return _text(413, "the body is too long, or its length is not stated")
        target = body.decode("utf-8", "replace").strip()
        try:
            return self._of_pod(target) if request.path == PODS else self._of_node(target)
        except KubeEdgeActorsError as error:
            return _text(500, str(error))

    def _of_pod(self, target: str) -> ServerResponse:
        namespace, slash, name = target.partition("/")
        if not slash or not namespace or not name:
            return _text(400, "invalid format, expected <namespace>/<name>")
        row = self._store.object(f"/core/v1/pods/{namespace}/{name}")
        if row is None:
            return _text(404, f'pod not found: pods "{name}" not found')
        if not is_hold_asked(msgspec.json.decode(row.value)):
            return _text(400, "pod is not marked with hold-upgrade annotation")
        return ServerResponse(200) if self._release(namespace, name) else _text(400, "pod is not in pending phase")

    def _of_node(self, target: str) -> ServerResponse:
        if not target:
            return _text(400, "node name required in body")
        if target != self._node:
            return _text(404, f'node not found: nodes "{target}" not found')
        self._release("", "")
        return ServerResponse(200)


def _text(status: int, sentence: str) -> ServerResponse:
    return ServerResponse(status, f"{sentence}\n".encode(), "text/plain")
