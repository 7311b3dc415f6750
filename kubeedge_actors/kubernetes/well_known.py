"""Well-known labels and namespaces, of Kubernetes and of KubeEdge in a cluster; which labels a node sets itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

LEASE_NAMESPACE: Final = "kube-node-lease"
SYSTEM_NAMESPACE: Final = "kubeedge"
"""KubeEdge's own: the key of the CA and the token are Secrets of it."""
EDGE_LABEL: Final = "node-role.kubernetes.io/edge"
AGENT_LABEL: Final = "node-role.kubernetes.io/agent"
BELONGING_TO: Final = "apps.kubeedge.io/belonging-to"
"""On a node: the NodeGroup that it is in."""
ZONE_LABEL: Final = "topology.kubernetes.io/zone"
KUBELET_LABELS: Final = frozenset(
    {"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os"}
    | {"beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"}
    | {ZONE_LABEL, "topology.kubernetes.io/region"}
    | {"failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"}
)
"""Labels of Kubernetes' own domains that a kubelet may give its Node."""
EDGE_LABELS: Final = frozenset({EDGE_LABEL, AGENT_LABEL})
"""Labels with which every edgecore registers. Kubernetes refuses them to kubelets; a genuine cloudcore writes them for its nodes."""
_LABEL_DOMAINS = ("kubernetes.io", "k8s.io")
_RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


def is_node_label(key: str) -> bool:
    """Whether a node may set, change and remove this label of its own Node (Kubernetes: NodeRestriction; and ours: the label that draws the workloads of
    a NodeGroup is the controller's).

    >>> is_node_label("zone"), is_node_label("kubernetes.io/os"), is_node_label("node-restriction.kubernetes.io/tenant")
    (True, True, False)
    >>> is_node_label("apps.kubeedge.io/belonging-to")
    False
    """
    if key == BELONGING_TO:
        return False
    domain = key.partition("/")[0] if "/" in key else ""
    if _within(domain, (_RESTRICTED_DOMAIN,)):
        return False
    return (
        not _within(domain, _LABEL_DOMAINS) or key in KUBELET_LABELS | EDGE_LABELS or _within(domain, _KUBELET_DOMAINS)
    )


def _within(domain: str, domains: Iterable[str]) -> bool:
    return any(domain == one or domain.endswith(f".{one}") for one in domains)
