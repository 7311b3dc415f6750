"""A database whose values are sealed: it says so itself, is sealed when that is wanted first, and anew when the key has changed.

The table `encryption` has the id of the key with which every value is sealed. All values change in one transaction; then the file is written anew
(VACUUM) and the write-ahead log emptied, so that nothing of what was there before is left in free pages. When the process ends in between, the next one does
it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors.errors import UsageError
from kubeedge_actors.osutil import sqlite
from kubeedge_actors.osutil.cipher import PLAIN, Cipher, KeyRing

BATCH = 500
OPTION = "--encryption-key-file"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS encryption (only INTEGER PRIMARY KEY CHECK (only = 1), key TEXT NOT NULL,"
    " vacuumed INTEGER NOT NULL)"
)
_EXISTS = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'encryption'"


class SealedTable(NamedTuple):
    """A table, the columns that name a row of it, and those whose values are sealed."""

    name: str
    row: tuple[str, ...]
    values: tuple[str, ...]


class _State(NamedTuple):
    """With which key everything is sealed, "" for none; whether nothing of what was there before is left."""

    key: str
    vacuumed: bool


def adopt_keys(
    connection: sqlite3.Connection, keys: KeyRing | None, tables: Sequence[SealedTable], path: Path | str
) -> Cipher:
    """What the values in these tables are read and written with, from now on. `keys`: None when no file with keys was given.

    Errors: UsageError when it is sealed with a key that is not there, nothing is changed then; sqlite3.Error.
    """
    state = _state(connection)
    _check(state, keys, path)
    if keys is None:
        return PLAIN
    cipher: Cipher = keys if keys.writes else PLAIN
    if state.key != keys.writes:
        with sqlite.transaction(connection):
            for table in tables:
                _seal_anew(connection, table, keys if state.key else PLAIN, cipher)
            connection.execute(_TABLE)
            connection.execute("INSERT OR REPLACE INTO encryption VALUES (1, ?, 0)", (keys.writes,))
        state = _State(keys.writes, vacuumed=False)
    if not state.vacuumed:
        _vacuum(connection)
    return cipher


def present_cipher(connection: sqlite3.Connection, keys: KeyRing | None, path: Path | str) -> Cipher:
    """As `adopt_keys`, for a program that reads what another one writes: it changes nothing."""
    state = _state(connection)
    _check(state, keys, path)
    return keys if keys is not None and state.key else PLAIN


def _check(state: _State, keys: KeyRing | None, path: Path | str) -> None:
    if not state.key:
        return
    if keys is None:
        raise UsageError(f"{path} is encrypted with the key {state.key}: {OPTION} FILE gives it")
    if not keys.holds(state.key):
        raise UsageError(f"{path} is encrypted with the key {state.key}, which {keys.source} does not hold")


def _state(connection: sqlite3.Connection) -> _State:
    if not connection.execute(_EXISTS).fetchone()[0]:
        return _State("", vacuumed=True)
    row = connection.execute("SELECT key, vacuumed FROM encryption").fetchone()
    return _State(str(row[0]), bool(row[1])) if row else _State("", vacuumed=True)


def _seal_anew(connection: sqlite3.Connection, table: SealedTable, old: Cipher, new: Cipher) -> None:
    names, places = ", ".join(table.row), ", ".join("?" * len(table.row))
    select = f"SELECT {names}, {', '.join(table.values)} FROM {table.name}"
    order = f"ORDER BY {names} LIMIT {BATCH}"
    update = (
        f"UPDATE {table.name} SET {', '.join(f'{value} = ?' for value in table.values)} WHERE ({names}) = ({places})"
    )
    rows = connection.execute(f"{select} {order}").fetchall()
    while rows:
        changed = [(row[: len(table.row)], row[len(table.row) :]) for row in rows]
        connection.executemany(
            update,
            [
                (*(new.seal(old.unseal(value, table.name, *row), table.name, *row) for value in values), *row)
                for row, values in changed
            ],
        )
        rows = connection.execute(f"{select} WHERE ({names}) > ({places}) {order}", changed[-1][0]).fetchall()


def _vacuum(connection: sqlite3.Connection) -> None:
    connection.execute("VACUUM")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if not busy:
        with sqlite.transaction(connection):
            connection.execute("UPDATE encryption SET vacuumed = 1")
