"""The page of the commands tells what the commands tell themselves. To write it anew: python -m tests.docs.test_reference"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from unittest import mock

import pytest

from kubeedge_actors.__main__ import main
from kubeedge_actors.options.cloud import CLOUD
from kubeedge_actors.options.edge import EDGE
from kubeedge_actors.options.parsers import COMMANDS, SCRIPT
from kubeedge_actors.options.setting import Setting, SettingsTable
from kubeedge_actors.options.value_kinds import YES_OR_NO

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
TABLES = {"cloud": CLOUD, "edge": EDGE}
BLOCK = re.compile(r"```\n(usage: .*?)```", re.DOTALL)
PROGRAM = re.compile(rf"usage: {SCRIPT}((?: [a-z]+)*)")
SETTINGS = re.compile(r"(<!-- settings of (\w+) -->\n).*?(<!-- end of settings -->)", re.DOTALL)
COLUMNS = "110"


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def as_root() -> contextlib.AbstractContextManager[object]:
    """The defaults of the page are root's."""
    return mock.patch.object(os, "geteuid", lambda: 0)


def told(usage: str) -> str:
    """What the command of a usage tells of itself, as root and in a terminal of that width."""
    found = PROGRAM.match(usage)
    assert found is not None, usage[:100]
    words = [*found[1].split(), "--help"]
    out = io.StringIO()
    wide = mock.patch.dict(os.environ, {"COLUMNS": COLUMNS, "NO_COLOR": "1"})
    asked = mock.patch.object(sys, "argv", [SCRIPT, *words])
    with (
        contextlib.redirect_stdout(out),
        as_root(),
        wide,
        asked,
        contextlib.suppress(SystemExit),
    ):  # argparse ends by it
        main(words)
    return out.getvalue()


def settings_of(table: SettingsTable) -> str:
    """The settings of a command as the page has them: a table for each group."""
    with as_root():
        return "".join(f"\n**{title or 'Itself'}**\n\n{_rows(table, group)}" for title, group in table.groups.items())


def _rows(table: SettingsTable, group: tuple[Setting, ...]) -> str:
    rows = (f"| {_option(each)} | {_key(each)} | {table.help(each)} |\n" for each in group)
    return "| Option | Key | |\n|---|---|---|\n" + "".join(rows)


def _option(setting: Setting) -> str:
    if setting.no_option:
        return f"none: {setting.no_option}"
    if setting.kind is YES_OR_NO:
        return f"`{setting.flag}`, `--no-{setting.name}`"
    value = setting.kind.metavar
    return f"`{setting.flag} {f'[{value}]' if setting.bare else value}`"


def _key(setting: Setting) -> str:
    return f"none: {setting.no_key}" if setting.no_key else f"`{setting.name}`{', a list' if setting.kind.many else ''}"


def written_anew(text: str) -> str:
    """The page with what the program tells today."""
    text = BLOCK.sub(lambda block: f"```\n{told(block[1])}```", text)
    return SETTINGS.sub(lambda block: f"{block[1]}{settings_of(TABLES[block[2]])}\n{block[3]}", text)


@pytest.mark.parametrize("usage", BLOCK.findall(page()), ids=lambda usage: PROGRAM.match(usage)[0])  # type: ignore[index]
def test_a_usage_on_the_page_is_what_the_command_tells(usage: str) -> None:
    assert told(usage).split() == usage.split()


@pytest.mark.parametrize("command", TABLES)
def test_the_settings_on_the_page_are_those_of_the_table(command: str) -> None:
    (shown,) = (block for block in SETTINGS.finditer(page()) if block[2] == command)
    assert shown[0] == f"{shown[1]}{settings_of(TABLES[command])}\n{shown[3]}"


def test_every_command_is_on_the_page() -> None:
    told_of = {found[1].split()[0] for found in map(PROGRAM.match, BLOCK.findall(page())) if found and found[1]}
    assert told_of | TABLES.keys() == COMMANDS.keys()


if __name__ == "__main__":
    PAGE.write_text(written_anew(page()), encoding="utf-8")
