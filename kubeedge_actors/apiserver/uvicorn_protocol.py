"""uvicorn's HTTP protocol, with the user of the client certificate in the request's state."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

from .auth import User, user_from_certificate
from .handlers.exec import upgrade_connection


class ClientCertificateProtocol(HttpToolsProtocol):
    """Reads the peer's certificate once a connection; ASGI has no place for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected, and shaken hands if there is TLS."""
        super().connection_made(transport)
        self.app_state = {
            **self.app_state,
            "user": peer_user(transport),
            "take_over": partial(upgrade_connection, self),
        }

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade is answered like any request: with a Takeover, or a Status that says why not."""


def peer_user(transport: asyncio.Transport) -> User | None:
    """The user of a verified client certificate."""
    secure: Any = transport.get_extra_info("ssl_object")
    certificate = secure.getpeercert() if secure is not None else None
    if not certificate:
        return None
    return user_from_certificate(certificate, hashlib.sha256(secure.getpeercert(True)).hexdigest())


__all__ = ["ClientCertificateProtocol", "Config", "Server"]
