"""Adapter between the link server's thread and the hub's mailbox: events become messages, and nothing here ever blocks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from kubeedge_actors.actors.cloudhub.frame_limits import UnreadFrames
from kubeedge_actors.actors.cloudhub.messages import FrameReceived, PeerJoined, PeerLeft
from kubeedge_actors.actors.cloudhub.peer_authorization import admit
from kubeedge_actors.actors.cloudhub.traffic import TrafficCounters
from kubeedge_actors.actors.cloudhub.upstream_pressure import REFUSED_SECONDS, Receiver, UpstreamPressure
from kubeedge_actors.drivers.link.base import Peer, UpgradeResponse
from kubeedge_actors.hubs.rate_limits import JoinRateLimiter
from kubeedge_actors.outage_log import OncePerInterval
from kubeedge_actors.supervisors import Clock, Ref

log = logging.getLogger(__name__)
RETRY_LATER, FULL = "told to come later", "node limit"
BAD_REQUEST, FORBIDDEN, UNAVAILABLE = 400, 403, 503
REASONS = {BAD_REQUEST: "no node's handshake", FORBIDDEN: "another's certificate", UNAVAILABLE: RETRY_LATER}
ADMITTED = 101
MAX_REFUSED = 1_000
"""Names of nodes after which those are forgotten whose time is over."""


class ServerEventsAdapter:
    """The link server's events for the hub behind `ref`; it works on while the hub is being restarted.

    `full`: whether there is no room for this peer's node; `call_soon`: the server's, so that the hub is woken once for all that a turn of the
    server's loop brings; `receivers`: whom messages of nodes are for.
    """

    def __init__(
        self,
        ref: Ref,
        clock: Clock,
        join_limiter: JoinRateLimiter,
        traffic: TrafficCounters,
        full: Callable[[Peer], bool],
        call_soon: Callable[[Callable[[], None]], object],
        receivers: Callable[[], Iterable[Receiver]] = tuple,
    ) -> None:
        self._ref = ref
        self._clock = clock
        self._join_limiter = join_limiter
        self._traffic = traffic
        self._full, self._call_soon = full, call_soon
        self._wakes = False
        self._warned = OncePerInterval()
        self._unannounced: set[int] = set()
        self._unread = UnreadFrames()
        self._pressure = UpstreamPressure(receivers)
        self._refused_until: dict[str, float] = {}

    def admit(self, peer: Peer) -> UpgradeResponse:
        """Authorize a connection; rejections are counted, and logged if an operator has to act."""
        now = self._clock.monotonic()
        full = self._full(peer)
        admission = admit(peer, self._join_limiter, now, full=full)
        if admission.status != ADMITTED:
            why = FULL if full and admission.status == UNAVAILABLE else REASONS[admission.status]
            self._traffic.count_outcome(f"refused: {why}")
            if why != RETRY_LATER and self._warned.allow(f"{why} {peer.common_name}", now):
                log.warning("a connection from %s is rejected: %s", peer.address, admission.reason)
        return admission

    def on_connect(self, peer: Peer) -> None:
        """Announce a node (`PeerJoined`); if the mailbox is full, with its first text."""
        now = self._clock.monotonic()
        if now < self._refused_until.get(peer.common_name, now):  # who comes anew is no other
            self._pressure.on_refused(peer.id, now)
        if not self._ref.offer(PeerJoined(peer=peer)):
            self._unannounced.add(peer.id)

    def on_text(self, peer: Peer, text: str) -> bool:
        """Pass a text to the mailbox; False while that is full or has too much of this peer, or the controllers are behind and it has said enough."""
        if peer.id in self._unannounced:
            if not self._ref.offer(PeerJoined(peer=peer)):
                return False
            self._unannounced.discard(peer.id)
        now = self._clock.monotonic()
        if not self._unread.add(peer.id, len(text)):
            return False
        event = FrameReceived(peer=peer, text=text, at=now)
        if not (self._pressure.admits(peer.id, now) and self._ref.offer_without_waking(event)):
            self._unread.remove(peer.id, len(text))
            return False
        if not self._wakes:
            self._wakes = True
            self._call_soon(self._wake)
        return True

    def _wake(self) -> None:
        self._wakes = False
        self._ref.wake()

    def on_frame_read(self, event: FrameReceived) -> None:
        """The hub has taken it out of its mailbox."""
        self._unread.remove(event.peer.id, len(event.text))

    def on_refused(self, peer: Peer) -> None:
        """A report of this peer was refused."""
        now = self._clock.monotonic()
        self._pressure.on_refused(peer.id, now)
        self._refused_until[peer.common_name] = now + REFUSED_SECONDS
        if len(self._refused_until) > MAX_REFUSED:
            self._refused_until = {name: until for name, until in list(self._refused_until.items()) if until > now}

    def on_session_ended(self, peer: Peer) -> None:
        """Nothing more is told about this peer."""
        self._pressure.forget(peer.id)

    def on_close(self, peer: Peer, reason: str) -> None:
        """Tell the hub that a node has left; if the mailbox is full, it finds out by the missing keepalive."""
        self._pressure.forget(peer.id)
        if peer.id in self._unannounced:
            self._unannounced.discard(peer.id)
        else:
            self._ref.offer(PeerLeft(peer=peer, reason=reason))
