"""Modules that do what a module should not: each is a bad neighbour of those that are built in."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from kubeedge_actors import DeviceStateUpdate, Module, MqttPublish, MqttSubscribe, TwinUpdate, TwinUpdated, on
from kubeedge_actors.supervisors import MailboxSpec

DEADLINE = 1.0
"""Seconds that their handlers may take: less than by default, so that tests need not wait for it."""


class BadModule(Module):
    """Hears of every twin update, with a mailbox that is soon full."""

    name = "bad"

    @classmethod
    def spec(cls, factory: Any = None, **overrides: Any) -> Any:
        """With a small mailbox and a short deadline."""
        return super().spec(factory, **{"mailbox": MailboxSpec(5), "handler_deadline": DEADLINE, **overrides})


class Sleeps(BadModule):
    """Takes a long time for each message, but not too long."""

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Sleep."""
        time.sleep(DEADLINE / 2)


class Raises(BadModule):
    """Fails on each message."""

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Fail."""
        raise ValueError("as bad as it gets")


class Exits(BadModule):
    """Would end the process."""

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Exit."""
        sys.exit(3)


class ExitsAtOnce(BadModule):
    """Ends its process without a word; for `@process`."""

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Exit."""
        os._exit(3)


class Allocates(BadModule):
    """Wants more memory than the machine has to spare; for `@process` with a limit."""

    @classmethod
    def spec(cls, factory: Any = None, **overrides: Any) -> Any:
        """With a limit."""
        return super().spec(factory, **{"memory": 256 << 20, **overrides})

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Take it."""
        bytearray(10 << 30)


class Loops(BadModule):
    """Never returns."""

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Loop."""
        while True:
            pass


class SendsNonsense(BadModule):
    """Sends messages whose fields are not what they should be, a different one each time."""

    emits = (TwinUpdate, DeviceStateUpdate, MqttPublish, MqttSubscribe)
    count = 0

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Send the next."""
        nonsense: list[Any] = [
            TwinUpdate(device="default/d0", payload={"twin": {}}),  # type: ignore[arg-type]
            DeviceStateUpdate(device="default/d0", payload={"state": "online"}),  # type: ignore[arg-type]
            MqttPublish(topic=5, payload=b""),  # type: ignore[arg-type]
            MqttPublish(topic="x", payload="hot", retain=True),  # type: ignore[arg-type]
            MqttSubscribe(filter=5),  # type: ignore[arg-type]
            TwinUpdate(device=None, payload=b"{}"),  # type: ignore[arg-type]
        ]
        SendsNonsense.count += 1
        self.publish(nonsense[SendsNonsense.count % len(nonsense)])
