"""A module of one's own is supervised like every other, and shares no fate with the node."""

from __future__ import annotations

from pathlib import Path

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.drivers.broker.external import ExternalBroker
from tests.support.cloud_and_edge import ProcessUnderTest
from tests.support.plugins.ports import free_ports
from tests.support.waiting import eventually


def test_a_fragile_module_does_not_end_the_node(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    options = (
        "--name",
        "e",
        "--mqtt-port",
        str(port),
        "--runtime",
        "process",
        "--module",
        "tests.support.fakes.failing_module:Fragile",
    )
    edge = ProcessUnderTest("kubeedge_actors.edge", tmp_path / "edge", *options)
    edge.start()
    control, client = ControlClient(tmp_path / "edge" / "control.sock"), ExternalBroker("127.0.0.1", port)
    try:
        client.start()
        for number in range(2):
            client.publish("fragile/a", str(number).encode())
        eventually(lambda: control.ask("tree")["dead_letters"] == 2, "both poison messages are dead letters")
        letters = control.ask("deadletters")
        assert {one["recipient"] for one in letters} == {"fragile"}
        assert all("as fragile as it gets" in one["error"] for one in letters)
        assert edge.process is not None
        assert edge.process.poll() is None
    finally:
        client.close()
        control.close()
        assert edge.stop() == 0
