"""Reads by the cloud, in the name of who asks, and what the node keeps of them. On the threads of the server.

What was got by name, and what is watched, is kept for the time without a cloud; Secrets never are, nor is what was merely listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kubeedge_actors.actors.metamanager.downstream import object_row
from kubeedge_actors.actors.metamanager.metaserver.applications import Asker, discovery_application, read_application
from kubeedge_actors.actors.metamanager.metaserver.messages import CloudSilent
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import SECRETS
from kubeedge_actors.drivers.store.base import MetaChanges, MetaStore, ObjectRow
from kubeedge_actors.kubernetes.object_types import OBJECT_TYPES
from kubeedge_actors.wire import application as wire
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.application import Application
from kubeedge_actors.wire.messages import Json
from kubeedge_actors.wire.resource import object_path

CloudCall = Callable[[Asker, Application], Application]
"""Have the cloud make a call. Errors: CloudAway, CloudSilent, ApiRefusal."""
SYNCED = [row for row in OBJECT_TYPES if row.is_synced]
PUSHED = frozenset((row.kind.group, row.kind.plural) for row in SYNCED)
"""What the cloud keeps up to date on the node as far as it concerns it: without a token nothing more of it can be had."""
PAGE, MAX_WATCHED = 500, 5_000
NOT_FOUND = 404


class ApiRefusal(Exception):
    """The API has refused it with this Status."""

    def __init__(self, status: Json) -> None:
        super().__init__(str(status.get("message", "")))
        self.status = status

    @property
    def code(self) -> int:
        """Of HTTP."""
        return int(self.status.get("code") or 500)


def accepted(answer: Application) -> bytes:
    """What the API answers. Errors: ApiRefusal."""
    if answer.status == wire.APPROVED:
        return answer.resp_body or b""
    status = answer.err_status or {
        "code": 500,
        "reason": "InternalError",
        "message": answer.reason,
        "status": "Failure",
    }
    raise ApiRefusal(status)


class CloudReads:
    """Asks by `call`. Errors of all methods: ApiRefusal, CloudAway, CloudSilent, StoreError."""

    def __init__(self, store: MetaStore, call: CloudCall) -> None:
        self._store, self._call = store, call

    def discover(self, asker: Asker, path: str) -> bytes:
        """The document of a path of discovery."""
        return accepted(self._call(asker, discovery_application(asker, path)))

    def get(self, asker: Asker, info: RequestInfo) -> Json:
        """An object."""
        try:
            object = _object(accepted(self._call(asker, read_application(asker, wire.GET, info, {}))))
        except ApiRefusal as refused:
            if refused.code == NOT_FOUND and not info.subresource and _is_kept(info):
                self._store.apply(MetaChanges(removed_objects=[info.key(info.namespace or constants.CLUSTER_SCOPE)]))
            raise
        if not info.subresource and _is_kept(info):
            self._keep([object])
        return object

    def list_page(self, asker: Asker, info: RequestInfo, query: Mapping[str, str]) -> Json:
        """A list, or a page of one."""
        return _object(accepted(self._call(asker, read_application(asker, wire.LIST, info, query))))

    def refresh(self, asker: Asker, info: RequestInfo, query: Mapping[str, str], known: Mapping[str, int]) -> None:
        """Make what is stored of a collection what the API has of it. `known`: the keys that are stored of it, with their versions."""
        objects, version = self._all(asker, info, query)
        rows = self._keep(objects, known)
        version_number = int(version) if version.isdecimal() else 0
        gone = [key for key, stored in known.items() if key not in rows and stored <= version_number]
        if gone:
            self._store.apply(MetaChanges(removed_objects=gone))

    def drop_foreign(self) -> None:
        """Forget what was watched of the kinds that the node is told of by itself, but does not concern it: nobody keeps that up to date."""
        gone = [
            row.key
            for type in SYNCED
            for row in self._store.objects(f"{type.kind.group}/{type.kind.version}, Resource={type.kind.plural}")
            if self._store.get(object_path(type.name, row.namespace, row.name)) is None
        ]
        if gone:
            self._store.apply(MetaChanges(removed_objects=gone))

    def _all(self, asker: Asker, info: RequestInfo, query: Mapping[str, str]) -> tuple[list[Json], str]:
        """The objects of a collection and its version, which is empty when there are more than are watched: what is not among these may exist."""
        selectors = {name: query[name] for name in ("labelSelector", "fieldSelector") if query.get(name)}
        if info.name:
            one = f"metadata.name={info.name}"
            selectors["fieldSelector"] = ",".join(filter(None, (selectors.get("fieldSelector"), one)))
        found: list[Json] = []
        page = self.list_page(asker, _collection(info), {**selectors, "limit": str(PAGE)})
        while True:
            found += page.get("items") or ()
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return found, str(metadata.get("resourceVersion") or "")
            if len(found) > MAX_WATCHED:
                return found, ""
            following = {**selectors, "limit": str(PAGE), "continue": metadata["continue"]}
            page = self.list_page(asker, _collection(info), following)

    def _keep(self, objects: list[Json], known: Mapping[str, int] | None = None) -> set[str]:
        """Store what is newer than what is stored; the keys of all."""
        for object in objects:
            (object.get("metadata") or {}).pop("managedFields", None)
        rows = [row for object in objects if (row := object_row(object, msgspec.json.encode(object).decode()))]
        newer = [row for row in rows if row.resource_version >= self._stored_version(row, known)]
        if newer:
            self._store.apply(MetaChanges(objects=newer))
        return {row.key for row in rows}

    def _stored_version(self, row: ObjectRow, known: Mapping[str, int] | None) -> int:
        if known is not None:
            return known.get(row.key, 0)
        stored = self._store.object(row.key)
        return stored.resource_version if stored is not None and _uid(stored.value) == _uid(row.value) else 0


def is_pushed(info: RequestInfo) -> bool:
    """Whether the node is told of this kind by itself."""
    return (info.group, info.plural) in PUSHED


def _is_kept(info: RequestInfo) -> bool:
    return info.plural != SECRETS and not is_pushed(info)


def _collection(info: RequestInfo) -> RequestInfo:
    return msgspec.structs.replace(info, name="", subresource="")


def _uid(text: str) -> str:
    return str((msgspec.json.decode(text).get("metadata") or {}).get("uid") or "")


def _object(text: bytes) -> Json:
    try:
        value = msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise CloudSilent(f"the cloud's answer is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise CloudSilent("the cloud's answer is no object")
    return value
