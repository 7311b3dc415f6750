"""What a pod asks of its node, read once from its spec, and whether a node's labels and ports grant it (source: Kubernetes
component-helpers, scheduler plugins NodeAffinity and NodePorts). Pure.

Amounts are whole numbers, as in Kubernetes: thousandths of a CPU, bytes, pieces; a fraction counts as the next whole one.
Errors of the readers: ValueError, TypeError, KeyError or AttributeError for an object of a strange shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.kubernetes.quantity import rounded_up_quantity
from kubeedge_actors.kubernetes.taints import Toleration

Json = dict[str, Any]

PODS = "pods"
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})
NAME_FIELD = "metadata.name"


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


def pod_requirements(spec: Json) -> PodRequirements:
    """All that a pod spec asks of its node."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return PodRequirements(
        amounts=_requests(spec),
        ports=_ports(spec),
        selector=tuple(sorted((spec.get("nodeSelector") or {}).items())),
        terms=None if required is None else tuple(_term(term) for term in required.get("nodeSelectorTerms") or ()),
        tolerations=tuple(Toleration.of(toleration) for toleration in spec.get("tolerations") or ()),
    )


def occupied_room(spec: Json) -> PodRequirements:
    """What a pod that is on a node takes of it: amounts and ports."""
    return PodRequirements(_requests(spec), _ports(spec))


def matches_selector(needs: PodRequirements, name: str, labels: Mapping[str, str]) -> bool:
    """Whether the node of that name has the labels of the node selector and fits one term of the required affinity."""
    if any(labels.get(key) != value for key, value in needs.selector):
        return False
    # a term without expressions fits no node, as does an affinity without terms (source: Kubernetes' NodeSelectorTerm)
    return needs.terms is None or any(
        term and all(_matches(requirement, name, labels) for requirement in term) for term in needs.terms
    )


def _matches(requirement: Requirement, name: str, labels: Mapping[str, str]) -> bool:
    """Whether one expression is true of a node; one that makes no sense is true of none."""
    if requirement.field:
        value = name if requirement.key == NAME_FIELD else None
        return value is not None and requirement.operator in ("In", "NotIn") and _matches_value(requirement, value)
    return _matches_value(requirement, labels.get(requirement.key))


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


def ports_conflict(ports: Iterable[HostPort], taken: Iterable[HostPort]) -> bool:
    """Whether one of the ports is taken."""
    used = tuple(taken)
    return any(_conflict(port, other) for port in ports for other in used)


def _conflict(port: HostPort, other: HostPort) -> bool:
    same_address = port.address == other.address or not port.address or not other.address
    return same_address and port.protocol == other.protocol and port.number == other.number


# --- parts of a spec -------------------------------------------------------------------------------------------------


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
