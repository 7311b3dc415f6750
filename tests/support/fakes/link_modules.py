"""Modules of one's own on both sides of a link, steered and observed by files, for tests with processes."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from kubeedge_actors.module import Module, on
from kubeedge_actors.wire.messages import BusPublish, Message, NodeConnected, ObjectChanged

ORDERS, ANSWERS, RECORD, RECEIPTS = "KEA_TEST_ORDERS", "KEA_TEST_ANSWERS", "KEA_TEST_RECORD", "KEA_TEST_RECEIPTS"
NOTES = "KEA_TEST_NOTES"
ORDER = "order"
"""The topic that stands for a message of one's own."""
"""Environment variables with the paths of the files."""
LOOK_SECONDS = 0.05
CONFIGMAPS = "v1/configmaps"


class LookDue(Message, frozen=True, kw_only=True):
    """Time to look for orders."""


class Order(Message, frozen=True, kw_only=True):
    """The cloud's module to the node's."""

    wire = "test.Order"
    number: int


class Receipt(Message, frozen=True, kw_only=True):
    """The node's module to the cloud's."""

    wire = "test.Receipt"
    node: str = ""
    number: int


def append(variable: str, text: str) -> None:
    """Add a line to the file that an environment variable names."""
    with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


class Courier(Module):
    """In the cloud: sends what the file of orders says, `<node> <topic> <payload>` a line, and writes down what became of it."""

    name = "courier"
    emits = (BusPublish,)

    def __init__(self) -> None:
        self.done = 0

    def on_start(self) -> None:
        """Go on where the answers end."""
        answers = Path(os.environ[ANSWERS])
        self.done = len(answers.read_text(encoding="utf-8").splitlines()) if answers.exists() else 0
        self.every(LOOK_SECONDS, LookDue())

    @on
    def on_look_due(self, message: LookDue) -> None:
        """Send what is new."""
        orders = Path(os.environ[ORDERS])
        lines = orders.read_text(encoding="utf-8").splitlines() if orders.exists() else []
        for line in lines[self.done :]:
            node, topic, payload = line.split(" ")
            if topic == ORDER:
                question = self.down(node, Order(number=int(payload)))
            else:
                question = self.ask("nodeoutbox", BusPublish(node=node, topic=topic, payload=payload))
            question.then(partial(self.kept, line), partial(self.refused, line))
        self.done = len(lines)

    @on
    def on_receipt(self, message: Receipt) -> None:
        """Write down whose it is."""
        append(RECEIPTS, f"{message.node} {message.number}")

    def kept(self, line: str, _: object) -> None:
        """It will arrive, or expire."""
        append(ANSWERS, f"kept {line}")

    def refused(self, line: str, error: Exception) -> None:
        """It will not."""
        append(ANSWERS, f"{line}: {error}")


class Granter(Module):
    """In the cloud: makes a ConfigMap `granted` of each ConfigMap `wish`, and writes down what it hears."""

    name = "granter"
    watches = (CONFIGMAPS,)

    @on
    def on_object_changed(self, message: ObjectChanged) -> None:
        """Grant a wish."""
        if message.object["metadata"]["name"] != "wish":
            return
        append(NOTES, f"{message.operation} wish")
        metadata = {"name": "granted", "namespace": "default"}
        granted = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": message.object.get("data", {}),
        }
        self.client.apply(CONFIGMAPS, granted).then(self.ask_for_another)

    def ask_for_another(self, _: object) -> None:
        """What is not there is an error with a type."""
        missing = self.client.get(CONFIGMAPS, "default", "missing")
        missing.then(lambda _: None, lambda error: append(NOTES, type(error).__name__))

    @on
    def on_node_connected(self, message: NodeConnected) -> None:
        """Write it down."""
        append(NOTES, f"connected {message.node}")


class Recorder(Module):
    """At the edge: writes down each message that a module of the cloud has sent."""

    name = "recorder"

    @on
    def on_bus_publish(self, message: BusPublish) -> None:
        """Write it down."""
        append(RECORD, f"{message.topic} {message.payload}")

    @on
    def on_order(self, message: Order) -> None:
        """Write it down and say so."""
        append(RECORD, f"{ORDER} {message.number}")
        self.up(Receipt(number=message.number))
