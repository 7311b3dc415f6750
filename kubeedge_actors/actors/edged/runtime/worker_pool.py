"""Pools of worker threads, so that the actor never waits. Threads come with work and go when there is none."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)

Task = Callable[[], None]


class WorkerPool(Protocol):
    """Runs jobs in threads; a job reports its result itself, an exception is a defect."""

    def submit(self, job: Task) -> None:
        """Run it soon, in some thread."""

    def close(self) -> None:
        """Take no more jobs; those that run are not waited for."""


class ThreadWorkerPool:
    """Up to `limit` threads; one that has had nothing to do for `idle` seconds ends."""

    def __init__(self, limit: int = 4, idle: float = 5.0, name: str = "worker") -> None:
        self._limit, self._idle, self._name = limit, idle, name
        self._condition = threading.Condition()
        self._jobs: deque[Task] = deque()
        self._threads = self._resting = 0
        self._closed = False

    def submit(self, job: Task) -> None:
        """Run it as soon as a thread is free; after `close` it is dropped, with a word in the log."""
        with self._condition:
            if self._closed:
                log.debug("a job came after the end and is not run")
                return
            self._jobs.append(job)
            if self._resting >= len(self._jobs):
                self._condition.notify()
            elif self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:
                log.exception("a job of a worker thread failed")

    def _next(self) -> Task | None:
        with self._condition:
            self._resting += 1
            self._condition.wait_for(lambda: self._jobs or self._closed, self._idle)
            self._resting -= 1
            if self._jobs and not self._closed:
                return self._jobs.popleft()
            self._threads -= 1
            return None

    def close(self) -> None:
        """Drop what waits; threads end with what they do."""
        with self._condition:
            self._closed = True
            self._jobs.clear()
            self._condition.notify_all()


class InlineWorkerPool:
    """Runs each job at once, in the thread that submits it: for tests with one thread."""

    def submit(self, job: Task) -> None:
        """Run it now."""
        job()

    def close(self) -> None:
        """Nothing runs on."""
