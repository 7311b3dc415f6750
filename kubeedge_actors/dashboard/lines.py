"""What a view shows: lines of cells under columns. Pure: filtered, sorted and fitted to a width, nothing is drawn here."""

from __future__ import annotations

import locale
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubeedge_actors.control.formatting import ellipsize, ellipsize_middle
from kubeedge_actors.osutil.printable import printable
from kubeedge_actors.osutil.text_width import padded, places, text_width

GAP = 1
"""Spaces between two columns."""
ASCII = str.maketrans(
    {
        "…": "~",
        "→": ">",
        "·": ".",
        "▼": "v",
        "▲": "^",
        "▶": ">",
        "─": "-",
        **dict.fromkeys("┬┤┘├└", "+"),
        **dict(zip("▁▂▃▄▅▆▇█", ".:-=+*#@", strict=True)),
    }
)
FINE, NOTED, TROUBLE = 0, 1, 2
"""How much a line asks to be looked at."""
Part = tuple[str, str]
"""A text and the name of its style."""
StyledLine = tuple[Part, ...]
UNICODE_LEVELS, ASCII_LEVELS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `width`: characters that it has at least; `most`: and at most, 0: as many as its longest cell; `rank`: the column with the highest goes
    first when there is no room for all.
    """

    title: str
    width: int
    most: int = 0
    rank: int = 0
    right: bool = False
    middle: bool = False
    """A cell that is too long is cut in its middle: its end says what it is."""
    if_any: bool = False
    """Only there when one of the lines has something in it."""


@dataclass(frozen=True, slots=True)
class TableLine:
    """One line. `key`: the same in the next answer; `title`: what a person calls it, if not by its key; `order`: what to sort by, one value a column (None: its cell); `detail`: shown below the table
    when the line is chosen; `data`: what it was made from.
    """

    key: str
    cells: tuple[str, ...]
    order: tuple[Any, ...] = ()
    severity: int = FINE
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return self.title or self.key


def matches(line: TableLine, pattern: str) -> bool:
    """Whether for each word of the pattern there is a word in the cells that has its letters in this order.

    >>> line = TableLine("a", ("edgecontroller-1", "ok", "it does not come back"))
    >>> [matches(line, pattern) for pattern in ("edc1", "Back ec", "xk", "inb")]
    [True, True, False, False]
    """
    words = " ".join(line.cells).lower().split()
    return all(any(_stands_in(word, part) for word in words) for part in pattern.lower().split())


def _stands_in(text: str, pattern: str) -> bool:
    letters = iter(text)
    return all(letter in letters for letter in pattern)


def by_column(lines: Iterable[TableLine], column: int, *, down: bool) -> list[TableLine]:
    """Sorted by what a column stands for; lines without a value last, either way."""
    values = [(line, line.order[column] if column < len(line.order) else line.cells[column]) for line in lines]
    there = [pair for pair in values if pair[1] not in (None, "")]
    there.sort(key=lambda pair: _rank(pair[1]), reverse=down)
    return [line for line, _ in there] + [line for line, value in values if value in (None, "")]


def _rank(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def fitted(columns: Sequence[Column], lines: Sequence[TableLine], width: int) -> dict[int, int]:
    """How many characters each column has, by its place; those for which there is no room are absent. What there is more goes first to those
    that need the fewest to show all of their cells.

    >>> fitted([Column("name", 4), Column("why", 3, rank=1)], [TableLine("a", ("edgehub", "no"))], 11)
    {0: 7, 1: 3}
    >>> fitted([Column("name", 4), Column("why", 3, rank=1)], [TableLine("a", ("edgehub", "no"))], 7)
    {0: 7}
    """
    empty = {at for at, column in enumerate(columns) if column.if_any and not any(line.cells[at] for line in lines)}
    shown = {at: column for at, column in enumerate(columns) if at not in empty}
    while len(shown) > 1 and sum(column.width + GAP for column in shown.values()) - GAP > width:
        del shown[max(shown, key=lambda at: (shown[at].rank, at))]
    widths = {at: column.width for at, column in shown.items()}
    left = width - sum(widths.values()) - GAP * (len(widths) - 1)
    longest = {at: max((text_width(line.cells[at]) for line in lines), default=0) for at in shown}
    wants = {at: max(0, min(longest[at], column.most or longest[at]) - column.width) for at, column in shown.items()}
    for at in sorted(wants, key=wants.__getitem__):
        more = max(0, min(left, wants[at]))
        widths[at] += more
        left -= more
    return widths


def drawn(cells: Sequence[str], columns: Sequence[Column], widths: Mapping[int, int]) -> str:
    """One line of text."""
    return (" " * GAP).join(_cell(cells[at], columns[at], width) for at, width in widths.items())


def _cell(text: str, column: Column, width: int) -> str:
    text = printable(text)
    cut = ellipsize_middle(text, width) if column.middle else ellipsize(text, width)
    return padded(cut, width, right=column.right)


def column_at(widths: Mapping[int, int], x: int) -> int | None:
    """Which column is at a place of the line."""
    begin = 0
    for at, width in widths.items():
        if begin <= x < begin + width + GAP:
            return at
        begin += width + GAP
    return None


def speaks_unicode() -> bool:
    """Whether the locale has more than ASCII, whatever Python itself makes of it."""
    return "utf" in locale.getencoding().lower()


def speakable(text: str) -> str:
    """The text in the characters of the locale, as wide as it was."""
    if text.isascii() or speaks_unicode():
        return text
    return "".join(place if place.isascii() and place else "?" for place in places(text.translate(ASCII)))


def trend(values: Sequence[float | None], width: int, most: float, levels: str = UNICODE_LEVELS) -> str:
    """The newest `width` values as bars on a scale from 0 to `most`, which others share; where nothing was measured, a space.

    >>> trend([0.0, 1.0, None, 8.0], 4, 8.0)
    ' ▁ █'
    """
    steps = len(levels) - 1
    return "".join(_bar(value, most, steps, levels) for value in values[-width:]).rjust(width)


def _bar(value: float | None, most: float, steps: int, levels: str) -> str:
    if not value or most <= 0:
        return levels[0]
    return levels[max(1, round(min(1.0, value / most) * steps))]
