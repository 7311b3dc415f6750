"""What a page tells a person to type, and what it shows.

A page is read from its beginning: a block fenced as `sh` is typed, a block fenced as `LANGUAGE FILE` is a file that the person writes, a
plain block behind one that was typed is what is seen then. An HTML comment right above a block says more about it; a reader does not see it:

    <!-- shell: edge -->           the shell in which it is typed, by any name; `a, b`: in each of them
    <!-- stays: ready -->          its last command goes on, and the next step may be done when it has written this word
    <!-- after: Ctrl-C -->         what goes on in that shell is ended first, by Ctrl-C
    <!-- after: its end -->        what goes on in that shell has been ended before, by a block in another one
    <!-- until shown -->           its last command is typed again until the next block is shown (a person would do so, too)
    <!-- status: 1 -->             its last command ends with this status
    <!-- not run: WHY -->          it is not typed, because it can not be
    <!-- shows: edge -->           the block is what that shell shows
    <!-- figures differ -->        of the block, only words are compared: times, sizes, process ids, ports, ids are others each time
    <!-- in any order -->          its lines may come in another order
    <!-- not compared: WHY -->     the block is not what is seen

Alone in its line, `<!-- ended: cloud -->` says that the text lets the person end what goes on in a shell. Several of them are parted by semicolons: `<!-- shell: edge; stays: ready -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^( *)```(.*)$")
COMMENT = re.compile(r"^ *<!-- (.*) -->$")
WORDS = {
    *("shell", "stays", "after", "ended", "until shown", "status", "not run"),
    *("shows", "figures differ", "in any order", "not compared"),
}


class Block(NamedTuple):
    """One block: its line on the page, the words behind the fence, its text, and what the comment above it says."""

    line: int
    info: tuple[str, ...]
    text: str
    marks: dict[str, str]

    @property
    def typed(self) -> bool:
        """Whether a person types it into a shell."""
        return self.info[:1] == ("sh",)

    @property
    def file(self) -> str:
        """The file that a person writes; "" when it is none."""
        return self.info[1] if len(self.info) > 1 else ""

    @property
    def shells(self) -> list[str]:
        """Into which shells; without a word about it there is one."""
        return [name.strip() for name in self.marks.get("shell", "").split(",")]

    def missing(self, seen: str) -> str:
        """The first line of this block that is not seen behind those before it; "" when all are. `...` alone is any lines."""
        same = compared if "figures differ" in self.marks else squeezed
        found = [same(line) for line in seen.splitlines()]
        rest = found if "in any order" in self.marks else iter(found)
        for line in self.text.splitlines():
            if same(line) not in ("", "...") and same(line) not in rest:
                return line
        return ""

    def commands(self) -> list[str]:
        """What is typed, command by command."""
        return re.findall(r"(?:.*\\\n)*.+", self.text)


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page."""
    above = ""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if fence := FENCE.match(line):
            body = []
            for _, inside in lines:
                if inside.strip() == "```":
                    break
                body.append(inside.removeprefix(fence[1]))
            yield Block(number, tuple(fence[2].split()), "\n".join(body) + "\n", _marks(above))
        elif "ended" in _marks(line):
            yield Block(number, ("ended",), "", _marks(line))
        above = line


def _marks(line: str) -> dict[str, str]:
    comment = COMMENT.match(line)
    said = comment[1] if comment else ""
    parts = [said] if said.startswith(("not run:", "not compared:")) else said.split(";")  # a reason goes to the end
    pairs = (part.partition(":") for part in parts)
    return {word.strip(): value.strip() for word, _, value in pairs if word.strip() in WORDS}


# --- what is seen and what the page shows ---------------------------------------------------------------------------

FIGURE = re.compile(
    r"""[(~+-]?( \d[\d.,:/x-]*\s*(us|ms|s|kB|MB|GB|KiB|MiB|B|%|msg/s)? | (\d+[dhms])+ | \d{4}-\d\d-\d\dT[\d:.]+Z
    | [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} | [0-9a-f]{8}-\.\.\. | [▁▂▃▄▅▆▇█]+ )[),]*""",
    re.VERBOSE,
)
"""Times, sizes, counts, process ids, ports, ids of messages, and bars of a chart."""


def squeezed(line: str) -> str:
    """A line without the width of its columns."""
    return " ".join(line.split())


def compared(line: str) -> str:
    """The words of a line without its figures.

    >>> compared("  alarm (pid 3693)   ok      0/1000   0.0  793us  ▁▁▅"), compared("t1  23:53:48.968 devicetwin 35us handled  1c5f6f0a-...")
    ('alarm (pid ok', 't1 devicetwin handled')
    """
    return " ".join(word for word in line.split() if not FIGURE.fullmatch(word))
