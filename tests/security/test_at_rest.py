"""What may hold secrets is not readable in the databases when there is a key: in no page, in no log of them, not by moving a row."""

from __future__ import annotations

import base64
import logging
import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from kubeedge_actors.apiserver.storage.database import Database, Row
from kubeedge_actors.assembly.datadir import encryption_keys
from kubeedge_actors.config import CloudConfig
from kubeedge_actors.deadletters.__main__ import main as deadletters
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters
from kubeedge_actors.drivers.store.base import MetaChanges, MetaRow, NodeOutboxRow, ObjectRow, OutboxRow
from kubeedge_actors.drivers.store.dead_letters import DeadLetterDb, DeadLetterRow
from kubeedge_actors.drivers.store.mailboxes import MailboxFile
from kubeedge_actors.drivers.store.node_outbox import NodeOutboxDb
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreCorrupt, UsageError
from kubeedge_actors.osutil import sealed_tables
from kubeedge_actors.osutil.cipher import KeyRing, read_key_file
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.waiting import PATIENCE, eventually

MARK = "hunter2-hunter2"
FIRST, SECOND = secrets.token_bytes(32), secrets.token_bytes(32)
Write = Callable[[list[str]], None]
Read = Callable[[], list[str]]


class Kind(NamedTuple):
    """A database: how to open it, with what writes values and what reads them; the columns of a row that make two rows differ but for the value."""

    open: Callable[[Path, KeyRing | None], AbstractContextManager[tuple[Write, Read]]]
    table: str
    value: str


@contextmanager
def edge(path: Path, keys: KeyRing | None) -> Iterator[tuple[Write, Read]]:
    with closing(SqliteStore(path, keys)) as store:

        def write(values: list[str]) -> None:
            objects = [ObjectRow(f"/o/{n}", "r", "ns", str(n), 1, value) for n, value in enumerate(values)]
            store.meta.apply(MetaChanges(objects=objects))
            store.meta.put(MetaRow(f"ns/secret/{n}", "secret", value) for n, value in enumerate(values))
            store.outbox.apply([OutboxRow(f"id-{n}", value) for n, value in enumerate(values)], [])

        def read() -> list[str]:
            values = [row.value for row in store.meta.of_type("secret")]
            assert {row.value for row in store.meta.objects("r")} == set(values)
            assert {row.frame for row in store.outbox.pending()} == set(values)
            return values

        yield write, read


@contextmanager
def cloud(path: Path, keys: KeyRing | None) -> Iterator[tuple[Write, Read]]:
    with closing(Database(path, keys)) as database:

        def write(values: list[str]) -> None:
            database.write([Row("secrets", "d", str(n), 2, value.encode()) for n, value in enumerate(values)], 2)

        yield write, lambda: [(row.body or b"").decode() for row in database.rows()]


@contextmanager
def outbox(path: Path, keys: KeyRing | None) -> Iterator[tuple[Write, Read]]:
    with closing(NodeOutboxDb(path, keys)) as database:

        def write(values: list[str]) -> None:
            database.add([NodeOutboxRow("edge-1", f"id-{n}", value, 1e12) for n, value in enumerate(values)])

        yield write, lambda: [row.frame for row in database.of_node("edge-1")]


@contextmanager
def mailboxes(path: Path, keys: KeyRing | None) -> Iterator[tuple[Write, Read]]:
    with closing(MailboxFile(path, keys)) as file:
        file.open()

        def write(values: list[str]) -> None:
            bodies = [value.encode() for value in values]
            file.write(
                [(n, "m", "me", "t", body) for n, body in enumerate(bodies, 1)],
                stored={("m", f"k{n}"): body for n, body in enumerate(bodies)},
            )

        def read() -> list[str]:
            sizes = file.mailbox("m")
            values = [row.body.decode() for row in file.load("m", [seq for seq, _ in sizes])] if sizes else []
            assert [size for _, size in sizes] == [len(value) for value in values]
            assert {value.decode() for value in file.stored_items("m", "k").values()} == set(values)
            assert not values or file.stored("m", "k0") == values[0].encode()
            return values

        yield write, read


@contextmanager
def letters(path: Path, keys: KeyRing | None) -> Iterator[tuple[Write, Read]]:
    with closing(DurableDeadLetters(path, keys=keys)) as kept:

        def write(values: list[str]) -> None:
            kept.file.add([DeadLetterRow("a", "b", "t", v, v, "why", v, v, 1, 1.0) for v in values])

        def read() -> list[str]:
            rows = kept.letters()
            assert all(row.message == row.payload == row.error == row.traceback for row in rows)
            assert [kept.file.get(row.id) for row in rows] == rows
            return [row.payload for row in rows]

        yield write, read


KINDS = {
    "edge.db": Kind(edge, "meta", "value"),
    "cloud.db": Kind(cloud, "objects", "body"),
    "outbox.db": Kind(outbox, "messages", "frame"),
    "mailboxes.db": Kind(mailboxes, "message", "body"),
    "deadletters.db": Kind(letters, "letters", "payload"),
}
each = pytest.mark.parametrize("name", KINDS)
VALUES = [f"{MARK}-{number}" for number in range(7)]


def readable(folder: Path) -> list[str]:
    """The files in which the secret stands as it is."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()]


def kept(name: str, folder: Path, *keys: bytes | None) -> list[str]:
    """What is read, by a process that has these keys."""
    with KINDS[name].open(folder / name, KeyRing(keys) if keys else None) as (_, read):
        return read()


@each
def test_what_is_written_with_a_key_is_nowhere_as_it_is(name: str, tmp_path: Path) -> None:
    with KINDS[name].open(tmp_path / name, KeyRing([FIRST])) as (write, read):
        write(VALUES)
        assert read() == VALUES
        assert (tmp_path / name).exists() and readable(tmp_path) == []
    assert readable(tmp_path) == []
    assert kept(name, tmp_path, FIRST) == VALUES


@each
def test_what_was_there_before_is_encrypted_and_wiped(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed_tables, "BATCH", 3)
    with KINDS[name].open(tmp_path / name, None) as (write, read):
        write(VALUES)
        assert read() == VALUES
    with closing(sqlite3.connect(tmp_path / name)) as file, file:
        file.execute(f"DELETE FROM {KINDS[name].table} WHERE rowid IN (SELECT max(rowid) FROM {KINDS[name].table})")
        file.execute("CREATE TABLE old (text)")
        file.execute("INSERT INTO old VALUES (?)", (MARK * 1000,))
        file.execute("DROP TABLE old")
    assert readable(tmp_path)  # in free pages, too
    with KINDS[name].open(tmp_path / name, KeyRing([FIRST])):
        assert readable(tmp_path) == []
    assert readable(tmp_path) == []


@each
def test_another_first_key_is_the_only_one_that_is_needed_afterwards(name: str, tmp_path: Path) -> None:
    with KINDS[name].open(tmp_path / name, KeyRing([FIRST])) as (write, _):
        write(VALUES)
    assert kept(name, tmp_path, SECOND, FIRST) == VALUES
    assert kept(name, tmp_path, SECOND) == VALUES
    with pytest.raises(UsageError, match="which the key file does not hold"):
        kept(name, tmp_path, FIRST)
    assert kept(name, tmp_path, None, SECOND) == VALUES
    assert kept(name, tmp_path) == VALUES and readable(tmp_path)


@each
def test_without_the_key_nothing_is_read_and_nothing_is_lost(name: str, tmp_path: Path) -> None:
    with KINDS[name].open(tmp_path / name, KeyRing([FIRST])) as (write, _):
        write(VALUES)
    for keys in ((), (SECOND,)):
        with pytest.raises(UsageError, match=r"is encrypted with the key [0-9a-f]{16}") as refused:
            kept(name, tmp_path, *keys)
        assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)
    assert kept(name, tmp_path, FIRST) == VALUES


@each
def test_a_value_is_good_in_its_own_row_only(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    with kind.open(tmp_path / name, KeyRing([FIRST])) as (write, _):
        write(VALUES)
    select = f"SELECT rowid, {kind.value} FROM {kind.table} ORDER BY rowid LIMIT 2"
    for change in ("swapped", "planted", "cut"):
        with closing(sqlite3.connect(tmp_path / name)) as file, file:
            (one, first), (two, second) = before = file.execute(select).fetchall()
            new = {"swapped": (second, first), "planted": ("{}", second), "cut": (first[:-1], second)}[change]
            put = f"UPDATE {kind.table} SET {kind.value} = ? WHERE rowid = ?"
            file.executemany(put, zip(new, (one, two), strict=True))
        with pytest.raises(StoreCorrupt):
            kept(name, tmp_path, FIRST)
        with closing(sqlite3.connect(tmp_path / name)) as file, file:
            file.executemany(put, [(value, rowid) for rowid, value in before])
    assert kept(name, tmp_path, FIRST) == VALUES


def test_what_a_process_that_ended_left_in_free_pages_the_next_one_wipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edge(tmp_path / "edge.db", None) as (write, _):
        write(VALUES)

    def ends(connection: sqlite3.Connection) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sealed_tables, "_vacuum", ends)
        with edge(tmp_path / "edge.db", KeyRing([FIRST])):
            pass
    assert kept("edge.db", tmp_path, FIRST) == VALUES
    assert readable(tmp_path) == []


def test_two_processes_with_one_key_use_no_nonce_twice() -> None:
    ring = KeyRing([FIRST])
    sealed = [each.seal(MARK, "r") for each in [ring] * 50 + [KeyRing([FIRST]) for _ in range(50)]]
    nonces = {value[9:33] for value in sealed if isinstance(value, bytes)}  # the salt of the process and its count
    assert len(nonces) == 100


# --- the file with the keys


def key_file(folder: Path, *lines: str, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    path.chmod(mode)
    return path


def line() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def test_a_key_is_what_openssl_gives(tmp_path: Path) -> None:
    ring = read_key_file(key_file(tmp_path, "# the newest first", line(), "", line()))
    assert ring.unseal(ring.seal("text", 1), 1) == "text" and ring.unseal(ring.seal(b"bytes", 1), 1) == b"bytes"
    assert ring.seal(None, 1) is None and ring.unseal(None, 1) is None


@pytest.mark.parametrize(
    ("lines", "mode", "sentence"),
    [
        ([line()], 0o644, "can be read by others: chmod 600"),
        ([line()], 0o620, "can be read by others: chmod 600"),
        ([], 0o600, "is no list of keys"),
        (["secret"], 0o600, "is no list of keys"),
        ([line(), line()[:-8]], 0o600, "is no list of keys"),
        ([line(), "plain"], 0o600, "is no list of keys"),
    ],
)
def test_a_file_that_does_not_serve_is_refused(lines: list[str], mode: int, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence) as refused:
        read_key_file(key_file(tmp_path, *lines, mode=mode))
    assert "\n" not in str(refused.value) and all(each not in str(refused.value) for each in lines)


def test_a_file_of_another_user_or_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file(tmp_path, line())
    with pytest.raises(UsageError, match="is no file"):
        read_key_file(Path("/dev/null"))
    with pytest.raises(UsageError, match="can not be read: No such file"):
        read_key_file(tmp_path / "none")
    owner = os.stat(path).st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner:
        with pytest.raises(UsageError, match="belongs to another user"):
            read_key_file(path)
    else:  # what root gives a group, as a volume of a Secret is: good
        path.chmod(0o440)
        read_key_file(path)
        path.chmod(0o444)
        with pytest.raises(UsageError, match="can be read by others"):
            read_key_file(path)


def test_without_a_key_one_line_says_who_reads_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert encryption_keys(CloudConfig(data_dir=tmp_path)) is None
    assert [(record.levelname, "readable by root" in record.message) for record in caplog.records] == [("INFO", True)]


def test_dead_letters_are_shown_to_who_has_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = key_file(tmp_path, line())
    file = DeadLetterDb(tmp_path / "deadletters.db", keys=read_key_file(path))
    file.add([DeadLetterRow("a", "b", "t", MARK, MARK, "why", "", "", 1, 1.0)])
    assert deadletters(["list", "--json", "--data-dir", str(tmp_path)]) == 2
    assert "is encrypted with the key" in capsys.readouterr().err
    assert deadletters(["list", "--json", "--data-dir", str(tmp_path), "--encryption-key-file", str(path)]) == 0
    assert MARK in capsys.readouterr().out


# --- whole processes

POD = f"""
apiVersion: v1
kind: Secret
metadata: {{name: key}}
stringData: {{password: {MARK}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: user}}
spec:
  nodeName: edge-1
  containers:
  - name: main
    image: any
    command: [sleep, "600"]
    volumeMounts: [{{name: key, mountPath: /key}}]
  volumes: [{{name: key, secret: {{secretName: key}}}}]
"""


def test_a_cloud_and_an_edge_with_a_key(tmp_path: Path) -> None:
    keys = ("--encryption-key-file", str(key_file(tmp_path, line())))
    sides = CloudAndEdge(tmp_path, "--runtime", "process", *keys, cloud_options=keys)
    encoded = base64.b64encode(MARK.encode())

    def running() -> bool:
        return sides.out("get", "pod", "user", "-o", "jsonpath={.status.phase}") == "Running"

    try:
        sides.start()
        sides.apply(POD)
        eventually(running, "the pod runs")
        for folder in ("cloud", "edge"):
            files = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
            texts = {path: path.read_bytes() for path in files}
            found = [path for path, text in texts.items() if MARK.encode() in text or encoded in text]
            assert all("pods" in path.relative_to(tmp_path).parts for path in found), found
        kept = b"".join(path.read_bytes() for path in (tmp_path / "edge").glob("edge.db*"))
        assert b"default/secret/key" in kept  # the name is there, and it is no other file
        sides.edge.stop()
        sides.cloud.stop()
        sides.start()
        eventually(running, "the pod is known")
        sides.edge.stop()
        command = (
            sys.executable,
            "-m",
            "kubeedge_actors.edge",
            "--name",
            "edge-1",
            "--data-dir",
            str(tmp_path / "edge"),
        )
        refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert refused.returncode == 2
        assert refused.stderr.splitlines()[-1].startswith(f"edge: {tmp_path / 'edge' / 'edge.db'} is encrypted with")
        sides.edge.start()
    finally:
        sides.stop()
