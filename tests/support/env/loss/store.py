"""The database of an edge on a disk that refuses, and the fake."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeedge_actors.drivers.store import database
from kubeedge_actors.drivers.store.base import OutboxRow, Store
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreError
from tests.support.env.loss.base import LossEnv

BIG = "x" * 100_000


class _StoreEnv(LossEnv):
    driver: Store
    hears = False

    def use(self, text: str) -> None:
        self.driver.outbox.apply([OutboxRow(text, BIG)], ())

    def stop(self) -> None:
        self.driver.close()


class SqliteEnv(_StoreEnv):
    """A file. Its ways: `lock`: another program writes for longer than anybody waits; `fill`: no file may grow; `remove`: it and
    what is beside it is deleted; `read_only`: nothing may be written into its folder; `damage`: its pages are overwritten.
    """

    ways = ("lock", "fill", "remove", "read_only", "damage")

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        patch.setattr(database, "BUSY_SECONDS", 0.05)
        self.path = folder / "edge.db"
        self.driver = SqliteStore(self.path)
        self._undo: list[Callable[[], object]] = []

    def arrived(self) -> set[str]:
        """What whoever opens the file finds in it."""
        with contextlib.closing(SqliteStore(self.path)) as other:
            return {row.msg_id for row in other.outbox.pending()}

    def go_away(self, way: str) -> None:
        getattr(self, way)()

    def come_back(self) -> None:
        while self._undo:
            self._undo.pop()()

    def lock(self) -> None:
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        self._undo.append(other.close)

    def fill(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = max(os.stat(f"{self.path}{ending}").st_size for ending in ("", "-wal"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, before[1]))
        self._undo.append(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before))

    def remove(self) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{self.path}{ending}").unlink(missing_ok=True)

    def damage(self) -> None:
        sound = self.path.read_bytes()
        with self.path.open("r+b") as file:
            file.seek(100)
            file.write(b"\xff" * (len(sound) - 100))
        self._undo.append(lambda: self._repair(sound))

    def _repair(self, sound: bytes) -> None:
        with self.path.open("r+b") as file:
            file.write(sound)

    def read_only(self) -> None:
        """Of whom rights do not stop nothing can be kept in this way."""
        self.path.parent.chmod(0o500)
        self._undo.append(lambda: self.path.parent.chmod(0o700))
        try:
            (self.path.parent / "probe").touch()
        except OSError as error:
            assert error.errno == errno.EACCES
        else:
            (self.path.parent / "probe").unlink()
            pytest.skip("this user may write everywhere")

    def close(self) -> None:
        self.come_back()
        self.stop()


class FakeStoreEnv(_StoreEnv):
    """The fake that fails."""

    ways = ("fill",)

    def __init__(self) -> None:
        super().__init__()
        self.driver = self._fake = FakeStore()

    def arrived(self) -> set[str]:
        return {row.msg_id for row in self._fake.outbox.pending()}

    def go_away(self, way: str) -> None:
        self._fake.failure = StoreError("the disk is full")

    def come_back(self) -> None:
        self._fake.failure = None
