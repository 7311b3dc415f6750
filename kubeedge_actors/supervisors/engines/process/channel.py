"""Channel between a proxy and its worker process: whole frames, in order; its end is noticed at once."""

from __future__ import annotations

import hmac
import logging
import os
import pickle
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from kubeedge_actors.errors import ActorStopped
from kubeedge_actors.supervisors.engines.process.frame_seal import SIZE as SEAL
from kubeedge_actors.supervisors.engines.process.frame_seal import FrameSeal

log = logging.getLogger(__name__)

SESSION_ID, NONCE = 16, 32
_OUTPUT = b"o"
"""Goes with the descriptor of the output: one can not be sent without a byte."""
_LENGTH = struct.Struct("!I")

_HOME, _AWAY = b"to the runtime", b"to the worker"

Frame = tuple[Any, ...]


class Channel:
    """Frames over a connected, authenticated socket. `send` may be called from any thread; one thread reads.

    `output`: the descriptor from which the other process's standard output and error are read, -1 for none. It is for whoever uses it to close.
    `seals`: of what is sent and of what is received, between hosts; a socket of this machine needs none.
    """

    def __init__(self, sock: socket.socket, output: int = -1, seals: tuple[FrameSeal, FrameSeal] | None = None) -> None:
        self.output = output
        self._sent: FrameSeal | None = seals[0] if seals else None
        self._received: FrameSeal | None = seals[1] if seals else None
        self._sock = sock
        self._reader = sock.makefile("rb")
        self._sending = threading.Lock()

    def send(self, *frame: object) -> None:
        """Send a frame. Error: ActorStopped when the peer has gone."""
        data = pickle.dumps(frame, 5)
        try:
            with self._sending:
                self._sock.sendall(self._packed(_LENGTH.pack(len(data)), data))
        except OSError as error:
            raise ActorStopped(f"the other process has gone: {error}") from error

    def receive_all(self, take: Callable[[Frame], object]) -> None:
        """Call `take` with each frame, until the peer has gone or this side closes."""
        read = self._reader.read
        try:
            while len(head := read(_LENGTH.size)) == _LENGTH.size:
                if self._received is not None and not self._received.fits(read(SEAL), head):
                    return self._refuse()
                size = _LENGTH.unpack(head)[0]
                data = read(size)
                if len(data) < size:
                    return None
                if self._received is not None and not self._received.fits(read(SEAL), data):
                    return self._refuse()
                take(pickle.loads(data))
        except (OSError, ValueError):  # the connection was reset, or closed on this side
            return None

    def _packed(self, head: bytes, data: bytes) -> bytes:
        if self._sent is None:
            return head + data
        return head + self._sent.next(head) + data + self._sent.next(data)

    def _refuse(self) -> None:
        log.error("what came from another host is not what the other side sent there: the connection ends")
        self.close()

    def close(self) -> None:
        """End it; a reader and the other side learn of it at once."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other side was faster
            return

    def discard(self) -> None:
        """End it with all that belongs to it: nobody uses it."""
        self.close()
        self.close_descriptors()
        if self.output >= 0:
            os.close(self.output)

    def close_descriptors(self) -> None:
        """Give the descriptor back; for the thread that reads, when it is through."""
        self._reader.close()
        self._sock.close()


def connect(address: Any, session_id: bytes, key: bytes, output: int = -1) -> Channel:
    """Connect from a new worker process, with mutual authentication by the key of the session. Errors: OSError, PermissionError.

    `output`: a descriptor from which the other side, if it is on this machine, is to read what this process writes; -1: none.
    """
    sock = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    sock.settimeout(10.0)
    sock.connect(address)
    mine = secrets.token_bytes(NONCE)
    sock.sendall(session_id + mine)
    theirs = receive_exactly(sock, NONCE + NONCE)
    if not hmac.compare_digest(theirs[:NONCE], hmac.digest(key, b"home" + mine, "sha256")):
        raise PermissionError("the other side does not know the key")
    sock.sendall(hmac.digest(key, b"away" + theirs[NONCE:], "sha256"))
    if sock.family == socket.AF_UNIX:
        socket.send_fds(sock, [_OUTPUT], [output] if output >= 0 else [])
    return Channel(_ready(sock), seals=_seals(sock, key, mine + theirs[NONCE:], _HOME, _AWAY))


def accept(sock: socket.socket, keys: Callable[[bytes], bytes | None]) -> tuple[bytes, Channel] | None:
    """Accept a worker process: its session id and channel; None for a peer that does not know the key."""
    sock.settimeout(5.0)
    hello = receive_exactly(sock, SESSION_ID + NONCE)
    session_id, theirs = hello[:SESSION_ID], hello[SESSION_ID:]
    key = keys(session_id)
    if key is None:
        return None
    mine = secrets.token_bytes(NONCE)
    sock.sendall(hmac.digest(key, b"home" + theirs, "sha256") + mine)
    if not hmac.compare_digest(receive_exactly(sock, NONCE), hmac.digest(key, b"away" + mine, "sha256")):
        return None
    outputs = socket.recv_fds(sock, len(_OUTPUT), 1)[1] if sock.family == socket.AF_UNIX else []
    for output in outputs:
        os.set_inheritable(output, False)  # it is received as one that programs would inherit
    seals = _seals(sock, key, theirs + mine, _AWAY, _HOME)
    return session_id, Channel(_ready(sock), outputs[0] if outputs else -1, seals)


def _seals(
    sock: socket.socket, key: bytes, nonces: bytes, sent: bytes, received: bytes
) -> tuple[FrameSeal, FrameSeal] | None:
    """None for a socket of this machine, on which nobody else can speak."""
    return (FrameSeal(key, sent, nonces), FrameSeal(key, received, nonces)) if sock.family == socket.AF_INET else None


def _ready(sock: socket.socket) -> socket.socket:
    sock.settimeout(None)
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # a host that loses its power says nothing: noticed after 10 + 3 * 5 seconds
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """Read exactly `size` bytes. Error: ConnectionError when the peer ends before."""
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("the other side ended in the middle")
        data += part
    return data
