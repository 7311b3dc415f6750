"""A WebSocket client that does exactly what a test says, byte by byte."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Sequence
from typing import Self

from kubeedge_actors.drivers.pki.base import TlsPaths
from tests.support.waiting import PATIENCE

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
HEADERS = (("Node_id", "edge-1"), ("ConnectionUse", "msg"))


def frame(opcode: int, data: bytes, *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """The bytes of a client's frame."""
    head = bytes([opcode | (0x80 if fin else 0) | reserved])
    flag = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([len(data) | flag])
    elif len(data) < 65536:
        head += bytes([126 | flag]) + struct.pack("!H", len(data))
    else:
        head += bytes([127 | flag]) + struct.pack("!Q", len(data))
    if not masked:
        return head + data
    mask = os.urandom(4)
    stretched = (mask * (len(data) // 4 + 1))[: len(data)]
    hidden = int.from_bytes(data, "big") ^ int.from_bytes(stretched, "big")
    return head + mask + hidden.to_bytes(len(data), "big")


class RawClient:
    """One connection to a link server. Without `upgrade` it has done the TLS handshake only."""

    def __init__(
        self, port: int, tls: TlsPaths, context: ssl.SSLContext | None = None, receive_buffer: int = 0
    ) -> None:
        if context is None:
            context = ssl.create_default_context(cafile=tls.ca)
            context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
            context.load_cert_chain(tls.cert, tls.key)
        tcp = socket.socket()
        tcp.settimeout(PATIENCE)
        if receive_buffer:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            tcp.connect(("127.0.0.1", port))
            self.socket = context.wrap_socket(tcp, server_hostname="127.0.0.1")
        except BaseException:
            tcp.close()
            raise

    def ask(self, headers: Sequence[tuple[str, str]] = HEADERS, path: str = "/p/edge-1/events") -> str:
        """Ask for the upgrade; the head of the answer, empty when there was none."""
        usual = [
            *(("Host", "127.0.0.1"), ("Connection", "Upgrade"), ("Upgrade", "websocket")),
            *(("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")),
        ]
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (*usual, *headers)), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        return self.head()

    def head(self) -> str:
        """Read up to an empty line, or what there is before the end."""
        head = b""
        while not head.endswith(b"\r\n\r\n") and (byte := self.read(1)):
            head += byte
        return head.decode()

    def joined(self) -> Self:
        """Ask, and be let in."""
        assert self.ask().startswith("HTTP/1.1 101 ")
        return self

    def send(self, opcode: int, data: bytes, *, fin: bool = True) -> None:
        """Send one frame."""
        self.socket.sendall(frame(opcode, data, fin=fin))

    def read(self, count: int) -> bytes:
        """Exactly so many bytes; what there was when the other side has closed or gone."""
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(min(65536, count - len(data)))
            except (ssl.SSLError, ConnectionError):
                break
            if not part:
                break
            data += part
        return data

    def frame(self) -> tuple[int, bytes] | None:
        """The next frame of the server; None when it has closed."""
        head = self.read(2)
        if len(head) < 2:
            return None
        length = head[1]
        if length >= 126:
            length = int.from_bytes(self.read(2 if length == 126 else 8), "big")
        return head[0] & 0x0F, self.read(length)

    def closed(self) -> bool:
        """Whether the server closes, a close frame before that or not."""
        while (received := self.frame()) is not None:
            if received[0] not in (CLOSE, PONG):
                return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()
