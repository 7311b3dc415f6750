"""The journal against a model: whatever is told, handled, crashed, killed and opened again, messages are kept in order within their bound."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kubeedge_actors.drivers.store.mailboxes import MailboxFile
from kubeedge_actors.errors import StoreError
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.durable.codec import MessageCodec
from kubeedge_actors.supervisors.durable.journal import MailboxJournal
from kubeedge_actors.supervisors.durable.queue import DurableQueue
from kubeedge_actors.supervisors.durable.transaction import TurnTransaction
from kubeedge_actors.supervisors.envelope import DurableEnvelope, Envelope

MAX_BYTES, RESIDENT, MAX_DELIVERIES = 200, 3, 3
NAMES = ("a", "b")
names = st.sampled_from(NAMES)


class FlakyFile(MailboxFile):
    """Refuses to write while `broken`."""

    broken = False

    def write(self, *args: object, **more: object) -> None:
        """As the file does, or as a full disk does."""
        if self.broken:
            raise StoreError("full")
        super().write(*args, **more)  # type: ignore[arg-type]


class Box:
    """One mailbox and its model: `kept` is what the file has for certain, `lazy` what was handled and may come again."""

    def __init__(self) -> None:
        self.queue: DurableQueue
        self.turns: TurnTransaction
        self.hand: DurableEnvelope | None = None
        self.queued: list[str] = []
        self.lazy: list[str] = []
        self.failed: dict[str, int] = {}


class JournalModel(RuleBasedStateMachine):
    """Two mailboxes in one file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.boxes = {name: Box() for name in NAMES}
        self.handled: dict[str, list[str]] = {name: [] for name in NAMES}
        self.committed = dict.fromkeys(NAMES, 0)
        self.number = 0

    @initialize()
    def open(self) -> None:
        """A process begins."""
        self.file = FlakyFile(Path(self.folder.name) / "m.db")
        self.journal = MailboxJournal(self.file, lambda seconds, action: None)
        for name, box in self.boxes.items():

            def bury(envelope: Envelope, reason: Reason, error: str, box: Box = box) -> None:
                assert reason is Reason.CRASH_LIMIT and isinstance(envelope, DurableEnvelope)
                box.queue.forget(envelope)
                box.queued.remove(str(envelope.message))
                self.flush()

            box.queue = DurableQueue(
                name, self.journal, MessageCodec((str,)), MAX_BYTES, RESIDENT, MAX_DELIVERIES, bury, lambda: 0.0
            )
            box.turns = TurnTransaction(self.journal, name, box.queue)

    @rule(name=names, size=st.integers(1, 60))
    def put(self, name: str, size: int) -> None:
        """Somebody tells; it is taken exactly when there is room and the file can be written."""
        box, self.number = self.boxes[name], self.number + 1
        text = f"{self.number}:".ljust(size, "x")
        before = box.queue.bytes
        refused = box.queue.put([Envelope(text)])
        body = len(MessageCodec((str,)).encode(text)[1])
        if self.file.broken or before + body > MAX_BYTES:
            assert refused and box.queue.bytes == before
        else:
            assert not refused
            box.queued.append(text)
            self._flushed()

    @rule(name=names)
    def take(self, name: str) -> None:
        """A turn begins: what comes is the next in order."""
        box = self.boxes[name]
        if box.hand is not None or not len(box.queue) or self.file.broken:
            return
        try:
            taken = box.queue.popleft()
        except IndexError:
            return
        assert isinstance(taken, DurableEnvelope) and taken.message == box.queued[0]
        assert taken.failed_deliveries == box.failed.get(box.queued[0], 0) < MAX_DELIVERIES
        box.hand = taken
        box.turns.begin([taken])

    @rule(name=names)
    def settle(self, name: str) -> None:
        """The turn counts, with what it stored."""
        box = self.boxes[name]
        if box.hand is not None:
            box.turns.put("count", str(int(box.turns.get("count") or b"0") + 1).encode())
            box.turns.commit([box.hand])
            text, box.hand = str(box.hand.message), None
            box.queued.remove(text)
            box.lazy.append(text)

    @rule(name=names)
    def fail(self, name: str) -> None:
        """The turn raises, after it has stored something."""
        box = self.boxes[name]
        if box.hand is not None and not self.file.broken:
            box.turns.put("count", b"-1")
            box.turns.abandon()
            envelope, box.hand = box.hand, None
            envelope.failed_deliveries += 1
            text = str(envelope.message)
            box.failed[text] = box.failed.get(text, 0) + 1
            if envelope.failed_deliveries >= MAX_DELIVERIES:
                box.queue.forget(envelope)
                box.queued.remove(text)
            else:
                box.queue.extendleft([envelope])
            self.flush()

    @rule()
    def flush(self) -> None:
        """The timer of the journal fires."""
        assert self.journal.flush() or self.file.broken
        if not self.file.broken:
            self._flushed()

    @rule(broken=st.booleans())
    def break_disk(self, broken: bool) -> None:
        """The disk is full, or not any more."""
        self.file.broken = broken

    def _flushed(self) -> None:
        for name, box in self.boxes.items():
            self.committed[name] += len(box.lazy)
            box.lazy = []

    @rule()
    def killed(self) -> None:
        """`kill -9`: what was handled and not committed comes again, in its place, and so does what was in hand."""
        self.file.close()
        for box in self.boxes.values():
            if box.hand is not None:
                text = str(box.hand.message)
                box.failed[text] = box.failed.get(text, 0) + 1
            box.queued, box.lazy, box.hand = box.lazy + box.queued, [], None
        self.open()

    @invariant()
    def bounds_hold(self) -> None:
        """Never more bytes than allowed, and every message is counted."""
        for box in self.boxes.values():
            assert 0 <= box.queue.bytes <= MAX_BYTES
            assert len(box.queue) + (box.hand is not None) == len(box.queued)

    @invariant()
    @precondition(lambda self: hasattr(self, "journal"))
    def each_settled_turn_is_counted_once(self) -> None:
        """What was stored is what was settled."""
        for name, box in self.boxes.items():
            if box.hand is None:
                assert int(self.journal.stored(name, "count") or b"0") == self.committed[name] + len(box.lazy)

    def teardown(self) -> None:
        """The last process ends."""
        self.journal.close()
        self.folder.cleanup()


def _number(text: str) -> int:
    return int(text.partition(":")[0])


TestJournal = JournalModel.TestCase
