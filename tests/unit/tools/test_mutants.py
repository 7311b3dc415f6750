"""The tool that looks for holes in the tests (tools/mutants.py): what it changes, what it judges, and that it changes a copy only."""

from __future__ import annotations

import doctest
import importlib
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[3] / "tools"


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))


@pytest.fixture
def mutants(tools: None) -> ModuleType:
    return importlib.import_module("mutants")


@pytest.fixture
def mutations(tools: None) -> ModuleType:
    return importlib.import_module("_mutations")


def test_the_examples_in_the_docstrings_hold(mutants: ModuleType, mutations: ModuleType) -> None:
    assert [doctest.testmod(module).failed for module in (mutants, mutations)] == [0, 0]


@pytest.mark.parametrize(("code", "changed"), [
    ("return a < b", ["return None", "return (a <= b)"]),
    ("return a and not b", ["return None", "return (a or not b)", "return a and (b)"]),
    ("if a: return", ["if (not (a)): return"]),
    ("if a is None: return", ["if (a is not None): return"]),
    ("a.b = 1", ["pass", "a.b = (2)"]),
    ("a += 1", ["a -= 1", "a += (2)"]),
    ("a.close()", ["pass"]),
    ("raise a", ["pass"]),
    ("for c in a: break", ["for c in a: continue"]),
    ("return b if a else c", ["return None", "return (c if a else b)"]),
    ("return f'{a + b}'", ["return None"]),
    ("return 'é' + a[1]", ["return None", "return 'é' + a[(2)]"]),
    ("log.debug(a + 1)", []),
    ("assert a == b", []),
    ("'a text'", []),
    ("c: int | None = a", []),
])  # fmt: skip
def test_the_mistakes_that_are_made_in_a_statement(mutations: ModuleType, code: str, changed: list[str]) -> None:
    source = f"def f(a, b):\n    {code}\n".encode()
    lines = [mutation.apply(source).decode().splitlines()[1].strip() for mutation in mutations.mutations(source)]
    assert lines == changed


def test_nothing_outside_of_functions_is_changed_and_each_place_once(mutations: ModuleType) -> None:
    source = textwrap.dedent('''
        LIMIT = 5

        class A:
            size = 1 + 1

            @decorated(3)
            def f(self, a: int = 4) -> bool:
                """Not 5 < 6."""
                def inner(b):
                    return b - 1
                return inner(a)

            def __repr__(self):
                return str(7)
    ''').encode()
    places = [(mutation.line, mutation.before) for mutation in mutations.mutations(source)]
    assert places == [(11, "return b - 1"), (11, "b - 1"), (11, "1"), (12, "return inner(a)")]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one function and a test that notices some of what may go wrong with it."""
    root = tmp_path / "tree"
    code, tests = root / "kubeedge_actors" / "wire", root / "tests" / "unit" / "wire"
    for folder in (code, tests):
        folder.mkdir(parents=True)
    (code / "sums.py").write_text(
        "def add(a, b):\n    if a > 100:\n        return 100\n    return a + b\n\n\ndef never(a):\n    return a - 1\n"
    )
    (tests / "test_sums.py").write_text(
        "import sys; sys.path.insert(0, 'kubeedge_actors/wire')\nfrom sums import add\n\n\n"
        "def test_add():\n    assert add(1, 2) == 3\n\n\ndef test_much():\n    assert add(200, 0) == 100\n"
    )
    (root / "setup.cfg").write_text("[coverage:run]\nsource = kubeedge_actors\nparallel = True\n")
    return root


def test_each_mutant_is_tried_with_the_tests_of_its_line_and_the_tree_stays_as_it_is(
    mutants: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mutants, "ROOT", tree)
    before = (tree / "kubeedge_actors/wire/sums.py").read_bytes()
    assert mutants.main(["--only", "kubeedge_actors/wire/sums.py:2"]) == 0
    tried, left = capsys.readouterr().out.split("\n\n")
    killed = (
        "killed    kubeedge_actors/wire/sums.py:2: a > 100 -> (not (a > 100))  (tests/unit/wire/test_sums.py::test_"
    )
    assert killed in tried
    assert left.splitlines() == [
        "SURVIVED  kubeedge_actors/wire/sums.py:2: a > 100 -> (a >= 100)  (2 tests pass)",
        "SURVIVED  kubeedge_actors/wire/sums.py:2: 100 -> (101)  (2 tests pass)",
        "wire: 1 of 3 noticed",
        "score: 33% of 3 mutants",
    ]
    assert mutants.main(["--only", "kubeedge_actors/wire/sums.py:8"]) == 0
    output = capsys.readouterr().out
    assert "UNREACHED kubeedge_actors/wire/sums.py:8: a - 1 -> (a + 1)  (no test comes here)" in output
    assert output.endswith("wire: 0 of 3 noticed\nscore: 0% of 3 mutants\n")
    assert (tree / "kubeedge_actors/wire/sums.py").read_bytes() == before


def test_with_tests_that_somebody_names_nothing_is_measured(mutants: ModuleType, tree: Path) -> None:
    given = mutants._tests(tree, "wire", ["tests/unit/wire/test_sums.py"])
    assert given.of("kubeedge_actors/wire/sums.py", 3) == ["tests/unit/wire/test_sums.py"]
    assert not (tree / mutants.CACHE).exists()


def test_each_area_has_code_and_tests(mutants: ModuleType) -> None:
    places = [place for area in mutants.AREAS.values() for place in (area.code, *area.tests)]
    assert [place for place in places if not (TOOLS.parent / place).exists()] == []


def test_the_same_seed_is_the_same_sample(mutants: ModuleType, tree: Path) -> None:
    area = mutants.AREAS["wire"]
    first, again, other = (mutants.sample(tree, area, 4, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(mutants.sample(tree, area, 1_000, 1)) == 10


def test_the_time_is_bounded(mutants: ModuleType, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.try_all(mutants.named(tree, "kubeedge_actors/wire/sums.py"), None, until=0.0) == []
    assert "the time is over: 10 are left out" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["kubeedge_actors/wire/none.py", "kubeedge_actors/wire/sums.py:1", "setup.cfg"])
def test_a_place_where_nothing_can_be_changed_is_told(
    mutants: ModuleType, tree: Path, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mutants, "ROOT", tree)
    assert mutants.main(["--only", place]) == 2
    assert capsys.readouterr().err.startswith("mutants: ")


@pytest.fixture(autouse=True)
def _forget() -> object:
    """The modules of the tools have names that others may use."""
    yield
    for name in ("mutants", "_mutations", "_reach", "_reach_plugin", "_areas"):
        sys.modules.pop(name, None)
