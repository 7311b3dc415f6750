"""The examples run: each module in one thread against a real peer, and all of them in an edge process."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

import kubeedge_actors
from kubeedge_actors import DeviceChanged, DeviceStateUpdate, MqttPublish, TwinUpdate, TwinUpdated
from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.testing import crash_at, inline
from tests.support.cloud_and_edge import ProcessUnderTest
from tests.support.mqtt_clients import leave
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

EXAMPLES = Path(kubeedge_actors.__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the folder of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in ("alarm", "mapper", "simulated_boiler", "bridge"):
        sys.modules.pop(name, None)


def example(name: str) -> ModuleType:
    """One of the files."""
    return __import__(name)


def report(value: str, device: str = "default/t1") -> TwinUpdated:
    return TwinUpdated(device=device, twin={"temperature": {"actual": {"value": value}}})


# --- alarm ----------------------------------------------------------------------------------------------------------


def test_only_what_is_hot_raises_the_alarm_and_a_crash_loses_none() -> None:
    alarm = example("alarm").Alarm
    with inline(crash_at(alarm, 2)) as harness:
        alarms = harness.probe(MqttPublish)
        harness.publish(report("80"))
        harness.publish(report("81"))
        assert alarms.only() == MqttPublish(topic="alarms/default/t1", payload=b"hot")


# --- mapper ---------------------------------------------------------------------------------------------------------


@contextmanager
def boiler(port: int = 0) -> Iterator[Any]:
    """A simulated device that serves."""
    with example("simulated_boiler").Boiler(port) as device:
        thread = threading.Thread(target=device.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield device
        finally:
            device.shutdown()
            thread.join()


def values(update: Any) -> dict[str, str]:
    return {name: each["actual"]["value"] for name, each in json.loads(update.payload)["twin"].items()}


def test_the_mapper_reports_what_changes_and_sets_what_is_desired() -> None:
    with (
        boiler() as device,
        inline(example("mapper").BoilerMapper, config={"address": f"127.0.0.1:{device.port}"}) as harness,
    ):
        updates, states = harness.probe(TwinUpdate), harness.probe(DeviceStateUpdate)
        harness.advance(2.0)
        assert values(updates.take()[0]) == {"temperature": "20", "power": "50"}
        assert json.loads(states.only().payload) == {"state": "online"}
        harness.advance(2.0)
        assert len(updates) == 0
        device.heat()
        harness.advance(2.0)
        assert values(updates.only()) == {"temperature": "20.5"}
        twin: dict[str, Any] = {"power": {"expected": {"value": "70"}, "actual": {"value": "50"}}}
        harness.publish(TwinUpdated(device="default/another", twin=twin))
        assert device.registers[1] == 50
        harness.publish(TwinUpdated(device="default/t1", twin=twin))
        assert device.registers[1] == 70


def test_a_device_that_the_node_hears_of_later_is_reported_whole_again() -> None:
    with (
        boiler() as device,
        inline(example("mapper").BoilerMapper, config={"address": f"127.0.0.1:{device.port}"}) as harness,
    ):
        updates, states = harness.probe(TwinUpdate), harness.probe(DeviceStateUpdate)
        harness.advance(2.0)
        updates.take(), states.take()
        for name in ("another", "t1"):
            metadata = {"namespace": "default", "name": name}
            harness.publish(DeviceChanged(operation="insert", type="device", object={"metadata": metadata}))
        harness.advance(2.0)
        assert values(updates.only()) == {"temperature": "20", "power": "50"}
        assert json.loads(states.only().payload) == {"state": "online"}


def test_a_device_that_goes_away_is_offline_and_comes_back() -> None:
    (port,) = free_ports(1)
    with inline(example("mapper").BoilerMapper, config={"address": f"127.0.0.1:{port}"}) as harness:
        harness.probe(TwinUpdate)
        states = harness.probe(DeviceStateUpdate)
        harness.advance(2.0)
        with boiler(port):
            harness.advance(2.0)
        said = [json.loads(each.payload)["state"] for each in states]
        assert said == ["offline", "online"]
        assert harness.crashes == []


@pytest.mark.parametrize(("property", "value"), [("power", "much"), ("power", "-1"), ("temperature", "99999")])
def test_a_value_that_does_not_fit_is_refused(property: str, value: str) -> None:
    mapper = example("mapper")
    protocol = mapper.BoilerMapper.spec().factory().connect()
    with pytest.raises(mapper.DeviceError, match="can not be"):
        protocol.write(property, value)


def test_a_register_that_the_device_does_not_have_is_its_refusal() -> None:
    mapper = example("mapper")
    with boiler() as device:
        protocol = mapper.ModbusTcp("127.0.0.1", device.port, {"x": mapper.Register(7)})
        with closing(protocol), pytest.raises(mapper.DeviceError, match="exception 2"):
            protocol.read()


# --- bridge ---------------------------------------------------------------------------------------------------------


@contextmanager
def service(*statuses: int) -> Iterator[tuple[str, queue.SimpleQueue[Any]]]:
    """A web service that answers with these, then with 200; what it got, with the answer it gave."""
    got: queue.SimpleQueue[Any] = queue.SimpleQueue()
    answers = iter(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = next(answers, 200)
            got.put((status, body["device"], body["twin"]["temperature"]["actual"]["value"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/twins", got
        finally:
            server.shutdown()
            thread.join()


def all_of(got: queue.SimpleQueue[Any]) -> list[Any]:
    return [got.get_nowait() for _ in range(got.qsize())]


def test_the_webhook_tries_again_and_keeps_the_order() -> None:
    with (
        service(503, 503) as (url, got),
        inline(example("bridge").Webhook, contain=True, config={"url": url}) as harness,
    ):
        harness.publish(report("1"))
        harness.publish(report("2"))
        harness.advance(5.0)
        assert [each[::2] for each in all_of(got)] == [(503, "1"), (503, "1"), (200, "1"), (200, "2")]
        assert harness.dead_letters == []


def test_what_the_service_refuses_is_a_dead_letter_at_once_and_what_it_never_takes_after_ten_times() -> None:
    with (
        service(404, *[500] * 10) as (url, got),
        inline(example("bridge").Webhook, contain=True, config={"url": url}) as harness,
    ):
        harness.publish(report("refused"))
        harness.publish(report("lost"))
        harness.publish(report("next"))
        harness.advance(600.0)
        assert [each.failed_deliveries for each in harness.dead_letters] == [0, 10]
        assert "refuses it with 404" in harness.dead_letters[0].error
        assert all_of(got)[-1] == (200, "default/t1", "next")


def post(port: int, path: str, body: bytes) -> tuple[int, str]:
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", body), timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@contextmanager
def listening(port: int, *topics: str) -> Iterator[queue.SimpleQueue[tuple[str, bytes]]]:
    """What is published under these topics, inside the block."""
    heard: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    subscribed = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _, __, message: heard.put((message.topic, bytes(message.payload)))
    client.connect("127.0.0.1", port)
    client.subscribe([(topic, 1) for topic in topics])
    client.loop_start()
    try:
        assert subscribed.wait(PATIENCE)
        yield heard
    finally:
        leave(client)


def test_what_bridge_yaml_sets_is_what_the_bridge_has_by_itself() -> None:
    bridge, settings = example("bridge"), yaml.safe_load((EXAMPLES / "bridge.yaml").read_text(encoding="utf-8"))
    for module in (bridge.Webhook, bridge.Inlet):
        assert settings.pop(module.name) == {"config": msgspec.to_builtins(module.Config())}
    assert settings == {}


@pytest.mark.parametrize("place", ["", "@process"])
def test_all_examples_run_in_an_edge(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, inlet = free_ports(2)
    with boiler() as device, service(503) as (url, got):
        monkeypatch.setenv("PYTHONPATH", f"{EXAMPLES}:{EXAMPLES.parent}")
        configs = {"boiler": {"address": f"127.0.0.1:{device.port}"}, "webhook": {"url": url}, "inlet": {"port": inlet}}
        settings = tmp_path / "modules.json"
        settings.write_text(json.dumps({name: {"config": each} for name, each in configs.items()}), encoding="utf-8")
        modules = ("inventory:Inventory", "alarm:Alarm", "mapper:BoilerMapper", "bridge:Webhook", "bridge:Inlet")
        options = [word for each in modules for word in ("--module", each + place)]
        options += ["--mqtt-port", str(broker), "--runtime", "process", "--module-config", str(settings)]
        edge = ProcessUnderTest("kubeedge_actors.edge", tmp_path / "E", *options)
        edge.start()
        try:
            with listening(broker, "alarms/#", "greetings/#") as heard:
                assert got.get(timeout=PATIENCE) == (
                    503,
                    "default/t1",
                    "20",
                )  # the mapper's first report, and again after that
                assert got.get(timeout=PATIENCE) == (200, "default/t1", "20")
                assert post(inlet, "/twin/default/t1", b'{"temperature": "91"}') == (202, "")
                assert got.get(timeout=PATIENCE) == (200, "default/t1", "91")
                assert heard.get(timeout=PATIENCE) == ("alarms/default/t1", b"hot")
                assert post(inlet, "/mqtt/greetings/hall", b"hello") == (202, "")
                assert heard.get(timeout=PATIENCE) == ("greetings/hall", b"hello")
                assert post(inlet, "/twin/default/t1", b"[]")[0] == 400
                assert post(inlet, "/nowhere", b"")[1] == "there are /mqtt/TOPIC and /twin/NAMESPACE/NAME"
                with closing(ControlClient(tmp_path / "E" / SOCKET)) as control:
                    eventually(lambda: set(_states(control)) == {"ok"}, "all are well")
        finally:
            assert edge.stop() == 0


def _states(control: ControlClient) -> list[str]:
    return [each["state"] for each in control.ask("health").values()]
