"""Which nodes a job means, and which of them can not be had (source: KubeEdge controllermanager/nodetask/node_verify.go). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeedge_actors.actors.taskmanager.job_spec import InvalidJob, JobSpec
from kubeedge_actors.kubernetes.objects import get_condition

Json = dict[str, Any]

NOT_THERE = "there is no edge node of this name"
NOT_READY = "the node is not ready"


def selected_nodes(spec: JobSpec, nodes: Mapping[str, Json]) -> dict[str, str]:
    """Each node that is meant, with why it can not be had (empty: it can). `nodes`: the edge nodes (v1.Node), by name. Error: InvalidJob."""
    if spec.selector is None:
        return {name: _fault(nodes.get(name)) for name in spec.node_names}
    chosen = {name: _fault(node) for name, node in sorted(nodes.items()) if matches(spec.selector, _labels(node))}
    if not chosen:
        raise InvalidJob("no edge node has the labels of labelSelector")
    return chosen


def matches(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether labels match a metav1.LabelSelector; an empty one matches all. Error: InvalidJob.

    >>> matches({"matchLabels": {"a": "1"}}, {"a": "1"}), matches({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "1"})
    (True, False)
    """
    wanted = selector.get("matchLabels") or {}
    rules = selector.get("matchExpressions") or []
    if not isinstance(wanted, dict) or not isinstance(rules, list):
        raise InvalidJob("labelSelector has another shape than a selector of labels")
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(rule, labels) for rule in rules
    )


def _holds(rule: Any, labels: Mapping[str, str]) -> bool:
    key, operator = (str(rule.get(field, "")) for field in ("key", "operator")) if isinstance(rule, dict) else ("", "")
    value, values = labels.get(key), (rule.get("values") or []) if isinstance(rule, dict) else []
    answers = {
        "In": value is not None and value in values,
        "NotIn": value is None or value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    if not key or operator not in answers:
        raise InvalidJob(f"labelSelector: {operator[:100]!r} is no operator of a selector")
    return answers[operator]


def _labels(node: Json) -> Json:
    return dict(node["metadata"].get("labels") or {})


def _fault(node: Json | None) -> str:
    if node is None:
        return NOT_THERE
    return "" if get_condition(node, "Ready").get("status") == "True" else NOT_READY
