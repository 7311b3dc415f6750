"""Authorization headers: a token that is given, read from a file or by a command; or a password.

Client certificates are not here: they belong to the connection (transport.py).
"""

from __future__ import annotations

import base64
import datetime
import logging
import os
import subprocess
import threading
import time
from pathlib import Path

import msgspec

from kubeedge_actors.drivers.cluster.client_config import ClientConfig, ExecPlugin
from kubeedge_actors.errors import Unreachable

log = logging.getLogger(__name__)

FILE_LIFE = 60.0
"""Seconds after which a token file is read again: Kubernetes renews it in place."""
COMMAND_LIFE = 3600.0
"""Seconds that a token of a command is kept when the command does not say."""
EARLY = 30.0
"""Seconds before its end at which a token of a command is replaced."""
COMMAND_TIMEOUT = 30.0
RENEWAL_INITIAL, RENEWAL_MAX = 0.5, 60.0
"""Seconds between two looks for a new token while the present one is refused or can not be read: doubling."""
UNAUTHORIZED, FORBIDDEN = 401, 403


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
        self._renewals, self._next_renewal = 0, 0.0
        self._unreadable = ""

    def headers(self) -> dict[str, str]:
        """The headers to send. Errors: Unreachable when there is no token, OSError of its file."""
        return self._proof() | impersonation_headers(self._config.impersonate)

    def _proof(self) -> dict[str, str]:
        token = self._current()
        if token:
            return {"Authorization": f"Bearer {token}"}
        if self._config.username:
            pair = base64.b64encode(f"{self._config.username}:{self._config.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def on_refused(self, sent_headers: dict[str, str], code: int) -> bool:
        """The API answered 401 or 403 to what was sent; whether there is something else to send now.

        The source is looked at at once, and while the refusals go on with back-off. A 403 is as a rule about rights: for its sake
        no credential plugin runs, but a file is read, which may have been empty or another's for a moment.
        """
        with self._lock:
            due = time.monotonic() >= self._next_renewal
            if not due or (code == FORBIDDEN and self._config.token_file is None):
                return False
            self._fresh_until = 0.0
            self._next_renewal = time.monotonic() + self._pause()
        return self.headers() != sent_headers

    def on_accepted(self) -> None:
        """The API took what was sent: the next refusal is the first again."""
        self._renewals, self._next_renewal = 0, 0.0

    def _pause(self) -> float:
        self._renewals += 1
        return min(RENEWAL_MAX, RENEWAL_INITIAL * 2.0 ** min(self._renewals - 1, 16))

    def _current(self) -> str:
        config = self._config
        if config.token_file is None and config.command is None:
            return config.token
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                if config.token_file is not None:
                    life = self._read_file(config.token_file)
                else:
                    assert config.command is not None
                    self._token, life = run_credential_plugin(config.command)
                self._fresh_until = time.monotonic() + life
            return self._token

    def _read_file(self, path: Path) -> float:
        """Take the token of the file; the seconds until it is read again. A file that has none for a moment (`kubectl create token > file`
        empties it first) leaves the token that is known (client-go: cachingTokenSource).
        """
        try:
            self._token, self._unreadable = _read(path), ""
            return FILE_LIFE
        except (OSError, ValueError) as error:
            if not self._token:
                raise
            if str(error) != self._unreadable:
                self._unreadable = str(error)
                log.warning("the token file can not be read, the token before is used: %s", error)
            return RENEWAL_INITIAL


def impersonation_headers(whom: tuple[str, str] | None) -> dict[str, str]:
    """With which an identity speaks in the name of a user of a group (Kubernetes: user impersonation); none for None."""
    return {"Impersonate-User": whom[0], "Impersonate-Group": whom[1]} if whom else {}


def _read(path: Path) -> str:
    token = path.read_text(encoding="ascii").strip()
    if not token:
        raise ValueError(f"{path} is empty")
    return token


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
