"""NodeRestriction: what a node may write (Kubernetes: plugin/pkg/admission/noderestriction). Pure.

Every function gives why the node `node` may not, in Kubernetes' words, or an empty text. Objects are JSON as a node sent it: of
any shape. The hub and the embedded API judge by the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec

from kubeedge_actors.kubernetes.node_graph import PodLookup
from kubeedge_actors.kubernetes.objects import MIRROR_ANNOTATION
from kubeedge_actors.kubernetes.pod_references import CLAIM, CONFIGMAP, SECRET, config_references

Json = dict[str, Any]
P = ParamSpec("P")

_LABEL_DOMAINS = ("kubernetes.io", "k8s.io")
_RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
KUBELET_LABELS: Final = frozenset(
    {"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os"}
    | {"beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"}
    | {"topology.kubernetes.io/zone", "topology.kubernetes.io/region"}
    | {"failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"}
)
"""Labels of Kubernetes' own domains that a kubelet may give its Node."""
EDGE_LABELS: Final = frozenset({"node-role.kubernetes.io/edge", "node-role.kubernetes.io/agent"})
"""Labels with which every edgecore registers. Kubernetes refuses them to kubelets; a genuine cloudcore writes them for its nodes."""
_LEFT_ALONE = ("ownerReferences", "finalizers")
"""Metadata of an object that a node only reports about: with it a node could have it deleted, or keep it for ever."""
_CLAIM_STATUS = frozenset({"capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"})
_WRITTEN_BY_SERVER = frozenset({"resourceVersion", "managedFields", "generation"})


def _of_any_shape(rule: Callable[P, str]) -> Callable[P, str]:
    """A rule that refuses what has not even the shape of such an object."""

    @wraps(rule)
    def judged(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return rule(*args, **kwargs)
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            return f"the object is malformed: {error}"

    return judged


# --- pods -------------------------------------------------------------------------------------------------------------


@_of_any_shape
def pod_create_rejection(node: str, pod: Json, node_uid: str | None = None) -> str:
    """Why not this v1.Pod: a node creates only mirrors of its static pods, which name no other object. `node_uid`: its Node's; None when that
    is compared later.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    mirror = (metadata.get("annotations") or {}).get(MIRROR_ANNOTATION)
    if not mirror or not isinstance(mirror, str):
        return f'pod does not have "{MIRROR_ANNOTATION}" annotation, node "{node}" can only create mirror pods'
    if spec.get("nodeName") != node:
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    return _owner_rejection(node, metadata.get("ownerReferences") or [], node_uid) or _reference_rejection(node, pod)


def _owner_rejection(node: str, owners: list[Json], node_uid: str | None) -> str:
    only = f'node "{node}" can only create pods with'
    if len(owners) > 1:
        return f"{only} a single owner reference set to itself"
    if not owners or (owners[0].get("apiVersion"), owners[0].get("kind"), owners[0].get("name")) != (
        "v1",
        "Node",
        node,
    ):
        return f"{only} an owner reference set to itself"
    if owners[0].get("controller") is not True:
        return f"{only} a controller owner reference set to itself"
    if owners[0].get("blockOwnerDeletion"):
        return f'node "{node}" must not set blockOwnerDeletion on an owner reference'
    uid = owners[0].get("uid")
    if node_uid is not None and uid != node_uid:
        return f"node {node} UID mismatch: expected {uid} got {node_uid}"
    return ""


def _reference_rejection(node: str, pod: Json) -> str:
    spec = pod["spec"]
    named = {reference.type for reference in config_references(pod)}
    projected = [
        source
        for volume in spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
    ]
    for what, found in (
        ("a service account", spec.get("serviceAccountName") or spec.get("serviceAccount")),
        ("secrets", SECRET in named),
        ("configmaps", CONFIGMAP in named),
        ("persistentvolumeclaims", CLAIM in named),
        ("service account tokens", any(source.get("serviceAccountToken") for source in projected)),
        ("clustertrustbundles", any(source.get("clusterTrustBundle") for source in projected)),
        ("pod certificates", any(source.get("podCertificate") for source in projected)),
        ("resourceclaims", spec.get("resourceClaims")),
    ):
        if found:
            return f'node "{node}" can not create pods that reference {what}'
    return ""


def pod_delete_rejection(node: str, bound_to: str) -> str:
    """Why not delete a pod that is bound to `bound_to`."""
    return "" if bound_to == node else f'node "{node}" can only delete pods with spec.nodeName set to itself'


def pod_eviction_rejection(node: str, bound_to: str) -> str:
    """Why not evict a pod that is bound to `bound_to`."""
    return "" if bound_to == node else f"node {node} can only evict pods with spec.nodeName set to itself"


@_of_any_shape
def pod_status_rejection(node: str, new: Json, old: Json) -> str:
    """Why not this change of a v1.Pod through its status."""
    if old["spec"].get("nodeName") != node:
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    meta, before = new["metadata"], old["metadata"]
    if (meta.get("labels") or {}) != (before.get("labels") or {}):
        return f'node "{node}" cannot update labels through pod status'
    if _claims(new) != _claims(old):
        return f'node "{node}" cannot update resource claim statues'
    if _mirror_of(meta) != _mirror_of(before) or _differs(meta, before, _LEFT_ALONE):
        return f'node "{node}" cannot update owners, finalizers or the mark of a mirror pod through pod status'
    return ""


def _claims(pod: Json) -> object:
    return (pod.get("status") or {}).get("resourceClaimStatuses") or []


def _mirror_of(metadata: Json) -> object:
    return (metadata.get("annotations") or {}).get(MIRROR_ANNOTATION)


def _differs(new: Json, old: Json, fields: Iterable[str]) -> bool:
    return any((new.get(field) or None) != (old.get(field) or None) for field in fields)


# --- nodes ------------------------------------------------------------------------------------------------------------


def node_name_rejection(node: str, name: str) -> str:
    """Why not write the Node `name`."""
    return "" if name == node else f'node "{node}" is not allowed to modify node "{name}"'


@_of_any_shape
def node_create_rejection(node: str, new: Json) -> str:
    """Why not register with this v1.Node."""
    if (new.get("spec") or {}).get("configSource") is not None:
        return f'node "{node}" is not allowed to create pods with a non-nil configSource'
    forbidden = forbidden_labels(changed_labels((new.get("metadata") or {}).get("labels") or {}, {}))
    return f'node "{node}" is not allowed to set the following labels: {", ".join(forbidden)}' if forbidden else ""


@_of_any_shape
def node_update_rejection(node: str, new: Json, old: Json) -> str:
    """Why not this change of its v1.Node, through its status or not."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    source = spec.get("configSource")
    if source is not None and source != before.get("configSource"):
        return f'node "{node}" is not allowed to update configSource to a new non-nil configSource'
    if (spec.get("taints") or []) != (before.get("taints") or []):
        return f'node "{node}" is not allowed to modify taints'
    if _differs(new["metadata"], old["metadata"], _LEFT_ALONE):
        return f'node "{node}" is not allowed to modify owners or finalizers'
    labels = changed_labels(new["metadata"].get("labels") or {}, old["metadata"].get("labels") or {})
    return label_rejection(labels)


def label_rejection(changed: Iterable[str]) -> str:
    """Why not change these labels of its v1.Node."""
    forbidden = forbidden_labels(changed)
    return f"is not allowed to modify labels: {', '.join(forbidden)}" if forbidden else ""


def changed_labels(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """The keys of the labels that one of both has and the other has not, or with another value; null is none.

    >>> changed_labels({"a": "1", "b": None}, {"a": "1", "b": "2"})
    ['b']
    """
    return sorted(key for key in {*new, *old} if new.get(key) != old.get(key))


def forbidden_labels(keys: Iterable[str]) -> list[str]:
    """Those of the labels that a node may not set, change or remove.

    >>> forbidden_labels(["zone", "kubernetes.io/os", "kubernetes.io/x", "a.node-restriction.kubernetes.io/b"])
    ['a.node-restriction.kubernetes.io/b', 'kubernetes.io/x']
    """
    return sorted(key for key in keys if not _is_free(key))


def _is_free(key: str) -> bool:
    domain = key.partition("/")[0] if "/" in key else ""
    if _within(domain, (_RESTRICTED_DOMAIN,)):
        return False
    return (
        not _within(domain, _LABEL_DOMAINS) or key in KUBELET_LABELS | EDGE_LABELS or _within(domain, _KUBELET_DOMAINS)
    )


def _within(domain: str, domains: Iterable[str]) -> bool:
    return any(domain == one or domain.endswith(f".{one}") for one in domains)


# --- other objects ----------------------------------------------------------------------------------------------------


@_of_any_shape
def token_rejection(node: str, namespace: str, account: str, request: Json, pods: PodLookup) -> str:
    """Why not this TokenRequest of a service account: a token is for a pod that the API bound to this node, and only its own account's."""
    bound = (request.get("spec") or {}).get("boundObjectRef") or {}
    name, uid = bound.get("name"), bound.get("uid")
    if (bound.get("apiVersion") or "v1") != "v1" or bound.get("kind") != "Pod" or not name:
        return "node requested token not bound to a pod"
    if not uid:
        return "node requested token with a pod binding without a uid"
    if pods.node_of(namespace, name) != node:
        return "node requested token bound to a pod scheduled on a different node"
    if pods.uid_of(namespace, name) != uid:
        return (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
    return "" if pods.service_account_of(namespace, name) == account else f"pod {name} does not run as it"


@_of_any_shape
def claim_status_rejection(node: str, new: Json, old: Json) -> str:
    """Why not this change of a v1.PersistentVolumeClaim through its status."""
    if _without_report(new) == _without_report(old):
        return ""
    return f'node "{node}" is not allowed to update fields other than status.capacity and status.conditions'


def _without_report(claim: Json) -> Json:
    status = {key: value for key, value in (claim.get("status") or {}).items() if key not in _CLAIM_STATUS}
    metadata = {key: value for key, value in claim["metadata"].items() if key not in _WRITTEN_BY_SERVER}
    return {**claim, "metadata": metadata, "status": status}


@_of_any_shape
def event_rejection(node: str, event: Json, pods: PodLookup) -> str:
    """Why not report this v1.Event: in the name of another node, or about a Node or a pod that is not its own."""
    host = (event.get("source") or {}).get("host")
    if host not in (None, "", node):
        return f"report an event in the name of {host}"
    about = event.get("involvedObject") or {}
    kind, name, namespace = about.get("kind"), str(about.get("name", "")), str(about.get("namespace") or "")
    foreign = (kind == "Node" and name != node) or (kind == "Pod" and pods.node_of(namespace, name) not in (None, node))
    return f"report an event about {kind} {name}, which is not its own" if foreign else ""


@_of_any_shape
def event_change_rejection(node: str, stored: Json) -> str:
    """Why not change this stored v1.Event: only what the node reported itself."""
    host = (stored.get("source") or {}).get("host")
    return "" if host == node else f"change event {stored['metadata'].get('name')}, which it did not report"
