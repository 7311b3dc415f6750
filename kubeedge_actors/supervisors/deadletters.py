"""Dead letters: messages that no actor handled, with the reason. Nothing is dropped without one."""

from __future__ import annotations

import enum
import threading
import traceback
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from kubeedge_actors.errors import AnswerLost, MailboxFull

PAYLOAD_LIMIT = 1_000
TRACEBACK_LIMIT = 8_000


class Reason(enum.Enum):
    """Why a message became a dead letter."""

    UNKNOWN_RECIPIENT = "no actor has this name"
    NO_SUBSCRIBER = "no actor accepts this type"
    UNHANDLED = "the actor does not handle this type"
    MAILBOX_FULL = "the mailbox is full"
    DROPPED_OLDEST = "dropped for a newer message"
    CRASH_LIMIT = "its handler crashed too often"
    UNDELIVERABLE = "it can not be delivered"
    MALFORMED = "a field of it is not of the type that its class says"
    STOPPED = "the actor has stopped"
    SUSPENDED = "the actor is suspended"
    NOT_STORED = "the file of the durable mailbox does not take it"
    NOT_UNDERSTOOD = "what the file of the durable mailbox holds is not understood any more"
    NOT_SERIALIZABLE = "it can not be carried to another process"
    SUPERSEDED_SENDER = "said by an incarnation that was replaced"

    def as_error(self, name: str, detail: str = "") -> Exception:
        """What an asker is told when its message became a dead letter of actor `name` for this reason."""
        text = f"{name}: {self.value}" + (f" ({detail})" if detail else "")
        return MailboxFull(text) if self is Reason.MAILBOX_FULL else AnswerLost(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that no actor handled: recipient, sender (empty from outside the system) and reason. `at`: epoch seconds."""

    recipient: str
    message: object
    reason: Reason
    at: float
    sender: str = ""
    failed_deliveries: int = 0
    error: str = ""
    traceback: str = ""

    @property
    def payload(self) -> str:
        """The message as text, truncated to 1,000 characters."""
        return payload_text(self.message)


def payload_text(message: object) -> str:
    """A message as text, truncated to 1,000 characters; says so when it has none to give."""
    try:
        return shorten(repr(message), PAYLOAD_LIMIT)
    except Exception as error:  # noqa: BLE001 - a repr() of somebody's message
        return f"({type(message).__qualname__} can not be shown: {type(error).__name__})"


def shorten(text: str, limit: int) -> str:
    """The text, or its head and its tail when it is longer than `limit`; says how much is missing.

    >>> shorten("a" * 30, 12)
    'aaaaaa … 18 characters … aaaaaa'
    """
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"


def traceback_text(error: BaseException) -> str:
    """The traceback, shortened to TRACEBACK_LIMIT."""
    try:
        lines = traceback.format_exception(error)
    except SystemError:
        # CPython before 3.11.9 and 3.12.3, when two threads parse source lines for it at once (python/cpython#106905)
        lines = traceback.format_exception_only(error)
    return shorten("".join(lines), TRACEBACK_LIMIT)


class DeadLetterSink(Protocol):
    """Where dead letters go, and can be looked at (the oldest first). `record` is called from any thread, has to be
    brief, and must not raise. `total`: how many there ever were.
    """

    @property
    def total(self) -> int: ...
    def record(self, letter: DeadLetter) -> None: ...
    def __iter__(self) -> Iterator[DeadLetter]: ...
    def __len__(self) -> int: ...


class DeadLetters:
    """Dead letters in memory: the last `capacity` of them, and how many there were of each reason."""

    def __init__(self, capacity: int = 1_000) -> None:
        self._lock = threading.Lock()
        self._letters: deque[DeadLetter] = deque(maxlen=capacity)
        self.counts: Counter[Reason] = Counter()

    def record(self, letter: DeadLetter) -> None:
        """Keep the letter."""
        with self._lock:
            self._letters.append(letter)
            self.counts[letter.reason] += 1

    @property
    def total(self) -> int:
        """How many there ever were."""
        return sum(self.counts.values())

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(list(self._letters))

    def __len__(self) -> int:
        return len(self._letters)

    def __getitem__(self, index: int) -> DeadLetter:
        return self._letters[index]
