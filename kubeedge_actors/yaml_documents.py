"""YAML from outside: safely read, within the depth limit, the library loaded only when there is something to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kubeedge_actors.depth_limit import MAX_DEPTH

if TYPE_CHECKING:
    from yaml import Node, SafeLoader


UNREADABLE = (ArithmeticError, AttributeError, LookupError, ValueError)
"""What the library lets through when a value is not of the type of its tag: the day 2001-01-00, `!!bool 7`."""


class NotYaml(ValueError):
    """The text is no YAML, or nested too deeply; `line` counts from 1, 0 when it is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def yaml_document(text: str) -> Any:
    """The only document of a YAML text, safely read. Errors: NotYaml."""
    with _translated() as loader:
        return import_yaml().load(text, loader)


def yaml_documents(text: str) -> list[Any]:
    """All documents of a YAML text, safely read. Errors: NotYaml."""
    with _translated() as loader:
        return list(import_yaml().load_all(text, loader))


def import_yaml() -> ModuleType:
    """The library, loaded when there is something to read: it costs an idle edge 1.7 MB."""
    import yaml

    return yaml


@contextmanager
def _translated() -> Iterator[type[SafeLoader]]:
    library = import_yaml()
    try:
        yield _loader(library.SafeLoader)
    except library.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise NotYaml(str(error), mark.line + 1 if mark else 0) from error


def _loader(safe: type[SafeLoader]) -> type[SafeLoader]:
    class Loader(safe):  # type: ignore[misc, valid-type]
        depth = 0

        def compose_node(self, parent: Node | None, index: int) -> Any:
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise NotYaml(f"nested more than {MAX_DEPTH} levels deep", self.line + 1)
            try:
                return super().compose_node(parent, index)
            finally:
                self.depth -= 1

        def construct_object(self, node: Node, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except UNREADABLE as error:
                if isinstance(error, NotYaml):
                    raise
                kind = node.tag.replace("tag:yaml.org,2002:", "!!")
                raise NotYaml(f"{node.value!r:.60} is no {kind}", node.start_mark.line + 1) from error

    return Loader
