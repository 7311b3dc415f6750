"""What the doors for programs of this machine need when they are opened to others: TLS, and something to show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.errors import UsageError
from kubeedge_actors.osutil.sockets import interface_address, is_loopback, tls_context

if TYPE_CHECKING:
    import ssl

DOCKER_BRIDGE = "docker0"
"""The interface by which pods on a Docker engine reach their machine, and nobody else does."""


def metaserver_tls(config: EdgeConfig, host: str) -> ssl.SSLContext | None:
    """With what MetaServer serves at an address; None: plain HTTP, on loopback and for Docker's pods. Errors: UsageError."""
    context = _context("--metaserver-tls-cert", config.metaserver_tls_cert, config.metaserver_tls_key)
    if context is None and not is_loopback(host) and host != interface_address(DOCKER_BRIDGE):
        raise UsageError(
            f"--metaserver {host}: beyond loopback and the address of {DOCKER_BRIDGE} it is served by TLS only: "
            "give --metaserver-tls-cert FILE (and --metaserver-tls-key); who asks shows the token of its pod's service account"
        )
    return context


def metrics_access(config: EdgeConfig | CloudConfig) -> tuple[ssl.SSLContext | None, str]:
    """With what metrics are served, and the token that is to be shown (empty: none). Errors: UsageError."""
    context = _context("--metrics-tls-cert", config.metrics_tls_cert, config.metrics_tls_key)
    token = _token(config.metrics_token_file) if config.metrics_token_file else ""
    if not is_loopback(config.metrics_host) and not (context and token):
        raise UsageError(
            f"--metrics-host {config.metrics_host}: beyond loopback metrics are served by TLS and to who has a token only: "
            "give --metrics-tls-cert FILE (and --metrics-tls-key) and --metrics-token-file FILE"
        )
    return context, token


def _context(option: str, certificate: str, key: str) -> ssl.SSLContext | None:
    if not certificate:
        return None
    try:
        return tls_context(certificate, key)
    except OSError as error:
        raise UsageError(f"{option} {certificate} can not be used: {error.strerror or error}") from error


def _token(file: str) -> str:
    try:
        token = Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--metrics-token-file {file} can not be read: {error}") from error
    if not token or len(token.split()) != 1:
        raise UsageError(f"--metrics-token-file {file} is no token: one word, and no more")
    return token
