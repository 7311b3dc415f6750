"""The average of a minute, which survives crashes and the end of the node: each value counts once.

python -m kubeedge_actors.edge --config node.yaml --data-dir E
"""

import msgspec

from kubeedge_actors import MailboxSpec, Message, Module, MqttPublish, TwinUpdated, on


class MinuteOver(Message, frozen=True):
    """Time to look whether a minute is over."""


class Window(msgspec.Struct):
    """What was reported by one device since the minute began."""

    minute: int
    total: float = 0.0
    count: int = 0


class Average(Module):
    """What a turn stores is committed with the acknowledgement of its message, so nothing counts twice or not at all."""

    name, emits = "average", (MqttPublish, MinuteOver)
    mailbox = MailboxSpec(durable=True)

    def on_start(self) -> None:
        """Look every second."""
        self.every(1.0, MinuteOver())

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Add it to the minute of its device."""
        if text := update.actual("temperature"):
            window = self.store.get(update.device, Window) or Window(int(self.clock.now() // 60))
            self.store.put(update.device, Window(window.minute, window.total + float(text), window.count + 1))

    @on
    def on_minute_over(self, _: MinuteOver) -> None:
        """Publish the minutes that are over."""
        for device, window in list(self.store.items(kind=Window)):
            if window.minute < self.clock.now() // 60:
                payload = b"%.2f of %d" % (window.total / window.count, window.count)
                self.publish(MqttPublish(topic=f"averages/{device}", payload=payload, qos=1))
                self.store.delete(device)
