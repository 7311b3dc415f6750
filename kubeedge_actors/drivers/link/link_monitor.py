"""Links with a monitored state: since when one is open, how many attempts there were, why the last one ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kubeedge_actors.drivers.link.base import CloseReason, Link, LinkEvents
from kubeedge_actors.drivers.pki.base import TlsPaths

CONNECTING, CONNECTED, DOWN = "connecting", "connected", "down"


class LinkMonitor:
    """Makes links as `links` does. `state` may be asked from any thread."""

    def __init__(self, links: Callable[[], Link]) -> None:
        self._links = links
        self._attempts = 0
        self._url = ""
        self._phase, self._since = DOWN, time.time()
        self._reason = ""
        self._tried = threading.Event()

    def __call__(self) -> Link:
        """A fresh link."""
        return _MonitoredLink(self._links(), self)

    def state(self) -> dict[str, Any]:
        """`state` (connecting, connected or down), since when (epoch seconds), `attempts` to connect so far, why the last link ended."""
        return {
            "state": self._phase,
            "since": self._since,
            "attempts": self._attempts,
            "reason": self._reason,
            "url": self._url,
        }

    def unready_reason(self, patience: float = 0.0) -> str:
        """Why no link is open, empty when one is. Waits up to `patience` seconds for the end of the first attempt."""
        self._tried.wait(patience)
        return "" if self._phase == CONNECTED else self._reason or "no answer yet"

    def on_attempt(self, url: str) -> None:
        """An attempt begins."""
        self._attempts += 1
        self._url = url
        self._enter(CONNECTING)

    def on_opened(self) -> None:
        """It succeeded."""
        self._enter(CONNECTED)
        self._tried.set()

    def on_closed(self, closed: CloseReason) -> None:
        """It failed, or the link is over."""
        self._reason = closed.reason
        self._enter(DOWN)
        self._tried.set()

    def _enter(self, state: str) -> None:
        if (state == CONNECTED) != (self._phase == CONNECTED):  # down since the link ended, however often it is tried
            self._since = time.time()
        self._phase = state


class _MonitoredLink:
    """A Link that says so when it opens and closes."""

    def __init__(self, link: Link, monitor: LinkMonitor) -> None:
        self._link, self._monitor = link, monitor
        self.send, self.close = link.send, link.close

    def open(self, url: str, headers: Mapping[str, str], tls: TlsPaths | None, events: LinkEvents) -> None:
        """See the protocol."""
        self._monitor.on_attempt(url)
        self._link.open(url, headers, tls, _MonitoredEvents(events, self._monitor))


class _MonitoredEvents:
    """LinkEvents on their way to who asked for them."""

    def __init__(self, events: LinkEvents, monitor: LinkMonitor) -> None:
        self._events, self._monitor = events, monitor
        self.on_text, self.on_written = events.on_text, events.on_written

    def on_open(self, headers: Mapping[str, str]) -> None:
        """See the protocol."""
        self._monitor.on_opened()
        self._events.on_open(headers)

    def on_close(self, closed: CloseReason) -> None:
        """See the protocol."""
        self._monitor.on_closed(closed)
        self._events.on_close(closed)
