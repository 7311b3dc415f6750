"""HTTP handler of MetaServer: a small Kubernetes API in front of the store and the cloud. On threads of the server.

Source: KubeEdge edge/pkg/metamanager/metaserver (server.go, handlerfactory, kubernetes/storage). Different on purpose: what the node is told by itself is
answered without asking, nobody writes without a token, and nothing that is written waits for a cloud that is away.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from kubeedge_actors.actors.metamanager.metaserver.api_watches import ApiWatches, WatchRequest
from kubeedge_actors.actors.metamanager.metaserver.api_writes import ApiWrites
from kubeedge_actors.actors.metamanager.metaserver.applications import Asker, BadRequest
from kubeedge_actors.actors.metamanager.metaserver.cloud_reads import ApiRefusal, CloudReads, is_pushed
from kubeedge_actors.actors.metamanager.metaserver.local_reads import LocalReads
from kubeedge_actors.actors.metamanager.metaserver.messages import CloudAway, CloudSilent
from kubeedge_actors.actors.metamanager.metaserver.open_watches import OpenWatches
from kubeedge_actors.actors.metamanager.metaserver.pod_actions import FOR_READERS, PodActions
from kubeedge_actors.actors.metamanager.metaserver.printers import convert_to_table
from kubeedge_actors.actors.metamanager.metaserver.replies import (
    NO_SECRETS,
    error_reply,
    not_found_reply,
    reply,
    status_reply,
    unauthorized_reply,
    unknown_path_reply,
)
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo, parse
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import (
    BEARER,
    EVERYTHING,
    NOTHING,
    SECRETS,
    Reader,
    TokenAuthorizer,
)
from kubeedge_actors.actors.metamanager.metaserver.unhold_upgrade import PATHS, UnholdUpgrade
from kubeedge_actors.drivers.http.base import ServerRequest, ServerResponse
from kubeedge_actors.errors import ClusterError, StoreError
from kubeedge_actors.wire.application import is_discovery
from kubeedge_actors.wire.messages import Json

HEALTH = ("/healthz", "/livez", "/readyz")
READS, WRITES = ("GET", "HEAD"), ("POST", "PUT", "PATCH", "DELETE")
READ_SUBRESOURCES = ("", "status", "scale")


class CloudSide:
    """What the handler has when its node has a cloud."""

    def __init__(self, node: str, reads: CloudReads, writes: ApiWrites, watches: OpenWatches) -> None:
        self.node, self.reads, self.writes, self.watches = node, reads, writes, watches


class ApiHandler:
    """The handler. `authorizer`: who may read what here; `cloud`: None for a node without one; `unhold`: releases held pods; `pods`: logs and
    restarts.
    """

    def __init__(
        self,
        local: LocalReads,
        now: Callable[[], float],
        authorizer: TokenAuthorizer,
        cloud: CloudSide | None = None,
        unhold: UnholdUpgrade | None = None,
        pods: PodActions | None = None,
    ) -> None:
        self._local, self._now, self._authorizer, self._cloud, self._unhold = local, now, authorizer, cloud, unhold
        self._pods = pods
        self._watches = ApiWatches(local, (cloud.reads, cloud.watches) if cloud is not None else None)

    def __call__(self, request: ServerRequest) -> ServerResponse:
        """The reply; never an exception for the client's, the cloud's or the store's sake."""
        try:
            return self._answer(request)
        except BadRequest as error:
            reason = {415: "UnsupportedMediaType", 413: "RequestEntityTooLarge"}.get(error.code, "BadRequest")
            return error_reply(error.code, reason, str(error))
        except ApiRefusal as refused:
            return status_reply(refused.status)
        except ClusterError as error:
            return reply(error.status, error.code)
        except CloudAway as error:
            return error_reply(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", str(error))
        except CloudSilent as error:
            return error_reply(HTTPStatus.GATEWAY_TIMEOUT, "Timeout", str(error))
        except StoreError as error:
            return error_reply(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", str(error))

    def _answer(self, request: ServerRequest) -> ServerResponse:
        if request.method == "POST" and request.path in PATHS and self._unhold is not None:
            return self._release(request, self._unhold)
        if request.method in READS and request.path.startswith(HEALTH):
            return ServerResponse(200, b"ok", "text/plain")
        reader = self._reader(request)
        asker = self._asker(request, reader)
        if reader is None and not (asker.token and self._cloud):
            return unauthorized_reply()
        info = parse(request.path)
        if self._pods is not None and (act := self._pods.handler(request.method, info)) is not None:
            return act(request) if reader == EVERYTHING else error_reply(HTTPStatus.FORBIDDEN, "Forbidden", FOR_READERS)
        if request.method in WRITES:
            return self._write(request, info, asker)
        if request.method not in READS:
            return error_reply(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", f"{request.method} is not known here")
        if info is None or not info.plural:
            return self._discover(request, info, reader, asker)
        if info.subresource not in READ_SUBRESOURCES:
            return unknown_path_reply()
        if info.plural == SECRETS and not asker.token and not (reader and reader.secrets):
            return error_reply(HTTPStatus.FORBIDDEN, "Forbidden", NO_SECRETS)
        if request.query.get("watch") in ("1", "true"):
            return self._watch(request, info, reader, asker)
        return self._get(request, info, reader, asker) if info.name else self._list(request, info, reader, asker)

    def _release(self, request: ServerRequest, unhold: UnholdUpgrade) -> ServerResponse:
        """For who may read everything: a program on loopback, or a reader with its token; the token of a mere pod does not start others."""
        reader = self._reader(request)
        if reader is None:
            return unauthorized_reply()
        if not reader.everything:
            sentence = (
                "held pods are released by programs on loopback and by who has the token of a --metaserver-reader"
            )
            return error_reply(HTTPStatus.FORBIDDEN, "Forbidden", sentence)
        return unhold.answer(request)

    def _reader(self, request: ServerRequest) -> Reader | None:
        return self._authorizer.reader(request.headers.get("authorization", ""))

    def _asker(self, request: ServerRequest, reader: Reader | None) -> Asker:
        header = request.headers.get("authorization", "")
        token = header[len(BEARER) :].strip() if header.lower().startswith(BEARER) else ""
        trusted = reader is not None and reader.everything and reader.secrets
        return Asker(self._cloud.node if self._cloud is not None else "", token, trusted)

    def _write(self, request: ServerRequest, info: RequestInfo | None, asker: Asker) -> ServerResponse:
        if self._cloud is None:
            raise CloudAway("this node works without a cloud: objects are changed in the cloud")
        if not asker.token:
            sentence = "objects are changed with the token of who changes them: Authorization: Bearer TOKEN"
            return error_reply(HTTPStatus.UNAUTHORIZED, "Unauthorized", sentence)
        if info is None or not info.plural:
            return unknown_path_reply()
        return self._cloud.writes.answer(asker, request, info)

    # --- reads --------------------------------------------------------------------------------------------------------

    def _discover(
        self, request: ServerRequest, info: RequestInfo | None, reader: Reader | None, asker: Asker
    ) -> ServerResponse:
        path = request.path.rstrip("/")
        if self._cloud is not None and is_discovery(path):
            try:
                return ServerResponse(200, self._cloud.reads.discover(asker, path))
            except (ApiRefusal, CloudAway, CloudSilent):
                if reader is None:
                    raise
        found = self._local.discover(path, info)
        return reply(found) if found is not None else unknown_path_reply()

    def _get(self, request: ServerRequest, info: RequestInfo, reader: Reader | None, asker: Asker) -> ServerResponse:
        may_read = reader is not None and reader.may_read(info.plural, info.namespace, info.name)
        local = self._local.get(info) if may_read and not info.subresource else None
        if self._cloud is not None and (asker.token or not is_pushed(info)):
            try:
                return self._object(request, info, self._cloud.reads.get(asker, info))
            except (ApiRefusal, CloudAway, CloudSilent) as error:
                gone = isinstance(error, ApiRefusal) and error.code == HTTPStatus.NOT_FOUND and not is_pushed(info)
                if reader is None or gone or (may_read and local is None and isinstance(error, ApiRefusal)):
                    raise
        if not may_read:
            sentence = f'{info.plural} "{info.name}" is forbidden: the pod of this token does not name it'
            return error_reply(HTTPStatus.FORBIDDEN, "Forbidden", sentence)
        if self._local.kind(info) is None or info.subresource:
            return unknown_path_reply()
        return self._object(request, info, local) if local is not None else not_found_reply(info)

    def _object(self, request: ServerRequest, info: RequestInfo, object: Json) -> ServerResponse:
        return reply(self._table(request, info, [object], "") or object)

    def _list(self, request: ServerRequest, info: RequestInfo, reader: Reader | None, asker: Asker) -> ServerResponse:
        if self._cloud is not None and (asker.token or not is_pushed(info)):
            try:
                listed = self._cloud.reads.list_page(asker, info, request.query)
                return self._shown_list(request, info, listed)
            except (ApiRefusal, CloudAway, CloudSilent):
                if reader is None:
                    raise
        kind = self._local.kind(info)
        if kind is None:
            return unknown_path_reply()
        objects, version = self._local.list(info, request.query, reader or NOTHING)
        metadata = {"resourceVersion": version}
        listed = {"kind": f"{kind.kind}List", "apiVersion": info.api_version, "metadata": metadata, "items": objects}
        return self._shown_list(request, info, listed)

    def _watch(self, request: ServerRequest, info: RequestInfo, reader: Reader | None, asker: Asker) -> ServerResponse:
        def shape(object: Json) -> Json:
            return self._table(request, info, [object], str(object["metadata"].get("resourceVersion", ""))) or object

        return self._watches.answer(WatchRequest(request, info, asker), reader, lambda: self._reader(request), shape)

    def _shown_list(self, request: ServerRequest, info: RequestInfo, listed: Json) -> ServerResponse:
        version = str((listed.get("metadata") or {}).get("resourceVersion") or "")
        objects = listed.get("items") or []
        self._watches.on_list(request, info, version, objects)
        return reply(self._table(request, info, objects, version) or listed)

    def _table(self, request: ServerRequest, info: RequestInfo, objects: list[Json], version: str) -> Json | None:
        """A table if the client prefers one."""
        wants_table = "as=Table" in request.headers.get("accept", "").partition(",application/json,")[0]
        return convert_to_table(info.plural, objects, self._now(), version) if wants_table else None
