"""A module of one's own: an alarm topic when a device reports more than 80 degrees Celsius.

Run it with `python -m kubeedge_actors.edge --name edge-1 --data-dir E --module alarm:Alarm` from this folder.
"""

import msgspec

from kubeedge_actors import Module, MqttPublish, TwinUpdated, on


class Alarm(Module):
    """Raise an alarm topic when a device reports more than a limit in degrees Celsius."""

    name, group = "alarm", "user"
    emits = (MqttPublish,)

    class Config(msgspec.Struct):
        """What may be configured."""

        limit: float = 80.0

    config: Config

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Look at every accepted update."""
        if float(update.actual("temperature", "0")) > self.config.limit:
            self.publish(MqttPublish(topic=f"alarms/{update.device}", payload=b"hot"))
