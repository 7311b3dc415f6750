"""How metrics-server reads a kubelet's `/metrics/resource`: the rules of its pkg/scraper/client/resource/decode.go (v0.8), and of the text parser that it uses."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import NamedTuple

SERIES = re.compile(r"([a-zA-Z_:][\w:]*)(\{[^}]*\})? ([^ ]+)(?: (-?\d+))?")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped", "unknown")


class MetricsPoint(NamedTuple):
    """Nanoseconds of processor time, bytes, and when in milliseconds; seconds since the epoch of its start, for a container."""

    cpu: int = 0
    memory: int = 0
    at: int = 0
    started: float = 0.0


def series(text: bytes) -> list[tuple[str, str, float, int]]:
    """Name, labels, value and time of each line. ValueError for text that is not in the format."""
    found = []
    for line in text.decode().split("\n"):
        if line.startswith("# TYPE ") and line.split(" ")[3] not in TYPES:
            raise ValueError(f"invalid metric type: {line}")
        if line and not line.startswith("#"):
            match = SERIES.fullmatch(line)
            if match is None:
                raise ValueError(f"failed parsing metrics: {line}")
            found.append((match[1], match[2] or "", float(match[3]), int(match[4] or 0)))
    return found


def _label(labels: str, name: str) -> str:
    return labels.partition(f'{name}="')[2].partition('"')[0]


def decode_batch(text: bytes) -> tuple[MetricsPoint | None, dict[tuple[str, str], dict[str, MetricsPoint]]]:
    """The point of the node, None when it is incomplete, and of the containers by namespace and pod: a pod of which one container is incomplete is left out."""
    node = MetricsPoint()
    pods: dict[tuple[str, str], dict[str, MetricsPoint]] = defaultdict(lambda: defaultdict(MetricsPoint))
    for name, labels, value, at in series(text):
        if name == "node_cpu_usage_seconds_total":
            node = node._replace(cpu=int(value * 1e9), at=at)
        elif name == "node_memory_working_set_bytes":
            node = node._replace(memory=int(value), at=at)
        if not name.startswith("container_"):
            continue
        containers, container = pods[_label(labels, "namespace"), _label(labels, "pod")], _label(labels, "container")
        if name == "container_cpu_usage_seconds_total":
            containers[container] = containers[container]._replace(cpu=int(value * 1e9), at=at)
        elif name == "container_memory_working_set_bytes":
            containers[container] = containers[container]._replace(memory=int(value), at=at)
        elif name == "container_start_time_seconds":
            containers[container] = containers[container]._replace(started=value)
    whole = {pod: dict(points) for pod, points in pods.items() if all(p.cpu and p.memory for p in points.values())}
    return node if node.at and node.cpu and node.memory else None, whole
