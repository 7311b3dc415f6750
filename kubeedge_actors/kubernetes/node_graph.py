"""Which objects a node may read, by the pods bound to it (Kubernetes: plugin/pkg/auth/authorizer/node, Graph). Pure.

A mirror pod gives no right to anything: its node wrote it. Nor does any pod give a right to the Secrets and ConfigMaps
of KubeEdge's own namespace: the key of the CA is there.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple, Protocol

from kubeedge_actors.kubernetes.objects import is_mirror
from kubeedge_actors.kubernetes.pod_references import (
    CONFIGMAP,
    SECRET,
    ConfigReference,
    account_reference,
    config_references,
)

Json = dict[str, Any]

PRIVATE_NAMESPACE: Final = "kubeedge"
"""Whose Secrets and ConfigMaps no node may read."""


class PodLookup(Protocol):
    """What is known of pods that are bound to nodes; NodeGraph implements it."""

    def node_of(self, namespace: str, pod: str) -> str | None: ...
    def uid_of(self, namespace: str, pod: str) -> str: ...
    def service_account_of(self, namespace: str, pod: str) -> str | None: ...
    def node_uses(self, node: str, reference: ConfigReference) -> bool: ...


class _BoundPod(NamedTuple):
    node: str
    uid: str
    account: str
    references: frozenset[ConfigReference]


class NodeGraph:
    """The pods that are bound to nodes, and what they give their node a right to."""

    def __init__(self) -> None:
        self._pods: dict[tuple[str, str], _BoundPod] = {}
        self._users: dict[ConfigReference, dict[str, int]] = {}
        self._counts: Counter[str] = Counter()

    def put(self, pod: Json) -> frozenset[ConfigReference]:
        """A v1.Pod was added or changed; one without a node counts as deleted. Returns what its node may read for it."""
        self.remove(pod)
        node = str((pod.get("spec") or {}).get("nodeName") or "")
        if not node:
            return frozenset()
        bound = _bound(pod, node)
        self._pods[_key(pod)] = bound
        self._counts[node] += 1
        for reference in bound.references:
            users = self._users.setdefault(reference, {})
            users[node] = users.get(node, 0) + 1
        return bound.references

    def remove(self, pod: Json) -> None:
        """The pod is gone."""
        bound = self._pods.pop(_key(pod), None)
        if bound is None:
            return
        self._counts[bound.node] -= 1
        if not self._counts[bound.node]:
            del self._counts[bound.node]
        for reference in bound.references:
            users = self._users[reference]
            users[bound.node] -= 1
            if not users[bound.node]:
                del users[bound.node]
            if not users:
                del self._users[reference]

    def node_of(self, namespace: str, pod: str) -> str | None:
        """The node of a bound pod; None for a pod that is not known or not bound."""
        bound = self._pods.get((namespace, pod))
        return bound.node if bound is not None else None

    def uid_of(self, namespace: str, pod: str) -> str:
        """The uid of a bound pod; empty for one that is not known."""
        bound = self._pods.get((namespace, pod))
        return bound.uid if bound is not None else ""

    def service_account_of(self, namespace: str, pod: str) -> str | None:
        """The service account that a bound pod runs as; None for a mirror pod, which has none."""
        bound = self._pods.get((namespace, pod))
        return (bound.account or None) if bound is not None else None

    def node_uses(self, node: str, reference: ConfigReference) -> bool:
        """Whether a pod on this node gives it a right to this object now."""
        return node in self._users.get(reference, ())

    def pods_on(self, node: str) -> int:
        """How many pods are bound to this node."""
        return self._counts[node]

    def users_of(self, reference: ConfigReference) -> set[str]:
        """The nodes that may read this object now."""
        return set(self._users.get(reference, ()))


def is_private(reference: ConfigReference) -> bool:
    """Whether no node may ever read this object.

    >>> is_private(ConfigReference("secret", "kubeedge", "casecret"))
    True
    """
    return reference.namespace == PRIVATE_NAMESPACE and reference.type in (SECRET, CONFIGMAP)


def _bound(pod: Json, node: str) -> _BoundPod:
    uid = str(pod["metadata"].get("uid") or "")
    if is_mirror(pod):
        return _BoundPod(node, uid, "", frozenset())
    references = frozenset(reference for reference in config_references(pod) if not is_private(reference))
    return _BoundPod(node, uid, account_reference(pod).name, references)


def _key(pod: Json) -> tuple[str, str]:
    metadata = pod["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])
