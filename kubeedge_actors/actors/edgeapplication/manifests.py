"""The objects that an EdgeApplication asks for, from its manifests and targets. Pure.

A Deployment is made once for each target; every other object once, as it stands (KubeEdge: constants.OverriderTargetGVK).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.actors.edgeapplication.images import OverriderError
from kubeedge_actors.actors.edgeapplication.targets import Target, deployment_for, targets_of
from kubeedge_actors.kubernetes.object_types import DEPLOYMENT_KIND, EDGEAPPLICATION_KIND, SERVICE_KIND
from kubeedge_actors.kubernetes.objects import MALFORMED, owner_reference

Json = dict[str, Any]
Key = tuple[str, str, str, str]

MADE_BY_LABEL = "kubeedge-actors.io/edgeapplication"
"""On each object that was made for an EdgeApplication: the uid of that. By it the watches find them, and no others."""
LAST_APPLIED = "apps.kubeedge.io/last-applied-template"
"""KubeEdge's: the object as it was asked for last, from which a change is reckoned."""
SERVICE_TOPOLOGY, RANGE_NODEGROUP = "apps.kubeedge.io/service-topology", "range-nodegroup"
_BY_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")


class Identity(NamedTuple):
    """Which object it is; empty parts where a manifest does not say. `version` is not part of what makes two the same."""

    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def key(self) -> Key:
        """The same for the same object."""
        return self.group, self.kind, self.namespace, self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class DesiredObject(NamedTuple):
    """One object. `ordinal`: of its manifest; `object`: as it is to be created, None when `error` says why there is none."""

    ordinal: int
    identity: Identity
    object: Json | None
    error: str = ""


def desired_objects(application: Json) -> list[DesiredObject]:
    """All that a v1alpha1 EdgeApplication asks for, in the order of its manifests; of two that are the same object the first counts."""
    spec = application.get("spec") or {}
    found: list[DesiredObject] = []
    taken: dict[Key, int] = {}
    for ordinal, manifest in enumerate((spec.get("workloadTemplate") or {}).get("manifests") or ()):
        for wanted in _of_manifest(application, ordinal, manifest, spec.get("workloadScope") or {}):
            key = wanted.identity.key
            if wanted.object is not None and key in taken:
                error = f"{wanted.identity} is what manifest {taken[key]} makes already"
                wanted = wanted._replace(object=None, error=error)
            taken.setdefault(key, ordinal)
            found.append(wanted)
    return found


def _of_manifest(application: Json, ordinal: int, manifest: Any, scope: Json) -> Iterator[DesiredObject]:
    identity = identity_of(manifest, str(application["metadata"]["namespace"]))
    if error := _manifest_error(identity, application):
        yield DesiredObject(ordinal, identity, None, f"manifest {ordinal} {error}")
        return
    if identity[:3] != (DEPLOYMENT_KIND.group, DEPLOYMENT_KIND.version, DEPLOYMENT_KIND.kind):
        yield DesiredObject(ordinal, identity, _complete(manifest, identity, application))
        return
    for target in targets_of(scope):
        yield _for_target(application, ordinal, manifest, identity, target)


def _for_target(application: Json, ordinal: int, manifest: Json, identity: Identity, target: Target) -> DesiredObject:
    identity = identity._replace(name=f"{identity.name}-{target.suffix}")
    try:
        return DesiredObject(ordinal, identity, _complete(deployment_for(target, manifest), identity, application))
    except OverriderError as error:
        return DesiredObject(ordinal, identity, None, f"{identity}: {error}")
    except MALFORMED as error:
        return DesiredObject(ordinal, identity, None, f"{identity} is malformed: {error!r}")


def identity_of(manifest: Any, namespace: str) -> Identity:
    """What a manifest says of itself; in `namespace` when it names none."""
    whole = manifest if isinstance(manifest, dict) else {}
    metadata = whole["metadata"] if isinstance(whole.get("metadata"), dict) else {}
    group, _, version = _text(whole.get("apiVersion")).rpartition("/")
    return Identity(
        group,
        version,
        _text(whole.get("kind")),
        _text(metadata.get("namespace")) or namespace,
        _text(metadata.get("name")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _manifest_error(identity: Identity, application: Json) -> str:
    for what, value in (("apiVersion", identity.version), ("kind", identity.kind), ("metadata.name", identity.name)):
        if not value:
            return f"has no {what}"
    own = application["metadata"]["namespace"]
    return (
        ""
        if identity.namespace == own
        else f"is for the namespace {identity.namespace}: only {own}, the application's own, may be"
    )


def _complete(manifest: Json, identity: Identity, application: Json) -> Json:
    """With its place, its owner, what we find it by, and what it was made from."""
    about = application["metadata"]
    metadata = {key: value for key, value in copy.deepcopy(manifest["metadata"]).items() if key not in _BY_SERVER}
    metadata["namespace"], metadata["name"] = identity.namespace, identity.name
    metadata["labels"] = {**(metadata.get("labels") or {}), MADE_BY_LABEL: about["uid"]}
    kind = EDGEAPPLICATION_KIND
    owner = owner_reference(
        kind.api_version, kind.kind, about["name"], about["uid"], controller=True, blockOwnerDeletion=True
    )
    metadata["ownerReferences"] = [*(metadata.get("ownerReferences") or ()), owner]
    annotations = {key: text for key, text in (metadata.pop("annotations", None) or {}).items() if key != LAST_APPLIED}
    if (identity.group, identity.kind) == (SERVICE_KIND.group, SERVICE_KIND.kind):
        annotations[SERVICE_TOPOLOGY] = RANGE_NODEGROUP
    if annotations:
        metadata["annotations"] = annotations
    template = {key: value for key, value in manifest.items() if key != "status"} | {"metadata": metadata}
    text = msgspec.json.encode(template, order="sorted").decode()
    return template | {"metadata": metadata | {"annotations": annotations | {LAST_APPLIED: text}}}


# --- changes ----------------------------------------------------------------------------------------------------------


def change_patch(desired: Json, live: Json) -> Json | None:
    """The JSON merge patch that brings a live object to what is desired: what has changed since it was asked for last, and what it lacks when that
    is not known. None when it was asked for just so.
    """
    wanted = desired["metadata"]["annotations"][LAST_APPLIED]
    applied = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if applied == wanted:
        return None
    patch = create_merge_patch(_decoded(applied), msgspec.json.decode(wanted))
    metadata = patch.setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), LAST_APPLIED: wanted}
    metadata.update({key: live["metadata"][key] for key in ("uid", "resourceVersion")})
    return patch


def _decoded(applied: object) -> Json:
    try:
        decoded = msgspec.json.decode(applied) if isinstance(applied, str) else {}
    except msgspec.DecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def create_merge_patch(old: Json, new: Json) -> Json:
    """The JSON merge patch (RFC 7396) from one object to another.

    >>> create_merge_patch({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"c": 3, "d": 2}})
    {'a': None, 'b': {'c': 3}}
    """
    patch: Json = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            if inner := create_merge_patch(old[key], value):
                patch[key] = inner
        elif key not in old or old[key] != value:
            patch[key] = value
    return patch
