"""A listening HTTP server of Python's own library on a thread of its own; imported only when there is one."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubeedge_actors.errors import HttpError
from kubeedge_actors.osutil.connection_limits import (
    ByteBudget,
    ConnectionLimiter,
    ConnectionSlot,
    ServerLimits,
    peer_key,
)
from kubeedge_actors.osutil.sockets import error_text

log = logging.getLogger(__name__)
LIMITS = ServerLimits(per_peer=64, unauthenticated=128, total=128)
"""Each connection is a thread."""
MAX_BODIES = 20_000_000
"""Bytes of all bodies that are being read at a time."""
AGAIN = 1.0
"""Seconds until a connection is taken again after that was impossible."""


class HttpListener(ThreadingHTTPServer):
    """Has `host`:`port` (0: a free one) from now on, and answers from `start` on, a thread for each connection.

    `names`: what it is called beside `localhost` and its address, in the `Host` of a request; None: whatever it is called. `context`: serve TLS.
    Errors: HttpError when the address can not be had.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        handler: type[BaseHTTPRequestHandler],
        *,
        limits: ServerLimits = LIMITS,
        names: Collection[str] | None = (),
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.context = context
        self.limits, self.bodies = limits, ByteBudget(MAX_BODIES)
        self.names = None if names is None else frozenset((host, *names))
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._limiter = ConnectionLimiter(limits)
        self._slots: dict[Any, ConnectionSlot] = {}
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            reason = error_text(error).lower()
            raise HttpError(f"port {port} of {host} can not be had for HTTP: {reason}", port) from error

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection; OSError when it has gone again, or when the process has no descriptors left: that is said, and waited for."""
        try:
            return super().get_request()
        except ConnectionError:
            raise
        except OSError as error:
            log.warning("port %d can take no connection now: %s", self.port, error_text(error))
            self._closing.wait(AGAIN)
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for another connection of this address."""
        slot = self._limiter.open(peer_key(client_address))
        if slot is None:
            log.debug("a connection of %s is refused: too many", client_address)
            return False
        self._slots[request] = slot
        return True

    def shutdown_request(self, request: Any) -> None:
        """A connection ends."""
        slot = self._slots.pop(request, None)
        super().shutdown_request(request)
        if slot is not None:
            slot.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """To our log; the library prints."""
        log.debug("a connection of %s failed", client_address, exc_info=True)

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self.server_address[1])

    def start(self, name: str, poll: float = 0.5) -> None:
        """Answer. `name`: of the thread; `poll`: seconds within which `close` is noticed."""
        self._thread = threading.Thread(target=self.serve_forever, args=(poll,), name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more requests; those under way end by themselves."""
        self._closing.set()
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
