"""EdgeHub's messages to itself: events of its link, of the thread that fetches certificates, and timers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubeedge_actors.drivers.link.base import CloseReason, Link
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.supervisors import Ref
from kubeedge_actors.wire.messages import Message


class ConnectDue(Message, frozen=True, kw_only=True):
    """Time to connect."""


class CertificatesReady(Message, frozen=True, kw_only=True):
    """The certificates are there; `renew_at` in epoch seconds, 0: never."""

    tls: TlsPaths | None
    renew_at: float = 0.0


class CertificatesFailed(Message, frozen=True, kw_only=True):
    """Certificates could not be had; `final`: rejected for good, a person must act."""

    reason: str
    final: bool


class RenewalFinished(Message, frozen=True, kw_only=True):
    """A renewal has ended; an empty `failure` means success."""

    failure: str = ""


class LinkOpened(Message, frozen=True, kw_only=True):
    """The link is open; header names in lower case."""

    link: Link
    headers: Mapping[str, str]


class LinkReady(Message, frozen=True, kw_only=True):
    """Timer: the link may carry requests."""

    link: Link


class FrameReceived(Message, frozen=True, kw_only=True):
    """A frame was received. It is handled even if its link has been closed since."""

    text: str


class FramesWritten(Message, frozen=True, kw_only=True):
    """Frames with these marks were written to the socket."""

    link: Link
    marks: Sequence[str]


class LinkClosed(Message, frozen=True, kw_only=True):
    """The link is gone."""

    link: Link
    closed: CloseReason


class KeepaliveDue(Message, frozen=True, kw_only=True):
    """Time for a heart-beat, and to look at what is overdue."""


class ConfirmationsDue(Message, frozen=True, kw_only=True):
    """Messages of the cloud's modules were handled: time to confirm them."""


class OutboxCleanupDue(Message, frozen=True, kw_only=True):
    """Time to remove from the store what the cloud has."""


class MalformedFrame(Message, frozen=True, kw_only=True):
    """A malformed frame of the cloud. Nobody accepts this, so it becomes a dead letter with the head of the text."""

    reason: str
    text: str


class Undeliverable(Message, frozen=True, kw_only=True):
    """A message that could neither be sent nor be stored. Nobody accepts this, so it becomes a dead letter."""

    reason: str
    text: str


HUB_MESSAGES = (
    ConnectDue,
    CertificatesReady,
    CertificatesFailed,
    RenewalFinished,
    LinkOpened,
    LinkReady,
    FrameReceived,
    FramesWritten,
    LinkClosed,
    KeepaliveDue,
    OutboxCleanupDue,
    ConfirmationsDue,
)


class LinkEventsAdapter:
    """Implements `LinkEvents`: events of one link become messages. A full mailbox slows the cloud down."""

    def __init__(self, ref: Ref, link: Link) -> None:
        self._ref = ref
        self._link = link
        self._shut = False

    def detach(self) -> None:
        """The hub has closed the link: ignore its events, except for texts."""
        self._shut = True

    def on_open(self, headers: Mapping[str, str]) -> None:
        """The link is open."""
        self._ref.tell(LinkOpened(link=self._link, headers=headers))

    def on_text(self, text: str) -> None:
        """A text came."""
        self._ref.tell(FrameReceived(text=text))

    def on_written(self, marks: Sequence[str]) -> None:
        """Texts were written."""
        if not self._shut:
            self._ref.tell(FramesWritten(link=self._link, marks=marks))

    def on_close(self, closed: CloseReason) -> None:
        """The link is gone."""
        if not self._shut:
            self._ref.tell(LinkClosed(link=self._link, closed=closed))
