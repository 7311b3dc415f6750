"""The only handle to an actor; it stays valid over restarts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.future import Future, LocalFuture, LocalReplyTo
from kubeedge_actors.supervisors.mailbox import Mailbox


class Ref(ABC):
    """The handle of an actor. All methods may be called from any thread."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def tell(self, message: object, sender: str = "") -> None:
        """Send a message. Waits for room if the overflow policy is `block`; a rejected message is a dead letter."""

    def tell_published(self, message: object, sender: str = "") -> None:
        """Send a message that goes to all who accept its type: the mailbox's policy for published messages holds for it."""
        self.tell(message, sender)

    def tell_all_published(self, messages: Sequence[object], sender: str = "") -> None:
        """Send several such messages."""
        for message in messages:
            self.tell_published(message, sender)

    @abstractmethod
    def ask(self, message: object, timeout: float = 5.0, sender: str = "") -> Future:
        """Send a request: the future of its answer, which comes within `timeout` seconds or fails with AskTimeout."""

    @abstractmethod
    def offer(self, message: object, sender: str = "") -> bool:
        """Send a message if there is room; never waits. False: it was not taken, and stays with the caller."""

    @abstractmethod
    def offer_without_waking(self, message: object, sender: str = "") -> bool:
        """As `offer`, for several in a row: an idle actor may begin with them at `wake` only, so that they are one batch and one change of threads."""

    @abstractmethod
    def wake(self) -> None:
        """It may begin with what was offered; to be called soon after `offer_without_waking`."""

    @property
    def durable(self) -> bool:
        """Whether what it takes is in a file by then."""
        return False

    @property
    def depth(self) -> int:
        """Messages that wait for it, as far as this process knows."""
        return 0

    def __repr__(self) -> str:
        return f"<Ref {self.name}>"


class LocalRef(Ref):
    """A Ref to a mailbox of this process. `new_future(timeout)`: of an answer of that actor."""

    __slots__ = ("_mailbox", "_new_future")

    def __init__(self, name: str, mailbox: Mailbox, new_future: Callable[[float], LocalFuture]) -> None:
        super().__init__(name)
        self._mailbox = mailbox
        self._new_future = new_future

    @property
    def durable(self) -> bool:
        """As its mailbox is."""
        return self._mailbox.durable is not None

    @property
    def depth(self) -> int:
        """Messages in the mailbox."""
        return len(self._mailbox.queue)

    def tell(self, message: object, sender: str = "") -> None:
        """Append while there is room, else as the mailbox's policy says."""
        mailbox = self._mailbox
        if len(mailbox.queue) < mailbox.fast_path_limit:
            mailbox.queue.append(Envelope(message, sender, mailbox.now()))
            if mailbox.idle:
                mailbox.wake_consumer()
        else:
            mailbox.enqueue(Envelope(message, sender, mailbox.now()))

    def tell_published(self, message: object, sender: str = "") -> None:
        """Append while there is room, else as the mailbox's policy for published messages says."""
        mailbox = self._mailbox
        envelope = Envelope(message, sender, mailbox.now(), published=True)
        if len(mailbox.queue) < mailbox.fast_path_limit:
            mailbox.queue.append(envelope)
            if mailbox.idle:
                mailbox.wake_consumer()
        else:
            mailbox.enqueue(envelope)

    def tell_all_published(self, messages: Sequence[object], sender: str = "") -> None:
        """As for each of them, but a durable mailbox has them in its file by one commit."""
        if self._mailbox.durable is None:
            super().tell_all_published(messages, sender)
        else:
            at = self._mailbox.now()
            self._mailbox.enqueue_published([Envelope(each, sender, at, published=True) for each in messages])

    def ask(self, message: object, timeout: float = 5.0, sender: str = "") -> Future:
        """Append it with a ReplyTo that completes the future."""
        future = self._new_future(timeout)
        mailbox = self._mailbox
        envelope = Envelope(message, sender, mailbox.now(), LocalReplyTo(future))
        if len(mailbox.queue) < mailbox.fast_path_limit:
            mailbox.queue.append(envelope)
            if mailbox.idle:
                mailbox.wake_consumer()
        else:
            mailbox.enqueue(envelope)
        return future

    def offer(self, message: object, sender: str = "") -> bool:
        """Append if there is room."""
        mailbox = self._mailbox
        if len(mailbox.queue) < mailbox.fast_path_limit:
            mailbox.queue.append(Envelope(message, sender, mailbox.now()))
            if mailbox.idle:
                mailbox.wake_consumer()
            return True
        return mailbox.enqueue(Envelope(message, sender, mailbox.now()), block=False)

    def offer_without_waking(self, message: object, sender: str = "") -> bool:
        """Append if there is room."""
        mailbox = self._mailbox
        if len(mailbox.queue) < mailbox.fast_path_limit:
            mailbox.queue.append(Envelope(message, sender, mailbox.now()))
            return True
        return mailbox.enqueue(Envelope(message, sender, mailbox.now()), block=False)

    def wake(self) -> None:
        """Wake it if it is idle and has something to do."""
        mailbox = self._mailbox
        if mailbox.idle and len(mailbox.queue):
            mailbox.wake_consumer()
