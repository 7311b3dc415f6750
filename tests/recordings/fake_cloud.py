"""A cloud that plays the recorded one to a real edge, over real TLS: bootstrap, hub, and the objects it answers with."""

from __future__ import annotations

import hashlib
import http.server
import json
import queue
import ssl
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.support.certificates import TestCa
from tests.support.waiting import PATIENCE

Json = dict[str, Any]


class FakeCloud:
    """Both servers on free ports; what the edge asks of the bootstrap in `asked`, its frames by `hear`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.ca = TestCa(folder)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.handshakes: list[dict[str, str]] = []
        self._frames: queue.SimpleQueue[Json] = queue.SimpleQueue()
        self._connection: ServerConnection | None = None
        files = self.ca.server("127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.cert, files.key)
        self._bootstrap = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._bootstrap.socket = context.wrap_socket(self._bootstrap.socket, server_side=True)
        mutual = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        mutual.load_cert_chain(files.cert, files.key)
        mutual.load_verify_locations(files.ca)
        mutual.verify_mode = ssl.CERT_REQUIRED
        self._hub: Server = serve(
            self._converse, "127.0.0.1", 0, ssl=mutual, compression=None, ping_interval=None, max_size=None
        )
        self._threads = [threading.Thread(target=each.serve_forever) for each in (self._bootstrap, self._hub)]
        for thread in self._threads:
            thread.start()

    @property
    def options(self) -> tuple[str, ...]:
        """What an edge needs to join."""
        hub = self._hub.socket.getsockname()[1]
        token = f"{hashlib.sha256(self.ca.der).hexdigest()}.header.claims.signature"
        https = self._bootstrap.server_address[1]
        return ("--cloud", f"https://127.0.0.1:{https}", "--hub", f"wss://127.0.0.1:{hub}", "--token", token)

    def hear(self, seconds: float = PATIENCE) -> Json:
        """The next frame; queue.Empty when none comes in time."""
        return self._frames.get(timeout=seconds)

    def say(self, frame: Json, content: Any, answering: str = "") -> str:
        """Say a recorded frame with a fresh id and this content; the id."""
        header = {**frame["header"], "msg_id": (fresh := str(uuid.uuid4()))}
        if answering:
            header["parent_msg_id"] = answering
        assert self._connection is not None
        self._connection.send(json.dumps({**frame, "header": header, "content": content}) + "\n")
        return fresh

    def stop(self) -> None:
        """Close both."""
        for server in (self._bootstrap, self._hub):
            server.shutdown()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._bootstrap.server_close()

    def _converse(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.handshakes.append({"path": connection.request.path, **dict(connection.request.headers.raw_items())})
        self._connection = connection
        try:
            for text in connection:
                self._frames.put(json.loads(text))
        except ConnectionClosed:
            return


def _handler(cloud: FakeCloud) -> type[http.server.BaseHTTPRequestHandler]:
    replies: dict[str, Callable[[bytes], bytes]] = {
        "/ca.crt": lambda body: cloud.ca.der,
        "/edge.crt": lambda body: cloud.ca.sign(x509.load_der_x509_csr(body)).public_bytes(serialization.Encoding.DER),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            cloud.asked.append((self.command, self.path, dict(self.headers.items()), body))
            content = replies[self.path](body)
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing on standard error: what was asked is kept."""

    return Handler
