"""UploadServer with Python's own library, which is imported when the server starts: on most edges it never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeedge_actors.drivers.http.base import BODY_LIMIT, BodyHandler

if TYPE_CHECKING:
    from io import BufferedIOBase

    from kubeedge_actors.drivers.http.listener import HttpListener
    from kubeedge_actors.drivers.http.request_handler import LimitedRequestHandler
    from kubeedge_actors.osutil.connection_limits import ByteBudget, ServerLimits

PIECE = 64 << 10
MAX_DIGITS = 9
"""Of a length; more of them cost time to read, and are too long a body anyhow."""


class StdlibUploadServer:
    """An UploadServer on `host`:`port`; port 0 takes a free one. It looks every `poll` seconds whether it was closed."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 9060, poll: float = 0.5, limits: ServerLimits | None = None
    ) -> None:
        self._host, self._port, self._poll, self._limits = host, port, poll, limits
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
        from kubeedge_actors.drivers.http.listener import LIMITS, HttpListener

        if self._server is not None:
            return
        self._server = HttpListener(self._host, self._port, _handler_class(handler), limits=self._limits or LIMITS)
        self._port = self._server.port
        self._server.start("http-server", self._poll)

    def close(self) -> None:
        """Take no more requests; those under way end by themselves."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


def _handler_class(handle: BodyHandler) -> type[LimitedRequestHandler]:
    """A request handler of the library that hands the body of any request to `handle`."""
    from kubeedge_actors.drivers.http.request_handler import LimitedRequestHandler

    class Exchange(LimitedRequestHandler):
        def answer(self) -> None:
            held = _Held(self.server.bodies)
            try:
                chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
                length = self.headers.get("Content-Length", "0")
                body = _read_chunked_body(self.rfile, held) if chunked else _read_fixed_body(self.rfile, length, held)
                self.close_connection = self.close_connection or body is None
                reply = handle(body)
            finally:
                held.give_back()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    return Exchange


class _Held:
    """What one body takes of the budget of all."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self._size = budget, 0

    def take(self, size: int) -> bool:
        if not self._budget.take(size):
            return False
        self._size += size
        return True

    def give_back(self) -> None:
        self._budget.give_back(self._size)


def _read_fixed_body(stream: BufferedIOBase, length: str, held: _Held) -> bytes | None:
    """A body of a stated length, or None for one that is too long, no length, or more than there is room for."""
    if not length.isdecimal() or len(length) > MAX_DIGITS or int(length) > BODY_LIMIT:
        return None
    return _read_exactly(stream, int(length), held)


def _read_exactly(stream: BufferedIOBase, size: int, held: _Held) -> bytes | None:
    body = bytearray()
    while len(body) < size:
        piece = stream.read1(min(PIECE, size - len(body)))
        if not piece or not held.take(len(piece)):
            return None
        body += piece
    return bytes(body)


def _read_chunked_body(stream: BufferedIOBase, held: _Held) -> bytes | None:
    """A body that comes in chunks, or None for one that is too long or not in chunks."""
    body = bytearray()
    while True:
        try:
            size = int(stream.readline(64).partition(b";")[0], 16)
        except ValueError:
            return None
        if not 0 <= size <= BODY_LIMIT - len(body):
            return None
        piece = _read_exactly(stream, size, held)
        if piece is None:
            return None
        body += piece
        stream.readline(64)
        if size == 0:
            return bytes(body)
