"""docs/reference/guarantees.md lists each promise with the tests that hold it."""

import re
from pathlib import Path

import pytest

from tests.support.env.supervisors import ENGINES

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| G(\d+) \| .+ \| `(tests/[\w/]+\.py)`[^|]* \| (all|threads)", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs/reference/guarantees.md").read_text(encoding="utf-8"))


def test_each_promise_is_on_the_page_once() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, len(ROWS) + 1))


@pytest.mark.parametrize(("number", "file", "engines"), ROWS, ids=[f"G{number}" for number, _, _ in ROWS])
def test_a_promise_is_held_by_tests_on_the_engines_that_the_page_names(number: str, file: str, engines: str) -> None:
    held_by = re.findall(rf"^def test_g{number}_\w+\((\w*)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert held_by, f"no test in {file} is named after G{number}"
    if engines == "all":  # these fixtures run on each engine in turn
        assert {"env", "life"} & set(held_by)
        assert set(ENGINES) == {"inline", "threads", "hosts"}


def test_no_test_is_named_after_a_promise_that_does_not_exist() -> None:
    named = {
        int(number)
        for path in ROOT.glob("tests/**/test_*.py")
        for number in re.findall(r"^def test_g(\d+)_", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named == {int(number) for number, _, _ in ROWS}
