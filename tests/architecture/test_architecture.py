"""The architecture is executed: what the import contracts in setup.cfg cannot say."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import kubeedge_actors

PACKAGE = Path(kubeedge_actors.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# The language of the messages is everywhere by design; a test framework's plugin is not a library of the product.
SHARED = {"msgspec"}
TWICE = {"cryptography": {"drivers/pki/x509.py", "osutil/cipher.py"}}
"""Certificates are a driver; secrets at rest are in the databases of a driver and of the embedded API, which know nothing of each other."""


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names


def test_a_third_party_library_is_imported_in_one_file() -> None:
    users: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        for name in _imported(_tree(path)) - set(sys.stdlib_module_names) - SHARED - {"kubeedge_actors"}:
            users[name].add(str(path.relative_to(PACKAGE)))
    assert {name: files for name, files in users.items() if len(files) > 1} == TWICE
    assert {"pykka", "amqtt", "peewee", "websocket"} <= set(users)


def _too_long(path: Path) -> Iterator[str]:
    """What of a file does not fit the house."""
    if path.read_text(encoding="utf-8").count("\n") > 400:
        yield str(path)
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 40:
            yield f"{path}:{node.lineno}: {node.name}"


def test_files_and_functions_fit_the_house() -> None:
    assert [each for path in FILES for each in _too_long(path)] == []


def test_folders_begin_with_a_fence() -> None:
    folders = [path for path in PACKAGE.rglob("*") if path.is_dir() and path.name != "__pycache__"]
    fences = {folder: ast.get_docstring(_tree(folder / "__init__.py")) or "" for folder in folders}
    assert [str(folder) for folder, fence in fences.items() if len(fence) <= 40] == []


def test_no_actor_imports_another_actor() -> None:
    actors = PACKAGE / "actors"
    for path in actors.rglob("*.py"):
        own = path.relative_to(actors).parts[0].removesuffix(".py")
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kubeedge_actors.actors."):
                assert (node.module or "").split(".")[2] == own, f"{path.name} imports {node.module}"


def test_actors_know_no_concrete_driver() -> None:
    for path in (PACKAGE / "actors").rglob("*.py"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kubeedge_actors.drivers"):
                assert (node.module or "").endswith(".base"), f"{path.name} imports {node.module}"


def _module_functions_of_random(tree: ast.Module) -> set[str]:
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            used.add(node.attr)
    return used - {"Random", "SystemRandom"}


def test_each_user_of_chance_has_a_generator_of_its_own() -> None:
    """The one of the module `random` is shared with everybody in the process, who may seed it or count on its state."""
    shared = {str(path): _module_functions_of_random(_tree(path)) for path in FILES}
    assert {path: names for path, names in shared.items() if names} == {}
