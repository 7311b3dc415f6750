"""An edge node with many devices: how long it takes to start from its database, what it holds in memory, how fast it is.

    python benchmarks/many_twins.py [--json] [--devices 10000] [--properties 10]

The edge is the real command, alone, with a database as MetaManager and DeviceTwin leave it: an object, twins and desired
values of each device. The updates come from one paho client, 64 on their way at once, to each device in turn, so each one
finds the twins of its device out of memory: the worst case. The baseline is the same with an empty database.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import closing
from pathlib import Path

from _processes import Process
from _rows import Row, show
from _twin_load import update

from kubeedge_actors.demo.environment import free_ports
from kubeedge_actors.drivers.store.base import DesiredRow, DeviceRow, MetaRow, TwinChanges, TwinRow
from kubeedge_actors.drivers.store.sqlite import SqliteStore

TAKES = 60
PAGE = 500
UPDATES = 20_000
STAMP, CLOUD, EDGE = '{"timestamp":1785999999123}', '{"cloud":1,"edge":0}', '{"cloud":0,"edge":4}'


def fill(path: Path, devices: int, properties: int) -> None:
    """A database with so many devices."""
    path.mkdir(mode=0o700)
    names = [f"p{number}" for number in range(properties)]
    with closing(SqliteStore(path / "edge.db")) as store:
        for start in range(0, devices, PAGE):
            ids = [f"default/d{number}" for number in range(start, min(start + PAGE, devices))]
            store.meta.put([MetaRow(f"default/device/{id.split('/')[1]}", "device", _object(id, names)) for id in ids])
            store.twin.apply(
                TwinChanges(
                    devices=[DeviceRow(id, id.split("/")[1]) for id in ids],
                    twins=[TwinRow(id, name, "on", "off", STAMP, STAMP, CLOUD, EDGE) for id in ids for name in names],
                    desired=[DesiredRow(id, name, "on") for id in ids for name in names],
                )
            )


def _object(id: str, names: list[str]) -> str:
    namespace, name = id.split("/")
    visitors = {"protocolName": "modbus", "configData": {"offset": 1, "register": "CoilRegister"}}
    properties = [
        {"name": each, "desired": {"value": "on"}, "visitors": visitors, "collectCycle": 1000, "reportToCloud": True}
        for each in names
    ]
    spec = {"nodeName": "edge-1", "deviceModelRef": {"name": "m"}, "properties": properties}
    metadata = {"name": name, "namespace": namespace, "uid": "0" * 36, "resourceVersion": "1"}
    return json.dumps(
        {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "metadata": metadata, "spec": spec}
    )


def measured(folder: Path, devices: int) -> dict[str, float]:
    """Start an edge on this database, and update its devices if it has some; seconds, MiB, updates a second, ms."""
    (port,) = free_ports(1)
    options = ("--mqtt-port", str(port), "--name", "edge-1", "--runtime", "process")
    with Process("edge", folder, *options) as edge:
        got = {"start": edge.seconds}
        time.sleep(2.0)
        got["memory"] = edge.memory()["Rss"]
        if devices:
            got |= update(port, devices, UPDATES)
            got["busy"] = edge.memory()["Rss"]
        return got


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON list")
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--properties", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "empty", 0, 0)
        fill(Path(folder) / "full", arguments.devices, arguments.properties)
        empty, full = measured(Path(folder) / "empty", 0), measured(Path(folder) / "full", arguments.devices)
    label = f"{arguments.devices:,} x {arguments.properties}"
    rows = [
        Row(f"{label}: start to ready", full["start"], "s", "<= 2 s", empty["start"], empty["start"] / full["start"]),
        Row(f"{label}: memory after the start", full["memory"], "MiB", None, empty["memory"]),
        Row(f"{label}: memory after an update of each", full["busy"], "MiB", None, empty["memory"]),
        Row(f"{label}: updates of each device in turn", full["rate"], "1/s"),
        Row(f"{label}: p50", full["p50"], "ms"),
        Row(f"{label}: p99", full["p99"], "ms"),
    ]
    show("An edge node with many devices", rows)


if __name__ == "__main__":
    main()
