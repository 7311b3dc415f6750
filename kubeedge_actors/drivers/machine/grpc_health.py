"""The health check of gRPC servers (grpc.health.v1.Health/Check) over HTTP/2 without TLS, as a kubelet asks it. Imported with the first such probe.

By `h2`, which is HTTP/2 and nothing else: of gRPC a probe needs one call, for which grpcio would bring 25 MB and threads of its own.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from kubeedge_actors.drivers.machine.base import HealthProbe

CHECK = "/grpc.health.v1.Health/Check"
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
SERVING = "SERVING"
UNIMPLEMENTED = "12"
ANSWER_LIMIT = 4096
"""Bytes of an answer that are looked at; a status takes seven."""
PIECE = 16384
RECEIVED_LIMIT = 65536
FRAME_TYPE, SETTINGS = 3, b"\x04"
"""Where a frame of HTTP/2 has its type, and that of the first one of a server."""


def check_health(connection: socket.socket, probe: HealthProbe, timeout: float, agent: str) -> str:
    """Empty when the service is serving, else why not, in a kubelet's words. Errors: OSError."""
    call = _Call(connection, time.monotonic() + timeout)
    try:
        call.send(f"{probe.host}:{probe.port}", agent, _request(probe.service))
        call.await_end()
    except TimeoutError:
        return f"timeout: health rpc did not complete within {timeout:g}s"
    except ProtocolError as error:
        return f"error: health rpc probe failed: no HTTP/2: {error}"
    return _verdict(call)


def _verdict(call: _Call) -> str:
    status, message = call.headers.get("grpc-status", ""), call.headers.get("grpc-message", "")
    if call.headers.get(":status", "200") != "200":
        return f"error: health rpc probe failed: HTTP status {call.headers[':status']}"
    if status == UNIMPLEMENTED:
        return f"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
    if status != "0":
        return (
            f"error: health rpc probe failed: {f'code {status}: {message}' if status else call.broken or 'no status'}"
        )
    found = STATUSES.get(_status(bytes(call.data)), "")
    return "" if found == SERVING else f'service unhealthy (responded with "{found}")'


class _Call:
    """One call on a connection of its own."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._socket, self._deadline = connection, deadline
        self._http2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.headers: dict[str, str] = {}
        """Those of the answer, and its trailers."""
        self.data = bytearray()
        self.broken = ""

    def send(self, authority: str, agent: str, message: bytes) -> None:
        self._http2.initiate_connection()
        stream = self._http2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", CHECK), (":authority", authority)]
        headers += [("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", agent)]
        self._http2.send_headers(stream, headers)
        self._http2.send_data(stream, struct.pack(">?I", False, len(message)) + message, end_stream=True)
        self._flush()

    def await_end(self) -> None:
        """TimeoutError, ProtocolError, OSError."""
        for event in self._events():
            if isinstance(event, ResponseReceived | TrailersReceived):
                self.headers |= {str(name): str(value) for name, value in event.headers or ()}
            elif isinstance(event, DataReceived):
                self.data += (event.data or b"")[: ANSWER_LIMIT - len(self.data)]
                self._http2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            elif isinstance(event, StreamReset | ConnectionTerminated):
                self.broken = f"the server has ended the call ({event.error_code!r})"
                return
            elif isinstance(event, StreamEnded):
                return

    def _events(self) -> Iterator[Event]:
        received = 0
        while True:
            self._socket.settimeout(max(self._deadline - time.monotonic(), 0.001))
            piece = self._socket.recv(PIECE)
            if not piece:
                self.broken = "the server has closed the connection"
                return
            if not received and piece[FRAME_TYPE : FRAME_TYPE + 1] not in (b"", SETTINGS):
                raise ProtocolError("the server does not begin with its settings")
            received += len(piece)
            if received > RECEIVED_LIMIT:  # the library keeps what a frame says that it is long, up to 16 MB
                raise ProtocolError("the server says more than an answer")
            yield from self._http2.receive_data(piece)
            self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._http2.data_to_send())


def _request(service: str) -> bytes:
    """A HealthCheckRequest: field 1 is the service.

    >>> _request(""), _request("web")
    (b'', b'\\n\\x03web')
    """
    text = service.encode()
    return b"\n" + _varint(len(text)) + text if text else b""


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def _status(answer: bytes) -> int:
    """The status in a HealthCheckResponse behind its five bytes of length: field 1, nothing for 0; -1 for what is none.

    >>> _status(bytes([0, 0, 0, 0, 2, 8, 1])), _status(bytes(5)), _status(b"")
    (1, 0, -1)
    """
    if len(answer) < 5 or answer[0]:
        return -1
    message = answer[5 : 5 + int.from_bytes(answer[1:5], "big")]
    if not message:
        return 0
    return message[1] if message[0] == 8 and len(message) > 1 else -1
