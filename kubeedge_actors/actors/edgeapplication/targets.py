"""The targets of an EdgeApplication: what is added to a Deployment's name for each, on which nodes its pods run, and its overriders. Pure.

KubeEdge: overridemanager/nameoverrider.go and nodeselectoroverrider.go.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.actors.edgeapplication.images import OverriderError
from kubeedge_actors.actors.edgeapplication.overriders import apply_overriders, containers_of
from kubeedge_actors.kubernetes import well_known

Json = dict[str, Any]


class Target(NamedTuple):
    """One target. `node_labels`: that its nodes have; `requirements`: further node selector requirements, as in a node affinity; `error`: why it
    selects nothing.
    """

    suffix: str
    node_labels: Json
    requirements: list[Json]
    overriders: Json
    error: str = ""


def targets_of(scope: Json) -> Iterator[Target]:
    """The targets of a `workloadScope`: node groups first."""
    for group in scope.get("targetNodeGroups") or ():
        name = str(group["name"])
        yield Target(name, {well_known.BELONGING_TO: name}, [], group.get("overriders") or {})
    for at, entry in enumerate(scope.get("targetNodeLabels") or ()):
        selector, overriders = entry.get("labelSelector") or {}, entry.get("overriders") or {}
        labels, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
        required = [{"key": key, "operator": "In", "values": [value]} for key, value in sorted(labels.items())]
        error = "" if labels or expressions else f"targetNodeLabels[{at}] selects no label: that would be every node"
        yield Target(_label_suffix(labels, expressions), {}, [*required, *expressions], overriders, error)


def _label_suffix(labels: dict[str, str], expressions: list[Json]) -> str:
    """KubeEdge's for labels alone, so that what it has made is found again."""
    digest = hashlib.sha256("".join(key + labels[key] for key in sorted(labels)).encode())
    if expressions:
        digest.update(msgspec.json.encode(expressions, order="sorted"))
    return f"ls-{digest.hexdigest()[:8]}"


def deployment_for(target: Target, deployment: Json) -> Json:
    """The apps/v1 Deployment as this target has it; the argument stays as it is. Error: OverriderError."""
    if target.error:
        raise OverriderError(target.error)
    containers_of(deployment)
    changed = apply_overriders(deployment, target.overriders)
    pod = changed["spec"]["template"]["spec"]
    if target.node_labels:
        pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), **target.node_labels}
    if target.requirements:
        _require(pod, target.requirements)
    return changed


def _require(pod: Json, requirements: list[Json]) -> None:
    """Beside what the pod asks for itself: of its node selector terms one has to match, each with these."""
    affinity = pod.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    selector = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = selector.get("nodeSelectorTerms") or [{}]
    selector["nodeSelectorTerms"] = [
        {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), *copy.deepcopy(requirements)]}
        for term in terms
    ]
