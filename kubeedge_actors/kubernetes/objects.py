"""Helpers for any API object: changes, owner references, node name, service account, conditions."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MALFORMED = (ValueError, TypeError, KeyError, AttributeError)
"""What code that reads an object raises when the object has not the shape that its schema promises."""
SERVER_METADATA = frozenset({"resourceVersion", "generation", "managedFields"})
"""Metadata that the API server writes by itself, at every change."""
DEFAULT_SERVICE_ACCOUNT = "default"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
"""On the mirror of a static pod: the uid of that."""
HOLD_ANNOTATION = "edge.kubeedge.io/hold-upgrade"
"""`true` holds a pod at its node (KubeEdge)."""


def differs_beyond_status(old: Json | None, new: Json) -> bool:
    """Whether more than the status is different: the spec, or metadata that somebody wrote on purpose. Of an object that was
    not known, everything is.
    """
    if old is None:
        return True
    return old.get("spec") != new.get("spec") or _written_metadata(old) != _written_metadata(new)


def _written_metadata(object: Json) -> Json:
    return {key: value for key, value in object["metadata"].items() if key not in SERVER_METADATA}


def node_name(object: Json) -> str:
    """`spec.nodeName` of a v1.Pod or of a Device; empty when it is bound to none."""
    return str((object.get("spec") or {}).get("nodeName") or "")


def service_account_name(spec: Json) -> str:
    """The service account that a v1.Pod of this spec runs as, by either field."""
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT_SERVICE_ACCOUNT)


def is_mirror(pod: Json) -> bool:
    """Whether the v1.Pod is the mirror of a static pod."""
    return MIRROR_ANNOTATION in ((pod.get("metadata") or {}).get("annotations") or {})


def is_hold_asked(pod: Json) -> bool:
    """Whether the v1.Pod asks its node to hold it until somebody there releases it."""
    return ((pod.get("metadata") or {}).get("annotations") or {}).get(HOLD_ANNOTATION) == "true"


def owner_reference(api_version: str, kind: str, name: str, uid: str, **flags: bool) -> Json:
    """A `metav1.OwnerReference`; `flags`: `controller`, `blockOwnerDeletion`.

    >>> owner_reference("v1", "Node", "edge-1", "7d2f", controller=True)
    {'apiVersion': 'v1', 'kind': 'Node', 'name': 'edge-1', 'uid': '7d2f', 'controller': True}
    """
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, **flags}


def get_condition(object: Json, type: str) -> Json:
    """The condition of this type in the object's status; an empty one when it has none."""
    for entry in (object.get("status") or {}).get("conditions") or ():
        if entry.get("type") == type:
            condition: Json = entry
            return condition
    return {}


def merge_patch(original: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7396): the original with the patch merged in: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
