"""Answers of a cloud: its nodes and their links, its devices. Made of what the hub and the controllers have in memory: nobody is asked."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from kubeedge_actors.actors.cloudhub.node_links import DISCONNECTED, NodeLinks
from kubeedge_actors.actors.cloudhub.node_outbox import NodeOutboxState
from kubeedge_actors.actors.cloudhub.traffic import TrafficCounters
from kubeedge_actors.actors.devicecontroller.controller import DeviceStates
from kubeedge_actors.assembly.queries.devices import DeviceQuery, parse_last_online, seconds_of_ms
from kubeedge_actors.control.streams import MoreCommands
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.store.base import NodeOutboxStore
from kubeedge_actors.wire import constants

Json = dict[str, Any]
UNKNOWN = "Unknown"


class CloudStates(NamedTuple):
    """What the commands look at: states that outlive the crashes of their actors."""

    traffic: TrafficCounters
    outbox: NodeOutboxState
    devices: DeviceStates

    @classmethod
    def of(cls, cluster: Cluster, outbox: NodeOutboxStore, traffic: TrafficCounters) -> CloudStates:
        """Fresh ones, for the actors of one cloud."""
        counts = traffic.outcome_counter(constants.DEVICECONTROLLER)
        return cls(traffic, NodeOutboxState(cluster, outbox), DeviceStates.of(cluster, counts))

    def commands(self) -> MoreCommands:
        """The questions about nodes and twins."""
        return MoreCommands(
            {"nodes": partial(nodes, self.traffic.links, self.outbox), "twins": partial(twins, self.devices)}, {}
        )


# --- nodes ------------------------------------------------------------------------------------------------------------


def nodes(links: NodeLinks, outbox: NodeOutboxState, request: Json) -> list[Json]:
    """Every node that the cluster has or that is connected, by name."""
    found, objects = links.views(), {object["metadata"]["name"]: object for object in outbox.node_objects()}
    backlogs = outbox.backlogs
    names = sorted({*objects, *(name for name, link in found.items() if link["state"] != DISCONNECTED)})
    rows = []
    for name in names:
        link = found.get(name) or _never_seen()
        waiting = backlogs.get(name)
        rows.append(
            {"name": name, **link, "backlog": link["backlog"] + (0 if waiting is None else waiting.count)}
            | _of_object(objects.get(name) or {})
        )
    return rows


def _never_seen() -> Json:
    """The link of a node that has not come since the process began."""
    return {"state": DISCONNECTED, "since": None, "attempts": 0, "up": 0, "down": 0} | {
        "backlog": 0, "kind": "", "address": "", "reason": "",
    }  # fmt: skip


def _of_object(node: Json) -> Json:
    status = node.get("status") or {}
    ready = [each.get("status") for each in status.get("conditions") or () if each.get("type") == "Ready"]
    return {
        "version": (status.get("nodeInfo") or {}).get("kubeletVersion", ""),
        "ready": ready[0] if ready else UNKNOWN,
    }


# --- twins ------------------------------------------------------------------------------------------------------------


def twins(states: DeviceStates, request: Json) -> list[Json]:
    """The devices of all nodes, as their statuses were last written. Error: UsageError."""
    known = dict(states.controller.downstream.devices)
    return [_device(known[id], states.status_of(id)) for id in DeviceQuery.of(request).chosen(sorted(known), str)]


def _device(device: Json, status: Json) -> Json:
    metadata, spec = device.get("metadata") or {}, device.get("spec") or {}
    desired = {each.get("name"): (each.get("desired") or {}).get("value") for each in spec.get("properties") or ()}
    reported = {each.get("propertyName"): each for each in status.get("twins") or ()}
    names = list(dict.fromkeys([*desired, *reported]))
    return {
        "name": metadata.get("name", ""),
        "namespace": metadata.get("namespace", ""),
        "node": spec.get("nodeName", ""),
        "state": status.get("state") or "",
        "last_online": parse_last_online(status.get("lastOnlineTime")),
        "twins": [_twin(str(name), reported.get(name) or {}, desired.get(name)) for name in names],
    }


def _twin(name: str, twin: Json, desired: Any) -> Json:
    (actual, actual_at), (observed, expected_at) = _side(twin.get("reported")), _side(twin.get("observedDesired"))
    expected = observed if desired in (None, "") else str(desired)
    return {
        "property": name,
        "actual": actual,
        "actual_at": actual_at,
        "expected": expected,
        "expected_at": expected_at,
        "delta": expected not in (None, actual),
        "history": [],
    }


def _side(side: Any) -> tuple[str | None, float | None]:
    """Value and moment of one side of a twin; an empty value is none."""
    if not isinstance(side, dict):
        return None, None
    metadata = side.get("metadata")
    stamp = metadata.get("timestamp") if isinstance(metadata, dict) else None
    return side.get("value") or None, seconds_of_ms(stamp)
