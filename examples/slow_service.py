"""A slow web service that is asked about each update, in a process of its own: what waits there, leaks or hangs is none of the node's trouble.

python -m kubeedge_actors.edge --config node.yaml --data-dir E
"""

from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec

from kubeedge_actors import Module, MqttPublish, TwinUpdated, on


class Forecast(Module):
    """Publishes what the service answers. What does not fit into the mailbox meanwhile is dropped, the oldest first: only the newest matters."""

    name, emits = "forecast", (MqttPublish,)

    class Config(msgspec.Struct):
        """Where to ask, and for how many seconds an answer is waited for (less than the module's handler_deadline)."""

        url: str
        timeout: float = 20.0

    config: Config

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Ask, and say. An error of the service is a crash: the module is started again after a while, and the update comes again."""
        question = urlencode({"device": update.device, "temperature": update.actual("temperature")})
        with urlopen(f"{self.config.url}?{question}", timeout=self.config.timeout) as answer:
            self.publish(MqttPublish(topic=f"forecasts/{update.device}", payload=answer.read(1000)))
