"""Messages of people's own by Rules: how many a second and how fast in each direction, and whether kills of both sides lose one.

    python benchmarks/router.py [--messages 100000] [--json]

A cloud and an edge are processes, the targets are in this one. For the last figure a client publishes `--messages` with QoS 1; when a third of them
has reached the URL the cloud is killed, when two thirds have, the edge; each is started again at once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from _processes import Process
from _rows import Row, show

from kubeedge_actors.demo.environment import free_ports
from kubeedge_actors.drivers.cluster.client_config import from_kubeconfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.kubernetes.object_types import RULE_KIND, RULEENDPOINT_KIND

TAKES = 240
CALLS, BURST = 300, 5_000
WINDOW, UNACKNOWLEDGED = 64, 20_000
"""Messages of MQTT that are on their way, and that wait in the client: it has 65,535 numbers for both."""
PATIENCE = 600.0


class Sink:
    """The URL of the rules. `numbers`: what came, each once; `total`: how much came."""

    def __init__(self, port: int) -> None:
        self.numbers: set[bytes] = set()
        self.total = 0
        self.arrived = threading.Condition()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sink.take(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *arguments: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, body: bytes) -> None:
        """Something has come."""
        with self.arrived:
            self.numbers.add(body)
            self.total += 1
            self.arrived.notify_all()

    def wait(self, count: int) -> None:
        """Until so many different ones have come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.numbers) >= count, PATIENCE), f"{len(self.numbers)} came"

    def clear(self) -> None:
        """Begin anew."""
        with self.arrived:
            self.numbers, self.total = set(), 0


class Stage:
    """Both sides with the rules, a sink, and a client of MQTT."""

    def __init__(self, folder: Path) -> None:
        api, hub, https, tunnel, self.mqtt, self.router, self.bus, self.service = free_ports(8)
        ports = ("--api-port", api, "--hub-port", hub, "--https-port", https, "--tunnel-port", tunnel)
        self.cloud = Process("cloud", folder / "cloud", *map(str, (*ports, "--router-open", self.router)))
        where = ("--cloud", f"https://127.0.0.1:{https}", "--hub", f"wss://127.0.0.1:{hub}")
        local = ("--name", "edge-1", "--runtime", "process", "--mqtt-port", str(self.mqtt))
        token = ("--token-file", str(folder / "cloud" / "token"), "--service-port", str(self.bus))
        self.edge = Process("edge", folder / "edge", *local, *where, *token)
        self.sink = Sink(self.service)
        self.url = f"http://127.0.0.1:{self.service}/"

    def start(self) -> None:
        """Both, with the rules of all four directions."""
        self.cloud.start()
        self.edge.start()
        cluster = KubernetesCluster(from_kubeconfig(self.cloud.folder / "kubeconfig"))
        for name in ("rest", "eventbus", "servicebus"):
            spec = {"ruleEndpointType": name, "properties": {"service_port": str(self.service)}}
            cluster.create(RULEENDPOINT_KIND, "default", {"metadata": {"name": name}, "spec": spec})
        up = {"node_name": "edge-1"}
        for source, sourced, target, targeted in (
            ("rest", {"path": "/a"}, "eventbus", {"topic": "down"}),
            ("rest", {"path": "/b"}, "servicebus", {"path": "/"}),
            ("eventbus", {"topic": "up"} | up, "rest", {"resource": self.url}),
            ("servicebus", {"target_url": self.url} | up, "rest", {"resource": self.url}),
        ):
            spec = {"source": source, "sourceResource": sourced, "target": target, "targetResource": targeted}
            cluster.create(RULE_KIND, "default", {"metadata": {"name": f"{source}-{target}"}, "spec": spec})
        cluster.close()

    def stop(self) -> None:
        """Both."""
        self.edge.stop()
        self.cloud.stop()


def post(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    """One request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait, at most PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def connected(port: int) -> Any:
    """A client of MQTT."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id="bench", clean_session=False)
    client.reconnect_delay_set(0.05, 0.2)
    client.max_inflight_messages_set(WINDOW)
    client.connect("127.0.0.1", port)
    client.loop_start()
    until(client.is_connected)
    return client


def calls(name: str, once: Callable[[], None]) -> list[Row]:
    """One after the other: how fast, how many a second."""
    took = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        once()
        took.append(time.perf_counter() - begin)
    return [
        Row(f"{name}, one after the other", CALLS / sum(took), "1/s"),
        Row(f"{name}, median", statistics.median(took) * 1000, "ms"),
    ]


def directions(stage: Stage, client: Any) -> list[Row]:
    """The figures of each."""
    heard = threading.Semaphore(0)
    client.on_message = lambda *_: heard.release()
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.subscribe("down")
    assert subscribed.wait(30.0)
    upload = json.dumps({"method": "POST", "targetURL": stage.url, "payload": ""}).encode()

    def down() -> None:
        assert post(stage.router, "/edge-1/default/a", b"x")[0] == 200
        assert heard.acquire(timeout=30.0)

    def up() -> None:
        seen = stage.sink.total
        client.publish("default/up", b"one", qos=1)
        with stage.sink.arrived:
            assert stage.sink.arrived.wait_for(lambda: stage.sink.total > seen, 30.0)

    def service() -> None:
        assert post(stage.router, "/edge-1/default/b", b"x")[0] == 200

    def program() -> None:
        assert json.loads(post(stage.bus, "/", upload)[1])["code"] == 200

    until(lambda: post(stage.router, "/edge-1/default/b", b"x")[0] == 200)
    until(lambda: post(stage.router, "/edge-1/default/a", b"x")[0] == 200)
    assert heard.acquire(timeout=30.0)
    named = {
        "rest to eventbus": down,
        "eventbus to rest": up,
        "rest to servicebus": service,
        "servicebus to rest": program,
    }
    rows = [row for name, once in named.items() for row in calls(name, once)]
    stage.sink.clear()
    begin = time.perf_counter()
    for number in range(BURST):
        client.publish("default/up", b"%d" % number, qos=1)
    stage.sink.wait(BURST)
    return [*rows, Row("eventbus to rest, a burst", BURST / (time.perf_counter() - begin), "1/s")]


def kills(stage: Stage, client: Any, count: int) -> list[Row]:
    """What is lost when the cloud is killed, and then the edge."""
    stage.sink.clear()
    room = threading.Semaphore(UNACKNOWLEDGED)
    client.on_publish = lambda *_: room.release()

    def publish() -> None:
        for number in range(count):
            room.acquire()
            client.publish("default/up", b"%d" % number, qos=1)

    begin = time.perf_counter()
    publisher = threading.Thread(target=publish, daemon=True)
    publisher.start()
    stage.sink.wait(count // 3)
    stage.cloud.kill()
    stage.cloud.start()
    stage.sink.wait(2 * count // 3)
    stage.edge.kill()
    stage.edge.start()
    stage.sink.wait(count)
    seconds = time.perf_counter() - begin
    lost = sum(b"%d" % number not in stage.sink.numbers for number in range(count))
    return [
        Row(f"lost of {count:,} through a kill of each side", lost, "messages", "0"),
        Row("of them came twice", stage.sink.total - count + lost, "messages"),
        Row("through the kills", count / seconds, "1/s"),
    ]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        try:
            stage.start()
            client = connected(stage.mqtt)
            rows = [*directions(stage, client), *kills(stage, client, options.messages)]
            client.disconnect()
            client.loop_stop()
        finally:
            stage.stop()
    show("messages by Rules", rows)


if __name__ == "__main__":
    sys.exit(main())
