"""The lines of a log and the part of them that is on the screen: followed, wrapped or moved sideways, searched. Pure."""

from __future__ import annotations

import codecs
import unicodedata
from collections import deque
from collections.abc import Iterator

from kubeedge_actors.dashboard.lines import StyledLine
from kubeedge_actors.osutil.printable import printable

KEPT = 5_000


class LogLines:
    """The newest KEPT lines. `top`: the number of the first line on the screen, counted from the first ever, None: the end is followed;
    `left`: how many characters of each line are left of the screen; `pattern`: what is searched, in any case; `found`: the number of the line
    that was found.
    """

    def __init__(self) -> None:
        self.top: int | None = None
        self.left = 0
        self.wraps = True
        self.pattern = ""
        self.found = -1
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._count = 0
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, data: bytes) -> None:
        """What was written next; a character may be in two parts."""
        *whole, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        self._lines.extend(printable(line.rstrip("\r").expandtabs()) for line in whole)
        self._count += len(whole)

    @property
    def count(self) -> int:
        """How many lines there were, those that are no longer kept among them."""
        return self._count + bool(self._rest)

    @property
    def first(self) -> int:
        """The number of the first line that is kept."""
        return self._count - len(self._lines)

    def line(self, number: int) -> str:
        """One line; the last one may be unfinished."""
        return self._lines[number - self.first] if number < self._count else printable(self._rest)

    def rows(self, width: int, height: int) -> list[StyledLine]:
        """What is on a screen of this size; at the end of the log the last line is the last row."""
        if self.top is not None:
            self.top = max(self.top, self.first)
            shown: list[StyledLine] = []
            for number in range(self.top, self.count):
                shown += self._rows_of(number, width)
                if len(shown) >= height:
                    return shown[:height]
        last: list[StyledLine] = []
        for number in range(self.count - 1, self.first - 1, -1):
            last = [*self._rows_of(number, width), *last]
            if len(last) >= height:
                break
        return last[-height:]

    def _rows_of(self, number: int, width: int) -> Iterator[StyledLine]:
        text = self.line(number)
        style = "chosen" if number == self.found else "noted"
        for part in broken(text, width) if self.wraps else [text[self.left :]]:
            yield tuple(marked(part, self.pattern, style))

    def move(self, by: int, height: int) -> None:
        """Lines up or down; who goes up stands still, who comes to the end follows again."""
        here = max(self.first, self.count - height) if self.top is None else self.top
        there = max(self.first, here + by)
        self.top = None if by > 0 and there >= self.count - 1 else there

    def move_sideways(self, by: int) -> None:
        """Characters to the left or right, of lines that are not wrapped."""
        self.left = 0 if self.wraps else max(0, self.left + by)

    def search(self, by: int, width: int, height: int) -> int:
        """Go to the next line with the pattern, down or up, beyond the end from the other end on, and so far aside that it is on the screen;
        how many lines have it.
        """
        wanted = self.pattern.lower()
        hits = [number for number in range(self.first, self.count) if wanted and wanted in self.line(number).lower()]
        if not hits:
            self.found = -1
            return 0
        here = self.found if self.found >= self.first else self.count if self.top is None else self.top - 1
        if by > 0:
            self.found = next((number for number in hits if number > here), hits[0])
        else:
            self.found = next((number for number in reversed(hits) if number < here), hits[-1])
        self.top, above = self.found, 0
        while self.top > self.first and (above := above + len([*self._rows_of(self.top - 1, width)])) <= height // 2:
            self.top -= 1
        ends = self.line(self.found).lower().find(wanted) + len(wanted)
        self.left = 0 if self.wraps or ends <= width else ends - width // 2
        return len(hits)


def marked(text: str, pattern: str, style: str) -> Iterator[tuple[str, str]]:
    """The text, with what matches in a style of its own.

    >>> list(marked("an Error, an error", "error", "noted"))
    [('an ', ''), ('Error', 'noted'), (', an ', ''), ('error', 'noted')]
    """
    wanted, begin = pattern.lower(), 0
    lowered = text.lower()
    while wanted and len(lowered) == len(text) and (at := lowered.find(wanted, begin)) >= 0:
        if at > begin:
            yield text[begin:at], ""
        yield text[at : at + len(wanted)], style
        begin = at + len(wanted)
    if text[begin:] or not begin:
        yield text[begin:], ""


def broken(text: str, width: int) -> list[str]:
    """A line in parts that fit; characters of East Asia take two places.

    >>> broken("abcdef", 4), broken("日本語", 4), broken("", 4)
    (['abcd', 'ef'], ['日本', '語'], [''])
    """
    if text.isascii():
        return [text[at : at + width] for at in range(0, len(text), max(1, width))] or [""]
    parts, used = [""], 0
    for character in text:
        places = 2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1
        if used + places > width:
            parts.append("")
            used = 0
        parts[-1] += character
        used += places
    return parts
