"""What modules of a user do to the twins of a node: twin rate and latency beside listeners, good and bad ones.

    python benchmarks/neighbours.py [--json] [--updates 6000]

The edge is the real command, alone, with one device. 64 updates of one paho client are on their way at once. The baseline of each row is the
same without any module, in this run; a bad module may cost what its processor time costs, but nobody waits for it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from _processes import Process
from _rows import Row, show
from _twin_load import update
from many_twins import fill

from kubeedge_actors.demo.environment import free_ports

TAKES = 60
MODULES = """
import os, sys, time
from kubeedge_actors import Module, TwinUpdated, TwinUpdate, MqttPublish, on
from kubeedge_actors.supervisors import MailboxSpec

class Listener(Module):
    count = 0
    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        self.count += 1

class Durable(Listener):
    name, mailbox = "durable", MailboxSpec(durable=True)

class Counting(Module):
    name, mailbox = "counting", MailboxSpec(durable=True)
    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        self.store.put("count", self.store.get("count", 0) + 1)

class Slow(Module):
    name = "slow"
    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        time.sleep(1.0)

class Hangs(Module):
    name = "hangs"
    @classmethod
    def spec(cls, factory=None, **overrides):
        return super().spec(factory, **{"handler_deadline": 1.0, **overrides})
    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        time.sleep(3600)

class Raises(Module):
    name = "raises"
    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        raise ValueError("bad")

class Nonsense(Module):
    name, emits = "nonsense", (TwinUpdate, MqttPublish)
    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        self.publish(MqttPublish(topic="x", payload="hot"))

for number in range(10):
    globals()[f"Listener{number}"] = type(f"Listener{number}", (Listener,), {"name": f"listener{number}", "__module__": __name__})
"""
LISTENERS = tuple(f"Listener{number}" for number in range(10))
CASES: dict[str, tuple[str, ...]] = {
    "no module": (),
    "1 listener": LISTENERS[:1],
    "10 listeners": LISTENERS,
    "1 durable": ("Durable",),
    "1 durable that stores": ("Counting",),
    "1 slow": ("Slow",),
    "1 that hangs": ("Hangs",),
    "1 slow in its process": ("Slow@process",),
    "1 of each bad kind": ("Slow", "Hangs", "Raises", "Nonsense"),
}


def measured(folder: Path, modules: tuple[str, ...], updates: int) -> dict[str, float]:
    """Rate and latencies of an edge with these modules on board."""
    fill(folder, 1, 2)
    (port,) = free_ports(1)
    given = [word for name in modules for word in ("--module", f"neighbour_modules:{name}")]
    options = ("--mqtt-port", str(port), "--name", "edge-1", "--runtime", "process", *given)
    with Process("edge", folder, *options, environment={"PYTHONPATH": str(folder.parent)}):
        return update(port, 1, updates)


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON list")
    parser.add_argument("--updates", type=int, default=6_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "neighbour_modules.py").write_text(MODULES, encoding="utf-8")
        got = {
            case: measured(folder / str(number), modules, arguments.updates)
            for number, (case, modules) in enumerate(CASES.items())
        }
    none = got.pop("no module")
    rows = [Row("no module: twin updates", none["rate"], "1/s"), Row("no module: p99", none["p99"], "ms")]
    for case, found in got.items():
        rows.append(
            Row(f"{case}: twin updates", found["rate"], "1/s", None, none["rate"], found["rate"] / none["rate"])
        )
        ratio = found["p99"] / none["p99"]
        rows.append(Row(f"{case}: p99", found["p99"], "ms", "<= 3x", none["p99"], ratio))
    show("Modules of a user beside the twins of a node", rows)


if __name__ == "__main__":
    main()
