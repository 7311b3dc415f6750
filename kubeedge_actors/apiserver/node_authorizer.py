"""The Node authorizer: which requests a node may make at all (Kubernetes: plugin/pkg/auth/authorizer/node); what it may write is
NodeRestriction's, in `node_admission.py`. The rules are those of `kubernetes/`, by which the hub judges too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.node_graph import NodeGraph, is_private
from kubeedge_actors.kubernetes.pod_references import CLAIM, CONFIGMAP, SECRET, ConfigReference, volume_references

from .auth import NODES, User
from .http_messages import Request
from .registry.selectors import split_terms
from .request_info import RequestInfo
from .storage.store import Store

Json = dict[str, Any]
NODE_USER = "system:node:"
DEVICES, STATUSES = "devices.kubeedge.io/devices", "devices.kubeedge.io/devicestatuses"
READ, WRITE = frozenset({"get", "list", "watch"}), frozenset({"update", "patch"})
ALLOWED = ""
NO_RULE = "no rule allows it"


def node_of_user(user: User) -> str | None:
    """The node that an administrator speaks for; empty when it is not said which, None for everybody else."""
    if not user.vouched or NODES not in user.groups:
        return None
    return user.name.removeprefix(NODE_USER) if user.name.startswith(NODE_USER) else ""


class StoredPods:
    """What the store knows of pods that are bound to nodes (a PodLookup), as it is now."""

    def __init__(self, store: Store, node: str) -> None:
        self._store, self._node = store, node

    @cached_property
    def _pods(self) -> list[Json]:
        """The pods of this node: all of the API are looked at, so only when they are asked for."""
        found = self._store.collection("pods").scan(None)
        return [entry.object() for entry in found if _bound_to(entry.fields) == self._node]

    @cached_property
    def _graph(self) -> NodeGraph:
        graph = NodeGraph()
        for pod in self._pods:
            graph.put(pod)
        return graph

    def node_of(self, namespace: str, pod: str) -> str | None:
        """The node of a bound pod."""
        entry = self._store.get("pods", namespace, pod)
        return (_bound_to(entry.fields) or None) if entry is not None else None

    def uid_of(self, namespace: str, pod: str) -> str:
        """The uid of a pod of this node."""
        return self._graph.uid_of(namespace, pod)

    def service_account_of(self, namespace: str, pod: str) -> str | None:
        """The service account of a pod of this node."""
        return self._graph.service_account_of(namespace, pod)

    def node_uses(self, node: str, reference: ConfigReference) -> bool:
        """Whether a pod on this node gives it a right to this object, by itself or by a volume of its claims."""
        if self._graph.node_uses(node, reference):
            return True
        return reference.type == SECRET and not is_private(reference) and self._in_volume(node, reference)

    def uses_volume(self, node: str, volume: Json) -> bool:
        """Whether a pod on this node uses the claim that the v1.PersistentVolume is bound to."""
        claim = (volume.get("spec") or {}).get("claimRef") or {}
        return self._graph.node_uses(node, ConfigReference(CLAIM, claim.get("namespace", ""), claim.get("name", "")))

    def runs_as(self, namespace: str, account: str) -> bool:
        """Whether a pod of this node runs as this service account."""
        names = [pod["metadata"]["name"] for pod in self._pods if pod["metadata"].get("namespace") == namespace]
        return any(self._graph.service_account_of(namespace, name) == account for name in names)

    def _in_volume(self, node: str, reference: ConfigReference) -> bool:
        volumes = [entry.object() for entry in self._store.collection("persistentvolumes").scan(None)]
        return any(reference in volume_references(volume) and self.uses_volume(node, volume) for volume in volumes)


def _bound_to(fields: Any) -> str:
    return str(fields.get("spec.nodeName", ""))


class NodeAuthorizer:
    """Judges requests of nodes against the objects in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules: dict[str, Callable[[str, RequestInfo, str, Request], str]] = {
            "/nodes": self._nodes,
            "/pods": self._pods,
            "/secrets": self._config,
            "/configmaps": self._config,
            "/persistentvolumeclaims": self._claims,
            "/persistentvolumes": self._volumes,
            "/serviceaccounts": self._accounts,
            "/services": self._services,
            "/events": self._events,
            "storage.k8s.io/volumeattachments": self._attachments,
            "coordination.k8s.io/leases": self._leases,
            DEVICES: self._devices,
            STATUSES: self._devices,
        }

    def rejection(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        """Why the node may not do this, in Kubernetes' words; empty when it may."""
        if not node:
            return f'unknown node for user "{request.user.name}"'
        rule = self._rules.get(f"{target.group}/{target.plural}")
        return rule(node, target, action, request) if rule is not None else NO_RULE

    def _nodes(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        if target.subresource in ("", "status") and action in (WRITE if target.subresource else WRITE | {"create"}):
            return ALLOWED  # whose it is, is seen at the admission
        if target.subresource or action not in READ:
            return NO_RULE
        name = _name(target, request)
        if name == node:
            return ALLOWED
        what = f"'{name}'" if name else "all nodes"
        return f"node '{node}' cannot read {what}, only its own Node object"

    def _pods(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        if (target.subresource, action) in {("", "create"), ("", "delete"), ("eviction", "create")}:
            return ALLOWED
        if target.subresource:
            return ALLOWED if target.subresource == "status" and action in WRITE else NO_RULE
        if action in ("list", "watch") and _selects(request, "spec.nodeName") == node:
            return ALLOWED
        name = _name(target, request)
        if action not in READ or not name:
            return "can only list/watch pods with spec.nodeName field selector"
        bound = StoredPods(self._store, node).node_of(target.namespace, name)
        return ALLOWED if bound == node else _unrelated(node)

    def _config(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        if action not in READ or target.subresource:
            return "can only read resources of this type"
        if not target.namespace:
            return "can only read namespaced object of this type"
        kind = SECRET if target.plural == "secrets" else CONFIGMAP
        return self._used(node, kind, target.namespace, _name(target, request))

    def _claims(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        if target.subresource == "status" and action not in WRITE:
            return "can only get/update/patch this type"
        if target.subresource != "status" and (action != "get" or target.subresource):
            return "can only get individual resources of this type"
        return self._used(node, CLAIM, target.namespace, target.name)

    def _used(self, node: str, kind: str, namespace: str, name: str) -> str:
        if not name:
            return "No Object name found"
        reference = ConfigReference(kind, namespace, name)
        return ALLOWED if StoredPods(self._store, node).node_uses(node, reference) else _unrelated(node)

    def _volumes(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        if action != "get" or target.subresource:
            return "can only get individual resources of this type"
        volume = self._object("persistentvolumes", "", target.name)
        return ALLOWED if StoredPods(self._store, node).uses_volume(node, volume) else _unrelated(node)

    def _attachments(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        if action != "get" or target.subresource:
            return "can only get individual resources of this type"
        attachment = self._object("storage.k8s.io/volumeattachments", "", target.name)
        return ALLOWED if (attachment.get("spec") or {}).get("nodeName") == node else _unrelated(node)

    def _accounts(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        if action != "create" or not target.name:
            return "can only create tokens for individual service accounts"
        if target.subresource != "token":
            return "can only create token subresource of serviceaccount"
        return ALLOWED if StoredPods(self._store, node).runs_as(target.namespace, target.name) else _unrelated(node)

    def _services(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        return ALLOWED if action in READ and not target.subresource else NO_RULE

    def _events(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        return ALLOWED if action in WRITE | {"create"} and not target.subresource else NO_RULE

    def _leases(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        if action not in WRITE | {"get", "create", "delete"} or target.subresource:
            return "can only get, create, update, patch, or delete a node lease"
        if target.namespace != well_known.LEASE_NAMESPACE:
            return f'can only access leases in the "{well_known.LEASE_NAMESPACE}" system namespace'
        if action != "create" and target.name != node:
            return "can only access node lease with the same name as the requesting node"
        return ALLOWED

    def _devices(self, node: str, target: RequestInfo, action: str, request: Request) -> str:
        """KubeEdge's: a node reports of the devices that are bound to it."""
        if action == "create" and f"{target.group}/{target.plural}" == STATUSES and not target.subresource:
            return ALLOWED
        if action not in WRITE | {"get"} or target.subresource not in ("", "status"):
            return NO_RULE
        return ALLOWED if device_node(self._store, target.namespace, target.name) == node else _unrelated(node)

    def _object(self, key: str, namespace: str, name: str) -> Json:
        entry = self._store.get(key, namespace, name)
        return entry.object() if entry is not None else {}


def device_node(store: Store, namespace: str, name: str) -> str:
    """The node of a Device; empty when there is none."""
    entry = store.get(DEVICES, namespace, name)
    return str((entry.object().get("spec") or {}).get("nodeName") or "") if entry is not None else ""


def _name(target: RequestInfo, request: Request) -> str:
    """The one object that a request is about, by its path or its field selector."""
    return target.name or _selects(request, "metadata.name")


def _selects(request: Request, field: str) -> str:
    """The value that the field selector demands of a field; empty when it demands none."""
    for term in split_terms(request.query.get("fieldSelector", "")):
        key, equals, value = term.partition("=")
        if key.strip() == field and equals and not value.startswith("!"):
            return value.removeprefix("=")
    return ""


def _unrelated(node: str) -> str:
    return f"no relationship found between node '{node}' and this object"
