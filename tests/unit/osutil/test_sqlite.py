"""What all SQLite files of ours have in common."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from kubeedge_actors.osutil import sqlite


def test_a_database_is_private_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite.connect(path)) as connection:
        sqlite.configure(connection, cache_size=-64)
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "cache_size")
        }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "cache_size": -64}
        assert sqlite.is_sound(connection)
        assert sqlite.user_version(connection) == 0
        connection.execute("CREATE TABLE t (a)")
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    with closing(sqlite.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
        with sqlite.transaction(connection):
            connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(RuntimeError), sqlite.transaction(connection):
            connection.execute("INSERT INTO t VALUES (2)")
            raise RuntimeError
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
        assert not connection.in_transaction


def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database, whatever it is called" * 100)
    with closing(sqlite.connect(path)) as connection, pytest.raises(sqlite3.DatabaseError) as caught:
        sqlite.configure(connection)
    assert sqlite.is_damage(caught.value)
