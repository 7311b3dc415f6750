"""A password file as `mosquitto_passwd` writes it.

A line is `user:$7$<rounds>$<salt>$<hash>`, PBKDF2 with SHA-512, or the older `user:$6$<salt>$<hash>`, one round of SHA-512 over
password and salt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from kubeedge_actors.errors import BrokerError

_PBKDF2, _SHA512 = "7", "6"


@dataclass(frozen=True, slots=True)
class _Secret:
    rounds: int  # 0 for the older form
    salt: bytes
    digest: bytes


class Passwords:
    """Who may connect. The file is read once."""

    def __init__(self, path: Path) -> None:
        """Error: BrokerError when the file can not be read or a line is not in the format."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BrokerError(f"the password file {path} can not be read") from error
        entries = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
        self._secrets = dict(_entry(path, number, line) for number, line in entries)

    def knows(self, user: str | None) -> bool:
        """Whether this user may connect at all."""
        return (user or "") in self._secrets

    def verify(self, user: str | None, password: str | None) -> bool:
        """Whether the password is that of the user."""
        secret = self._secrets.get(user or "")
        if secret is None or password is None:
            return False
        return hmac.compare_digest(_digest(password, secret.salt, secret.rounds, len(secret.digest)), secret.digest)


def password_line(user: str, password: str, salt: bytes, rounds: int = 1_000) -> str:
    """A line for the file. `salt`: random bytes, 12 or more."""
    parts = (base64.b64encode(part).decode() for part in (salt, _digest(password, salt, rounds, 64)))
    return f"{user}:${_PBKDF2}${rounds}${'$'.join(parts)}"


def _digest(password: str, salt: bytes, rounds: int, length: int) -> bytes:
    if not rounds:
        return hashlib.sha512(password.encode() + salt).digest()
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, length)


def _entry(path: Path, number: int, line: str) -> tuple[str, _Secret]:
    user, _, secret = line.strip().partition(":")
    try:
        _, scheme, *middle, salt, digest = secret.split("$")
        rounds = {_PBKDF2: middle, _SHA512: ["0", *middle]}[scheme]
        if not user or len(rounds) != 1 or (int(rounds[0]) < 1) != (scheme == _SHA512):
            raise ValueError(scheme)
        return user, _Secret(
            int(rounds[0]), base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
        )
    except (ValueError, KeyError, binascii.Error) as error:
        raise BrokerError(f"line {number} of the password file {path} is not one of mosquitto_passwd") from error
