"""`make house`: the structure of the package in figures: layers, files, lines, cycles, repeats. Exit status 1 for a cycle.

Cycles count imports under TYPE_CHECKING too: who reads one file of a cycle has to read all of them.
"""

from __future__ import annotations

import ast
import configparser
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "kubeedge_actors"
SAME_LINES = 6
"""A function of fewer lines is too small to be a repeat."""


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan), each sorted.

    >>> cycles({"a": {"b"}, "b": {"a", "c"}, "c": set()})
    [['a', 'b']]
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for imported in sorted(graph.get(module, ())):
            if imported not in index:
                visit(imported)
                low[module] = min(low[module], low[imported])
            elif imported in stack:
                low[module] = min(low[module], index[imported])
        if low[module] == index[module]:
            component = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(component) > 1:
                found.append(sorted(component))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def imports(package: str = PACKAGE) -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports; a package's `__init__` that only re-exports is left out."""
    graph = grimp.build_graph(package, cache_dir=None)
    modules = {module for module in graph.modules if (ROOT / f"{module.replace('.', '/')}.py").exists()}
    return {module: graph.find_modules_directly_imported_by(module) & modules for module in modules}


def repeats(files: dict[Path, str]) -> list[list[str]]:
    """Places of functions whose bodies are alike but for names and values."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, source in files.items():
        for function in _functions(ast.parse(source)):
            lines = (function.end_lineno or 0) - function.lineno + 1
            if lines >= SAME_LINES and _does_something(function):
                places[_shape(function)].append(f"{path}:{function.lineno} {function.name}")
    return [found for found in places.values() if len(found) > 1]


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _does_something(function: ast.FunctionDef) -> bool:
    """False for a method of a protocol: a docstring, or `...`."""
    return not all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in function.body)


def _shape(function: ast.FunctionDef) -> str:
    body = [node for node in function.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    copy = ast.parse(ast.unparse(ast.Module(body=body, type_ignores=[])))
    for node in ast.walk(copy):
        for field in ("id", "attr", "arg", "value", "name"):
            if isinstance(getattr(node, field, None), str | int | float | bytes):
                setattr(node, field, "_")
    return ast.dump(copy)


def walkthrough(page: Path) -> tuple[int, int, int]:
    """Of a page of docs/explanation/walkthroughs: files of the table, files of table and lists, lines of the latter."""
    text = page.read_text(encoding="utf-8")
    table, listed = (
        {
            file
            for row in re.findall(rf"^{mark} .*$", text, re.MULTILINE)
            for file in re.findall(r"/(kubeedge_actors/\S+\.py)\)", row)
        }
        for mark in (r"\|", r"\*")
    )
    files = table | listed
    return len(table), len(files), sum((ROOT / file).read_text(encoding="utf-8").count("\n") for file in files)


def layers() -> list[str]:
    """The layers of the import contract, from the top."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    text = parser["importlinter:contract:layers"]["layers"]
    return [line.strip().replace(f"{PACKAGE}.", "") for line in text.splitlines() if line.strip()]


def main() -> int:
    """Print the figures; 1 when there is a cycle."""
    files = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in sorted((ROOT / PACKAGE).rglob("*.py"))
    }
    lines = {path: source.count("\n") for path, source in files.items()}
    largest = sorted(lines, key=lambda path: -lines[path])[:5]
    folders: dict[Path, int] = defaultdict(int)
    for path in lines:
        folders[path.parent] += path.name != "__init__.py"
    crowded = sorted(folders, key=lambda folder: -folders[folder])[:3]
    found, same = cycles(imports()), repeats(files)
    print("layers     ", "\n            ".join(layers()))
    print(f"files       {len(files)}, {sum(lines.values()):,} lines, median {statistics.median(lines.values()):.0f}")
    print("largest    ", ", ".join(f"{path} {lines[path]}" for path in largest))
    print("folders    ", ", ".join(f"{folder} {folders[folder]}" for folder in crowded), "files")
    for page in sorted((ROOT / "docs" / "explanation" / "walkthroughs").glob("*-*.md")):
        print(f"walkthrough {page.stem}: %d files in the table, %d in all, %d lines" % walkthrough(page))
    print(f"cycles      {len(found)}", *(f"\n              {' '.join(component)}" for component in found))
    print(f"repeats     {len(same)}", *(f"\n              {' ~ '.join(places)}" for places in same))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
