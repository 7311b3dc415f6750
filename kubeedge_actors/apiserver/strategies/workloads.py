"""Deployments, replica sets and daemon sets: defaults and validation of the API objects."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import FieldError, Json, invalid_value, required
from ..registry.selectors import Requirement
from . import validation
from .pods import default_pod_spec, validate_pod_spec
from .strategy import ErrorList, Strategy

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


def selector_requirements(selector: Json) -> list[Requirement]:
    """The terms of a LabelSelector object."""
    terms = [Requirement(key, "=", frozenset({value})) for key, value in selector.get("matchLabels", {}).items()]
    for term in selector.get("matchExpressions", ()):
        op = OPERATORS.get(term.get("operator", ""), "in")
        terms.append(Requirement(term.get("key", ""), op, frozenset(term.get("values", ()))))
    return terms


def selector_text(selector: Json) -> str:
    """A LabelSelector as text: `app=d,tier in (a,b)`."""
    parts = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    for term in sorted(selector.get("matchExpressions", ()), key=lambda expression: str(expression.get("key"))):
        key, op = term.get("key", ""), OPERATORS.get(term.get("operator", ""), "in")
        values = ",".join(sorted(term.get("values", ())))
        parts.append({"exists": key, "absent": f"!{key}"}.get(op, f"{key} {op} ({values})"))
    return ",".join(parts)


def default_template(body: Json) -> Json:
    """Defaults of the pod template; answers the spec."""
    spec: Json = body.setdefault("spec", {})
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))
    return spec


def default_rolling_update(strategy: Json, unavailable: object, surge: object) -> None:
    """Defaults of a rolling update."""
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        update = strategy.setdefault("rollingUpdate", {})
        update.setdefault("maxUnavailable", unavailable)
        update.setdefault("maxSurge", surge)


def default_deployment(body: Json) -> None:
    """Defaults of a deployment."""
    spec = default_template(body)
    spec.setdefault("replicas", 1)
    default_rolling_update(spec.setdefault("strategy", {}), "25%", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)


def default_replica_set(body: Json) -> None:
    """Defaults of a replica set."""
    default_template(body).setdefault("replicas", 1)


def default_daemon_set(body: Json) -> None:
    """Defaults of a daemon set."""
    spec = default_template(body)
    default_rolling_update(spec.setdefault("updateStrategy", {}), 1, 0)
    spec.setdefault("revisionHistoryLimit", 10)


def prepare_workload(body: Json) -> None:
    """At creation: an empty status."""
    body["status"] = {}


def prepare_replica_set(body: Json) -> None:
    """At creation: no replicas yet."""
    body["status"] = {"replicas": 0}


def prepare_daemon_set(body: Json) -> None:
    """At creation: the counters are zero, and the template has its first generation."""
    counters = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    body["status"] = dict.fromkeys(counters, 0)
    body["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = "1"


def workload_errors(body: Json) -> Iterator[FieldError]:
    """What is wrong with a workload."""
    spec = body["spec"]
    replicas = spec.get("replicas", 0)
    if replicas < 0:
        yield invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
    selector, template = spec.get("selector", {}), spec["template"]
    labels = template["metadata"].get("labels", {})
    terms = selector_requirements(selector)
    if "selector" not in spec:
        yield required("spec.selector")
    elif not terms:
        yield invalid_value("spec.selector", selector, "empty selector is invalid for deployment")
    if not all(term.fits(labels) for term in terms) or "selector" not in spec:
        yield invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from validation.label_errors("spec.template.metadata.labels", labels)
    yield from validate_pod_spec(template["spec"], "spec.template.spec", ("Always",))


def validate_workload(body: Json) -> ErrorList:
    """Complaints about a workload."""
    return list(workload_errors(body))


def validate_workload_update(new: Json, old: Json) -> ErrorList:
    """The selector stays."""
    if new["spec"].get("selector") == old["spec"].get("selector"):
        return ()
    return [invalid_value("spec.selector", new["spec"].get("selector"), "field is immutable")]


DEPLOYMENTS = Strategy(prepare_workload, default_deployment, validate_workload, validate_workload_update)
REPLICA_SETS = Strategy(prepare_replica_set, default_replica_set, validate_workload, validate_workload_update)
DAEMON_SETS = Strategy(prepare_daemon_set, default_daemon_set, validate_workload, validate_workload_update)
