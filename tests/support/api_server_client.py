"""What a cluster's API server says to a kubelet, with its client certificate: logs, SPDY and WebSocket upgrades, plain requests."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from kubeedge_actors.actors.edgestream import websocket
from kubeedge_actors.actors.edgestream.spdy import frames as spdy
from kubeedge_actors.drivers.pki.base import TlsPaths
from tests.support.waiting import PATIENCE

SPDY = {
    "Connection": "Upgrade",
    "Upgrade": "SPDY/3.1",
    "X-Stream-Protocol-Version": "v4.channel.k8s.io",
    "Content-Length": "0",
}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
}
STREAMS = {1: "error", 3: "stdin", 5: "stdout", 7: "stderr"}


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class ApiServerClient:
    """An API server that asks the kubelet at `port`. Without `tls` it shows no certificate; `token`: what a metrics server shows."""

    def __init__(self, port: int, tls: TlsPaths | None, *, ca: str = "", token: str = "", host: str = "") -> None:
        self.port, self._token, self._host = port, token, host or f"127.0.0.1:{port}"
        self._context = ssl.create_default_context(cafile=ca or None)
        if not ca:  # as without --kubelet-certificate-authority
            self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        if tls is not None:
            self._context.load_cert_chain(tls.cert, tls.key)

    def get(self, target: str, **headers: str) -> Reply:
        """GET, the whole body."""
        with self.opened("GET", target, headers) as connection:
            data = b"".join(iter(lambda: connection.recv(65536), b""))
        return _reply(data)

    @contextmanager
    def opened(self, method: str, target: str, headers: dict[str, str]) -> Iterator[ssl.SSLSocket]:
        """A connection on which the request was made."""
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        with plain, self._context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            every = {"Host": self._host, "User-Agent": "Go-http-client/1.1", **headers}
            if self._token:
                every["Authorization"] = f"Bearer {self._token}"
            lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items()), "", ""]
            connection.sendall("\r\n".join(lines).encode())
            yield connection

    def exec_over_spdy(self, target: str, stdin: bytes = b"") -> tuple[dict[int, bytes], Reply]:
        """Run a command: what came in each stream, by its id, and the answer to the upgrade."""
        with self.opened("POST", target, SPDY) as connection:
            head, rest = read_head(connection)
            if head.status != 101:
                return {}, head
            encoder, parser = spdy.FrameEncoder(), spdy.FrameParser()
            opening: list[spdy.Frame] = [spdy.Opened(id, {"streamtype": kind}) for id, kind in STREAMS.items()]
            said = [*opening, spdy.StreamData(3, stdin), spdy.StreamData(3, b"", fin=True)]
            connection.sendall(b"".join(map(encoder.encode, said)))
            came = dict.fromkeys(STREAMS, b"")
            while True:
                for frame in parser.feed(rest):
                    if isinstance(frame, spdy.StreamData):
                        came[frame.id] += frame.data
                    elif isinstance(frame, spdy.GoAway):
                        return came, head
                rest = connection.recv(65536)
                assert rest, came

    def exec_over_websocket(self, target: str) -> tuple[dict[int, bytes], Reply]:
        """The same in a WebSocket, without input: what came in each channel."""
        with self.opened("GET", target, WEBSOCKET) as connection:
            head, rest = read_head(connection)
            came: dict[int, bytes] = {}
            if head.status != 101:
                return came, head
            while (message := _message(rest)) is None or message[0] != websocket.CLOSE:
                if message is None:
                    more = connection.recv(65536)
                    assert more, came
                    rest += more
                    continue
                opcode, data, rest = message
                if opcode == websocket.BINARY:
                    came[data[0]] = came.get(data[0], b"") + data[1:]
            return came, head

    def forward(self, target: str, port: int, data: bytes, until: Callable[[bytes], bool]) -> bytes:
        """Say `data` to a port of a pod over SPDY; what comes back until that is enough."""
        headers = {**SPDY, "X-Stream-Protocol-Version": "portforward.k8s.io"}
        with self.opened("POST", target, headers) as connection:
            head, rest = read_head(connection)
            assert head.status == 101, head
            encoder, parser = spdy.FrameEncoder(), spdy.FrameParser()
            common = {"port": str(port), "requestid": "0"}
            streams: list[spdy.Frame] = [
                spdy.Opened(id, {**common, "streamtype": kind}) for id, kind in ((1, "error"), (3, "data"))
            ]
            connection.sendall(b"".join(map(encoder.encode, [*streams, spdy.StreamData(3, data)])))
            came = b""
            while not until(came):
                for frame in parser.feed(rest):
                    assert not (isinstance(frame, spdy.StreamData) and frame.id == 1 and frame.data), frame
                    if isinstance(frame, spdy.StreamData):
                        came += frame.data
                rest = b"" if until(came) else connection.recv(65536)
                assert rest or until(came), came
            return came


def exit_status(came: dict[int, bytes]) -> str:
    """How a command over SPDY ended: Success or Failure."""
    return str(msgspec.json.decode(came[1])["status"])


def read_head(connection: ssl.SSLSocket) -> tuple[Reply, bytes]:
    """The head of an answer, with its body when it is no upgrade; and what has come behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            raise ConnectionError("hung up without an answer")
        data += more
    reply = _reply(data)
    if reply.status == 101:
        return reply._replace(body=b""), data.partition(b"\r\n\r\n")[2]
    while more := connection.recv(65536):
        data += more
    return _reply(data), b""


def _reply(data: bytes) -> Reply:
    if not data:
        raise ConnectionError("hung up without an answer")
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(_chunks(body))
    return Reply(int(first.split()[1]), headers, body)


def _chunks(body: bytes) -> Iterator[bytes]:
    while True:
        size, found, rest = body.partition(b"\r\n")
        assert found, "the body ends in the midst of it"
        if not int(size, 16):
            return
        yield rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]


def _message(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Opcode and data of a server's message, and the rest; None: it is not whole."""
    if len(data) < 2:
        return None
    size, at = data[1], 2
    if size >= 126:
        at = 4 if size == 126 else 10
        size = int.from_bytes(data[2:at])
    return (data[0] & 0x0F, data[at : at + size], data[at + size :]) if len(data) >= at + size else None
