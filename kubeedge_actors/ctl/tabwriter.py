"""Columns as kubectl's describe aligns them: the cells of a column in neighbouring lines begin at the same place (Go's text/tabwriter). Pure."""

from __future__ import annotations

from collections.abc import Sequence

GAP = 2
"""Spaces behind the widest cell of a column."""


def align(lines: Sequence[str]) -> str:
    """Lines whose cells are ended by tabs; what stands behind the last tab of a line belongs to no column.

    >>> print(align(["Name:\\tweb", "Namespace:\\tdefault", "Containers:", "  a:"]))
    Name:       web
    Namespace:  default
    Containers:
      a:
    """
    cells = [line.split("\t") for line in lines]
    widths: list[list[int]] = [[] for _ in cells]
    _measure(cells, widths, 0, len(cells), 0)
    return "\n".join(
        ("".join(cell.ljust(width) for cell, width in zip(row, widths[index], strict=False)) + row[-1])
        for index, row in enumerate(cells)
    )


def _measure(cells: list[list[str]], widths: list[list[int]], start: int, end: int, column: int) -> None:
    """Widths of a column in lines from `start` to `end`, block by block, and of those behind it in each block."""
    line = start
    while line < end:
        if column >= len(cells[line]) - 1:
            line += 1
            continue
        first = line
        while line < end and column < len(cells[line]) - 1:
            line += 1
        widest = max(len(cells[each][column]) for each in range(first, line))
        for each in range(first, line):
            widths[each].append(widest + GAP if widest else 0)
        _measure(cells, widths, first, line, column + 1)
