"""Durable twin updates through MQTT: from a paho client to a committed transaction and back to its result.

    python benchmarks/twin.py [--json] [--no-mosquitto] [--history N] [--qos 0 1] [--window 1 32 256] [--count N]

The edge side is real: broker, EventBus, DeviceTwin and SQLite on the threads engine, with a stand-in for EdgeHub that
takes reports out of the outbox as a cloud's confirmations would. The client is a process of its own. `window` is how
many updates are on their way at once. With `--history` all is measured a second time with the last N values of each
property kept. The baseline is the same machine committing one update a transaction in the same run, nothing else.
Mosquitto is measured where it is installed.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from _rows import Row, show

from kubeedge_actors.actors.devicetwin import DeviceTwin
from kubeedge_actors.actors.eventbus import EventBus
from kubeedge_actors.drivers.broker.base import Broker
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.external import ExternalBroker
from kubeedge_actors.drivers.store.base import DeviceRow, OutboxStore, TwinChanges, TwinRow
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceChanged, Message, TwinReported

TAKES = 90
DEVICES = 32
WINDOWS = {1: 2_000, 32: 8_000, 256: 12_000}
TOPIC = "$hw/events/device/default/d{}/twin/update"
RESULTS = "$hw/events/device/+/+/twin/update/result"
BUDGETS = {1: ">= 667/s", 32: None, 256: ">= 1,200/s, goal 2,800/s"}


class Tidy(Message, frozen=True, kw_only=True):
    """Time to empty the outbox."""


class Reported(Module):
    """Takes reports as EdgeHub does when the cloud confirms each of them."""

    name = "edgehub"
    emits = (Tidy,)

    def __init__(self, outbox: OutboxStore) -> None:
        self._outbox, self._done = outbox, list[str]()

    def on_start(self) -> None:
        """Tidy up five times a second."""
        self.every(0.2, Tidy())

    @on(batch=256)
    def on_twin_reported(self, messages: list[TwinReported]) -> None:
        """Confirmed."""
        self._done += [message.msg_id for message in messages]

    @on
    def on_tidy(self, message: Tidy) -> None:
        """Forget what is confirmed."""
        self._outbox.apply((), self._done)
        self._done = []


def free_port() -> int:
    """A port that nobody uses now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def mosquitto(folder: str) -> Iterator[int]:
    """A mosquitto of our own; its port."""
    port = free_port()
    settings = Path(folder) / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n", encoding="utf-8")
    with subprocess.Popen(("mosquitto", "-c", str(settings)), stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 5
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            yield port
        finally:
            process.terminate()


@contextmanager
def edge(broker: Broker, folder: str, history: int = 0) -> Iterator[None]:
    """The part of an edge node that handles twins, with so much history of each property."""
    store = SqliteStore(Path(folder) / f"{type(broker).__name__}-{history}.db")
    store.twin.apply(TwinChanges(devices=[DeviceRow(f"default/d{n}", f"d{n}") for n in range(DEVICES)]))
    system = ActorSystem(ThreadsEngine())
    broker.start()
    children = [
        Reported.spec(lambda: Reported(store.outbox)),
        DeviceTwin.spec(lambda: DeviceTwin("edge-1", store.twin, publish_updates=False)),
        EventBus.spec(lambda: EventBus("edge-1", [broker], store.subscribed_topics)),
    ]
    system.start(SupervisorSpec("edge", children))
    for number in range(DEVICES if history else 0):
        annotations = {constants.TWIN_HISTORY_ANNOTATION: str(history)}
        metadata = {"name": f"d{number}", "namespace": "default", "annotations": annotations}
        change = DeviceChanged(operation=constants.UPDATE, type=constants.DEVICE, object={"metadata": metadata})
        system.ref(constants.DEVICETWIN).ask(change).get()
    try:
        yield
    finally:
        system.stop(5.0)
        broker.close()
        store.close()


def plain_commits(folder: str, count: int = 1_500) -> float:
    """Updates a second when each is a transaction of its own and nothing else happens."""
    with closing(SqliteStore(Path(folder) / "plain.db")) as store:
        begin = time.perf_counter()
        for n in range(count):
            stamp, version = f'{{"timestamp":{n}}}', f'{{"cloud":0,"edge":{n}}}'
            row = TwinRow("default/d0", "power", None, str(n), "", stamp, "", version)
            store.twin.apply(TwinChanges(twins=[row]))
        return count / (time.perf_counter() - begin)


def measured(port: int, window: int, qos: int, count: int) -> dict[str, float]:
    """Have a client process update twins; its rate and latencies (ms)."""
    command = (sys.executable, __file__, "--client", str(port), str(window), str(qos), str(count))
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120)
    return dict(json.loads(done.stdout))


def client(port: int, window: int, qos: int, count: int) -> None:
    """Keep `window` updates on their way until `count` are done; print what it took."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    free, done, ready = threading.Semaphore(window), threading.Event(), threading.Event()
    began: dict[str, float] = {}
    took: list[float] = []

    def answered(_client: Any, _data: Any, message: Any) -> None:
        payload = json.loads(message.payload)
        assert "code" not in payload, payload
        took.append(time.perf_counter() - began.pop(payload["event_id"]))
        free.release()
        if len(took) == count:
            done.set()

    session = Client(CallbackAPIVersion.VERSION2)
    session.on_message, session.on_subscribe = answered, lambda *_: ready.set()
    session.max_inflight_messages_set(max(20, window))
    session.connect("127.0.0.1", port)
    # without it QoS 1 over mosquitto waits 40 ms for each of the two acknowledgements of an update (Nagle's algorithm)
    connection = session.socket()
    assert isinstance(connection, socket.socket)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    session.loop_start()
    session.subscribe(RESULTS, qos)
    assert ready.wait(10)
    start = time.perf_counter()
    for n in range(count):
        free.acquire()
        event = f"e{n}"
        payload = f'{{"event_id":"{event}","timestamp":0,"twin":{{"power":{{"actual":{{"value":"{n}"}}}}}}}}'
        began[event] = time.perf_counter()
        session.publish(TOPIC.format(n % DEVICES), payload, qos)
    assert done.wait(60), f"{len(took)} of {count} results"
    rate = count / (time.perf_counter() - start)
    session.disconnect()
    cuts = statistics.quantiles(took, n=100)
    print(json.dumps({"rate": rate, "p50": cuts[49] * 1000, "p99": cuts[98] * 1000}))


def series(
    broker: Broker, port: int, label: str, folder: str, arguments: argparse.Namespace, history: int = 0
) -> Iterator[Row]:
    """All windows on one broker."""
    with edge(broker, folder, history):
        measured(port, 32, 0, 1_000)
        for qos in arguments.qos:
            for window in arguments.window:
                count = WINDOWS.get(window, 8_000)
                baseline = plain_commits(folder)
                got = measured(port, window, qos, arguments.count or count)
                name = f"{label}, QoS {qos}, window {window}"
                yield Row(f"{name}: rate", got["rate"], "1/s", BUDGETS.get(window), baseline, got["rate"] / baseline)
                yield Row(f"{name}: p50", got["p50"], "ms", "<= 1.5 ms" if window == 1 else None)
                yield Row(f"{name}: p99", got["p99"], "ms", "<= 5 ms" if window == 1 else None)


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON list")
    parser.add_argument("--mosquitto", action=argparse.BooleanOptionalAction, default=True, help="measure it as well")
    parser.add_argument(
        "--history", type=int, default=0, metavar="N", help="once more with N values kept of a property"
    )
    parser.add_argument("--window", type=int, nargs="+", default=list(WINDOWS), help="updates on their way at once")
    parser.add_argument("--qos", type=int, nargs="+", default=[0, 1], choices=(0, 1))
    parser.add_argument("--count", type=int, default=0, help="updates a window")
    parser.add_argument("--client", type=int, nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        return client(*arguments.client)
    logging.disable(logging.WARNING)  # who accepts what is incomplete here
    with tempfile.TemporaryDirectory(dir=".") as folder:
        rows: list[Row] = []
        for history in sorted({0, arguments.history}):
            note = f", history {history}" if history else ""
            embedded = EmbeddedBroker(port=free_port(), path=Path(folder) / f"mqtt-{history}.db")
            rows += series(embedded, embedded.port, f"embedded{note}", folder, arguments, history)
            if arguments.mosquitto and shutil.which("mosquitto"):
                with mosquitto(folder) as port:
                    external = ExternalBroker("127.0.0.1", port)
                    rows += series(external, port, f"mosquitto{note}", folder, arguments, history)
    show("Durable twin updates through MQTT", rows)
    return None


if __name__ == "__main__":
    main()
