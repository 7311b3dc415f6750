"""Dead letters that survive the process: the bridge from supervision to the file they are kept in, and back into a mailbox."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import msgspec

from kubeedge_actors.deadletters.renamed_types import current_type
from kubeedge_actors.drivers.store.dead_letters import CAPACITY, DeadLetterDb, DeadLetterRow, DeadLetterWriter
from kubeedge_actors.errors import StoreError, UsageError
from kubeedge_actors.osutil.cipher import KeyRing
from kubeedge_actors.supervisors import ActorSystem, DeadLetter, DeadLetters
from kubeedge_actors.supervisors.deadletters import PAYLOAD_LIMIT, TRACEBACK_LIMIT, shorten

log = logging.getLogger(__name__)

FILE = "deadletters.db"
TEXT_LIMIT = 1 << 20
RECENT = 20
"""So few, because an edge counts its megabytes."""


class DurableDeadLetters:
    """A DeadLetterSink that keeps its letters in the SQLite file at `path`, at most `capacity` of them. Errors at the beginning: as of `keys`' file."""

    def __init__(self, path: Path, capacity: int = CAPACITY, keys: KeyRing | None = None) -> None:
        self.file = DeadLetterDb(path, capacity, keys)
        if keys is not None:
            self.file.adopt_keys()
        self._writer = DeadLetterWriter(self.file)
        self._recent = DeadLetters(RECENT)
        self._replaying = threading.Lock()
        self._counted: tuple[object, int] = (None, 0)

    @property
    def total(self) -> int:
        """How many there were in this process."""
        return self._recent.total

    @property
    def kept(self) -> int:
        """How many the file has, those of earlier processes too; they are counted again when the file has changed. One that can not be read
        has as many as before: who wants to see the letters is told why.
        """
        before, _ = self._counted
        seen = self.file.fingerprint()
        if seen != before:
            try:
                self._counted = (seen, self.file.count())
            except StoreError as error:  # it is damaged, or was made a moment ago and has no table yet
                log.debug("the dead letters can not be counted: %s", error)
        return self._counted[1]

    @property
    def lost_count(self) -> int:
        """How many of them could not be kept."""
        return self._writer.lost

    def record(self, letter: DeadLetter) -> None:
        """Keep the letter; returns at once, the file is written later."""
        self._recent.record(letter)
        self._writer.add(partial(row_of, letter))

    def __iter__(self) -> Iterator[DeadLetter]:
        """The last ones of this process, as they were recorded; the file has them all."""
        return iter(self._recent)

    def __len__(self) -> int:
        return len(self._recent)

    def letters(self, newest: int = -1) -> list[DeadLetterRow]:
        """What is kept, or only so many of the newest; the oldest first, with all that was recorded before."""
        self._writer.flush()
        return self.file.all(newest)

    def replay(self, number: int, system: ActorSystem) -> str:
        """Put a letter's message back into the mailbox it came from, or publish it again when it had none; who has it now.

        UsageError when there is no such letter, it was replayed before, it can not be made a message again, or nobody takes it;
        RegistrationError when nobody has the recipient's name any more.
        """
        self._writer.flush()
        with self._replaying:
            row = self.file.get(number)
            if row is None:
                raise UsageError(f"there is no dead letter {number}")
            if row.replayed:
                raise UsageError(f"the dead letter {number} was replayed before")
            recipient = _put_back(row, message_of(row), system)
            self.file.mark_replayed(number, system.clock.now())
            return recipient

    def close(self) -> None:
        """Write what is left and end."""
        self._writer.close()


def _put_back(row: DeadLetterRow, message: object, system: ActorSystem) -> str:
    if row.recipient:
        if not system.ref(row.recipient).offer(message, row.sender):
            raise UsageError(f"{row.recipient} takes no message now: its mailbox is full or it has stopped")
        return row.recipient
    takers = system.registry.subscribers(type(message))
    if not takers:
        raise UsageError(f"still nobody accepts {row.type.rpartition(':')[2]}")
    system.publish(message, row.sender)
    return ", ".join(ref.name for ref in takers)


def row_of(letter: DeadLetter) -> DeadLetterRow:
    """The row of a letter. Never raises: what can not be shown or replayed says so."""
    kind = type(letter.message)
    try:
        payload = letter.payload
    except Exception as error:  # noqa: BLE001 - a repr() of somebody's message
        payload = f"({kind.__qualname__} can not be shown: {error})"
    return DeadLetterRow(
        recipient=letter.recipient,
        sender=letter.sender,
        type=f"{kind.__module__}:{kind.__qualname__}",
        message=_text(letter.message),
        payload=_storable(payload, PAYLOAD_LIMIT),
        reason=letter.reason.value,
        error=_storable(letter.error, PAYLOAD_LIMIT),
        traceback=_storable(letter.traceback, TRACEBACK_LIMIT),
        deliveries=letter.failed_deliveries,
        at=letter.at,
    )


def message_of(row: DeadLetterRow) -> object:
    """The message of a row; UsageError when it can not be made again."""
    if row.message is None:
        raise UsageError(
            f"the dead letter {row.id} can not be replayed: a {row.type} is not one of the messages that JSON can hold"
        )
    try:
        return _decoded(*current_type(row.type, row.message))
    except Exception as error:  # whatever the import of a module of one's own raises
        raise UsageError(
            f"the dead letter {row.id} can not be replayed: {row.type} does not fit any more ({error})"
        ) from error


def _storable(text: str, limit: int) -> str:
    """A lone surrogate is text to Python, not to SQLite."""
    return shorten(text, limit).encode(errors="backslashreplace").decode()


def _text(message: object) -> str | None:
    """The message as JSON from which exactly it can be made again; None when there is no such text."""
    kind = type(message)
    try:
        text = msgspec.json.encode(message).decode()
        same = bool(_decoded(f"{kind.__module__}:{kind.__qualname__}", text) == message)
    except Exception:  # noqa: BLE001 - a type of somebody's own: anything may be wrong with it, and `None` says so
        return None
    return text if same and len(text) <= TEXT_LIMIT else None


def _decoded(path: str, text: str) -> object:
    module, _, name = path.partition(":")
    kind: object = import_module(module)
    for part in name.split("."):
        kind = getattr(kind, part)
    if not isinstance(kind, type):
        raise TypeError("it is not a type")
    message: object = msgspec.json.decode(text, type=kind)
    if type(message) is not kind:
        raise TypeError(f"it became a {type(message).__name__}")
    return message
