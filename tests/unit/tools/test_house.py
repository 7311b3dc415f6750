"""The figures of the structure (tools/house.py): what is a repeat, a crumb, a cycle, and over its limit."""

from __future__ import annotations

import ast
import doctest
import importlib
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[3] / "tools"
LOOP = """
def {name}({items}):
    {total} = 0
    for {item} in {items}:
        if {item} > {least}:
            {total} += {item}
    return {total}
"""


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("house")


def trees(**sources: str) -> dict[Path, ast.Module]:
    return {Path(f"{name}.py"): ast.parse(textwrap.dedent(source)) for name, source in sources.items()}


def test_the_examples_in_the_docstrings_hold(house: ModuleType) -> None:
    assert doctest.testmod(house).failed == 0


def test_functions_that_differ_in_names_and_values_repeat_each_other(house: ModuleType) -> None:
    first = LOOP.format(name="hot", items="degrees", item="degree", total="warm", least=30)
    second = LOOP.format(name="big", items="sizes", item="size", total="sum_of_big", least=1_000)
    assert house.repeats(trees(a=first, b=second)) == [["a.py:2 hot", "b.py:2 big"]]


@pytest.mark.parametrize(("old", "new"), [("if degree > 30", "if degree < 30"), ("warm += degree", "warm -= degree")])
def test_another_operator_is_no_repeat(old: str, new: str, house: ModuleType) -> None:
    first = LOOP.format(name="hot", items="degrees", item="degree", total="warm", least=30)
    assert old in first
    assert house.repeats(trees(a=first, b=first.replace(old, new))) == []


def test_methods_of_protocols_repeat_nothing(house: ModuleType) -> None:
    protocol = 'class P:\n    def get(self):\n        """One.\n\n\n\n\n\n        Two.\n        """\n        ...\n'
    assert house.repeats(trees(a=protocol, b=protocol)) == []


def test_a_small_file_that_defines_something_is_a_crumb(house: ModuleType) -> None:
    parsed = trees(
        constants="A = 1", function="def f(): ...", names="from x import y\n__all__ = ['y']", __init__="A = 1"
    )
    assert house.crumbs(dict.fromkeys(parsed, 29), parsed) == [Path("constants.py"), Path("function.py")]
    assert house.crumbs(dict.fromkeys(parsed, 30), parsed) == []


def test_what_is_over_its_limit_is_said(house: ModuleType) -> None:
    long = "def f():\n" + "    a = 1\n" * house.FUNCTION_LINES
    lines = {Path("a.py"): house.FILE_LINES + 1, Path("b.py"): house.FILE_LINES}
    folders = {Path("wide"): house.FILES_IN_FOLDER + 1}
    assert house.over(lines, folders, trees(a=long), {"cycles": (["x y"], 0), "crumbs": (["z"], 1)}) == [
        f"a.py: {house.FILE_LINES + 1} lines, 400 at most",
        "a.py:1 f: 41 lines, 40 at most",
        "wide: 21 files side by side, 20 at most",
        "1 cycles, 0 at most: x y",
    ]
