"""Accepts connections for an asyncio server: counts them, lets them wait, does TLS, and hands them to their protocol.

`loop.create_server(ssl=...)` shows a connection to nobody before its handshake is over, so it could not be bounded by address.
Whoever has no place yet costs a socket, no TLS and no transport; its bytes stay in the kernel.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from kubeedge_actors.osutil.connection_limits import ConnectionLimiter, ConnectionSlot, ServerLimits, peer_key
from kubeedge_actors.osutil.open_files import fitted
from kubeedge_actors.osutil.sockets import error_text
from kubeedge_actors.osutil.stranger_pace import StrangerPace
from kubeedge_actors.outage_log import OutageLog

log = logging.getLogger(__name__)
SHUTDOWN_SECONDS = 1.0
ACCEPTS_PER_TURN = 64
RETRY_SECONDS = 0.5
"""Seconds until a connection is taken again after that was impossible: too many files are open, say."""
ProtocolFactory = Callable[[ConnectionSlot], asyncio.Protocol]


class Acceptor:
    """Accepts on a bound socket, in the thread of a running loop.

    `factory` makes the protocol for a connection that has a place; its `connection_made` comes after the handshake, if there is
    a `context`. The protocol says `authenticated` to the slot when it knows who is there, and `release` when the connection is lost.
    """

    def __init__(
        self, listener: socket.socket, factory: ProtocolFactory, context: ssl.SSLContext | None, limits: ServerLimits
    ) -> None:
        self.accepted = 0
        self._listener, self._factory, self._context, self._limits = listener, factory, context, fitted(limits)
        self._loop = asyncio.get_running_loop()
        self._name = f"port {listener.getsockname()[1]}"
        self._outage = OutageLog()
        self._pace = StrangerPace(self._limits.strangers_per_second, self._limits.per_peer)
        self._limiter = ConnectionLimiter(self._limits, self._start_next, self._on_known)
        self._paced: dict[str, asyncio.TimerHandle] = {}
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._waiting_count = 0
        self._to_start: deque[tuple[socket.socket, ConnectionSlot]] = deque()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self, backlog: int) -> None:
        """Accept from now on."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept nothing more, close the listening socket, end those that wait or shake hands. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for queue in list(self._waiting.values()):
            for waiting in list(queue):
                self._give_up(waiting)
        for timer in self._paced.values():
            timer.cancel()
        for handshake in list(self._handshakes):
            handshake.cancel()
        while self._to_start:
            connection, slot = self._to_start.popleft()
            connection.close()
            slot.release()

    # --- inside

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            connection.setblocking(False)
            self._admit(connection, peer_key(address))

    def _pause(self, error: OSError) -> None:
        """A full table of open files would keep the loop busy with nothing else."""
        if self._outage.on_failure(error_text(error), time.monotonic()):
            log.warning("%s: no connection can be taken: %s", self._name, error_text(error))
        self._loop.remove_reader(self._listener)
        self._loop.call_later(RETRY_SECONDS, self._resume)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener, self._accept)

    def _admit(self, connection: socket.socket, peer: str) -> None:
        """It starts, waits, or ends at once."""
        self.accepted += 1
        slot = None if peer in self._waiting else self._open(peer)
        if slot is not None:
            self._start(connection, slot)
        elif self._may_wait(peer):
            waiting = _Waiting(connection, peer)
            waiting.timer = self._loop.call_later(self._limits.handshake_seconds, self._give_up, waiting)
            self._waiting.setdefault(peer, deque()).append(waiting)
            self._waiting_count += 1
        else:
            connection.close()
            if self._outage.on_failure("too many", time.monotonic()):
                log.warning("%s: connections are refused, one from %s: too many wait already", self._name, peer)

    def _open(self, peer: str) -> ConnectionSlot | None:
        """A place for the next one of this address; None when there is none, or none yet."""
        if peer in self._paced:
            return None
        delay = self._pace.begin(peer, time.monotonic())
        if delay:
            self._paced[peer] = self._loop.call_later(delay, self._on_pace_allows, peer)
            return None
        slot = self._limiter.open(peer)
        if slot is None:
            self._pace.known(peer)
        return slot

    def _on_pace_allows(self, peer: str) -> None:
        del self._paced[peer]
        while peer in self._waiting and self._start_waiting(peer):
            continue

    def _on_known(self, peer: str) -> None:
        """It was no stranger: its address need not wait for that one."""
        self._pace.known(peer)
        if (timer := self._paced.pop(peer, None)) is not None:
            timer.cancel()

    def _may_wait(self, peer: str) -> bool:
        if self._limiter.is_full or self._waiting_count >= self._limits.waiting:
            return False
        return len(self._waiting.get(peer, ())) < self._limits.waiting // 2

    def _give_up(self, waiting: _Waiting) -> None:
        """No place became free in time."""
        self._waiting[waiting.peer].remove(waiting)
        self._on_left_queue(waiting)
        waiting.connection.close()

    def _on_left_queue(self, waiting: _Waiting) -> None:
        self._waiting_count -= 1
        if not self._waiting[waiting.peer]:
            del self._waiting[waiting.peer]
        if waiting.timer is not None:
            waiting.timer.cancel()

    def _start_next(self, peer: str) -> None:
        """A place is free: for the same address first, and for another when all of them were taken."""
        candidates = (peer, *self._waiting) if peer in self._waiting else tuple(self._waiting)
        any(self._start_waiting(candidate) for candidate in candidates)

    def _start_waiting(self, peer: str) -> bool:
        """Whether the one of this address that has waited longest has a place now."""
        slot = self._open(peer)
        if slot is None:
            return False
        waiting = self._waiting[peer].popleft()
        self._on_left_queue(waiting)
        self._start(waiting.connection, slot)
        return True

    def _start(self, connection: socket.socket, slot: ConnectionSlot) -> None:
        """One in a turn of the loop: a handshake costs milliseconds, and whoever is served has a turn between two of them."""
        self._to_start.append((connection, slot))
        if len(self._to_start) == 1:
            self._loop.call_soon(self._start_oldest)

    def _start_oldest(self) -> None:
        if not self._to_start:  # closed meanwhile
            return
        connection, slot = self._to_start.popleft()
        if self._to_start:
            self._loop.call_soon(self._start_oldest)
        handshake = self._loop.create_task(self._handshake(connection, slot))
        self._handshakes.add(handshake)
        handshake.add_done_callback(partial(self._on_handshake_ended, connection, slot))

    def _on_handshake_ended(
        self, connection: socket.socket, slot: ConnectionSlot, handshake: asyncio.Task[None]
    ) -> None:
        self._handshakes.discard(handshake)
        if handshake.cancelled():  # before its first step, too
            connection.close()
            slot.release()

    async def _handshake(self, connection: socket.socket, slot: ConnectionSlot) -> None:
        """Every way out but the good one gives the place back; after the good one the protocol does."""
        secure = self._context is not None
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                lambda: self._factory(slot),
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.handshake_seconds if secure else None,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS if secure else None,
            )
        except Exception as error:  # noqa: BLE001 - whatever TLS and the network say of it, it is no connection
            log.debug("%s: a handshake with %s failed: %s", self._name, slot.peer, error)
            connection.close()
            slot.release()


class _Waiting:
    """A connection without a place."""

    __slots__ = ("connection", "peer", "timer")

    def __init__(self, connection: socket.socket, peer: str) -> None:
        self.connection, self.peer = connection, peer
        self.timer: asyncio.TimerHandle | None = None
