"""The real client: a Kubernetes API over HTTP, with its failures translated and its watches shared."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from kubeedge_actors.drivers.cluster.base import (
    Json,
    ObjectList,
    OnChange,
    OnSynced,
    PatchType,
    Watch,
)
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.informer import GONE, EventLines, Informer
from kubeedge_actors.drivers.cluster.transport import Transport
from kubeedge_actors.errors import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Forbidden,
    ForbiddenAtStart,
    NotFound,
    Unreachable,
)
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.outage_log import OutageLog

log = logging.getLogger(__name__)

JSON = "application/json"
PATCH_TYPES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
PAGE = 500
WATCH_SECONDS = 290
SETTLING_SECONDS = 60.0
"""Seconds after the first answer of an API server within which what it forbids is tried again: it begins to answer before it has read its
roles and their bindings.
"""
FIELD_MANAGER = "kubeedge-actors"
LASTING = frozenset({"create", "list", "watch"})
"""Verbs of kinds whose objects are kept; subresources and reviews lack some."""

_Shared = tuple[ResourceKind, str, str, str, bool]


class KubernetesCluster:
    """One API server; see base.Cluster.

    `timeout` in seconds is for each step of a request. `packed`: kinds of which most objects are nobody's here, kept small. `outage`: of the API server, when several clients share it. Connects when it is first
    used. `wait(event, seconds)`: waits before a watch tries again, until the event at most.
    """

    def __init__(
        self,
        config: ClientConfig,
        timeout: float = 10.0,
        outage: OutageLog | None = None,
        packed: Collection[ResourceKind] = (),
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self._transport = Transport(config, timeout)
        self._wait = wait
        self._lock = threading.Lock()
        self._informers: dict[_Shared, Informer] = {}
        self._outage, self._url = outage or OutageLog(), config.url
        self._packed = frozenset(packed)
        self._away, self._settled_at = True, 0.0
        self.unserved: frozenset[ResourceKind] = frozenset()
        """Kinds of which was said that the API does not serve them: watches of them wait for that quietly."""

    # --- requests ---------------------------------------------------------------------------------------------------

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Json:
        """The object. Errors: NotFound, ClusterError."""
        return self._object(kind, "GET", resource_path(kind, namespace, name))

    def list(self, kind: ResourceKind, namespace: str = "", *, labels: str = "", fields: str = "") -> ObjectList:
        """All objects that match, page by page; in one piece when the pages ran out of history in between."""
        query = _selectors(labels, fields)
        try:
            return self._pages(kind, resource_path(kind, namespace), {**query, "limit": str(PAGE)})
        except ClusterError as error:
            if error.code != GONE:
                raise
        return self._pages(kind, resource_path(kind, namespace), query)

    def create(
        self, kind: ResourceKind, namespace: str, object: Json, *, name: str = "", subresource: str = ""
    ) -> Json:
        """Create it, or POST it to a subresource."""
        body = object if subresource else _with_type_meta(kind, object)
        return self._object(kind, "POST", resource_path(kind, namespace, name, subresource), body)

    def replace(self, kind: ResourceKind, namespace: str, name: str, object: Json, *, subresource: str = "") -> Json:
        """Put the object in place of the old one."""
        return self._object(
            kind, "PUT", resource_path(kind, namespace, name, subresource), _with_type_meta(kind, object)
        )

    def patch(
        self,
        kind: ResourceKind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        form: PatchType = "merge",
        subresource: str = "",
    ) -> Json:
        """Change parts of it."""
        path = resource_path(kind, namespace, name, subresource)
        if form == "apply":
            path += f"?fieldManager={FIELD_MANAGER}&force=true"
        return self._object(kind, "PATCH", path, patch, PATCH_TYPES[form])

    def delete(self, kind: ResourceKind, namespace: str, name: str, *, grace: int | None = None, uid: str = "") -> None:
        """Ask for its end."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        self._request("DELETE", resource_path(kind, namespace, name), options)

    def kinds(self, group: str, version: str) -> Sequence[ResourceKind]:
        """The kinds of a group version that can be created and watched; none when the API does not serve it."""
        path = f"/apis/{urllib.parse.quote(group, safe='')}" if group else "/api"
        try:
            answer = self._request("GET", f"{path}/{urllib.parse.quote(version, safe='')}")
        except NotFound:
            return []
        return [
            ResourceKind(group, version, str(each.get("name")), str(each.get("kind")), bool(each.get("namespaced")))
            for each in answer.get("resources") or ()
            if set(each.get("verbs") or ()) >= LASTING
        ]

    def compiler(self) -> str:
        """The compiler that the API server's /version names."""
        return str(self._request("GET", "/version").get("compiler") or "")

    def _pages(self, kind: ResourceKind, path: str, query: dict[str, str]) -> ObjectList:
        items: list[Json] = []
        version, following = "", ""
        while True:
            page = {**query, "continue": following} if following else query
            answer = self._request("GET", _with_query(path, page))
            items.extend(_fill_type_meta(kind, item) for item in answer.get("items") or ())
            metadata = answer.get("metadata") or {}
            version = version or str(metadata.get("resourceVersion", ""))
            following = str(metadata.get("continue") or "")
            if not following:
                return ObjectList(items, version)

    def _first(self, kind: ResourceKind, path: str, query: dict[str, str]) -> ObjectList:
        """The first page of a list."""
        answer = self._request("GET", _with_query(path, query))
        items = [_fill_type_meta(kind, item) for item in answer.get("items") or ()]
        return ObjectList(items, str((answer.get("metadata") or {}).get("resourceVersion", "")))

    def _object(self, kind: ResourceKind, method: str, path: str, body: Any = None, content_type: str = JSON) -> Json:
        return _fill_type_meta(kind, self._request(method, path, body, content_type))

    def _request(self, method: str, path: str, body: Any = None, content_type: str = JSON) -> Json:
        encoded = body.encode() if isinstance(body, str) else msgspec.json.encode(body) if body is not None else None
        with self._observed():
            status, content = self._transport.request(method, path, encoded, content_type)
        answer = _decoded(status, content)
        if status >= 300:
            raise self._error_of(status, answer)
        return answer

    @contextlib.contextmanager
    def _observed(self) -> Iterator[None]:
        """Note whether the API server answers, whatever it says."""
        try:
            yield
        except Unreachable:
            self._away = True
            raise
        if self._away:
            self._away, self._settled_at = False, time.monotonic() + SETTLING_SECONDS

    def _error_of(self, status: int, answer: Json) -> ClusterError:
        error = error_of(status, answer)
        early = isinstance(error, Forbidden) and time.monotonic() < self._settled_at
        return ForbiddenAtStart(error.status) if early else error

    # --- watches ----------------------------------------------------------------------------------------------------

    def watch(
        self,
        kind: ResourceKind,
        on_change: OnChange,
        on_synced: OnSynced | None = None,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        cache: bool = True,
    ) -> Watch:
        """Watch: `on_change` is called for all objects that match and for each change of them."""
        key = (kind, namespace, labels, fields, cache)
        with self._lock:
            informer = self._informers.get(key)
            if informer is None or informer.stopped:
                informer = self._informers[key] = self._informer(kind, namespace, labels, fields, cache)
            return informer.subscribe(on_change, on_synced)

    def close(self) -> None:
        """Stop all watches and close all connections."""
        with self._lock:
            informers, self._informers = list(self._informers.values()), {}
        for informer in informers:
            informer.stop()
        self._transport.close()

    def _informer(self, kind: ResourceKind, namespace: str, labels: str, fields: str, cache: bool) -> Informer:
        path, query = resource_path(kind, namespace), _selectors(labels, fields)
        following = {**query, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}

        @contextlib.contextmanager
        def follow(version: str) -> Iterator[EventLines]:
            with self._observed():
                opened = self._transport.stream(_with_query(path, {**following, "resourceVersion": version}))
            with opened as stream:
                if stream.status >= 300:
                    raise self._error_of(stream.status, _decoded(stream.status, stream.read()))
                self._outage.log_recovery(log, f"the API server at {self._url} answers again", time.monotonic())
                with self._observed():
                    yield stream

        lister = partial(self.list, kind, namespace, labels=labels, fields=fields)
        peek, small = partial(self._first, kind, path, {**query, "limit": "1"}), kind in self._packed
        return Informer(
            *(kind, lister, follow),
            cache=cache,
            packed=small,
            outage=self._outage,
            peek=peek,
            wait=self._wait,
            is_unserved=kind in self.unserved,
        )


def resource_path(kind: ResourceKind, namespace: str, name: str = "", subresource: str = "") -> str:
    """The path of a list, an object or a subresource. Error: ClusterError for a name that can not stand in a path.

    A name that cannot be one is refused before it changes the path.
    """
    if name in (".", "..") or namespace in (".", ".."):
        raise ClusterError({"code": 400, "reason": "BadRequest", "message": f"impossible name {name or namespace!r}"})
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    parts = [root]
    if kind.namespaced and namespace:
        parts += ["namespaces", urllib.parse.quote(namespace, safe="")]
    parts.append(kind.plural)
    if name:
        parts.append(urllib.parse.quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def error_of(code: int, status: Json) -> ClusterError:
    """The ClusterError of a meta/v1 Status."""
    status = {"code": code, **status}
    if code == 404:
        return NotFound(status)
    if code == 409:
        return AlreadyExists(status) if status.get("reason") == "AlreadyExists" else Conflict(status)
    return Forbidden(status) if code == 403 else ClusterError(status)


def _decoded(status: int, content: bytes) -> Json:
    try:
        answer = msgspec.json.decode(content)
    except msgspec.DecodeError:
        answer = None
    if isinstance(answer, dict):
        return answer
    # a proxy's page or a plain "404 page not found"; its first words are better than none
    text = content[:200].decode("utf-8", "replace").strip()
    if status < 300:
        raise ClusterError({"code": 502, "reason": "BadGateway", "message": f"the answer is no JSON object: {text!r}"})
    return {"status": "Failure", "code": status, "message": text or f"HTTP status {status}"}


def _fill_type_meta(kind: ResourceKind, object: Json) -> Json:
    """The object with its kind; a subresource (a token request, the Status of a binding) brings its own."""
    object.setdefault("apiVersion", kind.api_version)
    if kind.kind:
        object.setdefault("kind", kind.kind)
    object.get("metadata", {}).pop("managedFields", None)
    return object


def _with_type_meta(kind: ResourceKind, object: Json) -> Json:
    """The object with its kind, without which the API takes no custom resource."""
    return {"apiVersion": kind.api_version, **({"kind": kind.kind} if kind.kind else {}), **object}


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {key: text for key, text in (("labelSelector", labels), ("fieldSelector", fields)) if text}


def _with_query(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path
