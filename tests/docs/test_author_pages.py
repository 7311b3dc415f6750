"""The Python on the pages for authors of modules is executed, block after block of a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("page", ["messages.md", "modules.md"])
def test_the_python_on_a_page_does_what_it_says(page: str) -> None:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert examples
    namespace: dict[str, object] = {"__name__": page.partition(".")[0]}
    for example in examples:
        exec(compile(example, page, "exec"), namespace)
