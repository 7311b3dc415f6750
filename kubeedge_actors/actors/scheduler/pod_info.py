"""What scheduling needs of a Pod and of a Node, read once from their objects (kube-scheduler: PodInfo). Pure.

Amounts are whole numbers, as in Kubernetes: thousandths of a CPU, bytes, pieces; a fraction counts as the next whole one.
Errors of every reader here: ValueError, TypeError, KeyError or AttributeError for an object of a strange shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.kubernetes.objects import get_condition
from kubeedge_actors.kubernetes.quantity import rounded_up_quantity
from kubeedge_actors.kubernetes.taints import Taint, Toleration

Json = dict[str, Any]

SCHEDULER_NAME = "default-scheduler"
MEMORY, PODS = "memory", "pods"
SCHEDULED = "PodScheduled"
TERMINAL = frozenset({"Succeeded", "Failed"})
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})


class Requirement(NamedTuple):
    """One expression of a node selector; `field`: about the node's name, not its labels."""

    key: str
    operator: str
    values: tuple[str, ...]
    field: bool


class HostPort(NamedTuple):
    """A port of the node itself; an empty address is all of them."""

    address: str
    protocol: str
    number: int


class PodRequirements(msgspec.Struct, frozen=True):
    """What a pod asks of its node. `terms`: one of them has to hold, None when it asks for none."""

    amounts: tuple[tuple[str, int], ...] = ()
    ports: tuple[HostPort, ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[tuple[Requirement, ...], ...] | None = None
    tolerations: tuple[Toleration, ...] = ()


class PodInfo(msgspec.Struct, frozen=True):
    """A pod that waits for a node (`node` is empty) or takes up room on one; of the latter only amounts and ports are kept."""

    namespace: str
    name: str
    uid: str
    node: str
    requirements: PodRequirements
    priority: int = 0
    created: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    def bound_to(self, node: str) -> PodInfo:
        """The same pod on a node."""
        return PodInfo(
            self.namespace,
            self.name,
            self.uid,
            node,
            PodRequirements(self.requirements.amounts, self.requirements.ports),
        )


class NodeSpec(msgspec.Struct, frozen=True):
    """A node and what it has to give."""

    name: str
    ready: bool
    unschedulable: bool
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    allocatable: dict[str, int]


def parse_pod(pod: Json) -> PodInfo | None:
    """The PodInfo of a v1.Pod that waits for this scheduler or takes up room; None for one that does neither."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    if (pod.get("status") or {}).get("phase") in TERMINAL:
        return None
    namespace, name, uid = str(metadata.get("namespace", "")), str(metadata["name"]), str(metadata.get("uid", ""))
    if node := spec.get("nodeName"):
        return PodInfo(namespace, name, uid, str(node), PodRequirements(_requests(spec), _ports(spec)))
    foreign = spec.get("schedulerName", SCHEDULER_NAME) != SCHEDULER_NAME
    if foreign or metadata.get("deletionTimestamp") or spec.get("schedulingGates"):
        return None
    created = str(metadata.get("creationTimestamp") or "")
    return PodInfo(namespace, name, uid, "", _requirements(spec), int(spec.get("priority") or 0), created)


def parse_node(node: Json) -> NodeSpec:
    """The NodeSpec of a v1.Node."""
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    ready = get_condition(node, "Ready").get("status") == "True"
    taints = tuple(Taint.of(taint) for taint in spec.get("taints") or ())
    allocatable = {name: rounded_up_quantity(name, text) for name, text in (status.get("allocatable") or {}).items()}
    labels = dict(metadata.get("labels") or {})
    return NodeSpec(str(metadata["name"]), ready, bool(spec.get("unschedulable")), labels, taints, allocatable)


def current_fit_error(pod: Json) -> str:
    """The message of a v1.Pod's PodScheduled condition; empty for none."""
    scheduled = get_condition(pod, SCHEDULED)
    return str(scheduled.get("message") or "") if scheduled.get("status") == "False" else ""


# --- parts of a pod ---------------------------------------------------------------------------------------------------


def _requirements(spec: Json) -> PodRequirements:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return PodRequirements(
        amounts=_requests(spec),
        ports=_ports(spec),
        selector=tuple(sorted((spec.get("nodeSelector") or {}).items())),
        terms=None if required is None else tuple(_term(term) for term in required.get("nodeSelectorTerms") or ()),
        tolerations=tuple(Toleration.of(toleration) for toleration in spec.get("tolerations") or ()),
    )


def _term(term: Json) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(expression["key"], expression["operator"], tuple(expression.get("values") or ()), field)
        for name, field in (("matchExpressions", False), ("matchFields", True))
        for expression in term.get(name) or ()
    )


def _requests(spec: Json) -> tuple[tuple[str, int], ...]:
    """What all containers need together, or one of the init containers beside the sidecars before it, if that is more.

    Source: Kubernetes component-helpers/resource/helpers.go.
    """
    together = _total(_request(container) for container in spec.get("containers") or ())
    sidecars: dict[str, int] = {}
    highest: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _request(container)
        if container.get("restartPolicy") == "Always":
            sidecars = _total((sidecars, own))
            requests = sidecars
        else:
            requests = _total((sidecars, own))
        highest = {name: max(highest.get(name, 0), requests.get(name, 0)) for name in highest | requests}
    together = _total((together, sidecars))
    peak = {name: max(together.get(name, 0), highest.get(name, 0)) for name in together | highest}
    overhead = {name: rounded_up_quantity(name, text) for name, text in (spec.get("overhead") or {}).items()}
    total = _total((peak, overhead, {PODS: 1}))
    return tuple(sorted((name, number) for name, number in total.items() if number > 0))


def _request(container: Json) -> dict[str, int]:
    resources = container.get("resources") or {}
    named = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: rounded_up_quantity(name, text) for name, text in named.items()}


def _total(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return total


def _ports(spec: Json) -> tuple[HostPort, ...]:
    return tuple(sorted(set(_host_ports(spec))))


def _host_ports(spec: Json) -> Iterator[HostPort]:
    sidecars = [
        container for container in spec.get("initContainers") or () if container.get("restartPolicy") == "Always"
    ]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if spec.get("hostNetwork") else 0)
            if number:
                address = str(port.get("hostIP") or "")
                protocol = str(port.get("protocol") or "TCP")
                yield HostPort("" if address in ANY_ADDRESS else address, protocol, int(number))
