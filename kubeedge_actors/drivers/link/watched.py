"""Links whose life is watched: since when one is open, how many attempts there were, why the last one ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kubeedge_actors.drivers.link.base import Closed, Link, LinkEvents, LinkTls

CONNECTING, CONNECTED, DOWN = "connecting", "connected", "down"


class WatchedLinks:
    """Makes links as `links` does. `facts` may be asked from any thread."""

    def __init__(self, links: Callable[[], Link]) -> None:
        self._links = links
        self._attempts = 0
        self._url = ""
        self._state, self._since = DOWN, time.time()
        self._reason = ""
        self._tried = threading.Event()

    def __call__(self) -> Link:
        """A fresh link."""
        return _Watched(self._links(), self)

    def facts(self) -> dict[str, Any]:
        """`state` (connecting, connected or down), since when (epoch seconds), `attempts` to connect so far, why the last link ended."""
        return {
            "state": self._state,
            "since": self._since,
            "attempts": self._attempts,
            "reason": self._reason,
            "url": self._url,
        }

    def trouble(self, patience: float = 0.0) -> str:
        """Why no link is open, empty when one is. Waits up to `patience` seconds for the end of the first attempt."""
        self._tried.wait(patience)
        return "" if self._state == CONNECTED else self._reason or "no answer yet"

    def began(self, url: str) -> None:
        """An attempt begins."""
        self._attempts += 1
        self._url = url
        self._enter(CONNECTING)

    def opened(self) -> None:
        """It succeeded."""
        self._enter(CONNECTED)
        self._tried.set()

    def closed(self, closed: Closed) -> None:
        """It failed, or the link is over."""
        self._reason = closed.reason
        self._enter(DOWN)
        self._tried.set()

    def _enter(self, state: str) -> None:
        if (state == CONNECTED) != (self._state == CONNECTED):  # down since the link ended, however often it is tried
            self._since = time.time()
        self._state = state


class _Watched:
    """A Link that says so when it opens and closes."""

    def __init__(self, link: Link, watch: WatchedLinks) -> None:
        self._link, self._watch = link, watch
        self.send, self.close = link.send, link.close

    def open(self, url: str, headers: Mapping[str, str], tls: LinkTls | None, events: LinkEvents) -> None:
        """See the protocol."""
        self._watch.began(url)
        self._link.open(url, headers, tls, _Overheard(events, self._watch))


class _Overheard:
    """LinkEvents on their way to who asked for them."""

    def __init__(self, events: LinkEvents, watch: WatchedLinks) -> None:
        self._events, self._watch = events, watch
        self.on_text, self.on_written = events.on_text, events.on_written

    def on_open(self, headers: Mapping[str, str]) -> None:
        """See the protocol."""
        self._watch.opened()
        self._events.on_open(headers)

    def on_close(self, closed: Closed) -> None:
        """See the protocol."""
        self._watch.closed(closed)
        self._events.on_close(closed)
