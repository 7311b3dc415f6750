"""Deployments, replica sets, daemon sets and stateful sets: defaults and validation of the API objects."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import FieldError, Json, forbidden_field, invalid_value, required, unsupported_value
from ..registry.selectors import Requirement
from . import validation
from .pods import default_pod_spec, validate_pod_spec
from .strategy import ErrorList, Strategy

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
SET_MAY_CHANGE_ORDER = (
    *("replicas", "ordinals", "template", "updateStrategy"),
    *("revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)
SET_MAY_CHANGE = frozenset(SET_MAY_CHANGE_ORDER)
NO_CLAIMS = (
    "nobody here would bind the claims to volumes; a hostPath in the template keeps what a pod writes at its node"
)
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


def default_stateful_set(body: Json) -> None:
    """Defaults of a stateful set."""
    spec = default_template(body)
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for when in ("whenDeleted", "whenScaled"):
        policy.setdefault(when, "Retain")


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


def prepare_stateful_set(body: Json) -> None:
    """At creation: no replicas yet."""
    body["status"] = {"replicas": 0, "availableReplicas": 0}


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


def validate_stateful_set(body: Json) -> ErrorList:
    """Complaints about a stateful set."""
    spec, errors = body["spec"], list(workload_errors(body))
    if spec.get("volumeClaimTemplates"):
        errors.append(forbidden_field("spec.volumeClaimTemplates", NO_CLAIMS))
    for field, value, allowed in (
        ("spec.podManagementPolicy", spec["podManagementPolicy"], ("OrderedReady", "Parallel")),
        ("spec.updateStrategy.type", spec["updateStrategy"]["type"], ("OnDelete", "RollingUpdate")),
    ):
        if value not in allowed:
            errors.append(unsupported_value(field, value, allowed))
    for field, number in (
        ("spec.ordinals.start", spec.get("ordinals", {}).get("start", 0)),
        (
            "spec.updateStrategy.rollingUpdate.partition",
            spec["updateStrategy"].get("rollingUpdate", {}).get("partition", 0),
        ),
    ):
        if number < 0:
            errors.append(invalid_value(field, number, "must be greater than or equal to 0"))
    return errors


def validate_stateful_set_update(new: Json, old: Json) -> ErrorList:
    """Most of the spec stays."""
    before, after = ({key: spec[key] for key in spec.keys() - SET_MAY_CHANGE} for spec in (old["spec"], new["spec"]))
    names = ", ".join(f"'{name}'" for name in SET_MAY_CHANGE_ORDER[:-1])
    text = f"updates to statefulset spec for fields other than {names} and '{SET_MAY_CHANGE_ORDER[-1]}' are forbidden"
    return [] if before == after else [forbidden_field("spec", text)]


DEPLOYMENTS = Strategy(prepare_workload, default_deployment, validate_workload, validate_workload_update)
REPLICA_SETS = Strategy(prepare_replica_set, default_replica_set, validate_workload, validate_workload_update)
DAEMON_SETS = Strategy(prepare_daemon_set, default_daemon_set, validate_workload, validate_workload_update)
STATEFUL_SETS = Strategy(
    prepare_stateful_set, default_stateful_set, validate_stateful_set, validate_stateful_set_update
)
