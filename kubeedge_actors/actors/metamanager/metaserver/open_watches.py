"""Which watches programs have open: the cloud is told all of them, so that it pushes what changes; after a cut they are compared with its lists anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from kubeedge_actors.actors.metamanager.metaserver.applications import Asker
from kubeedge_actors.wire.application import Application


class OpenWatches:
    """Thread-safe; `on_changed` is called when the cloud has to be told."""

    def __init__(self) -> None:
        self.on_changed: Callable[[], object] = bool
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Application, int]] = {}
        self._trusted: set[str] = set()
        self.generation = 0
        """Changes with each new link, as what was pushed during a cut has not come, and when the cloud has begun what it was told of."""

    def all(self, *, shows_tokens: bool = True) -> dict[str, Application]:
        """By ID; for a cloud that does not show the tokens to the API those that need it not."""
        with self._lock:
            found = {id: application for id, (application, _) in self._open.items()}
            return {id: each for id, each in found.items() if shows_tokens or not each.token or id in self._trusted}

    def recheck(self) -> None:
        """Something may be missing: each watch compares what it has."""
        self.generation += 1

    @contextmanager
    def during(self, asker: Asker, application: Application) -> Generator[None, None, None]:
        """It is open during the block; several programs may share one."""
        with self._lock:
            _, count = self._open.get(application.id, (application, 0))
            self._open[application.id] = (application, count + 1)
            if asker.trusted:
                self._trusted.add(application.id)
        if not count:
            self.on_changed()
        try:
            yield
        finally:
            with self._lock:
                _, count = self._open.pop(application.id)
                if count > 1:
                    self._open[application.id] = (application, count - 1)
                else:
                    self._trusted.discard(application.id)
            if count == 1:
                self.on_changed()
