"""The edge's store: durable writes a second, alone and many at once, against SQLite as the original uses it.

    python benchmarks/store.py [--json] [FOLDER]

The baseline writes one row a transaction with SQLite's default journal (source: KubeEdge edge/pkg/common/dbm), on the same disk, in the
same run. "plain" is the sqlite3 module without our driver, with the same pragmas and the same batches.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _rows import Row, show

from kubeedge_actors.drivers.store.base import MetaRow, OutboxRow, TwinChanges, TwinRow
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.osutil.sqlite import DURABLE

TAKES = 15
SECONDS = 1.0
FRAME = "x" * 600
POD = '{"kind":"Pod"}' + " " * 2000


def per_second(write: Callable[[int], object], batch: int) -> float:
    """Rows a second; `write` gets the number of its first row and writes `batch` of them."""
    number, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        write(number)
        number += batch
    return number / spent


def twin(number: int) -> TwinRow:
    """One of a hundred properties, as an update leaves it."""
    side = '{"timestamp":1795374338640}'
    return TwinRow(
        "default/lamp", f"p{number % 100}", None, str(number), "", side, "", f'{{"cloud":0,"edge":{number}}}'
    )


def twins(store: SqliteStore, batch: int) -> float:
    """Twin updates a second, each with its report in the outbox."""

    def write(first: int) -> None:
        numbers = range(first, first + batch)
        rows = {row.name: row for row in map(twin, numbers)}
        store.twin.apply(TwinChanges(twins=list(rows.values()), reports=[OutboxRow(str(n), FRAME) for n in numbers]))

    return per_second(write, batch)


def outbox(store: SqliteStore, batch: int) -> float:
    """Messages that pass through the outbox a second: added in one transaction, removed in the next."""

    def write(first: int) -> None:
        rows = [OutboxRow(f"m{n}", FRAME) for n in range(first, first + batch)]
        store.outbox.apply(rows, [f"m{n}" for n in range(first - batch, first)])

    return per_second(write, batch)


def objects(store: SqliteStore, batch: int) -> float:
    """Pods a second as MetaManager stores them."""
    return per_second(
        lambda first: store.meta.put(
            [MetaRow(f"default/pod/p{n % 500}", "pod", POD) for n in range(first, first + batch)]
        ),
        batch,
    )


def reads(store: SqliteStore) -> float:
    """Objects read by key a second."""
    return per_second(lambda number: store.meta.get(f"default/pod/p{number % 500}"), 1)


def plain(path: Path, batch: int, pragmas: dict[str, object]) -> float:
    """Rows a second through sqlite3 alone."""
    connection = sqlite3.connect(path, isolation_level=None)
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name} = {value}")
    connection.execute("CREATE TABLE outbox (number integer PRIMARY KEY, msg_id text UNIQUE, frame text, key text)")

    def write(first: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        rows = [(f"m{n}", FRAME, "") for n in range(first, first + batch)]
        connection.executemany("INSERT INTO outbox (msg_id, frame, key) VALUES (?, ?, ?)", rows)
        connection.executemany("DELETE FROM outbox WHERE msg_id = ?", [(f"m{n}",) for n in range(first - batch, first)])
        connection.execute("COMMIT")

    figure = per_second(write, batch)
    connection.close()
    return figure


def opening(folder: Path) -> float:
    """Milliseconds to open a database of 1,000 objects, checked."""
    path = folder / "open.db"
    store = SqliteStore(path)
    store.meta.put(MetaRow(f"default/pod/p{n}", "pod", POD) for n in range(1000))
    store.close()
    began = time.perf_counter()
    SqliteStore(path).close()
    return (time.perf_counter() - began) * 1000


def measure(folder: Path) -> list[Row]:
    """All figures, in one run on one disk."""
    original = plain(folder / "original.db", 1, {})
    store = SqliteStore(folder / "edge.db")
    rows = []
    for batch in (1, 8, 64, 256):
        together = "alone" if batch == 1 else f"{batch} at once"
        figure = twins(store, batch)
        budget = ">= 2,800" if batch == 256 else None
        rows.append(
            Row(f"twin updates with their reports, {together}", figure, "1/s", budget, original, figure / original)
        )
    for batch in (1, 256):
        together = "alone" if batch == 1 else f"{batch} at once"
        bare = plain(folder / f"plain{batch}.db", batch, DURABLE)
        figure = outbox(store, batch)
        rows.append(Row(f"outbox, in and out, {together} (baseline: plain)", figure, "1/s", None, bare, figure / bare))
    figure = objects(store, 256)
    rows.append(Row("objects stored, 256 at once", figure, "1/s", None, original, figure / original))
    rows.append(Row("objects read by key", reads(store), "1/s"))
    store.close()
    rows.append(Row("open and check a database of 1,000 objects", opening(folder), "ms"))
    return rows


if __name__ == "__main__":
    where = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    with tempfile.TemporaryDirectory(dir=where) as scratch:
        show("store", measure(Path(scratch)))
