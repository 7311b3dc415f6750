"""Every shell block of README, of the tutorial and of the how-to pages is typed as it stands, in as many shells as the page says, and what the
page shows is what is seen. How a page says more about a block: pages.py. What is not run, and why: python -m tests.docs.test_shell_blocks
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import kubeedge_actors
from tests.docs.pages import Block, blocks
from tests.docs.shells import Machine, Shell
from tests.support.waiting import Patience

ROOT = Path(kubeedge_actors.__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    ROOT / "examples" / "README.md",
]
PROGRAMS = {
    "kubectl": "kubectl",
    "mosquitto_pub": "mosquitto-clients",
    "mosquitto_sub": "mosquitto-clients",
    "mosquitto ": "mosquitto",
    "curl": "curl",
    "ps ": "procps",
    "docker ": "docker.io",
}
"""Words of commands that may not be there, and the package that has them."""
ON_A_PAGE = 150.0
"""Seconds of patience with what a page shows: an edge asks for a cloud that was away up to 30 s later, and perhaps once more."""
ANOTHER_TRY = 1.0
"""Seconds after which a command that has not shown what the page shows is typed again."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Reader:
    """A person who reads a page from its beginning, in a folder that looks like a clone with a `.venv`, and types what it says."""

    def __init__(self, page: Path, folder: Path, machine: Machine, stack: ExitStack) -> None:
        self._page = page
        self._machine = machine
        self._stack = stack
        self._shells: dict[str, Shell] = {}
        self._clone, self._home = folder / "clone", folder / "home"
        self._make_clone()
        self._folder = self._clone
        self._typed: Block | None = None

    def _make_clone(self) -> None:
        """What a clone holds, and the environment of the tests as its `.venv` (and as `~/kubeedge`, where the tutorial makes one)."""
        for path in (self._clone, self._home):
            path.mkdir()
        shutil.copytree(ROOT / "examples", self._clone / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        for each in ROOT.iterdir():
            if each.name not in (".venv", ".git", "examples"):
                (self._clone / each.name).symlink_to(each)
        for environment in (self._clone / ".venv", self._home / "kubeedge"):
            (environment / "bin").mkdir(parents=True)
            line = f'export PATH="{Path(sys.executable).parent}:$PATH"\n'
            (environment / "bin" / "activate").write_text(line, encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        """That of the tests without what would lead elsewhere: no cluster, no engine, no folder of state of the person who runs them."""
        kept = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("KUBE", "XDG_", "COV_", "PYTEST", "PYTHONUNBUFFERED"))
        }
        mine = {"HOME": str(self._home), "PYTHONPATH": str(ROOT), "DOCKER_HOST": "unix:///nowhere/docker.sock"}
        return {**kept, **mine}

    def _shell(self, name: str) -> Shell:
        if name not in self._shells:
            self._shells[name] = Shell(self._machine, self._clone, self._environment())
            self._stack.callback(self._shells[name].close)
        return self._shells[name]

    def read(self) -> None:
        """All of it; what can not be done ends the test with the line of the page."""
        found = list(blocks(self._page))
        for block, next_one in zip(found, [*found, None][1:], strict=True):
            try:
                self._step(block, next_one)
            except AssertionError as error:
                pytest.fail(f"{name_of(self._page)}:{block.line}: {error}", pytrace=False)

    def _step(self, block: Block, next_one: Block | None) -> None:
        if "ended" in block.marks:
            self._shell(block.marks["ended"]).terminate()
        elif block.typed and "not run" not in block.marks:
            self._need(block)
            for name in block.shells:
                self._type(block, next_one, self._shell(name))
            self._typed = block
        elif block.file:
            (self._folder / block.file).write_text(block.text, encoding="utf-8")
        elif not block.info and self._typed is not None and "not compared" not in block.marks:
            self._compare(block)
        else:
            self._typed = None if block.typed else self._typed

    def _need(self, block: Block) -> None:
        for word, package in PROGRAMS.items():
            if word in block.text and shutil.which(word.strip()) is None:
                pytest.skip(
                    f"{name_of(self._page)} from line {block.line} on needs {word.strip()}: apt-get install {package}"
                )

    def _type(self, block: Block, next_one: Block | None, shell: Shell) -> None:
        self._end_what_goes_on(block, shell)
        *first, last = block.commands()
        shell.seen = ""
        for command in first:
            shell.type(command)
        if "stays" in block.marks:
            self._look_where(shell)
            shell.leave(last, block.marks["stays"])
        elif "until shown" in block.marks and next_one is not None:
            self._again(shell, last, next_one)
        else:
            shell.type(last, int(block.marks.get("status", 0)))
        if not shell.busy:
            self._look_where(shell)

    def _look_where(self, shell: Shell) -> None:
        """Files of the page are for the folder of the shell that was typed into last."""
        seen, shell.seen = shell.seen, ""
        shell.type('echo "[$PWD]"')
        self._folder = Path(re.findall(r"\[(.*)\]", shell.seen)[-1])
        shell.seen = seen + shell.seen  # what goes on in the background may have shown something meanwhile

    def _end_what_goes_on(self, block: Block, shell: Shell) -> None:
        assert shell.busy == ("after" in block.marks), "the shell is busy" if shell.busy else "nothing goes on there"
        if shell.busy:
            shell.terminate(interrupt=block.marks["after"] == "Ctrl-C")

    def _again(self, shell: Shell, command: str, shown: Block) -> None:
        where = self._shell(shown.marks["shows"]) if "shows" in shown.marks else shell
        patience = Patience(ON_A_PAGE)
        while True:  # what was seen stays: a retained message comes once, the answer to the command perhaps later
            shell.type(command)
            if where.shows(lambda: not shown.missing(where.seen), ANOTHER_TRY):
                return
            assert not patience.over, f"{shown.missing(where.seen)!r} is not shown by {command}\n{where.seen}"

    def _compare(self, block: Block) -> None:
        assert self._typed is not None
        shell = self._shell(block.marks.get("shows", self._typed.shells[-1]))
        shell.until(lambda: not block.missing(shell.seen), block.text)
        shell.seen = ""


@pytest.fixture
def machine() -> Iterator[Machine]:
    try:
        found = Machine()
    except OSError as why:
        pytest.skip(f"no network and no process ids of its own can be made here (root, or user namespaces): {why}")
    yield found
    found.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_the_page_says_can_be_typed_and_shows_what_it_shows(page: Path, tmp_path: Path, machine: Machine) -> None:
    with ExitStack() as stack:
        Reader(page, tmp_path, machine, stack).read()


def not_run() -> list[str]:
    """A line for each block that is not typed or not compared, with the reason."""
    return [
        f"{name_of(page)}:{block.line}: {kind}: {block.marks[kind]}"
        for page in PAGES
        for block in blocks(page)
        for kind in ("not run", "not compared")
        if kind in block.marks
    ]


def test_what_is_not_run_says_why() -> None:
    print(*not_run(), sep="\n")
    assert [line for line in not_run() if line.endswith((": ", ":"))] == []


if __name__ == "__main__":
    print(*not_run(), sep="\n")
