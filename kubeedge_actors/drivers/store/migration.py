"""Bring an older database, or the original's, up to date, through peewee; imported only when there is such a database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import peewee

from kubeedge_actors.drivers.store import schema


def migrate(path: Path, version: int, patience: float) -> None:
    """Take the steps behind `version`, each in a transaction of its own; sqlite3.Error when the file refuses.

    `patience`: seconds to wait for another program that writes to it.
    """
    database: Any = peewee.SqliteDatabase(str(path), timeout=patience, pragmas={"synchronous": "full"})
    try:
        with database.connection_context():
            for number in range(version, len(schema.MIGRATIONS)):
                with database.atomic("IMMEDIATE"):
                    for statement in schema.statements(schema.MIGRATIONS[number]):
                        database.execute_sql(statement)
                    database.execute_sql(f"PRAGMA user_version = {number + 1}")
    except peewee.PeeweeException as error:
        cause = _innermost(error)
        raise cause if isinstance(cause, sqlite3.Error) else sqlite3.DatabaseError(str(error)) from error


def _innermost(error: BaseException) -> BaseException:
    """The error of sqlite3, which has the code: peewee raises its own while it handles that one."""
    while isinstance(error, peewee.PeeweeException) and error.__context__ is not None:
        error = error.__context__
    return error
