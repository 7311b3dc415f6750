"""An alarm when a property of any device leaves its limits, and one when it is back: once each, not for every value.

python -m kubeedge_actors.edge --config node.yaml --data-dir E
"""

import msgspec

from kubeedge_actors import Module, MqttPublish, TwinUpdated, on


class Threshold(Module):
    """What is out of its limits is forgotten when the module is started anew: then it is told once more."""

    name, emits = "threshold", (MqttPublish,)

    class Config(msgspec.Struct):
        """`high` has to be given, `low` is not looked at by default."""

        high: float
        low: float = float("-inf")
        property: str = "temperature"

    config: Config

    def on_start(self) -> None:
        """Nothing is out of its limits yet."""
        self._out: set[str] = set()

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """A value that is no number crashes the module: the update is a dead letter after three times, the next one has its turn."""
        text = update.actual(self.config.property)
        if not text:
            return
        out = not self.config.low <= float(text) <= self.config.high
        if out != (update.device in self._out):
            (self._out.add if out else self._out.discard)(update.device)
            self.publish(MqttPublish(topic=f"limits/{update.device}", payload=b"out" if out else b"back", retain=True))
