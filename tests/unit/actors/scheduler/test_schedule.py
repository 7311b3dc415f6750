"""What the planner of the scheduler promises, for any pods and nodes."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.scheduler.pod_info import NodeSpec, PodInfo
from kubeedge_actors.actors.scheduler.schedule import NO_NODES, SchedulingDecision, filter_error, schedule
from kubeedge_actors.kubernetes.pod_requirements import HostPort, PodRequirements, Requirement
from kubeedge_actors.kubernetes.taints import Taint, Toleration

AMOUNTS = {"cpu": 4000, "memory": 8, "pods": 3}


def a_node(name: str, **allocatable: int) -> NodeSpec:
    return NodeSpec(name, True, False, {"name": name}, (), {**AMOUNTS, **allocatable})


def a_pod(name: str, cpu: int = 0, node: str = "", **about: int | str) -> PodInfo:
    amounts = (("cpu", cpu), ("pods", 1)) if cpu else (("pods", 1),)
    return PodInfo("default", name, name, node, PodRequirements(amounts), **about)  # type: ignore[arg-type]


def nodes_of(decisions: list[SchedulingDecision]) -> dict[str, str]:
    return {decision.pod.name: decision.node for decision in decisions}


# --- examples ---------------------------------------------------------------------------------------------------------


def test_the_least_loaded_node_gets_the_pod() -> None:
    busy = a_pod("busy", cpu=2000, node="a")
    assert nodes_of(schedule([busy, a_pod("p", cpu=100)], [a_node("a"), a_node("b")])) == {"p": "b"}


def test_a_bigger_node_is_less_loaded_by_the_same_pod() -> None:
    assert nodes_of(schedule([a_pod("p", cpu=1000)], [a_node("a"), a_node("b", cpu=8000)])) == {"p": "b"}


def test_equal_nodes_take_turns_by_name() -> None:
    pods = [a_pod(f"p{number}") for number in range(4)]
    assert nodes_of(schedule(pods, [a_node("b"), a_node("a")])) == {"p0": "a", "p1": "b", "p2": "a", "p3": "b"}


def test_priority_comes_before_age_and_age_before_name() -> None:
    pods = [
        a_pod("c", created="1"),
        a_pod("b", created="2"),
        a_pod("a", created="3"),
        a_pod("z", priority=1, created="4"),
    ]
    assert [decision.pod.name for decision in schedule(pods, [a_node("n")])] == ["z", "c", "b", "a"]


def test_a_full_node_is_named_with_what_it_lacks() -> None:
    pods = [a_pod("busy", cpu=3500, node="a"), a_pod("p", cpu=1000)]
    (decision,) = schedule(
        pods, [a_node("a"), a_node("b", cpu=500, pods=0), NodeSpec("c", False, False, {}, (), AMOUNTS)]
    )
    assert decision.node == ""
    assert (
        decision.fit_error == "0/3 nodes are available: 1 Too many pods, 1 node(s) were not ready, 2 Insufficient cpu."
    )


def test_a_node_that_filled_up_in_the_same_plan_is_counted_too() -> None:
    decisions = schedule([a_pod(f"p{number}") for number in range(4)], [a_node("a")])
    assert decisions[3].fit_error == "0/1 nodes are available: 1 Too many pods."


def test_without_nodes_the_sentence_says_so() -> None:
    assert schedule([a_pod("p")], [])[0].fit_error == NO_NODES


def test_a_resource_that_a_node_does_not_name_is_missing() -> None:
    wants = PodInfo("default", "p", "p", "", PodRequirements((("example.com/gpu", 1), ("pods", 1))))
    assert schedule([wants], [a_node("a")])[0].fit_error == "0/1 nodes are available: 1 Insufficient example.com/gpu."


def test_an_overfull_node_still_takes_what_asks_for_none_of_that() -> None:
    pods = [a_pod("busy", cpu=9000, node="a"), a_pod("p")]
    assert nodes_of(schedule(pods, [a_node("a")])) == {"p": "a"}


def test_two_pods_do_not_share_a_port_of_a_node() -> None:
    def with_port(name: str, port: HostPort, node: str = "") -> PodInfo:
        return PodInfo("default", name, name, node, PodRequirements((("pods", 1),), (port,)))

    everywhere, local = HostPort("", "TCP", 80), HostPort("127.0.0.1", "TCP", 80)
    taken = with_port("taken", everywhere, node="a")
    (decision,) = schedule([taken, with_port("p", local)], [a_node("a")])
    assert (
        decision.fit_error == "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    )
    others = [HostPort("", "UDP", 80), HostPort("", "TCP", 81)]
    assert nodes_of(schedule([taken, *map(with_port, "pq", others)], [a_node("a")])) == {"p": "a", "q": "a"}
    assert nodes_of(
        schedule([with_port("taken", local, "a"), with_port("p", HostPort("10.0.0.1", "TCP", 80))], [a_node("a")])
    ) == {"p": "a"}


def test_a_limited_plan_ends_early_and_a_later_one_goes_on() -> None:
    pods = [a_pod(f"p{number}") for number in range(3)]
    first = schedule(pods, [a_node("a")], limit=2)
    assert nodes_of(first) == {"p0": "a", "p1": "a"}
    bound = [decision.pod.bound_to(decision.node) for decision in first]
    assert nodes_of(schedule([*bound, pods[2]], [a_node("a")])) == {"p2": "a"}


# --- any pods and nodes -----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d"])
TAINTS = st.builds(Taint, NAMES, st.just(""), st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"]))
TOLERATIONS = st.builds(Toleration, NAMES, st.just("Exists"), st.just(""), st.just(""))
REQUIREMENTS = st.builds(
    Requirement,
    NAMES,
    st.sampled_from(["In", "NotIn", "Exists"]),
    st.lists(NAMES, max_size=2).map(tuple),
    st.just(False),
)
PORTS = st.builds(HostPort, st.sampled_from(["", "1.1.1.1", "2.2.2.2"]), st.just("TCP"), st.sampled_from([1, 2]))


@st.composite
def some_needs(draw: st.DrawFn) -> PodRequirements:
    amounts = draw(st.dictionaries(st.sampled_from(["cpu", "memory", "gpu"]), st.integers(1, 6)))
    terms = st.lists(st.lists(REQUIREMENTS, max_size=2).map(tuple), max_size=2).map(tuple)
    return PodRequirements(
        tuple(sorted({**amounts, "pods": 1}.items())),
        tuple(draw(st.lists(PORTS, max_size=1))),
        tuple(draw(st.dictionaries(NAMES, NAMES, max_size=1)).items()),
        draw(st.none() | terms),
        tuple(draw(st.lists(TOLERATIONS, max_size=2))),
    )


SOME_NODES = st.lists(
    st.builds(
        NodeSpec,
        NAMES,
        st.sampled_from([True, True, False]),
        st.sampled_from([False, False, True]),
        st.dictionaries(NAMES, NAMES, max_size=2),
        st.lists(TAINTS, max_size=1).map(tuple),
        st.dictionaries(st.sampled_from(["cpu", "memory", "gpu", "pods"]), st.integers(0, 9)),
    ),
    max_size=4,
    unique_by=lambda node: node.name,
)
SOME_PODS = st.lists(
    st.builds(
        PodInfo,
        st.just("default"),
        st.integers(0, 50).map(str),
        st.just(""),
        st.sampled_from(["", "", "", "a", "b", "z"]),
        some_needs(),
        st.integers(0, 1),
        st.sampled_from(["1", "2"]),
    ),
    max_size=12,
    unique_by=lambda pod: pod.name,
)


def used(pods: list[PodInfo], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for pod in pods:
        if pod.node == name:
            total.update(dict(pod.requirements.amounts))
    return total


@given(SOME_PODS, SOME_NODES)
def test_each_pod_that_waits_gets_one_decision_and_no_other_does(pods: list[PodInfo], nodes: list[NodeSpec]) -> None:
    decisions = schedule(pods, nodes)
    assert sorted(decision.pod.name for decision in decisions) == sorted(pod.name for pod in pods if not pod.node)
    assert all(bool(decision.node) != bool(decision.fit_error) for decision in decisions)


@given(SOME_PODS, SOME_NODES)
def test_a_node_is_never_given_more_than_it_has(pods: list[PodInfo], nodes: list[NodeSpec]) -> None:
    decisions = [decision for decision in schedule(pods, nodes) if decision.node]
    after = [pod for pod in pods if pod.node] + [decision.pod.bound_to(decision.node) for decision in decisions]
    for node in nodes:
        total = used(after, node.name)
        for decision in decisions:
            if decision.node == node.name:
                assert all(
                    total[resource] <= node.allocatable.get(resource, 0)
                    for resource, _ in decision.pod.requirements.amounts
                )


@given(SOME_PODS, SOME_NODES)
def test_a_pod_goes_only_where_nothing_stands_against_it(pods: list[PodInfo], nodes: list[NodeSpec]) -> None:
    by_name = {node.name: node for node in nodes}
    for decision in schedule(pods, nodes):
        if decision.node:
            assert filter_error(decision.pod.requirements, by_name[decision.node]) == ""


@given(SOME_PODS, SOME_NODES)
def test_a_refused_pod_would_not_fit_beside_all_the_others(pods: list[PodInfo], nodes: list[NodeSpec]) -> None:
    decisions = schedule(pods, nodes)
    bound = [decision.pod.bound_to(decision.node) for decision in decisions if decision.node]
    for decision in decisions:
        if not decision.node:
            (again,) = schedule([*(pod for pod in pods if pod.node), *bound, decision.pod], nodes)
            assert again.node == ""


@given(SOME_PODS, SOME_NODES, st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_changes_nothing(
    pods: list[PodInfo], nodes: list[NodeSpec], dice: random.Random
) -> None:
    expected = schedule(pods, nodes)
    dice.shuffle(pods)
    dice.shuffle(nodes)
    assert schedule(pods, nodes) == expected


@given(SOME_PODS, SOME_NODES, st.integers(1, 3))
def test_plans_with_a_limit_add_up_to_the_whole(pods: list[PodInfo], nodes: list[NodeSpec], limit: int) -> None:
    whole = {decision.pod.name: decision.node for decision in schedule(pods, nodes) if decision.node}
    node_by_pod: dict[str, str] = {}
    while batch := [decision for decision in schedule(pods, nodes, limit) if decision.node]:
        node_by_pod |= {decision.pod.name: decision.node for decision in batch}
        pods = [
            pod.bound_to(node_by_pod[pod.name]) if pod.name in node_by_pod and not pod.node else pod for pod in pods
        ]
    assert node_by_pod == whole


@given(SOME_PODS, SOME_NODES)
def test_the_refusal_counts_every_node(pods: list[PodInfo], nodes: list[NodeSpec]) -> None:
    for decision in schedule(pods, nodes):
        if decision.fit_error and nodes:
            head, _, reasons = decision.fit_error.removesuffix(".").partition(" nodes are available: ")
            assert head == f"0/{len(nodes)}"
            assert sum(int(reason.split()[0]) for reason in reasons.split(", ")) >= len(nodes)
