"""The client of an external broker, in front of mosquitto or of our own broker, and the fake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kubeedge_actors.drivers.broker import external, packet_stream
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.external import ExternalBroker, Login
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.errors import BrokerError
from tests.support.env.loss.base import LossEnv
from tests.support.fakes.relay import Relay
from tests.support.mqtt_clients import MqttListener, Paho, mosquitto, paho
from tests.support.plugins.ports import free_port
from tests.support.waiting import PATIENCE, eventually

OUT, IN = "loss/out", "loss/in"
HOUR = 3600.0


@contextmanager
def own_broker(folder: Path) -> Iterator[int]:
    """Our own, with a memory for sessions; its port."""
    broker = EmbeddedBroker(port=0, path=folder / "mqtt.db")
    broker.start()
    try:
        yield broker.port
    finally:
        broker.close()


class ExternalBrokerEnv(LossEnv):
    """Behind a relay. `patient`: it has an hour for whatever it waits for, which only its end may cut short."""

    longest = external.RETRY[1]
    away, back = "can not be used: ", "can be used again after"

    def __init__(self, server: str, folder: Path, patch: pytest.MonkeyPatch, patient: bool) -> None:
        super().__init__()
        self._patch, self._patient = patch, patient
        if patient:
            self._set_times(HOUR, HOUR)
        self._folder, self._stack, self._server = (
            folder,
            ExitStack(),
            mosquitto if server == "mosquitto" else own_broker,
        )
        self.relay = Relay(free_port(), 0)
        self._ears: list[Paho] = []
        self._begin("first")
        self.driver = ExternalBroker("127.0.0.1", int(str(self.relay.place)), Login("driver"), wait=self.waits)
        self._ear = MqttListener()
        self.driver.set_handler(self._ear)
        self.driver.subscribe(IN)
        self.driver.start()
        assert self.driver.connected.wait(PATIENCE)

    def _begin(self, name: str) -> None:
        folder = self._folder / name
        folder.mkdir()
        port = self._stack.enter_context(self._server(folder))
        self._app = self._stack.enter_context(paho(port, "app"))
        self._app.subscribe(OUT, 1)
        self._ears.append(self._app)
        self.relay.target = port

    def use(self, text: str) -> None:
        self.driver.publish(OUT, text.encode(), 1)

    def arrived(self) -> set[str]:
        return {message.payload.decode() for ear in self._ears for message in list(ear.messages.queue)}

    def happen(self, text: str) -> None:
        self._app.publish(IN, text.encode(), 1)

    def heard(self) -> set[str]:
        return {message.payload.decode() for message in list(self._ear.arrivals.queue)}

    def _set_times(self, connect_within: float, keepalive: float) -> None:
        self._patch.setattr(external, "CONNECT_WITHIN", connect_within)
        self._patch.setattr(packet_stream, "KEEPALIVE", keepalive)

    def go_away(self, way: str) -> None:
        getattr(self.relay, way)()
        if self._patient:
            return
        if way == "hang":  # no real time is needed to miss who says nothing any more
            self._set_times(0.1, 0.2)
            self.driver._ring()
        eventually(lambda: not self.driver.connected.is_set(), "the loss is noticed")

    def come_back(self) -> None:
        self._set_times(10.0, 60.0)
        self.relay.start()

    def come_back_empty(self) -> None:
        self._begin("second")
        self.relay.cut()
        self.come_back()

    def stop(self) -> None:
        self.driver.close()

    def close(self) -> None:
        self.stop()
        self.relay.stop()
        self._stack.close()


class FakeBrokerEnv(LossEnv):
    """As the embedded one while it does not run: what is said is refused."""

    ways = ("stop",)

    def __init__(self) -> None:
        super().__init__()
        self.driver = FakeBroker()
        self.driver.start()
        self._ear, self._client = MqttListener(), self.driver.client()
        self._client.subscribe(OUT, 1)
        self.driver.set_handler(self._ear)
        self.driver.subscribe(IN)

    def use(self, text: str) -> None:
        self.driver.publish(OUT, text.encode(), 1)

    def arrived(self) -> set[str]:
        return {message.payload.decode() for message in self._client.heard}

    def happen(self, text: str) -> None:
        self._ear.open = False
        self._client.publish(IN, text.encode(), 1)

    def heard(self) -> set[str]:
        self.driver.offer_again()
        return {message.payload.decode() for message in list(self._ear.arrivals.queue)}

    def go_away(self, way: str) -> None:
        self.driver.failure = BrokerError("it does not run")

    def come_back(self) -> None:
        self.driver.failure = None
        self._ear.open = True

    def stop(self) -> None:
        self.driver.close()
