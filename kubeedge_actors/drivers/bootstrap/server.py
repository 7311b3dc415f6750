"""The HTTPS server of the certificate bootstrap, in the loop of the link server. Only here h11 is imported.

A GET may have a body, the client's certificate is looked at when one is shown: that is why this is not one of the
usual frameworks.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
from collections.abc import Coroutine
from typing import cast

import h11

from kubeedge_actors.drivers.bootstrap.handlers import BootstrapHandler, Request, Response, text_response
from kubeedge_actors.drivers.bootstrap.protocol import CERTIFICATE_PATH
from kubeedge_actors.drivers.link.listening_port import ListeningPort
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.link.server_connection import identity_of
from kubeedge_actors.drivers.link.server_tls import bootstrap_context
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.osutil.connection_limits import ByteBudget, ConnectionSlot, ServerLimits
from kubeedge_actors.osutil.unread_close import StrangerTransport

log = logging.getLogger(__name__)

MAX_BODIES = 16 << 20
"""Bytes of all bodies that are being read at a time."""
LIMITS = ServerLimits(idle_seconds=10.0)


class BootstrapServer:
    """Serves `rules` on one port; they run in the loop's thread pool, because signing and the cluster block.

    `bodies`: bytes that are held of all bodies together.
    """

    def __init__(
        self, rules: BootstrapHandler, loop: LoopThread, limits: ServerLimits = LIMITS, bodies: int = MAX_BODIES
    ) -> None:
        self.limits, self.bodies = limits, ByteBudget(bodies)
        self._rules = rules
        self._port = ListeningPort(loop)
        self._open: set[_Connection] = set()

    def start(self, host: str, port: int, tls: TlsPaths) -> int:
        """Serve; the bound port. `LinkError`: it can not be had; `CertificateError`: a file does not serve."""
        bound = self._port.bind(host, port)
        self._port.serve(lambda slot: _Connection(self, slot), bootstrap_context(tls), self.limits)
        return bound

    def reload_certificate(self, tls: TlsPaths) -> None:
        """Show another certificate to whoever connects from now on; `CertificateError`: a file does not serve."""
        self._port.reload_certificate(tls)

    def stop(self) -> None:
        """Close the port and every connection. Idempotent."""
        self._port.stop(self._end_connections)

    def max_body(self, path: str) -> int:
        """Bytes of the longest body that is read for this path."""
        return self._rules.max_body(path)

    async def refusal(self, head: Request) -> Response | None:
        """Why the body is not worth reading, found in another thread; None when it is."""
        return await asyncio.get_running_loop().run_in_executor(None, self._rules.refusal, head)

    async def answer(self, request: Request) -> Response:
        """What the rules say, found in another thread."""
        return await asyncio.get_running_loop().run_in_executor(None, self._rules.answer, request)

    def on_connected(self, exchange: _Connection) -> None:
        """Note a connection."""
        self._open.add(exchange)

    def on_closed(self, exchange: _Connection) -> None:
        """Forget a connection."""
        self._open.discard(exchange)

    async def _end_connections(self) -> None:
        for connection in list(self._open):
            connection.abort()


class _Connection(asyncio.Protocol):
    """One connection: a request, its reply, perhaps the next. What comes while a reply is made stays in the kernel."""

    def __init__(self, server: BootstrapServer, slot: ConnectionSlot) -> None:
        self._server, self._slot = server, slot
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=server.limits.head_bytes)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = StrangerTransport.of(cast(asyncio.Transport, transport), self._is_talking)
        self._give_time(self._server.limits.head_seconds)
        self._server.on_connected(self)

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        if self._task is None:
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_time(None)
        self._forget_body()
        self._server.on_closed(self)
        self._slot.release()

    def _is_talking(self) -> bool:
        """Whether there is more to come of its request: its body, or what is no HTTP at all."""
        if self._http.their_state is not h11.SEND_BODY or self._head is None:
            return self._http.their_state is h11.ERROR
        return any(name in (b"transfer-encoding", b"content-length") for name, _ in self._head.headers)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _give_time(self, seconds: float | None) -> None:
        """From now on, for what comes next; None: as long as it takes."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self.abort)

    def _advance(self) -> None:
        """Take what has come; go on in a task when that needs somebody else."""
        try:
            work = self._take()
        except h11.RemoteProtocolError as error:
            self._send(text_response(error.error_status_hint, f"{error.error_status_hint}: {error}"), last=True)
            return
        if work is not None:
            self._give_time(None)
            self._transport.pause_reading()
            self._task = self._loop.create_task(self._work(work))

    def _take(self) -> Coroutine[None, None, None] | None:
        """What has to be done for what has come; None: wait for more."""
        while True:
            event = self._http.next_event()
            match event:
                case h11.Request():
                    self._head = event
                    return self._begin()
                case h11.Data():
                    if not self._add(event.data):
                        return None
                case h11.EndOfMessage():
                    return self._reply()
                case h11.ConnectionClosed():
                    self._transport.close()
                    return None
                case _:
                    return None

    def _add(self, data: bytes) -> bool:
        """Keep a piece of the body; False: there is no room for it, and that was said."""
        if len(self._body) + len(data) > self._max_body():
            self._send(text_response(413, "413: Request Entity Too Large"), last=True)
        elif not self._server.bodies.take(len(data)):
            self._send(text_response(503, "503: too many requests are being read"), last=True)
        else:
            self._body += data
            return True
        return False

    async def _work(self, work: Coroutine[None, None, None]) -> None:
        await work
        self._task = None
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._advance()

    async def _begin(self) -> None:
        """Refuse what is not to be answered before its body is read."""
        refusal = await self._server.refusal(self._request())
        if refusal is not None:
            self._send(refusal, last=True)
            return
        if self._path().startswith(CERTIFICATE_PATH):  # the one path where a sender has to show who it is
            self._slot.authenticated()
        if self._http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            self._transport.write(self._http.send(go_on) or b"")
        self._give_time(self._server.limits.body_seconds)

    async def _reply(self) -> None:
        self._send(await self._server.answer(self._request()), last=False)
        self._head = None
        self._forget_body()
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._give_time(self._server.limits.idle_seconds)
        else:
            self._transport.close()

    def _forget_body(self) -> None:
        self._server.bodies.give_back(len(self._body))
        self._body.clear()

    def _max_body(self) -> int:
        return self._server.max_body(self._path())

    def _path(self) -> str:
        assert self._head is not None
        return self._head.target.decode("latin-1")

    def _request(self) -> Request:
        assert self._head is not None
        headers: dict[str, str] = {}
        for name, value in self._head.headers:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        return Request(
            method=self._head.method.decode("latin-1"),
            path=self._path(),
            headers=headers,
            body=bytes(self._body),
            **identity_of(self._transport.get_extra_info("peercert"))._asdict(),
        )

    def _send(self, reply: Response, *, last: bool) -> None:
        if self._transport.is_closing():
            return
        headers = [
            ("Date", email.utils.formatdate(usegmt=True)),
            ("Content-Length", str(len(reply.body))),
            ("Content-Type", reply.content_type),
        ]
        if last:
            headers.append(("Connection", "close"))
        events: list[h11.Event] = [h11.Response(status_code=reply.status, headers=headers)]
        events += [h11.Data(data=reply.body), h11.EndOfMessage()]
        self._transport.write(b"".join(self._http.send(event) or b"" for event in events))
        if last:
            self._transport.close()
