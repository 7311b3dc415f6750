"""Authorization headers: a token that is given, read from a file or by a command; or a password.

Client certificates are not here: they belong to the connection (transport.py).
"""

from __future__ import annotations

import base64
import datetime
import os
import subprocess
import threading
import time
from pathlib import Path

import msgspec

from kubeedge_actors.drivers.cluster.client_config import ClientConfig, ExecPlugin
from kubeedge_actors.errors import Unreachable

FILE_LIFE = 60.0
"""Seconds after which a token file is read again: Kubernetes renews it in place."""
COMMAND_LIFE = 3600.0
"""Seconds that a token of a command is kept when the command does not say."""
EARLY = 30.0
"""Seconds before its end at which a token of a command is replaced."""
COMMAND_TIMEOUT = 30.0


class _Status(msgspec.Struct):
    token: str = ""
    expirationTimestamp: str | None = None


class _Answer(msgspec.Struct):
    status: _Status


class AuthHeaders:
    """The headers of one identity; may be used from any thread."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._token = ""
        self._fresh_until = 0.0

    def headers(self) -> dict[str, str]:
        """The headers to send. Errors: Unreachable when there is no token, OSError of its file."""
        token = self._current()
        if token:
            return {"Authorization": f"Bearer {token}"}
        if self._config.username:
            pair = base64.b64encode(f"{self._config.username}:{self._config.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def on_unauthorized(self, sent_headers: dict[str, str]) -> bool:
        """The API did not accept what was sent; whether there is something else to send now."""
        with self._lock:
            self._fresh_until = 0.0
        return self.headers() != sent_headers

    def _current(self) -> str:
        config = self._config
        if config.token_file is None and config.command is None:
            return config.token
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                if config.token_file is not None:
                    self._token, life = _read(config.token_file), FILE_LIFE
                else:
                    assert config.command is not None
                    self._token, life = run_credential_plugin(config.command)
                self._fresh_until = time.monotonic() + life
            return self._token


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def run_credential_plugin(command: ExecPlugin) -> tuple[str, float]:
    """The token of a credential plugin, and for how many seconds it is valid. Error: Unreachable.

    Source: Kubernetes client.authentication.k8s.io ExecCredential.
    """
    name, version = command.arguments[0], command.api_version
    info = {"kind": "ExecCredential", "apiVersion": version, "spec": {"interactive": False}}
    environment = {
        **os.environ,
        **dict(command.environment),
        "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode(),
    }
    try:
        completed = subprocess.run(
            command.arguments, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"the credential plugin {name} can not be run: {error}") from error
    if completed.returncode:
        words = completed.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Unreachable(f"the credential plugin {name} failed: {words[-1] if words else completed.returncode}")
    try:
        status = msgspec.json.decode(completed.stdout, type=_Answer).status
    except msgspec.DecodeError as error:
        raise Unreachable(f"the credential plugin {name} gave no ExecCredential: {error}") from error
    if not status.token:
        raise Unreachable(
            f"the credential plugin {name} gave no token; client certificates from plugins are not supported"
        )
    return status.token, _life(status.expirationTimestamp)


def _life(expires: str | None) -> float:
    if not expires:
        return COMMAND_LIFE
    try:
        remaining = datetime.datetime.fromisoformat(expires).timestamp() - time.time()
    except ValueError:
        return COMMAND_LIFE
    return max(0.0, remaining - EARLY)
