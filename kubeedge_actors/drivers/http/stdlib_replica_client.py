"""Requests to another replica of the cloud by TLS, with Python's own library: one connection for each call, whose certificate is looked at before
anything is said.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http.client import HTTPException, HTTPSConnection

from kubeedge_actors.drivers.http.base import ClientRequest, ClientResponse
from kubeedge_actors.drivers.http.stdlib_client import exchange
from kubeedge_actors.errors import CertificateError, HttpError


class StdlibReplicaClient:
    """`context` shows who we are, `check` is told the other's certificate (DER). `timeout` in seconds is for each step, `limit` bytes of an answer."""

    def __init__(
        self, context: Callable[[], ssl.SSLContext], check: Callable[[bytes], None], timeout: float, limit: int
    ) -> None:
        self._context, self._check, self._timeout, self._limit = context, check, timeout, limit

    def call(self, request: ClientRequest) -> ClientResponse:
        """Ask and wait. HttpError: there is no answer; CertificateError becomes one, too."""
        try:
            connection = HTTPSConnection(request.host, request.port, timeout=self._timeout, context=self._context())
        except CertificateError as error:
            raise HttpError(str(error)) from error
        try:
            connection.connect()
            self._check(connection.sock.getpeercert(True) or b"")
            return exchange(connection, request, self._limit)
        except (OSError, HTTPException, ValueError, CertificateError) as error:
            raise HttpError(
                f"{request.host}:{request.port} gives no answer: {error or type(error).__name__}"
            ) from error
        finally:
            connection.close()
