"""Lines on the screen, of which only the characters that changed are painted: a slow line carries a kilobyte a second."""

from __future__ import annotations

from collections.abc import Sequence

from kubeedge_actors.dashboard.lines import Part, StyledLine, speakable
from kubeedge_actors.dashboard.textual_imports import Region, Segment, Strip, Style, Widget
from kubeedge_actors.osutil.text_width import places

STYLES = {
    "": Style(),
    "title": Style(bold=True),
    "heading": Style(bold=True, underline=True),
    "chosen": Style(reverse=True),
    "trouble": Style(color="red", bold=True),
    "noted": Style(color="yellow"),
    "faint": Style(dim=True),
}


class Painted(Widget):
    """Shows what `paint` was given, from the top; one line of text for each line of the screen."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: list[StyledLine] = []

    def paint(self, lines: Sequence[StyledLine]) -> None:
        """Show these lines instead of those before."""
        new = [tuple((speakable(text), style) for text, style in line) for line in lines]
        old, self._lines = self._lines, new
        for y in range(max(len(old), len(new))):
            span = changed(old[y] if y < len(old) else (), new[y] if y < len(new) else ())
            if span is not None:
                self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def render_line(self, y: int) -> Strip:
        """Textual asks for it."""
        base = self.rich_style
        parts = self._lines[y] if y < len(self._lines) else ()
        width = self.size.width
        return (
            Strip([Segment(text, base + STYLES[style]) for text, style in parts])
            .adjust_cell_length(width, base)
            .crop(0, width)
        )

    @property
    def text(self) -> str:
        """What it shows, without styles."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)


def changed(old: StyledLine, new: StyledLine) -> tuple[int, int] | None:
    """From which place of the screen to which two lines differ.

    >>> changed((("abc", ""),), (("abd", ""),)), changed((("a", ""),), (("a", ""),)), changed((("ab", ""),), (("a", ""),))
    ((2, 3), None, (1, 2))
    """
    if old == new:
        return None
    before, after = (_places(line) for line in (old, new))
    length = max(len(before), len(after))
    before += [(" ", "")] * (length - len(before))
    after += [(" ", "")] * (length - len(after))
    differing = [at for at in range(length) if before[at] != after[at]]
    return (differing[0], differing[-1] + 1) if differing else None


def _places(line: StyledLine) -> list[Part]:
    return [(letter, style) for text, style in line for letter in places(text)]
