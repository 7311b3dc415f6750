"""Owner references, pods from templates, expectations (source: Kubernetes pkg/controller/controller_utils.go). Pure.

Source: Kubernetes pkg/controller/controller_utils.go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import msgspec

from kubeedge_actors.drivers.cluster.base import Json, object_reference
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.kubernetes.objects import get_condition, owner_reference
from kubeedge_actors.kubernetes.time import parse_time

HASH_LABEL = "pod-template-hash"
FINISHED = ("Succeeded", "Failed")
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters and digits of which Kubernetes makes suffixes: no vowels, so no words."""
DIGITS = 10


def uid_of(object: Json) -> str:
    """The object's uid."""
    return str(object["metadata"].get("uid") or "")


def is_terminating(object: Json) -> bool:
    """Whether its deletion has begun."""
    return bool(object["metadata"].get("deletionTimestamp"))


def controller_of(object: Json) -> Json | None:
    """The owner reference of whoever controls it."""
    for reference in object["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def is_controlled_by(object: Json, owner: Json) -> bool:
    """Whether `owner` controls it."""
    reference = controller_of(object)
    return reference is not None and reference.get("uid") == uid_of(owner)


def controller_reference(kind: ResourceKind, owner: Json) -> Json:
    """The owner reference that makes `owner` the controller of what carries it."""
    reference = object_reference(owner)
    blocking = {"controller": True, "blockOwnerDeletion": True}
    return owner_reference(kind.api_version, kind.kind, reference.name, reference.uid, **blocking)


def pod_from_template(kind: ResourceKind, owner: Json, labels: Json | None = None, **spec: Any) -> Json:
    """A pod from the owner's template, to be created; `labels` and `spec` are added."""
    template = owner["spec"]["template"]
    metadata = template.get("metadata") or {}
    pod_metadata: Json = {
        "generateName": f"{owner['metadata']['name']}-",
        "labels": {**(metadata.get("labels") or {}), **(labels or {})},
        "ownerReferences": [controller_reference(kind, owner)],
    }
    if metadata.get("annotations"):
        pod_metadata["annotations"] = metadata["annotations"]
    return {"metadata": pod_metadata, "spec": {**template["spec"], **spec}}


def is_active(pod: Json) -> bool:
    """Whether a v1.Pod runs or is going to."""
    return not is_terminating(pod) and (pod.get("status") or {}).get("phase") not in FINISHED


def ready_since(pod: Json) -> float | None:
    """Epoch seconds since when a v1.Pod has been ready, by its node's clock; None when it is not."""
    ready = get_condition(pod, "Ready")
    if ready.get("status") != "True":
        return None
    return parse_time(str(ready.get("lastTransitionTime") or "")) or 0.0


def is_available(pod: Json, seconds: int, now: float) -> bool:
    """Whether a v1.Pod has been ready for `seconds`."""
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


def scaled_value(value: Any, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total` that is rounded up or down."""
    text = str(value if value is not None else 0)
    if not text.endswith("%"):
        return int(text)
    product = int(text[:-1]) * total
    return -(-product // 100) if up else product // 100


def status_patch(object: Json, status: Json) -> Json | None:
    """The merge patch that gives the object this status, with its resourceVersion as precondition; None when it has it."""
    if all((object.get("status") or {}).get(key) == value for key, value in status.items()):
        return None
    version = object_reference(object).version
    return {"metadata": {"resourceVersion": version}, "status": status}


# --- ControllerExpectations -------------------------------------------------------------------------------------------
#
# What was done and has not been seen yet: a plan made before would do it twice (source: Kubernetes
# pkg/controller/controller_utils.go).


EXPECTATION_TIMEOUT = 10.0
"""Seconds after which something that was never seen counts as come and gone."""


class Expectations:
    """Per owner: the uids of pods that were created, or deleted, and until when they are waited for."""

    def __init__(self) -> None:
        self._created: dict[str, dict[str, float]] = {}
        self._deleted: dict[str, dict[str, float]] = {}

    def expect_creation(self, owner: str, pod: str, now: float) -> None:
        """A pod was created for this owner."""
        self._created.setdefault(owner, {})[pod] = now + EXPECTATION_TIMEOUT

    def expect_deletion(self, owner: str, pod: str, now: float) -> None:
        """A pod of this owner was deleted."""
        self._deleted.setdefault(owner, {})[pod] = now + EXPECTATION_TIMEOUT

    def has_pending(self, owner: str, alive: Collection[str], now: float) -> bool:
        """Whether the informers have not shown our creations and deletions yet; `alive`: uids of the owner's pods that are not terminating."""
        created = {pod: end for pod, end in self._created.get(owner, {}).items() if pod not in alive and now < end}
        deleted = {pod: end for pod, end in self._deleted.get(owner, {}).items() if pod in alive and now < end}
        for table, pending in ((self._created, created), (self._deleted, deleted)):
            if pending:
                table[owner] = pending
            else:
                table.pop(owner, None)
        return bool(created or deleted)
