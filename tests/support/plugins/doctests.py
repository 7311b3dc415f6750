"""Searches only those files for examples that have one: the others need not be imported, nor taken apart, by each worker."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule

EXAMPLE = b">>> "


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Leave out the search for examples where there are none."""
    found = yield
    if any(isinstance(each, DoctestModule) for each in found) and EXAMPLE not in file_path.read_bytes():
        return [each for each in found if not isinstance(each, DoctestModule)]
    return found
