"""A WebSocket server that does exactly what a test says, byte by byte."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import struct
from typing import NamedTuple, Self

from kubeedge_actors.drivers.pki.base import TlsPaths
from tests.support.waiting import PATIENCE

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Frame(NamedTuple):
    opcode: int
    data: bytes


def frame(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """The bytes of a server's frame."""
    head = bytes([opcode | (0x80 if fin else 0)])
    if len(data) < 126:
        return head + bytes([len(data)]) + data
    if len(data) < 65536:
        return head + b"\x7e" + struct.pack("!H", len(data)) + data
    return head + b"\x7f" + struct.pack("!Q", len(data)) + data


class RawPeer:
    """Listens on a free port of loopback; `accept` takes one connection, everything else is about that one."""

    def __init__(self, tls: TlsPaths | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]
        self.tls = tls
        self.socket: socket.socket | None = None

    @property
    def url(self) -> str:
        """Where a link connects to."""
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}/path"

    def accept(self) -> None:
        """Take a connection in place of the one before, and do the TLS handshake."""
        self.hang_up()
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls.cert, self.tls.key)
            context.load_verify_locations(self.tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
            with connection:  # closed here when the handshake fails; wrapping takes it over
                connection = context.wrap_socket(connection, server_side=True)
        self.socket = connection

    def request(self) -> dict[str, str]:
        """Read the upgrade request; its headers, names in lower case. ConnectionError when there is none."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := self.read(1)):
                raise ConnectionError("the client has closed")
            head += byte
        lines = head.decode().split("\r\n")[1:-2]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def upgrade(self) -> dict[str, str]:
        """Accept a connection and its upgrade; the headers of the request."""
        self.accept()
        headers = self.request()
        key = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest()).decode()
        self.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {key}\r\nX-Answer: yes\r\n\r\n".encode()
        )
        return headers

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.socket is not None
        self.socket.sendall(data)

    def read(self, count: int) -> bytes:
        """Exactly so many bytes; b"" in place of all when the other side has closed."""
        assert self.socket is not None
        data = b""
        while len(data) < count:
            part = self.socket.recv(min(65536, count - len(data)))
            if not part:
                return b""
            data += part
        return data

    def frame(self) -> Frame | None:
        """The next frame of the client; None when it has closed."""
        head = self.read(2)
        if not head:
            return None
        length = head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(self.read(2 if length == 126 else 8), "big")
        mask = self.read(4)
        data = self.read(length) if length else b""
        stretched = (mask * (length // 4 + 1))[:length]
        plain = (int.from_bytes(data, "big") ^ int.from_bytes(stretched, "big")).to_bytes(length, "big")
        return Frame(head[0] & 0x0F, plain)

    def hang_up(self) -> None:
        """Close TCP without a word."""
        if self.socket is not None:
            self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.hang_up()
        self._listener.close()
