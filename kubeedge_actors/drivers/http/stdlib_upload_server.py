"""UploadServer with Python's own library, which is imported when the server starts: on most edges it never does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kubeedge_actors.drivers.http.base import BODY_LIMIT, BodyHandler

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from io import BufferedIOBase

    from kubeedge_actors.drivers.http.listener import HttpListener

log = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
"""After which a kept connection to our server ends."""


class StdlibUploadServer:
    """An UploadServer on `host`:`port`; port 0 takes a free one. It looks every `poll` seconds whether it was closed."""

    def __init__(self, host: str = "127.0.0.1", port: int = 9060, poll: float = 0.5) -> None:
        self._host, self._port, self._poll = host, port, poll
        self._server: HttpListener | None = None

    @property
    def serving(self) -> bool:
        """True between start and close."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port it serves on."""
        return self._port

    def start(self, handler: BodyHandler) -> None:
        """Serve on threads."""
        from kubeedge_actors.drivers.http.listener import HttpListener

        if self._server is not None:
            return
        self._server = HttpListener(self._host, self._port, _handler_class(handler))
        self._port = self._server.port
        self._server.start("http-server", self._poll)

    def close(self) -> None:
        """Take no more requests; those under way end by themselves."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


def _handler_class(handle: BodyHandler) -> type[BaseHTTPRequestHandler]:
    """A request handler of the library that hands the body of any request to `handle`."""
    from http.server import BaseHTTPRequestHandler

    class Exchange(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = IDLE_SECONDS

        def answer(self) -> None:
            chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
            body = (
                _read_chunked_body(self.rfile)
                if chunked
                else _read_fixed_body(self.rfile, self.headers.get("Content-Length", "0"))
            )
            self.close_connection = self.close_connection or body is None
            reply = handle(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *arguments: Any) -> None:
            log.debug(format, *arguments)

    return Exchange


def _read_fixed_body(stream: BufferedIOBase, length: str) -> bytes | None:
    """A body of a stated length, or None for one that is too long or no length."""
    return stream.read(int(length)) if length.isdigit() and int(length) <= BODY_LIMIT else None


def _read_chunked_body(stream: BufferedIOBase) -> bytes | None:
    """A body that comes in chunks, or None for one that is too long or not in chunks."""
    body = b""
    while True:
        try:
            size = int(stream.readline(64).partition(b";")[0], 16)
        except ValueError:
            return None
        if not 0 <= size <= BODY_LIMIT - len(body):
            return None
        body += stream.read(size)
        stream.readline(64)
        if size == 0:
            return body
