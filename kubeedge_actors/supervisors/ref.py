"""The only handle to an actor; it stays valid over restarts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.mailbox import Mailbox
from kubeedge_actors.supervisors.promise import LocalPromise, LocalReply, Promise


class Ref(ABC):
    """An actor as others see it. All methods may be called from any thread."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def tell(self, message: object, sender: str = "") -> None:
        """Put a message into the mailbox. Waits for room if the policy is `block`; a refusal is a dead letter."""

    @abstractmethod
    def ask(self, message: object, timeout: float = 5.0, sender: str = "") -> Promise:
        """Put a message in and get a promise of the answer, to be waited for at most `timeout` seconds."""

    @abstractmethod
    def offer(self, message: object, sender: str = "") -> bool:
        """Put a message in if there is room; never waits. False: it was not taken, and is the caller's to keep."""

    def __repr__(self) -> str:
        return f"<Ref {self.name}>"


class LocalRef(Ref):
    """A Ref to a mailbox of this process. `new_promise(timeout)`: of an answer of that actor."""

    __slots__ = ("_box", "_new_promise")

    def __init__(self, name: str, box: Mailbox, new_promise: Callable[[float], LocalPromise]) -> None:
        super().__init__(name)
        self._box = box
        self._new_promise = new_promise

    def tell(self, message: object, sender: str = "") -> None:
        """Append while there is room, else as the mailbox's policy says."""
        box = self._box
        if len(box.queue) < box.limit:
            box.queue.append(Envelope(message, sender, box.now()))
            if box.idle:
                box.rouse()
        else:
            box.press(Envelope(message, sender, box.now()))

    def ask(self, message: object, timeout: float = 5.0, sender: str = "") -> Promise:
        """Append it with a Reply that settles the promise."""
        promise = self._new_promise(timeout)
        box = self._box
        envelope = Envelope(message, sender, box.now(), LocalReply(promise))
        if len(box.queue) < box.limit:
            box.queue.append(envelope)
            if box.idle:
                box.rouse()
        else:
            box.press(envelope)
        return promise

    def offer(self, message: object, sender: str = "") -> bool:
        """Append if there is room."""
        box = self._box
        if len(box.queue) < box.limit:
            box.queue.append(Envelope(message, sender, box.now()))
            if box.idle:
                box.rouse()
            return True
        return box.press(Envelope(message, sender, box.now()), patient=False)
