"""Filter and score: all pods and nodes in, scheduling decisions out (kube-scheduler: NodeInfo, FitError). Pure; the
order of the input does not matter.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from kubeedge_actors.actors.scheduler.pod_info import MEMORY, NodeSpec, PodInfo
from kubeedge_actors.kubernetes.pod_requirements import (
    PODS,
    HostPort,
    PodRequirements,
    matches_selector,
    ports_conflict,
)
from kubeedge_actors.kubernetes.quantity import CPU
from kubeedge_actors.kubernetes.taints import REPELLING, Taint, is_tolerated

SCORED_RESOURCES = (CPU, MEMORY, PODS)
NO_NODES = "no nodes available to schedule pods"
UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
"""What a cordoned node means, for pods that bear it."""


def filter_error(requirements: PodRequirements, node: NodeSpec) -> str:
    """Why the pod may not run there; empty when it may."""
    if node.unschedulable and not is_tolerated(UNSCHEDULABLE, requirements.tolerations):
        return "node(s) were unschedulable"
    for taint in node.taints:
        if taint.effect in REPELLING and not is_tolerated(taint, requirements.tolerations):
            return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
    if not matches_selector(requirements, node.name, node.labels):
        return "node(s) didn't match Pod's node affinity/selector"
    return "" if node.ready else "node(s) were not ready"


class SchedulingDecision(NamedTuple):
    """The node for a pod that waits, or, with an empty `node`, a sentence that says why there is none."""

    pod: PodInfo
    node: str
    fit_error: str


class NodeInfo:
    """One node and what is taken of it."""

    def __init__(self, node: NodeSpec) -> None:
        self.node = node
        self._used: Counter[str] = Counter()
        self._ports: set[HostPort] = set()

    def add_pod(self, needs: PodRequirements) -> None:
        """Add a pod's requests to what is used."""
        for resource, number in needs.amounts:
            self._used[resource] += number
        self._ports.update(needs.ports)

    def insufficient(self, needs: PodRequirements) -> list[str]:
        """What the pod misses here, in Kubernetes' words; empty when it fits."""
        if needs.ports and ports_conflict(needs.ports, self._ports):
            return ["node(s) didn't have free ports for the requested pod ports"]
        free = self.node.allocatable
        return [
            "Too many pods" if resource == PODS else f"Insufficient {resource}"
            for resource, number in needs.amounts
            if self._used[resource] + number > free.get(resource, 0)
        ]

    def score(self, needs: PodRequirements) -> float:
        """How full it would be with the pod: the sum of the used shares of CPU, memory and pods."""
        amounts = dict(needs.amounts)
        return sum(self._share(resource, amounts.get(resource, 0)) for resource in SCORED_RESOURCES)

    def _share(self, resource: str, more: int) -> float:
        all = self.node.allocatable.get(resource, 0)
        return (self._used[resource] + more) / all if all > 0 else 1.0


class FeasibleNodes:
    """The nodes that pods with the same needs may run on."""

    def __init__(self, needs: PodRequirements, rooms: list[NodeInfo]) -> None:
        self._requirements = needs
        self._filter_errors: Counter[str] = Counter()
        self._total = len(rooms)
        self._nodes: list[NodeInfo] = []
        for room in rooms:
            if reason := filter_error(needs, room.node):
                self._filter_errors[reason] += 1
            else:
                self._nodes.append(room)

    def best(self) -> NodeInfo | None:
        """The least loaded node with room, the first by name among equals."""
        fitting = (room for room in self._nodes if not room.insufficient(self._requirements))
        return min(fitting, key=lambda room: room.score(self._requirements), default=None)

    def fit_error(self) -> str:
        """The fit error in kube-scheduler's words."""
        if not self._total:
            return NO_NODES
        reasons = self._filter_errors + Counter(
            reason for room in self._nodes for reason in room.insufficient(self._requirements)
        )
        return f"0/{self._total} nodes are available: {', '.join(sorted(f'{n} {reason}' for reason, n in reasons.items()))}."


def schedule(pods: Iterable[PodInfo], nodes: Iterable[NodeSpec], limit: int = sys.maxsize) -> list[SchedulingDecision]:
    """A decision for each pod that waits: by priority, then age, then name. It ends early after `limit` pods got a node."""
    rooms = {node.name: NodeInfo(node) for node in sorted(nodes, key=lambda node: node.name)}
    waiting: list[PodInfo] = []
    for pod in pods:
        if not pod.node:
            waiting.append(pod)
        elif pod.node in rooms:
            rooms[pod.node].add_pod(pod.requirements)
    return _decide(sorted(waiting, key=_queue_order), list(rooms.values()), limit)


def _decide(waiting: list[PodInfo], rooms: list[NodeInfo], limit: int) -> list[SchedulingDecision]:
    choices: dict[PodRequirements, FeasibleNodes] = {}
    refusals: dict[
        PodRequirements, str
    ] = {}  # room only shrinks here: where one pod found none, the next like it finds none
    decisions: list[SchedulingDecision] = []
    for pod in waiting:
        if pod.requirements in refusals:
            decisions.append(SchedulingDecision(pod, "", refusals[pod.requirements]))
            continue
        choice = choices.get(pod.requirements) or choices.setdefault(
            pod.requirements, FeasibleNodes(pod.requirements, rooms)
        )
        room = choice.best()
        if room is None:
            refusals[pod.requirements] = choice.fit_error()
            decisions.append(SchedulingDecision(pod, "", refusals[pod.requirements]))
            continue
        room.add_pod(pod.requirements)
        decisions.append(SchedulingDecision(pod, room.node.name, ""))
        limit -= 1
        if limit <= 0:
            break
    return decisions


def _queue_order(pod: PodInfo) -> tuple[int, str, str, str]:
    return -pod.priority, pod.created, pod.namespace, pod.name
