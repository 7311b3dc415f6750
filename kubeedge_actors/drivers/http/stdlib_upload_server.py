"""UploadServer with Python's own library, which is imported when the server starts: on most edges it never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeedge_actors.drivers.http.base import BODY_LIMIT, BodyHandler

if TYPE_CHECKING:
    from kubeedge_actors.drivers.http.listener import HttpListener
    from kubeedge_actors.drivers.http.request_handler import LimitedRequestHandler
    from kubeedge_actors.osutil.connection_limits import ServerLimits


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
    from kubeedge_actors.drivers.http.request_body import HeldBytes, read_body
    from kubeedge_actors.drivers.http.request_handler import LimitedRequestHandler

    class Exchange(LimitedRequestHandler):
        def answer(self) -> None:
            with HeldBytes(self.server.bodies) as held:
                body = read_body(self.rfile, self.headers, held, BODY_LIMIT)
                self.close_connection = self.close_connection or body is None
                reply = handle(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    return Exchange
