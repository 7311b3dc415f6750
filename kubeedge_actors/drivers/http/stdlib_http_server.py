"""HttpServer with Python's own library, imported only when one is used."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from kubeedge_actors.drivers.http.base import RequestHandler, ServerRequest, ServerResponse
from kubeedge_actors.drivers.http.listener import HttpListener

log = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
START_SECONDS = 30.0
"""How long a question waits for the first handler."""


class StdlibHttpServer:
    """An HttpServer on `host`:`port`; port 0 takes a free one."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server: _Server | None = None

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self._host}:{self._port}"

    def bind(self) -> None:
        """See the protocol."""
        self._server = _Server(self._host, self._port, _RequestHandler)
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

    def __init__(self, host: str, port: int, exchange: type[BaseHTTPRequestHandler]) -> None:
        self.ready = threading.Event()
        super().__init__(host, port, exchange)


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: _Server

    def answer(self) -> None:
        """Any method: the handler decides."""
        self.close_connection = self.close_connection or self.headers.get("Content-Length", "0") != "0"
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = ServerRequest(self.command, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), headers)
        if not self.server.ready.wait(START_SECONDS):
            self._say(ServerResponse(503, b"not ready", "text/plain"))
            return
        try:
            reply = self.server.handler(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            reply = ServerResponse(500, b"internal error, see the log", "text/plain")
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
        """Whether the client has hung up: an empty piece is a chance to look."""
        self.connection.setblocking(False)
        try:
            return len(self.connection.recv(1, socket.MSG_PEEK)) == 0
        except BlockingIOError:
            return False
        finally:
            self.connection.settimeout(self.timeout)

    def log_message(self, format: str, *args: object) -> None:
        """To our log, for those who look closely."""
        log.debug(format, *args)
