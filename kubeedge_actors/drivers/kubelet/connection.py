"""One connection of the stream server: its request, then whatever the answer makes of it. Runs in the loop's thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, cast

import msgspec

from kubeedge_actors.drivers.kubelet.base import (
    Answer,
    ForwardAnswer,
    KubeletRequest,
    StreamAnswer,
    TextAnswer,
    UpgradeAnswer,
)
from kubeedge_actors.drivers.kubelet.request_head import HeadParser, forwarded
from kubeedge_actors.drivers.kubelet.splice import Splice
from kubeedge_actors.drivers.kubelet.tls import client_identity
from kubeedge_actors.errors import DriverError
from kubeedge_actors.osutil.connection_limits import HEAD_TOO_LARGE, ConnectionSlot, ServerLimits
from kubeedge_actors.osutil.connection_relay import ConnectionRelay, Framing
from kubeedge_actors.osutil.unread_close import StrangerTransport

log = logging.getLogger(__name__)

FIRST_SECONDS = 3.0
"""A refusal comes sooner, and becomes the status of the answer; a log that says nothing yet has begun by then."""


class Owner(Protocol):
    """The server, as its connections see it."""

    limits: ServerLimits

    async def answer(self, request: KubeletRequest) -> Answer: ...
    async def connect(self, host: str, port: int, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport: ...
    def on_connected(self, connection: KubeletConnection | ConnectionRelay | Splice) -> None: ...
    def on_closed(self, connection: KubeletConnection | ConnectionRelay | Splice) -> None: ...


class Chunked(Framing):
    """The body of an answer whose length is not known."""

    both_ways = False

    def __init__(self, content_type: str) -> None:
        self._head = head(200, ("Content-Type", content_type), ("Transfer-Encoding", "chunked"))

    def begin(self) -> bytes:
        """Status and headers."""
        return self._head

    def data(self, data: bytes) -> bytes:
        """A chunk."""
        return b"%x\r\n%b\r\n" % (len(data), data)

    def end(self) -> bytes:
        """The last chunk."""
        return b"0\r\n\r\n"


class KubeletConnection(asyncio.Protocol):
    """Until the request is whole and its answer known; then a relay or a splice has the connection."""

    def __init__(self, owner: Owner, slot: ConnectionSlot, loop: asyncio.AbstractEventLoop) -> None:
        self._owner, self._slot, self._loop = owner, slot, loop
        self._head = HeadParser(owner.limits.head_bytes)
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up; the request has to come soon."""
        self._transport = StrangerTransport.of(cast(asyncio.Transport, transport), lambda: self._task is None)
        self._timer = self._loop.call_later(self._owner.limits.head_seconds, self.shutdown)
        self._owner.on_connected(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes of the request, or what comes right behind it."""
        if self._task is not None:
            self._head.rest += data  # what was on its way when reading was paused
            return
        try:
            request = self._head.feed(data)
        except ValueError as error:
            self._say(TextAnswer(400, f"400: {error}"))
            return
        if request is not None:
            self._cancel_timer()
            self._transport.pause_reading()
            identity = client_identity(self._transport.get_extra_info("peercert"))
            self._task = self._loop.create_task(self._serve(msgspec.structs.replace(request, client=identity)))
        elif self._head.is_too_long:
            self._transport.write(HEAD_TOO_LARGE)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone before it was answered."""
        self._leave(self)

    def shutdown(self) -> None:
        """Close at once."""
        self._transport.abort()

    async def _serve(self, request: KubeletRequest) -> None:
        try:
            answer = await self._owner.answer(request)
            if (
                request.client is not None
                or not isinstance(answer, TextAnswer)
                or answer.status < HTTPStatus.BAD_REQUEST
            ):
                self._slot.authenticated()
            if self._transport.is_closing():
                _close(answer)
            elif isinstance(answer, ForwardAnswer):
                await self._forward(request, answer)
            else:
                self._give(answer)
        except DriverError as error:
            self._say(TextAnswer(503, str(error)))
        except Exception:
            log.exception("a request to the nodes' kubelets failed")
            self._say(TextAnswer(500, "the request failed, see the log of the cloud"))

    def _give(self, answer: TextAnswer | StreamAnswer | UpgradeAnswer) -> None:
        if isinstance(answer, TextAnswer):
            self._say(answer)
            return
        framing = Chunked(answer.content_type) if isinstance(answer, StreamAnswer) else None
        relay = ConnectionRelay(self._transport, answer.duplex, self._loop, self._leave, refusal, framing)
        self._hand_on(relay)
        if self._head.rest:
            relay.data_received(self._head.rest)
        if framing is not None:
            self._loop.call_later(FIRST_SECONDS, relay.begin)
        relay.start()

    async def _forward(self, request: KubeletRequest, answer: ForwardAnswer) -> None:
        splice = Splice(self._transport, self._leave)
        other = await self._owner.connect(answer.host, answer.port, splice.other_end)
        if self._transport.is_closing():
            other.abort()
            return
        splice.join()
        other.write(forwarded(request, answer) + self._head.rest)
        self._hand_on(splice)

    def _hand_on(self, successor: ConnectionRelay | Splice) -> None:
        self._owner.on_closed(self)
        self._owner.on_connected(successor)
        self._transport.set_protocol(successor)
        self._transport.resume_reading()

    def _say(self, answer: TextAnswer) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(text_response(answer.status, answer.text))
        self._transport.close()

    def _leave(self, connection: KubeletConnection | ConnectionRelay | Splice) -> None:
        self._cancel_timer()
        self._owner.on_closed(connection)
        self._slot.release()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def head(status: int, *headers: tuple[str, str]) -> bytes:
    """Status line and headers; the connection ends with the answer."""
    lines = (f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers))
    return "\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1")


def text_response(status: int, text: str) -> bytes:
    """A whole answer, in the way of a kubelet."""
    body = f"{text}\n".encode()
    return head(status, ("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))) + body


def refusal(error: DriverError) -> bytes:
    """What is said in place of a stream that was refused."""
    return text_response(500, str(error))


def _close(answer: Answer) -> None:
    if isinstance(answer, StreamAnswer | UpgradeAnswer):
        answer.duplex.close()
