"""Durable messages of nodes that want them acknowledged: each is handled once, and acknowledged when it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeedge_actors.actors.cloudhub.receipts import Receipts, Standing
from kubeedge_actors.wire.messages import Said

Settled = Callable[[bool], None]


class Intake:
    """Takes each durable message once, and says which to acknowledge.

    `hand_over(message, settled)` brings a message to its receivers and says whether it is kept; `gather` asks for
    `owed` to be looked at soon.

    It remembers nodes, not sessions: what was handled and not acknowledged comes again after a reconnect.
    """

    def __init__(self, hand_over: Callable[[Said, Settled], None], gather: Callable[[], object]) -> None:
        self._hand_over = hand_over
        self._gather = gather
        self._receipts: dict[str, Receipts] = {}
        self._owing: set[str] = set()

    def take(self, message: Said) -> bool:
        """Hand a message over; False when it came before."""
        node = message.node
        receipts = self._receipts.setdefault(node, Receipts())
        standing = receipts.begin(message)
        if standing is Standing.DONE:
            self._owe(node)
        if standing is not Standing.NEW:
            return False

        def settled(kept: bool) -> None:
            if kept:
                receipts.done(message.msg_id)
                self._owe(node)
            else:
                receipts.abandon(message.msg_id)

        self._hand_over(message, settled)
        return True

    def owed(self) -> Iterator[tuple[str, list[str]]]:
        """Nodes, each with ids to acknowledge; what is given counts as acknowledged."""
        owing, self._owing = self._owing, set()
        for node in owing:
            receipts = self._receipts.get(node)
            while receipts is not None and (ids := receipts.owed()):
                yield node, ids

    def parted(self, node: str) -> None:
        """The node's session is over: what is owed to it will be asked for again."""
        if node in self._receipts:
            self._receipts[node].lost()

    def forget(self, node: str) -> None:
        """The node is no more."""
        self._receipts.pop(node, None)

    def _owe(self, node: str) -> None:
        if not self._owing:
            self._gather()
        self._owing.add(node)
