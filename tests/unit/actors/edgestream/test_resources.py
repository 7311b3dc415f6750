"""What node and containers use: measured seldom, told as a kubelet tells it."""

from __future__ import annotations

import msgspec
import pytest

from kubeedge_actors.actors.edgestream.resource_metrics import resource_metrics, summary
from kubeedge_actors.actors.edgestream.resource_sampler import (
    FIRST_WINDOW,
    KubeletFacts,
    ResourceSample,
    ResourceSampler,
)
from kubeedge_actors.actors.edgestream.tunnel import Tunnel
from kubeedge_actors.drivers.containers.base import Container, ContainerUsage, PodName
from kubeedge_actors.drivers.containers.docker_streams import parse_usage
from kubeedge_actors.drivers.machine.base import MachineUsage
from kubeedge_actors.errors import ContainerError
from kubeedge_actors.wire import tunnel
from kubeedge_actors.wire.tunnel import Frame, FrameType
from tests.support.env.containers import FOREVER, FakeContainersEnv
from tests.support.metrics_server import MetricsPoint, decode_batch
from tests.support.waiting import eventually
from tests.unit.actors.test_streams import Wire

MIB = 1 << 20
POD = PodName(namespace="shop", name="web", uid="u1")
MAIN = Container(id="c1", pod=POD, name="main", image="i", phase="running", started_at=100.0)
SIDE = msgspec.structs.replace(MAIN, id="c2", name="side", started_at=107.0)


def machine(cpu: float) -> MachineUsage:
    return MachineUsage(cpu_seconds=cpu, memory=50 * MIB, working_set=40 * MIB, rss=30 * MIB, memory_available=60 * MIB, disk=100, disk_available=70, booted_at=1.0)  # fmt: skip


def used(cpu: float) -> ContainerUsage:
    return ContainerUsage(cpu_seconds=cpu, memory=3 * MIB, working_set=2 * MIB, rss=MIB)


PODS: list[dict[str, object]] = [{"metadata": {"name": "web"}, "status": {"phase": "Running"}}]
CONFIGZ = (
    b'{"kubeletconfig":{"kind":"KubeletConfiguration","apiVersion":"kubelet.config.k8s.io/v1beta1","maxPods":110}}'
)
METRICS = b"""# HELP kubelet_node_name [ALPHA] The node's name. The count is always 1.
# TYPE kubelet_node_name gauge
kubelet_node_name{node="e1"} 1
# HELP kubelet_running_pods [BETA] Number of pods that have a running pod sandbox
# TYPE kubelet_running_pods gauge
kubelet_running_pods 1
# HELP kubelet_running_containers [BETA] Number of containers currently running
# TYPE kubelet_running_containers gauge
kubelet_running_containers{container_state="running"} 1
"""
BEFORE = ResourceSample(100.0, 10.0, machine(5.0), ((MAIN, used(1.0)),))
LAST = ResourceSample(110.0, 20.0, machine(9.0), ((MAIN, used(3.0)), (SIDE, used(0.5))))


class Clock:
    """A machine of figures, and a clock that goes on only when it is waited for or set."""

    def __init__(self) -> None:
        self.now, self.measured = 1000.0, 0

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def usage(self) -> MachineUsage:
        self.measured += 1
        return machine(self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sampler(clock: Clock) -> ResourceSampler:
    env = FakeContainersEnv()
    env.run(FOREVER)
    return ResourceSampler(
        "e1", env.runtime, clock, clock=lambda: clock.now, wall_clock=lambda: clock.now, wait=clock.wait  # type: ignore[arg-type]
    )  # fmt: skip


def test_nothing_is_measured_until_somebody_asks_and_then_seldom(clock: Clock, sampler: ResourceSampler) -> None:
    assert clock.measured == 0
    before, last = sampler.samples()
    assert (clock.measured, last.taken - before.taken) == (2, FIRST_WINDOW)
    clock.now += 9.9
    assert sampler.samples() == (before, last) and clock.measured == 2
    clock.now += 20.0
    again, newest = sampler.samples()
    assert (again, clock.measured) == (last, 3) and newest.taken == clock.now
    clock.now += 121.0
    before, last = sampler.samples()
    assert (clock.measured, last.taken - before.taken) == (5, FIRST_WINDOW), "what is old says nothing of now"


def test_the_summary_has_rates_between_two_samples_and_sums_of_pods() -> None:
    told = summary("e1", BEFORE, LAST)
    assert told["node"]["cpu"] == {"time": "1970-01-01T00:01:50Z", "usageNanoCores": 400_000_000, "usageCoreNanoSeconds": 9_000_000_000}  # fmt: skip
    assert told["node"]["memory"]["workingSetBytes"] == 40 * MIB and told["node"]["fs"]["usedBytes"] == 30
    (pod,) = told["pods"]
    assert pod["podRef"] == {"name": "web", "namespace": "shop", "uid": "u1"}
    main, side = pod["containers"]
    assert (main["cpu"]["usageNanoCores"], side["cpu"]["usageNanoCores"]) == (200_000_000, 50_000_000)
    assert pod["cpu"]["usageNanoCores"] == 250_000_000 and pod["memory"]["workingSetBytes"] == 4 * MIB


def test_the_metrics_are_what_metrics_server_reads() -> None:
    lines = resource_metrics(LAST).splitlines()
    assert 'container_cpu_usage_seconds_total{container="main",namespace="shop",pod="web"} 3 110000' in lines
    assert 'container_start_time_seconds{container="side",namespace="shop",pod="web"} 107 110000' in lines
    assert f'pod_memory_working_set_bytes{{namespace="shop",pod="web"}} {4 * MIB} 110000' in lines
    assert "node_cpu_usage_seconds_total 9 110000" in lines and "resource_scrape_error 0" in lines
    assert all(line.startswith("#") or len(line.split()) in (2, 3) for line in lines)


@pytest.mark.parametrize(
    ("path", "beginning"),
    [
        ("/stats/summary", b'{"node":{"nodeName":"e1"'),
        ("/metrics/resource", b"# HELP container_cpu"),
        ("/pods", b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"web"}'),
        ("/healthz", b"ok"),
        ("/healthz/ping", b"ok"),
        ("/configz", CONFIGZ),
        ("/metrics", METRICS),
        ("/x", b"this node does not serve /x"),
    ],
)
def test_a_cloud_gets_them_through_the_tunnel(sampler: ResourceSampler, path: str, beginning: bytes) -> None:
    wire = Wire()
    facts = KubeletFacts(sampler, lambda: PODS, {"maxPods": 110})
    node = Tunnel(wire, FakeContainersEnv().runtime, lambda reason, lived: None, facts=facts)
    node.on_text(tunnel.encode(Frame(1, FrameType.METRICS, tunnel.encode_open(1, path))))
    eventually(lambda: wire.said and wire.said[-1].kind is FrameType.REMOVE, "the end of the answer")
    assert b"".join(frame.data for frame in wire.said).startswith(beginning)


def test_a_node_that_does_not_know_what_it_runs_is_not_healthy(sampler: ResourceSampler) -> None:
    def unknown() -> list[dict[str, object]]:
        raise ContainerError("this node does not know now what it runs")

    wire = Wire()
    node = Tunnel(wire, FakeContainersEnv().runtime, lambda reason, lived: None, facts=KubeletFacts(sampler, unknown))
    node.on_text(tunnel.encode(Frame(1, FrameType.METRICS, tunnel.encode_open(1, "/healthz"))))
    eventually(lambda: wire.said and wire.said[-1].kind is FrameType.REMOVE, "the end of the answer")
    assert b"".join(frame.data for frame in wire.said).startswith(b"this node does not know")


def test_metrics_server_takes_all_that_runs_also_what_has_hardly_used_anything() -> None:
    idle = msgspec.structs.replace(SIDE, id="c3", name="idle"), ContainerUsage(cpu_seconds=0.0, memory=0, working_set=0)
    sample = msgspec.structs.replace(LAST, containers=(*LAST.containers, idle))
    node, pods = decode_batch(resource_metrics(sample).encode())
    assert node == MetricsPoint(9_000_000_000, 40 * MIB, 110_000)
    (points,) = pods.values()
    assert pods.keys() == {("shop", "web")} and points.keys() == {"main", "side", "idle"}
    assert points["main"] == MetricsPoint(3_000_000_000, 2 * MIB, 110_000, 100.0)
    assert points["idle"][:2] == (1, 1)


def test_docker_says_it_with_control_groups_of_both_versions() -> None:
    cpu = {"cpu_usage": {"total_usage": 2_500_000_000}}
    second = {"cpu_stats": cpu, "memory_stats": {"usage": 10 * MIB, "stats": {"inactive_file": 4 * MIB, "anon": MIB}}}
    first = {"cpu_stats": cpu, "memory_stats": {"usage": 10 * MIB, "stats": {"total_inactive_file": 4 * MIB, "total_rss": MIB, "inactive_file": 1}}}  # fmt: skip
    expected = ContainerUsage(cpu_seconds=2.5, memory=10 * MIB, working_set=6 * MIB, rss=MIB)
    assert parse_usage(second) == parse_usage(first) == expected
    assert parse_usage({"cpu_stats": {}, "memory_stats": {}}) is None
