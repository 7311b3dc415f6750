"""`metrics.k8s.io`: what nodes and pods use, as `kubectl top` asks for it (metrics-server). Nothing is stored: nodes are asked when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.errors import DriverError

from ..errors import not_found
from ..http_messages import JSON_TYPE, Request, StreamingResponse
from ..registry.builtin import METRICS_GROUP, Resource
from ..registry.resource_registry import ResourceRegistry
from ..request_info import RequestInfo
from ..storage.entry import Entry
from ..storage.store import Store
from .logs import iterate_in_thread
from .read import matching_entries, parse_selection

Json = dict[str, Any]
FRESH_SECONDS = 10.0
"""So long a node's answer serves others, too."""
ASKED_AT_ONCE = 16
WINDOW = "10s"
"""The time over which a node has measured; it does not say it."""
# Called in threads of its own: what a node uses, as a kubelet's /stats/summary says it. Raises DriverError.
StatsSource = Callable[[str], bytes]


class CpuStats(msgspec.Struct):
    """Processor time."""

    time: str = ""
    usageNanoCores: int = 0


class MemoryStats(msgspec.Struct):
    """Memory."""

    workingSetBytes: int = 0


class ContainerStats(msgspec.Struct):
    """One container; without figures it was not measured yet."""

    name: str
    cpu: CpuStats | None = None
    memory: MemoryStats | None = None


class PodReference(msgspec.Struct):
    """The pod that is measured."""

    name: str
    namespace: str
    uid: str = ""


class PodStats(msgspec.Struct):
    """One pod."""

    podRef: PodReference
    containers: list[ContainerStats] = []


class NodeStats(msgspec.Struct):
    """The node itself."""

    cpu: CpuStats | None = None
    memory: MemoryStats | None = None


class Summary(msgspec.Struct):
    """What matters here of a kubelet's Summary."""

    node: NodeStats
    pods: list[PodStats] = []


class MeasuredObject(NamedTuple):
    """A node or pod of which is asked: its metadata, and the node that knows."""

    metadata: Json
    node: str


class MetricsHandler:
    """Answers get and list of the metrics of nodes and pods. `source` may be set at any time."""

    def __init__(self, store: Store, registry: ResourceRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._registry, self._clock = store, registry, clock
        self.source: StatsSource | None = None
        self._known: dict[str, tuple[float, Summary]] = {}
        self._lock = Lock()

    def answer(self, request: Request, target: RequestInfo, resource: Resource) -> StreamingResponse:
        """The metrics of one object, or of all that the selectors choose. Raises 404."""
        measured = [_measured(entry) for entry in self._chosen(request, target, resource)]
        make = node_metrics if resource.plural == "nodes" else pod_metrics
        pieces = self._pieces(target, resource, measured, make)
        return StreamingResponse(lambda: iterate_in_thread(pieces), JSON_TYPE, patient=True)

    def _chosen(self, request: Request, target: RequestInfo, resource: Resource) -> Sequence[Entry]:
        kind = self._registry.find("", "v1", resource.plural)
        if target.name or kind is None:
            entry = self._store.get(resource.plural, target.namespace, target.name)
            if entry is None:
                raise not_found(METRICS_GROUP, resource.plural, target.name)
            return [entry]
        chosen = parse_selection(request, target, kind)
        return matching_entries(self._store.collection(kind.key).scan(chosen.namespace), chosen)

    def _pieces(
        self,
        target: RequestInfo,
        resource: Resource,
        measured: Sequence[MeasuredObject],
        make: Callable[[MeasuredObject, Summary], Json | None],
    ) -> Iterator[bytes]:
        """In a thread of its own: the body, in one piece."""
        summaries = self._summaries({each.node for each in measured if each.node})
        items = [item for each in measured if each.node in summaries and (item := make(each, summaries[each.node]))]
        if target.name and not items:
            raise not_found(METRICS_GROUP, resource.plural, target.name)
        if target.name:
            yield msgspec.json.encode({"kind": resource.kind, "apiVersion": resource.api_version, **items[0]})
            return
        head = {"kind": resource.plural_kind, "apiVersion": resource.api_version, "metadata": {}}
        yield msgspec.json.encode({**head, "items": items})

    def _summaries(self, nodes: set[str]) -> Mapping[str, Summary]:
        """What each node says; one that does not answer is left out, as metrics-server does."""
        with self._lock:
            now = self._clock()
            self._known = {node: said for node, said in self._known.items() if now - said[0] < FRESH_SECONDS}
            found = {node: self._known[node][1] for node in nodes if node in self._known}
        missing = sorted(nodes - found.keys())
        if missing:
            with ThreadPoolExecutor(ASKED_AT_ONCE, "metrics") as threads:
                asked = dict(zip(missing, threads.map(self._ask, missing), strict=True))
            found |= {node: summary for node, summary in asked.items() if summary is not None}
        return found

    def _ask(self, node: str) -> Summary | None:
        if self.source is None:
            return None
        try:
            data = self.source(node)
            summary = msgspec.json.decode(depth_limit.check_depth(data), type=Summary)
        except (DriverError, msgspec.DecodeError):
            return None
        with self._lock:
            self._known[node] = self._clock(), summary
        return summary


def _measured(entry: Entry) -> MeasuredObject:
    body = entry.object()
    meta, pod = body["metadata"], "nodeName" in body.get("spec", {})
    kept = {name: meta[name] for name in ("name", "namespace", "creationTimestamp", "labels") if name in meta}
    bound = str(body["spec"]["nodeName"]) if pod else "" if "namespace" in meta else str(meta["name"])
    return MeasuredObject(kept, bound)


def node_metrics(node: MeasuredObject, summary: Summary) -> Json | None:
    """The NodeMetrics of a node; None when it has not measured yet."""
    cpu, memory = summary.node.cpu, summary.node.memory
    if cpu is None or memory is None:
        return None
    return {"metadata": node.metadata, "timestamp": cpu.time, "window": WINDOW, "usage": usage(cpu, memory)}


def pod_metrics(pod: MeasuredObject, summary: Summary) -> Json | None:
    """The PodMetrics of a pod; None when the node does not run it, or has not measured it yet."""
    name = pod.metadata["namespace"], pod.metadata["name"]
    stats = next((each for each in summary.pods if (each.podRef.namespace, each.podRef.name) == name), None)
    measured = [(each, each.cpu, each.memory) for each in (stats.containers if stats is not None else ())]
    containers = [
        {"name": each.name, "usage": usage(cpu, memory)}
        for each, cpu, memory in measured
        if cpu is not None and memory is not None
    ]
    if not containers:
        return None
    moment = next((cpu.time for _, cpu, _ in measured if cpu is not None), "")
    return {"metadata": pod.metadata, "timestamp": moment, "window": WINDOW, "containers": containers}


def usage(cpu: CpuStats, memory: MemoryStats) -> Json:
    """A v1.ResourceList.

    >>> usage(CpuStats(usageNanoCores=2500000), MemoryStats(workingSetBytes=3 << 20))
    {'cpu': '2500000n', 'memory': '3072Ki'}
    """
    return {"cpu": f"{cpu.usageNanoCores}n", "memory": f"{memory.workingSetBytes // 1024}Ki"}
