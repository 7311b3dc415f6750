"""A kubelet's answers about what is used: `/stats/summary` (JSON) and `/metrics/resource` (Prometheus text, for metrics-server). Pure; imported with the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kubeedge_actors.actors.edgestream.resource_sampler import ResourceSample
from kubeedge_actors.drivers.containers.base import Container, ContainerUsage
from kubeedge_actors.drivers.machine.base import MachineUsage
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]
Measured = ContainerUsage | MachineUsage
NANO = 1_000_000_000
LEAST_SECONDS, LEAST_BYTES = 1e-9, 1.0
"""What the counters of something that runs say at least: those of a kubelet are never 0, and metrics-server leaves out the whole pod of a container whose are.
Ours may be, since the time of processes is counted in hundredths of a second.
"""


def summary(node: str, before: ResourceSample, last: ResourceSample) -> Json:
    """The Summary of a kubelet's stats/v1alpha1; rates are those between the two samples."""
    pods: dict[str, list[tuple[Container, ContainerUsage]]] = {}
    for container, usage in last.containers:
        pods.setdefault(container.pod.uid, []).append((container, usage))
    window, at = last.taken - before.taken, format_time(last.at)
    facts = {"nodeName": node, "startTime": format_time(last.node.booted_at)}
    memory = _memory(last.node, at) | {"availableBytes": last.node.memory_available}
    disk = {"time": at, "availableBytes": last.node.disk_available, "capacityBytes": last.node.disk}
    disk["usedBytes"] = last.node.disk - last.node.disk_available
    of_node = {**facts, "cpu": _cpu(before.node, last.node, window, at), "memory": memory, "fs": disk}
    return {"node": of_node, "pods": [_pod(measured, before, window, at) for measured in pods.values()]}


def _pod(measured: Sequence[tuple[Container, ContainerUsage]], before: ResourceSample, window: float, at: str) -> Json:
    containers: list[Json] = [
        {
            "name": container.name,
            "startTime": format_time(container.started_at),
            "cpu": _cpu(before.container(container.id), usage, window, at),
            "memory": _memory(usage, at),
        }
        for container, usage in measured
    ]
    name = measured[0][0].pod
    started = format_time(min(container.started_at for container, _ in measured))
    return {
        "podRef": {"name": name.name, "namespace": name.namespace, "uid": name.uid},
        "startTime": started,
        "containers": containers,
        "cpu": _sum([each["cpu"] for each in containers], at),
        "memory": _sum([each["memory"] for each in containers], at),
    }


def _cpu(before: Measured | None, last: Measured, window: float, at: str) -> Json:
    """A container that was not there before has used what it has used since."""
    used = last.cpu_seconds - (before.cpu_seconds if before is not None else 0.0)
    rate = max(used, 0.0) / window if window > 0 else 0.0
    return {"time": at, "usageNanoCores": int(rate * NANO), "usageCoreNanoSeconds": int(last.cpu_seconds * NANO)}


def _memory(usage: Measured, at: str) -> Json:
    return {"time": at, "usageBytes": usage.memory, "workingSetBytes": usage.working_set, "rssBytes": usage.rss}


def _sum(parts: Sequence[Json], at: str) -> Json:
    names = [name for name in parts[0] if name != "time"]
    return {"time": at} | {name: sum(part[name] for part in parts) for name in names}


# --- Prometheus text ------------------------------------------------------------------------------------------------


def resource_metrics(sample: ResourceSample) -> str:
    """The metrics of a kubelet's /metrics/resource, each line with its time."""
    stamp = int(sample.at * 1000)
    of_containers = [(_labels(container), usage) for container, usage in sample.containers]
    pods: dict[str, list[ContainerUsage]] = {}
    for container, usage in sample.containers:
        pods.setdefault(_labels(container, whole_pod=True), []).append(usage)
    rows: list[str] = []

    def add(name: str, kind: str, about: str, values: Sequence[tuple[str, float]]) -> None:
        rows.extend((f"# HELP {name} [STABLE] {about}", f"# TYPE {name} {kind}"))
        rows.extend(f"{name}{labels} {value:.17g} {stamp}" for labels, value in values)

    starts = [(_labels(container), container.started_at) for container, _ in sample.containers]
    add("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the container in core-seconds", _of(of_containers, _seconds))  # fmt: skip
    add("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes", _of(of_containers, _bytes))  # fmt: skip
    add("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds", starts)
    add("node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds", [("", sample.node.cpu_seconds)])  # fmt: skip
    add("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", [("", float(sample.node.working_set))])  # fmt: skip
    add("pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds", list(_sums(pods, _seconds)))  # fmt: skip
    add("pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes", list(_sums(pods, _bytes)))
    for name in ("resource_scrape_error", "scrape_error"):  # the name since Kubernetes 1.29, and before
        rows += [f"# HELP {name} 1 if there was an error while getting container metrics, 0 otherwise"]
        rows += [f"# TYPE {name} gauge", f"{name} 0"]
    return "\n".join(rows) + "\n"


def _labels(container: Container, *, whole_pod: bool = False) -> str:
    name = "" if whole_pod else f'container="{container.name}",'
    return f'{{{name}namespace="{container.pod.namespace}",pod="{container.pod.name}"}}'


def _seconds(usage: ContainerUsage) -> float:
    return max(usage.cpu_seconds, LEAST_SECONDS)


def _bytes(usage: ContainerUsage) -> float:
    return max(float(usage.working_set), LEAST_BYTES)


def _of(
    rows: Sequence[tuple[str, ContainerUsage]], value: Callable[[ContainerUsage], float]
) -> list[tuple[str, float]]:
    return [(labels, value(usage)) for labels, usage in rows]


def _sums(
    pods: dict[str, list[ContainerUsage]], value: Callable[[ContainerUsage], float]
) -> Iterator[tuple[str, float]]:
    for labels, usages in pods.items():
        yield labels, sum(map(value, usages))
