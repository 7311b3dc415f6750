"""The objects of the fake API and what each request does to them; no lock, no watch."""

from __future__ import annotations

import copy
import datetime
import itertools
import uuid
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.drivers.cluster.base import Json, PatchType
from kubeedge_actors.drivers.cluster.fake import patches
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.kubernetes.objects import merge_patch

WITH_STATUS_SUBRESOURCE = frozenset(
    {"pods", "nodes", "persistentvolumes", "persistentvolumeclaims", "certificatesigningrequests"}
)
STATUS_KEPT_AT_CREATION = frozenset({"nodes"})
STATUS_WITH_METADATA = frozenset({"nodes", "pods", "namespaces"})
CREATED_BY_PUT = frozenset({"leases", "events"})
DEFAULT_GRACE = 30
FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")

Key = tuple[ResourceKind, str, str]
Step = tuple[Json | None, Json | None, Json]


class WriteResult(NamedTuple):
    """The answer to a write and what it did: (before, after, the state a deletion tells) for each step of it."""

    kind: ResourceKind
    answer: Json
    steps: list[Step]


class FakeObjectStore:
    """All objects by kind, namespace and name, and the one counter of versions."""

    def __init__(self, now: Callable[[], datetime.datetime], with_status: Collection[str] = ()) -> None:
        self._now = now
        self._with_status = WITH_STATUS_SUBRESOURCE | set(with_status)
        self._counter = itertools.count(1)
        self.version = "0"
        self.objects: dict[Key, Json] = {}

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Json:
        """The object. Errors: NotFound."""
        object = self.objects.get((kind, namespace, name))
        if object is None:
            raise NotFound(status_of(404, "NotFound", f'{kind.qualified} "{name}" not found', kind, name))
        return object

    def create(self, kind: ResourceKind, namespace: str, object: Json) -> WriteResult:
        """Create an object with what the server adds. Errors: AlreadyExists, ClusterError (422, 500)."""
        created = copy.deepcopy({"apiVersion": kind.api_version, "kind": kind.kind, **object})
        metadata = created.setdefault("metadata", {})
        if metadata.get("resourceVersion"):
            raise ClusterError(status_of(500, "", "resourceVersion should not be set on objects to be created"))
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise ClusterError(status_of(422, "Invalid", "name or generateName is required", kind))
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:10]
        name = metadata["name"]
        if (kind, namespace, name) in self.objects:
            raise AlreadyExists(
                status_of(409, "AlreadyExists", f'{kind.qualified} "{name}" already exists', kind, name)
            )
        if kind.namespaced:
            metadata["namespace"] = namespace
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=self._stamp())
        for dropped in ("managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"):
            metadata.pop(dropped, None)
        if kind.plural in self._with_status - STATUS_KEPT_AT_CREATION:
            created["status"] = {"phase": "Pending"} if kind.plural == "pods" else {}
        if _has_generation(kind):
            metadata["generation"] = 1
        return self._store(kind, None, created)

    def replace(self, kind: ResourceKind, namespace: str, name: str, object: Json, subresource: str) -> WriteResult:
        """Replace an object. Errors: NotFound, Conflict, ClusterError 422."""
        if kind.plural in CREATED_BY_PUT and (kind, namespace, name) not in self.objects:
            fresh = {**object, "metadata": {**object.get("metadata", {}), "resourceVersion": ""}}
            return self.create(kind, namespace, fresh)
        old = self.get(kind, namespace, name)
        if not object.get("metadata", {}).get("resourceVersion") and "." in kind.group and not _built_in(kind):
            message = f'{kind.qualified} "{name}" is invalid: metadata.resourceVersion: must be specified for an update'
            raise ClusterError(status_of(422, "Invalid", message, kind, name))
        return self._change(kind, old, copy.deepcopy(object), subresource)

    def patch(
        self, kind: ResourceKind, namespace: str, name: str, patch: Any, form: PatchType, subresource: str
    ) -> WriteResult:
        """The object with parts changed."""
        change = msgspec.json.decode(patch) if isinstance(patch, str) else copy.deepcopy(patch)
        if form == "apply" and (kind, namespace, name) not in self.objects:
            return self.create(kind, namespace, change)
        old = self.get(kind, namespace, name)
        if form == "strategic" and not _built_in(kind):
            raise ClusterError(
                status_of(415, "UnsupportedMediaType", "strategic merge needs a built-in kind", kind, name)
            )
        try:
            if form == "json":
                return self._change(kind, old, patches.apply_json_patch(old, change), subresource)
            apply = patches.strategic_merge if form == "strategic" else merge_patch
            return self._change(kind, old, apply(old, change), subresource)
        except patches.PatchRefused as refusal:
            raise ClusterError(status_of(422, "Invalid", str(refusal), kind, name)) from None

    def delete(self, kind: ResourceKind, namespace: str, name: str, grace: int | None, uid: str) -> WriteResult:
        """Delete an object, or begin to. Errors: NotFound, Conflict."""
        old = self.get(kind, namespace, name)
        metadata = old["metadata"]
        if uid and uid != metadata["uid"]:
            message = (
                f'Operation cannot be fulfilled on {kind.qualified} "{name}": Precondition failed: '
                f"UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
            )
            raise Conflict(status_of(409, "Conflict", message, kind, name))
        seconds = _grace(kind, old, grace)
        if metadata.get("finalizers"):
            return self._store(kind, old, self._ending(old, 0))
        if seconds is None:
            return self._remove(kind, old)
        if seconds == 0:
            marked = self._store(kind, old, self._ending(old, 0))
            return WriteResult(kind, marked.answer, marked.steps + self._remove(kind, marked.answer).steps)
        if metadata.get("deletionGracePeriodSeconds", seconds + 1) <= seconds:
            return WriteResult(kind, old, [])
        return self._store(kind, old, self._ending(old, seconds))

    def post(self, kind: ResourceKind, namespace: str, name: str, object: Json, subresource: str) -> WriteResult:
        """Create a binding of a pod or a token of a service account. Errors: NotFound, Conflict."""
        old = self.get(kind, namespace, name)
        if subresource == "token":
            seconds = object.get("spec", {}).get("expirationSeconds") or 3600
            until = self._now() + datetime.timedelta(seconds=seconds)
            spec = {**object.get("spec", {}), "audiences": object.get("spec", {}).get("audiences") or ["api"]}
            metadata = {key: old["metadata"][key] for key in ("name", "namespace", "uid")}
            status = {"token": f"token-of-{name}", "expirationTimestamp": _rfc3339(until)}
            header = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
            return WriteResult(kind, {**header, "metadata": metadata, "spec": spec, "status": status}, [])
        if old.get("spec", {}).get("nodeName"):
            message = f'Operation cannot be fulfilled on pods/binding "{name}": pod {name} is already assigned to node'
            raise Conflict(status_of(409, "Conflict", message, kind, name))
        condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": self._stamp()}
        status = patches.strategic_merge(old.get("status"), {"conditions": [condition]})
        bound = {**old, "spec": {**old.get("spec", {}), "nodeName": object["target"]["name"]}, "status": status}
        steps = self._store(kind, old, bound).steps
        return WriteResult(kind, {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}, steps)

    # --- writing ----------------------------------------------------------------------------------------------------

    def _change(self, kind: ResourceKind, old: Json, new: Json, subresource: str) -> WriteResult:
        name = old["metadata"]["name"]
        new_metadata = new.get("metadata", {})
        if new_metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise Conflict(status_of(409, "Conflict", f"the UID in the object meta of {name} differs", kind, name))
        if new_metadata.get("resourceVersion") not in (None, "", old["metadata"]["resourceVersion"]):
            message = (
                f'Operation cannot be fulfilled on {kind.qualified} "{name}": the object has been modified; '
                "please apply your changes to the latest version and try again"
            )
            raise Conflict(status_of(409, "Conflict", message, kind, name))
        updated = _allowed(kind, old, new, subresource, kind.plural in self._with_status)
        updated["metadata"] = self._kept_metadata(old["metadata"], updated["metadata"])
        if updated == old:
            return WriteResult(kind, old, [])
        parts = ("spec",) if kind.plural in self._with_status else ("spec", "status")
        if _has_generation(kind) and any(updated.get(part) != old.get(part) for part in parts):
            updated["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        if (
            updated["metadata"].get("deletionTimestamp")
            and not updated["metadata"].get("finalizers")
            and kind.plural != "pods"
        ):
            changed = self._store(kind, old, updated)
            return WriteResult(kind, changed.answer, self._remove(kind, changed.answer).steps)
        return self._store(kind, old, updated)

    def _kept_metadata(self, old: Json, new: Json) -> Json:
        metadata = {key: value for key, value in new.items() if value is not None and key != "managedFields"}
        for key in (*FIXED, "resourceVersion", "generation"):
            metadata.pop(key, None)
            if key in old:
                metadata[key] = old[key]
        return metadata

    def _ending(self, old: Json, seconds: int) -> Json:
        until = self._now() + datetime.timedelta(seconds=seconds)
        marks = {"deletionTimestamp": _rfc3339(until), "deletionGracePeriodSeconds": seconds}
        metadata = {**old["metadata"], **marks}
        if "generation" in metadata and "deletionTimestamp" not in old["metadata"]:
            metadata["generation"] += 1
        return {**old, "metadata": metadata}

    def _store(self, kind: ResourceKind, old: Json | None, new: Json) -> WriteResult:
        stored = {**new, "metadata": {**new["metadata"], "resourceVersion": self._next_version()}}
        self.objects[kind, stored["metadata"].get("namespace", ""), stored["metadata"]["name"]] = stored
        return WriteResult(kind, stored, [(old, stored, stored)])

    def _remove(self, kind: ResourceKind, old: Json) -> WriteResult:
        del self.objects[kind, old["metadata"].get("namespace", ""), old["metadata"]["name"]]
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": self._next_version()}}
        return WriteResult(kind, last, [(old, None, last)])

    def _next_version(self) -> str:
        self.version = str(next(self._counter))
        return self.version

    def _stamp(self) -> str:
        return _rfc3339(self._now())


def status_of(code: int, reason: str, message: str, kind: ResourceKind | None = None, name: str = "") -> Json:
    """A Status as the API writes it."""
    details: Json = {}
    if kind is not None:
        details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": {key: value for key, value in details.items() if value},
        "code": code,
    }


def _allowed(kind: ResourceKind, old: Json, new: Json, subresource: str, status_apart: bool) -> Json:
    """What a write may change: the status sub-resource only status (and of some kinds the metadata), the main resource everything else."""
    if not status_apart:
        allowed = {**new, "apiVersion": old["apiVersion"], "kind": old["kind"]}
    elif subresource == "status":
        allowed = {**old, "status": new.get("status", {})} if new.get("status") else dict(old)
        if kind.plural in STATUS_WITH_METADATA:
            allowed["metadata"] = new.get("metadata", {})
    else:
        allowed = {**new, "apiVersion": old["apiVersion"], "kind": old["kind"]}
        allowed.pop("status", None)
        if "status" in old:
            allowed["status"] = old["status"]
    allowed.setdefault("metadata", {})
    return allowed


def _grace(kind: ResourceKind, object: Json, requested: int | None) -> int | None:
    """Seconds of grace of a pod that a node has to end; None for what goes at once."""
    spec = object.get("spec", {})
    if kind.plural != "pods" or not spec.get("nodeName"):
        return None
    if requested != 0 and object.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return None
    return requested if requested is not None else int(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE))


def _built_in(kind: ResourceKind) -> bool:
    return not kind.group or kind.group.endswith(".k8s.io") or "." not in kind.group


def _has_generation(kind: ResourceKind) -> bool:
    return kind.plural == "pods" or kind.group == "apps" or not _built_in(kind)


def _rfc3339(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
