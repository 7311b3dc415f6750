"""Filter plugins apart from resources: why a pod may not run on a node, in kube-scheduler's words. Pure."""

from __future__ import annotations

from kubeedge_actors.actors.scheduler.pod_info import NodeSpec, PodRequirements, Requirement
from kubeedge_actors.kubernetes.taints import REPELLING, Taint, is_tolerated

UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
"""What a cordoned node means, for pods that bear it."""
NAME_FIELD = "metadata.name"


def filter_error(requirements: PodRequirements, node: NodeSpec) -> str:
    """Why the pod may not run there; empty when it may."""
    if node.unschedulable and not is_tolerated(UNSCHEDULABLE, requirements.tolerations):
        return "node(s) were unschedulable"
    for taint in node.taints:
        if taint.effect in REPELLING and not is_tolerated(taint, requirements.tolerations):
            return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
    if not matches_selector(requirements, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return "" if node.ready else "node(s) were not ready"


def matches_selector(needs: PodRequirements, node: NodeSpec) -> bool:
    """Whether the node has the labels of the node selector and fits one term of the required affinity."""
    if any(node.labels.get(key) != value for key, value in needs.selector):
        return False
    # a term without expressions fits no node, as does an affinity without terms (source: Kubernetes' NodeSelectorTerm)
    return needs.terms is None or any(
        term and all(matches_requirement(requirement, node) for requirement in term) for term in needs.terms
    )


def matches_requirement(requirement: Requirement, node: NodeSpec) -> bool:
    """Whether one expression is true of a node; one that makes no sense is true of none."""
    if requirement.field:
        value = node.name if requirement.key == NAME_FIELD else None
        return value is not None and requirement.operator in ("In", "NotIn") and _matches_value(requirement, value)
    return _matches_value(requirement, node.labels.get(requirement.key))


def _matches_value(requirement: Requirement, value: str | None) -> bool:
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(requirement, value)
    return False


def _compares(requirement: Requirement, value: str | None) -> bool:
    if value is None or len(requirement.values) != 1:
        return False
    try:
        own, bound = int(value), int(requirement.values[0])
    except ValueError:
        return False
    return own > bound if requirement.operator == "Gt" else own < bound
