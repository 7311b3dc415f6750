"""What the scheduler reads from pods and nodes, and which node a pod may run on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.scheduler.pod_info import NodeSpec, current_fit_error, parse_node, parse_pod
from kubeedge_actors.actors.scheduler.schedule import filter_error
from kubeedge_actors.kubernetes.pod_requirements import HostPort
from kubeedge_actors.kubernetes.quantity import LARGEST, rounded_up_quantity
from tests.support.k8s_objects import condition, node, pod

Json = dict[str, Any]

AFFINITY = "node(s) didn't match Pod's node affinity/selector"


def needs(spec: Json) -> dict[str, int]:
    pod_info = parse_pod({"metadata": {"name": "p"}, "spec": spec})
    assert pod_info is not None
    return dict(pod_info.requirements.amounts)


def container(cpu: str, **more: Any) -> Json:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("resource", "text", "number"),
    [
        ("cpu", "1", 1000),
        ("cpu", "0.1", 100),
        ("cpu", "1m", 1),
        ("cpu", "100u", 1),
        ("cpu", "1n", 1),
        ("memory", "1Ki", 1024),
        ("memory", "1.5Gi", 3 * 2**29),
        ("memory", "1k", 1000),
        ("memory", "1E", 10**18),
        ("memory", "12E2", 1200),
        ("memory", "1e3", 1000),
        ("memory", "100m", 1),
        ("memory", ".5", 1),
        ("memory", 7, 7),
        ("memory", "9e999", LARGEST),
        ("memory", "-3", 0),
    ],
)
def test_a_quantity_is_a_whole_number_rounded_up(resource: str, text: object, number: int) -> None:
    assert rounded_up_quantity(resource, text) == number


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "1e", "1i", "NaN", "inf", "1_000", "1e9999999", None, "٣"])
def test_what_is_no_quantity_is_refused(text: object) -> None:
    with pytest.raises(ValueError):
        rounded_up_quantity("cpu", text)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_an_amount_never_counts_less_than_its_parts(first: int, second: int) -> None:
    assert rounded_up_quantity("cpu", f"{first + second}u") <= rounded_up_quantity(
        "cpu", f"{first}u"
    ) + rounded_up_quantity("cpu", f"{second}u")


def test_containers_count_together_and_init_containers_one_at_a_time() -> None:
    spec = {"containers": [container("100m"), container("200m")], "initContainers": [container("250m")]}
    assert needs(spec) == {"cpu": 300, "pods": 1}
    spec["initContainers"] = [container("500m"), container("400m")]
    assert needs(spec) == {"cpu": 500, "pods": 1}


def test_a_sidecar_counts_beside_what_comes_after_it() -> None:
    sidecar = container("100m", restartPolicy="Always")
    assert needs({"containers": [container("200m")], "initContainers": [sidecar]})["cpu"] == 300
    assert needs({"containers": [container("200m")], "initContainers": [sidecar, container("250m")]})["cpu"] == 350
    assert needs({"containers": [container("200m")], "initContainers": [container("250m"), sidecar]})["cpu"] == 300


def test_limits_stand_in_for_requests_and_overhead_is_added() -> None:
    limited = {"name": "c", "resources": {"limits": {"cpu": "1", "memory": "1Ki"}, "requests": {"cpu": "500m"}}}
    pod_info = needs({"containers": [limited], "overhead": {"cpu": "10m", "example.com/gpu": "1"}})
    assert pod_info == {"cpu": 510, "memory": 1024, "example.com/gpu": 1, "pods": 1}


def test_a_pod_without_requests_still_needs_a_place() -> None:
    assert needs({"containers": [{"name": "c"}]}) == {"pods": 1}


def test_ports_of_the_node_are_those_asked_for_and_all_of_a_host_network() -> None:
    ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 53, "protocol": "UDP"}]
    spec: Json = {"containers": [{"name": "c", "ports": ports}]}
    bridged = parse_pod({"metadata": {"name": "p"}, "spec": spec})
    assert bridged is not None and bridged.requirements.ports == (HostPort("", "TCP", 8080),)
    hosted = parse_pod({"metadata": {"name": "p"}, "spec": {**spec, "hostNetwork": True}})
    assert hosted is not None and hosted.requirements.ports == (HostPort("", "TCP", 8080), HostPort("", "UDP", 53))


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"schedulerName": "other"}},
        {"spec": {"schedulingGates": [{"name": "g"}]}},
        {"metadata": {"name": "p", "deletionTimestamp": "2026-11-22T19:00:00Z"}},
        {"status": {"phase": "Failed"}},
        {"spec": {"nodeName": "n"}, "status": {"phase": "Succeeded"}},
    ],
)
def test_some_pods_neither_wait_nor_take_room(change: Json) -> None:
    assert parse_pod({**pod("p"), **change}) is None


def test_a_pod_that_ends_on_a_node_takes_room_until_it_is_gone() -> None:
    ending = {**pod("p", cpu="1", node="n"), "metadata": {"name": "p", "deletionTimestamp": "2026-11-22T19:00:00Z"}}
    pod_info = parse_pod(ending)
    assert pod_info is not None and pod_info.node == "n" and dict(pod_info.requirements.amounts)["cpu"] == 1000


def test_a_bound_pod_has_the_facts_that_were_foreseen() -> None:
    spec: Json = {"priority": 5, "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]}
    waiting, bound = parse_pod(pod("p", cpu="1", **spec)), parse_pod(pod("p", cpu="1", node="n", **spec))
    assert waiting is not None and waiting.bound_to("n") == bound


def test_the_refusal_is_the_message_of_the_condition() -> None:
    refused = {**pod("p"), "status": {"conditions": [condition("PodScheduled", "False", message="no")]}}
    assert current_fit_error(refused) == "no"
    refused["status"]["conditions"][0]["status"] = "True"
    assert current_fit_error(refused) == ""
    assert current_fit_error({"status": None}) == ""


# --- which node a pod may run on --------------------------------------------------------------------------------------


def obstacle_of(pod_spec: Json, **about: Any) -> str:
    pod_info = parse_pod(pod("p", **pod_spec))
    assert pod_info is not None
    return filter_error(pod_info.requirements, facts(**about))


def facts(**about: Any) -> NodeSpec:
    return parse_node(node("edge-1", **{"labels": {"zone": "a", "cores": "4", "empty": ""}, **about}))


def required(*terms: Json) -> Json:
    selector = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}}


def expression(key: str, operator: str, *values: str) -> Json:
    return {"key": key, "operator": operator, "values": list(values)}


def test_a_plain_pod_may_run_on_a_ready_node() -> None:
    assert obstacle_of({}) == ""


@pytest.mark.parametrize("ready", ["False", "Unknown", ""])
def test_no_pod_may_run_on_a_node_that_is_not_ready(ready: str) -> None:
    assert obstacle_of({"tolerations": [{"operator": "Exists"}]}, ready=ready) == "node(s) were not ready"


def test_a_cordoned_node_takes_only_pods_that_bear_it() -> None:
    cordoned = {"unschedulable": True}
    assert obstacle_of({}, spec=cordoned) == "node(s) were unschedulable"
    bearing = {"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}
    assert obstacle_of(bearing, spec=cordoned) == ""


@pytest.mark.parametrize(("selector", "fits"), [({"zone": "a"}, True), ({"zone": "b"}, False), ({"x": ""}, False)])
def test_a_node_selector_names_labels(selector: Json, fits: bool) -> None:
    assert obstacle_of({"nodeSelector": selector}) == ("" if fits else AFFINITY)


@pytest.mark.parametrize(
    ("operator", "key", "values", "fits"),
    [
        ("In", "zone", ("a", "b"), True),
        ("In", "zone", ("b",), False),
        ("In", "none", ("a",), False),
        ("NotIn", "zone", ("a",), False),
        ("NotIn", "zone", ("b",), True),
        ("NotIn", "none", ("b",), True),
        ("Exists", "empty", (), True),
        ("Exists", "none", (), False),
        ("DoesNotExist", "zone", (), False),
        ("DoesNotExist", "none", (), True),
        ("Gt", "cores", ("3",), True),
        ("Gt", "cores", ("4",), False),
        ("Lt", "cores", ("5",), True),
        ("Lt", "zone", ("5",), False),
        ("Lt", "none", ("5",), False),
        ("Gt", "cores", ("1", "2"), False),
        ("Near", "zone", ("a",), False),
    ],
)
def test_an_affinity_expression_looks_at_one_label(operator: str, key: str, values: Any, fits: bool) -> None:
    spec = required({"matchExpressions": [expression(key, operator, *values)]})
    assert obstacle_of(spec) == ("" if fits else AFFINITY)


@pytest.mark.parametrize(
    ("operator", "key", "value", "fits"),
    [
        ("In", "metadata.name", "edge-1", True),
        ("In", "metadata.name", "edge-2", False),
        ("NotIn", "metadata.name", "edge-2", True),
        ("Exists", "metadata.name", "", False),
        ("NotIn", "metadata.uid", "x", False),
    ],
)
def test_an_affinity_field_is_the_name_of_the_node(operator: str, key: str, value: str, fits: bool) -> None:
    assert obstacle_of(required({"matchFields": [expression(key, operator, value)]})) == ("" if fits else AFFINITY)


def test_one_term_is_enough_and_all_of_a_term_is_needed() -> None:
    right, wrong = expression("zone", "In", "a"), expression("zone", "In", "b")
    assert obstacle_of(required({"matchExpressions": [wrong]}, {"matchExpressions": [right]})) == ""
    assert obstacle_of(required({"matchExpressions": [right, wrong]})) == AFFINITY
    field = {"matchExpressions": [right], "matchFields": [expression("metadata.name", "In", "edge-2")]}
    assert obstacle_of(required(field)) == AFFINITY


def test_an_affinity_that_says_nothing_fits_no_node() -> None:
    assert obstacle_of(required({})) == AFFINITY
    assert obstacle_of(required()) == AFFINITY


@pytest.mark.parametrize(
    ("toleration", "effect", "borne"),
    [
        ({"operator": "Exists"}, "NoSchedule", True),
        ({"key": "k", "operator": "Exists"}, "NoExecute", True),
        ({"key": "k", "value": "v"}, "NoSchedule", True),
        ({"key": "k", "value": "w"}, "NoSchedule", False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, "NoSchedule", False),
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, "NoSchedule", True),
        ({"key": "other", "operator": "Exists"}, "NoSchedule", False),
        ({"value": "v"}, "NoSchedule", False),
        ({"key": "other", "value": "v"}, "PreferNoSchedule", True),
    ],
)
def test_a_taint_keeps_off_who_does_not_bear_it(toleration: Json, effect: str, borne: bool) -> None:
    tainted = {"taints": [{"key": "k", "value": "v", "effect": effect}]}
    expected = "" if borne else "node(s) had untolerated taint {k: v}"
    assert obstacle_of({"tolerations": [toleration]}, spec=tainted) == expected
