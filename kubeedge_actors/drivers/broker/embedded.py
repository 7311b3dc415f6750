"""The MQTT broker in this process: a thread of its own with a loop for its sockets (`connections.py`).

What a client wants is `exchange.py`'s affair, what outlives the process `ledger.py`'s. amqtt reads the first packet of a
connection (`door.py`) and no more: its own broker swallows what clients publish on `$` topics, sends new clients retained
messages that they did not ask for, takes the subscriber's QoS for the lesser one, loses QoS 1 and 2 in flight when an
acknowledgement is slow, has no bound on what waits, forgets sessions, does not look at keepalive, and needs 150 us for a
message.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kubeedge_actors.drivers.broker.acl import UNLIMITED, AccessList
from kubeedge_actors.drivers.broker.base import Tap
from kubeedge_actors.drivers.broker.connections import Connections
from kubeedge_actors.drivers.broker.exchange import Counters, Exchange
from kubeedge_actors.drivers.broker.journal import Journal
from kubeedge_actors.drivers.broker.ledger import Ledger
from kubeedge_actors.drivers.broker.listener import is_loopback, listen
from kubeedge_actors.drivers.broker.outbox import LIMITS, Limits
from kubeedge_actors.drivers.broker.packets import Publish
from kubeedge_actors.drivers.broker.passwords import Passwords
from kubeedge_actors.errors import BrokerError
from kubeedge_actors.mqtt_topics import valid_filter, valid_topic

if TYPE_CHECKING:
    import socket
    import ssl

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
WAITING = 10_000
"""Publications from inside that may wait for the broker's thread."""
AT_ONCE = 64
"""Of those, how many are put together before they leave."""
PATIENCE = 5.0
"""Seconds that whoever publishes more than that is held."""


class Secure(NamedTuple):
    """A further port, with TLS; port 0 takes a free one. `certified`: clients have to show a certificate."""

    port: int
    context: ssl.SSLContext
    certified: bool = False


class EmbeddedBroker:
    """A Broker that serves MQTT 3.1.1 on `host`:`port`; port 0 takes a free one.

    Anonymous clients are let in on loopback only; with `passwords` every client has to have one. `access`: who may do what.
    `secure`: TLS at `host`, the plain port is on loopback then. `path`: where sessions and retained messages are kept; they
    end with the process without.
    """

    def __init__(
        self,
        host: str = LOOPBACK,
        port: int = 1883,
        passwords: Passwords | None = None,
        limits: Limits = LIMITS,
        *,
        access: AccessList | None = None,
        secure: Secure | None = None,
        path: Path | None = None,
    ) -> None:
        self._outside, self._secure = host, secure
        self._host, self._port, self._passwords = LOOPBACK if secure else host, port, passwords
        self._ledger = Ledger(path, self._committed) if path is not None else None
        self._journal = Journal(self._ledger.commit) if self._ledger is not None else None
        rights = access.rights if access is not None else lambda _: UNLIMITED
        self._exchange = Exchange(limits, journal=self._journal, rights=rights)
        self._recalled = False
        self._outgoing: deque[Publish] = deque()
        self._scheduled = self._open = False
        self._settled = self._settling = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    @property
    def alive(self) -> bool:
        """True while its thread serves."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def address(self) -> str:
        """Where it listens, as host:port."""
        return f"{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def secure_port(self) -> int:
        """The port it listens on with TLS, 0 without."""
        return self._secure.port if self._secure else 0

    @property
    def counters(self) -> Counters:
        """What happened since it was made."""
        return self._exchange.counters

    @property
    def offered(self) -> int:
        """The receipt of the last arrival that the tap has taken."""
        return self._exchange.offered

    @property
    def lost(self) -> int:
        """Messages and sessions that went because of a limit."""
        return self._exchange.lost

    def trouble(self, patience: float = 0.0) -> str:
        """Whether its thread serves is known at once."""
        return "" if self.alive else "it does not serve"

    def start(self) -> None:
        """Serve until `close`.

        Errors: BrokerError when the address can not be had, or is open to others without passwords; StoreError.
        """
        with self._lock:
            if self.alive:
                return
            known = self._passwords is not None or (self._secure is not None and self._secure.certified)
            if not known and not is_loopback(self._outside):
                raise BrokerError(f"MQTT on {self._outside} is open to other machines: that needs a password file")
            self._recall()
            listeners = self._listen()
            serving: Future[None] = Future()
            self._thread = threading.Thread(target=self._run, args=(listeners, serving), name="broker", daemon=True)
            self._thread.start()
            serving.result()

    def _listen(self) -> list[tuple[socket.socket, ssl.SSLContext | None]]:
        plain = listen(self._host, self._port)
        self._port = plain.getsockname()[1]
        if self._secure is None:
            return [(plain, None)]
        try:
            further = listen(self._outside, self._secure.port)
        except BrokerError:
            plain.close()
            raise
        self._secure = self._secure._replace(port=further.getsockname()[1])
        return [(plain, None), (further, self._secure.context)]

    def close(self) -> None:
        """End all connections and wait for the thread; sessions and retained messages are kept for the next start."""
        with self._lock:
            loop, ending, thread = self._loop, self._ending, self._thread
            if loop is not None and ending is not None and self.alive:
                loop.call_soon_threadsafe(ending.set)
            if thread is not None:
                thread.join()
            self._thread = self._loop = None
            self._commit()
            if self._ledger is not None:
                self._ledger.close()

    def _recall(self) -> None:
        """Remember what a process before this one remembered. Errors: StoreError, StoreCorrupt."""
        if self._ledger is None:
            return
        self._ledger.open()
        if not self._recalled:
            self._recalled = True
            self._exchange.recall(self._ledger.load())
        self._commit()

    def _commit(self) -> None:
        """While there is no thread: commit what is left, and nobody waits for it any more."""
        if self._ledger is not None and self._journal is not None:
            self._journal.end_turn()
            self._ledger.flush()
            self._exchange.committed(self._journal.turn - 1)

    def listen(self, tap: Tap, source: int = 0) -> None:
        """Offer arrivals to `tap`."""
        self._exchange.tap, self._exchange.source = tap, source

    def settle(self, receipt: int) -> None:
        """Acknowledge what clients said up to this receipt."""
        self._settled = max(receipt, self._settled)
        if self._settled != self._settling:
            self._settling = self._settled
            self._call(lambda: self._exchange.settle(self._settled))

    def subscribe(self, filter: str) -> None:
        """Offer what clients publish on topics that match."""
        if not valid_filter(filter):
            raise BrokerError(f"{filter!r} is not a filter of MQTT topics")
        self._call(lambda: self._exchange.listen(filter, True))

    def unsubscribe(self, filter: str) -> None:
        """The reverse of subscribe."""
        self._call(lambda: self._exchange.listen(filter, False))

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Say it to the clients that subscribed."""
        if not valid_topic(topic):
            raise BrokerError(f"{topic!r} is not an MQTT topic")
        if len(self._outgoing) >= WAITING:
            self._wait_for_room()
        loop = self._loop
        if loop is None or not self._open:
            raise BrokerError("the embedded broker does not run")
        self._outgoing.append(Publish(topic, payload, qos, retain))
        if not self._scheduled:
            # one wake-up for all that comes until it is taken; `_drain` resets the flag before it looks, so nothing is
            # left behind
            self._scheduled = True
            with suppress(RuntimeError):  # the loop has ended since: it is said after the next start
                loop.call_soon_threadsafe(self._drain)

    def _wait_for_room(self) -> None:
        """Give the broker's thread, which never waits for anybody, a chance to catch up."""
        deadline = time.monotonic() + PATIENCE
        while len(self._outgoing) >= WAITING and self.alive:
            if time.monotonic() > deadline:
                raise BrokerError("the embedded broker does not keep up")
            time.sleep(0.001)

    def _drain(self) -> None:
        self._scheduled = False
        outgoing, exchange = self._outgoing, self._exchange
        while outgoing:
            for _ in range(min(len(outgoing), AT_ONCE)):
                exchange.publish(outgoing.popleft())
            exchange.flush()

    def _committed(self, turn: int) -> None:
        loop = self._loop
        if loop is not None:  # otherwise nobody waits, and `_commit` tells the exchange
            with suppress(RuntimeError):  # the loop has ended since
                loop.call_soon_threadsafe(self._exchange.committed, turn)

    def _call(self, change: Callable[[], None]) -> None:
        """Make a change where the exchange lives: on the broker's thread, or here while there is none."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended since, and with it the broker's thread
                loop.call_soon_threadsafe(change)
                return
        change()

    def _run(self, listeners: list[tuple[socket.socket, ssl.SSLContext | None]], serving: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listeners, serving))
        except (
            Exception
        ) as error:  # whatever it is, the starter must hear of it, and a running one ends visibly (`alive`)
            log.exception("the embedded broker has ended")
            if not serving.done():
                serving.set_exception(BrokerError(f"the embedded broker does not start: {error}"))
        finally:
            self._loop, self._open = None, False
            for listener, _ in listeners:
                listener.close()

    async def _serve(self, listeners: list[tuple[socket.socket, ssl.SSLContext | None]], serving: Future[None]) -> None:
        self._ending = asyncio.Event()
        connections = Connections(self._exchange, self._passwords)
        with ExitStack() as stack:
            for listener, context in listeners:
                server = await asyncio.start_server(connections.welcome, sock=listener, ssl=context)
                stack.callback(server.close)
            self._loop, self._open = asyncio.get_running_loop(), True
            self._drain()  # what a thread before this one has left
            serving.set_result(None)
            await self._ending.wait()
            self._open = False
            self._drain()
        await connections.close()
