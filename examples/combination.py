"""Two devices together: a warning while it is much warmer inside than outside. Neither device knows of the other.

python -m kubeedge_actors.edge --config node.yaml --data-dir E
"""

import msgspec

from kubeedge_actors import Module, MqttPublish, TwinAnswer, TwinQuery, TwinUpdated, on


class Gap(Module):
    """Needs no memory of its own: what it has not heard itself it asks DeviceTwin for, which keeps it over restarts."""

    name, emits = "gap", (TwinQuery, MqttPublish)

    class Config(msgspec.Struct):
        """Two devices, and by how many degrees they may differ."""

        inside: str
        outside: str
        most: float = 15.0

    config: Config

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Ask for both; the answers come one after the other, and nobody waits for them."""
        if update.device in (self.config.inside, self.config.outside):
            inside = self.ask("devicetwin", TwinQuery(device=self.config.inside))
            outside = self.ask("devicetwin", TwinQuery(device=self.config.outside))
            inside.then(lambda warm: outside.then(lambda cold: self.compare(warm, cold)))

    def compare(self, warm: TwinAnswer, cold: TwinAnswer) -> None:
        """Say it when both are known."""
        values = [float(room.actual("temperature", "nan")) for room in (warm, cold)]
        gap = values[0] - values[1]
        if gap > self.config.most:  # never true for what is not known
            self.publish(MqttPublish(topic="gap", payload=b"%.1f degrees" % gap))
