"""`make house`: the structure of the package in figures: layers, files, lines, cycles, repeats.

    python tools/house.py [--check]

With --check it prints only what is over its limit; exit status 1 then. Cycles count imports under TYPE_CHECKING too: who reads one file of a
cycle has to read all of them.
"""

from __future__ import annotations

import ast
import configparser
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "kubeedge_actors"
SAME_LINES = 6
"""A function of fewer lines is too small to be a repeat."""
CRUMB_LINES = 30
"""A file of fewer lines has to have a reason."""
FILE_LINES, FUNCTION_LINES, FILES_IN_FOLDER = 400, 40, 20
CYCLES, REPEATS, CRUMBS = 0, 3, 5
"""How many there may be: today's numbers, which only become smaller."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


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


def functions(tree: ast.Module) -> list[Function]:
    """Every function of a file, methods and inner ones included."""
    found: list[Function] = []
    inside: list[ast.AST] = [tree]
    while inside:
        node = inside.pop()
        if isinstance(node, Function):
            found.append(node)
        inside.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.excepthandler))
    return sorted(found, key=lambda function: function.lineno)


def length(function: Function) -> int:
    """Its lines, the signature and the docstring included."""
    return (function.end_lineno or 0) - function.lineno + 1


def repeats(trees: Mapping[Path, ast.Module]) -> list[list[str]]:
    """Places of functions whose bodies are alike but for names and values."""
    alike: dict[str, list[tuple[str, Function]]] = defaultdict(list)
    for path, tree in trees.items():
        for function in functions(tree):
            if length(function) >= SAME_LINES and _body(function):
                outline = " ".join(type(node).__name__ for node in _body(function))
                alike[outline].append((f"{path}:{function.lineno} {function.name}", function))
    places: dict[str, list[str]] = defaultdict(list)
    for same in alike.values():
        for place, function in same if len(same) > 1 else ():
            places[_shape(function)].append(place)
    return [found for found in places.values() if len(found) > 1]


def _body(function: Function) -> list[ast.stmt]:
    """Without docstrings and `...`: nothing for a method of a protocol."""
    return [node for node in function.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]


def _shape(function: Function) -> str:
    """The kinds of its nodes, each with the number of nodes below it."""
    kinds: list[str] = []
    nodes: list[ast.AST] = list(_body(function))
    for node in nodes:
        below = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr_context)]
        kinds.append(f"{type(node).__name__}{len(below)}")
        nodes.extend(below)
    return " ".join(kinds)


def crumbs(lines: Mapping[Path, int], trees: Mapping[Path, ast.Module]) -> list[Path]:
    """Small files that define something; `__init__` and `__main__` have to be there."""
    return [
        path
        for path, count in lines.items()
        if count < CRUMB_LINES and not path.name.startswith("__") and any(map(_defines, trees[path].body))
    ]


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(name, ast.Name) and name.id != "__all__" for name in node.targets)
    return isinstance(node, Function | ast.ClassDef | ast.AnnAssign)


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


def over(
    lines: Mapping[Path, int],
    folders: Mapping[Path, int],
    trees: Mapping[Path, ast.Module],
    limited: Mapping[str, tuple[Sequence[object], int]],
) -> list[str]:
    """A sentence for each limit that is not kept. `limited`: what there is of each kind, and how many there may be."""
    lengths = {
        f"{path}:{function.lineno} {function.name}": length(function)
        for path, tree in trees.items()
        for function in functions(tree)
    }
    return [
        *_above(lines, FILE_LINES, "lines"),
        *_above(lengths, FUNCTION_LINES, "lines"),
        *_above(folders, FILES_IN_FOLDER, "files side by side"),
        *(
            f"{len(items)} {kind}, {most} at most: {'; '.join(map(str, items))}"
            for kind, (items, most) in limited.items()
            if len(items) > most
        ),
    ]


def _above(counts: Mapping[Any, int], most: int, unit: str) -> list[str]:
    return [f"{what}: {count} {unit}, {most} at most" for what, count in counts.items() if count > most]


def main(check: bool) -> int:
    """Print the figures, or with `check` only what is over its limit; 1 when something is."""
    files = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in sorted((ROOT / PACKAGE).rglob("*.py"))
    }
    trees = {path: ast.parse(source) for path, source in files.items()}
    lines = {path: source.count("\n") for path, source in files.items()}
    folders: dict[Path, int] = defaultdict(int)
    for path in lines:
        folders[path.parent] += path.name != "__init__.py"
    found, same, small = cycles(imports()), repeats(trees), crumbs(lines, trees)
    limited: dict[str, tuple[Sequence[object], int]] = {
        "cycles": (found, CYCLES),
        "repeats": (same, REPEATS),
        f"files below {CRUMB_LINES} lines": (small, CRUMBS),
    }
    wrong = over(lines, folders, trees, limited)
    if check:
        print(*wrong, sep="\n", end="\n" if wrong else "")
    else:
        figures(lines, folders, found, same)
        print(f"crumbs      {len(small)}", *(f"\n              {path} {lines[path]}" for path in small))
        print(f"over        {len(wrong)}", *(f"\n              {sentence}" for sentence in wrong))
    return 1 if wrong else 0


def figures(
    lines: Mapping[Path, int], folders: Mapping[Path, int], found: list[list[str]], same: list[list[str]]
) -> None:
    """Print what there is."""
    largest = sorted(lines, key=lambda path: -lines[path])[:5]
    crowded = sorted(folders, key=lambda folder: -folders[folder])[:3]
    print("layers     ", "\n            ".join(layers()))
    print(f"files       {len(lines)}, {sum(lines.values()):,} lines, median {statistics.median(lines.values()):.0f}")
    print("largest    ", ", ".join(f"{path} {lines[path]}" for path in largest))
    print("folders    ", ", ".join(f"{folder} {folders[folder]}" for folder in crowded), "files")
    for page in sorted((ROOT / "docs" / "explanation" / "walkthroughs").glob("*-*.md")):
        print(f"walkthrough {page.stem}: %d files in the table, %d in all, %d lines" % walkthrough(page))
    print(f"cycles      {len(found)}", *(f"\n              {' '.join(component)}" for component in found))
    print(f"repeats     {len(same)}", *(f"\n              {' ~ '.join(places)}" for places in same))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
