"""What a kubelet answers at its own port besides streams from containers (pkg/kubelet/server). Imported with the first such request."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from kubeedge_actors.actors.edgestream.flow_control import StreamSender
from kubeedge_actors.actors.edgestream.resource_metrics import resource_metrics, summary
from kubeedge_actors.actors.edgestream.resource_sampler import Json, KubeletFacts
from kubeedge_actors.errors import ContainerError
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.tunnel import StreamRequest

Labels = dict[str, str]


def serve_node(opening: StreamRequest, sender: StreamSender, facts: KubeletFacts) -> None:
    """One document. DriverError: there is none at that path, or it can not be told."""
    path = opening.url.Path.strip("/")
    endpoint = constants.PATH_HEALTHZ if path.startswith(f"{constants.PATH_HEALTHZ}/") else path
    answer = ANSWERS.get(endpoint)
    if answer is None:
        raise ContainerError(f"this node does not serve {opening.url.Path}")
    sender.send(answer(facts))


def _pods(facts: KubeletFacts) -> bytes:
    return _document({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": facts.list_pods()})


def _healthz(facts: KubeletFacts) -> bytes:
    """Healthy is a node that can say what it runs."""
    facts.list_pods()
    return b"ok"


def _configz(facts: KubeletFacts) -> bytes:
    version = {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1"}
    return _document({"kubeletconfig": version | dict(facts.configuration)})


def _summary(facts: KubeletFacts) -> bytes:
    return _document(summary(facts.sampler.node, *facts.sampler.samples()))


def _resources(facts: KubeletFacts) -> bytes:
    return resource_metrics(facts.sampler.samples()[1]).encode()


def _document(value: Json) -> bytes:
    return msgspec.json.encode(value) + b"\n"


class _Metric(NamedTuple):
    name: str
    kind: str
    help: str
    samples: list[tuple[str, float]]


def _metrics(facts: KubeletFacts) -> bytes:
    lines = []
    for metric in _node_metrics(facts):
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [f"{metric.name}{labels} {value:.17g}" for labels, value in metric.samples]
    return "\n".join([*lines, ""]).encode()


def _node_metrics(facts: KubeletFacts) -> Iterator[_Metric]:
    """Those of a kubelet's metrics that dashboards begin with."""
    phases = Counter(container.phase for container in facts.sampler.containers())
    running = sum((pod.get("status") or {}).get("phase") == "Running" for pod in facts.list_pods())
    states = [(f'{{container_state="{phase}"}}', float(count)) for phase, count in sorted(phases.items())]
    name = [(f'{{node="{facts.sampler.node}"}}', 1.0)]
    yield _Metric("kubelet_node_name", "gauge", "[ALPHA] The node's name. The count is always 1.", name)
    yield _Metric(
        "kubelet_running_pods", "gauge", "[BETA] Number of pods that have a running pod sandbox", [("", running)]
    )
    yield _Metric("kubelet_running_containers", "gauge", "[BETA] Number of containers currently running", states)
    used = [("", time.process_time())]
    yield _Metric("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", used)


ANSWERS = {
    constants.PATH_NODE_PODS: _pods,
    constants.PATH_HEALTHZ: _healthz,
    constants.PATH_CONFIGZ: _configz,
    constants.PATH_METRICS: _metrics,
    constants.PATH_STATS_SUMMARY: _summary,
    constants.PATH_METRICS_RESOURCE: _resources,
}
"""By the path; each is called in a thread of its own."""
