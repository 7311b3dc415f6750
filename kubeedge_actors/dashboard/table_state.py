"""How a person looks at one list: the filter, the order, the chosen line, the marked ones, the part that is on the screen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubeedge_actors.dashboard.lines import (
    GAP,
    NOTED,
    TROUBLE,
    Column,
    StyledLine,
    TableLine,
    by_column,
    column_at,
    drawn,
    fitted,
    matches,
)
from kubeedge_actors.osutil.text_width import padded

GUTTER = 1
"""The characters before a line: whether it is marked."""
LINE_STYLES = {TROUBLE: "trouble", NOTED: "noted"}


@dataclass(slots=True)
class TableState:
    """Of one view. `chosen`: the key of the line; `wanted`: of the one that was chosen by hand, to which the cursor returns when it is back, empty:
    the first, whichever that is; `order`: the column that it is sorted by, None: as it came.
    """

    filter: str = ""
    order: int | None = None
    down: bool = False
    chosen: str = ""
    wanted: str = ""
    marked: set[str] = field(default_factory=set)
    at: int = 0
    """Where the chosen line is among those shown."""
    top: int = 0
    shown: list[TableLine] = field(default_factory=list)
    widths: dict[int, int] = field(default_factory=dict)

    def take(self, lines: Sequence[TableLine]) -> None:
        """The lines of now: filtered, sorted, the chosen one found again."""
        kept = [line for line in lines if not self.filter or matches(line, self.filter)]
        self.shown = kept if self.order is None else by_column(kept, self.order, down=self.down)
        keys = [line.key for line in self.shown]
        if self.wanted in keys:
            self.at = keys.index(self.wanted)
        elif self.wanted and self.chosen in keys:
            self.at = keys.index(self.chosen)
        self._clamp()
        self.marked &= {line.key for line in lines}

    def move(self, by: int) -> None:
        """Choose another line, so many further down."""
        self.at += by
        self._clamp()
        self.wanted = self.chosen if self.at else ""

    def hold(self) -> None:
        """Keep the cursor on the line where it is, which somebody acts on."""
        self.wanted = self.chosen

    def choose(self, key: str) -> None:
        """Choose the line with this key as soon as it is there."""
        self.wanted = key

    def _clamp(self) -> None:
        self.at = max(0, min(self.at, len(self.shown) - 1))
        self.chosen = self.shown[self.at].key if self.shown else ""

    @property
    def line(self) -> TableLine | None:
        """The chosen line."""
        return self.shown[self.at] if self.at < len(self.shown) else None

    def meant(self) -> list[TableLine]:
        """The lines an action is for: the marked ones, or else the chosen one."""
        marked = [line for line in self.shown if line.key in self.marked]
        return marked or ([self.line] if self.line is not None else [])

    def mark(self) -> None:
        """Mark the chosen line, or unmark it, and go on to the next."""
        self.marked ^= {self.chosen} - {""}
        self.move(1)

    def mark_all(self) -> None:
        """Mark all that are shown; unmark them when they are."""
        keys = {line.key for line in self.shown}
        self.marked = self.marked - keys if keys <= self.marked else self.marked | keys

    def find(self, pattern: str, by: int) -> None:
        """The next line that matches, in one direction."""
        count = len(self.shown)
        for step in range(1, count + 1):
            at = (self.at + by * step) % count
            if matches(self.shown[at], pattern):
                self.move(at - self.at)
                return

    def order_next(self, columns: Sequence[Column], by: int) -> None:
        """Sort by the next column that is on the screen; beyond the last one, as it came."""
        choices = [None, *self.widths]
        here = choices.index(self.order) if self.order in choices else 0
        self.order = choices[(here + by) % len(choices)]
        self.down = self.order is not None and columns[self.order].right

    def order_at(self, x: int, columns: Sequence[Column]) -> None:
        """Sort by the column at this place; the other way round when it is sorted by it."""
        at = column_at(self.widths, x - GUTTER)
        if at is None:
            return
        self.down = not self.down if at == self.order else columns[at].right
        self.order = at

    def drawn(self, columns: Sequence[Column], width: int, height: int, *, faint: bool = False) -> list[StyledLine]:
        """The headings and the lines for which there is room, the chosen one among them."""
        self.widths = fitted(columns, self.shown, width - GUTTER)
        room = max(1, height - 1)
        self.top = max(self.at - room + 1, min(self.top, self.at, max(0, len(self.shown) - room)))
        lines: list[StyledLine] = [((padded(self._heading(columns), width), "heading"),)]
        for line in self.shown[self.top : self.top + room]:
            text = ("*" if line.key in self.marked else " ") + drawn(line.cells, columns, self.widths)
            style = "chosen" if line.key == self.chosen else "faint" if faint else LINE_STYLES.get(line.severity, "")
            lines.append(((padded(text, width) if style == "chosen" else text, style),))
        return lines

    def _heading(self, columns: Sequence[Column]) -> str:
        """The titles; a sign for the order in the space before its column."""
        text = " " * GUTTER + drawn([column.title for column in columns], columns, self.widths)
        if self.order not in self.widths:
            return text
        before = sum(width + GAP for at, width in self.widths.items() if at < self.order)
        at = (
            max(before, before + self.widths[self.order] - len(columns[self.order].title))
            if columns[self.order].right
            else before
        )
        return f"{text[:at]}{'▼' if self.down else '▲'}{text[at + 1 :]}"
