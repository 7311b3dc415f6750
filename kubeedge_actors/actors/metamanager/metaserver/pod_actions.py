"""Logs and restarts of this node's pods over HTTP, with the answers of KubeEdge's MetaServer: .../pods/NAME/log, and a list of names to .../pods/restart.

Source: KubeEdge edge/pkg/metamanager/metaserver/handlerfactory (extend_logs_pod.go, extend_restart_pod.go). Different on purpose: not for every
program on loopback; a log of a pod that is not there is a 404, and none goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import msgspec

from kubeedge_actors.actors.metamanager.metaserver.replies import error_reply, reply
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo
from kubeedge_actors.drivers.http.base import ServerRequest, ServerResponse
from kubeedge_actors.errors import ContainerError, KubeEdgeActorsError, UsageError
from kubeedge_actors.wire.messages import Json

LOG, RESTART, PODS = "log", "restart", "pods"
LOG_LIMIT = 8 << 20
"""Bytes of the longest answer."""
FOR_READERS = "logs and restarts of pods are for who has the token of a --metaserver-reader; at the node: kubeedge-actors logs, kubeedge-actors restart"


class LocalPods(Protocol):
    """The pods of this node. Errors: UsageError for what is not there or does not fit, KubeEdgeActorsError."""

    def restart(self, request: Json) -> list[str]:
        """Restart the containers of the `pod` in a `namespace`; the names of those that ran."""

    def read_log(self, request: Json) -> bytes:
        """The log of a `container` (empty: the first) of such a pod: `tail` lines, `since` seconds, `limit` bytes, `timestamps`."""


class PodActions:
    """Answers the two paths; may be called from any thread. Who asks may do so."""

    def __init__(self, pods: LocalPods) -> None:
        self._pods = pods

    def handler(self, method: str, info: RequestInfo | None) -> Callable[[ServerRequest], ServerResponse] | None:
        """What answers such a request; None: it is for something else."""
        if info is None or (info.group, info.plural) != ("", PODS) or not info.namespace:
            return None
        if method == "GET" and info.subresource == LOG:
            return lambda request: self._log(request, info)
        if method == "POST" and info.name == RESTART and not info.subresource:
            return lambda request: self._restart(request, info.namespace)
        return None

    def _restart(self, request: ServerRequest, namespace: str) -> ServerResponse:
        try:
            names = msgspec.json.decode(request.read_body() or b"", type=list[str])
        except msgspec.DecodeError as error:
            return error_reply(HTTPStatus.BAD_REQUEST, "BadRequest", f"the body is no list of names of pods: {error}")
        done: list[str] = []
        failed: list[str] = []
        for name in names:
            try:
                self._pods.restart({"namespace": namespace, "pod": name})
                done.append(f'the pod "{namespace}/{name}" restart successful')
            except KubeEdgeActorsError as error:
                failed.append(str(error))
        said = {"errMessages": failed, "LogMessages": done}  # as KubeEdge spells them
        return reply({key: value for key, value in said.items() if value})

    def _log(self, request: ServerRequest, info: RequestInfo) -> ServerResponse:
        try:
            text = self._pods.read_log(_wanted(request, info))
        except UsageError as error:
            return error_reply(HTTPStatus.NOT_FOUND, "NotFound", str(error))
        except ContainerError as error:
            return error_reply(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", str(error))
        except ValueError as error:
            return error_reply(HTTPStatus.BAD_REQUEST, "BadRequest", str(error))
        return reply({"logMessages": [text.decode("utf-8", "replace")]})


def _wanted(request: ServerRequest, info: RequestInfo) -> Json:
    """The request for a log. ValueError: a number is none, or it is to go on."""
    query = request.query
    if query.get("follow") == "true":
        raise ValueError("logs do not go on here: kubeedge-actors logs -f, at the node")
    wanted: Json = {"namespace": info.namespace, "pod": info.name, "container": query.get("container", "")}
    wanted["timestamps"] = query.get("timestamps") == "true"
    wanted["limit"] = min(int(query.get("limitBytes") or LOG_LIMIT) or LOG_LIMIT, LOG_LIMIT)
    for name, parameter in (("tail", "tailLines"), ("since", "sinceSeconds")):
        if query.get(parameter):
            wanted[name] = int(query[parameter])
    return wanted
