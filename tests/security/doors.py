"""The ports of the product, served in this process with limits of a test, and raw connections to them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors.apiserver import ApiServer, TlsFiles
from kubeedge_actors.apiserver.auth import User
from kubeedge_actors.control.metrics import MetricsServer
from kubeedge_actors.drivers.bootstrap.handlers import BootstrapHandler
from kubeedge_actors.drivers.bootstrap.server import BootstrapServer
from kubeedge_actors.drivers.http.base import RestResponse, ServerResponse
from kubeedge_actors.drivers.http.stdlib_http_server import StdlibHttpServer
from kubeedge_actors.drivers.http.stdlib_rest_server import StdlibRestServer
from kubeedge_actors.drivers.http.stdlib_upload_server import StdlibUploadServer
from kubeedge_actors.drivers.kubelet.base import TextAnswer
from kubeedge_actors.drivers.kubelet.server import KubeletServer
from kubeedge_actors.drivers.kubelet.tls import kubelet_context
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.pki.bootstrap_tokens import split_token
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.worker_protocol import execute
from kubeedge_actors.kubernetes.certificates.info import NODE_GROUP
from kubeedge_actors.osutil.connection_limits import ServerLimits
from kubeedge_actors.osutil.sockets import tls_context
from tests.support.certificates import TestCa
from tests.support.fakes.link_recorders import ServerRecorder
from tests.support.waiting import PATIENCE

UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


class Door(NamedTuple):
    """A port that is served: `context` of a client who shows what a handshake needs, and no more."""

    port: int
    context: ssl.SSLContext | None = None
    credentials: str = ""
    """Header lines of somebody who may."""
    path: str = "/"

    def dial(self) -> socket.socket:
        """TCP only."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def connect(self) -> socket.socket:
        """With the handshake, where there is one. OSError when that ends early."""
        tcp = self.dial()
        return tcp if self.context is None else self.context.wrap_socket(tcp, server_hostname="127.0.0.1")

    def head(self, method: str = "GET", more: str = "") -> bytes:
        """A request's head."""
        return f"{method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


def said(connection: socket.socket) -> bytes:
    """Everything until the other side closes; nothing when it does so without a word."""
    text = b""
    try:
        while piece := connection.recv(65536):
            text += piece
    except TimeoutError:
        raise AssertionError(f"it is still open, and said {text[:200]!r}") from None
    except OSError:  # reset: it had not read all that we sent
        return text
    return text


def status(connection: socket.socket) -> int:
    """The status of the next answer; 0 when there is none."""
    line = b""
    while not line.endswith(b"\r\n"):
        try:
            piece = connection.recv(1)
        except TimeoutError:
            raise
        except OSError:
            return 0
        if not piece:
            return 0
        line += piece
    return int(line.split()[1])


def _api(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    ca = TestCa(folder)
    files = ca.server("127.0.0.1")
    server = ApiServer(
        database=":memory:",
        port=0,
        tls=TlsFiles(Path(files.cert), Path(files.key), Path(ca.path)),
        tokens={"secret": User("robot", ("system:masters",)), "weak": User("guest", ())},
        limits=limits,
    )
    server.start()
    stack.callback(server.stop)
    path = "/api/v1/namespaces/default/configmaps"
    return Door(server.port, _trusting(ca.path), "Authorization: Bearer secret\r\n", path)


def _hub(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    ca = TestCa(folder)
    server = WebSocketServer(limits=limits)
    stack.callback(server.stop)
    port = server.start("127.0.0.1", 0, ca.server("127.0.0.1"), ServerRecorder())
    return Door(port, _trusting(ca.path, ca.client("system:node:edge-1", NODE_GROUP)), UPGRADE, "/e632/edge-1/events")


def _bootstrap(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    authority = FileAuthority(folder / "certs", execute)
    loop = LoopThread()
    stack.callback(loop.stop)
    server = BootstrapServer(BootstrapHandler(authority, lambda node: True), loop, limits)
    stack.callback(server.stop)
    tls = authority.server_certificate()
    credentials = f"Authorization: Bearer {split_token(authority.token())[1]}\r\nNodeName: edge-1\r\n"
    return Door(server.start("127.0.0.1", 0, tls), _trusting(tls.ca), credentials, "/edge.crt")


def _metaserver(stack: ExitStack, folder: Path, limits: ServerLimits, context: ssl.SSLContext | None = None) -> Door:
    server = StdlibHttpServer("127.0.0.1", 0, limits, context)
    server.bind()
    stack.callback(server.close)
    server.serve(lambda request: ServerResponse(200, b"{}"))
    return Door(int(server.address.rpartition(":")[2]))


def _metaserver_tls(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    ca = TestCa(folder)
    files = ca.server("127.0.0.1")
    return _metaserver(stack, folder, limits, tls_context(files.cert, files.key))._replace(context=_trusting(ca.path))


def _servicebus(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    server = StdlibUploadServer("127.0.0.1", 0, 0.01, limits)
    server.start(lambda body: body or b"-")
    stack.callback(server.close)
    return Door(server.port)


def _metrics(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    server = MetricsServer(lambda: {"tree": {}, "dead_letters": 0}, limits=limits)
    port = server.bind("127.0.0.1", 0)
    stack.callback(server.close)
    server.start()
    return Door(port, path="/metrics")


def _kubelets(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    """Where a cluster's API server asks."""
    ca = TestCa(folder)
    loop = LoopThread()
    stack.callback(loop.stop)
    server = KubeletServer(loop, ca.client("replica", "replicas"), limits)
    stack.callback(server.stop)
    port = server.bind("127.0.0.1", 0)
    answer = TextAnswer(200, "ok")
    server.start(ca.server("127.0.0.1"), Path(ca.path).read_bytes(), lambda request: answer)
    return Door(port, _trusting(ca.path, ca.client("kube-apiserver-kubelet-client", "people")), path="/pods")


def _rules(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    ca = TestCa(folder)
    context = kubelet_context(ca.server("127.0.0.1"), Path(ca.path).read_bytes())
    return _rest(stack, limits, context)._replace(context=_trusting(ca.path))


def _open_rules(stack: ExitStack, folder: Path, limits: ServerLimits) -> Door:
    return _rest(stack, limits, None)


def _rest(stack: ExitStack, limits: ServerLimits, context: ssl.SSLContext | None) -> Door:
    server = StdlibRestServer("127.0.0.1", 0, context, limits)
    server.start(lambda request: RestResponse(200, request.body or b"-"))
    stack.callback(server.close)
    return Door(server.port, path="/edge-1/default/a")


def _trusting(ca: str, client: TlsPaths | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    return context


DOORS: dict[str, Callable[[ExitStack, Path, ServerLimits], Door]] = {
    "api": _api,
    "hub": _hub,
    "bootstrap": _bootstrap,
    "metaserver": _metaserver,
    "servicebus": _servicebus,
    "metrics": _metrics,
    "metaserver-tls": _metaserver_tls,
    "kubelets": _kubelets,
    "rules": _rules,
    "open rules": _open_rules,
}
WITH_TLS = ("api", "hub", "bootstrap", "kubelets")
WITH_BODIES = ("api", "bootstrap", "servicebus", "open rules")


@contextmanager
def opened(name: str, folder: Path, limits: ServerLimits | None = None) -> Iterator[Door]:
    """One of DOORS, served with these limits."""
    with ExitStack() as stack:
        yield DOORS[name](stack, folder, limits or ServerLimits())
