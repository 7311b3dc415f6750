"""Values under topics or filters, as a tree by their levels (MQTT 3.1.1, 4.7): what is found costs what is looked at on the way, not all. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class _Node(Generic[V]):
    """One level; `children` is None while there are none, `value` None when nothing ends here."""

    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[V]] | None = None
        self.value: V | None = None


class TopicTree(Generic[V]):
    """Values by path, which is a valid topic or a valid filter; None is no value. Not thread-safe.

    `level_count`: how many levels all paths have together, those that they share counted once: what the tree costs in memory.
    """

    def __init__(self) -> None:
        self._root: _Node[V] = _Node()
        self.level_count = 0

    def get(self, path: str) -> V | None:
        """The value at exactly this path."""
        node = self._root
        for level in path.split("/"):
            following = (node.children or {}).get(level)
            if following is None:
                return None
            node = following
        return node.value

    def set(self, path: str, value: V) -> None:
        """Put a value in the place of the one before."""
        node = self._root
        for level in path.split("/"):
            if node.children is None:
                node.children = {}
            following = node.children.get(level)
            if following is None:
                following = node.children[level] = _Node()
                self.level_count += 1
            node = following
        node.value = value

    def delete(self, path: str) -> None:
        """Remove a value that is there, and the levels that lead to nothing else. Error: KeyError."""
        levels, way = path.split("/"), [self._root]
        for level in levels:
            way.append((way[-1].children or {})[level])
        way[-1].value = None
        for node, level in zip(reversed(way[:-1]), reversed(levels), strict=True):
            assert node.children is not None
            below = node.children[level]
            if below.value is not None or below.children:
                return
            del node.children[level]
            self.level_count -= 1

    def filters_matching(self, topic: str) -> list[V]:
        """The values of all filters in the tree that match a topic."""
        found: list[V] = []
        nodes = [self._root]
        wild = not topic.startswith("$")
        for level in topic.split("/"):
            following: list[_Node[V]] = []
            for node in nodes:
                if (children := node.children) is None:
                    continue
                if wild:
                    _take(children.get("#"), found)
                    if (any_level := children.get("+")) is not None:
                        following.append(any_level)
                if (same := children.get(level)) is not None:
                    following.append(same)
            nodes, wild = following, True
        for node in nodes:
            _take(node, found)
            _take((node.children or {}).get("#"), found)  # `a/#` matches `a` too
        return found

    def walk(self, filter: str) -> Iterator[V | None]:
        """The values of all topics in the tree that match a filter; a step for each level that is looked at, None where nothing matches.

        The tree may change between two steps. A value that is put meanwhile may be missed; what is found is what is there at its step.
        """
        levels = filter.split("/")
        nodes = [(self._root, 0)]
        while nodes:
            node, at = nodes.pop()
            if at == len(levels):
                yield node.value
                continue
            level = levels[at]
            yield node.value if level == "#" else None
            if node.children is None:
                continue
            if level in ("#", "+"):
                # a wildcard in the first level is not for `$` topics (4.7.2); `#` stays where it is
                step = at + (level == "+")
                for name, below in reversed(node.children.items()):
                    if node is not self._root or not name.startswith("$"):
                        nodes.append((below, step))
            elif (same := node.children.get(level)) is not None:
                nodes.append((same, at + 1))


def _take(node: _Node[V] | None, found: list[V]) -> None:
    if node is not None and node.value is not None:
        found.append(node.value)
