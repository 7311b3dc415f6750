"""Every command of the control socket that looks at something, asked of a cloud and an edge that are processes, and typed in a shell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.errors import KubeEdgeActorsError
from tests.e2e.test_twins import report, reported, with_device
from tests.support.cloud_and_edge import CloudAndEdge, ProcessUnderTest
from tests.support.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.kubectl, pytest.mark.mosquitto]


@pytest.fixture
def joined(shared_env: CloudAndEdge) -> Iterator[CloudAndEdge]:
    """A cloud and an edge with a device that has said something."""
    with_device(shared_env)
    report(shared_env, "21")
    eventually(lambda: reported(shared_env) == "21", "reported value in the cloud")
    yield shared_env
    shared_env.out("delete", "device,devicemodel", "--all")
    eventually(lambda: report(shared_env, "20").get("code") == 404, "the device is a member no more")


def typed(side: ProcessUnderTest, *words: str) -> str:
    command = (sys.executable, "-m", "kubeedge_actors", "control", *words, "--data-dir", str(side.data_dir))
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def temperature(devices: list[dict[str, Any]]) -> dict[str, Any]:
    (device,) = devices
    assert (device["namespace"], device["name"]) == ("default", "t1")
    return next(twin for twin in device["twins"] if twin["property"] == "temperature")


def names_of(tree: dict[str, Any]) -> Iterator[str]:
    if tree["kind"] == "actor":
        assert tree["since"] > 1e9
        yield tree["name"]
    for child in tree.get("children", ()):
        yield from names_of(child)


def agree(client: ControlClient) -> bool:
    """Whether all tell of the same actors and databases; while some come or go, two answers need not."""
    facts = client.ask("tree")
    names = list(names_of(facts["tree"]))
    kept = facts["dead_letters_kept"] == len(client.ask("deadletters"))
    measured = set(client.ask("history")["actors"]) == set(names) == set(client.ask("figures")["actors"]["name"])
    return kept and measured and set(facts["databases"]) <= {store["name"] for store in client.ask("stores")}


def test_both_sides_tell_of_everything_that_they_have(joined: CloudAndEdge) -> None:
    for side in (joined.cloud, joined.edge):
        with closing(ControlClient(side.data_dir / SOCKET)) as client:
            eventually(partial(agree, client), f"what {side.data_dir.name} tells agrees")
            for name in names_of(client.ask("tree")["tree"]):
                assert client.ask("actor", actor=name)["name"] == name
            assert any(store["commits"] and store["commit_p99"] > 0 for store in client.ask("stores"))


def test_a_cloud_tells_of_its_nodes_and_twins_and_an_edge_of_its_own(joined: CloudAndEdge) -> None:
    with closing(ControlClient(joined.cloud.data_dir / SOCKET)) as cloud:
        (node,) = cloud.ask("nodes")
        assert node.items() >= {"name": "edge-1", "state": "connected", "kind": "native", "ready": "True"}.items()
        assert min(node["up"], node["down"], node["attempts"], node["since"]) > 0
        assert temperature(cloud.ask("twins"))["actual"] == "21"
        with pytest.raises(KubeEdgeActorsError, match="there is no command 'outbox'"):
            cloud.ask("outbox")
    with closing(ControlClient(joined.edge.data_dir / SOCKET)) as edge:
        assert temperature(edge.ask("twins"))["actual"] == "21"
        waiting = edge.ask("outbox")
        assert (waiting["state"], waiting["waiting"] >= 0, "up" in waiting["traffic"]) == ("connected", True, True)
        devicetwin = edge.ask("actor", actor="devicetwin")
        assert "TwinUpdate" in [row["type"] for row in devicetwin["messages"]]
        assert "eventbus" in [edge["actor"] for edge in devicetwin["from"]]
        assert "edgehub" in [edge["actor"] for edge in devicetwin["to"]]


def test_the_same_is_typed_in_a_shell(joined: CloudAndEdge) -> None:
    for side, words, told in (
        (joined.cloud, ("nodes",), "edge-1"),
        (joined.cloud, ("twins",), "default/t1"),
        (joined.edge, ("twins",), "temperature"),
        (joined.edge, ("outbox",), "messages wait for the cloud"),
        (joined.edge, ("stores",), "edge.db"),
        (joined.edge, ("history", "devicetwin"), "devicetwin"),
        (joined.edge, ("actor", "devicetwin"), "mailbox: 0 of"),
        (joined.edge, ("suspend", "servicebus"), "servicebus: suspended"),
        (joined.edge, ("resume", "servicebus"), "servicebus: resumed"),
    ):
        assert told in typed(side, *words)
        assert words[0] in ("suspend", "resume") or typed(side, *words, "--json").startswith(("[", "{"))
