"""Python's own HTTP request handler with limits: bytes of a head, time for each part, no page of another site.

The library bounds lines and their number (6 MB together) and the time of each read, so one byte a minute would do.
"""

from __future__ import annotations

import io
import logging
import socket
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from kubeedge_actors.drivers.http.listener import HttpListener
from kubeedge_actors.osutil.connection_limits import HEAD_TOO_LARGE, ServerLimits
from kubeedge_actors.osutil.sockets import is_cross_site

log = logging.getLogger(__name__)
READ_SIZE = 8_192


class HeadTooLarge(Exception):
    """More bytes came than a head may have."""


class LimitedInput(io.RawIOBase):
    """The bytes of a connection, each part of a request with its deadline. TimeoutError, HeadTooLarge."""

    def __init__(self, connection: socket.socket, limits: ServerLimits) -> None:
        self._connection, self._limits = connection, limits
        self._room: int | None = None
        self._begun = False
        self._deadline = 0.0

    def readable(self) -> bool:
        """Yes."""
        return True

    def expect_head(self, seconds: float) -> None:
        """A request comes next; it begins within `seconds`."""
        self._room, self._begun = self._limits.head_bytes, False
        self._deadline = time.monotonic() + seconds

    def expect_body(self) -> None:
        """The head is whole."""
        self._room, self._begun = None, True
        self._deadline = time.monotonic() + self._limits.body_seconds

    def readinto(self, buffer: Any) -> int:
        """Some bytes; 0 at the end."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request is not whole in time")
        if self._room is not None and self._room <= 0:
            raise HeadTooLarge
        self._connection.settimeout(left)
        try:
            size = self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._limits.idle_seconds)  # for what is written
        if self._room is not None:
            self._room -= size
        if not self._begun:
            self._begun = True
            self._deadline = time.monotonic() + self._limits.head_seconds
        return size


class LimitedRequestHandler(BaseHTTPRequestHandler):
    """Serves one connection of an HttpListener; subclasses have `do_GET` and so on."""

    protocol_version = "HTTP/1.1"
    server: HttpListener

    def setup(self) -> None:
        """Shake hands, if there is TLS, and read through the limits. Errors: OSError of a handshake."""
        if self.server.context is not None:
            self.request.settimeout(self.server.limits.handshake_seconds)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()
        self.rfile.close()
        self._input = LimitedInput(self.connection, self.server.limits)
        self.rfile = io.BufferedReader(self._input, READ_SIZE)
        self._first = True

    def finish(self) -> None:
        """The connection ends; under TLS it is another object than the listener has."""
        try:
            super().finish()
        finally:
            if self.server.context is not None:
                self.connection.close()

    def handle_one_request(self) -> None:
        """The library's, in time and not too long."""
        limits = self.server.limits
        self._input.expect_head(limits.head_seconds if self._first else limits.idle_seconds)
        self._first = False
        try:
            super().handle_one_request()
        except HeadTooLarge:
            self.close_connection = True
            self.wfile.write(HEAD_TOO_LARGE)
        except ConnectionError as error:
            self.close_connection = True
            log.debug("a client has gone: %s", error)

    def parse_request(self) -> bool:
        """The library's; the request of a page of another site is answered here."""
        if not super().parse_request():
            return False
        self._input.expect_body()
        names, host, origin = self.server.names, self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if names is not None and is_cross_site(",".join(host), ",".join(origin), names):
            self.close_connection = True
            self.send_error(403, "this is served to programs, not to web pages: the Host or Origin is another one")
            return False
        return True

    def close_if_body(self) -> None:
        """For an answer that reads no body: the connection ends when there is one."""
        if "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0":
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """To our log, for those who look closely."""
        log.debug(format, *arguments)
