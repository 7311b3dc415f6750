"""What the suite of losses asks of a driver under test, and the waits of a driver in which no time passes."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from typing import Any

from kubeedge_actors.errors import DriverError
from tests.support.waiting import eventually

INSTANT = 0.002
MOST_REASONS = 3
"""In which one outage is seen: a broken connection, no answer, a refusal."""


class Waits:
    """The waits of a driver before it tries again: each lasts an instant, and is noted as long as it was asked to be."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, event: threading.Event, seconds: float) -> bool:
        self.asked.append(seconds)
        return event.wait(min(seconds, INSTANT))

    @property
    def total(self) -> float:
        """Seconds that would have passed."""
        return sum(self.asked)


class LossEnv(ABC):
    """A driver, and its other side, which can be away.

    `ways`: in which it goes away. `longest`: the longest wait before a retry, 0 for a driver that leaves retries to its users.
    `away`, `back`: what the log says, empty for a driver that only raises. `hears`: it tells of what happens on the other side.
    """

    ways: tuple[str, ...] = ("stop", "hang")
    longest = 0.0
    away = back = ""
    hears = True

    def __init__(self) -> None:
        self.waits = Waits()

    @abstractmethod
    def use(self, text: str) -> None:
        """Hand it something. When this returns the driver is responsible for it; DriverError: it does not take it."""

    @abstractmethod
    def arrived(self) -> set[str]:
        """What is on the other side."""

    @abstractmethod
    def go_away(self, way: str) -> None:
        """The other side is away from now on."""

    @abstractmethod
    def come_back(self) -> None:
        """It is there again, with all it had."""

    @abstractmethod
    def stop(self) -> None:
        """End the driver, as its user does."""

    def happen(self, text: str) -> None:
        """Something happens on the other side, wherever the driver is."""
        raise NotImplementedError

    def heard(self) -> set[str]:
        """What the driver has told of the other side."""
        raise NotImplementedError

    def come_back_empty(self) -> None:
        """Another one is there in its place, which knows nothing."""
        raise NotImplementedError

    def outlast(self, seconds: float) -> None:
        """Until the driver has waited for so long since the other side is away."""
        if self.longest:
            begun = self.waits.total
            eventually(lambda: self.waits.total - begun >= seconds, f"it waits {seconds} s, again and again")

    def takes(self, text: str) -> bool:
        """Whether it takes it."""
        try:
            self.use(text)
        except DriverError:
            return False
        return True

    def said(self, caplog: Any) -> list[str]:
        """Of what the log says loudly, what is about an outage: "away", once for each reason, or "back"."""
        loud = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
        away = [line for line in loud if self.away and re.search(self.away, line)]
        assert len(set(away)) == len(away) <= MOST_REASONS, away
        return ["away"] * bool(away) + ["back" for line in loud if self.back and re.search(self.back, line)]

    def close(self) -> None:
        """Give back all that there is."""
        self.stop()
