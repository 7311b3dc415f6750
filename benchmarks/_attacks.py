"""What one hostile node or client does, for under_attack.py: a process of its own at the lowest priority, until it is ended.

    python _attacks.py doors|reports|valid|subscribes|publishes SETTINGS

It says `ready` when it has begun. The lowest priority: on another machine it would take no processor time of those that it attacks.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import uvloop
from _fleet import Node

PIECE = 65_536
TASKS = 16
"""Of each kind, at each port."""
FLOOD = 100


async def doors(settings: dict[str, Any]) -> None:
    """F3: heads and bodies without an end, and connections that say nothing, at the ports that strangers reach."""
    context = ssl.create_default_context(cafile=settings["ca"])
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    kinds = (_idle, _head, _body)
    for port in settings["ports"]:
        tasks = [asyncio.create_task(_forever(kind, port, context)) for kind in kinds for _ in range(TASKS)]
        settings.setdefault("tasks", []).extend(tasks)
    print("ready", flush=True)
    await asyncio.gather(*settings["tasks"])


async def _forever(kind: Any, port: int, context: ssl.SSLContext) -> None:
    while True:
        with suppress(OSError, EOFError, ssl.SSLError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            try:
                await kind(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.01)  # who is refused at once would only measure handshakes


async def _idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /version HTTP/1.1\r\nHost: cloud\r\nX: ")
    while not writer.transport.is_closing() and not reader.at_eof():
        writer.write(b"a" * PIECE)
        await writer.drain()


async def _body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: cloud\r\nContent-Length: 3000000\r\n\r\n"
    )
    writer.write(b" " * 1_000_000)
    await reader.read()


class _Fleet:
    """Of one node. `ended`: the hub has had enough of it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended = False

    def lost(self, node: Node) -> None:
        self.ended = True


class _Liar(Node):
    """A joined node that reports what there is not; it listens to nothing."""

    def _heard(self, text: bytes) -> None:
        if not self.replied.done():
            self.replied.set_result(True)


async def reports(settings: dict[str, Any]) -> None:
    """F7: twins of devices that do not exist, as fast as the hub takes them."""
    await _reports(settings, (f"none-{number}" for number in itertools.count()))


async def valid(settings: dict[str, Any]) -> None:
    """Twins of the node's own devices, which have another value each time."""
    await _reports(settings, itertools.cycle(settings["devices"]))


async def _reports(settings: dict[str, Any], names: Iterator[str]) -> None:
    context = ssl.create_default_context(cafile=settings["ca"])
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_cert_chain(settings["certificate"], settings["key"])
    while True:  # whoever is sent away comes back
        with suppress(OSError, ssl.SSLError):
            await _report(context, settings, names)
        await asyncio.sleep(0.1)


async def _report(context: ssl.SSLContext, settings: dict[str, Any], names: Iterator[str]) -> None:
    fleet, loop = _Fleet(), asyncio.get_running_loop()
    liar: Any = _Liar(fleet, settings["node"])  # type: ignore[arg-type]
    await loop.create_connection(lambda: liar, "127.0.0.1", settings["port"], ssl=context, server_hostname="127.0.0.1")
    await liar.replied
    print("ready", flush=True)
    route = {"source": "twin", "group": "resource", "operation": "update"}
    for number, name in enumerate(names):
        if fleet.ended or liar.transport.is_closing():
            return
        report = json.dumps({"event_id": "", "timestamp": 1, "twin": {"p1": {"actual": {"value": f"{number:050}"}}}})
        liar.send({**route, "resource": f"device/default/{name}/twin/edge_updated"}, report)
        if number % FLOOD == 0:
            if number % (FLOOD * 50) == 0:
                liar.beat()
            await asyncio.sleep(0)
            while liar.transport.get_write_buffer_size() > PIECE and not fleet.ended:
                await asyncio.sleep(0.001)


async def subscribes(settings: dict[str, Any]) -> None:
    """F15: a SUBSCRIBE after the other with a filter for which a broker may have to look at all retained messages."""
    reader, writer = await asyncio.open_connection("127.0.0.1", settings["port"])
    writer.write(_packet(0x10, b"\0\4MQTT\4\2\0\0" + _text("attacker")))
    await reader.readexactly(4)
    print("ready", flush=True)
    for number in itertools.count():
        body = (number % 65_535 + 1).to_bytes(2, "big") + _text(f"retained/+/+/{number % 2_000}") + b"\0"
        writer.write(_packet(0x82, body))
        if number % FLOOD == 0:
            await writer.drain()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    await reader.read(PIECE)


async def publishes(settings: dict[str, Any]) -> None:
    """PUBLISHes of QoS 0 on topics that nobody has subscribed to, as fast as the broker takes them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", settings["port"])
    writer.write(_packet(0x10, b"\0\4MQTT\4\2\0\0" + _text("publisher")))
    await reader.readexactly(4)
    print("ready", flush=True)
    flood = b"".join(_packet(0x30, _text(f"flood/{number}") + b"x" * 20) for number in range(FLOOD * 10))
    while True:
        writer.write(flood)
        await writer.drain()


def _packet(kind: int, body: bytes) -> bytes:
    size, length = b"", len(body)
    while True:
        length, digit = divmod(length, 128)
        size += bytes((digit | (0x80 if length else 0),))
        if not length:
            return bytes((kind,)) + size + body


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


if __name__ == "__main__":
    os.nice(19)
    uvloop.run(
        {each.__name__: each for each in (doors, reports, valid, subscribes, publishes)}[sys.argv[1]](
            json.loads(sys.argv[2])
        )
    )
