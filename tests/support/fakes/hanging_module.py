"""A module that does not come back, and one that waits for it."""

from __future__ import annotations

import threading
from typing import Any

from kubeedge_actors import Module, MqttReceived, MqttSubscribe, on


class Press(Module):
    """Hangs on each publication below `press/`."""

    name = "press"
    emits = (MqttSubscribe,)

    def on_start(self) -> None:
        """Ask for the topic."""
        self.publish(MqttSubscribe(filter="press/#"))

    @on
    def on_mqtt_received(self, message: MqttReceived) -> None:
        """Hang: what is waited for does not come."""
        threading.Event().wait()

    @on
    def on_count(self, count: int) -> int:
        """Answer, between two hangs."""
        return count


class Counter(Module):
    """Asks the press on each publication below `press/`."""

    name = "counter"
    emits = (MqttSubscribe, int)

    @on
    def on_mqtt_received(self, message: MqttReceived) -> None:
        """Wait for an answer."""
        answer: Any = self.ask("press", 1, timeout=3600.0).get()
        self.log.info("the press says %s", answer)


class Deaf(Module):
    """Has forgotten to say @on."""

    name = "deaf"

    def on_mqtt_received(self, message: MqttReceived) -> None:
        """Nobody calls it."""
