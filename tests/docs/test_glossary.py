"""docs/glossary.md is true: each word is defined where it says, and what a word has replaced does not come back."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\w+)` \| \[(\S+)\]\(\.\./(\S+)\) \|", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
REPLACED = (ROOT / "tests/docs/old_words.txt").read_text(encoding="utf-8").split()
"""Identifiers that a word of the glossary has replaced, and that nothing else is called."""


@cache
def defined_in(path: Path) -> frozenset[str]:
    """The names of a file: its own, its classes and functions, its constants, fields and enum members; no local variables."""
    names = {path.stem}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        if isinstance(node, ast.Module | ast.ClassDef):
            targets = [
                each.targets if isinstance(each, ast.Assign) else [each.target]
                for each in node.body
                if isinstance(each, ast.Assign | ast.AnnAssign)
            ]
            names |= {
                each.id
                for group in targets
                for target in group
                for each in ast.walk(target)
                if isinstance(each, ast.Name)
            }
    return frozenset(names)


def test_the_page_has_rows_and_each_word_once_in_a_file() -> None:
    assert len(ROWS) > 200
    assert len(ROWS) == len({(word, file) for word, _, file in ROWS})
    assert all(f"kubeedge_actors/{shown}" == file for _, shown, file in ROWS)


def test_a_word_is_defined_where_the_page_says() -> None:
    assert [(word, file) for word, _, file in ROWS if word not in defined_in(ROOT / file)] == []


def test_no_replaced_word_comes_back() -> None:
    files = (ROOT / "kubeedge_actors").rglob("*.py")
    back = {str(path.relative_to(ROOT)): defined_in(path) & set(REPLACED) for path in files}
    assert {file: words for file, words in back.items() if words} == {}
