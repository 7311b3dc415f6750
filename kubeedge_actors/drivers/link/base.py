"""Protocols of both ends of a link.

Contract of every Link (client end; one object is one attempt to connect and, if that succeeds, one connection)
* `open` and `send` never block and never raise for the network's sake; failures arrive as `on_close`.
* Events come one at a time, in order, on the driver's own thread: `on_open` at most once, before any text; `on_close` exactly
  once, last, also when `open` failed or `close` was called. A text sent after that is dropped.
* Texts arrive in the order they were sent, whole, each once. `on_written` names a text's mark when it has left the process for a live socket,
  in the order of `send`; what was sent and not named when `on_close` comes may or may not have arrived.
* A slow event handler slows the peer down (TCP), it does not fill memory.

Contract of every LinkServer
* `start` returns when the port is bound (`LinkError`: taken, bad certificate) and `stop` when every connection is closed.
* Events come on the driver's own thread and must not block. For a peer: `admit`, then `on_connect`, texts, `on_close` exactly once (only
  if `on_connect` came). `send` and `close` may be called from any thread, also for a peer that is gone (nothing happens).
* `start` again, with the server running, hands the same connections to new events: `peers` tells who is in.
* A peer that does not read is closed when `backlog` bytes wait for it; it never delays another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from kubeedge_actors.drivers.pki.base import TlsPaths


class CertificateSource(Protocol):
    """Source of the client end's certificates.

    All methods may block for seconds; call them off the link's thread.
    `CertificateError`: a person must act (wrong or expired token, another CA). Any other `LinkError`: try again later.
    """

    def obtain(self) -> TlsPaths:
        """Paths of valid certificates: stored ones, or new ones from the cloud. Errors: CertificateError, LinkError."""

    def renew_at(self) -> float:
        """When to call `renew`, epoch seconds; 0 when there is nothing to renew."""

    def renew(self) -> TlsPaths:
        """Fetch a new certificate, authenticated by the current one; the link has to be reopened. Errors: CertificateError, LinkError."""


class CloseReason(msgspec.Struct, frozen=True):
    """Why a link was closed: a sentence, and the seconds to wait before the next attempt if the other side asked for that."""

    reason: str
    retry_after: float | None = None


class LinkEvents(Protocol):
    """Events of a client link, on the driver's thread."""

    def on_open(self, headers: Mapping[str, str]) -> None:
        """The upgrade was answered; `headers` of the answer, names in lower case."""

    def on_text(self, text: str) -> None:
        """One whole text message (a binary one counts as text)."""

    def on_written(self, marks: Sequence[str]) -> None:
        """The texts with these marks were written to the socket."""

    def on_close(self, closed: CloseReason) -> None:
        """The end of the link; no event follows."""


class Link(Protocol):
    """The client end of one connection."""

    def open(
        self,
        url: str,
        headers: Mapping[str, str],
        tls: TlsPaths | None,
        events: LinkEvents,
    ) -> None:
        """Begin to connect, once per object; `url` is ws:// (tls None) or wss://."""

    def send(self, text: str, message_id: str = "") -> None:
        """Queue one text message; its mark comes back through `on_written`."""

    def close(self) -> None:
        """End the link; what is queued may be lost. Idempotent; any thread; `on_close` may come after it returns."""


class Peer(msgspec.Struct, frozen=True):
    """A connecting peer. `headers` hold first values with names in lower case; `common_name` is of a certificate verified against the CA.

    `serial` and `not_before` (epoch seconds) are that certificate's.
    """

    id: int
    path: str
    headers: Mapping[str, str]
    common_name: str = ""
    organizations: tuple[str, ...] = ()
    address: str = ""
    serial: int = 0
    not_before: float = 0.0


class UpgradeResponse(msgspec.Struct, frozen=True):
    """Answer to a peer's upgrade request: 101 with these extra headers, or an HTTP error with a sentence (`Retry-After` is a header)."""

    status: int = 101
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    reason: str = ""


class ServerEvents(Protocol):
    """Events of a link server, on the driver's thread."""

    def admit(self, peer: Peer) -> UpgradeResponse:
        """Decide before the upgrade is answered."""

    def on_connect(self, peer: Peer) -> None:
        """The peer is connected; messages to it are delivered from now on."""

    def on_text(self, peer: Peer, text: str) -> bool:
        """One whole text message. False: no room now; the peer is not read until the same text was taken."""

    def on_close(self, peer: Peer, reason: str) -> None:
        """The peer is gone."""


class LinkServer(Protocol):
    """The server end: many peers."""

    def start(self, host: str, port: int, tls: TlsPaths | None, events: ServerEvents) -> int:
        """Listen; the answer is the bound port (for `port` 0). With `tls` client certificates are required and verified."""

    def peers(self) -> list[Peer]:
        """The connected peers."""

    def send(self, peer: Peer, text: str) -> None:
        """Queue one text message for this peer; never blocks."""

    def close(self, peer: Peer, reason: str = "", code: int = 0) -> None:
        """End this peer's connection; what is queued may be lost. With a `code` (4000 to 4999) the peer is told it and the reason."""

    def call_soon(self, function: Callable[[], None]) -> None:
        """Have `function`, which must not block, called on the driver's thread after the events that have come by now; from that thread only."""

    def stop(self) -> None:
        """Close every connection and the port."""
