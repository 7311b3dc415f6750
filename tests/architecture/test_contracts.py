"""No part of the package is forgotten by the import contracts in setup.cfg."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

import kubeedge_actors

PACKAGE = Path(kubeedge_actors.__file__).parent
LAYERED = {
    "layers": ".",
    "control": "control",
    "drivers": "drivers",
    "process": "supervisors/engines/process",
    "settings": "options",
    "supervisors": "supervisors",
}
"""The contract that orders the files of a folder."""
NAMING = ("layers", "modules", "source_modules")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
FOLDERS = sorted(
    {parent for path in FILES for parent in path.relative_to(PACKAGE).parents if 1 <= len(parent.parts) <= 2}
)


@pytest.fixture(scope="module")
def contracts() -> dict[str, set[str]]:
    """The modules that each contract restricts, by its key."""
    parser = configparser.ConfigParser()
    parser.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    return {
        section.rpartition(":")[2]: {
            word for field in NAMING for word in parser[section].get(field, "").split() if word != "|"
        }
        for section in parser.sections()
        if section.startswith("importlinter:contract:")
    }


def _dotted(path: Path) -> str:
    return ".".join((PACKAGE.name, *path.with_suffix("").parts))


@pytest.mark.parametrize(("key", "folder"), LAYERED.items(), ids=LAYERED.values())
def test_each_file_has_its_place_in_the_layers(key: str, folder: str, contracts: dict[str, set[str]]) -> None:
    placed = contracts[key]
    files = [_dotted(path.relative_to(PACKAGE)) for path in FILES if path.is_relative_to(PACKAGE / folder)]
    assert [file for file in files if not any(f"{file}.".startswith(f"{each}.") for each in placed)] == []


def test_each_folder_is_named_or_something_in_it(contracts: dict[str, set[str]]) -> None:
    named = set().union(*contracts.values())
    folders = [_dotted(folder) for folder in FOLDERS]
    assert len(folders) > 40
    assert [folder for folder in folders if not any(f"{each}.".startswith(f"{folder}.") for each in named)] == []


def test_what_is_named_is_there(contracts: dict[str, set[str]]) -> None:
    for name in set().union(*contracts.values()):
        place = PACKAGE.parent / name.replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").exists(), name
