"""A fleet of simulated edge nodes in one process, for hub.py: told what to do on standard input, tells what it saw
on standard output.

Each node has its own certificate, joins as edgecore does, sends a heart-beat and one request, acknowledges every
push, sends a heart-beat every 15 s and comes back with jitter when it loses its connection. Frames are masked with
zeros, which costs nothing.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import struct
import sys
import time
from typing import Any

import uvloop

PROJECT = "e632aba927ea4ac2b575ec1603d56f10"
HEARTBEAT = 15.0
AT_ONCE = 50
ZERO_MASK = b"\0\0\0\0"


class Node(asyncio.Protocol):
    """One connection of one node."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.name = name
        self.buffer = b""
        self.upgraded = False
        self.retry_after = 0.0
        self.replied = fleet.loop.create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(
            f"GET /{PROJECT}/{self.name}/events HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Node_id: {self.name}\r\nProject_id: {PROJECT}\r\nConnectionUse: msg\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.upgraded and b"\r\n\r\n" in self.buffer:
            self._answered()
        while self.upgraded and (text := self._text()) is not None:
            self._heard(text)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.replied.done():
            self.replied.set_result(False)
        self.fleet.lost(self)

    def beat(self) -> None:
        """Send the heart-beat."""
        self.send({"source": "websocket", "group": "resource", "operation": "keepalive", "resource": "node"}, "ping")

    def send(self, route: dict[str, str], content: object, **header: object) -> None:
        """Send one message."""
        said = {"header": {"msg_id": str(random.getrandbits(64)), "timestamp": 1, **header}, "route": route}
        data = json.dumps({**said, "content": content}).encode()
        size = struct.pack("!BBH", 0x81, 0xFE, len(data)) if len(data) > 125 else bytes((0x81, 0x80 | len(data)))
        self.transport.write(size + ZERO_MASK + data)

    def _answered(self) -> None:
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            for line in head.decode().split("\r\n"):
                if line.lower().startswith("retry-after: "):
                    self.retry_after = float(line[13:])
            self.transport.close()
            return
        self.upgraded = True
        self.beat()
        lease = f"kube-node-lease/lease/{self.name}"
        self.send({"source": "edged", "group": "meta", "operation": "query", "resource": lease}, None)

    def _text(self) -> bytes | None:
        if len(self.buffer) < 2:
            return None
        length, start = self.buffer[1], 2
        if length == 126:
            length, start = int.from_bytes(self.buffer[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(self.buffer[2:10], "big"), 10
        if len(self.buffer) < start + length:
            return None
        text, self.buffer = self.buffer[start : start + length], self.buffer[start + length :]
        return text

    def _heard(self, text: bytes) -> None:
        arrived = time.time()
        said = json.loads(text)
        header, route = said["header"], said["route"]
        if header.get("parent_msg_id"):
            if not self.replied.done():
                self.replied.set_result(True)
            return
        self.fleet.pushes.append(arrived - said["content"]["data"]["at"])
        self.fleet.last_push = arrived
        acknowledgement = {**route, "operation": "response"}
        self.send(acknowledgement, "OK", parent_msg_id=header["msg_id"])


class Fleet:
    """All nodes, and what they saw."""

    def __init__(self, port: int, folder: str, names: list[str]) -> None:
        self.loop = asyncio.get_running_loop()
        self.port = port
        self.contexts = {name: self._context(folder, name) for name in names}
        self.here: dict[str, Node] = {}
        self.pushes: list[float] = []
        self.last_push = 0.0
        self.refusals = 0
        self.refused: dict[str, int] = {}
        self.back: list[float] = []
        self.returning: set[asyncio.Task[None]] = set()
        self.slots = asyncio.Semaphore(AT_ONCE)

    @staticmethod
    def _context(folder: str, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(f"{folder}/ca.crt")
        context.load_cert_chain(f"{folder}/{name}.crt", f"{folder}/{name}.key")
        return context

    async def join(self, name: str) -> float:
        """Connect one node until its first request is answered; the seconds it took, 0 when refused or lost."""
        began, node = time.perf_counter(), Node(self, name)
        try:
            await self.loop.create_connection(
                lambda: node, "127.0.0.1", self.port, ssl=self.contexts[name], server_hostname="127.0.0.1"
            )
            if await node.replied:
                self.here[name] = node
                return time.perf_counter() - began
        except (OSError, ssl.SSLError):
            pass
        if node.retry_after:
            self.refusals += 1
            self.refused[name] = self.refused.get(name, 0) + 1
            await asyncio.sleep(node.retry_after * random.uniform(1.0, 1.2))
        return 0.0

    async def join_all(self) -> dict[str, Any]:
        """Connect everybody, 50 at once."""
        began = time.perf_counter()

        async def one(name: str) -> float:
            async with self.slots:
                while not (took := await self.join(name)):
                    pass
                return took

        times = sorted(await asyncio.gather(*(one(name) for name in self.contexts)))
        return {"seconds": time.perf_counter() - began, **_percentiles(times)}

    def lost(self, node: Node) -> None:
        """A node that was in comes back, with full jitter."""
        if self.here.get(node.name) is node:
            del self.here[node.name]
            task = self.loop.create_task(self.come_back(node.name))
            self.returning.add(task)
            task.add_done_callback(self.returning.discard)

    async def come_back(self, name: str) -> None:
        """Try until it is in."""
        patience, began = 1.0, time.time()
        while True:
            await asyncio.sleep(random.uniform(0.0, patience))
            if await self.join(name):
                self.back.append(time.time() - began)
                return
            patience = min(patience * 2, 8.0)

    async def heartbeats(self) -> None:
        """Everybody every 15 s, spread."""
        while True:
            for node in list(self.here.values()):
                node.beat()
                await asyncio.sleep(HEARTBEAT / max(1, len(self.contexts)))
            await asyncio.sleep(0.1)

    async def wait_pushes(self, count: int) -> dict[str, Any]:
        """Wait until so many pushes have arrived; their delays, and when the last came."""
        until = time.time() + 60.0
        while len(self.pushes) < count and time.time() < until:
            await asyncio.sleep(0.005)
        seen, self.pushes = sorted(self.pushes), []
        return {"count": len(seen), "last": self.last_push, **_percentiles(seen)}

    async def wait_here(self) -> dict[str, Any]:
        """Wait until everybody is in."""
        until = time.time() + 120.0
        while len(self.here) < len(self.contexts) and time.time() < until:
            await asyncio.sleep(0.01)
        most = max(self.refused.values(), default=0)
        ends = {"here": len(self.here), "at": time.time(), "refusals": self.refusals, "most": most}
        return ends | _percentiles(sorted(self.back))


def _percentiles(ordered: list[float]) -> dict[str, float]:
    if not ordered:
        return {"p50": 0.0, "p99": 0.0}
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]}


async def main() -> None:
    """Obey orders, one JSON a line, until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    first = json.loads(await reader.readline())
    fleet = Fleet(first["port"], first["folder"], first["names"])
    beating = asyncio.create_task(fleet.heartbeats())
    while line := await reader.readline():
        order = json.loads(line)
        answer = await getattr(fleet, order.pop("do"))(**order)
        print(json.dumps(answer), flush=True)
    beating.cancel()


if __name__ == "__main__":
    uvloop.run(main())
