"""The MQTT broker in this process: a thread of its own with a loop for its sockets (`connections.py`).

What a client wants is `core.py`'s affair, what outlives the process `persistence.py`'s. amqtt reads the first packet of a
connection (`connect.py`) and no more: its own broker swallows what clients publish on `$` topics, sends new clients retained
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

from kubeedge_actors.drivers.broker.acl import ALL_PERMISSIONS, AccessList
from kubeedge_actors.drivers.broker.base import Counters, MessageHandler
from kubeedge_actors.drivers.broker.connections import Connections
from kubeedge_actors.drivers.broker.core import BrokerCore
from kubeedge_actors.drivers.broker.outgoing import LIMITS, Limits
from kubeedge_actors.drivers.broker.packets import Publish, checked_filter, checked_publish
from kubeedge_actors.drivers.broker.passwords import Passwords
from kubeedge_actors.drivers.broker.persistence import SqlitePersistence
from kubeedge_actors.drivers.broker.unit_of_work import UnitOfWork
from kubeedge_actors.errors import BrokerError
from kubeedge_actors.osutil.sockets import error_text, is_loopback, listen

if TYPE_CHECKING:
    import socket
    import ssl

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
WAITING = 10_000
"""Publications from inside that may wait for the broker's thread."""
PUBLISH_BATCH = 64
"""Of those, how many are put together before they leave."""
WAIT_SECONDS = 5.0
"""Seconds that whoever publishes more than that is held."""


class TlsListener(NamedTuple):
    """A further port, with TLS; port 0 takes a free one. `client_certs_required`: clients have to show a certificate."""

    port: int
    context: ssl.SSLContext
    client_certs_required: bool = False


class EmbeddedBroker:
    """A Broker that serves MQTT 3.1.1 on `host`:`port`; port 0 takes a free one.

    Anonymous clients are let in on loopback only; with `passwords` every client has to have one. `access`: who may do what.
    `secure`: TLS at `host`, the plain port is on loopback then. `path`: where sessions and retained messages are kept; they
    end with the process without.
    """

    echoes = False

    def __init__(
        self,
        host: str = LOOPBACK,
        port: int = 1883,
        passwords: Passwords | None = None,
        limits: Limits = LIMITS,
        *,
        access: AccessList | None = None,
        secure: TlsListener | None = None,
        path: Path | None = None,
    ) -> None:
        self._requested_host, self._secure = host, secure
        self._host, self._port, self._passwords = LOOPBACK if secure else host, port, passwords
        self._persistence = SqlitePersistence(path, self._committed) if path is not None else None
        self._unit_of_work = UnitOfWork(self._persistence.commit) if self._persistence is not None else None
        rights = access.permissions if access is not None else lambda _: ALL_PERMISSIONS
        self._core = BrokerCore(limits, unit_of_work=self._unit_of_work, permissions=rights)
        self._restored = False
        self._outgoing: deque[Publish] = deque()
        self._scheduled = self._open = False
        self._acknowledged = self._acknowledging = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    @property
    def is_alive(self) -> bool:
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
        return self._core.counters

    @property
    def last_delivery_tag(self) -> int:
        """The delivery tag of the last message that the handler has taken."""
        return self._core.last_delivery_tag

    @property
    def dropped_count(self) -> int:
        """Messages and sessions that went because of a limit."""
        return self._core.dropped_count

    def unready_reason(self, patience: float = 0.0) -> str:
        """Whether its thread serves is known at once."""
        return "" if self.is_alive else "it does not serve"

    def start(self) -> None:
        """Serve until `close`.

        Errors: BrokerError when the address can not be had, or is open to others without passwords; StoreError.
        """
        with self._lock:
            if self.is_alive:
                return
            authenticated = self._passwords is not None or (
                self._secure is not None and self._secure.client_certs_required
            )
            if not authenticated and not is_loopback(self._requested_host):
                raise BrokerError(
                    f"MQTT on {self._requested_host} is open to other machines: that needs a password file"
                )
            self._restore()
            listeners = self._listen()
            serving: Future[None] = Future()
            self._thread = threading.Thread(target=self._run, args=(listeners, serving), name="broker", daemon=True)
            self._thread.start()
            serving.result()

    def _listen(self) -> list[tuple[socket.socket, ssl.SSLContext | None]]:
        plain = _listen(self._host, self._port)
        self._port = plain.getsockname()[1]
        if self._secure is None:
            return [(plain, None)]
        try:
            further = _listen(self._requested_host, self._secure.port)
        except BrokerError:
            plain.close()
            raise
        self._secure = self._secure._replace(port=further.getsockname()[1])
        return [(plain, None), (further, self._secure.context)]

    def close(self) -> None:
        """End all connections and wait for the thread; sessions and retained messages are kept for the next start."""
        with self._lock:
            loop, ending, thread = self._loop, self._ending, self._thread
            if loop is not None and ending is not None and self.is_alive:
                loop.call_soon_threadsafe(ending.set)
            if thread is not None:
                thread.join()
            self._thread = self._loop = None
            self._commit()
            if self._persistence is not None:
                self._persistence.close()

    def _restore(self) -> None:
        """Remember what a process before this one remembered. Errors: StoreError, StoreCorrupt."""
        if self._persistence is None:
            return
        self._persistence.open()
        if not self._restored:
            self._restored = True
            self._core.restore(self._persistence.load())
        self._commit()

    def _commit(self) -> None:
        """While there is no thread: commit what is left, and nobody waits for it any more."""
        if self._persistence is not None and self._unit_of_work is not None:
            self._unit_of_work.end_turn()
            self._persistence.flush()
            self._core.on_committed(self._unit_of_work.turn - 1)

    def set_handler(self, handler: MessageHandler, broker_id: int = 0) -> None:
        """Offer incoming messages to `handler`."""
        self._core.handler, self._core.broker_id = handler, broker_id

    def acknowledge(self, up_to: int) -> None:
        """Acknowledge publications of clients up to this delivery tag."""
        self._acknowledged = max(up_to, self._acknowledged)
        if self._acknowledged != self._acknowledging:
            self._acknowledging = self._acknowledged
            self._call(lambda: self._core.acknowledge(self._acknowledged))

    def subscribe(self, filter: str) -> None:
        """Offer what clients publish on topics that match."""
        checked_filter(filter)
        self._call(lambda: self._core.set_handler_filter(filter, True))

    def unsubscribe(self, filter: str) -> None:
        """The reverse of subscribe. Error: BrokerError for an invalid filter."""
        checked_filter(filter)
        self._call(lambda: self._core.set_handler_filter(filter, False))

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Publish to the clients that subscribed. Error: BrokerError."""
        message = checked_publish(topic, payload, qos, retain)
        if len(self._outgoing) >= WAITING:
            self._wait_for_room()
        loop = self._loop
        if loop is None or not self._open:
            raise BrokerError("the embedded broker does not run")
        self._outgoing.append(message)
        if not self._scheduled:
            # one wake-up for all that comes until it is taken; `_drain` resets the flag before it looks, so nothing is
            # left behind
            self._scheduled = True
            with suppress(RuntimeError):  # the loop has ended since: it is said after the next start
                loop.call_soon_threadsafe(self._drain)

    def _wait_for_room(self) -> None:
        """Give the broker's thread, which never waits for anybody, a chance to catch up."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self._outgoing) >= WAITING and self.is_alive:
            if time.monotonic() > deadline:
                raise BrokerError("the embedded broker does not keep up")
            time.sleep(0.001)

    def _drain(self) -> None:
        self._scheduled = False
        outgoing, core = self._outgoing, self._core
        while outgoing:
            for _ in range(min(len(outgoing), PUBLISH_BATCH)):
                core.publish(outgoing.popleft())
            core.flush()

    def _committed(self, turn: int) -> None:
        loop = self._loop
        if loop is not None:  # otherwise nobody waits, and `_commit` tells the exchange
            with suppress(RuntimeError):  # the loop has ended since
                loop.call_soon_threadsafe(self._core.on_committed, turn)

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
        connections = Connections(self._core, self._passwords)
        with ExitStack() as stack:
            for listener, context in listeners:
                listener.setblocking(False)
                accepting = asyncio.create_task(connections.accept(listener, context))
                stack.callback(accepting.cancel)
            self._loop, self._open = asyncio.get_running_loop(), True
            self._drain()  # what a thread before this one has left
            serving.set_result(None)
            await self._ending.wait()
            self._open = False
            self._drain()
        await connections.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise BrokerError(
            f"port {port} of {host} can not be had for MQTT: {error_text(error).lower()}", port
        ) from error
