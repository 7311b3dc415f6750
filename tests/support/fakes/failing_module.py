"""A module that fails on whatever it is told."""

from __future__ import annotations

from kubeedge_actors import Module, MqttReceived, MqttSubscribe, on


class Fragile(Module):
    """Fails on each publication below `fragile/`."""

    name = "fragile"
    emits = (MqttSubscribe,)

    def on_start(self) -> None:
        """Ask for the topic."""
        self.publish(MqttSubscribe(filter="fragile/#"))

    @on
    def on_mqtt_received(self, message: MqttReceived) -> None:
        """Fail."""
        raise ValueError("as fragile as it gets")
