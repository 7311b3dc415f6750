"""The HTTPS server in the loop of the link server: one request a connection, because many of them become something else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from kubeedge_actors.drivers.kubelet.base import Answer, Handler, KubeletRequest
from kubeedge_actors.drivers.kubelet.connection import KubeletConnection
from kubeedge_actors.drivers.kubelet.tls import check_replica, kubelet_context, replica_context
from kubeedge_actors.drivers.link.loop_thread import BACKLOG, LoopThread, bind_socket
from kubeedge_actors.drivers.link.server_tls import reload_certificate
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import DriverError, LinkError
from kubeedge_actors.osutil.acceptor import Acceptor
from kubeedge_actors.osutil.connection_limits import ServerLimits

CONNECT_SECONDS = 10.0


class Closable(Protocol):
    """A connection, whoever has it now."""

    def shutdown(self) -> None:
        """Close it."""


class KubeletServer:
    """Serves `handler`'s answers. `own`: our certificate as a client of other replicas."""

    def __init__(self, loop: LoopThread, own: TlsPaths, limits: ServerLimits | None = None) -> None:
        self.limits = limits or ServerLimits()
        self._loop, self._own = loop, own
        self._handler: Handler | None = None
        self._shown = own
        self._context: ssl.SSLContext | None = None
        self._acceptor: Acceptor | None = None
        self._socket: socket.socket | None = None
        self._open: set[Closable] = set()

    def bind(self, host: str, port: int) -> int:
        """Take the port now, serve later; the bound port. `LinkError`: it can not be had."""
        self._socket = bind_socket(host, port)
        return int(self._socket.getsockname()[1])

    def start(self, tls: TlsPaths, client_ca: bytes, handler: Handler) -> None:
        """Serve; clients show a certificate of `client_ca` (PEM) or of our CA, or none. `CertificateError`: a file does not serve."""
        self._shown, self._context, self._handler = tls, kubelet_context(tls, client_ca), handler
        self._loop.run_coroutine(self._serve())

    def reload_certificate(self, tls: TlsPaths) -> None:
        """Show another certificate to whoever connects from now on; `CertificateError`: a file does not serve."""
        if self._context is not None:
            self._shown = tls
            self._loop.run_coroutine(self._renew(self._context, tls))

    def stop(self) -> None:
        """Close the port and every connection. Idempotent."""
        if self._acceptor is not None:
            self._loop.run_coroutine(self._end(self._acceptor))
        elif self._socket is not None:
            self._socket.close()
        self._acceptor = self._socket = None

    # --- what connections ask for, in the loop's thread

    async def answer(self, request: KubeletRequest) -> Answer:
        """What the handler says, found in another thread. DriverError."""
        if self._handler is None:
            raise DriverError("the server has not started yet")
        return await asyncio.get_running_loop().run_in_executor(None, self._handler, request)

    async def connect(self, host: str, port: int, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """A connection to another replica. LinkError; CertificateError: it is none."""
        context = replica_context(self._own, self._shown)
        opening = self._loop.loop.create_connection(factory, host, port, ssl=context, server_hostname="")
        try:
            transport, _ = await asyncio.wait_for(opening, CONNECT_SECONDS)
        except (OSError, TimeoutError) as error:
            raise LinkError(f"the replica at {host}:{port} is not reached: {error or 'no answer in time'}") from error
        try:
            check_replica(transport.get_extra_info("ssl_object").getpeercert(True), self._shown)
        except DriverError:
            transport.abort()
            raise
        return transport

    def on_connected(self, connection: Closable) -> None:
        """Note who has a connection."""
        self._open.add(connection)

    def on_closed(self, connection: Closable) -> None:
        """Forget it."""
        self._open.discard(connection)

    # --- inside

    @staticmethod
    async def _renew(context: ssl.SSLContext, tls: TlsPaths) -> None:
        reload_certificate(context, tls)

    async def _serve(self) -> None:
        assert self._socket is not None
        make = self._loop.loop
        self._acceptor = Acceptor(
            self._socket, lambda slot: KubeletConnection(self, slot, make), self._context, self.limits
        )
        self._acceptor.start(BACKLOG)

    async def _end(self, acceptor: Acceptor) -> None:
        acceptor.close()
        for connection in list(self._open):
            connection.shutdown()
