"""The HTTPS server of the certificate bootstrap, in the loop of the link server. Only here h11 is imported.

A GET may have a body, the client's certificate is looked at when one is shown: that is why this is not one of the
usual frameworks.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import socket
import ssl
from typing import cast

import h11

from kubeedge_actors.drivers.bootstrap.handlers import BootstrapHandler, Request, Response, text_response
from kubeedge_actors.drivers.link.loop_thread import LoopThread, bind_socket
from kubeedge_actors.drivers.link.server_connection import identity_of
from kubeedge_actors.drivers.link.server_tls import bootstrap_context, reload_certificate
from kubeedge_actors.drivers.pki.base import TlsPaths

log = logging.getLogger(__name__)

REQUEST_TIMEOUT = 20.0
MAX_CONNECTIONS = 512
CLOSE_TIMEOUT = 1.0


class BootstrapServer:
    """Serves `rules` on one port; they run in the loop's thread pool, because signing and the cluster block."""

    def __init__(self, rules: BootstrapHandler, loop: LoopThread) -> None:
        self._rules = rules
        self._loop = loop
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._open: set[_Connection] = set()

    def start(self, host: str, port: int, tls: TlsPaths) -> int:
        """Serve; the bound port. `LinkError`: it can not be had; `CertificateError`: a file does not serve."""
        self._socket = bind_socket(host, port)
        self._loop.run_coroutine(self._serve(tls))
        return int(self._socket.getsockname()[1])

    def reload_certificate(self, tls: TlsPaths) -> None:
        """Show another certificate to whoever connects from now on; `CertificateError`: a file does not serve."""
        if self._context is not None:
            self._loop.run_coroutine(self._renew(self._context, tls))

    def stop(self) -> None:
        """Close the port and every connection. Idempotent."""
        if self._server is not None:
            self._loop.run_coroutine(self._end())
            self._server = None

    def max_body(self, path: str) -> int:
        """Bytes of the longest body that is read for this path."""
        return self._rules.max_body(path)

    async def answer(self, request: Request) -> Response:
        """What the rules say, found in another thread."""
        return await asyncio.get_running_loop().run_in_executor(None, self._rules.answer, request)

    def on_connected(self, exchange: _Connection) -> bool:
        """Count a connection; False when there are too many."""
        if len(self._open) >= MAX_CONNECTIONS:
            return False
        self._open.add(exchange)
        return True

    def on_closed(self, exchange: _Connection) -> None:
        """Forget a connection."""
        self._open.discard(exchange)

    @staticmethod
    async def _renew(context: ssl.SSLContext, tls: TlsPaths) -> None:
        reload_certificate(context, tls)

    async def _serve(self, tls: TlsPaths) -> None:
        assert self._socket is not None
        self._context = bootstrap_context(tls)
        self._server = await self._loop.loop.create_server(
            lambda: _Connection(self),
            sock=self._socket,
            ssl=self._context,
            ssl_handshake_timeout=REQUEST_TIMEOUT,
            ssl_shutdown_timeout=CLOSE_TIMEOUT,
        )

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for exchange in list(self._open):
            exchange.abort()
        await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    """One connection: a request, its reply, perhaps the next."""

    def __init__(self, server: BootstrapServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = self._loop.call_later(REQUEST_TIMEOUT, self.abort)
        if not self._server.on_connected(self):
            self.abort()

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._server.on_closed(self)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _advance(self) -> None:
        """Take what has come; answer when a request is whole."""
        if self._task is not None:
            return  # one at a time
        try:
            self._take()
        except h11.RemoteProtocolError as error:
            self._send(text_response(error.error_status_hint, f"{error.error_status_hint}: {error}"), last=True)

    def _take(self) -> None:
        while True:
            event = self._http.next_event()
            match event:
                case h11.Request():
                    self._head = event
                    if self._http.they_are_waiting_for_100_continue:
                        go_on = h11.InformationalResponse(status_code=100, headers=[])
                        self._transport.write(self._http.send(go_on) or b"")
                case h11.Data():
                    self._body += event.data
                    if len(self._body) > self._max_body():
                        self._send(text_response(413, "413: Request Entity Too Large"), last=True)
                        return
                case h11.EndOfMessage():
                    self._task = self._loop.create_task(self._reply())
                    return
                case h11.ConnectionClosed():
                    self._transport.close()
                    return
                case _:
                    return

    async def _reply(self) -> None:
        self._send(await self._server.answer(self._request()), last=False)
        self._task, self._head = None, None
        self._body.clear()
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._advance()
        else:
            self._transport.close()

    def _max_body(self) -> int:
        assert self._head is not None
        return self._server.max_body(self._head.target.decode("latin-1"))

    def _request(self) -> Request:
        assert self._head is not None
        headers: dict[str, str] = {}
        for name, value in self._head.headers:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        return Request(
            method=self._head.method.decode("latin-1"),
            path=self._head.target.decode("latin-1"),
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
