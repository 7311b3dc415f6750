"""kill -9 of a real edge under load, again and again: has a durable module counted every acknowledged update, and each once?

    python benchmarks/chaos_durable.py [--kills 30] [--seed 1] [--json]

A device updates its twin with QoS 1, each time with the next number. An update is *acknowledged* when its PUBACK is there; what is not
acknowledged is sent again after a reconnect, as MQTT says. A module with a durable mailbox counts in its store the numbers that it is told, once
each, and how many messages that were: an update that came twice, because its PUBACK was lost, is two messages of one number.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
from _processes import Process
from _rows import Row, show
from many_twins import fill

from kubeedge_actors.demo.environment import free_ports
from kubeedge_actors.drivers.store.mailboxes import FILE, MailboxFile

TAKES = 120
WINDOW = 64
PATIENCE = 120.0
MODULE = """
from kubeedge_actors import MailboxSpec, Module, TwinUpdated, on

class Counting(Module):
    name, mailbox = "counting", MailboxSpec(durable=True)
    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        number = update.twin["p1"]["actual"]["value"]
        self.store.put("messages", self.store.get("messages", 0) + 1)
        if not self.store.get(f"number/{number}", False):
            self.store.put(f"number/{number}", True)
            self.store.put("count", self.store.get("count", 0) + 1)
"""


class Device:
    """Updates its twin without a pause; `acknowledged`: how many PUBACKs came."""

    def __init__(self, port: int) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.sent = self.acknowledged = 0
        self._free, self._stop = threading.Semaphore(WINDOW), threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="device", clean_session=False)
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.max_inflight_messages_set(WINDOW)
        self._client.on_publish = lambda *_: self._acked()
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._update)
        self._thread.start()

    def _acked(self) -> None:
        self.acknowledged += 1
        self._free.release()

    def _update(self) -> None:
        while not self._stop.is_set():
            if self._free.acquire(timeout=0.1):
                self.sent += 1
                payload = f'{{"event_id":"{self.sent}","twin":{{"p1":{{"actual":{{"value":"{self.sent}"}}}}}}}}'
                self._client.publish("$hw/events/device/default/d0/twin/update", payload, qos=1)

    def finish(self) -> None:
        """Send no more, and wait until everything is acknowledged."""
        self._stop.set()
        self._thread.join()
        _until(lambda: self.acknowledged == self.sent)
        self._client.disconnect()
        self._client.loop_stop()


def _until(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def _waiting(edge: Process) -> int:
    nodes = [edge.tree()["tree"]]
    while nodes:
        node = nodes.pop()
        if node.get("name") == "counting":
            return int(node["depth"]) + bool(node["busy"])
        nodes += node.get("children", [])
    return 1


def stored(folder: Path) -> tuple[int, int]:
    """Numbers and messages that the module has counted, of an edge that has ended."""
    file = MailboxFile(folder / FILE)
    file.open()
    found = [file.stored("counting", key) for key in ("count", "messages")]
    file.close()
    count, messages = (msgspec.msgpack.decode(each or b"\x00", type=int) for each in found)
    return count, messages


def killed(folder: Path, kills: int, chance: random.Random) -> dict[str, int]:
    """Kill an edge so often; what was acknowledged and what was counted."""
    (folder / "counting_module.py").write_text(MODULE, encoding="utf-8")
    data = folder / "edge"
    fill(data, 1, 2)
    (port,) = free_ports(1)
    options = (
        "--mqtt-port",
        str(port),
        "--name",
        "edge-1",
        "--runtime",
        "process",
        "--module",
        "counting_module:Counting",
    )
    edge = Process("edge", data, *options, environment={"PYTHONPATH": str(folder)})
    edge.start()
    device = Device(port)
    for _ in range(kills):
        reached = device.acknowledged + chance.randint(1, 400)
        _until(lambda reached=reached: device.acknowledged >= reached)
        edge.kill()
        edge.start()
    device.finish()
    _until(lambda: _waiting(edge) == 0)
    edge.stop()
    count, messages = stored(data)
    return {"acknowledged": device.acknowledged, "count": count, "messages": messages}


def main() -> int:
    """Kill, count and show; 1 when the count is not that of the acknowledged updates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON list")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = killed(Path(name), arguments.kills, random.Random(arguments.seed))
    rows = [
        Row(f"updates acknowledged over {arguments.kills} kill -9", found["acknowledged"], "updates"),
        Row("of them not counted, or counted twice", abs(found["acknowledged"] - found["count"]), "updates", "<= 0"),
        Row("messages that it handled for them", found["messages"], "messages"),
    ]
    show("kill -9 of an edge with a durable module", rows)
    return int(found["count"] != found["acknowledged"])


if __name__ == "__main__":
    sys.exit(main())
