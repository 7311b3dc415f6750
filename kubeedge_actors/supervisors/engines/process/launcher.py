"""Has processes started, and meets them when they call home."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec

from kubeedge_actors.errors import RegistrationError, Stopped
from kubeedge_actors.installing import install_hint
from kubeedge_actors.supervisors.engines.process.carry import Carrier, Pickled
from kubeedge_actors.supervisors.engines.process.line import TICKET, Line, answer_call

STARTING = 10.0
"""Seconds that a process may take to call home; a host of the convention that does not answer takes that long."""
ENDING = 5.0


@dataclass(frozen=True, slots=True)
class Convention:
    """Where this machine's Thespian listens, for hosts elsewhere: its address, a port (0: any), the common secret.

    Whoever knows the secret and reaches the port can run code here and there; what is said is not encrypted.
    """

    address: str = "127.0.0.1"
    port: int = 0
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


class Launcher:
    """Starts processes for one engine. The first one costs the start of a warden (see warden.py) as well."""

    def __init__(self, convention: Convention | None = None, carrier: Carrier | None = None) -> None:
        self.carrier: Carrier = Pickled() if carrier is None else carrier
        self._convention = Convention() if convention is None else convention
        self._lock = threading.Lock()
        self._expected: dict[bytes, tuple[bytes, queue.SimpleQueue[Line | str]]] = {}
        self._wardens: list[Warden] = []
        self._doors: dict[bool, socket.socket] = {}
        self._closed = False

    def launch(self, name: str, host: str) -> Line:
        """The line of a new process, here or on that host. OSError, Stopped or TimeoutError when there is none."""
        ticket, key = secrets.token_bytes(TICKET), secrets.token_bytes(32)
        arrived: queue.SimpleQueue[Line | str] = queue.SimpleQueue()
        self._expected[ticket] = (key, arrived)
        try:
            with self._lock:
                if self._closed:
                    raise Stopped("the engine has been shut down")
                address = self._door(bool(host))
                call = {
                    "address": address,
                    "ticket": ticket.hex(),
                    "key": key.hex(),
                    "path": search_path(),
                    "name": name,
                }
                self._open_warden().order(host, call)
            found = arrived.get(timeout=STARTING)
        except queue.Empty:
            if host:
                self._wardens[-1].order(host, None)
            raise TimeoutError(f"it did not call home within {STARTING:g} s") from None
        finally:
            self._expected.pop(ticket, None)
            _turn_away(arrived)
        if isinstance(found, str):
            raise OSError(found)
        return found

    def _open_warden(self) -> Warden:
        # what a warden started lives on without it: one that was killed is replaced, its lifeline kept
        if not self._wardens or not self._wardens[-1].alive:
            self._wardens.append(Warden(self._convention, self._failed))
        return self._wardens[-1]

    def _failed(self, ticket: str, error: str) -> None:
        """No process will come for that ticket (empty: for any)."""
        for each, (_, arrived) in list(self._expected.items()):
            if ticket in ("", each.hex()):
                arrived.put(error)

    def _door(self, far: bool) -> str | tuple[str, int]:
        """Where a new process finds us: an abstract socket of this machine, or a port for those from elsewhere."""
        door = self._doors.get(far)
        if door is None:
            door = self._doors[far] = socket.socket(socket.AF_INET if far else socket.AF_UNIX)
            door.bind((self._convention.address, 0) if far else f"\0kubeedge-actors-{secrets.token_hex(8)}")
            door.listen()
            threading.Thread(target=self._meet, args=(door,), name="door", daemon=True).start()
        where = door.getsockname()
        return (where[0], where[1]) if far else where.decode("ascii")

    def _meet(self, door: socket.socket) -> None:
        while True:
            try:
                sock, _ = door.accept()
            except OSError:  # the door was closed
                return
            try:
                met = answer_call(sock, self._key_of)
            except OSError:  # somebody who did not go on, or went away
                met = None
            expected = None if met is None else self._expected.get(met[0])
            if met is None or expected is None:
                sock.close()
            else:
                expected[1].put(met[1])

    def _key_of(self, ticket: bytes) -> bytes | None:
        expected = self._expected.get(ticket)
        return None if expected is None else expected[0]

    def close(self) -> None:
        """End all processes; returns when they have ended."""
        with self._lock:
            self._closed = True
            for door in self._doors.values():
                with contextlib.suppress(OSError):  # nobody was connecting
                    door.shutdown(socket.SHUT_RDWR)
                door.close()
            for warden in self._wardens:
                warden.close()


def check_spec(name: str, host: str, factory: object, carrier: Carrier | None) -> None:
    """RegistrationError when such an actor can not run in a process of its own."""
    if host and find_spec("thespian") is None:
        raise RegistrationError(f"{name} is to run on the host {host}, which needs Thespian: {install_hint('hosts')}")
    try:
        (carrier or Pickled()).dumps(factory)
    except Exception as error:
        raise RegistrationError(
            f"{name} is to run in a process of its own, so what makes it has to be importable there: {error}"
        ) from error


def _turn_away(arrived: queue.SimpleQueue[Line | str]) -> None:
    """One that called home at the very moment when nobody waited for it any more."""
    with contextlib.suppress(queue.Empty):  # nobody did
        late = arrived.get_nowait()
        if isinstance(late, Line):
            late.close()


def search_path() -> list[str]:
    """Where modules are looked for, as another process has to be told it."""
    return [os.path.abspath(each) for each in sys.path]


class Warden:
    """The program that starts processes, and the lifeline on which it and they hang."""

    def __init__(self, convention: Convention, failed: Callable[[str, str], None]) -> None:
        self._failed = failed
        lifeline, self._held = os.pipe()
        self._alive, alive = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.warden"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(lifeline, alive), start_new_session=True, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(search_path())},
        )  # fmt: skip
        os.close(lifeline)
        os.close(alive)  # all that come from the warden hold it: when nobody does, all have ended
        self._hearing = threading.Thread(target=self._hear, name="warden", daemon=True)
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
        said = json.loads(
            (self._process.stdout.readline() if there else "") or '{"error": "the warden does not start"}'
        )
        if "error" in said:
            self.close()
            raise OSError(said["error"])
        self._hearing.start()

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None

    def order(self, host: str, call: object) -> None:
        """Have a process started. OSError when it has gone meanwhile."""
        self._say(host=host, call=call)

    def _say(self, **what: object) -> None:
        assert self._process.stdin is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            self._failed(said["ticket"], said["error"])
        self._failed("", "the warden has ended")

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
