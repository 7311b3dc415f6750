"""An edge node that says what was recorded, over real TLS, and compares what it is told."""

from __future__ import annotations

import http.client
import json
import queue
import ssl
import threading
import uuid
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubeedge_actors.drivers.pki.base import TlsPaths
from tests.support.fakes.raw_websocket_client import TEXT, RawClient
from tests.support.waiting import PATIENCE

Json = dict[str, Any]

NODE = "edge-2"
PROJECT = "e632aba927ea4ac2b575ec1603d56f10"


def bootstrap(port: int, token: str, folder: Path, node: str = NODE) -> TlsPaths:
    """The two requests of a genuine edge; the files of its new certificate."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    ca = _get(http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=blind), "/ca.crt")
    ca_file = folder / "ca.crt"
    ca_file.write_bytes(x509.load_der_x509_certificate(ca).public_bytes(serialization.Encoding.PEM))
    key = ec.generate_private_key(ec.SECP256R1())
    names = [(NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, f"system:node:{node}")]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    trusting = ssl.create_default_context(cafile=str(ca_file))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=trusting)
    headers = {"Authorization": f"Bearer {token.partition('.')[2]}", "NodeName": node}
    issued = _get(connection, "/edge.crt", request.public_bytes(serialization.Encoding.DER), headers)
    cert_file, key_file = folder / "edge.crt", folder / "edge.key"
    cert_file.write_bytes(x509.load_der_x509_certificate(issued).public_bytes(serialization.Encoding.PEM))
    form, sealed = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, sealed))
    return TlsPaths(ca=str(ca_file), cert=str(cert_file), key=str(key_file))


def _get(
    connection: http.client.HTTPSConnection, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> bytes:
    try:
        connection.request("GET", path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (path, answer.status, content)
        assert answer.getheader("Content-Type") == "application/octet-stream"
        return content
    finally:
        connection.close()


class FakeEdge:
    """One session as the recorded edge opens it; frames that come are queued by a thread."""

    def __init__(self, port: int, tls: TlsPaths) -> None:
        self._client = RawClient(port, tls)
        headers = (("Node_id", NODE), ("Project_id", PROJECT), ("Connectionuse", "msg"))
        reply = self._client.ask((*headers, ("User-Agent", "Go-http-client/1.1")), f"/{PROJECT}/{NODE}/events")
        assert reply.startswith("HTTP/1.1 101 Switching Protocols\r\n"), reply
        self._frames: queue.SimpleQueue[Json] = queue.SimpleQueue()
        self._client.socket.settimeout(None)
        self._leaving = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def say(self, frame: Json, exchange: dict[str, str], answering: str = "") -> str:
        """Say a recorded frame with a fresh id and with what `exchange` replaces; the id."""
        text = json.dumps({**frame, "header": {**frame["header"], "msg_id": (fresh := str(uuid.uuid4()))}})
        for recorded, ours in exchange.items():
            text = text.replace(recorded, ours)
        if answering:
            said = json.loads(text)
            said["header"]["parent_msg_id"] = answering
            text = json.dumps(said)
        self._client.send(TEXT, text.encode() + b"\n")
        return fresh

    def hear(self, seconds: float = PATIENCE) -> Json:
        """The next frame; queue.Empty when none comes in time."""
        return self._frames.get(timeout=seconds)

    def leave(self) -> None:
        """Cut the connection."""
        self._leaving = True
        self._client.socket.shutdown(2)
        self._thread.join(PATIENCE)
        self._client.socket.close()

    def _listen(self) -> None:
        while (found := self._client.frame()) is not None:
            if found[0] == TEXT and not self._leaving:
                self._frames.put(json.loads(found[1]))
