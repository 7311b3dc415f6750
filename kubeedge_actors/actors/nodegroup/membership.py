"""Which node is in which NodeGroup: groups and nodes in, a plan for one group out. Pure.

A node is in one group at most, the one of its label; a second that selects it says so in its status. Of several that select a node without
label the oldest gets it, whoever is looked at first.

Source: KubeEdge cloud/pkg/controllermanager/nodegroup/nodegroupcontroller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kubeedge_actors.kubernetes.objects import get_condition
from kubeedge_actors.kubernetes.well_known import BELONGING_TO, ZONE_LABEL

Json = dict[str, Any]

FINALIZER = "apps.kubeedge.io/nodegroup-controller"
READY_STATUS = {"True": "Ready", "False": "NotReady"}
UNKNOWN, SUCCEEDED, REJECTED = "Unknown", "Succeeded", "Failed"
NO_NODE = "node does not exist"


class NodeGroupPlan(NamedTuple):
    """What one group has to do: nodes that have left it (their pods of this group are to be ended), the labels to change of nodes by name (None removes
    one), and its `nodeStatuses`.
    """

    departures: list[str]
    labels: dict[str, Json]
    statuses: list[Json]


def selects(group: Json, node: Json) -> bool:
    """Whether a v1alpha1 NodeGroup asks for a v1.Node. Empty `matchLabels` ask for none."""
    spec = group.get("spec") or {}
    if node["metadata"]["name"] in (spec.get("nodes") or ()):
        return True
    wanted: Json = spec.get("matchLabels") or {}
    return bool(wanted) and wanted.items() <= labels_of(node).items()


def labels_of(node: Json) -> Json:
    """The labels of a node."""
    labels: Json = node["metadata"].get("labels") or {}
    return labels


def ready_status(node: Json) -> str:
    """How a node is, in the words of a NodeGroup's status."""
    return READY_STATUS.get(str(get_condition(node, "Ready").get("status")), UNKNOWN)


def is_terminating(group: Json) -> bool:
    """Whether its deletion has begun."""
    return bool(group["metadata"].get("deletionTimestamp"))


def owner_of(node: Json, groups: Mapping[str, Json]) -> str:
    """The group that a node is in, or is to be in; empty for none. A label with the name of no group does not count."""
    current = labels_of(node).get(BELONGING_TO)
    if current in groups:
        return str(current)
    candidates = (group for group in groups.values() if not is_terminating(group) and selects(group, node))
    oldest = min(candidates, key=_age, default=None)
    return str(oldest["metadata"]["name"]) if oldest is not None else ""


def _age(group: Json) -> tuple[str, str]:
    metadata = group["metadata"]
    return str(metadata.get("creationTimestamp") or ""), str(metadata["name"])


def plan_node_group(group: Json, groups: Mapping[str, Json], nodes: Iterable[Json]) -> NodeGroupPlan:
    """The plan for one of the `groups` (by name); one that is being deleted selects nothing any more."""
    name, by_name = str(group["metadata"]["name"]), {str(node["metadata"]["name"]): node for node in nodes}
    selected = {} if is_terminating(group) else {key: node for key, node in by_name.items() if selects(group, node)}
    departures = sorted(_departures(group, by_name, selected))
    labels = {key: _removed(by_name[key], name) for key in departures}
    owners = {key: owner_of(node, groups) for key, node in selected.items()}
    zoned = bool((group.get("spec") or {}).get("topologyEnabled"))
    labels |= {key: _wanted(node, name, zoned) for key, node in selected.items() if owners[key] == name}
    statuses = [_status(node, owners[key], name) for key, node in selected.items()]
    wanted = () if is_terminating(group) else (group.get("spec") or {}).get("nodes") or ()
    statuses += [_missing(key) for key in set(wanted) - by_name.keys()]
    changes = {key: change for key, change in labels.items() if change}
    return NodeGroupPlan(departures, changes, sorted(statuses, key=lambda status: str(status["nodeName"])))


def _departures(group: Json, nodes: Mapping[str, Json], selected: Mapping[str, Json]) -> Iterator[str]:
    """Nodes with the group's label, and those that its status still has without it: there a crash came before their pods were ended."""
    name = group["metadata"]["name"]
    known = ((group.get("status") or {}).get("nodeStatuses")) or ()
    members = {str(each.get("nodeName")) for each in known if each.get("selectionStatus") == SUCCEEDED}
    for key, node in nodes.items():
        if key not in selected and (labels_of(node).get(BELONGING_TO) == name or key in members):
            yield key


def _removed(node: Json, group: str) -> Json:
    return {key: None for key in (BELONGING_TO, ZONE_LABEL) if labels_of(node).get(key) == group}


def _wanted(node: Json, group: str, zoned: bool) -> Json:
    labels = labels_of(node)
    change: Json = {} if labels.get(BELONGING_TO) == group else {BELONGING_TO: group}
    if zoned and labels.get(ZONE_LABEL) != group:
        change[ZONE_LABEL] = group
    elif not zoned and labels.get(ZONE_LABEL) == group:
        change[ZONE_LABEL] = None
    return change


def _status(node: Json, owner: str, group: str) -> Json:
    status = {"nodeName": node["metadata"]["name"], "readyStatus": ready_status(node)}
    if owner == group:
        return {**status, "selectionStatus": SUCCEEDED}
    reason = f"node {node['metadata']['name']} has already belonged to NodeGroup {owner}"
    return {**status, "selectionStatus": REJECTED, "selectionStatusReason": reason}


def _missing(name: str) -> Json:
    rejected = {"selectionStatus": REJECTED, "selectionStatusReason": NO_NODE}
    return {"nodeName": name, "readyStatus": UNKNOWN, **rejected}


def refused(status: Json, refusals: Mapping[str, str]) -> Json:
    """A node's status when the API refuses its label; `refusals`: by node, empty where it does not."""
    reason = refusals.get(str(status["nodeName"]))
    return {**status, "selectionStatus": REJECTED, "selectionStatusReason": reason} if reason else status
