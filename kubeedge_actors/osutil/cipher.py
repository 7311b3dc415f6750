"""Values in databases, sealed with AES-256-GCM: who has the file has not what is in it, and can not move a value to another row unnoticed.

A sealed value is bytes: its kind (1 byte), the id of the key (8), a salt of the process that wrote it (16), the number of the value (8), the
ciphertext with its tag. Each process seals with a key of its own, derived from the key and the salt, and counts: no nonce is used twice, however many values
there are (random ones would be good for 2^32). `cryptography` is imported with the first key (9 MB).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import secrets
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kubeedge_actors.errors import StoreCorrupt, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
PLAIN_LINE = "plain"
"""In the place of the first key: what is sealed is opened, and written as it is."""
BYTES, TEXT = b"\x81", b"\x82"
_ID, _SALT, _COUNT = 8, 16, 8
_HEAD = 1 + _ID + _SALT + _COUNT
OVERHEAD = _HEAD + 16
"""Bytes that a sealed value is longer."""
SALTS = 64
MAX_FILE = 64 * 1024
Value = str | bytes | None


class Cipher(Protocol):
    """What a database does with a value before it is written and after it is read. `row` names the place, from the table on. `overhead`: bytes
    that it adds. NULL stays NULL.
    """

    overhead: int

    def seal(self, value: Value, *row: object) -> Value:
        """The value as it is written."""

    def unseal(self, value: Value, *row: object) -> Value:
        """The value that was written there. Errors: StoreCorrupt for anything else."""


class PlainCipher:
    """Leaves values as they are."""

    overhead = 0

    def seal(self, value: Value, *row: object) -> Value:
        """The same."""
        return value

    def unseal(self, value: Value, *row: object) -> Value:
        """The same."""
        return value


PLAIN = PlainCipher()


class Key:
    """One key of 32 bytes, under the name that stands in what it has sealed."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = hashlib.sha256(b"kubeedge-actors key id" + secret).digest()[:_ID]
        self._salt = secrets.token_bytes(_SALT)
        self._numbers = itertools.count(1)
        self._writer = self._derived(self._salt)
        self._reader = lru_cache(SALTS)(self._derived)

    def _derived(self, salt: bytes) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # late: most processes have no key

        return AESGCM(hmac.digest(self._secret, b"kubeedge-actors values" + salt, "sha256"))

    def seal(self, kind: bytes, value: bytes, row: bytes) -> bytes:
        """A value for this row."""
        number = next(self._numbers).to_bytes(_COUNT, "big")
        head = kind + self.id + self._salt + number
        return head + self._writer.encrypt(_nonce(number), value, head + row)

    def unseal(self, sealed: bytes, row: bytes) -> bytes:
        """The value that was sealed for this row. Errors: cryptography's InvalidTag."""
        head, number = sealed[:_HEAD], sealed[_HEAD - _COUNT : _HEAD]
        reader = self._reader(head[1 + _ID : -_COUNT])
        return reader.decrypt(_nonce(number), sealed[_HEAD:], head + row)


def _nonce(number: bytes) -> bytes:
    return bytes(12 - _COUNT) + number


class KeyRing:
    """The keys of a file: the first one seals, all of them unseal. `source`: the file, for sentences. A first key of None: nothing is sealed any more."""

    overhead = OVERHEAD

    def __init__(self, keys: Sequence[bytes | None], source: object = "the key file") -> None:
        self.source = source
        made = [None if key is None else Key(key) for key in keys]
        self._first = made[0]
        self._by_id = {key.id: key for key in made if key is not None}

    @property
    def writes(self) -> str:
        """The id of the key that seals; empty when nothing is sealed any more."""
        return self._first.id.hex() if self._first else ""

    def holds(self, id: str) -> bool:
        """Whether there is a key with this id."""
        return bytes.fromhex(id) in self._by_id

    def seal(self, value: Value, *row: object) -> Value:
        """Bytes, whatever it was; None stays."""
        if value is None or self._first is None:
            return value
        kind, data = (TEXT, value.encode()) if isinstance(value, str) else (BYTES, value)
        return self._first.seal(kind, data, _row(row))

    def unseal(self, value: Value, *row: object) -> Value:
        """What was sealed for this row. Errors: StoreCorrupt."""
        if value is None:
            return None
        place = "/".join(map(str, row))
        if not isinstance(value, bytes) or value[:1] not in (BYTES, TEXT) or len(value) < OVERHEAD:
            raise StoreCorrupt(f"{place} is not encrypted, in a database that is: it was put there by somebody else")
        key = self._by_id.get(value[1 : 1 + _ID])
        if key is None:
            raise StoreCorrupt(f"{place} is encrypted with a key that {self.source} does not hold")
        from cryptography.exceptions import InvalidTag

        try:
            data = key.unseal(value, _row(row))
        except InvalidTag as error:
            raise StoreCorrupt(f"{place} can not be decrypted: it was changed, or is another row's") from error
        return data.decode() if value[:1] == TEXT else data


def _row(parts: Sequence[object]) -> bytes:
    """The name of a place, of which no part can reach into the next one."""
    texts = [str(part).encode(errors="surrogatepass") for part in parts]
    return b"".join(len(text).to_bytes(4, "big") + text for text in texts)


def read_key_file(path: Path) -> KeyRing:
    """The keys in a file, one of 32 bytes in base64 a line. Errors: UsageError, also when others may read it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(MAX_FILE).decode("ascii", "replace")
    except OSError as error:
        raise UsageError(f"the key file {path} can not be read: {error.strerror}") from error
    if reason := _insecure(status):
        raise UsageError(f"the key file {path} {reason}")
    lines = [line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#")]
    keys = [None if line == PLAIN_LINE and not number else _key(line) for number, line in enumerate(lines)]
    if not keys or b"" in keys:
        raise UsageError(
            f"the key file {path} is no list of keys: each line is 32 bytes in base64, as openssl rand -base64 32 gives them"
        )
    return KeyRing(keys, path)


def _key(line: str) -> bytes:
    """The key of a line; empty when it is none."""
    try:
        key = base64.b64decode(line, validate=True)
    except ValueError:
        return b""
    return key if len(key) == KEY_BYTES else b""


def _insecure(status: os.stat_result) -> str:
    """Why nobody should trust in a key file, to end a sentence; empty when it is good. A group may read what root gives it (source: PostgreSQL)."""
    if not stat.S_ISREG(status.st_mode):
        return "is no file"
    if status.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    allowed = 0o640 if status.st_uid == 0 and os.geteuid() != 0 else 0o600
    return "" if not stat.S_IMODE(status.st_mode) & 0o077 & ~allowed else "can be read by others: chmod 600"
