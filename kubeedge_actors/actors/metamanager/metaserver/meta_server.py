"""HTTP handler of the read-only Kubernetes API, answered from the store: get, list, watch, discovery; errors as a Status. Held pods are released.

Source of paths and forms: KubeEdge edge/pkg/metamanager/metaserver, Kubernetes API conventions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from http import HTTPStatus

import msgspec

from kubeedge_actors import __version__
from kubeedge_actors.actors.metamanager.metaserver import discovery
from kubeedge_actors.actors.metamanager.metaserver.printers import convert_to_table
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo, parse
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import SECRETS, Reader, TokenAuthorizer
from kubeedge_actors.actors.metamanager.metaserver.unhold_upgrade import PATHS, UnholdUpgrade
from kubeedge_actors.actors.metamanager.metaserver.watch import watch_events
from kubeedge_actors.drivers.http.base import HttpServer, ServerRequest, ServerResponse
from kubeedge_actors.drivers.store.base import MetaStore, ObjectRow
from kubeedge_actors.errors import ClusterError, StoreError
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Json, ReleaseHeldPods

Matching = Callable[[str, str], Callable[[Json], bool]]
"""Label selector, field selector -> the test of an object; ClusterError for what is no selector."""
HEALTH = ("/healthz", "/livez", "/readyz")
READS = ("GET", "HEAD")
RELEASE_TIMEOUT = 5.0
GIT_VERSION = "v1.32.10-kubeedge-v"


class ReadApiHandler:
    """The handler; may be called from any thread. `authorizer`: who may read what; `unhold`: releases held pods, None: nobody does."""

    def __init__(
        self,
        store: MetaStore,
        matching: Matching,
        now: Callable[[], float],
        authorizer: TokenAuthorizer,
        unhold: UnholdUpgrade | None = None,
    ) -> None:
        self._authorizer = authorizer
        self._unhold = unhold
        self._store = store
        self._matching = matching
        self._now = now

    def __call__(self, request: ServerRequest) -> ServerResponse:
        """The reply; never an exception for the client's or the store's sake."""
        try:
            return self._answer(request)
        except ClusterError as error:
            return _reply(error.status, error.code)
        except StoreError as error:
            return error_reply(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", str(error))

    def _answer(self, request: ServerRequest) -> ServerResponse:
        if request.method == "POST" and request.path in PATHS and self._unhold is not None:
            return self._release(request, self._unhold)
        if request.method not in READS:
            sentence = "this API of an edge node can only be read: change objects in the cloud"
            return error_reply(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", sentence)
        if request.path.startswith(HEALTH):
            return ServerResponse(200, b"ok", "text/plain")
        reader = self._reader(request)
        if reader is None:
            return error_reply(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")
        info = parse(request.path)
        if info is None or not info.plural:
            answer = self._discover(request.path.rstrip("/"), info)
            return _reply(answer) if answer is not None else unknown_path_reply()
        return self._read(request, info, reader)

    def _release(self, request: ServerRequest, unhold: UnholdUpgrade) -> ServerResponse:
        """For who may read everything: a program on loopback, or a reader with its token; the token of a mere pod does not start others."""
        reader = self._reader(request)
        if reader is None:
            return error_reply(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")
        if not reader.everything:
            sentence = (
                "held pods are released by programs on loopback and by who has the token of a --metaserver-reader"
            )
            return error_reply(HTTPStatus.FORBIDDEN, "Forbidden", sentence)
        return unhold.answer(request)

    def _reader(self, request: ServerRequest) -> Reader | None:
        return self._authorizer.reader(request.headers.get("authorization", ""))

    # --- discovery ------------------------------------------------------------------------------------------------

    def _api_resources(self) -> dict[tuple[str, str, str], ResourceKind]:
        return discovery.all_resource_kinds(_api_resource_of(row) for row in self._store.resources())

    def _discover(self, path: str, info: RequestInfo | None) -> Json | None:
        if info is not None:
            return discovery.api_resource_list(info, self._api_resources().values())
        if path == "/version":
            major, minor = GIT_VERSION[1:].split(".")[:2]
            return {"major": major, "minor": minor, "gitVersion": f"{GIT_VERSION}{__version__}", "platform": "linux"}
        if path == "/api":
            return discovery.api_versions()
        listed = discovery.api_group_list(self._api_resources().values())
        if path == "/apis":
            return listed
        groups = [group for group in listed["groups"] if path == f"/apis/{group['name']}"]
        return {"kind": "APIGroup", "apiVersion": "v1", **groups[0]} if groups else None

    # --- objects --------------------------------------------------------------------------------------------------

    def _read(self, request: ServerRequest, info: RequestInfo, reader: Reader) -> ServerResponse:
        resource = self._api_resources().get((info.group, info.version, info.plural))
        if resource is None or info.subresource:
            return unknown_path_reply()
        if info.plural == SECRETS and reader.everything and not reader.secrets:
            sentence = "Secrets are shown to who has the token of a service account: of a pod that names them, or of a --metaserver-reader"
            return error_reply(HTTPStatus.FORBIDDEN, "Forbidden", sentence)
        if info.name:
            if not reader.may_read(info.plural, info.namespace, info.name):
                sentence = f'{info.plural} "{info.name}" is forbidden: the pod of this token does not name it'
                return error_reply(HTTPStatus.FORBIDDEN, "Forbidden", sentence)
            row = self._store.object(info.key(info.namespace or constants.CLUSTER_SCOPE))
            if row is None:
                return not_found_reply(info)
            return _reply(
                self._shown(request, info, [with_type_meta(row, resource)], "") or with_type_meta(row, resource)
            )
        if request.query.get("watch") in ("1", "true"):
            return ServerResponse(200, stream=self._watch(request, info, resource))
        objects, version = self._list(request, info, resource, reader)
        listed = {
            "kind": f"{resource.kind}List",
            "apiVersion": info.api_version,
            "metadata": {"resourceVersion": version},
            "items": objects,
        }
        return _reply(self._shown(request, info, objects, version) or listed)

    def _list(
        self, request: ServerRequest, info: RequestInfo, resource: ResourceKind, reader: Reader | None
    ) -> tuple[list[Json], str]:
        """What of a collection may be read, and its version."""
        matches = self._matching(request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        found = self._store.objects(info.resource, info.namespace)
        rows = [row for row in found if reader and reader.may_read(info.plural, _namespace(row), row.name)]
        version = str(max((row.resource_version for row in rows), default=0))
        return [object for row in rows if matches(object := with_type_meta(row, resource))], version

    def _shown(self, request: ServerRequest, info: RequestInfo, objects: list[Json], version: str) -> Json | None:
        """A table if the client prefers one."""
        wants_table = "as=Table" in request.headers.get("accept", "").partition(",application/json,")[0]
        return convert_to_table(info.plural, objects, self._now(), version) if wants_table else None

    def _watch(self, request: ServerRequest, info: RequestInfo, resource: ResourceKind) -> Generator[bytes, None, None]:
        def shape(object: Json) -> Json:
            return self._shown(request, info, [object], str(object["metadata"].get("resourceVersion", ""))) or object

        since = request.query.get("resourceVersion", "")
        seconds = float(request.query.get("timeoutSeconds") or 3600)
        # asked each time: a token may have ended, and what its pod names may be another thing by now
        return watch_events(
            lambda: self._list(request, info, resource, self._reader(request))[0], shape, since, seconds
        )


def _namespace(row: ObjectRow) -> str:
    return "" if row.namespace == constants.CLUSTER_SCOPE else row.namespace


def with_type_meta(row: ObjectRow, resource: ResourceKind) -> Json:
    """The object in a row, with kind and apiVersion."""
    object: Json = msgspec.json.decode(row.value)
    return {"kind": resource.kind, "apiVersion": resource.api_version, **object}


def _api_resource_of(row: ObjectRow) -> ResourceKind:
    group_version, _, plural = row.group_version_resource.partition(", Resource=")
    group, _, version = group_version.rpartition("/")
    kind = str(msgspec.json.decode(row.value).get("kind") or plural)
    return ResourceKind(group, version, plural, kind, row.namespace != constants.CLUSTER_SCOPE)


def _reply(content: Json, status: int = 200) -> ServerResponse:
    return ServerResponse(status, msgspec.json.encode(content) + b"\n")


def error_reply(status: int, reason: str, sentence: str, **more: Json) -> ServerResponse:
    """An error as a Status."""
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return _reply({**head, "message": sentence, "reason": reason, **more, "code": int(status)}, status)


def unknown_path_reply() -> ServerResponse:
    """404 for an unknown resource."""
    return error_reply(HTTPStatus.NOT_FOUND, "NotFound", "the server could not find the requested resource", details={})


def not_found_reply(info: RequestInfo) -> ServerResponse:
    """404 for an unknown object."""
    resource = f"{info.plural}.{info.group}" if info.group else info.plural
    details = {"name": info.name, "kind": info.plural, **({"group": info.group} if info.group else {})}
    return error_reply(HTTPStatus.NOT_FOUND, "NotFound", f'{resource} "{info.name}" not found', details=details)


class MetaServer(Module):
    """Serves what the store holds. Whoever bound the site closes it.

    `matching` makes the test for a label and a field selector; `now`: epoch seconds, for ages; `authorizer`: who may read what; `node`: the
    name of this one.
    """

    name = constants.SOURCE_METASERVER
    group = constants.GROUP_META
    emits = (ReleaseHeldPods,)

    def __init__(
        self,
        site: HttpServer,
        store: MetaStore,
        matching: Matching,
        now: Callable[[], float],
        authorizer: TokenAuthorizer,
        node: str = "",
    ) -> None:
        self._site = site
        unhold = UnholdUpgrade(store, node, self._ask_release)
        self._api = ReadApiHandler(store, matching, now, authorizer, unhold)

    def on_start(self) -> None:
        """Answer."""
        self._site.serve(self._api)

    def _ask_release(self, namespace: str, name: str) -> list[str]:
        """On a thread of the server: wait for what Edged says to this actor."""
        order = ReleaseHeldPods(namespace=namespace, name=name)
        return list(self.ref.ask(order, RELEASE_TIMEOUT).get())

    @on
    def on_release_held_pods(self, message: ReleaseHeldPods) -> None:
        """Pass it to Edged, and its answer back."""
        reply = self.reply_later()
        self.ask(constants.EDGED, message, RELEASE_TIMEOUT).then(reply.send, reply.fail)
