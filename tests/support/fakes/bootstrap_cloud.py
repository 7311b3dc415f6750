"""A bootstrap server on loopback for tests, and requests to it."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors.drivers.bootstrap.handlers import BootstrapHandler
from kubeedge_actors.drivers.bootstrap.join_gate import JoinGate
from kubeedge_actors.drivers.bootstrap.server import BootstrapServer
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.worker_protocol import execute
from kubeedge_actors.errors import LinkError
from tests.support.waiting import PATIENCE


class Reply(NamedTuple):
    status: int
    type: str | None
    body: bytes
    headers: list[str]

    @property
    def words(self) -> tuple[int, str | None, str]:
        return self.status, self.type, self.body.decode()


class Cloud:
    """A bootstrap server on loopback, and clients of it."""

    def __init__(self, folder: Path, gate: JoinGate | None = None) -> None:
        self.folder = folder
        self.authority = FileAuthority(folder / "certs", execute)
        self.tls = self.authority.server_certificate()
        self.loop = LoopThread()
        self.rules = BootstrapHandler(self.authority, self.exists, gate)
        self.server = BootstrapServer(self.rules, self.loop)
        self.port = self.server.start("127.0.0.1", 0, self.tls)

    @staticmethod
    def exists(node: str) -> bool:
        if node == "broken":
            raise LinkError("the cluster is away")
        return node == "known"

    def context(self, certificate: TlsPaths | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.tls.ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
        if certificate is not None:
            context.load_cert_chain(certificate.cert, certificate.key)
        return context

    def connect(self, certificate: TlsPaths | None = None) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=self.context(certificate))

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        method: str = "GET",
        certificate: TlsPaths | None = None,
        **headers: str,
    ) -> Reply:
        connection = self.connect(certificate)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            names = [name for name, _ in answer.getheaders()]
            return Reply(answer.status, answer.getheader("Content-Type"), answer.read(), names)
        finally:
            connection.close()

    def stop(self) -> None:
        self.server.stop()
        self.loop.stop()

    @property
    def jwt(self) -> str:
        return self.authority.token().partition(".")[2]
