"""How often strangers of one address may begin: a handshake costs the server milliseconds, whoever it turns out to be with. Pure; any thread."""

from __future__ import annotations

import threading

MAX_PEERS = 10_000
"""Addresses of which something is remembered; beyond them it is forgotten of whoever came first."""


class StrangerPace:
    """`burst` at once and `rate` a second in the long run, of one address; who shows who it is does not count. Monotonic seconds come in.

    >>> pace = StrangerPace(rate=10.0, burst=2)
    >>> pace.begin("10.0.0.1", 0.0), pace.begin("10.0.0.1", 0.0), round(pace.begin("10.0.0.1", 0.05), 2), pace.begin("10.0.0.2", 0.05)
    (0.0, 0.0, 0.05, 0.0)
    >>> pace.known("10.0.0.1"); pace.begin("10.0.0.1", 0.05)
    0.0
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._slack = (burst - 1) / rate
        self._lock = threading.Lock()
        self._paid_until: dict[str, float] = {}
        """By address: when all that it has begun is paid for; one costs an interval."""

    def begin(self, peer: str, now: float) -> float:
        """0.0: one more begins; otherwise the seconds until one may."""
        with self._lock:
            paid_until = max(now, self._paid_until.get(peer, now))
            early = paid_until - now - self._slack
            if early > 1e-9:
                return early
            if peer not in self._paid_until and len(self._paid_until) >= MAX_PEERS:
                self._forget(now)
            self._paid_until[peer] = paid_until + self._interval
            return 0.0

    def known(self, peer: str) -> None:
        """One of those that have begun has shown who it is: it was no stranger."""
        with self._lock:
            if peer in self._paid_until:
                self._paid_until[peer] -= self._interval

    def _forget(self, now: float) -> None:
        """Those that have paid; the first one when all others owe."""
        self._paid_until = {peer: until for peer, until in self._paid_until.items() if until > now}
        if len(self._paid_until) >= MAX_PEERS:
            del self._paid_until[next(iter(self._paid_until))]
