"""Probes containers over the network: a connection, the status line of an HTTP answer, or the health check of gRPC. Without an HTTP
library: it is one line; gRPC needs one, which is imported with the first such probe.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec

from kubeedge_actors.drivers.machine.base import HealthProbe

USER_AGENT = "kube-probe/1.32"


class NetworkProber:
    """Prober over the network of this machine. `install_hint`: how the library of gRPC probes is installed."""

    def __init__(self, install_hint: Callable[[], str] = lambda: "pip install h2") -> None:
        self._install_hint = install_hint

    def probe(self, probe: HealthProbe, timeout: float) -> str:
        """Empty when the answer is good, else why not."""
        try:
            connection = socket.create_connection((probe.host, probe.port), timeout)
        except OSError as error:
            return f"dial tcp {probe.host}:{probe.port}: {error}"
        with closing(connection):
            try:
                return _ask(connection, probe, timeout)
            except OSError as error:
                return f"{_what(probe)}: {error}"

    def refusal(self, probe: HealthProbe) -> str:
        """Without its library there are no gRPC probes."""
        if not probe.grpc or find_spec("h2") is not None:
            return ""
        return f"grpc probes need the library h2 on this node: {self._install_hint()}"


def _ask(connection: socket.socket, probe: HealthProbe, timeout: float) -> str:
    if probe.grpc:
        from kubeedge_actors.drivers.machine.grpc_health import check_health  # late: most nodes have no use for it

        return check_health(connection, probe, timeout, USER_AGENT)
    return _get(connection, probe) if probe.http else ""


def _what(probe: HealthProbe) -> str:
    return "error: health rpc probe failed" if probe.grpc else f"Get {_url(probe)}"


def _url(probe: HealthProbe) -> str:
    return f"{'https' if probe.tls else 'http'}://{probe.host}:{probe.port}{probe.path}"


def _get(connection: socket.socket, probe: HealthProbe) -> str:
    stream = connection
    if probe.tls:
        import ssl  # only for pods that ask for it

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as Kubernetes' probes do
        stream = context.wrap_socket(connection)
    with closing(stream):
        stream.sendall(_request(probe))
        line = _first_line(stream)
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/") or not code.isdigit():
        return f"Get {_url(probe)}: malformed HTTP response"
    return "" if 200 <= int(code) < 400 else f"HTTP probe failed with statuscode: {code}"


def _request(probe: HealthProbe) -> bytes:
    names = {name.lower() for name, _ in probe.headers}
    standard = (
        ("Host", f"{probe.host}:{probe.port}"),
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
        ("Connection", "close"),
    )
    headers = [header for header in standard if header[0].lower() not in names] + list(probe.headers)
    path = probe.path if probe.path.startswith("/") else f"/{probe.path}"
    lines = [f"GET {path} HTTP/1.1", *(f"{_clean(name)}: {_clean(value)}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


def _clean(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


def _first_line(stream: socket.socket) -> str:
    text = b""
    while b"\n" not in text and len(text) < 4096:
        chunk = stream.recv(1024)
        if not chunk:
            break
        text += chunk
    return text.partition(b"\n")[0].decode("latin-1").strip()
