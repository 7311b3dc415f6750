"""What is read from and written into workloads and their pods. Pure.

Source: Kubernetes pkg/controller/controller_utils.go.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from kubeedge_actors.drivers.cluster.base import Json, Kind, identity
from kubeedge_actors.kubernetes.objects import owner_reference
from kubeedge_actors.kubernetes.time import parse_time

DEPLOYMENT_KIND = Kind("apps", "v1", "deployments", "Deployment")
REPLICASET_KIND = Kind("apps", "v1", "replicasets", "ReplicaSet")
DAEMONSET_KIND = Kind("apps", "v1", "daemonsets", "DaemonSet")

HASH_LABEL = "pod-template-hash"
FINISHED = ("Succeeded", "Failed")
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters and digits of which Kubernetes makes suffixes: no vowels, so no words."""
DIGITS = 10


def uid(object: Json) -> str:
    """The object's uid."""
    return str(object["metadata"].get("uid") or "")


def ending(object: Json) -> bool:
    """Whether its deletion has begun."""
    return bool(object["metadata"].get("deletionTimestamp"))


def owner_of(object: Json) -> Json | None:
    """The owner reference of whoever controls it."""
    for reference in object["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def owned_by(object: Json, owner: Json) -> bool:
    """Whether `owner` controls it."""
    reference = owner_of(object)
    return reference is not None and reference.get("uid") == uid(owner)


def owned(kind: Kind, owner: Json) -> Json:
    """The owner reference that makes `owner` the controller of what carries it."""
    who = identity(owner)
    blocking = {"controller": True, "blockOwnerDeletion": True}
    return owner_reference(kind.api_version, kind.kind, who.name, who.uid, **blocking)


def pod_of(kind: Kind, owner: Json, labels: Json | None = None, **spec: Any) -> Json:
    """A pod from the owner's template, to be created; `labels` and `spec` are added."""
    template = owner["spec"]["template"]
    metadata = template.get("metadata") or {}
    made: Json = {
        "generateName": f"{owner['metadata']['name']}-",
        "labels": {**(metadata.get("labels") or {}), **(labels or {})},
        "ownerReferences": [owned(kind, owner)],
    }
    if metadata.get("annotations"):
        made["annotations"] = metadata["annotations"]
    return {"metadata": made, "spec": {**template["spec"], **spec}}


def active(pod: Json) -> bool:
    """Whether it runs or is going to."""
    return not ending(pod) and (pod.get("status") or {}).get("phase") not in FINISHED


def ready_since(pod: Json) -> float | None:
    """Epoch seconds since when it has been ready, by its node's clock; None when it is not."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return parse_time(str(condition.get("lastTransitionTime") or "")) or 0.0
    return None


def available(pod: Json, seconds: int, now: float) -> bool:
    """Whether it has been ready for so many seconds."""
    since = ready_since(pod)
    return since is not None and (not seconds or since + seconds <= now)


def template_hash(template: Json) -> str:
    """A short name of a template: the same for the same content."""
    number = int.from_bytes(hashlib.sha256(msgspec.json.encode(template, order="sorted")).digest()[:8])
    letters = []
    for _ in range(DIGITS):
        number, digit = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return "".join(letters)


def share(value: Any, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total` that is rounded up or down."""
    text = str(value if value is not None else 0)
    if not text.endswith("%"):
        return int(text)
    product = int(text[:-1]) * total
    return -(-product // 100) if up else product // 100


def status_patch(object: Json, status: Json) -> Json | None:
    """The merge patch that gives it this status, if nobody was quicker; None when it has it."""
    if all((object.get("status") or {}).get(key) == value for key, value in status.items()):
        return None
    version = identity(object).version
    return {"metadata": {"resourceVersion": version}, "status": status}
