"""The page of the commands tells what the commands tell themselves. To write its usages anew: python -m tests.test_reference"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from unittest import mock

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"
BLOCK = re.compile(r"```\n(usage: .*?)```", re.DOTALL)
PROGRAM = re.compile(r"usage: python -m (kubeedge_actors\S*((?: [a-z]+)*))")
COLUMNS = "110"


def usages() -> list[str]:
    """The usages on the page."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def told(usage: str) -> str:
    """What the command of a usage tells of itself, as root and in a terminal of that width."""
    found = PROGRAM.match(usage)
    assert found is not None, usage[:100]
    path, *words = found[1].split()
    where = {
        "kubeedge_actors": "kubeedge_actors.__main__",
        "kubeedge_actors.dashboard": "kubeedge_actors.dashboard.__main__",
    }
    out = io.StringIO()
    as_root = mock.patch.object(os, "geteuid", lambda: 0)
    wide = mock.patch.dict(os.environ, {"COLUMNS": COLUMNS, "NO_COLOR": "1"})
    asked = mock.patch.object(sys, "argv", [path, *words, "--help"])
    with contextlib.redirect_stdout(out), as_root, wide, asked, contextlib.suppress(SystemExit):  # argparse ends by it
        import_module(where.get(path, path)).main([*words, "--help"])
    return out.getvalue()


@pytest.mark.parametrize("usage", usages(), ids=lambda usage: PROGRAM.match(usage)[1])  # type: ignore[index]
def test_a_usage_on_the_page_is_what_the_command_tells(usage: str) -> None:
    assert told(usage).split() == usage.split()


def test_every_command_is_on_the_page() -> None:
    from kubeedge_actors.__main__ import COMMANDS

    names = {PROGRAM.match(usage)[1].replace(".", " ") for usage in usages()}  # type: ignore[index]
    assert {f"kubeedge_actors {command}" for command in COMMANDS} <= names


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda block: f"```\n{told(block[1])}```", text), encoding="utf-8")
