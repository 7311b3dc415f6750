"""kill -9 of a real edge node under load, again and again: is an update lost whose result was published?

    python benchmarks/chaos_twin.py [--kills 100] [--cloud-too] [--json]

A cloud and an edge as processes, devices as MQTT clients. Each client counts up a property of its device and takes the
result of each update as its acknowledgement. After each restart it asks for its twin before it says anything: the value
has to be that of the last acknowledged update or a later one. Then it sends again what was not acknowledged, as a device
would. In the end every twin holds the last value, and the DeviceStatus of every device in the cloud is equal to it.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _processes import Process
from _rows import Row, show, skip

from kubeedge_actors.demo.environment import free_ports

TAKES = 300
DEVICES = 8
WINDOW = 16
PREFIX = "$hw/events/device/default/"
MANIFEST = """
apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: {name: counter}
spec: {protocol: mqtt, properties: [{name: count, type: INT, accessMode: ReadOnly}]}
"""
DEVICE = """---
apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: {name: d%d}
spec: {deviceModelRef: {name: counter}, nodeName: edge-1, protocol: {protocolName: mqtt}, properties: [{name: count}]}
"""


class Counter:
    """A device that counts up; `acknowledged` is the last value whose result it has seen."""

    def __init__(self, name: str, port: int) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.name, self.sent, self.acknowledged, self.checks = name, 0, 0, 0
        self.lost: list[tuple[int, int]] = []
        self.unanswered = 0
        """Updates whose result has not come; one that is said again while another copy is on its way would count back."""
        self.asking = True
        """Its twin has been asked for, and the answer has not come: it says all again then."""
        self._free = threading.Semaphore(WINDOW)
        self._open: dict[int, str] = {}
        self._lock = threading.Lock()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.on_connect = lambda *_: self._subscribe()
        self._client.on_subscribe = lambda *_: self._client.publish(f"{PREFIX}{self.name}/twin/get", "{}")
        self._client.on_message = lambda _c, _d, message: self._heard(message.topic, json.loads(message.payload))
        self._stop = threading.Event()
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._count)

    def start(self) -> None:
        """Begin to count."""
        self._thread.start()

    def finish(self) -> None:
        """Count no more, and wait until everything that was sent is acknowledged."""
        self._stop.set()
        self._thread.join()
        deadline = time.monotonic() + 60
        while self._open and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not self._open, f"{self.name}: {len(self._open)} updates were never acknowledged"
        self._client.disconnect()
        self._client.loop_stop()

    def _count(self) -> None:
        while not self._stop.is_set():
            if self._free.acquire(timeout=0.2):
                with self._lock:
                    self.sent += 1
                    self._open[self.sent] = self._payload(self.sent)
                    if not self.asking:
                        self._update(self._open[self.sent])

    def _update(self, payload: str) -> None:
        self.unanswered += 1
        self._client.publish(f"{PREFIX}{self.name}/twin/update", payload)

    @staticmethod
    def _payload(value: int) -> str:
        entry = {"count": {"actual": {"value": str(value)}, "metadata": {"type": "int"}}}
        return json.dumps({"event_id": str(value), "twin": entry})

    def _subscribe(self) -> None:
        with self._lock:
            self.asking, self.unanswered = True, 0
        self._client.subscribe([(f"{PREFIX}{self.name}/twin/{kind}/result", 1) for kind in ("update", "get")])

    def _heard(self, topic: str, said: dict[str, Any]) -> None:
        if topic.endswith("/twin/update/result"):
            self._answered(said)
            return
        value = int(said["twin"]["count"]["actual"]["value"]) if said.get("twin") else 0
        self.checks += 1
        if value < self.acknowledged:
            self.lost.append((self.acknowledged, value))
        self.again()

    def again(self) -> None:
        """The edge is back: what it may not have heard is said again, in order."""
        with self._lock:
            self.asking = False
            for payload in self._open.values():
                self._update(payload)

    def _answered(self, result: dict[str, Any]) -> None:
        with self._lock:
            self.unanswered -= 1
            if "code" in result:  # not a member yet
                return
            value = int(result["event_id"])
            if self._open.pop(value, None) is not None:
                self._free.release()
            self.acknowledged = max(self.acknowledged, value)


class World:
    """The cloud, the edge, kubectl."""

    def __init__(self, folder: Path) -> None:
        api, hub, https, self.mqtt = free_ports(4)
        self.cloud = Process(
            "cloud", folder / "cloud", "--api-port", str(api), "--hub-port", str(hub), "--https-port", str(https)
        )
        self.edge = Process(
            "edge",
            folder / "edge",
            *("--name", "edge-1", "--cloud", f"https://127.0.0.1:{https}", "--hub", f"wss://127.0.0.1:{hub}"),
            *("--token-file", str(folder / "cloud" / "token"), "--mqtt-port", str(self.mqtt), "--runtime", "process"),
        )

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints."""
        command = ("kubectl", "--kubeconfig", str(self.cloud.folder / "kubeconfig"), *arguments)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def reported(self) -> dict[str, str]:
        """The reported count of each device in the cloud."""
        items = json.loads(self.kubectl("get", "devicestatuses", "-o", "json"))["items"]
        return {
            item["metadata"]["name"]: twin["reported"]["value"]
            for item in items
            for twin in (item.get("status") or {}).get("twins") or ()
        }

    def twins(self) -> dict[str, str]:
        """The count of each device at the edge, by `twin/get`."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        answers: queue.Queue[Any] = queue.Queue()
        client, ready = Client(CallbackAPIVersion.VERSION2), threading.Event()
        client.on_message = lambda _c, _d, message: answers.put((message.topic, json.loads(message.payload)))
        client.on_subscribe = lambda *_: ready.set()
        client.connect("127.0.0.1", self.mqtt)
        client.loop_start()
        client.subscribe(f"{PREFIX}+/twin/get/result")
        assert ready.wait(10)
        for number in range(DEVICES):
            client.publish(f"{PREFIX}d{number}/twin/get", "{}")
        found = dict(answers.get(timeout=10) for _ in range(DEVICES))
        client.disconnect()
        client.loop_stop()
        return {topic.split("/")[4]: said["twin"]["count"]["actual"]["value"] for topic, said in found.items()}


def until(condition: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    """Poll until `condition` is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return value


def chaos(folder: Path, kills: int, seed: int = 1, *, cloud_too: bool = False) -> dict[str, float]:
    """Kill the edge so often; what was counted. AssertionError when something was lost."""
    world, chance = World(folder), random.Random(seed)
    counters: list[Counter] = []
    starts: list[float] = []
    try:
        world.cloud.start()
        world.edge.start()
        world.kubectl("apply", "-f", "-", stdin=MANIFEST + "".join(DEVICE % number for number in range(DEVICES)))
        counters += [Counter(f"d{number}", world.mqtt) for number in range(DEVICES)]
        for counter in counters:
            counter.start()
        until(lambda: all(each.acknowledged for each in counters) or _nudge(counters), "all devices are members")
        for number in range(kills):
            time.sleep(chance.uniform(0.2, 1.2))
            if cloud_too and number % 3 == 2:
                world.cloud.kill()
                world.cloud.start()
                time.sleep(chance.uniform(0.0, 0.5))
            world.edge.kill()
            starts.append(world.edge.start())
        time.sleep(1.0)
        for counter in counters:
            counter.finish()
        twins = world.twins()
        assert twins == {each.name: str(each.sent) for each in counters}, "the twins do not hold what was said last"
        lost = [(each.name, *pair) for each in counters for pair in each.lost]
        begin = time.monotonic()
        until(lambda: world.reported() == twins, f"cloud equals edge: {world.reported()} and {twins}")
        settled = time.monotonic() - begin
        assert not lost, f"acknowledged updates were lost: {lost}"
        acknowledged = sum(each.acknowledged for each in counters)
        return {
            "kills": kills,
            "acknowledged": acknowledged,
            "checks": sum(each.checks for each in counters),
            "start": max(starts),
            "settled": settled,
        }
    finally:
        for counter in counters:
            counter._stop.set()
        world.edge.stop()
        world.cloud.stop()


def _nudge(counters: list[Counter]) -> bool:
    """Say again what was refused because the device was not a member yet."""
    for each in counters:
        if not each.acknowledged and not each.unanswered and not each.asking:
            each.again()
    return False


def main() -> None:
    """Run and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--cloud-too", action="store_true", help="kill the cloud as well, before each third kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON list")
    arguments = parser.parse_args()
    if shutil.which("kubectl") is None:
        skip("kubectl is not installed")
    with tempfile.TemporaryDirectory() as folder:
        got = chaos(Path(folder), arguments.kills, arguments.seed, cloud_too=arguments.cloud_too)
    rows = [
        Row("kill -9 of the edge under load", got["kills"], ""),
        Row("updates acknowledged", got["acknowledged"], ""),
        Row("checks after a kill, none of which found one lost", got["checks"], ""),
        Row("slowest start after a kill", got["start"], "s"),
        Row("cloud equal to edge after the end", got["settled"], "s"),
    ]
    show("Twins under kill -9", rows)


if __name__ == "__main__":
    main()
