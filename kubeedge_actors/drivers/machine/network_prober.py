"""Probes containers over the network: a connection, or the status line of an HTTP answer. Without an HTTP library: it is
one line.
"""

from __future__ import annotations

import socket
from contextlib import closing

from kubeedge_actors.drivers.machine.base import HealthProbe

USER_AGENT = "kube-probe/1.32"


class NetworkProber:
    """Prober over the network of this machine."""

    def probe(self, probe: HealthProbe, timeout: float) -> str:
        """Empty when the answer is good, else why not."""
        try:
            connection = socket.create_connection((probe.host, probe.port), timeout)
        except OSError as error:
            return f"dial tcp {probe.host}:{probe.port}: {error}"
        with closing(connection):
            if not probe.http:
                return ""
            try:
                return _get(connection, probe)
            except OSError as error:
                return f"Get {_url(probe)}: {error}"


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
