"""What the control socket tells of nodes, twins and the outbox, read from memory and from the node's database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.cloudhub.node_links import MAX_LINKS, NodeLinks
from kubeedge_actors.actors.cloudhub.session import NodeSession
from kubeedge_actors.actors.cloudhub.traffic import UP, TrafficCounters
from kubeedge_actors.assembly.queries import cloud, edge
from kubeedge_actors.assembly.queries.cloud import CloudStates
from kubeedge_actors.control.process_info import ProcessInfo
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.drivers.store.base import DeviceRow, HistoryRow, NodeBacklog, OutboxRow, TwinChanges, TwinRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.drivers.store.node_outbox import NodeOutboxDb
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import UsageError
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import NODE_KIND
from kubeedge_actors.wire.beehive import Route

MS = 1_700_000_000_000
FRAME = json.dumps(
    {"header": {"msg_id": "m", "timestamp": MS}, "route": {"source": "edged", "resource": "default/pod/p"}}
)


@pytest.fixture(params=["fake", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeStore | SqliteStore]:
    store = FakeStore() if request.param == "fake" else SqliteStore(tmp_path / "edge.db")
    yield store
    store.close()


def twin(name: str, **fields: Any) -> TwinRow:
    return TwinRow("default/t1", name, **fields)


def test_twins_of_a_node_come_from_its_database(store: FakeStore | SqliteStore) -> None:
    stamp = json.dumps({"timestamp": MS})
    store.twin.apply(
        TwinChanges(
            devices=[
                DeviceRow("default/t1", "t1", state="online", last_online="2023-11-14T22:13:20Z"),
                DeviceRow("plain", ""),
            ],
            twins=[
                twin("same", expected="1", actual="1", expected_meta=stamp, actual_meta=stamp),
                twin("other", expected="2", actual="1", actual_meta="not JSON"),
                twin("gone", expected="2", attr_type="deleted"),
                twin("wanted", expected="2"),
            ],
            history=[HistoryRow("default/t1", "same", n, n, MS + n * 1000, None, str(n)) for n in range(40)],
        )
    )
    first, second = edge.twins(store.twin, {})
    assert {name: first[name] for name in ("name", "namespace", "state", "last_online")} == {
        "name": "t1", "namespace": "default", "state": "online", "last_online": 1_700_000_000.0,
    }  # fmt: skip
    found = {each["property"]: each for each in first["twins"]}
    assert {name: each["delta"] for name, each in found.items()} == {"same": False, "other": True, "wanted": True}
    assert (found["same"]["actual_at"], found["other"]["actual_at"]) == (1_700_000_000.0, None)
    assert found["same"]["history"][-1] == [1_700_000_039.0, "39"]
    assert len(found["same"]["history"]) == edge.HISTORY_VALUES
    assert (second["name"], second["namespace"], second["last_online"], second["twins"]) == ("plain", "", None, [])
    assert [each["name"] for each in edge.twins(store.twin, {"device": "default/t1"})] == ["t1"]
    assert edge.twins(store.twin, {"namespace": "elsewhere"}) == []
    assert len(edge.twins(store.twin, {"limit": 1})) == 1
    for odd in (0, -1, True, "many", 10**9):
        with pytest.raises(UsageError, match="`limit` says how many"):
            edge.twins(store.twin, {"limit": odd})


def test_the_outbox_by_lane_and_kind(store: FakeStore | SqliteStore, tmp_path: Path) -> None:
    link = {"state": "down", "since": 1.0, "attempts": 3, "reason": "refused", "url": "wss://cloud"}
    info = ProcessInfo("edge", "e", tmp_path, lambda: link, lambda: {"up": {}, "down": {}})
    empty = edge.outbox(store.outbox, info, {})
    assert (empty["waiting"], empty["bytes"], empty["oldest"], empty["lanes"]) == (0, 0, None, [])
    rows = [OutboxRow(f"m{number}", FRAME) for number in range(3)]
    store.outbox.apply([*rows, OutboxRow("r", FRAME, key="t1"), OutboxRow("odd", "no frame")], [])
    told = edge.outbox(store.outbox, info, {})
    assert told.items() >= {**link, "waiting": 5, "looked_at": 5}.items()
    lanes = {(each["lane"], each["kind"]): each for each in told["lanes"]}
    assert {key: each["waiting"] for key, each in lanes.items()} == {
        ("messages", "edged/pod"): 3, ("reports", "edged/pod"): 1, ("messages", "malformed"): 1,
    }  # fmt: skip
    assert lanes["messages", "edged/pod"]["bytes"] == 3 * len(FRAME)
    assert lanes["messages", "malformed"]["oldest"] is None
    assert told["oldest"] == lanes["messages", "edged/pod"]["oldest"] > 1e6
    alone = edge.outbox(store.outbox, ProcessInfo("edge", "e", tmp_path), {})
    assert (alone["state"], alone["traffic"]) == ("none", {})


def test_of_a_full_outbox_only_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(edge, "LOOKED_AT", 2)
    store = FakeStore()
    store.outbox.apply([OutboxRow(f"m{number}", FRAME) for number in range(5)], [])
    told = edge.outbox(store.outbox, ProcessInfo("edge", "e", tmp_path), {})
    assert (told["waiting"], told["looked_at"], told["bytes"]) == (5, 2, 2 * len(FRAME))


def session(node: str, number: int = 1) -> NodeSession:
    return NodeSession(node, Peer(number, "/", {}, address=f"10.0.0.{number}"), 0.0)


def test_nodes_are_those_of_the_cluster_and_those_that_are_connected() -> None:
    cluster = FakeCluster()
    node: dict[str, Any] = {
        "metadata": {"name": "away", "labels": {well_known.EDGE_LABEL: ""}},
        "status": {"conditions": [{"type": "Ready", "status": "False"}], "nodeInfo": {"kubeletVersion": "v1.29"}},
    }  # fmt: skip
    cluster.create(NODE_KIND, "", node)
    states = CloudStates.of(cluster, NodeOutboxDb(":memory:"), TrafficCounters())
    assert cloud.nodes(states.traffic.links, states.outbox, {}) == [], "the watch has not begun"
    states.outbox.start(lambda: None)
    states.outbox.backlogs["there"] = NodeBacklog(2, 100)
    states.traffic.links.on_opened(session("there"), 50.0)
    states.traffic.count(UP, Route(source="edged", resource="a/b/c"), "x" * 10, "there")
    away, there = cloud.nodes(states.traffic.links, states.outbox, {})
    assert (
        away.items()
        >= {"name": "away", "state": "disconnected", "since": None, "ready": "False", "version": "v1.29"}.items()
    )
    told = {"name": "there", "state": "connected", "since": 50.0, "attempts": 1, "up": 10, "down": 0, "backlog": 2}
    assert (
        there.items() >= {**told, "kind": "genuine", "address": "10.0.0.1", "ready": "Unknown", "version": ""}.items()
    )
    states.outbox.stop()


def test_a_link_knows_since_when_and_why() -> None:
    links, first, second = NodeLinks(), session("n", 1), session("n", 2)
    links.on_opened(first, 10.0)
    links.on_opened(NodeSession("n", first.peer, 0.0), 20.0)  # the hub was restarted
    assert (links.views()["n"]["since"], links.views()["n"]["attempts"]) == (10.0, 1)
    links.on_opened(second, 30.0)
    links.on_closed(first, "late", 40.0)
    assert (links.views()["n"]["state"], links.views()["n"]["since"]) == ("connected", 30.0)
    links.on_closed(second, "no heart-beat", 50.0)
    view = links.views()["n"]
    assert (view["state"], view["since"], view["reason"], view["attempts"]) == (
        "disconnected",
        50.0,
        "no heart-beat",
        2,
    )
    links.count(UP, "nobody", 5)
    assert list(links.views()) == ["n"]


def test_links_of_nodes_that_are_away_are_forgotten_beyond_a_bound() -> None:
    links = NodeLinks()
    for number in range(MAX_LINKS + 5):
        each = session(f"n{number}")
        links.on_opened(each, 1.0)
        links.on_closed(each, "gone", 2.0)
    assert len(links.views()) == MAX_LINKS
    assert "n0" not in links.views()


def test_twins_of_a_cloud_are_what_is_wanted_and_what_was_reported() -> None:
    states = CloudStates.of(FakeCluster(), NodeOutboxDb(":memory:"), TrafficCounters()).devices
    properties = [{"name": "t", "desired": {"value": "20"}}, {"name": "u"}]
    device: dict[str, Any] = {
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {"nodeName": "edge-1", "properties": properties},
        "status": {"twins": [{"propertyName": "u", "reported": {"value": "old"}}]},
    }
    states.controller.downstream.devices["default/d"] = device
    (told,) = cloud.twins(states, {})
    assert (told["name"], told["node"], told["state"]) == ("d", "edge-1", "")
    assert [each["actual"] for each in told["twins"]] == [None, "old"], "as a process before has written it"
    twins = [
        {
            "propertyName": "t",
            "reported": {"value": "19", "metadata": {"timestamp": str(MS)}},
            "observedDesired": {"value": ""},
        }
    ]
    states.writers.known["default/d"] = {
        "status": {"state": "online", "lastOnlineTime": "2023-11-14T22:13:20Z", "twins": twins}
    }
    (told,) = cloud.twins(states, {"device": "d"})
    assert (told["state"], told["last_online"]) == ("online", 1_700_000_000.0)
    first = told["twins"][0]
    assert (first["actual"], first["actual_at"], first["expected"], first["delta"]) == (
        "19",
        1_700_000_000.0,
        "20",
        True,
    )
    assert told["twins"][1]["delta"] is False
