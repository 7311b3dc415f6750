"""Node authorizer: a node may write what is its own and read what its pods use (Kubernetes:
plugin/pkg/auth/authorizer/node). Pure.

The rules are those of Kubernetes' node authoriser and NodeRestriction (`kubernetes/node_graph.py`,
`kubernetes/node_restriction.py`), as far as they concern what crosses the link. What a look at the known pods cannot decide (a
volume, a signing request) is decided once the object has been read: `authorize_object`; what a change makes of a stored
object, where it is written: `upstream.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubeedge_actors.actors.edgecontroller.signing_requests import forbidden_wish
from kubeedge_actors.kubernetes.node_graph import PodLookup
from kubeedge_actors.kubernetes.node_restriction import (
    event_rejection,
    node_create_rejection,
    pod_create_rejection,
    token_rejection,
)
from kubeedge_actors.kubernetes.object_types import BY_NAME, ReadableBy
from kubeedge_actors.kubernetes.pod_references import ConfigReference
from kubeedge_actors.kubernetes.service_environment import LIST_NAME
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    InsertPod,
    LinkMessage,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    ReportNodeStatus,
    ReportPodStatus,
    RequestCertificate,
    RequestToken,
    UpdateNode,
    WriteLease,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a request is rejected: a sentence."""

    sentence: str


def authorize(node: str, request: LinkMessage, pods: PodLookup) -> Rejection | None:
    """None when the node may make the request, else a Rejection. A request of an unknown type is refused."""
    rule = _RULES.get(type(request))
    if rule is None:
        return Rejection(f"node {node} may not say {type(request).__name__}")
    sentence = rule(node, request, pods)
    return Rejection(f"node {node} may not {sentence}") if sentence else None


def authorize_object(node: str, type: str, object: Json, pods: PodLookup) -> Rejection | None:
    """Authorize again with the object, for the types in READ_FIRST."""
    spec, metadata = object.get("spec") or {}, object["metadata"]
    if type == constants.PERSISTENTVOLUME:
        claim = spec.get("claimRef") or {}
        reference = ConfigReference(constants.PERSISTENTVOLUMECLAIM, claim.get("namespace", ""), claim.get("name", ""))
        allowed = pods.node_uses(node, reference)
    elif type == constants.VOLUMEATTACHMENT:
        allowed = spec.get("nodeName") == node
    else:
        allowed = (metadata.get("annotations") or {}).get(constants.NODE_ANNOTATION) == node
    return None if allowed else Rejection(f"node {node} may not read {type} {metadata['name']}: it is not its own")


def _own_name(node: str, request: Any, lookup: PodLookup) -> str:
    return "" if request.name == node else f"speak for node {request.name}"


def _own_object(node: str, request: Any, lookup: PodLookup) -> str:
    metadata = request.object.get("metadata")
    named = (metadata.get("name") or node) if isinstance(metadata, dict) else node
    return _own_name(node, request, lookup) or ("" if named == node else f"write an object of the name {named}")


def _pod(node: str, request: Any, lookup: PodLookup) -> str:
    bound = lookup.node_of(request.namespace, request.name)
    # a pod that is not known is left to the API, which does not know it either or will be asked whose it is
    return "" if bound in (None, node) else f"touch pod {request.namespace}/{request.name}, which is not its own"


def _pods(node: str, request: ReportPodStatus, lookup: PodLookup) -> str:
    if request.name:
        return _pod(node, request, lookup)
    for entry in request.content:
        name = str(entry.get("Name", "")) if isinstance(entry, dict) else ""
        if lookup.node_of(request.namespace, name) not in (None, node):
            return f"touch pod {request.namespace}/{name}, which is not its own"
    return ""


def _register(node: str, request: RegisterNode, lookup: PodLookup) -> str:
    return _own_object(node, request, lookup) or _because("register", node_create_rejection(node, request.object))


def _node_status(node: str, request: ReportNodeStatus, lookup: PodLookup) -> str:
    object = request.content if request.operation == constants.INSERT else {}
    return _own_name(node, request, lookup) or _because("register", node_create_rejection(node, object))


def _mirror(node: str, request: InsertPod, lookup: PodLookup) -> str:
    action = f"create pod {request.namespace}/{request.name}"
    sentence = pod_create_rejection(node, request.object)
    if not sentence and request.object["metadata"].get("name", request.name) != request.name:
        sentence = "it has another name"
    return _because(action, sentence)


def _because(action: str, sentence: str) -> str:
    return f"{action}: {sentence}" if sentence else ""


def _query(node: str, request: QueryObject, lookup: PodLookup) -> str:
    action = f"read {request.type} {request.namespace}/{request.name}"
    if request.type == constants.SERVICELIST:
        return "" if request.name == LIST_NAME else action  # Kubernetes lets every node list Services
    if not request.name:
        return f"list {request.type}"
    readable = BY_NAME[request.type].readable if request.type in BY_NAME else ReadableBy.NOWHERE
    if readable is ReadableBy.BY_CONTENT:
        return ""  # whose it is shows when it has been read
    if readable is ReadableBy.ITSELF:
        return "" if request.name == node else action
    if readable is ReadableBy.BOUND:
        return "" if lookup.node_of(request.namespace, request.name) == node else action
    reference = ConfigReference(request.type, request.namespace, request.name)
    if readable is ReadableBy.USED and lookup.node_uses(node, reference):
        return ""
    return f"{action}: no pod on it uses that"


def _token(node: str, request: RequestToken, lookup: PodLookup) -> str:
    action = f"have a token of {request.namespace}/{request.name}"
    return _because(action, token_rejection(node, request.namespace, request.name, request.object, lookup))


def _certificate(node: str, request: RequestCertificate, lookup: PodLookup) -> str:
    return forbidden_wish(node, request.object.get("spec"))


def _event(node: str, request: ReportEvent, lookup: PodLookup) -> str:
    content = request.content.get("event") if request.operation == constants.PATCH else request.content
    return event_rejection(node, content or {}, lookup)


_RULES: dict[type[LinkMessage], Callable[[str, Any, PodLookup], str]] = {
    RegisterNode: _register,
    UpdateNode: _own_object,
    PatchNode: _own_name,
    ReportNodeStatus: _node_status,
    QueryLease: _own_name,
    WriteLease: _own_object,
    InsertPod: _mirror,
    PatchPod: _pod,
    ReportPodStatus: _pods,
    DeletePod: _pod,
    QueryObject: _query,
    RequestToken: _token,
    RequestCertificate: _certificate,
    ReportEvent: _event,
}
