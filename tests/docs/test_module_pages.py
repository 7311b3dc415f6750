"""docs/reference/modules is true: each module has a page, and the page lists the messages that its actors declare."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kubeedge_actors import actors
from kubeedge_actors.module import Module
from kubeedge_actors.options.cloud import CLOUD
from kubeedge_actors.options.edge import EDGE

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference" / "modules"
SHARED = "kubeedge_actors.wire."
"""A message that is defined here is between modules, any other one is a module's own: a timer, an event of its driver."""
CODE = re.compile(r"`(\w+)`")
PAGE = re.compile(r"\((\w+)\.md\)")
LINK = re.compile(r"\]\(([^)#:]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
OPTION = re.compile(r"`(--[\w-]+)`")
OPTIONS = {setting.flag for table in (CLOUD, EDGE) for setting in table}


def actors_by_module() -> dict[str, dict[str, type[Module]]]:
    """The actor classes of each module, by the name of its folder or file below `actors/`."""
    found: dict[str, dict[str, type[Module]]] = defaultdict(dict)
    for file in pkgutil.walk_packages(actors.__path__, f"{actors.__name__}."):
        here = importlib.import_module(file.name)
        for each in vars(here).values():
            if isinstance(each, type) and issubclass(each, Module) and each.__module__ == file.name:
                found[file.name.split(".")[2]][each.__name__] = each
    return dict(found)


ACTORS = actors_by_module()
NAMES = sorted(ACTORS)


def names(types: tuple[type, ...], *, shared: bool) -> set[str]:
    """The names of those that are between modules, or of the others."""
    return {each.__name__ for each in types if each.__module__.startswith(SHARED) is shared}


class Row(NamedTuple):
    """One row of a table of messages."""

    messages: frozenset[str]
    modules: tuple[str, ...]


class Page:
    """The page of one module."""

    def __init__(self, module: str) -> None:
        self.text = (PAGES / f"{module}.md").read_text(encoding="utf-8")
        title = self.text.splitlines()[0].removeprefix("# ")
        self.actor = ACTORS[module][title]
        self.others = {name: each for name, each in ACTORS[module].items() if name != title}

    def table(self, first: str) -> list[list[str]]:
        """The rows of the table whose first column is called so; none without such a table."""
        body = re.search(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", self.text, re.MULTILINE)
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in body[1].splitlines()] if body else []

    def rows(self, first: str) -> Iterator[Row]:
        """The messages of a table with the modules that are at their other end."""
        for cells in self.table(first):
            yield Row(frozenset(CODE.findall(cells[0])), tuple(PAGE.findall(cells[1])))

    def messages(self, first: str) -> list[str]:
        """The messages of a table, in the order of the page."""
        return [name for cells in self.table(first) for name in CODE.findall(cells[0])]

    def own(self) -> list[str]:
        """The messages that the actor sends itself, or gets from its threads and timers."""
        line = re.search(r"^Own: (.*)$", self.text, re.MULTILINE)
        return CODE.findall(line[1]) if line else []


def test_each_module_has_a_page_and_each_page_a_module() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README") == NAMES


def test_the_first_page_leads_to_each() -> None:
    assert sorted(PAGE.findall((PAGES / "README.md").read_text(encoding="utf-8"))) == NAMES


@pytest.mark.parametrize("module", NAMES)
def test_a_page_lists_each_message_that_its_actor_accepts_and_emits_once(module: str) -> None:
    page = Page(module)
    accepts, emits = page.actor.accepts(), page.actor.emits
    assert sorted(page.messages("In")) == sorted(names(accepts, shared=True))
    assert sorted(page.messages("Out")) == sorted(names(emits, shared=True))
    assert sorted(page.own()) == sorted(names(accepts, shared=False) | names(emits, shared=False))


@pytest.mark.parametrize("module", NAMES)
def test_a_page_lists_the_other_actors_of_its_module(module: str) -> None:
    page = Page(module)
    rows = {CODE.findall(cells[0])[0]: cells for cells in page.table("Other actor")}
    assert rows.keys() == page.others.keys()
    for name, (_, taken, sent) in rows.items():
        actor = page.others[name]
        expected = (
            names(page.actor.accepts(), shared=True)
            if taken == f"as `{page.actor.__name__}`"
            else set(CODE.findall(taken))
        )
        assert expected == {each.__name__ for each in actor.accepts()}, name
        assert set(CODE.findall(sent)) == {each.__name__ for each in actor.emits}, name


@pytest.mark.parametrize("module", NAMES)
def test_the_module_at_the_other_end_of_a_message_has_it_too(module: str) -> None:
    page = Page(module)
    for row in page.rows("In"):
        for sender in row.modules:
            assert row.messages <= {each.__name__ for actor in ACTORS[sender].values() for each in actor.emits}, sender
    for row in page.rows("Out"):
        for receiver in row.modules:
            taken = {each.__name__ for actor in ACTORS[receiver].values() for each in actor.accepts()}
            assert row.messages <= taken, receiver


@pytest.mark.parametrize("module", NAMES)
def test_promises_name_tests_links_lead_somewhere_and_options_exist(module: str) -> None:
    page = Page(module)
    assert len(page.text.splitlines()) <= 80
    promises = page.table("Promise")
    assert len(promises) >= 3
    for _, cell in promises:
        ((file, test),) = TEST.findall(cell)
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test
    assert [link for link in LINK.findall(page.text) if not (PAGES / link).exists()] == []
    assert set(OPTION.findall(page.text)) <= OPTIONS
