"""What an EdgeApplication says of its objects: in its status how they are, in an annotation which there are. Pure.

The annotation is KubeEdge's: by it is known what a manifest or a target that is gone has left behind, whoever made it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kubeedge_actors.actors.edgeapplication.manifests import DesiredObject, Identity
from kubeedge_actors.kubernetes.object_types import DEPLOYMENT_KIND

Json = dict[str, Any]

LAST_CONTAINED = "apps.kubeedge.io/last-contained-resources"
PROCESSING, AVAILABLE = "Processing", "Available"


class ContainedResource(msgspec.Struct, frozen=True):
    """One object that was made, as it stands in the annotation."""

    ordinal: int = 0
    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def identity(self) -> Identity:
        """Which object it is."""
        return Identity(self.group, self.version, self.kind, self.namespace, self.name)


def contained_resources(application: Json) -> list[ContainedResource]:
    """What the annotation of an EdgeApplication tells; nothing when it is missing or no list of such."""
    text = (application["metadata"].get("annotations") or {}).get(LAST_CONTAINED)
    try:
        return msgspec.json.decode(text, type=list[ContainedResource]) if isinstance(text, str) else []
    except msgspec.DecodeError:
        return []


def contained_text(resources: Iterable[ContainedResource]) -> str:
    """The annotation for these: the same for the same, whatever their order."""
    return msgspec.json.encode(sorted(resources, key=lambda each: (each.ordinal, *each.identity))).decode()


def made_for(desired: Iterable[DesiredObject]) -> list[ContainedResource]:
    """The entries of those objects that have a name. One that can not be made now is among them: what was made of it before stays."""
    return [ContainedResource(each.ordinal, *each.identity) for each in desired if each.identity.name]


def split_contained(
    before: Iterable[ContainedResource], desired: list[DesiredObject]
) -> tuple[list[ContainedResource], list[ContainedResource]]:
    """What was made before and is not asked for any more: to be kept, because its manifest does not even say what it is; and to be deleted."""
    asked = {each.identity.key for each in desired if each.identity.name}
    unclear = {each.ordinal for each in desired if not each.identity.name}
    gone = [each for each in before if each.identity.key not in asked]
    return [each for each in gone if each.ordinal in unclear], [each for each in gone if each.ordinal not in unclear]


# --- status -----------------------------------------------------------------------------------------------------------


def manifest_status(desired: DesiredObject, plural: str, live: Json | None) -> Json:
    """One entry of `workloadStatus`. `live`: the object when it is there, is the application's own, and was asked for as it is now."""
    identity = {key: text for key, text in zip(Identity._fields, desired.identity, strict=True) if text}
    if plural:
        identity["resource"] = plural
    condition = AVAILABLE if live is not None and is_available(live) else PROCESSING
    return {"identifier": {"ordinal": desired.ordinal, **identity}, "conditions": condition}


def is_available(live: Json) -> bool:
    """Whether an object is as it was asked for: a Deployment when all its replicas are of the newest template and ready, anything else
    when it is there.
    """
    if (live.get("apiVersion"), live.get("kind")) != (DEPLOYMENT_KIND.api_version, DEPLOYMENT_KIND.kind):
        return True
    metadata, status, replicas = live["metadata"], live.get("status") or {}, live["spec"].get("replicas", 1)
    if int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 0):
        return False
    return all(int(status.get(count) or 0) == replicas for count in ("readyReplicas", "updatedReplicas"))


def workload_status(application: Json, entries: Iterable[Json]) -> list[Json]:
    """The `workloadStatus`, in order; a manifest that makes nothing, for want of a target, has an entry without a name."""
    manifests = ((application.get("spec") or {}).get("workloadTemplate") or {}).get("manifests") or ()
    found = list(entries)
    ordinals = {entry["identifier"]["ordinal"] for entry in found}
    nameless = [ordinal for ordinal in range(len(manifests)) if ordinal not in ordinals]
    found += [{"identifier": {"ordinal": ordinal}, "conditions": PROCESSING} for ordinal in nameless]
    return sorted(found, key=lambda entry: (entry["identifier"]["ordinal"], entry["identifier"].get("name", "")))
