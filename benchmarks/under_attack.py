"""What one hostile node does to the twins of another: the p99 of a twin under attack beside the same run without one.

    python benchmarks/under_attack.py [--json] [--updates 1000]

A real cloud, and a real edge whose twins are reported by one paho client, one at a time. Measured are the time until the node has answered,
and until the API's watch tells the new value. The attacks come from a joined node, a stranger at the cloud's ports and an MQTT client of the
edge, each a process at the lowest priority (on another machine it would take none of this one's time): heads and bodies without an end and silent
connections, at 6443 and 10002; reports of devices that do not exist, and of those that do; SUBSCRIBEs over 10,000 retained messages; PUBLISHes of QoS 0 that nobody asked for.
The baseline is measured before and after. A p99 hangs on the slowest hundredth: of 1,000 updates on ten.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from _processes import PATIENCE, Pair
from _rows import Row, show

from kubeedge_actors.demo.environment import read_first_line, terminate
from kubeedge_actors.drivers.bootstrap.certificate_manager import CertificateManager
from kubeedge_actors.drivers.cluster.base import WatchEvent
from kubeedge_actors.drivers.cluster.client_config import from_kubeconfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.kubernetes.object_types import DEVICE_KIND, DEVICEMODEL_KIND

TAKES = 200
DEVICES = 64
"""Reported in turn: a device's status is written every 200 ms at most, and none of them comes that soon again."""
ENEMY, ENEMYS = "enemy", tuple(f"e{number}" for number in range(DEVICES))
"""The node that attacks, and its devices."""
RETAINED = 10_000
WARM_UP = 50
ATTACKS = Path(__file__).with_name("_attacks.py")
TOPIC = "$hw/events/device/default/d{}/twin/update"


class Client:
    """A program on the node: reports a twin and waits for the node's answer and for the API's."""

    def __init__(self, port: int, cluster: KubernetesCluster) -> None:
        from paho.mqtt.client import Client as Paho
        from paho.mqtt.enums import CallbackAPIVersion

        self._wanted = ""
        self._heard, self._seen, subscribed = threading.Event(), threading.Event(), threading.Event()
        self._numbers = iter(range(1, 10_000_000))
        self.paho = Paho(CallbackAPIVersion.VERSION2)
        self.paho.on_message, self.paho.on_subscribe = self._on_answer, lambda *_: subscribed.set()
        self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()
        self.paho.subscribe("$hw/events/device/+/+/twin/update/result")
        assert subscribed.wait(PATIENCE)
        cluster.watch(DEVICE_KIND, self._on_change)

    def _on_answer(self, _client: Any, _data: Any, message: Any) -> None:
        answer = json.loads(message.payload)
        if answer.get("event_id") == self._wanted and "code" not in answer:
            self._heard.set()

    def _on_change(self, event: WatchEvent) -> None:
        twins = (event.object.get("status") or {}).get("twins") or ()
        if any((twin.get("reported") or {}).get("value") == self._wanted for twin in twins):
            self._seen.set()

    def report(self) -> tuple[float, float]:
        """One twin; milliseconds until the node has answered, and until the API tells it."""
        self._heard.clear()
        self._seen.clear()
        number = next(self._numbers)
        self._wanted = str(number)
        payload = {"event_id": self._wanted, "twin": {"p1": {"actual": {"value": self._wanted}}}}
        begin = time.perf_counter()
        self.paho.publish(TOPIC.format(number % DEVICES), json.dumps(payload))
        assert self._heard.wait(PATIENCE), "the node does not answer"
        heard = time.perf_counter()
        assert self._seen.wait(PATIENCE), "the API does not tell it"
        return (heard - begin) * 1000, (time.perf_counter() - begin) * 1000

    def retain(self) -> None:
        """Have the broker keep so many messages."""
        last = None
        for number in range(RETAINED):
            last = self.paho.publish(f"retained/{number % 100}/{number}/x", b"kept", qos=1, retain=True)
        assert last is not None
        last.wait_for_publish(PATIENCE)

    def close(self) -> None:
        """Leave."""
        self.paho.disconnect()
        self.paho.loop_stop()


def make_devices(cluster: KubernetesCluster) -> None:
    """Devices of both nodes, in the API."""
    head = {"apiVersion": "devices.kubeedge.io/v1beta1"}
    properties = [{"name": "p1", "type": "INT", "accessMode": "ReadWrite"}]
    model = {**head, "kind": "DeviceModel", "metadata": {"name": "m"}, "spec": {"properties": properties}}
    cluster.create(DEVICEMODEL_KIND, "default", model)
    for name, node in (*((f"d{number}", "edge-1") for number in range(DEVICES)), *((each, ENEMY) for each in ENEMYS)):
        spec = {
            "deviceModelRef": {"name": "m"},
            "nodeName": node,
            "protocol": {"protocolName": "mqtt"},
            "properties": [{"name": "p1", "reportToCloud": True}],
        }
        cluster.create(DEVICE_KIND, "default", {**head, "kind": "Device", "metadata": {"name": name}, "spec": spec})


@contextmanager
def attack(name: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """One of the attacks, as long as the block lasts; RuntimeError when it was not under way to its end."""
    command = (sys.executable, str(ATTACKS), name, json.dumps(settings))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if not read_first_line(process.stdout, PATIENCE).startswith("ready"):
                raise RuntimeError(f"the attack {name} did not begin")
            yield
            if process.poll() is not None:
                raise RuntimeError(f"the attack {name} has ended")
        finally:
            terminate(process)


def measured(report: Callable[[], tuple[float, float]], updates: int) -> tuple[list[float], list[float]]:
    """Times until the node, and until the API, has answered, in ms."""
    times = [report() for _ in range(updates)]
    return [time for time, _ in times], [time for _, time in times]


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(times, n=100)[98]


def settings_of(pair: Pair, folder: Path) -> dict[str, dict[str, Any]]:
    """What each attack has to know; the attacker joins for it."""
    ports = {name: int(value) for name, value in zip(pair.cloud.options[::2], pair.cloud.options[1::2], strict=True)}
    token = (pair.cloud.folder / "token").read_text(encoding="ascii").strip()
    joined = CertificateManager(folder / "certs", ENEMY, f"https://127.0.0.1:{ports['--https-port']}", lambda: token)
    tls = joined.obtain()
    ca = {"ca": str(pair.cloud.folder / "certs" / "ca.crt")}
    certificate = {"certificate": str(tls.cert), "key": str(tls.key), "node": ENEMY, "port": ports["--hub-port"]}
    mqtt = pair.edge.options[pair.edge.options.index("--mqtt-port") + 1]
    return {
        "doors": {**ca, "ports": [ports["--api-port"], ports["--https-port"]]},
        "reports": {**ca, **certificate},
        "valid": {**ca, **certificate, "devices": ENEMYS},
        "subscribes": {"port": int(mqtt)},
        "publishes": {"port": int(mqtt)},
    }


def rows_of(found: Mapping[str, tuple[list[float], list[float]]]) -> Iterator[Row]:
    """A line for each attack and each way, with the ratio to the same without."""
    for which, way in enumerate(("answer of the node", "value in the API")):
        calm = p99(found["none"][which])
        yield Row(f"no attack: {way}, p99", calm, "ms")
        for name, times in found.items():
            if name != "none":
                value = p99(times[which])
                budget = (
                    None if name == "valid" else "<= 2x"
                )  # work that the node may ask for: one processor is busy with it
                yield Row(f"{name}: {way}, p99", value, "ms", budget, calm, value / calm)


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON list")
    parser.add_argument("--updates", type=int, default=1_000)
    updates = parser.parse_args().updates
    with tempfile.TemporaryDirectory() as name, Pair(Path(name)) as pair:
        settings = settings_of(pair, Path(name) / "enemy")
        with closing(KubernetesCluster(from_kubeconfig(pair.cloud.folder / "kubeconfig"))) as cluster:
            make_devices(cluster)
            with closing(Client(settings["subscribes"]["port"], cluster)) as client:
                time.sleep(2.0)  # until the node knows its devices
                client.retain()
                measured(client.report, WARM_UP)
                before = measured(client.report, updates // 2)
                found = {}
                for each in settings:
                    with attack(each, settings[each]):
                        found[each] = measured(client.report, updates)
                measured(
                    client.report, WARM_UP
                )  # what an attack has left in the sockets is read before it is quiet again
                after = measured(client.report, updates // 2)
                found["none"] = (before[0] + after[0], before[1] + after[1])
    show("A twin beside one hostile node", rows_of(found))


if __name__ == "__main__":
    main()
