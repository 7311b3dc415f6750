"""The server: a database, a socket, a thread with a loop."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from ..errors import DriverError
from ..osutil import sockets
from ..osutil.acceptor import Acceptor
from ..osutil.cipher import KeyRing
from ..osutil.connection_limits import ConnectionSlot, ServerLimits
from .asgi import Application
from .auth import User
from .handlers.exec import ExecSource
from .handlers.logs import LogSource
from .handlers.metrics import StatsSource
from .handlers.node_proxy import NodeProxySource
from .storage.database import Database
from .storage.group_commit import GroupCommit
from .storage.store import Store
from .uvicorn_protocol import CertificateRefusal, ClientCertificateProtocol, Config, Server, close_refused
from .wiring import ServerParts, build_server

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOP = "uvloop"
BACKLOG = 1024
TICK = 10.0
START_SECONDS, STOP_SECONDS = 30.0, 5.0
LIMITS = ServerLimits(idle_seconds=180.0)


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files: the server's certificate and key, and the CA whose client certificates are accepted."""

    certificate: Path | str
    key: Path | str
    client_ca: Path | str


class ApiServer:
    """An embedded Kubernetes API on `host`:`port` (0: any free port), its objects in the SQLite file `database`.

    Without `tls` it speaks plain HTTP, on loopback only, and takes every caller for an administrator. `tokens` maps
    bearer tokens to users. `log_source` gives the text of container logs and may be set later; `exec_source` runs commands in
    containers; `stats_source` asks nodes what they use, `proxy_source` whatever a kubelet answers. `limits`: of those who have not shown who they are. `refusal`: asked about the certificates of nodes, for those that were
    revoked. `keys`: the file is encrypted. It belongs to the server alone while it runs.
    """

    def __init__(
        self,
        *,
        database: Path | str,
        host: str = "127.0.0.1",
        port: int = 6443,
        tls: TlsFiles | None = None,
        tokens: Mapping[str, User] | None = None,
        log_source: LogSource | None = None,
        exec_source: ExecSource | None = None,
        stats_source: StatsSource | None = None,
        proxy_source: NodeProxySource | None = None,
        clock: Callable[[], float] = time.time,
        limits: ServerLimits = LIMITS,
        refusal: CertificateRefusal = lambda certificate: "",
        keys: KeyRing | None = None,
    ) -> None:
        self._database_path, self._host, self._port, self._tls = (database, host, port, tls)
        self._tokens, self._log_source, self._clock = (dict(tokens or {}), log_source, clock)
        self._exec_source, self._limits, self._refusal = exec_source, limits, refusal
        self._keys, self._stats_source, self._proxy_source = keys, stats_source, proxy_source
        self._socket: socket.socket | None = None
        self._bound = 0
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._parts: ServerParts | None = None
        self._commits: GroupCommit | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._bound or self._port

    @property
    def url(self) -> str:
        """The address for a kubeconfig."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "") else "[::1]" if self._host == "::" else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def log_source(self) -> LogSource | None:
        """Where container logs come from."""
        return self._log_source

    @log_source.setter
    def log_source(self, source: LogSource | None) -> None:
        self._log_source = source
        if self._parts is not None:
            self._parts.routes.log_source = source

    def start(self) -> None:
        """Serves in a thread of its own; connections are accepted when this returns.

        Raises DriverError (the port is taken, no plain HTTP beyond loopback, an unreadable certificate), StoreCorrupt,
        StoreError, and UsageError when the file is encrypted with a key that is not there.
        """
        if self._tls is None and not sockets.is_loopback(self._host):
            raise DriverError(f"plain HTTP is served on loopback only, not on {self._host}; give TLS files")
        context = server_context(self._tls) if self._tls is not None else None
        database = Database(self._database_path, self._keys)
        try:
            self._socket = listen(self._host, self._port)
        except BaseException:
            database.close()
            raise
        self._bound = int(self._socket.getsockname()[1])
        self._started.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(database, context), name="apiserver", daemon=True)
        self._thread.start()
        self._wait(self._thread, self._socket)

    def _wait(self, thread: threading.Thread, listening: socket.socket) -> None:
        if not self._started.wait(START_SECONDS):
            raise DriverError(f"the API server did not start within {START_SECONDS:.0f} s")
        if self._failure is not None:
            thread.join(STOP_SECONDS)
            listening.close()
            raise self._failure

    def stop(self) -> None:
        """Ends watches, writes what waits, closes the file. Harmless when it does not run."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        try:
            loop.call_soon_threadsafe(self._end)
        except RuntimeError:  # the loop has closed in the meantime: it ended by itself
            log.debug("the API server had ended already")
        thread.join(STOP_SECONDS * 2)

    def close_refused(self) -> None:
        """End the connections of nodes whose certificates are refused by now; any thread."""
        loop, server = self._loop, self._server
        if loop is not None and server is not None and not loop.is_closed():
            loop.call_soon_threadsafe(close_refused, server.server_state.connections)

    def transact(self, work: Callable[[Store], T]) -> T:
        """Runs `work` on the store in the server's thread; what it wrote is on disk when this returns. Raises DriverError when the server does not run."""
        if self._loop is None:
            raise DriverError("the API server does not run")
        return asyncio.run_coroutine_threadsafe(self._transact(work), self._loop).result()

    async def _transact(self, work: Callable[[Store], T]) -> T:
        if self._parts is None or self._commits is None:
            raise DriverError("the API server does not run")
        result = work(self._parts.store)
        await self._commits.wait_committed()
        return result

    def _run(self, database: Database, context: ssl.SSLContext | None) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve(database, context))
        except BaseException as error:
            self._failure = error
            if self._started.is_set():
                raise  # nobody waits for it here: threading.excepthook tells
        finally:
            database.close()
            self._started.set()

    async def _serve(self, database: Database, context: ssl.SSLContext | None) -> None:
        self._loop = asyncio.get_running_loop()
        parts = self._parts = build_server(database, self._loop.call_soon, self._clock)
        parts.routes.set_sources(self._log_source, self._exec_source, self._stats_source, self._proxy_source)
        commits = self._commits = GroupCommit(parts.store, database)
        await commits.wait_committed()
        address = self.url.partition("//")[2]
        open_door = self._tls is None
        app = Application(parts.routes, commits, self._tokens, open_door, address)
        make = partial(ClientCertificateProtocol, limits=self._limits, open_door=open_door, refusal=self._refusal)
        server = self._server = LimitedServer(uvicorn_config(app), make, context, self._limits, self._started.set)
        ticking = self._loop.create_task(self._tick(parts))
        try:
            await server.serve(sockets=[self._socket] if self._socket is not None else None)
        finally:
            ticking.cancel()
            await commits.close()

    async def _tick(self, parts: ServerParts) -> None:
        while True:
            await asyncio.sleep(TICK)
            parts.tick()

    def _end(self) -> None:
        if self._parts is not None:
            self._parts.notifier.stop()
        if self._server is not None:
            self._server.should_exit = True


class LimitedServer(Server):
    """uvicorn's server with connections from an Acceptor; it tells when it accepts them."""

    def __init__(
        self,
        config: Config,
        make: Callable[..., asyncio.Protocol],
        context: ssl.SSLContext | None,
        limits: ServerLimits,
        started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._make, self._context, self._limits, self._tell = make, context, limits, started
        self._acceptor: Acceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept."""
        await super().startup([])
        for listener in sockets or ():
            self._acceptor = Acceptor(listener, self._protocol, self._context, self._limits)
            self._acceptor.start(BACKLOG)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more, and ends what there is."""
        if self._acceptor is not None:
            self._acceptor.close()
        await super().shutdown(sockets)

    def _protocol(self, slot: ConnectionSlot) -> asyncio.Protocol:
        return self._make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, slot=slot)


def uvicorn_config(app: Application) -> Config:
    """uvicorn's settings."""
    config = Config(
        app,
        http=ClientCertificateProtocol,
        loop=LOOP,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=round(LIMITS.idle_seconds),
        timeout_graceful_shutdown=2,
        backlog=BACKLOG,
    )
    config.load()
    return config


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the server's loop: uvloop's, which spares four fifths of the memory of a TLS connection."""
    return Config(None, loop=LOOP, log_config=None).get_loop_factory()  # type: ignore[arg-type]


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises DriverError when the port is taken."""
    try:
        listener = sockets.listen(host, port, BACKLOG)
    except OSError as error:
        raise DriverError(
            f"the API server cannot listen on {host}:{port}: {sockets.error_text(error)}", port
        ) from error
    listener.setblocking(False)
    return listener


def server_context(tls: TlsFiles) -> ssl.SSLContext:
    """The TLS side of the server; clients may show a certificate. Raises DriverError on an unreadable file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        context.load_verify_locations(tls.client_ca)
    except (OSError, ssl.SSLError) as error:
        raise DriverError(f"the TLS files of the API server cannot be used: {error}") from error
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context
