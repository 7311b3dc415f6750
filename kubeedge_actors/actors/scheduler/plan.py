"""Which pod goes to which node: all pods and nodes in, decisions out. Pure; the order of what is given does not matter."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from kubeedge_actors.actors.scheduler.facts import MEMORY, PODS, Needs, Node, Pod, Port
from kubeedge_actors.actors.scheduler.filters import obstacle
from kubeedge_actors.kubernetes.quantity import CPU

WEIGHED = (CPU, MEMORY, PODS)
NO_NODES = "no nodes available to schedule pods"


class Decision(NamedTuple):
    """The node for a pod that waits, or, with an empty `node`, a sentence that says why there is none."""

    pod: Pod
    node: str
    refusal: str


class Room:
    """One node and what is taken of it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._used: Counter[str] = Counter()
        self._ports: set[Port] = set()

    def take(self, needs: Needs) -> None:
        """Count a pod."""
        for resource, number in needs.amounts:
            self._used[resource] += number
        self._ports.update(needs.ports)

    def lacks(self, needs: Needs) -> list[str]:
        """What the pod misses here, in Kubernetes' words; empty when it fits."""
        if needs.ports and any(_collide(port, taken) for port in needs.ports for taken in self._ports):
            return ["node(s) didn't have free ports for the requested pod ports"]
        free = self.node.allocatable
        return [
            "Too many pods" if resource == PODS else f"Insufficient {resource}"
            for resource, number in needs.amounts
            if self._used[resource] + number > free.get(resource, 0)
        ]

    def load(self, needs: Needs) -> float:
        """How full it would be with the pod: the sum of the used shares of CPU, memory and pods."""
        wanted = dict(needs.amounts)
        return sum(self._share(resource, wanted.get(resource, 0)) for resource in WEIGHED)

    def _share(self, resource: str, more: int) -> float:
        all = self.node.allocatable.get(resource, 0)
        return (self._used[resource] + more) / all if all > 0 else 1.0


class Choice:
    """The nodes that pods with the same needs may run on."""

    def __init__(self, needs: Needs, rooms: list[Room]) -> None:
        self._needs = needs
        self._obstacles: Counter[str] = Counter()
        self._total = len(rooms)
        self._rooms: list[Room] = []
        for room in rooms:
            if reason := obstacle(needs, room.node):
                self._obstacles[reason] += 1
            else:
                self._rooms.append(room)

    def best(self) -> Room | None:
        """The least loaded one with room, the first by name among equals."""
        fitting = (room for room in self._rooms if not room.lacks(self._needs))
        return min(fitting, key=lambda room: room.load(self._needs), default=None)

    def refusal(self) -> str:
        """Why there is none, as Kubernetes says it."""
        if not self._total:
            return NO_NODES
        reasons = self._obstacles + Counter(reason for room in self._rooms for reason in room.lacks(self._needs))
        return f"0/{self._total} nodes are available: {', '.join(sorted(f'{n} {why}' for why, n in reasons.items()))}."


def plan(pods: Iterable[Pod], nodes: Iterable[Node], limit: int = sys.maxsize) -> list[Decision]:
    """A decision for each pod that waits: by priority, then age, then name. It ends early after `limit` pods got a node."""
    rooms = {node.name: Room(node) for node in sorted(nodes, key=lambda node: node.name)}
    waiting: list[Pod] = []
    for pod in pods:
        if not pod.node:
            waiting.append(pod)
        elif pod.node in rooms:
            rooms[pod.node].take(pod.needs)
    return _decide(sorted(waiting, key=_rank), list(rooms.values()), limit)


def _decide(waiting: list[Pod], rooms: list[Room], limit: int) -> list[Decision]:
    choices: dict[Needs, Choice] = {}
    refusals: dict[Needs, str] = {}  # room only shrinks here: where one pod found none, the next like it finds none
    decisions: list[Decision] = []
    for pod in waiting:
        if pod.needs in refusals:
            decisions.append(Decision(pod, "", refusals[pod.needs]))
            continue
        choice = choices.get(pod.needs) or choices.setdefault(pod.needs, Choice(pod.needs, rooms))
        room = choice.best()
        if room is None:
            refusals[pod.needs] = choice.refusal()
            decisions.append(Decision(pod, "", refusals[pod.needs]))
            continue
        room.take(pod.needs)
        decisions.append(Decision(pod, room.node.name, ""))
        limit -= 1
        if limit <= 0:
            break
    return decisions


def _rank(pod: Pod) -> tuple[int, str, str, str]:
    return -pod.priority, pod.created, pod.namespace, pod.name


def _collide(one: Port, other: Port) -> bool:
    same_address = one.address == other.address or not one.address or not other.address
    return same_address and one.protocol == other.protocol and one.number == other.number
