"""Which node is in which group: whatever groups and nodes there are, all plans together come to rest with each node in one group."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.nodegroup.membership import owner_of, plan_node_group, selects
from kubeedge_actors.kubernetes.well_known import BELONGING_TO, ZONE_LABEL

Json = dict[str, Any]
NODES, GROUPS = ("n1", "n2", "n3"), ("a", "b", "c")
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "place": st.sampled_from(["x", "y"]),
        BELONGING_TO: st.sampled_from([*GROUPS, "gone"]),
        ZONE_LABEL: st.sampled_from(["a", "somewhere"]),
    },
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "nodes": st.lists(st.sampled_from([*NODES, "none-such"]), max_size=3),
        "matchLabels": st.dictionaries(st.just("place"), st.sampled_from(["x", "y"])),
        "topologyEnabled": st.booleans(),
    },
)


def node(name: str, labels: Json) -> Json:
    return {"metadata": {"name": name, "uid": name, "labels": labels}, "status": {}}


def group(name: str, spec: Json, created: str = "2026", *, deleted: bool = False) -> Json:
    metadata = {"name": name, "creationTimestamp": created} | ({"deletionTimestamp": "2027"} if deleted else {})
    return {"metadata": metadata, "spec": spec}


@given(st.fixed_dictionaries(dict.fromkeys(NODES, LABELS)), st.dictionaries(st.sampled_from(GROUPS), SPECS))
def test_all_plans_together_come_to_rest_with_each_node_where_it_belongs(labels: Json, specs: Json) -> None:
    nodes = {name: node(name, copy.deepcopy(labels[name])) for name in NODES}
    groups = {name: group(name, specs[name], created=f"202{at}") for at, name in enumerate(sorted(specs))}
    for _ in range(4):
        plans = {name: plan_node_group(groups[name], groups, nodes.values()) for name in groups}
        for plan in plans.values():
            for name, change in plan.labels.items():
                _merge(nodes[name]["metadata"]["labels"], change)
        for name, plan in plans.items():
            groups[name]["status"] = {"nodeStatuses": plan.statuses}
    plans = {name: plan_node_group(groups[name], groups, nodes.values()) for name in groups}
    assert not any(plan.labels for plan in plans.values()), "nothing is left to do"
    for name, found in nodes.items():
        now, before = found["metadata"]["labels"], labels[name]
        wanting = [key for key in groups if selects(groups[key], found)]
        stale = now.get(BELONGING_TO) not in groups
        assert now.get(BELONGING_TO) in wanting if wanting else stale or BELONGING_TO not in now
        accepted = [key for key in wanting if _status(plans[key].statuses, name)["selectionStatus"] == "Succeeded"]
        assert accepted == ([now[BELONGING_TO]] if wanting else [])
        if before.get(BELONGING_TO) in wanting:
            assert now[BELONGING_TO] == before[BELONGING_TO], "who has it keeps it"
        mine = {BELONGING_TO, ZONE_LABEL}
        assert {key: now[key] for key in now.keys() - mine} == {key: before[key] for key in before.keys() - mine}
        zoned = groups.get(now.get(BELONGING_TO, ""), {}).get("spec", {}).get("topologyEnabled")
        if zoned:
            assert now[ZONE_LABEL] == now[BELONGING_TO]
        elif before.get(ZONE_LABEL) == "somewhere":
            assert now.get(ZONE_LABEL) in ("somewhere", None, *GROUPS)


@given(st.permutations(GROUPS))
def test_the_oldest_group_gets_a_node_whoever_is_looked_at_first(order: list[str]) -> None:
    groups = {name: group(name, {"nodes": ["n1"]}, created=f"20{GROUPS.index(name)}0") for name in order}
    free = node("n1", {})
    assert owner_of(free, groups) == "a"
    for name in order:
        assert plan_node_group(groups[name], groups, [free]).labels == (
            {"n1": {BELONGING_TO: "a"}} if name == "a" else {}
        )


def test_a_group_says_of_each_node_how_it_is() -> None:
    ready = node("n1", {}) | {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    lost = node("n2", {}) | {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    other = node("n3", {BELONGING_TO: "b"}) | {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    groups = {"a": group("a", {"nodes": ["n3", "n4", "n1", "n2"]}), "b": group("b", {"nodes": ["n3"]})}
    rejected = {"selectionStatus": "Failed"}
    assert plan_node_group(groups["a"], groups, [other, lost, ready]).statuses == [
        {"nodeName": "n1", "readyStatus": "Ready", "selectionStatus": "Succeeded"},
        {"nodeName": "n2", "readyStatus": "Unknown", "selectionStatus": "Succeeded"},
        {"nodeName": "n3", "readyStatus": "NotReady", **rejected}
        | {"selectionStatusReason": "node n3 has already belonged to NodeGroup b"},
        {"nodeName": "n4", "readyStatus": "Unknown", **rejected} | {"selectionStatusReason": "node does not exist"},
    ]


def test_a_group_that_is_being_deleted_lets_all_its_nodes_go() -> None:
    groups = {"a": group("a", {"nodes": ["n1"]}, deleted=True), "b": group("b", {"nodes": ["n1", "n2"]})}
    nodes = [node("n1", {BELONGING_TO: "a", ZONE_LABEL: "a"}), node("n2", {})]
    plan = plan_node_group(groups["a"], groups, nodes)
    assert (plan.departures, plan.labels) == (["n1"], {"n1": {BELONGING_TO: None, ZONE_LABEL: None}})
    assert plan_node_group(groups["b"], groups, nodes).labels == {"n2": {BELONGING_TO: "b"}}, "not before it is free"


def test_a_node_that_lost_its_label_in_a_crash_is_still_left_by_the_pods() -> None:
    groups = {"a": group("a", {})}
    groups["a"]["status"] = {"nodeStatuses": [{"nodeName": "n1", "selectionStatus": "Succeeded"}]}
    assert plan_node_group(groups["a"], groups, [node("n1", {})]).departures == ["n1"]


def test_empty_labels_select_nothing() -> None:
    assert not selects(group("a", {"matchLabels": {}}), node("n1", {"place": "x"}))


def _merge(labels: Json, change: Json) -> None:
    for key, value in change.items():
        if value is None:
            labels.pop(key, None)
        else:
            labels[key] = value


def _status(statuses: list[Json], name: str) -> Json:
    return next(status for status in statuses if status["nodeName"] == name)
