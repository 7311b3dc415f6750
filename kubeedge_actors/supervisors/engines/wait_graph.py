"""Wait-for graph: which actor waits for which; finds deadlocks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kubeedge_actors.supervisors.future import Asker


class WaitEdge:
    """One actor waits: for room in another's mailbox, or for its answer. `released`: it need not wait any longer."""

    __slots__ = ("for_room", "released", "target")

    def __init__(self, target: Asker, *, for_room: bool) -> None:
        self.target, self.for_room = target, for_room
        self.released = False


class WaitForGraph:
    """The waits of one engine. If a new wait closes a cycle, one wait for room in that cycle is released (a wait for an
    answer cannot be).

    An answer can not be forced, but a message can be let in over capacity: a ring with a full mailbox in it opens
    there. A ring of asks alone ends with their time-outs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[Asker, WaitEdge] = {}

    @contextmanager
    def waiting(self, asker: Asker | None, target: Asker | None, *, for_room: bool) -> Iterator[WaitEdge | None]:
        """`asker` waits for `target` inside the block; None is somebody from outside, for whom nobody can wait."""
        if asker is None or target is None:
            yield None
            return
        wait = WaitEdge(target, for_room=for_room)
        with self._lock:
            self._waits[asker] = wait
            freed = self._break_cycle(asker)
        try:
            if freed is not None:
                freed.target.mailbox.notify_producers()
            yield wait
        finally:
            with self._lock:
                if self._waits.get(asker) is wait:  # else a newer incarnation waits, and this one was replaced
                    del self._waits[asker]

    def unblock(self, asker: Asker) -> None:
        """Whatever room `asker` waits for, it is let in without."""
        with self._lock:
            wait = self._waits.get(asker)
            if wait is None or not wait.for_room:
                return
            wait.released = True
        wait.target.mailbox.notify_producers()

    def target(self, asker: Asker) -> Asker | None:
        """Whom `asker` waits for directly. Takes no lock."""
        wait = self._waits.get(asker)
        return None if wait is None else wait.target

    def end_of_chain(self, asker: Asker) -> Asker | None:
        """Whom `asker` waits for in the end: who is waited for and waits for nobody; in a ring, who is last before it closes. None: it does
        not wait.
        """
        with self._lock:
            at, seen = asker, {asker}
            while at in self._waits and (following := self._waits[at].target) not in seen:
                at = following
                seen.add(at)
        return None if at is asker else at

    def _break_cycle(self, asker: Asker) -> WaitEdge | None:
        ring, at = [], asker
        while at in self._waits:
            wait = self._waits[at]
            ring.append(wait)
            at = wait.target
            if at is asker:
                return self._release_one(ring)
            if len(ring) > len(self._waits):  # it runs into a ring of others, which they dealt with
                return None
        return None

    def _release_one(self, ring: list[WaitEdge]) -> WaitEdge | None:
        for wait in ring:
            if wait.for_room:
                wait.released = True
                return wait
        return None
