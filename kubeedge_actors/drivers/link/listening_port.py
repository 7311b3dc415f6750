"""One port of the loop's thread: taken first, served later, with a certificate that can be replaced. The cloud's servers have one each."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable

from kubeedge_actors.drivers.link.loop_thread import BACKLOG, LoopThread, bind_socket
from kubeedge_actors.drivers.link.server_tls import reload_certificate
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.osutil.acceptor import Acceptor, ProtocolFactory
from kubeedge_actors.osutil.connection_limits import ServerLimits


class ListeningPort:
    """A port, from its binding to its end; its methods are for threads other than the loop's."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._socket: socket.socket | None = None
        self._context: ssl.SSLContext | None = None
        self._acceptor: Acceptor | None = None

    @property
    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return self._acceptor is not None

    @property
    def accepted(self) -> int:
        """How many connections there were."""
        return self._acceptor.accepted if self._acceptor is not None else 0

    def bind(self, host: str, port: int) -> int:
        """Take the port, unless that was done; the bound port. `LinkError`: it can not be had."""
        if self._socket is None:
            self._socket = bind_socket(host, port)
        return int(self._socket.getsockname()[1])

    def serve(self, factory: ProtocolFactory, context: ssl.SSLContext | None, limits: ServerLimits) -> None:
        """Accept connections from now on."""
        self._context = context
        self._loop.run_coroutine(self._serve(factory, limits))

    def reload_certificate(self, tls: TlsPaths) -> None:
        """Show another certificate to whoever connects from now on; `CertificateError`: a file does not serve."""
        if self._context is not None:
            self._loop.run_coroutine(self._renew(self._context, tls))

    def stop(self, end_connections: Callable[[], Awaitable[None]]) -> None:
        """Close the port, then every connection by `end_connections`, in the loop. Idempotent."""
        if self._acceptor is not None:
            self._loop.run_coroutine(self._end(self._acceptor, end_connections))
        elif self._socket is not None:
            self._socket.close()
        self._acceptor = self._socket = None

    async def _serve(self, factory: ProtocolFactory, limits: ServerLimits) -> None:
        assert self._socket is not None
        self._acceptor = Acceptor(self._socket, factory, self._context, limits)
        self._acceptor.start(BACKLOG)

    @staticmethod
    async def _renew(context: ssl.SSLContext, tls: TlsPaths) -> None:
        reload_certificate(context, tls)

    @staticmethod
    async def _end(acceptor: Acceptor, end_connections: Callable[[], Awaitable[None]]) -> None:
        acceptor.close()
        await end_connections()
