"""Group commit: the loop goes on while a thread of its own waits for the disk, and what arrives meanwhile is one transaction."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from ...errors import StoreError
from .database import Database, Row
from .store import Store

log = logging.getLogger(__name__)


class GroupCommit:
    """Commits whatever waits in `store`. To be made and used in the loop's thread."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store, self._database = store, database
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(1, "apiserver-commit")
        self._in_flight: asyncio.Future[None] | None = None
        self._waiting: asyncio.Future[None] | None = None
        store.on_pending = self._changed
        if not store.is_committed():
            self._changed()

    def _changed(self) -> None:
        self._waiting = self._loop.create_future()
        if self._in_flight is None:
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        if self._in_flight is not None or self._waiting is None:
            return
        self._in_flight, self._waiting = self._waiting, None
        self._loop.create_task(self._write_batch(*self._store.take_pending()))

    async def _write_batch(self, rows: list[Row], revision: int) -> None:
        batch = self._in_flight
        error: Exception | None = None
        try:
            await self._loop.run_in_executor(self._executor, self._database.write, rows, revision)
        except Exception as caught:  # noqa: BLE001 - whatever it is, those who wait are told
            log.warning("a transaction of %d changes failed and is undone: %s", len(rows), caught)
            error = caught
        self._in_flight = None
        if error is None:
            self._publish(len(rows), revision)
        else:
            self._store.rollback()
        self._finish(batch, error)
        if error is not None:
            waiting, self._waiting = self._waiting, None
            self._finish(waiting, error)
        self._start()

    def _publish(self, rows: int, revision: int) -> None:
        try:
            self._store.publish(rows, revision)
        except Exception:
            log.exception("a background controller of the API failed")

    def _finish(self, future: asyncio.Future[None] | None, error: Exception | None) -> None:
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
            return
        future.set_exception(error)
        future.exception()  # marks it as seen: a change made by no request has nobody who waits

    async def wait_committed(self) -> None:
        """Returns when everything applied until now is on disk. Raises StoreError when it could not be written."""
        future = self._waiting or self._in_flight
        if future is not None:
            try:
                await asyncio.shield(future)
            except StoreError:
                raise
            except Exception as error:
                raise StoreError(f"the change could not be written: {error}") from error

    async def close(self) -> None:
        """Writes what waits and ends the thread."""
        while self._in_flight is not None or self._waiting is not None:
            await self.wait_committed()
        self._executor.shutdown()
