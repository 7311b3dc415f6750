"""Whose status is written next: at each writer one at a time, and the nodes one after the other, however many devices of one wait. Pure."""

from __future__ import annotations

from collections.abc import Iterator


class WriteTurns:
    """The turns at all writers.

    >>> turns = WriteTurns()
    >>> [turns.begin("w", node, device) for node, device in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"))]
    [True, False, False, False]
    >>> list(turns.end("w"))
    ['a2', 'b1', 'a3']
    """

    def __init__(self) -> None:
        self._busy: set[str] = set()
        self._lines: dict[str, dict[str, dict[str, None]]] = {}
        """By writer and node the devices that wait, those of the node first whose turn it is."""

    def begin(self, writer: str, node: str, device: str) -> bool:
        """Whether this device is written now; otherwise it waits until `end` names it."""
        if writer not in self._busy:
            self._busy.add(writer)
            return True
        self._lines.setdefault(writer, {}).setdefault(node, {})[device] = None
        return False

    def end(self, writer: str) -> Iterator[str]:
        """What it wrote is written, or was not: the devices that waited, one after the other, until one of them has begun."""
        self._busy.discard(writer)
        while writer not in self._busy and (nodes := self._lines.get(writer)):
            node = next(iter(nodes))
            devices = nodes.pop(node)
            device = next(iter(devices))
            del devices[device]
            if devices:
                nodes[node] = devices
            yield device
