"""Two processes, a link that is cut and two sides that are killed, under load: is a message lost, are the two sides equal in the end?

    python benchmarks/chaos.py [--up 10000] [--down 2000] [--cuts 20] [--kills 10] [--json]

Up: an MQTT client publishes numbered messages at QoS 1 for the cloud; a module of the cloud stores each by its id. What
the broker has acknowledged has to be there; a message that the killed cloud had handed over and not yet acknowledged is
handed over again, with the id it had. Down: config maps that a pod of the node uses are changed; in the end the node
has to hold what the API holds. Meanwhile the link is cut and mended, and cloud or edge is killed and started again.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _processes import Process
from _rows import Row, show

from kubeedge_actors.demo.environment import free_ports
from kubeedge_actors.drivers.cluster.client_config import from_kubeconfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.link.fault_proxy import FaultProxy
from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND, POD_KIND

TAKES = 150
MAPS = 20
WINDOW = 200
PATIENCE = 120.0
TOPIC = "$hw/events/upload/chaos"
RECORDER = '''
"""Stores each upload of an edge, and how often it came."""
import os, sqlite3
from kubeedge_actors import BusUploaded, Module, on

class Recorder(Module):
    """The cloud's end of the uploads."""
    name = "recorder"

    def on_start(self) -> None:
        self._db = sqlite3.connect(os.environ["CHAOS_DATABASE"], timeout=120.0, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")  # who counts meanwhile neither holds it up nor starves
        self._db.execute("CREATE TABLE IF NOT EXISTS upload (id TEXT PRIMARY KEY, payload TEXT, times INTEGER)")

    @on
    def keep(self, upload: BusUploaded) -> None:
        self._db.execute("INSERT INTO upload VALUES (?, ?, 1) ON CONFLICT (id) DO UPDATE SET times = times + 1",
                         (upload.msg_id, str(upload.content)))

    def on_stop(self) -> None:
        self._db.close()
'''


class Uploads:
    """An application that publishes numbered messages, at most `WINDOW` of them without an acknowledgement."""

    def __init__(self, port: int, count: int) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._count = count
        self._numbers: dict[int, int] = {}
        self._taken: set[int] = set()
        self._free = threading.Semaphore(WINDOW)
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="chaos", clean_session=False)
        self._client.max_inflight_messages_set(WINDOW)
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.on_publish = lambda _c, _d, mid, *_: self._take(mid)
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    @property
    def acknowledged(self) -> set[int]:
        """The numbers that the broker has taken."""
        return {self._numbers[mid] for mid in list(self._taken) if mid in self._numbers}

    def finish(self) -> None:
        """Wait until the broker has taken all of them."""
        self._thread.join()
        until("every message is acknowledged", lambda: len(self.acknowledged) == self._count)
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self) -> None:
        for number in range(self._count):
            self._free.acquire()
            self._numbers[self._client.publish(TOPIC, str(number), qos=1).mid] = number

    def _take(self, mid: int) -> None:
        self._taken.add(mid)
        self._free.release()


class Changes:
    """An operator who changes config maps, and tries again while the API is away."""

    def __init__(self, kubeconfig: Path, count: int) -> None:
        self.done = 0
        self._count = count
        self._api = KubernetesCluster(from_kubeconfig(kubeconfig))
        self._thread = threading.Thread(target=self._change, daemon=True)

    def begin(self) -> None:
        """Make the config maps and a pod that uses them, then change them."""
        for index in range(MAPS):
            self._api.create(CONFIGMAP_KIND, "default", {"metadata": {"name": f"m{index}"}, "data": {"n": "0"}})
        sources = [{"name": f"v{index}", "configMap": {"name": f"m{index}"}} for index in range(MAPS)]
        container = {"name": "main", "image": "none", "command": ["sleep", "100000"]}
        spec = {"nodeName": "edge-1", "containers": [container], "volumes": sources, "terminationGracePeriodSeconds": 1}
        self._api.create(POD_KIND, "default", {"metadata": {"name": "user"}, "spec": spec})
        until("the pod runs", lambda: self._phase() == "Running")
        self._thread.start()

    def finish(self) -> dict[str, str]:
        """Wait until all is changed; what the API holds."""
        self._thread.join()
        items = self._api.list(CONFIGMAP_KIND, "default").items
        return {item["metadata"]["name"]: item["data"]["n"] for item in items if item["metadata"]["name"][0] == "m"}

    def terminate(self) -> None:
        """Delete the pod, which would outlive its node."""
        self._api.delete(POD_KIND, "default", "user")
        with contextlib.suppress(KubeEdgeActorsError):
            until("the pod is gone", lambda: self._phase() == "")
        self._api.close()

    def _phase(self) -> str:
        with contextlib.suppress(KubeEdgeActorsError):
            return str(self._api.get(POD_KIND, "default", "user")["status"]["phase"])
        return ""

    def _change(self) -> None:
        for number in range(1, self._count + 1):
            while True:
                with contextlib.suppress(KubeEdgeActorsError):  # the API is away: the cloud was killed
                    self._api.patch(CONFIGMAP_KIND, "default", f"m{number % MAPS}", {"data": {"n": str(number)}})
                    break
                time.sleep(0.05)
            self.done = number


def until(what: str, condition: Callable[[], bool]) -> None:
    """Wait for something, for two minutes at most."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.05)


class Chaos:
    """Cloud, relay and edge in a folder."""

    def __init__(self, folder: Path) -> None:
        (folder / "recorder.py").write_text(RECORDER, encoding="utf-8")
        self.database = folder / "uploads.db"
        api, hub, https, self.mqtt, self.meta = free_ports(5)
        environment = {"PYTHONPATH": str(folder), "CHAOS_DATABASE": str(self.database)}
        ports = ("--api-port", str(api), "--hub-port", str(hub), "--https-port", str(https))
        self.cloud = Process(
            "cloud", folder / "cloud", *ports, "--module", "recorder:Recorder", environment=environment
        )
        self.relay = FaultProxy(("127.0.0.1", hub))
        where = ("--cloud", f"https://127.0.0.1:{https}", "--hub", f"wss://127.0.0.1:{self.relay.port}")
        token = ("--token-file", str(folder / "cloud" / "token"))
        local = ("--mqtt-port", str(self.mqtt), "--metaserver", f"127.0.0.1:{self.meta}", "--runtime", "process")
        self.edge = Process("edge", folder / "edge", "--name", "edge-1", *where, *token, *local)

    def start(self) -> None:
        """Both sides."""
        self.cloud.start()
        self.edge.start()

    def harm(self, deeds: list[str]) -> None:
        """Do one of the deeds after the other."""
        for deed in deeds:
            time.sleep(random.uniform(0.2, 1.0))
            if deed == "cut":
                self.relay.partition()
                time.sleep(random.uniform(0.1, 1.0))
                self.relay.heal()
            else:
                side = self.cloud if deed == "cloud" else self.edge
                side.kill()
                side.start()

    def stored(self) -> dict[str, str]:
        """What the node says it holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.meta, timeout=10)
        try:
            connection.request("GET", "/api/v1/namespaces/default/configmaps")
            items = json.loads(connection.getresponse().read())["items"]
        except (OSError, ValueError, KeyError):
            return {}
        finally:
            connection.close()
        return {item["metadata"]["name"]: item["data"]["n"] for item in items if item["metadata"]["name"][0] == "m"}

    def uploads(self) -> tuple[set[int], int]:
        """The numbers that arrived, and how many messages were handed to the module more than once."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=PATIENCE)) as database:
            rows = database.execute("SELECT payload, times FROM upload").fetchall()
        return {number(payload) for payload, _ in rows}, sum(times > 1 for _, times in rows)

    def stop(self) -> None:
        """End it all."""
        self.edge.stop()
        self.cloud.stop()
        self.relay.close()


def number(payload: str) -> int:
    """The number in an upload."""
    with contextlib.suppress(ValueError):
        payload = str(json.loads(payload))
    return int(payload)


def measure(options: argparse.Namespace) -> list[Row]:
    """The whole trial. AssertionError when something is lost."""
    random.seed(options.seed)
    deeds = ["cut"] * options.cuts + ["cloud", "edge"] * options.kills
    random.shuffle(deeds)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        chaos = Chaos(Path(name))
        try:
            chaos.start()
            changes = Changes(Path(name) / "cloud" / "kubeconfig", options.down)
            changes.begin()
            uploads = Uploads(chaos.mqtt, options.up)
            chaos.harm(deeds)
            uploads.finish()
            held = changes.finish()
            begin = time.monotonic()
            until("the node holds what the API holds", lambda: chaos.stored() == held)
            until("every acknowledged message is in the cloud", lambda: uploads.acknowledged <= chaos.uploads()[0])
            settled = time.monotonic() - begin
            arrived, twice = chaos.uploads()
            stored = chaos.stored()
            differing = sum(stored.get(name) != value for name, value in held.items())
            changes.terminate()
        finally:
            chaos.stop()
    return [
        Row("messages up, acknowledged by the broker", len(uploads.acknowledged), "", str(options.up)),
        Row("lost", len(uploads.acknowledged - arrived), "", "0"),
        Row("handed over again after a kill, told by their id", twice, ""),
        Row("changes down", changes.done, "", str(options.down)),
        Row("objects that differ in the end", differing, "", "0"),
        Row("cuts of the link", options.cuts, ""),
        Row("kill -9 of each side", options.kills, ""),
        Row("until both sides were equal after the last harm", settled, "s"),
    ]


def main() -> int:
    """Run it; the exit status is 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("up", 10_000), ("down", 2_000), ("cuts", 20), ("kills", 10), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", action="store_true")
    rows: list[Any] = measure(parser.parse_args())
    show("Chaos", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
