"""TargetClient with Python's own library: one connection for each call."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from kubeedge_actors.drivers.http.base import BODY_LIMIT, ClientResponse
from kubeedge_actors.errors import HttpError

PIECE = 64 << 10


class StdlibTargetClient:
    """A TargetClient; certificates are verified by the system's authorities."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> ClientResponse:
        """See the protocol."""
        deadline = time.monotonic() + timeout
        parts = urlsplit(url)
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        try:
            connection = self._connection(parts.scheme, parts.hostname or "", parts.port, timeout)
            try:
                connection.request("POST", path, body, dict(headers))
                response = connection.getresponse()
                return ClientResponse(response.status, {}, _read_until(connection, response, deadline))
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            raise HttpError(f"{url} gives no answer: {error or type(error).__name__}") from error

    def _connection(self, scheme: str, host: str, port: int | None, timeout: float) -> HTTPConnection:
        if scheme != "https":
            return HTTPConnection(host, port, timeout=timeout)
        if self._context is None:
            self._context = ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=timeout, context=self._context)


def _read_until(connection: HTTPConnection, response: HTTPResponse, deadline: float) -> bytes:
    """The body, cut off at BODY_LIMIT. TimeoutError when it is not whole in time, however steadily it drips."""
    body = bytearray()
    while len(body) < BODY_LIMIT:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("its answer is not whole in time")
        if connection.sock is not None:
            connection.sock.settimeout(left)
        piece = response.read1(min(PIECE, BODY_LIMIT - len(body)))
        if not piece:
            break
        body += piece
    return bytes(body)
