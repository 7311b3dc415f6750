"""Twin updates of one paho client, for benchmarks of an edge."""

from __future__ import annotations

import json
import statistics
import threading
import time
from typing import Any

WINDOW = 64


def update(port: int, devices: int, updates: int) -> dict[str, float]:
    """Update the devices in turn, `WINDOW` updates on their way at once; `rate` (1/s), `p50` and `p99` (ms)."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    free, done, ready = threading.Semaphore(WINDOW), threading.Event(), threading.Event()
    began: dict[str, float] = {}
    took: list[float] = []

    def answered(_client: Any, _data: Any, message: Any) -> None:
        took.append(time.perf_counter() - began.pop(json.loads(message.payload)["event_id"]))
        free.release()
        if len(took) == updates:
            done.set()

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message, client.on_subscribe = answered, lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("$hw/events/device/+/+/twin/update/result")
    assert ready.wait(10)
    start = time.perf_counter()
    for number in range(updates):
        free.acquire()
        event = f"e{number}"
        began[event] = time.perf_counter()
        payload = f'{{"event_id":"{event}","twin":{{"p1":{{"actual":{{"value":"{number}"}}}}}}}}'
        client.publish(f"$hw/events/device/default/d{number % devices}/twin/update", payload)
    assert done.wait(120)
    rate = updates / (time.perf_counter() - start)
    client.disconnect()
    client.loop_stop()
    cuts = statistics.quantiles(took, n=100)
    return {"rate": rate, "p50": cuts[49] * 1000, "p99": cuts[98] * 1000}
