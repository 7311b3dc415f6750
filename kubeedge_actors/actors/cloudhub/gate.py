"""Between the link server's thread and the hub's mailbox: events become messages, and nothing here ever blocks."""

from __future__ import annotations

from kubeedge_actors.actors.cloudhub.admission import Door
from kubeedge_actors.actors.cloudhub.events import PeerJoined, PeerLeft, TextCame
from kubeedge_actors.drivers.link.base import Admission, Peer
from kubeedge_actors.supervisors import Clock, Ref


class Gate:
    """The link server's events for the hub behind `ref`; it works on while the hub is being restarted."""

    def __init__(self, ref: Ref, clock: Clock, door: Door) -> None:
        self._ref = ref
        self._clock = clock
        self._door = door
        self._unannounced: set[int] = set()

    def admit(self, peer: Peer) -> Admission:
        """Decide at the door."""
        return self._door.admit(peer, self._clock.monotonic())

    def on_connect(self, peer: Peer) -> None:
        """Announce a node; if the mailbox is full, with its first text."""
        if not self._ref.offer(PeerJoined(peer=peer)):
            self._unannounced.add(peer.id)

    def on_text(self, peer: Peer, text: str) -> bool:
        """Hand a text on; False while the mailbox is full."""
        if peer.id in self._unannounced:
            if not self._ref.offer(PeerJoined(peer=peer)):
                return False
            self._unannounced.discard(peer.id)
        return self._ref.offer(TextCame(peer=peer, text=text, at=self._clock.monotonic()))

    def on_close(self, peer: Peer, reason: str) -> None:
        """Say that a node is gone; if the mailbox is full, the hub finds out when no heart-beat comes."""
        if peer.id in self._unannounced:
            self._unannounced.discard(peer.id)
        else:
            self._ref.offer(PeerLeft(peer=peer, reason=reason))
