"""The page of pods has the table of fields as the program has it. To write it anew: python -m tests.docs.test_pod_fields"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from kubeedge_actors.actors.edged.fields.field import Field
from kubeedge_actors.actors.edged.fields.table import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "pods.md"
TABLES = re.compile(r"(<!-- fields -->\n).*?(<!-- end of fields -->)", re.DOTALL)
HEAD = "| Field | Docker | Processes | |\n|---|---|---|---|\n"


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def table() -> str:
    """The tables as the page has them: one for each type, a row for neighbours that are alike."""
    parts = (f"\n**{type}**\n\n{HEAD}{_rows(fields)}" for type, fields in TABLE.items())
    return "".join(parts) + "\n"


def _rows(fields: tuple[Field, ...]) -> str:
    alike = itertools.groupby(fields, lambda field: (field.docker, field.process, field.note, bool(field.type)))
    return "".join(
        f"| {', '.join(_name(field) for field in group)} | {docker} | {process} | {note} |\n"
        for (docker, process, note, _), group in alike
    )


def _name(field: Field) -> str:
    return f"`{field.name}` ({field.type})" if field.type else f"`{field.name}`"


def written_anew(text: str) -> str:
    """The page with the table of today."""
    return TABLES.sub(lambda block: f"{block[1]}{table()}{block[2]}", text)


def test_the_page_has_the_table_of_the_program() -> None:
    assert TABLES.search(page())
    assert written_anew(page()) == page(), "python -m tests.docs.test_pod_fields writes it anew"


if __name__ == "__main__":
    PAGE.write_text(written_anew(page()), encoding="utf-8")
