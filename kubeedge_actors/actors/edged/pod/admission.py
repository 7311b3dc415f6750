"""Which pods this node takes (source: kubelet lifecycle/predicate.go, canAdmitPod, rejectPod): room, host ports, node affinity,
taints. Pure.

A pod that was admitted once is not judged again. What a rejected one asked for is nobody's; what an admitted one asked for is free when
its last container has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from kubeedge_actors.actors.edged.pod.pod_manager import PodManager
from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.status.node_status import NodeDescription, allocatable, node_labels
from kubeedge_actors.kubernetes.objects import MALFORMED
from kubeedge_actors.kubernetes.pod_requirements import (
    PODS,
    PodRequirements,
    matches_selector,
    occupied_room,
    pod_requirements,
    ports_conflict,
)
from kubeedge_actors.kubernetes.quantity import CPU, rounded_up_quantity
from kubeedge_actors.kubernetes.taints import NO_EXECUTE, Taint, is_tolerated

ORDER = (PODS, CPU, "memory", "ephemeral-storage")
"""The first of these that is short is the reason; then any other."""


class NodeOffer(NamedTuple):
    """What the node has for pods: amounts as in PodRequirements."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Mapping[str, int]


def node_offer(node: Json, description: NodeDescription) -> NodeOffer:
    """What a node has by its own measure; its labels and taints as the cluster last said (`node`: its v1.Node, or nothing yet)."""
    labels = {**node_labels(description), **((node.get("metadata") or {}).get("labels") or {})}
    taints = tuple(Taint.of(taint) for taint in (node.get("spec") or {}).get("taints") or ())
    room = {name: rounded_up_quantity(name, text) for name, text in allocatable(description.host).items()}
    return NodeOffer(description.name, labels, taints, room)


class AdmissionError(NamedTuple):
    """Why a pod is rejected, as a kubelet says it. `by_node_object`: the Node's labels or taints say so, which may have changed."""

    reason: str
    message: str
    by_node_object: bool = False


def admission_error(
    spec: Json, node: NodeOffer, others: Iterable[PodRequirements], *, static: bool
) -> AdmissionError | None:
    """Why a pod of this spec is rejected beside `others`; None when it may run. Errors: those of pod_requirements."""
    needs, taken = pod_requirements(spec), list(others)
    if (short := _insufficient(needs, node, taken)) is not None:
        return short
    if not matches_selector(needs, node.name, node.labels):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector", by_node_object=True)
    if ports_conflict(needs.ports, [port for other in taken for port in other.ports]):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    repelling = [taint for taint in node.taints if taint.effect == NO_EXECUTE]
    if not static and not all(is_tolerated(taint, needs.tolerations) for taint in repelling):
        return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate", by_node_object=True)
    return None


def _predicate(name: str, words: str, *, by_node_object: bool = False) -> AdmissionError:
    return AdmissionError(name, f"Predicate {name} failed: {words}", by_node_object)


def _insufficient(needs: PodRequirements, node: NodeOffer, others: list[PodRequirements]) -> AdmissionError | None:
    amounts = dict(needs.amounts)
    for resource in sorted(amounts, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)):
        if _is_extended(resource) and resource not in node.allocatable:
            continue  # a resource of the cluster, of which a node knows nothing
        used = sum(dict(other.amounts).get(resource, 0) for other in others)
        capacity = node.allocatable.get(resource, 0)
        if amounts[resource] > capacity - used:
            text = f"requested: {amounts[resource]}, used: {used}, capacity: {capacity}"
            return AdmissionError(f"OutOf{resource}", f"Node didn't have enough resource: {resource}, {text}")
    return None


def _is_extended(resource: str) -> bool:
    """Whether it is of a domain that is not Kubernetes' own."""
    return "/" in resource and not resource.partition("/")[0].endswith("kubernetes.io")


class PodAdmission:
    """Admits the pods of one node. `offer`: what it has; `fetch_node`: ask for the Node as the cloud has it, after which
    `settle_waiting` is called; `on_rejected`: told of a pod that is rejected, with reason and message.
    """

    def __init__(
        self,
        pods: PodManager,
        offer: Callable[[], NodeOffer],
        fetch_node: Callable[[], None],
        on_rejected: Callable[[PodState, str, str], None],
    ) -> None:
        self._pods, self._offer = pods, offer
        self._fetch_node, self._on_rejected = fetch_node, on_rejected

    def in_order(self) -> list[PodState]:
        """All pods in the order in which they are judged: static ones, those that were admitted before, then by age."""
        return sorted(
            self._pods,
            key=lambda pod: (
                not pod.static,
                not _was_admitted(pod),
                str(pod.view.metadata.get("creationTimestamp") or ""),
            ),
        )

    def is_settled(self, pod_state: PodState) -> bool:
        """Whether the pod is admitted or rejected, which is decided now; False while the Node has to be asked for first."""
        if pod_state.is_admitted or pod_state.runtime.is_rejected:
            return True
        if pod_state.waits_for_node:
            return False
        return self._settle(pod_state, node_is_fresh=False)

    def settle_waiting(self) -> list[PodState]:
        """The Node is known as it is now: decide about the pods that wait for it; returns them."""
        waiting = [pod_state for pod_state in self._pods if pod_state.waits_for_node]
        for pod_state in waiting:
            pod_state.waits_for_node = False
            self._settle(pod_state, node_is_fresh=True)
        return waiting

    def _settle(self, pod_state: PodState, *, node_is_fresh: bool) -> bool:
        error = None if _was_admitted(pod_state) else self._error(pod_state)
        if error is None:
            pod_state.is_admitted = True
        elif error.by_node_object and not node_is_fresh:
            pod_state.waits_for_node = True
            self._fetch_node()
        else:
            pod_state.runtime.on_rejected(error.reason, f"Pod was rejected: {error.message}")
            self._on_rejected(pod_state, error.reason, error.message)
        return not pod_state.waits_for_node

    def _error(self, pod_state: PodState) -> AdmissionError | None:
        others = (_room(other) for other in self._pods if other is not pod_state and _occupies_room(other))
        try:
            return admission_error(pod_state.view.spec, self._offer(), others, static=pod_state.static)
        except MALFORMED:
            return None  # whatever it says is told when its containers are made


def _was_admitted(pod_state: PodState) -> bool:
    """Whether it has been judged by an earlier run of this node, or there is nothing to judge any more."""
    return bool(
        pod_state.is_admitted
        or pod_state.containers
        or pod_state.is_ending
        or pod_state.view.terminal
        or pod_state.view.status.get("startTime")
    )


def _occupies_room(pod_state: PodState) -> bool:
    is_over = pod_state.is_ending or bool(pod_state.runtime.phase or pod_state.view.terminal)
    return pod_state.has_running_containers or (pod_state.is_admitted and not is_over)


def _room(pod_state: PodState) -> PodRequirements:
    try:
        return occupied_room(pod_state.view.spec)
    except MALFORMED:
        return PodRequirements()
