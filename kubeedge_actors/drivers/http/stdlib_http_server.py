"""HttpServer with Python's own library, imported only when one is used."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Generator
from urllib.parse import parse_qsl, urlsplit

from kubeedge_actors.drivers.http.base import BODY_LIMIT, RequestHandler, ServerRequest, ServerResponse
from kubeedge_actors.drivers.http.listener import LIMITS, HttpListener
from kubeedge_actors.drivers.http.request_handler import LimitedRequestHandler
from kubeedge_actors.osutil.connection_limits import ServerLimits

log = logging.getLogger(__name__)

START_SECONDS = 30.0
"""How long a question waits for the first handler."""
MAX_DIGITS = 9
"""Of a length."""


class StdlibHttpServer:
    """An HttpServer on `host`:`port`; port 0 takes a free one. `context`: serve TLS, under whatever name."""

    def __init__(
        self, host: str, port: int, limits: ServerLimits = LIMITS, context: ssl.SSLContext | None = None
    ) -> None:
        self._host, self._port, self._limits, self._context = host, port, limits, context
        self._server: _Server | None = None

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self._host}:{self._port}"

    def bind(self) -> None:
        """See the protocol."""
        self._server = _Server(self._host, self._port, _RequestHandler, self._limits, self._context)
        self._port = self._server.port
        self._server.start("site")

    def serve(self, handler: RequestHandler) -> None:
        """See the protocol."""
        if self._server is not None:
            self._server.handler = handler
            self._server.ready.set()

    def close(self) -> None:
        """See the protocol."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


class _Server(HttpListener):
    handler: RequestHandler

    def __init__(
        self,
        host: str,
        port: int,
        exchange: type[LimitedRequestHandler],
        limits: ServerLimits,
        context: ssl.SSLContext | None,
    ) -> None:
        self.ready = threading.Event()
        names = () if context is None else None  # who is called by a name of its certificate is no rebound one
        super().__init__(host, port, exchange, limits=limits, names=names, context=context)


class _Body:
    """The body of one request, read when it is asked for, out of the room for all."""

    def __init__(self, connection: LimitedRequestHandler) -> None:
        self._connection, self._size = connection, 0

    def read(self) -> bytes | None:
        """See ServerRequest."""
        headers, bodies = self._connection.headers, self._connection.server.bodies
        length = headers.get("Content-Length", "0")
        if "Transfer-Encoding" in headers or not length.isdecimal() or len(length) > MAX_DIGITS:
            return None
        if self._size or int(length) > BODY_LIMIT or not bodies.take(int(length)):
            return None
        self._size = int(length)
        body = self._connection.rfile.read(self._size)
        return body if len(body) == self._size else None

    def give_back(self) -> None:
        """The request is done."""
        self._connection.server.bodies.give_back(self._size)


class _RequestHandler(LimitedRequestHandler):
    server: _Server

    def answer(self) -> None:
        """Any method: the handler decides."""
        self.close_if_body()
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query, body = dict(parse_qsl(url.query, keep_blank_values=True)), _Body(self)
        request = ServerRequest(self.command, url.path, query, headers, body.read)
        if not self.server.ready.wait(START_SECONDS):
            self._say(ServerResponse(503, b"not ready", "text/plain"))
            return
        try:
            reply = self.server.handler(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            reply = ServerResponse(500, b"internal error, see the log", "text/plain")
        finally:
            body.give_back()
        self._say(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def _say(self, reply: ServerResponse) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.type)
        if reply.stream is None:
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else reply.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._stream(reply.stream)

    def _stream(self, pieces: Generator[bytes, None, None]) -> None:
        try:
            for piece in pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
                self.wfile.flush()
                if not piece and self._is_gone():
                    return
            self.wfile.write(b"0\r\n\r\n")
        except OSError as error:
            self.close_connection = True
            log.debug("a client has gone: %s", error)
        finally:
            pieces.close()

    def _is_gone(self) -> bool:
        """Whether the client has hung up: an empty piece is a chance to look. Under TLS one that says anything more counts as gone."""
        self.connection.setblocking(False)
        try:
            if isinstance(self.connection, ssl.SSLSocket):
                self.close_connection = True
                self.connection.recv(1)
                return True
            return len(self.connection.recv(1, socket.MSG_PEEK)) == 0
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self.connection.settimeout(self.server.limits.idle_seconds)
