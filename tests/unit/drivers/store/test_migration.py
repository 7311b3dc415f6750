"""An older edge database is brought up to date step by step, or left as it was."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kubeedge_actors.drivers.store import database, schema
from kubeedge_actors.drivers.store.base import OutboxRow, TwinChanges, TwinRow
from kubeedge_actors.drivers.store.migration import migrate
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreError


def made(path: Path, version: int) -> None:
    """A database as the release left it whose newest step was this one, with a message that waits in it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for step in schema.MIGRATIONS[:version]:
            connection.executescript(step)
        connection.execute(f"PRAGMA user_version = {version}")
        if version:
            connection.execute("INSERT INTO outbox (msg_id, frame, key) VALUES ('m1', 'frame', '')")
            connection.execute("INSERT INTO device_twin (deviceid, name, expected) VALUES ('ns/lamp', 'power', 'on')")


def version_of(path: Path) -> int:
    """The number of steps that were taken."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def names_in(path: Path) -> set[str]:
    """Tables and indexes."""
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def test_the_database_of_an_older_release_keeps_its_rows_and_gets_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    made(path, 1)
    assert "twin_history" not in names_in(path)
    with closing(SqliteStore(path)) as store:
        assert [row.msg_id for row in store.outbox.pending()] == ["m1"]
        assert [(row.device, row.name, row.expected) for row in store.twin.twins()] == [("ns/lamp", "power", "on")]
        store.outbox.apply([OutboxRow("m2", "frame")], ())
        store.twin.apply(TwinChanges(twins=[TwinRow("ns/lamp", "power", "off")]))
    assert version_of(path) == len(schema.MIGRATIONS)
    assert "twin_history" in names_in(path)


def test_a_database_that_was_brought_up_to_date_has_all_that_a_new_one_has(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "new.db").close()
    for version in range(len(schema.MIGRATIONS)):
        path = tmp_path / f"{version}.db"
        made(path, version)
        migrate(path, version, 5.0)
        assert names_in(path) == names_in(tmp_path / "new.db")
        assert version_of(path) == len(schema.MIGRATIONS)


def test_a_database_of_this_release_is_opened_without_what_migrates_older_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SqliteStore(tmp_path / "edge.db").close()
    monkeypatch.setitem(sys.modules, migrate.__module__, None)  # its library costs an idle edge megabytes
    SqliteStore(tmp_path / "edge.db").close()


def test_a_step_that_fails_leaves_nothing_of_itself_and_the_steps_before_it_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "edge.db"
    made(path, 1)
    further = ("CREATE TABLE good (a text);", "CREATE TABLE half (a text); INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *further))
    with pytest.raises(StoreError, match="no such table: nowhere"):
        SqliteStore(path)
    assert version_of(path) == len(schema.MIGRATIONS) - 1
    assert "good" in names_in(path) and "half" not in names_in(path)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS[:-1], "CREATE TABLE half (a text);"))
    SqliteStore(path).close()
    assert version_of(path) == len(schema.MIGRATIONS)


def test_tables_that_the_new_ones_do_not_go_with_are_told_with_sqlites_own_error(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    made(path, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE twin_history (unlike text)")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(path, 1, 5.0)


def test_an_older_database_that_another_program_writes_to_is_told_as_locked_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    path = tmp_path / "edge.db"
    made(path, 1)
    SqliteStore(path).close()  # in its write-ahead log, as the program that has it open keeps it
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DROP TABLE twin_history")
        other.execute("PRAGMA user_version = 1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"edge\.db is locked by another program"):
            SqliteStore(path)
        other.execute("ROLLBACK")
    assert version_of(path) == 1
    SqliteStore(path).close()
    assert version_of(path) == len(schema.MIGRATIONS)
