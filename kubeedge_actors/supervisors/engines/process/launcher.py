"""Starts worker processes and accepts their connections."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import re
import secrets
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kubeedge_actors.errors import ActorStopped
from kubeedge_actors.supervisors.engines.process.channel import SESSION_ID, Channel, accept
from kubeedge_actors.supervisors.engines.process.frame_seal import session_key
from kubeedge_actors.supervisors.engines.process.serialization import PickleSerializer, Serializer

log = logging.getLogger(__name__)

STARTING = 10.0
"""Seconds that a process may take to call home; a host of the convention that does not answer takes that long."""
ENDING = 5.0
ACCEPT_AGAIN = 1.0
"""Seconds until a process is let in again after that was impossible: this one had no descriptors left."""
INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|PYTHON\w*|VIRTUAL_ENV"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|COVERAGE_\w+|THESPLOG_\w+"
)
PROXIES = re.compile(r"(http|https|ftp|all|no)_proxy", re.IGNORECASE)
"""The variables of the environment that a worker process gets: secrets of a node are often among the others."""


@dataclass(frozen=True, slots=True)
class Convention:
    """Where this machine's Thespian listens, for hosts elsewhere: its address, a port (0: any), the common secret.

    Whoever knows the secret and reaches the port can run code here and there. What is said is authenticated, frame by frame, and not encrypted.
    """

    address: str = "127.0.0.1"
    port: int = 0
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


class Launcher:
    """Launcher of one engine's worker processes. The first one costs the start of a fork server (see forkserver.py) as well."""

    def __init__(self, convention: Convention | None = None, serializer: Serializer | None = None) -> None:
        self.serializer: Serializer = PickleSerializer() if serializer is None else serializer
        self._convention = Convention() if convention is None else convention
        self._lock = threading.Lock()
        self._expected: dict[bytes, tuple[bytes, queue.SimpleQueue[Channel | str]]] = {}
        self._fork_servers: list[ForkServer] = []
        self._listeners: dict[bool, socket.socket] = {}
        self._closed = threading.Event()

    def launch(self, name: str, host: str, memory: int | None = None) -> Channel:
        """The channel of a new worker process, here or on `host`, with so many bytes of memory. Errors: OSError, ActorStopped, TimeoutError when there is none."""
        session_id = secrets.token_bytes(SESSION_ID)
        # to another host no key travels: it makes the same from the secret (thespian_hosts.py)
        key = session_key(self._convention.key, session_id) if host else secrets.token_bytes(32)
        arrived: queue.SimpleQueue[Channel | str] = queue.SimpleQueue()
        self._expected[session_id] = (key, arrived)
        try:
            with self._lock:
                if self._closed.is_set():
                    raise ActorStopped("the engine has been shut down")
                address = self._listener(bool(host))
                call = {
                    "address": address,
                    "session_id": session_id.hex(),
                    "key": "" if host else key.hex(),
                    "path": search_path(),
                    "name": name,
                    "memory": memory,
                }
                self._open_fork_server().send_order(host, call)
            channel_or_error = arrived.get(timeout=STARTING)
        except queue.Empty:
            if host:
                self._fork_servers[-1].send_order(host, None)
            raise TimeoutError(f"it did not call home within {STARTING:g} s") from None
        finally:
            self._expected.pop(session_id, None)
            _close_late(arrived)
        if isinstance(channel_or_error, str):
            raise OSError(channel_or_error)
        return channel_or_error

    def _open_fork_server(self) -> ForkServer:
        # what a fork server started lives on without it: one that was killed is replaced, its lifeline kept
        if not self._fork_servers or not self._fork_servers[-1].alive:
            self._fork_servers.append(ForkServer(self._convention, self._failed))
        return self._fork_servers[-1]

    def _failed(self, session_id: str, error: str) -> None:
        """No process will come for that session id (empty: for any)."""
        for expected, (_, arrived) in list(self._expected.items()):
            if session_id in ("", expected.hex()):
                arrived.put(error)

    def _listener(self, remote: bool) -> str | tuple[str, int]:
        """Where a new process finds us: an abstract socket of this machine, or a port for those from elsewhere."""
        listener = self._listeners.get(remote)
        if listener is None:
            listener = self._listeners[remote] = socket.socket(socket.AF_INET if remote else socket.AF_UNIX)
            listener.bind((self._convention.address, 0) if remote else f"\0kubeedge-actors-{secrets.token_hex(8)}")
            listener.listen()
            threading.Thread(target=self._accept_loop, args=(listener,), name="door", daemon=True).start()
        where = listener.getsockname()
        return (where[0], where[1]) if remote else where.decode("ascii")

    def _accept_loop(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError as error:
                if self._closed.wait(ACCEPT_AGAIN):
                    return
                log.warning("no process of a module can be let in now: %s", error)
                continue
            try:
                met = accept(sock, self._key_of)
            except OSError:  # somebody who did not go on, or went away
                met = None
            expected = None if met is None else self._expected.get(met[0])
            if met is None:
                sock.close()
            elif expected is None:
                met[1].discard()
            else:
                expected[1].put(met[1])

    def _key_of(self, session_id: bytes) -> bytes | None:
        expected = self._expected.get(session_id)
        return None if expected is None else expected[0]

    def close(self) -> None:
        """End all processes; returns when they have ended."""
        with self._lock:
            self._closed.set()
            for listener in self._listeners.values():
                with contextlib.suppress(OSError):  # nobody was connecting
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            for fork_server in self._fork_servers:
                fork_server.close()


def _close_late(arrived: queue.SimpleQueue[Channel | str]) -> None:
    """One that called home at the very moment when nobody waited for it any more."""
    with contextlib.suppress(queue.Empty):  # nobody did
        late = arrived.get_nowait()
        if isinstance(late, Channel):
            late.discard()


def search_path() -> list[str]:
    """Where modules are looked for, as another process has to be told it."""
    return [os.path.abspath(entry) for entry in sys.path]


class ForkServer:
    """The program that starts processes, and the lifeline on which it and they hang."""

    def __init__(self, convention: Convention, failed: Callable[[str, str], None]) -> None:
        self._failed = failed
        lifeline, self._held = os.pipe()
        self._alive, alive = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.forkserver"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(lifeline, alive), start_new_session=True, text=True,
            env={**inherited_environment(os.environ), "PYTHONPATH": os.pathsep.join(search_path())},
        )  # fmt: skip
        os.close(lifeline)
        os.close(alive)  # all that come from the fork server hold it: when nobody does, all have ended
        self._hearing = threading.Thread(target=self._hear, name="forkserver", daemon=True)
        # its own way to our code is not that of programs that modules start
        path = os.environ.get("PYTHONPATH")
        self._say(
            path=path,
            lifeline=(lifeline, alive),
            address=convention.address,
            port=convention.port,
            key=convention.key.hex(),
        )
        assert self._process.stdout is not None
        there = select.select([self._process.stdout], [], [], STARTING)[0]
        answer = json.loads(
            (self._process.stdout.readline() if there else "") or '{"error": "the fork server does not start"}'
        )
        if "error" in answer:
            self.close()
            raise OSError(answer["error"])
        self._hearing.start()

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None

    def send_order(self, host: str, call: object) -> None:
        """Have a process started. OSError when it has gone meanwhile."""
        self._say(host=host, call=call)

    def _say(self, **order: object) -> None:
        assert self._process.stdin is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            failure = json.loads(line)
            self._failed(failure["session_id"], failure["error"])
        self._failed("", "the fork server has ended")

    def close(self) -> None:
        """End it and all that came from it; returns when they have ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it had ended by itself
            self._process.stdin.close()
        os.close(self._held)
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        select.select([self._alive], [], [], ENDING)
        os.close(self._alive)
        if self._hearing.is_alive():
            self._hearing.join(ENDING)
        assert self._process.stdout is not None
        self._process.stdout.close()


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a worker process finds in os.environ. A proxy is passed on unless its address holds a password.

    >>> inherited_environment({"PATH": "/bin", "TOKEN": "s", "http_proxy": "http://p:1", "https_proxy": "http://u:s@p:1"})
    {'PATH': '/bin', 'http_proxy': 'http://p:1'}
    """
    return {
        name: value
        for name, value in environ.items()
        if INHERITED.fullmatch(name) or (PROXIES.fullmatch(name) and "@" not in value)
    }
