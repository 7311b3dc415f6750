"""Topics and topic filters of MQTT (source: MQTT 3.1.1, 4.7). Pure."""

from __future__ import annotations

from typing import TypeGuard

_LONGEST = 65_535
MAX_LEVELS = 200
"""Levels of a topic or a filter, as mosquitto has it: what trees of topics cost in memory depends on them."""


def valid_topic(topic: object) -> TypeGuard[str]:
    """Whether one may publish on it: a text of 1 to 65535 bytes of UTF-8 in at most 200 levels, no NUL, no wildcard."""
    return _valid_text(topic) and "+" not in topic and "#" not in topic


def valid_filter(filter: object) -> TypeGuard[str]:
    """Whether one may subscribe to it: a text; `+` and `#` fill a level of their own, `#` only the last."""
    if not _valid_text(filter):
        return False
    *front, last = filter.split("/")
    return all(_plain(level) for level in front) and (last == "#" or _plain(last))


def _plain(level: str) -> bool:
    return level == "+" or not ("+" in level or "#" in level)


def _valid_text(text: object) -> TypeGuard[str]:
    if not isinstance(text, str) or not text or "\0" in text or text.count("/") >= MAX_LEVELS:
        return False
    try:
        return len(text.encode()) <= _LONGEST
    except UnicodeEncodeError:
        return False


def matches(filter: str, topic: str) -> bool:
    """Whether a publication on `topic` reaches a subscription of `filter`.

    A filter that begins with a wildcard never matches a topic that begins with `$`; `a/#` matches `a` too.
    """
    if filter == topic:
        return True
    if topic.startswith("$") and filter.startswith(("+", "#")):
        return False
    filter_levels, topic_levels = filter.split("/"), topic.split("/")
    if filter_levels[-1] == "#":
        del filter_levels[-1]
        topic_levels = topic_levels[: len(filter_levels)]
    return len(filter_levels) == len(topic_levels) and all(
        want in ("+", have) for want, have in zip(filter_levels, topic_levels, strict=True)
    )


def covers(wide: str, filter: str) -> bool:
    """Whether every topic that matches `filter` matches `wide` as well."""
    if wide == filter:
        return True
    if filter.startswith(("+", "#")) and wide.startswith("$"):
        return False
    # every topic has a first level
    outer, inner = wide.split("/"), ("+/#" if filter == "#" else filter).split("/")
    for at, level in enumerate(outer):
        if level == "#":
            return at > 0 or not filter.startswith("$")
        if at >= len(inner) or inner[at] == "#" or level not in ("+", inner[at]):
            return False
        if at == 0 and level == "+" and filter.startswith("$"):
            return False
    return len(outer) == len(inner)


def overlap(first: str, second: str) -> bool:
    """Whether some topic matches both filters."""
    for wild, plain in ((first, second), (second, first)):
        if plain.startswith("$") and wild.startswith(("+", "#")):
            return False
    left, right = first.split("/"), second.split("/")
    for a, b in zip(left, right, strict=False):
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    longer, shorter = (left, right) if len(left) > len(right) else (right, left)
    return len(left) == len(right) or longer[len(shorter)] == "#"
