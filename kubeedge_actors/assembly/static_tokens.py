"""Users of the embedded API by bearer token, from a file as a kube-apiserver reads it (--token-auth-file)."""

from __future__ import annotations

import csv
from pathlib import Path

from kubeedge_actors.apiserver.auth import User
from kubeedge_actors.errors import UsageError

OPTION = "--token-auth-file"
MIN_LENGTH = 16
"""Characters of a token: less can be guessed."""


def static_tokens(path: Path) -> dict[str, User]:
    """Users by token: a line of TOKEN,USER,UID and perhaps "GROUP,GROUP" for each. Errors: UsageError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row and not row[0].startswith("#")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{OPTION} {path} can not be read: {error}") from error
    users = dict(map(_user, [path] * len(rows), rows))
    if len(users) < len(rows):
        raise UsageError(f"{OPTION} {path} has a token twice")
    return users


def _user(path: Path, row: list[str]) -> tuple[str, User]:
    token, name, *rest = [cell.strip() for cell in row] + [""] * (2 - len(row))
    if len(token) < MIN_LENGTH or not token.isascii() or len(token.split()) != 1 or not name:
        raise UsageError(
            f"{OPTION} {path}: each line is TOKEN,USER,UID,GROUPS, the token of {MIN_LENGTH} characters or more"
        )
    groups = rest[1] if len(rest) > 1 else ""
    return token, User(name, tuple(group.strip() for group in groups.split(",") if group.strip()))
