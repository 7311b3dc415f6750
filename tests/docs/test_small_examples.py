"""The small modules among the examples: each by itself in one thread, and all of them in an edge process by `node.yaml`."""

from __future__ import annotations

import ast
import json
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import kubeedge_actors
from kubeedge_actors import (
    Module,
    MqttPublish,
    NodeConnected,
    PropertyTwin,
    PropertyValue,
    TwinAnswer,
    TwinQuery,
    TwinUpdated,
    on,
)
from kubeedge_actors.errors import NotFound
from kubeedge_actors.testing import crash_at, inline
from kubeedge_actors.wire.local_messages import ApiCall
from tests.support.cloud_and_edge import ProcessUnderTest, ending
from tests.support.mqtt_clients import Paho, paho
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE

EXAMPLES = Path(kubeedge_actors.__file__).parent.parent / "examples"
SMALL = ("devices", "threshold", "combination", "slow_service", "welcome")
LONGEST = 40


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the folder of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in SMALL:
        sys.modules.pop(name, None)


def example(name: str) -> ModuleType:
    return __import__(name)


def report(value: str, device: str = "default/t1") -> TwinUpdated:
    return TwinUpdated(device=device, twin={"temperature": {"actual": {"value": value}}})


@pytest.mark.parametrize("name", SMALL)
def test_a_small_module_is_small(name: str) -> None:
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    parts = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)]
    assert sum((node.end_lineno or 0) - node.lineno + 1 for node in parts) <= LONGEST


def test_a_threshold_is_told_when_it_is_crossed_and_once() -> None:
    with inline(example("threshold").Threshold, config={"high": 80, "low": 5}) as harness:
        said = harness.probe(MqttPublish)
        for value in ("79", "81", "82", "80", "4", "5"):
            harness.publish(report(value))
        harness.publish(TwinUpdated(device="default/t1", twin={"power": {"actual": {"value": "99"}}}))
        assert [each.payload for each in said] == [b"out", b"back", b"out", b"back"]
        harness.publish(report("81", "default/t2"))
        assert said.received[-1] == MqttPublish(topic="limits/default/t2", payload=b"out", retain=True)


def test_two_devices_are_compared_whichever_of_them_reports() -> None:
    rooms = {"default/t1": "21.5", "default/t2": "3"}

    def twin(query: TwinQuery) -> TwinAnswer:
        value = rooms.get(query.device)
        known = {"temperature": PropertyTwin(actual=PropertyValue(value=value))} if value is not None else {}
        return TwinAnswer(device=query.device, known=value is not None, properties=known)

    gap = example("combination").Gap
    spec = gap.spec(config={"inside": "default/t1", "outside": "default/t2"})
    with inline(crash_at(spec, 2)) as harness:
        harness.probe("devicetwin", answer=twin)
        said = harness.probe(MqttPublish)
        for device in rooms:
            harness.publish(report("1", device))
        assert [each.payload for each in said.take()] == [b"18.5 degrees"] * 2
        harness.publish(report("1", "default/other"))
        del rooms["default/t2"]
        harness.publish(report("1"))
        rooms["default/t2"] = "10"
        harness.publish(report("1"))
        assert len(said) == 0
        assert harness.dead_letters == []


class Api(Module):
    """The API, which does not know the Node at the first attempt."""

    name = "apiclient"

    def on_start(self) -> None:
        self.calls: list[ApiCall] = []

    @on
    def on_api_call(self, call: ApiCall) -> dict[str, Any]:
        self.calls.append(call)
        if len(self.calls) == 1:
            self.reply_later().fail(NotFound({"code": 404}))
        return {"metadata": {"name": call.name}}


def test_a_node_that_joins_gets_the_labels_of_its_site() -> None:
    api = Api()
    welcome = example("welcome").Welcome.spec(config={"sites": {"press": {"floor": "2"}}})
    with inline(api, welcome) as harness:
        for node in ("press-7", "paint-1", "press"):
            harness.publish(NodeConnected(node=node))
        assert [call.name for call in api.calls] == ["press-7"]
        harness.advance(2.0)
        harness.advance(60.0)
        (_, call) = api.calls
        assert (call.method, call.type, call.name) == ("patch", "v1/nodes", "press-7")
        assert call.body == {"metadata": {"labels": {"floor": "2"}}}


@contextmanager
def service(*statuses: int) -> Iterator[tuple[str, queue.SimpleQueue[str]]]:
    """A web service that answers with these, then with 200; what it was asked."""
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    answers = iter(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers, 200))
            self.end_headers()
            self.wfile.write(b"rain")
            asked.put(self.path)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/forecast", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_service_that_fails_is_asked_again() -> None:
    with service(503) as (url, asked):
        with inline(example("slow_service").Forecast, config={"url": url}, contain=True) as harness:
            said = harness.probe(MqttPublish)
            harness.publish(report("21"))
            harness.advance(5.0)
            assert said.only() == MqttPublish(topic="forecasts/default/t1", payload=b"rain")
        assert asked.qsize() == 2
        assert asked.get() == "/forecast?device=default%2Ft1&temperature=21"


def tell(client: Paho, device: str, value: str) -> None:
    twin = {"twin": {"temperature": {"actual": {"value": value}}}}
    client.publish(f"$hw/events/device/{device}/twin/update", json.dumps(twin).encode())


def heard(client: Paho, wanted: dict[str, bytes]) -> bool:
    """Whether all of it comes."""
    left = dict(wanted)
    while left:
        message: Any = client.hear()
        if left.get(message.topic) == bytes(message.payload):
            del left[message.topic]
    return True


def test_all_small_modules_run_in_an_edge_by_its_configuration_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{EXAMPLES}:{EXAMPLES.parent}")
    (port,) = free_ports(1)
    with service() as (url, asked):
        settings = yaml.safe_load((EXAMPLES / "node.yaml").read_text(encoding="utf-8"))
        settings["modules"][-1]["config"]["url"] = url
        (tmp_path / "node.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        options = ("--config", str(tmp_path / "node.yaml"), "--mqtt-port", str(port))
        edge = ProcessUnderTest("kubeedge_actors.edge", tmp_path / "E", *options)
        with ending(edge):
            edge.start()
            with paho(port) as client:
                for topic in ("limits/#", "gap", "forecasts/#"):
                    client.subscribe(topic, 1)
                tell(client, "default/t2", "7")
                tell(client, "default/t1", "81")
                wanted = {"limits/default/t1": b"out", "gap": b"74.0 degrees", "forecasts/default/t1": b"rain"}
                assert heard(client, wanted)
        assert asked.get(timeout=PATIENCE).startswith("/forecast?device=default%2Ft2")
