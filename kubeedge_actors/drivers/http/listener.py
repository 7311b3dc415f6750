"""A listening HTTP server of Python's own library on a thread of its own; imported only when there is one."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kubeedge_actors.errors import HttpError
from kubeedge_actors.osutil.sockets import error_text


class HttpListener(ThreadingHTTPServer):
    """Has `host`:`port` (0: a free one) from now on, and answers from `start` on, a thread for each connection.

    Errors: HttpError when the address can not be had.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._thread: threading.Thread | None = None
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            reason = error_text(error).lower()
            raise HttpError(f"port {port} of {host} can not be had for HTTP: {reason}", port) from error

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
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
