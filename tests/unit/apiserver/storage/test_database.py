"""The SQLite file: what is on disk, and what is said of a file that cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kubeedge_actors.apiserver.storage.database import Database, Row
from kubeedge_actors.apiserver.storage.store import Store
from kubeedge_actors.errors import StoreCorrupt, StoreError

ROW = Row("maps", "x", "a", 2, b'{"metadata":{"name":"a","namespace":"x"}}')


def test_rows_are_there_again(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "a.db")) as database:
        database.write([ROW, ROW._replace(name="b")], 3)
        database.write([ROW._replace(body=None, revision=4)], 4)
    with closing(Database(tmp_path / "a.db")) as again:
        assert [row.name for row in again.rows()] == ["b"]
        assert again.revision() == 4


def test_the_files_are_for_their_owner_only_also_those_of_earlier_runs(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch(0o644)
    for name in ("a.db", "b.db"):
        with closing(Database(tmp_path / name)) as database:
            database.write([ROW], 3)
            assert {path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{name}*")} == {0o600}


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "a.db")) as database:
        bad = ROW._replace(name=None)  # type: ignore[arg-type]
        with pytest.raises(StoreError):
            database.write([ROW, bad], 3)
        assert list(database.rows()) == [] and database.revision() == 1


@pytest.mark.parametrize(
    "content", [b"this is no database, it is a text file. " * 100, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt) as caught:
        Database(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_page_is_told_when_the_objects_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(Database(path)) as database:
        database.write([ROW._replace(name=f"n{index}", body=b"x" * 900) for index in range(200)], 3)
    data = bytearray(path.read_bytes())
    data[8192:40960] = b"\xee" * (40960 - 8192)
    path.write_bytes(bytes(data))
    with pytest.raises(StoreCorrupt), closing(Database(path)) as broken:
        list(broken.rows())


def test_an_object_that_is_no_object_is_told(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "a.db")) as database:
        database.write([ROW._replace(body=b"{not json")], 2)
        with pytest.raises(StoreCorrupt, match="maps x/a cannot be read"):
            Store(database, lambda resource, body: {})


def test_a_file_in_use_is_told(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "a.db")), pytest.raises(StoreError, match="in use by another process"):
        Database(tmp_path / "a.db")


def test_a_file_of_another_format_is_told(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="another version of this program"):
        Database(tmp_path / "a.db")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        Database(tmp_path / "missing" / "a.db")
