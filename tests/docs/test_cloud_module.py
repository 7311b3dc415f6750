"""docs/how-to/write-a-cloud-module.md: its Python, block after block."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-cloud-module.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_python_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 2
    page = types.ModuleType("page_of_cloud_modules")
    monkeypatch.setitem(sys.modules, page.__name__, page)  # where annotations of its messages are looked up
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), vars(page))
