"""The page about security names tests: each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(("path", "function"), NAMED)
def test_a_test_that_the_page_names_exists(path: str, function: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert f"def {function or 'test_'}" in text


@pytest.mark.parametrize("heading", ["Who may do what", "The doors", "Beside KubeEdge"])
def test_every_row_of_a_table_of_promises_names_one(heading: str) -> None:
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| Who |")]
    bare = [row for row in rows if "held by" not in row and "`tests/" not in row]
    assert [row for row in bare if "a pod as a process" not in row] == []
