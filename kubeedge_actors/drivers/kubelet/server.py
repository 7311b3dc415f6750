"""The HTTPS server in the loop of the link server: one request a connection, because many of them become something else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from kubeedge_actors.drivers.kubelet.base import Answer, Handler, KubeletRequest
from kubeedge_actors.drivers.kubelet.connection import KubeletConnection
from kubeedge_actors.drivers.kubelet.tls import check_replica, kubelet_context, replica_context
from kubeedge_actors.drivers.link.listening_port import ListeningPort
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import DriverError, LinkError
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
        self._port = ListeningPort(loop)
        self._open: set[Closable] = set()

    def bind(self, host: str, port: int) -> int:
        """Take the port now, serve later; the bound port. `LinkError`: it can not be had."""
        return self._port.bind(host, port)

    def start(self, tls: TlsPaths, client_ca: bytes, handler: Handler) -> None:
        """Serve; clients show a certificate of `client_ca` (PEM) or of our CA, or none. `CertificateError`: a file does not serve."""
        context, loop = kubelet_context(tls, client_ca), self._loop.loop
        self._shown, self._handler = tls, handler
        self._port.serve(lambda slot: KubeletConnection(self, slot, loop), context, self.limits)

    def reload_certificate(self, tls: TlsPaths) -> None:
        """Show another certificate to whoever connects from now on; `CertificateError`: a file does not serve."""
        if self._port.is_serving:
            self._shown = tls
            self._port.reload_certificate(tls)

    def stop(self) -> None:
        """Close the port and every connection. Idempotent."""
        self._port.stop(self._end_connections)

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

    async def _end_connections(self) -> None:
        for connection in list(self._open):
            connection.shutdown()
