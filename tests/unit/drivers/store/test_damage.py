"""What a SQLite store says and keeps when the process, the file or the disk fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kubeedge_actors.drivers.store import database, schema
from kubeedge_actors.drivers.store.base import MetaRow, OutboxRow, TwinRow
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreCorrupt, StoreError
from kubeedge_actors.osutil import sqlite
from tests.support.processes import child
from tests.support.waiting import PATIENCE

WRITER = """
import sys
from kubeedge_actors.drivers.store.base import OutboxRow
from kubeedge_actors.drivers.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
number = 0
while True:
    store.outbox.apply([OutboxRow(f"{number}-{part}", "x" * 300) for part in range(3)], ())
    print(number, flush=True)
    number += 1
"""
# no file may grow beyond 600 KB: what a full disk does, without filling one
FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from kubeedge_actors.drivers.store.base import MetaRow
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreCorrupt, StoreError
store = SqliteStore(sys.argv[1])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
written = 0
try:
    while True:
        store.meta.put([MetaRow(f"default/pod/{written}", "pod", "x" * 2000)])
        written += 1
except StoreError as error:
    assert not isinstance(error, StoreCorrupt), error
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
store.meta.put([MetaRow("default/pod/after", "pod", "")])
print(written, len(store.meta.of_type("pod")))
"""


@pytest.mark.parametrize("round", range(3))
def test_every_acknowledged_write_survives_kill_9(tmp_path: Path, round: int) -> None:
    path = tmp_path / "edge.db"
    with child([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(40 + 7 * round)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
    store = SqliteStore(path)
    kept = [row.msg_id for row in store.outbox.pending()]
    store.close()
    assert kept[: 3 * len(acknowledged)] == [f"{number}-{part}" for number in acknowledged for part in range(3)]
    assert len(kept) % 3 == 0, "a transaction is there in part"


@pytest.mark.parametrize("content", [b"this is no database, it is a text" * 50, os.urandom(8192)])
def test_a_file_that_is_no_database_is_named_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "edge.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt) as caught:
        SqliteStore(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content, "the file is evidence"


def test_a_damaged_database_is_noticed_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    store = SqliteStore(path)
    store.meta.put(MetaRow(f"default/pod/{number}", "pod", "x" * 500) for number in range(500))
    store.close()
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(os.urandom(4096 * 20))
    with pytest.raises(StoreCorrupt):
        SqliteStore(path)


def test_an_empty_file_is_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "edge.db").touch()
    store = SqliteStore(tmp_path / "edge.db")
    assert store.outbox.pending() == []
    store.close()


def test_a_path_that_can_not_be_a_file_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        SqliteStore(tmp_path)
    assert not isinstance(caught.value, StoreCorrupt)
    with pytest.raises(StoreError, match="no-folder"):
        SqliteStore(tmp_path / "no-folder" / "edge.db")


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    SqliteStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(path)


def test_a_database_locked_by_another_program_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    store = SqliteStore(tmp_path / "edge.db")
    with closing(sqlite3.connect(tmp_path / "edge.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.subscribed_topics.add("a")
        other.execute("ROLLBACK")
    store.subscribed_topics.add("a")
    store.close()


def test_a_full_database_refuses_and_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sqlite.DURABLE, "max_page_count", 60)
    store = SqliteStore(tmp_path / "edge.db")
    store.outbox.apply([OutboxRow("kept", "x")], ())
    with pytest.raises(StoreError, match="full"):
        store.outbox.apply([OutboxRow(str(number), "x" * 5000) for number in range(100)], ["kept"])
    assert [row.msg_id for row in store.outbox.pending()] == ["kept"]
    store.outbox.apply([], ["kept"])
    assert store.outbox.pending() == []
    store.close()


def test_a_full_disk_refuses_and_the_store_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "edge.db"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    written, kept = map(int, done.stdout.split())
    assert written > 10
    assert kept == written + 1


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "edge.db")
    store.subscribed_topics.add("a")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    store.close()


def test_a_database_of_the_original_is_adopted(tmp_path: Path) -> None:
    path = tmp_path / "edgecore.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE `meta` (`key` text,`type` text,`value` text,PRIMARY KEY (`key`))")
        connection.execute("INSERT INTO meta VALUES ('default/pod/a', 'pod', '{}'), ('default/pod/b', 'pod', NULL)")
        connection.execute(
            "CREATE TABLE `device_twin` (`id` integer PRIMARY KEY AUTOINCREMENT,`deviceid` text,`name` text,"
            "`description` text,`expected` text,`actual` text,`expected_meta` text,`actual_meta` text,"
            "`expected_version` text,`actual_version` text,`optional` numeric,`attr_type` text,`metadata` text)"
        )
        insert = "INSERT INTO device_twin (deviceid, name, expected, actual, actual_meta, optional) VALUES "
        connection.execute(insert + "('ns/lamp', 'power', '', 'off', '{}', 1), ('ns/lamp', 'power', '', 'on', '{}', 1)")
    store = SqliteStore(path)
    assert [row.value for row in store.meta.of_type("pod")] == ["{}", ""]
    assert store.twin.twins() == [
        TwinRow("ns/lamp", "power", None, "on", actual_meta="{}", attr_type="", optional=True)
    ]
    store.close()
