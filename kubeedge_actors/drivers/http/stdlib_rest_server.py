"""Whole requests of any method to a handler, with Python's own library: KubeEdge's RestHandler, with limits."""

from __future__ import annotations

import logging
import ssl
from typing import Any

from kubeedge_actors.drivers.http.base import RestHandler, RestRequest, RestResponse
from kubeedge_actors.drivers.http.listener import HttpListener
from kubeedge_actors.drivers.http.request_body import HeldBytes, read_body
from kubeedge_actors.drivers.http.request_handler import LimitedRequestHandler
from kubeedge_actors.osutil.connection_limits import ByteBudget, ServerLimits

log = logging.getLogger(__name__)
REST_BODY_LIMIT, ALL_BODIES = 12 << 20, 64 << 20
"""Bytes of one body (source: KubeEdge cloud/pkg/router/listener/http.go), and of all that are being read or answered."""
LIMITS = ServerLimits(per_peer=64, unauthenticated=128, total=128)
OUR_OWN = frozenset(
    {"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "Date", "Trailer", "Te"}
)
"""Headers of an answer that say how it travels; they are ours to set."""


class StdlibRestServer:
    """Serves `host`:`port` (0: a free one); with a `context` by TLS, else for programs of this machine, not for pages of other sites."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None = None, limits: ServerLimits = LIMITS
    ) -> None:
        self._address, self._context, self._limits = (host, port), context, limits
        self._server: _Listener | None = None

    @property
    def port(self) -> int:
        """The port that it has."""
        return self._address[1]

    def start(self, handler: RestHandler) -> None:
        """Serve on threads. Error: HttpError when the port can not be had."""
        self._server = _Listener(
            *self._address, _Exchange, limits=self._limits, context=self._context, names=_names(self._context)
        )
        self._server.handler, self._server.bodies = handler, ByteBudget(ALL_BODIES)
        self._address = (self._address[0], self._server.port)
        self._server.start("rest-server")

    def reload(self, context: ssl.SSLContext) -> None:
        """Whoever connects from now on is shown what this one has."""
        self._context = context
        if self._server is not None:
            self._server.context = context

    def close(self) -> None:
        """Take no more requests; those under way end by themselves. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


def _names(context: ssl.SSLContext | None) -> tuple[str, ...] | None:
    """Who is called by a name of its certificate is no rebound one."""
    return () if context is None else None


class _Listener(HttpListener):
    handler: RestHandler


class _Exchange(LimitedRequestHandler):
    server: _Listener

    def answer(self) -> None:
        """Any method: the handler decides."""
        with HeldBytes(self.server.bodies) as held:
            body = read_body(self.rfile, self.headers, held, REST_BODY_LIMIT)
            self.close_connection = self.close_connection or body is None
            self._say(RestResponse(413, b"the body is too long or not whole") if body is None else self._ask(body))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def _ask(self, body: bytes) -> RestResponse:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
        try:
            return self.server.handler(RestRequest(self.command, self.path, headers, body, self._certificate()))
        except Exception:
            log.exception("%s %s failed", self.command, self.path)
            return RestResponse(500, b"internal error, see the log")

    def _certificate(self) -> dict[str, Any] | None:
        certificate = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        return dict(certificate) if certificate else None

    def _say(self, reply: RestResponse) -> None:
        self.send_response(reply.status)
        for name, values in reply.headers.items():
            for value in () if name.title() in OUR_OWN else values:
                if _is_header(name, value):
                    self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else reply.body)


def _is_header(name: str, value: str) -> bool:
    """Whether it is one header and no more: what a node answers must not become another answer."""
    return (
        name.isascii() and name.replace("-", "").replace("_", "").isalnum() and value.isprintable() and _is_latin(value)
    )


def _is_latin(value: str) -> bool:
    return all(ord(character) < 256 for character in value)
