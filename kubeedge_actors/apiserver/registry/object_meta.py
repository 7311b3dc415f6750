"""ObjectMeta that the server keeps: identity, times, generation (apiserver: registry/rest/meta.go)."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable

import msgspec

from kubeedge_actors.kubernetes.time import format_time

from ..errors import FieldError, Json, forbidden_field
from .builtin import Resource

SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
META_ORDER = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
)
# A client's word counts for these on every write; the rest is the server's.
CLIENT_META = ("labels", "annotations", "ownerReferences", "finalizers")


def ordered_object(resource: Resource, body: Json, meta: Json) -> Json:
    """The object with kind and apiVersion first, and its metadata in Kubernetes' order without empty parts."""
    tidy = {key: meta[key] for key in META_ORDER if meta.get(key) not in (None, "", {}, [])}
    fields = {key: value for key, value in body.items() if key not in ("kind", "apiVersion", "metadata")}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": tidy, **fields}


def generated_name(prefix: str) -> str:
    """A name with five random characters after the prefix."""
    return prefix[:58] + "".join(secrets.choice(SUFFIX_LETTERS) for _ in range(5))


def prepare_create(resource: Resource, body: Json, namespace: str, now: float) -> Json:
    """A new object with the metadata that the server gives it."""
    meta = dict(body.get("metadata") or {})
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = generated_name(meta["generateName"])
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "namespace"):
        meta.pop(key, None)
    if namespace:
        meta["namespace"] = namespace
    if resource.generation or resource.is_custom:
        meta["generation"] = 1
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = format_time(now)
    return ordered_object(resource, body, meta)


def prepare_update(resource: Resource, body: Json, old: Json) -> Json:
    """The next version of an object: the client's labels and the like, the server's identity."""
    client_meta = body.get("metadata") or {}
    meta = {key: value for key, value in old["metadata"].items() if key not in CLIENT_META}
    meta.update({key: client_meta[key] for key in CLIENT_META if key in client_meta})
    return ordered_object(resource, body, meta)


def update_generation(resource: Resource, new: Json, old: Json) -> None:
    """Counts the generation on, if what it counts has changed."""
    if (resource.generation or resource.is_custom) and not is_equal(
        generation_content(resource, new), generation_content(resource, old)
    ):
        meta = new["metadata"]
        meta["generation"] = old["metadata"].get("generation", 0) + 1
        new["metadata"] = {key: meta[key] for key in META_ORDER if key in meta}


def generation_content(resource: Resource, body: Json) -> object:
    """The part of an object whose changes the generation counts."""
    if not resource.is_custom:
        return body.get("spec")
    skipped = ("metadata", "status") if resource.has_status else ("metadata",)
    return {key: value for key, value in body.items() if key not in skipped}


def is_equal(left: object, right: object) -> bool:
    """Whether two JSON values are equal; unlike `==`, true is not 1 and 1.0 is not 1."""
    return canonical_json(left) == canonical_json(right)


def canonical_json(value: object) -> bytes:
    """JSON with sorted keys."""
    return msgspec.json.encode(value, order="deterministic")


def is_unchanged(new: Json, old: Json) -> bool:
    """Whether storing `new` would change nothing."""
    stale = {**new, "metadata": {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}}
    return is_equal(stale, old)


def finalizer_errors(new: Json, old: Json) -> Iterable[FieldError]:
    """An object that is being deleted takes no further finalizers."""
    if "deletionTimestamp" not in old["metadata"]:
        return ()
    added = set(new["metadata"].get("finalizers", ())) - set(old["metadata"].get("finalizers", ()))
    if not added:
        return ()
    listed = " ".join(f'"{name}"' for name in sorted(added))
    reason = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
    return [forbidden_field("metadata.finalizers", reason)]


def is_removable(body: Json) -> bool:
    """Whether nothing holds back an object that is being deleted."""
    meta = body["metadata"]
    if "deletionTimestamp" not in meta or meta.get("finalizers"):
        return False
    if body["kind"] == "Namespace" and body["apiVersion"] == "v1":
        return not body.get("spec", {}).get("finalizers")
    return not meta.get("deletionGracePeriodSeconds")
