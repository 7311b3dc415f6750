"""uvicorn's HTTP protocol, with the user of the client certificate in the request's state, and limits on what a client may send and when.

uvicorn bounds neither the head of a request nor the time for it, and httptools puts a header together in quadratic time.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

from ..osutil.connection_limits import HEAD_TOO_LARGE, REQUEST_TIMEOUT, ConnectionSlot, ServerLimits
from ..osutil.unread_close import StrangerTransport
from .auth import NODES, User, user_from_certificate
from .handlers.exec import upgrade_connection

MAX_PIPELINED = 16
"""Requests of one connection that wait for their turn."""
Part = Literal["idle", "head", "body"]
CertificateRefusal = Callable[[bytes], str]
"""Why a node's certificate (DER), which TLS has verified, is good no more, as a sentence; empty when it is. Must not block."""


class ClientCertificateProtocol(HttpToolsProtocol):
    """Reads the peer's certificate once a connection; ASGI has no place for it.

    `open_door`: whoever comes is trusted (plain HTTP on loopback). `refusal`: asked about nodes' certificates, at each request.
    """

    def __init__(
        self,
        *arguments: Any,
        slot: ConnectionSlot,
        limits: ServerLimits,
        open_door: bool,
        refusal: CertificateRefusal,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._slot, self._limits, self._open_door = slot, limits, open_door
        self._refusal, self._nodes_certificate = refusal, b""
        self._part: Part = "idle"
        self._begun = self._head_size = 0
        self._timed = (-1, "")
        self._timer: asyncio.TimerHandle | None = None
        self._long_keep_alive, self.timeout_keep_alive = self.timeout_keep_alive, math.ceil(limits.head_seconds)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected, and shaken hands if there is TLS."""
        user, certificate = peer_user(transport)
        known = user is not None or self._open_door
        super().connection_made(transport if known else StrangerTransport.of(transport, lambda: self._part != "idle"))
        self._nodes_certificate = certificate if user is not None and NODES in user.groups else b""
        self.app_state = {
            **self.app_state,
            "user": user,
            "refusal": self.refusal,
            "authenticated": self.authenticated,
            "take_over": partial(upgrade_connection, self),
        }
        if known:
            self.authenticated()
        self._time()

    def refusal(self) -> str:
        """Why the certificate of this connection is good no more, as a sentence; empty when it is, or when there is none."""
        return self._refusal(self._nodes_certificate) if self._nodes_certificate else ""

    def authenticated(self) -> None:
        """It is known who is there."""
        self._slot.authenticated()
        self.timeout_keep_alive = self._long_keep_alive

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self.leave()
        super().connection_lost(exc)

    def leave(self) -> None:
        """The connection is gone, whoever had it last."""
        self._cancel_timer()
        self._slot.release()

    def data_received(self, data: bytes) -> None:
        """Hand it on, of a head no more than there may be."""
        rest = memoryview(data)
        while rest and not self.transport.is_closing():
            part, begun = self._part, self._begun
            room = len(rest) if part == "body" else self._limits.head_bytes - self._head_size
            if room <= 0:
                self._give_up(HEAD_TOO_LARGE)
                return
            piece, rest = rest[:room], rest[room:]
            super().data_received(bytes(piece))
            if part == self._part == "idle" and begun == self._begun:
                self.transport.close()  # empty lines for ever, say
            self._head_size = self._head_size + len(piece) if self._part == "head" and part != "body" else 0
        self._time()

    def on_message_begin(self) -> None:
        """A request begins. ValueError, which httptools takes for a malformed request: too many wait already."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests before the first was answered")
        self._part = "head"
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._part = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole."""
        self._part = "idle"
        super().on_message_complete()

    def _time(self) -> None:
        """Each part of a request has its deadline from its beginning on; between two of them uvicorn's counts."""
        if self.transport.is_closing() or (self._begun, self._part) == self._timed:
            return
        self._cancel_timer()
        self._timed = (self._begun, self._part)
        if self._part == "body":
            self._timer = self.loop.call_later(self._limits.body_seconds, self._give_up, REQUEST_TIMEOUT)
        elif self._part == "head" or not self._begun:
            self._timer = self.loop.call_later(self._limits.head_seconds, self._give_up, REQUEST_TIMEOUT)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, sentence: bytes) -> None:
        """Close; with a word, unless an answer is on its way."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        silent = cycle is None or (cycle.response_complete if self._part == "head" else not cycle.response_started)
        if self._begun and silent:
            self.transport.write(sentence)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade is answered like any request: with a Takeover, or a Status that says why not."""


def peer_user(transport: asyncio.Transport) -> tuple[User | None, bytes]:
    """The user of a verified client certificate, and that certificate (DER); None and nothing when none was shown."""
    secure: Any = transport.get_extra_info("ssl_object")
    certificate = secure.getpeercert() if secure is not None else None
    if not certificate:
        return None, b""
    der: bytes = secure.getpeercert(True)
    return user_from_certificate(certificate, hashlib.sha256(der).hexdigest()), der


def close_refused(connections: Iterable[object]) -> None:
    """End those whose certificates are refused by now, their watches too."""
    for connection in list(connections):
        if isinstance(connection, ClientCertificateProtocol) and connection.refusal():
            connection.transport.close()


__all__ = ["ClientCertificateProtocol", "Config", "Server"]
